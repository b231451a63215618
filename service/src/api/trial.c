/* What rules would have done in the last days: reads the past from the store, and runs it again by
 * replay/. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/resources.h"
#include "replay/estimate.h"
#include "replay/jobs_past.h"
#include "rules/week.h"
#include "series/query.h"
#include "store/ledger.h"
#include "store/prices.h"

enum {
    MINUTE_S = 60,
    DAY_S = 86400,
    USUAL_DAYS = 7,
    MOST_DAYS = 31,
    MOST_POINTS = 720,
    USUAL_REPORT_S = 10,
    USUAL_PER_MILLE = 50,
    RELEASE_S = 90, /* the latest that a tick notices a release */
    LEARNED_SOON_S = 3 * 3600,
    RESTART_S = 300, /* the longest that a restart of all dynos takes */
};
static const double HOURS_A_MONTH = 730;
/* Shares of the time that a trial takes. */
static const double READ = .3, CHECKED = .4, IN_FORCE_DONE = .7;

struct trial_work {
    struct api_work work; /* first */
    int64_t app, from_s, to_s, version;
    char process[RULE_PROCESS_SIZE];
    struct rule_set *proposed, *in_force; /* in_force: NULL: none */
    bool same_rules, other_queues;

    struct history history;
    struct capacity capacity;
    struct estimated all;
    struct trial trials[2]; /* proposed, in force */
    struct trial_minute *minutes[2];
    struct price price;
    double done_from, done_to; /* of the current part */
    bool stopped, not_known;   /* not_known: what is needed of jobs was not reported */

    /* While the ledger is read. */
    int report_s;
    double slots_sum, slots_dynos;
    int64_t restart_s;
    double last_up;
    int64_t first_version, last_release_s;
    bool has_memory;
    struct memory memory;
    struct jobs_past jobs; /* where the process works on jobs */
};

static void free_work(struct api_work *work) {
    struct trial_work *trial = (struct trial_work *)work;
    rule_free(trial->proposed);
    rule_free(trial->in_force);
    free(trial->history.minutes);
    free(trial->jobs.seen);
    free(trial->minutes[0]);
    free(trial->minutes[1]);
    free(trial);
}

/* ---- How far it is --------------------------------------------------------------------------- */

static bool goes_on(void *context, double done) {
    struct trial_work *trial = context;
    const struct api_work *work = &trial->work;
    if (!work->progress) return true;
    double share = trial->done_from + (trial->done_to - trial->done_from) * done;
    trial->stopped = trial->stopped || !work->progress(work->context, share);
    return !trial->stopped;
}

static void begin_part(struct trial_work *trial, double from, double to) {
    trial->done_from = from;
    trial->done_to = to;
    goes_on(trial, 0);
}

