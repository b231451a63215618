#include "replay/trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decide/decide.h"
#include "replay/chance.h"
#include "replay/fleet.h"
#include "replay/jobs_queue.h"
#include "replay/jobs_watch.h"
#include "replay/watch.h"
#include "rules/week.h"

enum {
    MINUTE_S = 60,
    LEAST_TICK_S = 10,
    STEP_S = 5,
    LONG_AGO_S = 100000,
    USUAL_BOOT_S = 25,
    PROGRESS_MINUTES = 60,
    QUICK_DECISIONS = 45000, /* of the automatic method for requests, a second or two */
    CHANCE_CAME = 48,        /* see chance.h */
};
static const double FEW_CAME = 10; /* jobs of a minute: fewer come as they did */

struct run {
    struct trial *trial;
    struct fleet fleet;
    struct watch watch;
    struct waits minute; /* all of it */
    struct {             /* instead of these two */
        struct jobs_queue queue;
        struct jobs_watch watch;
        double owed; /* of the jobs that came, the part that is not a whole one yet */
        double begun, late, oldest_s; /* in the minute */
    } jobs;
    struct memory memory;
    const struct rule *rule;
    int64_t rule_until_s, rule_since_s, release_s; /* release_s: 0: none */
    double boot_s;
    double noise; /* deviation of a part's requests, times the root of their mean */
    double part_noise[MINUTE_S / LEAST_TICK_S];
};

int trial_tick_s(const struct rule_process *process, int minutes, bool jobs) {
    static const int apart[] = {10, 15, 20, 30, 60};
    bool automatic = false;
    for (int i = 0; i < process->rule_count && !jobs; i++)
        automatic = automatic || process->rules[i].method == RULE_AUTOMATIC;
    int i = 0;
    while (automatic && i < 4 && minutes * (MINUTE_S / apart[i]) > QUICK_DECISIONS) i++;
    return apart[i];
}

/* ---- Chance, the same for all rules that are tried ------------------------------------------- */

/* So many times the slow requests that are to be expected come by chance, in clusters: Poisson's
 * distribution over its mean. */
static double chance_times(double clusters, int64_t moment_s) {
    if (clusters < 1e-6) return 1;
    if (clusters > 40) {
        double times = 1 + chance_normal(moment_s, 20) / sqrt(clusters);
        return times > 0 ? times : 0;
    }
    double u = chance_uniform(moment_s, 20), term = exp(-clusters), sum = term;
    int count = 0;
    while (u > sum && count < 200) {
        term *= clusters / ++count;
        sum += term;
    }
    return count / clusters;
}

/* How much more than by chance alone the minutes of the past vary around those beside them; half of
 * that is taken for what happens within a minute. */
static double noise_of(const struct history *history) {
    double sum = 0;
    int count = 0;
    for (int i = 1; i + 1 < history->count; i++) {
        const struct history_minute *at = &history->minutes[i];
        if (!at[-1].known || !at->known || !at[1].known || at->requests < 10) continue;
        double apart = at->requests - (at[-1].requests + at[1].requests) / 2;
        double times = apart * apart / (1.5 * at->requests);
        sum += times < 60 ? times : 60; /* a jump is no noise */
        count++;
    }
    double times = count > 0 ? sum / count : 1;
    return times > 1 ? sqrt(1 + (times - 1) / 2) : 1;
}

/* Requests of a part of a minute: they follow the minutes around it, and chance. The parts of a
 * minute together have as many as it had. noise: of the part, in roots of a part.s mean. */
static double requests_of(const struct history *history, int minute, int part, int parts,
                          double noise) {
    const struct history_minute *minutes = history->minutes;
    double all = minutes[minute].requests;
    if (all <= 0) return 0;
    double before = minute > 0 && minutes[minute - 1].known ? minutes[minute - 1].requests : all;
    double after = minute + 1 < history->count && minutes[minute + 1].known
                       ? minutes[minute + 1].requests
                       : all;
    double slope = (after - before) / 2 / all;
    slope = slope > 1 ? 1 : slope < -1 ? -1 : slope;
    double mean = all / parts * (1 + slope * ((part + .5) / parts - .5));
    double requests = mean + noise * sqrt(all / parts);
    return requests > 0 ? requests : 0;
}

