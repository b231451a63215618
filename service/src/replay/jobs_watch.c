#include "replay/jobs_watch.h"

enum { REPORT_S = 10 };

void jobs_watch_read(struct jobs_watch *watch, int64_t now_s, const struct jobs_queue *queue,
                     bool heard) {
    struct jobs_watched *tick = &watch->ring[watch->count++ % JOBS_WATCH_TICKS];
    tick->heard = heard;
    tick->working = (int64_t)(queue->working + .5);
    tick->reading = (struct jobs_reading){.at_s = now_s,
                                          .waiting = (int64_t)(queue->waiting + queue->again + .5),
                                          .oldest_ms = (int64_t)(queue->oldest_s * 1000 + .5)};
}

static const struct jobs_watched *ago(const struct jobs_watch *watch, int ticks) {
    return ticks < watch->count && ticks < JOBS_WATCH_TICKS
               ? &watch->ring[(watch->count - 1 - ticks) % JOBS_WATCH_TICKS]
               : NULL;
}

/* Readings of the last seconds that were heard, the newest first. */
static int readings_of(const struct jobs_watch *watch, int seconds, int64_t *oldest_ms) {
    int count = 0;
    for (int i = 0; i * watch->tick_s < seconds; i++) {
        const struct jobs_watched *tick = ago(watch, i);
        if (tick && tick->heard) oldest_ms[count++] = tick->reading.oldest_ms;
    }
    return count;
}

static void sort(int64_t *values, int count) {
    for (int i = 1; i < count; i++) {
        int64_t value = values[i];
        int to = i;
        for (; to > 0 && values[to - 1] > value; to--) values[to] = values[to - 1];
        values[to] = value;
    }
}

static int64_t statistic_of(const int64_t *rising, int count, enum rule_statistic statistic) {
    static const int per_mille[] = {
        [RULE_P50] = 500, [RULE_P75] = 750, [RULE_P90] = 900, [RULE_P95] = 950, [RULE_P99] = 990};
    int64_t sum = 0;
    for (int i = 0; i < count; i++) sum += rising[i];
    if (statistic == RULE_MEAN) return sum / count;
    return rising[(count * per_mille[statistic] + 999) / 1000 - 1];
}

static void tell_statistic(const struct jobs_watch *watch, const struct rule *rule,
                           struct situation *situation) {
    int64_t oldest_ms[JOBS_WATCH_TICKS];
    int64_t limit_ms = rule->method == RULE_AUTOMATIC ? rule->goal_ms : rule->up.threshold_ms;
    int count = readings_of(watch, rule->window_s, oldest_ms);
    if (count == 0) return;
    sort(oldest_ms, count);
    situation->value_ms = statistic_of(oldest_ms, count, rule->statistic);
    situation->samples = count;
    for (int i = 0; i < count; i++) situation->samples_above += oldest_ms[i] > limit_ms;
}

static void tell_flow(const struct jobs_watch *watch, struct situation *situation) {
    struct jobs_reading readings[JOBS_READINGS];
    size_t count = 0;
    int ticks = JOBS_CURVE_S / watch->tick_s;
    for (int i = ticks - 1; i >= 0; i--) {
        const struct jobs_watched *tick = ago(watch, i);
        if (tick && tick->heard) readings[count++] = tick->reading;
    }
    struct jobs_flow flow = jobs_flow(readings, count);
    situation->jobs_arrive = flow.arrive;
    situation->jobs_start = flow.start;
}

void jobs_watch_tell(const struct jobs_watch *watch, const struct rule *rule,
                     struct situation *situation) {
    const struct jobs_watched *newest = ago(watch, 0), *before = ago(watch, 1);
    int silent = 0;
    for (const struct jobs_watched *tick; (tick = ago(watch, silent)) && !tick->heard;) silent++;
    situation->jobs = 1;
    situation->report_s = REPORT_S;
    situation->heard_age = ago(watch, silent) ? silent * watch->tick_s + 1 : -1;
    if (!newest || !newest->heard) return;
    tell_statistic(watch, rule, situation);
    situation->jobs_running = newest->working;
    situation->jobs_waiting = newest->reading.waiting;
    situation->oldest_ms = newest->reading.oldest_ms;
    if (before && before->heard) {
        situation->oldest_past_ms = before->reading.oldest_ms;
        situation->oldest_apart_s = watch->tick_s;
    }
    tell_flow(watch, situation);
}