/* ---- The past -------------------------------------------------------------------------------- */

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
    return goes_on(trial,
                   (double)(now->now - trial->from_s) / (double)(trial->to_s - trial->from_s));
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
static void define_slow(struct trial_work *trial) {
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

static bool read_past(struct trial_work *trial, struct store *store) {
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

/* ---- The runs -------------------------------------------------------------------------------- */

static bool run_one(struct trial_work *work, int which, const struct rule_set *set) {
    struct trial *trial = &work->trials[which];
    work->minutes[which] = calloc((size_t)work->history.count, sizeof **work->minutes);
    if (!work->minutes[which]) return false;
    *trial = (struct trial){.history = &work->history,
                            .capacity = &work->capacity,
                            .process = rule_process(set, work->process),
                            .zone = set->zone,
                            .began = work->has_memory ? &work->memory : NULL,
                            .progress = goes_on,
                            .context = work,
                            .minutes = work->minutes[which]};
    trial->tick_s = trial_tick_s(trial->process, work->history.count, work->history.jobs);
    return trial_run(trial);
}

/* Runs the model with the dynos that really ran. */
static bool run_check(struct trial_work *work) {
    const struct rule_process *process = rule_process(work->proposed, work->process);
    struct rule_process off = *process;
    struct trial_minute *minutes = calloc((size_t)work->history.count, sizeof *minutes);
    struct check *check = &work->all.check;
    if (!minutes) return false;
    off.scaling = false;
    struct trial trial = {.history = &work->history,
                          .capacity = &work->capacity,
                          .process = &off,
                          .zone = work->proposed->zone,
                          .tick_s = USUAL_REPORT_S,
                          .progress = goes_on,
                          .context = work,
                          .minutes = minutes};
    bool done = trial_run(&trial);
    for (int i = 0; done && i < work->history.count; i++) {
        if (!minutes[i].known || work->history.minutes[i].up < 0) continue;
        check->done = true;
        check->found += minutes[i].slow;
        check->were += history_is_slow(&work->history, &work->history.minutes[i]);
    }
    free(minutes);
    return done;
}

static bool run_all(struct trial_work *work) {
    struct estimated *all = &work->all;
    begin_part(work, READ, CHECKED);
    if (!work->history.jobs) capacity_fit(&work->capacity, &work->history);
    if (!run_check(work)) return false;
    begin_part(work, CHECKED, IN_FORCE_DONE);
    if (work->in_force && !run_one(work, 1, work->in_force)) return false;
    begin_part(work, IN_FORCE_DONE, 1);
    if (!run_one(work, 0, work->proposed)) return false;
    all->history = &work->history;
    all->capacity = &work->capacity;
    all->same_rules = work->same_rules;
    all->other_queues = work->other_queues;
    all->were_in_force = work->first_version == work->version;
    all->proposed = &work->trials[0];
    all->in_force = work->in_force ? &work->trials[1] : NULL;
    estimate_actual(&work->history, &all->actual);
    estimate_totals(all->proposed, &all->check, &all->proposed_totals);
    if (all->in_force) estimate_totals(all->in_force, &all->check, &all->in_force_totals);
    return true;
}

/* ---- The answer ------------------------------------------------------------------------------ */

static void put_number(struct text *text, double value) {
    text_format(text, "%.*f", value == floor(value) ? 0 : 2, value);
}

static void put_known(struct text *text, double value) {
    if (value < 0) text_put(text, "null");
    else put_number(text, value);
}

static void put_estimate(struct text *text, const char *name, const struct estimate *estimate,
                         double times) {
    text_format(text, ",\"%s\":{\"value\":", name);
    put_number(text, floor(estimate->value * times * 100 + .5) / 100);
    text_put(text, ",\"low\":");
    put_number(text, floor(estimate->low * times * 100 + .5) / 100);
    text_put(text, ",\"high\":");
    put_number(text, floor(estimate->high * times * 100 + .5) / 100);
    text_char(text, '}');
}

/* The sum of a point's minutes. */
struct point {
    double requests, wanted, ordered, up, p95_ms;
    int minutes, slow;
};

static void add_tried(struct point *point, const struct trial_minute *minute) {
    point->minutes++;
    point->requests += minute->requests;
    point->wanted += minute->wanted;
    point->ordered += minute->ordered;
    point->up += minute->up;
    point->slow += minute->slow;
    if (minute->p95_ms > point->p95_ms) point->p95_ms = minute->p95_ms;
}

static void add_actual(struct point *point, const struct history *history,
                       const struct history_minute *minute) {
    point->requests += minute->requests;
    point->slow += minute->known && history_is_slow(history, minute);
    if (minute->p95_ms > point->p95_ms) point->p95_ms = minute->p95_ms;
    if (minute->ordered < 0) return;
    point->minutes++;
    point->ordered += minute->ordered;
    point->up += minute->up;
}

static void put_point(struct text *text, int64_t at_s, const struct point *point, bool tried) {
    int minutes = point->minutes;
    text_format(text, "{\"t\":%" PRId64 ",\"requests\":%.0f,\"wanted\":", at_s, point->requests);
    put_known(text, minutes && tried ? point->wanted / minutes : -1);
    text_put(text, ",\"ordered\":");
    put_known(text, minutes ? point->ordered / minutes : -1);
    text_put(text, ",\"up\":");
    put_known(text, minutes ? point->up / minutes : -1);
    text_put(text, ",\"p95\":");
    put_known(text, point->p95_ms < 0 ? -1 : floor(point->p95_ms + .5));
    text_format(text, ",\"slow\":%d}", point->slow);
}

static int minutes_a_point(const struct trial_work *work) {
    return (work->history.count + MOST_POINTS - 1) / MOST_POINTS;
}

/* `tried` NULL: what really happened. */
static void put_points(struct text *text, const struct trial_work *work,
                       const struct trial_minute *tried) {
    int step = minutes_a_point(work);
    text_put(text, ",\"points\":[");
    for (int i = 0; i < work->history.count; i += step) {
        struct point point = {.p95_ms = -1};
        for (int j = i; j < i + step && j < work->history.count; j++) {
            if (tried) add_tried(&point, &tried[j]);
            else add_actual(&point, &work->history, &work->history.minutes[j]);
        }
        if (i > 0) text_char(text, ',');
        put_point(text, work->history.from_s + (int64_t)i * MINUTE_S, &point, tried != NULL);
    }
    text_char(text, ']');
}

static double cents_an_hour(const struct trial_work *work) {
    return (double)work->price.cents_a_month / HOURS_A_MONTH;
}

static void put_side(struct text *text, const struct trial_work *work, const struct trial *trial,
                     const struct totals *totals, int64_t version) {
    text_put(text, "{\"version\":");
    api_put_time(text, version);
    text_format(text, ",\"scaling\":%s", trial->process->scaling ? "true" : "false");
    put_estimate(text, "dyno_hours", &totals->dyno_hours, 1);
    if (work->capacity.any) put_estimate(text, "slow_minutes", &totals->slow_minutes, 1);
    else text_put(text, ",\"slow_minutes\":null");
    if (work->history.jobs) put_estimate(text, "late_jobs", &totals->late_jobs, 1);
    else text_put(text, ",\"late_jobs\":null");
    put_estimate(text, "scalings", &totals->scalings, 1);
    if (work->price.cents_a_month < 0) text_put(text, ",\"cost_cents\":null");
    else put_estimate(text, "cost_cents", &totals->dyno_hours, cents_an_hour(work));
    text_format(text, ",\"most_dynos\":%d,\"at_maximum_minutes\":", trial->most);
    put_number(text, floor(trial->cut_minutes * 10 + .5) / 10);
    put_points(text, work, trial->minutes);
    text_char(text, '}');
}

static void put_actual(struct text *text, const struct trial_work *work) {
    const struct actual *actual = &work->all.actual;
    double cents = -1;
    if (actual->dyno_hours >= 0 && work->price.cents_a_month >= 0)
        cents = floor(actual->dyno_hours * cents_an_hour(work) + .5);
    text_put(text, "{\"dyno_hours\":");
    put_known(text, actual->dyno_hours);
    text_format(text, ",\"slow_minutes\":%.0f,\"late_jobs\":", actual->slow_minutes);
    put_known(text, work->history.jobs ? floor(actual->late + .5) : -1);
    text_put(text, ",\"scalings\":");
    put_known(text, actual->scalings);
    text_put(text, ",\"cost_cents\":");
    put_known(text, cents);
    put_points(text, work, NULL);
    text_char(text, '}');
}

struct sentences {
    struct text *text;
    bool first;
};

static void put_sentence(void *context, const char *sentence) {
    struct sentences *sentences = context;
    if (!sentences->first) text_char(sentences->text, ',');
    sentences->first = false;
    text_json(sentences->text, sentence);
}

static void put_sureness(struct text *text, const struct trial_work *work) {
    struct sentences sentences = {text, true};
    struct text verdict = TEXT_EMPTY;
    estimate_verdict(&work->all, &verdict);
    text_put(text, ",\"verdict\":");
    text_json(text, verdict.bytes ? verdict.bytes : "");
    text_free(&verdict);
    text_format(text, ",\"sureness\":{\"level\":\"%s\",\"sentences\":[",
                sureness_names[estimate_sureness(&work->all)]);
    estimate_sentences(&work->all, put_sentence, &sentences);
    text_put(text, "]}");
}

static void put_answer(struct text *text, const struct trial_work *work) {
    const struct history *history = &work->history;
    text_format(text,
                "{\"jobs\":%s,\"from\":%" PRId64 ",\"to\":%" PRId64 ",\"step\":%d,\"minutes\":%d,"
                "\"known_minutes\":%d,\"slow\":{\"ms\":%d,\"per_mille\":%d},\"same_rules\":%s,"
                "\"price\":",
                history->jobs ? "true" : "false", history->from_s,
                history->from_s + (int64_t)history->count * MINUTE_S,
                minutes_a_point(work) * MINUTE_S, history->count, work->all.actual.known_minutes,
                history->slow_ms, history->slow_per_mille, work->same_rules ? "true" : "false");
    api_put_price(text, &work->price);
    put_sureness(text, work);
    text_put(text, ",\"proposed\":");
    put_side(text, work, &work->trials[0], &work->all.proposed_totals, 0);
    text_put(text, ",\"in_force\":");
    if (work->in_force)
        put_side(text, work, &work->trials[1], &work->all.in_force_totals, work->version);
    else text_put(text, "null");
    text_put(text, ",\"actual\":");
    put_actual(text, work);
    text_char(text, '}');
}

static void run_work(struct api_work *api_work, struct api_call *call) {
    struct trial_work *work = (struct trial_work *)api_work;
    begin_part(work, 0, READ);
    define_slow(work);
    bool read = read_past(work, call->store);
    if (work->stopped) api_problem(call, 503, "the trial was stopped");
    else if (!read) api_store_failed(call);
    else if (work->not_known)
        api_problem(call, 422,
                    "what other numbers of workers would have done follows from how many jobs wait "
                    "and how many are worked on, and of “%s” the second was not reported in this "
                    "time",
                    work->process);
    else if (work->history.count < 2)
        api_problem(call, 422, "nothing was measured of %s in this time, so nothing can be tried",
                    work->process);
    else if (!run_all(work))
        api_problem(call, 503, "%s",
                    work->stopped ? "the trial was stopped"
                                  : "there is no memory left for the trial");
    else put_answer(&call->answer, work);
}

/* ---- The call -------------------------------------------------------------------------------- */

/* Reads the proposed rules, given as a text or an object. NULL: the call is answered. */
static struct rule_set *read_rules(struct api_call *call, const json_t *given) {
    char error[1024];
    char *written = json_is_object(given) ? json_dumps(given, JSON_COMPACT) : NULL;
    const char *text = written ? written : json_string_value(given);
    if (!text) {
        api_problem(call, 400, "the field “rules” must be a text of YAML or JSON, or an object");
        return NULL;
    }
    struct rule_set *set = api_read_rules(text, strlen(text), call->app.zone, error, sizeof error);
    free(written);
    if (!set) {
        api_problem(call, 422, "the field “rules”: %s", error);
        return NULL;
    }
    if (rule_process(set, call->parameters[1])) return set;
    api_problem(call, 422, "the field “rules”: there is no process “%.64s” in it",
                call->parameters[1]);
    rule_free(set);
    return NULL;
}

static bool read_range(struct api_call *call, int64_t days, int64_t *from_s, int64_t *to_s) {
    if (days > 0 && *from_s >= 0)
        api_problem(call, 400, "the fields “days” and “from” can't be given both");
    if (*to_s > call->now_s) *to_s = call->now_s;
    *to_s -= *to_s % MINUTE_S;
    if (*from_s < 0) *from_s = *to_s - (days > 0 ? days : USUAL_DAYS) * DAY_S;
    if (*from_s < 0) *from_s = 0;
    *from_s -= *from_s % MINUTE_S;
    if (!api_failed(call) &&
        (*to_s - *from_s < 2 * MINUTE_S || *to_s - *from_s > MOST_DAYS * DAY_S))
        api_problem(
            call, 400,
            "the field “from” must be at least two minutes before “to”, and at most %d days",
            MOST_DAYS);
    return !api_failed(call);
}

static bool same_rules(const struct rule_set *one, const struct rule_set *other,
                       const char *process) {
    const struct rule_process *first = rule_process(one, process);
    const struct rule_process *second = rule_process(other, process);
    struct text texts[2] = {TEXT_EMPTY, TEXT_EMPTY};
    bool same = first->rule_count == second->rule_count && first->scaling == second->scaling &&
                one->zone == other->zone;
    for (int i = 0; i < first->rule_count && same; i++) {
        text_clear(&texts[0]);
        text_clear(&texts[1]);
        rule_write_json_one(&texts[0], &first->rules[i]);
        rule_write_json_one(&texts[1], &second->rules[i]);
        same = texts[0].bytes && texts[1].bytes && strcmp(texts[0].bytes, texts[1].bytes) == 0;
    }
    text_free(&texts[0]);
    text_free(&texts[1]);
    return same;
}

/* Whether the last rule of each, which applies most of the time, looks at other queues. */
static bool other_queues(const struct rule_set *one, const struct rule_set *other,
                         const char *process) {
    const struct rule_process *first = rule_process(one, process);
    const struct rule_process *second = rule_process(other, process);
    const struct rule *mine = &first->rules[first->rule_count - 1];
    const struct rule *theirs = &second->rules[second->rule_count - 1];
    bool same = mine->queue_count == theirs->queue_count;
    for (int i = 0; i < mine->queue_count && same; i++)
        same = strcmp(mine->queues[i], theirs->queues[i]) == 0;
    return !same;
}

static bool wants_events(const struct api_call *call) {
    return call->accept && strstr(call->accept, "text/event-stream");
}

static void prepare(struct api_call *call, struct rule_set *proposed, int64_t from_s,
                    int64_t to_s) {
    struct trial_work *work = calloc(1, sizeof *work);
    const char *process = call->parameters[1];
    if (!work) {
        rule_free(proposed);
        api_problem(call, 503, "there is no memory left");
        return;
    }
    work->work = (struct api_work){
        .run = run_work, .free = free_work, .streams = wants_events(call), .app = call->app.id};
    snprintf(work->work.who, sizeof work->work.who, "%s", call->who.name);
    snprintf(work->process, sizeof work->process, "%s", process);
    work->app = call->app.id;
    work->from_s = from_s;
    work->to_s = to_s;
    work->history.jobs = strcmp(process, "web") != 0;
    work->proposed = proposed;
    work->in_force = api_rules(call->store, &call->app, 0, &work->version, NULL);
    if (work->in_force && !rule_process(work->in_force, process)) {
        rule_free(work->in_force);
        work->in_force = NULL;
    }
    work->same_rules = work->in_force && same_rules(proposed, work->in_force, process);
    work->other_queues = work->in_force && other_queues(proposed, work->in_force, process);
    call->work = &work->work;
}

void trial_run_rules(struct api_call *call) {
    json_t *given = NULL;
    int64_t days = 0, from_s = -1, to_s = call->now_s;
    const struct field fields[] = {
        {.name = "rules", .kind = FIELD_ANY, .needed = true, .to = &given},
        {.name = "days", .kind = FIELD_INTEGER, .least = 1, .most = MOST_DAYS, .to = &days},
        {.name = "from", .kind = FIELD_TIME, .to = &from_s},
        {.name = "to", .kind = FIELD_TIME, .to = &to_s},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields)) || !read_range(call, days, &from_s, &to_s))
        return;
    struct rule_set *proposed = read_rules(call, given);
    if (!proposed) return;
    prepare(call, proposed, from_s, to_s);
}