/* What the parts of a minute differ by, in all 0. */
static void draw_parts(struct run *run, int64_t begin_s, int parts) {
    double sum = 0;
    for (int i = 0; i < parts; i++) {
        run->part_noise[i] = run->noise * chance_normal(begin_s + i * (MINUTE_S / parts), 0);
        sum += run->part_noise[i];
    }
    for (int i = 0; i < parts; i++) run->part_noise[i] -= sum / parts;
}

/* ---- A tick --------------------------------------------------------------------------------- */

static void follow_week(struct run *run, int64_t now_s) {
    const struct trial *trial = run->trial;
    if (run->rule && now_s < run->rule_until_s) return;
    const struct rule *before = run->rule;
    run->rule = &trial->process->rules[week_rule(trial->process, trial->zone, now_s)];
    run->rule_until_s = week_until(trial->process, trial->zone, now_s);
    if (before && before != run->rule) run->rule_since_s = now_s;
    if (run->rule->method == RULE_AUTOMATIC) run->trial->automatic = true;
}

static void pass_time(struct run *run, int minute, int64_t now_s, int part) {
    const struct trial *trial = run->trial;
    const struct history *history = trial->history;
    const struct history_minute *past = &history->minutes[minute];
    int parts = MINUTE_S / trial->tick_s, steps = trial->tick_s / STEP_S;
    struct watch_tick *tick = watch_next(&run->watch);
    tick->heard = past->known;
    tick->service_s = capacity_service(trial->capacity, history, minute);
    tick->arrived =
        past->known ? requests_of(history, minute, part, parts, run->part_noise[part]) : 0;
    for (int i = 0; i < steps; i++)
        tick->began += fleet_run(&run->fleet, (double)(now_s + (i + 1) * STEP_S), STEP_S,
                                 tick->arrived / trial->tick_s, tick->service_s, &tick->waits);
    tick->up = run->fleet.up;
    double slow = waits_above(&tick->waits, history->slow_ms);
    waits_vary(&tick->waits, chance_times(slow / trial->capacity->clustering, now_s));
    waits_sum(&run->minute, &tick->waits, 1);
}

/* How many jobs come in a step varies by chance; where few came in a minute, each is seen. */
static double jobs_of(struct run *run, const struct history_minute *past, int64_t now_s) {
    double mean = past->known ? past->came * JOBS_STEP_S / MINUTE_S : 0;
    if (past->came >= FEW_CAME) return chance_poisson(mean, now_s, CHANCE_CAME);
    run->jobs.owed += mean;
    double came = floor(run->jobs.owed);
    run->jobs.owed -= came;
    return came;
}

static void pass_time_of_jobs(struct run *run, const struct history_minute *past, int64_t now_s) {
    const struct trial *trial = run->trial;
    struct jobs_queue *queue = &run->jobs.queue;
    for (int i = 0; i < trial->tick_s / JOBS_STEP_S; i++) {
        int64_t step_s = now_s + (i + 1) * JOBS_STEP_S;
        fleet_pass(&run->fleet, (double)step_s);
        double slots = (double)run->fleet.up * trial->capacity->slots, begun = queue->begun;
        run->jobs.late += jobs_queue_pass(queue, step_s, slots, jobs_of(run, past, step_s));
        run->jobs.begun += queue->begun - begun;
        if (queue->oldest_s > run->jobs.oldest_s) run->jobs.oldest_s = queue->oldest_s;
    }
    jobs_watch_read(&run->jobs.watch, now_s + trial->tick_s, queue, past->known);
}

static void tell(const struct run *run, int64_t now_s, struct situation *situation) {
    const struct trial *trial = run->trial;
    situation_clear(situation);
    situation->now = now_s;
    situation->tick_s = trial->tick_s;
    situation->scaling = 1;
    situation->started_age = LONG_AGO_S;
    situation->rule_age = run->rule_since_s ? now_s - run->rule_since_s : LONG_AGO_S;
    situation->ordered = run->fleet.ordered;
    situation->up = run->fleet.up;
    situation->booting = run->fleet.ordered - run->fleet.up;
    situation->stopping = 0;
    situation->formation_age = 1;
    situation->dynos_heard = run->fleet.up;
    situation->boot_s = (int64_t)(run->boot_s + .5);
    situation->boot_mean_ms = (int64_t)(run->boot_s * 1000);
    if (run->release_s) situation->release_age = now_s - run->release_s;
    if (trial->history->jobs) jobs_watch_tell(&run->jobs.watch, run->rule, situation);
    else watch_tell(&run->watch, run->rule, trial->capacity->busy_known, situation);
}

