/* The past that rules are tried on, as the store has it: ticks of the ledger and series. */
#include <stdlib.h>
#include <string.h>

#include "api/trial_inside.h"
#include "series/query.h"
#include "store/ledger.h"

enum {
    USUAL_PER_MILLE = 50,
    RELEASE_S = 90, /* the latest that a tick notices a release */
    LEARNED_SOON_S = 3 * 3600,
    RESTART_S = 300, /* the longest that a restart of all dynos takes */
};

static struct history_minute *minute_at(struct trial_work *trial, int64_t at_s) {
    int64_t place = (at_s - trial->history.from_s) / MINUTE_S;
    bool inside = at_s >= trial->history.from_s && place < trial->history.count;
    return inside ? &trial->history.minutes[place] : NULL;
}

static void take_waits(void *context, int64_t at_s, const struct sketch *sketch) {
    struct trial_work *trial = context;
    struct history_minute *minute = minute_at(trial, at_s);
    if (!minute || sketch->count == 0) return;
    minute->known = true;
    minute->requests = (double)sketch->count;
    minute->wait_s = (double)sketch->sum / 1000;
    for (int i = 0; i < HISTORY_SLOW; i++)
        minute->above[i] = (double)sketch_above(sketch, history_marks_ms[i]);
    minute->above[HISTORY_SLOW] = (double)sketch_above(sketch, trial->history.slow_ms);
    minute->p95_ms = (double)sketch_percentile(sketch, 950);
}

static void take_busy(void *context, int64_t at_s, const struct sketch *sketch) {
    struct history_minute *minute = minute_at(context, at_s);
    if (minute && sketch->count > 0) minute->busy_s = (double)sketch->sum / 1000;
}

/* With each report, each process of each dyno says how many requests it can run at once. */
static void take_slots(void *context, int64_t at_s, const struct sketch *sketch) {
    struct trial_work *trial = context;
    const struct history_minute *minute = minute_at(trial, at_s);
    if (!minute || sketch->count == 0 || minute->up < .5) return;
    trial->slots_sum += (double)sketch->sum * trial->report_s / MINUTE_S;
    trial->slots_dynos += minute->up;
}

/* Most dynos disappeared at once although nobody ordered that: they were restarted. */
static void see_restart(struct trial_work *trial, const struct situation *now,
                        struct history_minute *minute) {
    double up = now->up < 0 ? -1 : (double)now->up;
    bool fell =
        up >= 0 && trial->last_up >= 1 && 2 * up < trial->last_up && 2 * up < (double)now->ordered;
    if (fell && now->now - trial->restart_s > RESTART_S) {
        minute->restart = true;
        trial->restart_s = now->now;
    }
    trial->last_up = up;
}

static void see_release(struct trial_work *trial, const struct situation *now,
                        struct history_minute *minute) {
    if (now->release_age < 0 || now->release_age > RELEASE_S) return;
    int64_t release_s = now->now - now->release_age;
    if (release_s - trial->last_release_s > RELEASE_S) minute->releasing = true;
    trial->last_release_s = release_s;
}

static void take_formation(const struct situation *now, struct history_minute *minute) {
    double ordered = (double)now->ordered;
    double up = now->up >= 0        ? (double)now->up
                : now->booting >= 0 ? (double)(now->ordered - now->booting)
                                    : ordered;
    if (now->ordered < 0) return;
    minute->ticks++;
    minute->ordered = minute->ordered < 0 ? ordered : minute->ordered + ordered;
    minute->up = minute->up < 0 ? up : minute->up + up;
}

/* What had been learned when the past began. Ticks do not store what is learned of requests. */
static void take_memory(struct trial_work *trial, const struct ledger_tick *tick) {
    const struct memory *memory = &tick->memory;
    bool learned = trial->history.jobs ? memory->job_slots > 0
                                       : !tick->chained && !learned_is_empty(&memory->learned);
    bool soon = tick->situation.now - trial->history.from_s < LEARNED_SOON_S;
    if (trial->has_memory || !learned || !soon) return;
    trial->memory = *memory;
    trial->has_memory = true;
}

