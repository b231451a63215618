/* What is known of the jobs, and what has been learned of a worker. */
#include "decide/automatic/jobs.h"
#include "decide/automatic/number.h"
#include "decide/view.h"

static const double STARTS_HALF_LIFE_S = 300, BUSY_HALF_LIFE_S = 120;
static const double UNUSUAL = 3; /* standard deviations */
static const double CHANGES_HALF_LIFE_S = 1800, NEW_SLOTS = .3;
static const double THOUSAND = 1000, USUAL_KEEP_MIN = 25;
enum { MINUTE_S = 60, MOST_TIMES = 32, LOAD_KEPT_S = 600, FEW_STARTS = 2, FEW_WORKED = 60 };

static int64_t whole(double x) { return (int64_t)number_within(x * THOUSAND + .5, 0, 1e12); }

/* Whether the workers are the same as at the previous tick: then they do the same work. */
static bool is_steady(const struct view *view, const struct jobs *jobs) {
    return jobs->moment.up > 0 && jobs->moment.up == view->memory->learned.last_up;
}

/* While workers come up, their average number counts. The jobs that a new one begins at once do not
 * show its speed. */
static void learn_rate(struct memory *memory, const struct jobs *jobs) {
    double keep = automatic_fading(jobs->moment.tick_s, STARTS_HALF_LIFE_S);
    double starts = (double)memory->job_starts * keep / THOUSAND;
    double seconds = (double)memory->job_worker_s * keep / THOUSAND;
    double last = (double)memory->learned.last_up, up = jobs->moment.up;
    double slots = (double)memory->job_slots / THOUSAND;
    double begun = jobs->start * jobs->moment.tick_s - number_larger(0, up - last) * slots;
    memory->job_starts = whole(starts + number_larger(0, begun));
    memory->job_worker_s = whole(seconds + (last + up) / 2 * jobs->moment.tick_s);
}

/* While jobs wait, all slots are busy; otherwise there are at least as many as are busy. */
static void learn_slots(struct memory *memory, const struct jobs *jobs) {
    double slots = (double)memory->job_slots / THOUSAND, seen = jobs->working / jobs->moment.up;
    if (jobs->queued && memory->job_full) slots += NEW_SLOTS * (seen - slots);
    else if (jobs->queued || seen > slots) slots = seen;
    if (jobs->queued) memory->job_full = 1;
    memory->job_slots = whole(slots);
}

/* Learns how long a job takes while none waits. The number of independent jobs has a variance equal
 * to its mean, and changes more from tick to tick the fewer of the jobs are still the same. */
static void learn_changes(struct memory *memory, const struct jobs *jobs) {
    double keep = automatic_fading(jobs->moment.tick_s, CHANGES_HALF_LIFE_S);
    double change = jobs->working - (double)memory->job_last;
    memory->job_worked = whole((double)memory->job_worked * keep / THOUSAND + jobs->working);
    memory->job_changes =
        whole((double)memory->job_changes * keep / THOUSAND + change * change / 2);
}

static void learn(struct view *view, const struct jobs *jobs) {
    struct memory *memory = view->memory;
    bool steady = is_steady(view, jobs);
    bool seen = jobs->moment.up > 0 && memory->learned.last_up > 0;
    if (seen && jobs->queued && jobs->start >= 0) learn_rate(memory, jobs);
    if (steady && jobs->working > 0) learn_slots(memory, jobs);
    if (steady && jobs->oldest_s <= 0 && jobs->working >= 0 && memory->job_last >= 0)
        learn_changes(memory, jobs);
    memory->job_last = (int64_t)jobs->working;
}

/* Averages over minutes, since the number fluctuates, unless it has clearly changed. */
static void take_busy(struct memory *memory, const struct jobs *jobs) {
    if (jobs->working < 0) {
        memory->job_busy = -1;
        return;
    }
    double keep = automatic_fading(jobs->moment.tick_s, BUSY_HALF_LIFE_S);
    double before = memory->job_busy < 0 ? jobs->working : (double)memory->job_busy / THOUSAND;
    double change = jobs->working - before;
    bool other = change * change > UNUSUAL * UNUSUAL * (before + 1);
    memory->job_busy = whole(other ? jobs->working : before * keep + jobs->working * (1 - keep));
}

/* The load in workers: while jobs wait, by how many come; else by how many are being worked on;
 * else as when jobs last waited. */