static void act(struct run *run, int64_t now_s, const struct decision *decision) {
    struct trial *trial = run->trial;
    int to = decision->to, ordered = run->fleet.ordered;
    if (!trial->process->scaling || to < 0 || to == ordered) return;
    fleet_order(&run->fleet, to, (double)now_s + run->boot_s);
    trial->scalings++;
    if (to > trial->most) trial->most = to;
}

/* ---- A minute ------------------------------------------------------------------------------- */

/* Whether the minute would be slow if a dyno took so many times the load that is thought. */
static bool slow_if(const struct run *run, int minute, const struct trial_minute *now,
                    double times) {
    const struct trial *trial = run->trial;
    const struct history *history = trial->history;
    double service_s = capacity_service(trial->capacity, history, minute);
    if (now->up < .5) return true;
    double used = now->requests / MINUTE_S * service_s / now->up / trial->capacity->slots / times;
    const struct queue *queue = NULL;
    for (int i = 0; i < FLEET_QUEUES && !queue; i++)
        if (run->fleet.queues[i].slots > 0) queue = &run->fleet.queues[i].queue;
    if (!queue) return now->slow;
    struct queue_wait wait = queue_stationary(queue, used, service_s);
    return 1000 * queue_longer(&wait, history->slow_ms / 1000.) > history->slow_per_mille;
}

/* A minute is late by its jobs that began; where none did, by one that waits. Surely, where many
 * more were late than make it so. */
static void end_minute_of_jobs(struct run *run, const struct history_minute *past,
                               struct trial_minute *now) {
    const struct history *history = run->trial->history;
    bool none = run->jobs.begun < 1 && run->jobs.oldest_s > run->jobs.queue.late_s;
    now->requests = none ? 1 : run->jobs.begun;
    now->above = none ? 1 : run->jobs.late;
    now->known = past->known;
    now->p95_ms = now->known ? 1000 * run->jobs.oldest_s : -1;
    double limit = now->requests * history->slow_per_mille / 1000;
    now->slow = now->known && now->above > limit && now->requests > .5;
    now->surely = now->slow && now->above > 4 * limit;
    now->maybe = now->known && (now->slow || run->jobs.oldest_s > .7 * run->jobs.queue.late_s);
    run->jobs.begun = run->jobs.late = run->jobs.oldest_s = 0;
}

static void end_minute(struct run *run, int minute, struct trial_minute *now) {
    struct trial *trial = run->trial;
    const struct history *history = trial->history;
    now->requests = run->minute.requests;
    now->above = waits_above(&run->minute, history->slow_ms);
    now->known = history->minutes[minute].known;
    now->p95_ms = now->known ? waits_value(&run->minute, RULE_P95) : -1;
    now->slow = now->known && now->requests > .5 &&
                1000 * now->above > history->slow_per_mille * now->requests;
    double doubt = trial->capacity->doubt;
    now->surely = now->slow && slow_if(run, minute, now, 1 + doubt);
    now->maybe =
        now->known && now->requests > .5 && (now->slow || slow_if(run, minute, now, 1 - doubt));
    memset(&run->minute, 0, sizeof run->minute);
}

static void begin_minute(struct run *run, int minute, int64_t now_s) {
    const struct history_minute *past = &run->trial->history->minutes[minute];
    if (past->releasing) run->release_s = now_s;
    /* Switched off: what really ran. */
    bool ran = past->ordered > .5 || (run->trial->history->jobs && past->ordered >= 0);
    if (!run->trial->process->scaling && ran)
        fleet_order(&run->fleet, (int)(past->ordered + .5), (double)now_s + run->boot_s);
    if (past->restart) fleet_restart(&run->fleet, (double)now_s + run->boot_s);
}

static void note_range(struct run *run, const struct situation *situation) {
    struct trial *trial = run->trial;
    const struct rule *rule = run->rule;
    int64_t limit_ms = rule->method == RULE_AUTOMATIC ? rule->goal_ms : rule->up.threshold_ms;
    int least = trial->history->jobs ? rule->min : rule->min > 1 ? rule->min : 1;
    if (situation->heard_age <= trial->tick_s) {
        trial->least_s += least * trial->tick_s;
        trial->most_s += rule->max * trial->tick_s;
    }
    if (run->fleet.ordered >= rule->max && situation->value_ms > limit_ms)
        trial->cut_minutes += (double)trial->tick_s / MINUTE_S;
}