static bool take_tick(void *context, const struct ledger_tick *tick) {
    struct trial_work *trial = context;
    const struct situation *now = &tick->situation;
    struct history_minute *minute = minute_at(trial, now->now);
    if (!minute) return true;
    if (now->report_s > 0) trial->report_s = (int)now->report_s;
    if (now->heard_age >= 0 && now->heard_age <= 3 * trial->report_s)
        minute->known = !trial->history.jobs; /* of jobs: jobs_past.h */
    take_formation(now, minute);
    see_restart(trial, now, minute);
    see_release(trial, now, minute);
    if (now->scaling && tick->decision.action != DECISION_HOLD) minute->scalings++;
    if (now->boot_mean_ms > 0) trial->history.boot_s = (double)now->boot_mean_ms / 1000;
    else if (now->boot_s > 0) trial->history.boot_s = (double)now->boot_s;
    if (trial->first_version == 0) trial->first_version = tick->rules_version;
    take_memory(trial, tick);
    if (trial->history.jobs) jobs_past_tick(&trial->jobs, now);
    if (now->now % 3600 >= 10) return true;
    return trial_goes_on(trial, (double)(now->now - trial->from_s) /
                                    (double)(trial->to_s - trial->from_s));
}

static void mean_of_ticks(struct history *history) {
    for (int i = 0; i < history->count; i++) {
        struct history_minute *minute = &history->minutes[i];
        if (minute->ticks == 0) continue;
        minute->ordered /= minute->ticks;
        minute->up /= minute->ticks;
    }
}

/* Drops the time before the first report. */
static void trim(struct trial_work *trial) {
    struct history *history = &trial->history;
    int first = 0;
    while (first < history->count && !history->minutes[first].known) first++;
    if (first == 0) return;
    history->count -= first;
    history->from_s += (int64_t)first * MINUTE_S;
    memmove(history->minutes, history->minutes + first,
            (size_t)history->count * sizeof *history->minutes);
}

/* Defines "slow" by the rules in force, or else by the proposed ones: by the last rule of the
 * process, which is its default. */
void trial_define_slow(struct trial_work *trial) {
    const struct rule_set *set = trial->in_force ? trial->in_force : trial->proposed;
    const struct rule_process *process = rule_process(set, trial->process);
    const struct rule *rule = &process->rules[process->rule_count - 1];
    bool automatic = rule->method == RULE_AUTOMATIC;
    trial->history.slow_ms = (int)(automatic ? rule->goal_ms : rule->up.threshold_ms);
    trial->history.slow_per_mille = automatic ? rule->goal_per_mille : USUAL_PER_MILLE;
}

static bool read_series(struct trial_work *trial, struct store *store, const char *signal,
                        void (*each)(void *, int64_t, const struct sketch *)) {
    return series_each_step(store, trial->app, trial->process, signal, trial->from_s, trial->to_s,
                            MINUTE_S, each, trial);
}

bool trial_read_past(struct trial_work *trial, struct store *store) {
    struct history *history = &trial->history;
    history->from_s = trial->from_s;
    history->count = (int)((trial->to_s - trial->from_s) / MINUTE_S);
    history->minutes = calloc((size_t)history->count, sizeof *history->minutes);
    if (!history->minutes) return false;
    for (int i = 0; i < history->count; i++) {
        struct history_minute *minute = &history->minutes[i];
        minute->p95_ms = minute->busy_s = minute->ordered = minute->up = -1;
    }
    if (history->jobs) {
        trial->jobs.history = history;
        trial->jobs.seen = calloc((size_t)history->count, sizeof *trial->jobs.seen);
        if (!trial->jobs.seen) return false;
    }
    trial->report_s = USUAL_REPORT_S;
    trial->last_up = -1;
    bool done = price_get(store, trial->app, trial->process, &trial->price) &&
                ledger_each(store, trial->app, trial->process, trial->from_s, trial->to_s, false,
                            take_tick, trial);
    mean_of_ticks(history);
    if (!history->jobs)
        done = done && read_series(trial, store, "wait", take_waits) &&
               read_series(trial, store, "busy", take_busy) &&
               read_series(trial, store, "slots", take_slots);
    else if (done && !jobs_past_end(&trial->jobs, &trial->capacity))
        trial->not_known = trial->jobs.heard;
    if (trial->slots_dynos > 0) history->slots = (int)(trial->slots_sum / trial->slots_dynos + .5);
    trim(trial);
    if (history->count > 0 && history->minutes[0].ordered >= 0)
        history->first_dynos = (int)(history->minutes[0].ordered + .5);
    return done;
}
