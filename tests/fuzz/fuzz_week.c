/*
 * Which rule counts, and until when, against a scan of eight days, minute by minute.
 *
 * The input: a byte for the zone, four for the moment, one for how many rules; for each of them one
 * for its days, two for each of its times.
 */
#include "fuzz.h"

#include "rules/week.h"

enum { MOST_RULES = 6, EIGHT_DAYS = 8 * 86400 };

static const struct zone *some_zone(input *in) {
    static const char *const names[] = {"UTC",          "Europe/Berlin",       "America/New_York",
                                        "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Cairo",
                                        "Pacific/Apia", "America/Sao_Paulo"};
    const struct zone *zone = zone_find(names[take(in, 1) % 8]);
    REQUIRE(zone, "no database of zones");
    return zone;
}

static void some_rules(input *in, struct rule_process *process, struct rule *rules) {
    process->rule_count = 1 + (int)(take(in, 1) % MOST_RULES);
    process->rules = rules;
    for (int i = 0; i < process->rule_count; i++) {
        struct rule *rule = &rules[i];
        rule_defaults(rule);
        rule->always = i == process->rule_count - 1;
        if (rule->always) continue;
        rule->days = (uint8_t)(take(in, 1) & RULE_EVERY_DAY);
        if (rule->days == 0) rule->days = 1;
        rule->from_minute = (int)(take(in, 2) % 1440);
        rule->to_minute = (int)(take(in, 2) % 1440);
    }
}

void fuzz_week(const uint8_t *data, size_t size) {
    input in = {data, size};
    struct rule rules[MOST_RULES];
    struct rule_process process = {0};
    const struct zone *zone = some_zone(&in);
    int64_t begin = (int64_t)take(&in, 4) % 2145916800; /* from 1970 to 2037 */
    some_rules(&in, &process, rules);
    int now = week_rule(&process, zone, begin);
    int64_t until = week_until(&process, zone, begin);
    REQUIRE(now == process.rule_count - 1 || week_active(&rules[now], zone, begin), "%d", now);
    for (int i = 0; i < now; i++) REQUIRE(!week_active(&rules[i], zone, begin), "%d above", i);
    for (int64_t t = begin - begin % 60 + 60; t <= begin + EIGHT_DAYS; t += 60) {
        if (week_rule(&process, zone, t) == now) continue;
        /* A change of the clock may be within a minute, in zones of long ago. */
        REQUIRE(until <= t && until > t - 60, "until %lld, not %lld", (long long)until,
                (long long)t);
        REQUIRE(week_rule(&process, zone, until) != now, "%d", now);
        REQUIRE(week_rule(&process, zone, until - 1) == now, "%d", now);
        return;
    }
    REQUIRE(until == INT64_MAX, "%lld", (long long)until);
}

FUZZ(fuzz_week)