static void run_minute(struct run *run, int minute) {
    struct trial *trial = run->trial;
    int64_t begin_s = trial->history->from_s + (int64_t)minute * MINUTE_S;
    int ticks = MINUTE_S / trial->tick_s;
    struct trial_minute *now = &trial->minutes[minute];
    *now = (struct trial_minute){.p95_ms = -1};
    begin_minute(run, minute, begin_s);
    const struct history_minute *past = &trial->history->minutes[minute];
    if (!trial->history->jobs) draw_parts(run, begin_s, ticks);
    for (int i = 0; i < ticks; i++) {
        int64_t now_s = begin_s + (i + 1) * trial->tick_s;
        struct situation situation;
        struct decision decision;
        if (trial->history->jobs) pass_time_of_jobs(run, past, now_s - trial->tick_s);
        else pass_time(run, minute, now_s - trial->tick_s, i);
        follow_week(run, now_s);
        now->ordered += run->fleet.ordered;
        now->up += run->fleet.up;
        if (!trial->process->scaling) {
            now->wanted += run->fleet.ordered;
            continue;
        }
        tell(run, now_s, &situation);
        decide(&situation, run->rule, &run->memory, &decision);
        act(run, now_s, &decision);
        now->wanted += decision.to < 0 ? run->fleet.ordered : decision.to;
        note_range(run, &situation);
    }
    now->wanted /= ticks;
    now->ordered /= ticks;
    now->up /= ticks;
    if (trial->history->jobs) end_minute_of_jobs(run, past, now);
    else end_minute(run, minute, now);
}

/* ---- The whole ------------------------------------------------------------------------------ */

/* What was learned before, but nothing of that time's wishes. */
static void remember(struct memory *memory, const struct memory *began) {
    memory->learned = began->learned;
    memory->job_starts = began->job_starts;
    memory->job_worker_s = began->job_worker_s;
    memory->job_slots = began->job_slots;
    memory->job_full = began->job_full;
    memory->job_worked = began->job_worked;
    memory->job_changes = began->job_changes;
}

/* False: no memory. */
static bool begin(struct run *run, struct trial *trial) {
    const struct history *history = trial->history;
    run->trial = trial;
    run->boot_s = history->boot_s > 0 ? history->boot_s : USUAL_BOOT_S;
    run->watch.tick_s = run->jobs.watch.tick_s = trial->tick_s;
    memory_clear(&run->memory);
    if (trial->began) remember(&run->memory, trial->began);
    follow_week(run, history->from_s);
    int dynos = history->first_dynos, least = history->jobs ? 0 : 1;
    if (dynos < least) dynos = run->rule->min;
    if (trial->process->scaling) {
        if (dynos > run->rule->max) dynos = run->rule->max;
        if (dynos < run->rule->min) dynos = run->rule->min;
    }
    fleet_begin(&run->fleet, trial->capacity, dynos < least ? least : dynos);
    trial->most = run->fleet.ordered;
    if (!history->jobs) run->noise = noise_of(history);
    return !history->jobs || jobs_queue_begin(&run->jobs.queue, trial->capacity->service_s,
                                              history->slow_ms / 1000., history->count);
}

bool trial_run(struct trial *trial) {
    struct run *run = calloc(1, sizeof *run);
    if (!run) return false;
    trial->scalings = trial->most = 0;
    trial->least_s = trial->most_s = trial->cut_minutes = 0;
    trial->automatic = false;
    trial->late = 0;
    bool goes_on = begin(run, trial);
    for (int i = 0; i < trial->history->count && goes_on; i++) {
        run_minute(run, i);
        if (trial->minutes[i].known) trial->late += trial->minutes[i].above;
        if (trial->progress && i % PROGRESS_MINUTES == PROGRESS_MINUTES - 1)
            goes_on = trial->progress(trial->context, (i + 1.) / trial->history->count);
    }
    if (trial->history->jobs && goes_on) trial->late += jobs_queue_late(&run->jobs.queue);
    jobs_queue_end(&run->jobs.queue);
    free(run);
    return goes_on;
}
