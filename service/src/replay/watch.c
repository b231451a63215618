#include "replay/watch.h"

#include <string.h>

enum { REPORT_S = 10, KNOWN_AGE_S = 3 };

struct watch_tick *watch_next(struct watch *watch) {
    struct watch_tick *tick = &watch->ring[watch->count++ % WATCH_TICKS];
    memset(tick, 0, sizeof *tick);
    return tick;
}

static const struct watch_tick *ago(const struct watch *watch, int ticks) {
    return ticks < watch->count && ticks < WATCH_TICKS
               ? &watch->ring[(watch->count - 1 - ticks) % WATCH_TICKS]
               : NULL;
}

static int64_t whole(double x) { return (int64_t)(x + .5); }

/* ---- The rule's statistic ------------------------------------------------------------------- */

static void tell_statistic(const struct watch *watch, const struct rule *rule,
                           struct situation *situation) {
    struct waits window = {0};
    double left = (double)rule->window_s / watch->tick_s;
    for (int i = 0; left > 0; i++, left -= 1) {
        const struct watch_tick *tick = ago(watch, i);
        if (!tick) break;
        waits_sum(&window, &tick->waits, left < 1 ? left : 1);
    }
    int64_t limit_ms = rule->method == RULE_AUTOMATIC ? rule->goal_ms : rule->up.threshold_ms;
    double value_ms = waits_value(&window, rule->statistic);
    situation->value_ms = value_ms < 0 ? -1 : whole(value_ms);
    situation->samples = whole(window.requests);
    situation->samples_above = whole(waits_above(&window, (double)limit_ms));
}

/* ---- The automatic method's sums ------------------------------------------------------------ */

struct sums {
    double seconds, arrived, began, slow, wait_s, busy_s, dyno_s;
};

/* Of the seconds that ended `from_ago` to `to_ago` s before now; ticks are spread evenly. */
static struct sums sum_of(const struct watch *watch, const struct rule *rule, double from_ago,
                          double to_ago) {
    struct sums sums = {0};
    for (int i = 0; i * watch->tick_s < from_ago; i++) {
        const struct watch_tick *tick = ago(watch, i);
        if (!tick) break;
        double low = i * watch->tick_s, high = low + watch->tick_s;
        if (low < to_ago) low = to_ago;
        if (high > from_ago) high = from_ago;
        double part = (high - low) / watch->tick_s;
        if (part <= 0 || !tick->heard) continue;
        sums.seconds += high - low;
        sums.arrived += part * tick->arrived;
        sums.began += part * tick->began;
        sums.slow += part * waits_above(&tick->waits, (double)rule->goal_ms);
        sums.wait_s += part * tick->waits.wait_s;
        sums.busy_s += part * tick->began * tick->service_s;
        sums.dyno_s += (high - low) * tick->up;
    }
    return sums;
}

static int64_t rate(double count, double seconds) {
    return seconds > 0 ? whole(1000 * count / seconds) : -1;
}

static bool was_steady(const struct watch *watch) {
    int low = 1 << 30, high = 0;
    for (int i = 0; i * watch->tick_s < 45; i++) {
        const struct watch_tick *tick = ago(watch, i);
        if (!tick) return false;
        if (tick->up < low) low = tick->up;
        if (tick->up > high) high = tick->up;
    }
    return high > 0 && 4 * low >= 3 * high;
}

static void tell_sums(const struct watch *watch, const struct rule *rule, bool busy_known,
                      struct situation *situation) {
    struct sums rates = sum_of(watch, rule, 15, 0), last = sum_of(watch, rule, 10, 0);
    struct sums both = sum_of(watch, rule, 20, 0), past = sum_of(watch, rule, 70, 60);
    struct sums learn = sum_of(watch, rule, 45, 15);
    if (last.dyno_s < 1) return;
    situation->known_age = KNOWN_AGE_S;
    situation->arrive_rate = rate(rates.arrived, rates.seconds);
    situation->begin_rate = rate(rates.began, rates.seconds);
    situation->serve_rate = rate(both.began, both.seconds);
    situation->last_requests = whole(last.began);
    situation->last_slow = whole(last.slow);
    situation->last_wait_ms = whole(1000 * last.wait_s);
    situation->last_busy_ms = busy_known ? whole(1000 * last.busy_s) : 0;
    situation->last_dyno_s = whole(last.dyno_s);
    situation->both_requests = whole(both.began);
    situation->both_slow = whole(both.slow);
    situation->both_busy_ms = busy_known ? whole(1000 * both.busy_s) : 0;
    situation->past_requests = whole(past.began);
    situation->past_wait_ms = whole(1000 * past.wait_s);
    situation->learn_requests = whole(learn.began);
    situation->learn_slow = whole(learn.slow);
    situation->learn_wait_ms = whole(1000 * learn.wait_s);
    situation->learn_dyno_s = whole(learn.dyno_s);
    situation->learn_steady = was_steady(watch);
}

void watch_tell(const struct watch *watch, const struct rule *rule, bool busy_known,
                struct situation *situation) {
    int silent = 0;
    for (const struct watch_tick *tick; (tick = ago(watch, silent)) && !tick->heard;) silent++;
    situation->report_s = REPORT_S;
    situation->heard_age = ago(watch, silent) ? silent * watch->tick_s : -1;
    if (situation->heard_age >= 0) situation->heard_age++;
    tell_statistic(watch, rule, situation);
    if (rule->method == RULE_AUTOMATIC) tell_sums(watch, rule, busy_known, situation);
}
