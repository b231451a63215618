#include "replay/jobs_past.h"

#include <math.h>

enum { MINUTE_S = 60, LONGEST_S = 60, HEARD_S = 60, FEW_STARTS = 5, FEW_WORKED = 60 };
static const double RARE =
    .3; /* up to so few expected ends per tick, jobs are counted one by one */
static const double SMOOTHED = 2; /* minutes on either side that are averaged */
static const double USUAL_JOB_S = 10;
static const double LEAST_DOUBT = .03, MOST_DOUBT = .3;

/* ---- Ticks ---------------------------------------------------------------------------------- */

struct reading {
    double waiting, working, up, start; /* start: jobs that begin per second; -1: unknown */
    bool queued;
};

/* Where no job waits, their number need not be reported. */
static bool read_tick(const struct situation *now, struct reading *reading) {
    if (now->heard_age < 0 || now->heard_age > HEARD_S || now->value_ms < 0) return false;
    bool none = now->value_ms == 0 && now->oldest_ms <= 0;
    reading->waiting = now->jobs_waiting >= 0 ? (double)now->jobs_waiting : none ? 0 : -1;
    reading->working = (double)now->jobs_running;
    reading->up = now->up >= 0 ? (double)now->up : (double)now->ordered;
    reading->start = now->jobs_start < 0 ? -1 : (double)now->jobs_start / 1000;
    int64_t apart_s = now->oldest_apart_s > 0 ? now->oldest_apart_s : now->tick_s;
    reading->queued = now->jobs_waiting > 0 && now->oldest_ms >= 1000 * apart_s;
    return reading->waiting >= 0 && reading->working >= 0;
}

static void learn(struct jobs_past *past, const struct reading *reading, double seconds) {
    bool steady = reading->up > .5 && reading->up == past->last_up;
    if (!steady) return;
    double slots = reading->working / reading->up, change = reading->working - past->last_working;
    if (slots > past->most_slots) past->most_slots = slots;
    if (reading->queued && reading->start >= 0) {
        past->worker_s += reading->up * seconds;
        past->starts += reading->start * seconds;
        past->slot_s += reading->working * seconds;
        past->queued_ticks++;
    } else if (reading->waiting <= 0 && past->last_waiting <= 0) {
        past->worked += reading->working;
        past->changes += change * change / 2;
        past->tick_sum += seconds;
        past->ticks++;
    }
}

static void add(struct jobs_past *past, int place, const struct situation *now,
                const struct reading *reading, double seconds) {
    struct jobs_seen *seen = &past->seen[place];
    double longer = reading->waiting - past->last_waiting;
    double more = longer + reading->working - past->last_working;
    seen->known_s += seconds;
    seen->worked_s += (reading->working + past->last_working) / 2 * seconds;
    seen->more += more;
    seen->risen += more > 0 ? more : 0;
    seen->longer += longer;
    if (reading->queued) seen->queued_s += seconds;
    if (now->oldest_ms > past->history->slow_ms) seen->late_s += seconds;
    if ((double)now->oldest_ms > seen->oldest_ms) seen->oldest_ms = (double)now->oldest_ms;
}

void jobs_past_tick(struct jobs_past *past, const struct situation *now) {
    struct reading reading;
    int64_t place = (now->now - past->history->from_s) / MINUTE_S;
    past->heard = past->heard || now->value_ms >= 0;
    past->working_known = past->working_known || now->jobs_running >= 0;
    bool inside = now->now >= past->history->from_s && place < past->history->count;
    if (!inside || !read_tick(now, &reading)) {
        past->last_s = 0;
        return;
    }
    double seconds = (double)(now->now - past->last_s);
    if (past->last_s && seconds > 0 && seconds <= LONGEST_S) {
        learn(past, &reading, seconds);
        add(past, (int)place, now, &reading, seconds);
    }
    past->last_s = now->now;
    past->last_waiting = reading.waiting;
    past->last_working = reading.working;
    past->last_up = reading.up;
}

/* ---- A worker ------------------------------------------------------------------------------- */

/* How long a job takes: from how fast jobs began while some waited, or from how much the number at
 * work changed while none did. With hardly any job, a guess. */
static double job_of(const struct jobs_past *past) {
    if (past->starts >= FEW_STARTS) return past->slot_s / past->starts;
    if (past->worked < FEW_WORKED || past->ticks < 1) return USUAL_JOB_S;
    double others = past->changes / past->worked;
    others = others < .001 ? .001 : others > .95 ? .95 : others;
    return -past->tick_sum / past->ticks / log(1 - others);
}

