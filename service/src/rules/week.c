#include "rules/week.h"

enum { MINUTES_A_DAY = 1440, LOOK_AHEAD_S = 8 * 86400 };

static bool has_day(const struct rule *rule, int weekday) { return rule->days >> weekday & 1; }

static bool is_active(const struct rule *rule, const struct zone_time *time) {
    int minute = time->second / 60, today = time->weekday, yesterday = (today + 6) % 7;
    if (rule->always) return true;
    if (rule->from_minute == rule->to_minute) return has_day(rule, today);
    if (rule->from_minute < rule->to_minute)
        return has_day(rule, today) && minute >= rule->from_minute && minute < rule->to_minute;
    if (minute >= rule->from_minute) return has_day(rule, today);
    return minute < rule->to_minute && has_day(rule, yesterday);
}

bool week_active(const struct rule *rule, const struct zone *zone, int64_t epoch_s) {
    struct zone_time time = zone_time(zone, epoch_s);
    return is_active(rule, &time);
}

static int topmost(const struct rule_process *process, const struct zone_time *time) {
    for (int i = 0; i < process->rule_count; i++)
        if (is_active(&process->rules[i], time)) return i;
    return process->rule_count - 1;
}

int week_rule(const struct rule_process *process, const struct zone *zone, int64_t epoch_s) {
    struct zone_time time = zone_time(zone, epoch_s);
    return topmost(process, &time);
}

/* Seconds from a time of day to the next border of a rule, or to midnight. */
static int to_border(const struct rule_process *process, int second) {
    int nearest = 86400;
    for (int i = 0; i < process->rule_count; i++) {
        const struct rule *rule = &process->rules[i];
        const int borders[] = {rule->from_minute * 60, rule->to_minute * 60};
        for (int j = 0; j < 2; j++)
            if (borders[j] > second && borders[j] < nearest) nearest = borders[j];
    }
    return nearest - second;
}

/* Between two moments at which a rule may begin or end (its borders, midnight, a change of the
 * clock) the same rule applies, so only those moments are tried. */
int64_t week_until(const struct rule_process *process, const struct zone *zone, int64_t epoch_s) {
    if (epoch_s > INT64_MAX - LOOK_AHEAD_S) return INT64_MAX;
    int64_t end = epoch_s + LOOK_AHEAD_S, change = epoch_s;
    struct zone_time time = zone_time(zone, epoch_s);
    int now = topmost(process, &time);
    while (epoch_s < end) {
        if (change <= epoch_s) change = zone_next_change(zone, epoch_s, end);
        int64_t border = epoch_s + to_border(process, time.second);
        epoch_s = border < change ? border : change;
        time = zone_time(zone, epoch_s);
        if (topmost(process, &time) != now) return epoch_s <= end ? epoch_s : INT64_MAX;
    }
    return INT64_MAX;
}
