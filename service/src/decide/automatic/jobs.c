/* The automatic method for workers: its decision, and how it is explained. */
#include "decide/automatic/jobs.h"

#include "decide/automatic/number.h"
#include "decide/view.h"

enum { MINUTE_S = 60, MANY = 1000, FEWER = 4, TRIED_S = 3600 };

static int larger(int one, int other) { return one > other ? one : other; }
static int smaller(int one, int other) { return one < other ? one : other; }

static int64_t thousandths(double x) {
    return x < 0 ? -1 : (int64_t)number_within(x * 1000 + .5, 0, 1e15);
}

/* ---- What is right -------------------------------------------------------------------------- */

/* While the speed of a worker is unknown, tries twice as many; one at first. */
static int try_more(const struct jobs *jobs) {
    const struct moment *moment = &jobs->moment;
    if (moment->up < moment->ordered) return moment->ordered;
    return 2 * jobs->oldest_s < jobs->goal_s && moment->up > 0 ? moment->ordered
                                                               : larger(1, 2 * moment->ordered);
}

/* While no job waits long, what keeps workers busy is unknown: tries somewhat fewer. */
static int try_fewer(const struct view *view, const struct jobs *jobs) {
    int ordered = jobs->moment.ordered;
    if (jobs->working == 0 && jobs->waiting <= 0 && jobs->oldest_s <= 0) return 0;
    bool short_waits = 4 * view->value_ms < view->rule->goal_ms && jobs->waiting <= 0;
    return short_waits ? ordered - (ordered + FEWER - 1) / FEWER : ordered;
}

static int right_number(const struct view *view, const struct jobs *jobs,
                        struct jobs_advice *said) {
    double later = 0, times = 1;
    bool by_load = jobs->load >= 0 && (jobs->working < 0 || jobs->full);
    int need = by_load ? jobs_for_load(jobs) : try_fewer(view, jobs), more = 0;
    said->why = JOBS_LOAD;
    if (jobs->waiting > 0) {
        more = jobs->rate > 0 ? jobs_for_backlog(jobs, &later) : try_more(jobs);
        if (more > need) said->why = jobs->rate > 0 ? JOBS_BACKLOG : JOBS_UNLEARNED;
    } else if (jobs->waiting < 0 && jobs->oldest_s > 0) {
        more = jobs->moment.ordered ? jobs_by_age(jobs, &times) : 1;
        if (more > need) said->why = JOBS_AGE;
    }
    said->later = (int64_t)(later + .5);
    said->times = thousandths(times);
    return larger(need, more);
}

/* Without the last worker a new job would wait for a start, so it stays for a while. */
static int keep_last(const struct view *view, const struct jobs *jobs, int need,
                     struct jobs_advice *said) {
    int64_t usual = (int64_t)jobs->keep_min * MINUTE_S, longer = view->memory->job_keep_s;
    said->keep_s = longer > usual ? longer : usual;
    said->idle_s = jobs->moment.now - view->memory->job_seen;
    if (need > 0 || jobs->moment.ordered == 0 || said->idle_s >= said->keep_s) return need;
    said->why = JOBS_LAST;
    return 1;
}

/* While workers start, adds few more until those are up: what they will achieve is only
 * estimated. */
static int without_creeping(const struct moment *moment, int need) {
    bool few = need < moment->ordered + (moment->ordered + FEWER - 1) / FEWER;
    return moment->up < moment->ordered && need > moment->ordered && few ? moment->ordered : need;
}

/* More workers that begin no more jobs, or make each take longer, show a limit behind them. For an
 * hour after that, at most half as many are added at a time. */
static int within_ceiling(struct view *view, struct jobs *jobs, int need) {
    struct learned *learned = &view->memory->learned;
    const struct moment *moment = &jobs->moment;
    if (jobs->start >= 0) backlog_try(learned, moment);
    int64_t since = moment->now - learned->ceiling_until;
    if (need <= moment->ordered || !learned->ceiling_until || since >= TRIED_S) return need;
    bool limited = learned->ceiling && since < 0;
    int most = limited                   ? (int)learned->ceiling
               : learned->trial_grown_at ? moment->ordered
                                         : moment->up + (moment->up + 1) / 2;
    if (need <= most) return need;
    view->advice.would = need;
    view->advice.limited = limited ? ADVICE_CEILING : ADVICE_TRIAL;
    view->advice.ceiling_left_s = -since;
    return larger(most, moment->ordered);
}

/* ---- What is said --------------------------------------------------------------------------- */