static bool fit(const struct jobs_past *past, struct capacity *capacity) {
    bool queued = past->starts >= FEW_STARTS;
    double slots = queued ? past->slot_s / past->worker_s : ceil(past->most_slots);
    *capacity = (struct capacity){.slots = slots < 1 ? 1 : (int)(slots + .5),
                                  .shared = true,
                                  .busy_known = true,
                                  .service_s = job_of(past),
                                  .scale = 1,
                                  .smooth = 1,
                                  .clustering = 1,
                                  .any = past->working_known,
                                  .learned = queued,
                                  .doubt = MOST_DOUBT};
    if (queued) capacity->doubt = LEAST_DOUBT + .5 / sqrt(past->queued_ticks);
    if (capacity->doubt > MOST_DOUBT) capacity->doubt = MOST_DOUBT;
    return past->working_known;
}

/* ---- Minutes -------------------------------------------------------------------------------- */

static bool is_quiet(const struct jobs_seen *seen) {
    return seen->known_s > 0 && seen->queued_s <= 0;
}

/* The average number of busy slots. If no job waits, over the neighbouring minutes too, since the
 * number fluctuates. */
static double working_of(const struct jobs_past *past, int minute) {
    double worked = 0, known = 0;
    bool quiet = is_quiet(&past->seen[minute]);
    for (int i = minute - (int)SMOOTHED; i <= minute + (int)SMOOTHED; i++) {
        if (i < 0 || i >= past->history->count) continue;
        if (i != minute && !(quiet && is_quiet(&past->seen[i]))) continue;
        worked += past->seen[i].worked_s;
        known += past->seen[i].known_s;
    }
    return known > 0 ? worked / known : 0;
}

struct flow {
    double job_s, tick_s;
    double times; /* jobs that came, per job that was seen to begin */
};

static bool is_rare(const struct flow *flow, double working) {
    return working * flow->tick_s / flow->job_s < RARE;
}

/* Rare, long jobs are seen one by one, except those that begin in the same moment in which another
 * ends. Together they must add up to the work that was done. */
static void count_unseen(const struct jobs_past *past, struct flow *flow) {
    double came = 0, seen = 0;
    for (int i = 0; i < past->history->count; i++) {
        const struct jobs_seen *minute = &past->seen[i];
        if (minute->known_s <= 0 || !is_rare(flow, working_of(past, i))) continue;
        came += minute->worked_s / flow->job_s + minute->more;
        seen += minute->risen;
    }
    flow->times = seen > 0 ? came / seen : 1;
    flow->times = flow->times < .5 ? .5 : flow->times > 3 ? 3 : flow->times;
}

static double came_in(const struct jobs_past *past, const struct flow *flow, int minute) {
    const struct jobs_seen *seen = &past->seen[minute];
    double working = working_of(past, minute);
    if (is_rare(flow, working)) return seen->risen * flow->times;
    return seen->more + working * seen->known_s / flow->job_s;
}

bool jobs_past_end(struct jobs_past *past, struct capacity *capacity) {
    struct history *history = past->history;
    if (!fit(past, capacity)) return false;
    struct flow flow = {.job_s = capacity->service_s, .tick_s = 10};
    if (past->ticks > 0) flow.tick_s = past->tick_sum / past->ticks;
    count_unseen(past, &flow);
    double less = 0; /* less than none, by chance: subtracted from the next minutes */
    for (int i = 0; i < history->count; i++) {
        const struct jobs_seen *seen = &past->seen[i];
        struct history_minute *minute = &history->minutes[i];
        minute->known = seen->known_s > 0;
        if (!minute->known) continue;
        double came = came_in(past, &flow, i) - less;
        less = came < 0 ? -came : 0;
        minute->came = came < 0 ? 0 : came;
        minute->requests = minute->came > seen->longer ? minute->came - seen->longer : 0;
        /* If no job began, a waiting one counts. */
        if (minute->requests < 1 && seen->late_s > 0) minute->requests = 1;
        minute->above[HISTORY_SLOW] = minute->requests * seen->late_s / seen->known_s;
        minute->busy_s = seen->worked_s;
        minute->p95_ms = seen->oldest_ms;
        double rate = minute->up > .5 ? minute->came / MINUTE_S / minute->up : 0;
        if (rate > capacity->highest) capacity->highest = rate;
    }
    return true;
}