static double load_of(struct memory *memory, const struct jobs *jobs) {
    double load = -1;
    if (jobs->queued && jobs->arrive >= 0 && jobs->rate > 0) load = jobs->arrive / jobs->rate;
    else if (memory->job_busy >= 0 && jobs->slots > 0)
        load = (double)memory->job_busy / THOUSAND / jobs->slots;
    if (load >= 0) {
        memory->job_load = whole(load);
        memory->job_load_at = jobs->moment.now;
        return load;
    }
    bool old = !memory->job_load_at || jobs->moment.now - memory->job_load_at > LOAD_KEPT_S;
    return old ? -1 : (double)memory->job_load / THOUSAND;
}

static void take_readings(struct jobs *jobs, const struct situation *now) {
    jobs->waiting = (double)now->jobs_waiting;
    jobs->working = (double)now->jobs_running;
    jobs->oldest_s = now->oldest_ms > 0 ? (double)now->oldest_ms / THOUSAND : 0;
    double apart = now->oldest_apart_s > 0 ? (double)now->oldest_apart_s : jobs->moment.tick_s;
    if (now->oldest_past_ms >= 0 && now->oldest_apart_s > 0)
        jobs->grows = (jobs->oldest_s - (double)now->oldest_past_ms / THOUSAND) / apart;
    jobs->queued = jobs->oldest_s >= apart && jobs->waiting != 0;
    jobs->arrive = now->jobs_arrive < 0 ? -1 : (double)now->jobs_arrive / THOUSAND;
    jobs->start = now->jobs_start < 0 ? -1 : (double)now->jobs_start / THOUSAND;
}

static void take_learned(struct jobs *jobs, const struct memory *memory) {
    if (memory->job_worker_s > 0 && memory->job_starts >= FEW_STARTS * (int64_t)THOUSAND)
        jobs->rate = (double)memory->job_starts / (double)memory->job_worker_s;
    jobs->slots = (double)memory->job_slots / THOUSAND;
    jobs->full = memory->job_full != 0;
    double worked = (double)memory->job_worked / THOUSAND;
    jobs->job_s = jobs->goal_s;
    if (jobs->rate > 0 && jobs->slots > 0) jobs->job_s = jobs->slots / jobs->rate;
    else if (worked >= FEW_WORKED) {
        double others = (double)memory->job_changes / THOUSAND / worked;
        jobs->job_s = -jobs->moment.tick_s / number_log(1 - number_within(others, .001, .95));
    }
}

/* How many minutes the last worker stays without a job: while it is there, new jobs begin at
 * once. */
static double keep_of(enum rule_care care) {
    return care == RULE_LEAN ? 10 : care == RULE_STRICT ? 60 : USUAL_KEEP_MIN;
}

/* The last worker stays for a while. If running jobs are not reported, it may look idle while it
 * works: then jobs come soon after it is gone, and next time it stays twice as long. */
static void see_jobs(struct memory *memory, const struct jobs *jobs) {
    const struct moment *moment = &jobs->moment;
    int64_t usual = (int64_t)jobs->keep_min * MINUTE_S, most = MOST_TIMES * usual;
    bool idle = jobs->oldest_s <= 0 && jobs->waiting <= 0 && jobs->working <= 0;
    if (!idle && memory->job_zero_at && moment->ordered == 0) {
        bool soon = moment->now - memory->job_zero_at < usual;
        int64_t keep = memory->job_keep_s > usual ? memory->job_keep_s : usual;
        memory->job_keep_s = jobs->working >= 0 ? 0 : soon ? 2 * keep : keep / 2;
        if (memory->job_keep_s > most) memory->job_keep_s = most;
        memory->job_zero_at = 0;
    }
    if (!idle || !memory->job_seen) memory->job_seen = moment->now;
}

struct jobs jobs_known(struct view *view, struct moment moment) {
    struct jobs jobs = {.moment = moment};
    struct memory *memory = view->memory;
    jobs.goal_s = (double)view->rule->goal_ms / THOUSAND;
    jobs.share = moment.goal;
    jobs.keep_min = keep_of(view->rule->care);
    jobs.drain_s = number_larger(jobs.goal_s * USUAL_KEEP_MIN / jobs.keep_min, 1);
    take_readings(&jobs, &view->now);
    learn(view, &jobs);
    take_busy(memory, &jobs);
    take_learned(&jobs, memory);
    jobs.load = load_of(memory, &jobs);
    see_jobs(memory, &jobs);
    double since = moment.last_added ? (double)(moment.now - moment.last_added) : moment.boot;
    jobs.coming_s = number_within(moment.boot - since, 0, moment.boot);
    if (moment.up < moment.ordered && jobs.coming_s < moment.tick_s) jobs.coming_s = moment.tick_s;
    return jobs;
}