static void describe(const struct view *view, const struct jobs *jobs, struct advice *advice) {
    const struct learned *learned = &view->memory->learned;
    struct jobs_advice *said = &advice->jobs;
    said->waiting = (int64_t)jobs->waiting;
    said->working = (int64_t)jobs->working;
    said->oldest_ms = view->now.oldest_ms;
    said->arrive = thousandths(jobs->queued ? jobs->arrive : -1);
    said->load = thousandths(jobs->load);
    said->rate = thousandths(jobs->rate);
    said->slots = thousandths(jobs->slots);
    said->drain_s = (int64_t)(jobs->drain_s + .5);
    advice->boot_s = (int64_t)(jobs->moment.boot + .5);
    double paid = learned->surplus / (AUTOMATIC_PATIENCE * jobs->moment.boot);
    advice->surplus_per_cent = (int64_t)number_within(paid * 100, 0, 100);
    if (learned->surplus_since) advice->surplus_s = jobs->moment.now - learned->surplus_since;
}

/* Workers that are busy now: the result is never below that. */
static int busy_workers(const struct jobs *jobs) {
    if (jobs->working <= 0) return 0;
    if (!jobs->full) return 1;
    double slots = number_larger(jobs->slots, 1), workers = jobs->working / slots;
    int whole = (int)number_within(workers, 0, jobs->moment.ordered);
    return whole < workers - 1e-9 ? smaller(whole + 1, jobs->moment.ordered) : whole;
}

void jobs_observe(struct view *view, struct moment moment) {
    struct advice *advice = &view->advice;
    struct learned *learned = &view->memory->learned;
    const struct situation *now = &view->now;
    moment.boot =
        number_within(now->boot_mean_ms >= 0 ? (double)now->boot_mean_ms / 1000 : 25, 1, 3600);
    moment.known_age = (double)now->heard_age;
    struct jobs jobs = jobs_known(view, moment);
    jobs.moment.requests = MANY;
    jobs.moment.slow_share = jobs.oldest_s > jobs.goal_s ? 1 : 0;
    jobs.moment.served = jobs.start;
    jobs.moment.last_service = jobs.working > 0 && jobs.start > 0 ? jobs.working / jobs.start : 0;
    int need = right_number(view, &jobs, &advice->jobs);
    need = keep_last(view, &jobs, need, &advice->jobs);
    need = without_creeping(&jobs.moment, need);
    advice->need = within_ceiling(view, &jobs, need);
    advice->known = true;
    advice->wanted = patience_wanted(learned, &jobs.moment, advice->need);
    int busy = busy_workers(&jobs);
    advice->jobs.held = advice->wanted < moment.ordered && advice->wanted < busy;
    if (advice->jobs.held) advice->wanted = busy;
    learned->last_up = moment.up;
    describe(view, &jobs, advice);
}

/* ---- The decision --------------------------------------------------------------------------- */

static void add(struct view *view, struct outcome *outcome) {
    outcome->would = view->advice.wanted;
    outcome->to = smaller(outcome->would, view->ceiling);
    outcome->form = outcome->to > view->now.ordered ? SENTENCE_UP_JOBS : SENTENCE_HOLD_JOBS_MOST;
}

static void take(struct view *view, struct outcome *outcome) {
    outcome->would = larger(view->floor, view->advice.wanted);
    if (safety_keeps_dynos(view, outcome)) return;
    outcome->to = outcome->would;
    if (outcome->form != SENTENCE_DOWN_DRAINED) outcome->form = SENTENCE_DOWN_JOBS;
    if (!view->on) return;
    patience_taken(&view->memory->learned);
    if (outcome->to == 0) view->memory->job_zero_at = view->now.now;
}

void jobs_decide(struct view *view, struct outcome *outcome) {
    const struct advice *advice = &view->advice;
    int ordered = (int)view->now.ordered;
    if (advice->wanted > ordered) add(view, outcome);
    else if (advice->wanted < ordered && ordered > view->floor) take(view, outcome);
    else if (advice->limited == ADVICE_CEILING) outcome->form = SENTENCE_HOLD_JOBS_CEILING;
    else if (advice->jobs.held) outcome->form = SENTENCE_HOLD_JOBS_BUSY;
    else if (advice->need < ordered && ordered > view->floor)
        outcome->form = SENTENCE_HOLD_JOBS_SURPLUS;
    else if (advice->jobs.why == JOBS_LAST) outcome->form = SENTENCE_HOLD_JOBS_LAST;
    else outcome->form = SENTENCE_HOLD_JOBS_ENOUGH;
}
