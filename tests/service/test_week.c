/*
 * Which rule counts when: cases worked out by hand, and a search against a table of the week's
 * minutes that is read with the C library's clock, minute by minute.
 */
#define _GNU_SOURCE
#include "../core/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rules/week.h"
#include "support/random.h"

enum { MON = 1, TUE = 2, WED = 4, THU = 8, FRI = 16, SAT = 32, SUN = 64, DAY_S = 86400 };

static struct rule timed(int days, int from, int to) {
    struct rule rule;
    rule_defaults(&rule);
    rule.always = false;
    rule.days = (uint8_t)days;
    rule.from_minute = from;
    rule.to_minute = to;
    return rule;
}

static struct rule always(void) {
    struct rule rule;
    rule_defaults(&rule);
    return rule;
}

static int at(int hour, int minute) { return hour * 60 + minute; }

static void use_zone(const char *name) {
    setenv("TZ", name, 1);
    tzset();
}

/* The moment of a wall clock in the zone in use; where there are two, the first. */
static int64_t moment(int year, int month, int day, int hour, int minute) {
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute,
                    .tm_isdst = -1};
    return (int64_t)mktime(&tm);
}

/* Minutes for which a rule is active in the day from noon before a date to noon of it and after. */
static int minutes_around(const char *zone, struct rule rule, int year, int month, int day) {
    use_zone(zone);
    int64_t begin = moment(year, month, day, 0, 0) - DAY_S / 2;
    int minutes = 0;
    for (int64_t t = begin; t < begin + 2 * DAY_S; t += 60)
        minutes += week_active(&rule, zone_find(zone), t);
    return minutes;
}

/* ---- By hand -------------------------------------------------------------------------------- */

static bool active(struct rule rule, int year, int month, int day, int hour, int minute) {
    use_zone("Europe/Berlin");
    return week_active(&rule, zone_find("Europe/Berlin"), moment(year, month, day, hour, minute));
}

static void a_rule_counts_from_its_first_minute_to_before_its_last(void **state) {
    (void)state;
    struct rule office = timed(MON | TUE | WED | THU | FRI, at(8, 0), at(20, 0));
    assert_false(active(office, 2026, 11, 30, 7, 59)); /* a Monday */
    assert_true(active(office, 2026, 11, 30, 8, 0));
    assert_true(active(office, 2026, 11, 30, 19, 59));
    assert_false(active(office, 2026, 11, 30, 20, 0));
    assert_true(active(office, 2026, 12, 4, 12, 0));  /* Friday */
    assert_false(active(office, 2026, 12, 5, 12, 0)); /* Saturday */
}

static void over_midnight_a_rule_belongs_to_the_day_it_begins_on(void **state) {
    (void)state;
    struct rule night = timed(MON, at(22, 0), at(6, 0));
    assert_false(active(night, 2026, 11, 30, 5, 59)); /* Monday morning is Sunday's night */
    assert_false(active(night, 2026, 11, 30, 21, 59));
    assert_true(active(night, 2026, 11, 30, 22, 0));
    assert_true(active(night, 2026, 12, 1, 0, 0));
    assert_true(active(night, 2026, 12, 1, 5, 59));
    assert_false(active(night, 2026, 12, 1, 6, 0));
    assert_false(active(night, 2026, 12, 1, 22, 0));
    struct rule sunday = timed(SUN, at(22, 0), at(6, 0)); /* over the end of the week */
    assert_true(active(sunday, 2026, 11, 30, 5, 59));
}

static void equal_times_are_the_whole_day(void **state) {
    (void)state;
    struct rule weekend = timed(SAT | SUN, 0, 0);
    assert_false(active(weekend, 2026, 12, 4, 23, 59));
    assert_true(active(weekend, 2026, 12, 5, 0, 0));
    assert_true(active(weekend, 2026, 12, 6, 23, 59));
    assert_false(active(weekend, 2026, 12, 7, 0, 0));
    assert_true(active(timed(SAT, at(8, 0), at(8, 0)), 2026, 12, 5, 0, 0));
}

static void to_midnight_is_the_end_of_the_day(void **state) {
    (void)state;
    struct rule evening = timed(SAT, at(18, 0), 0);
    assert_true(active(evening, 2026, 12, 5, 23, 59));
    assert_false(active(evening, 2026, 12, 6, 0, 0));
}

static void an_hour_that_the_clock_skips_is_not_there(void **state) {
    (void)state;
    assert_int_equal(minutes_around("Europe/Berlin", timed(SUN, 120, 180), 2026, 3, 29), 0);
    assert_int_equal(minutes_around("Europe/Berlin", timed(SUN, 60, 240), 2026, 3, 29), 120);
    assert_int_equal(minutes_around("America/New_York", timed(SUN, 120, 180), 2026, 3, 8), 0);
    assert_int_equal(minutes_around("Australia/Lord_Howe", timed(SUN, 120, 150), 2026, 10, 4), 0);
    assert_int_equal(minutes_around("Australia/Lord_Howe", timed(SUN, 120, 180), 2026, 10, 4), 30);
    assert_int_equal(minutes_around("Africa/Cairo", timed(FRI, 0, 60), 2026, 4, 24), 0);
    assert_int_equal(minutes_around("America/Sao_Paulo", timed(SUN, 0, 60), 2018, 11, 4), 0);
    assert_int_equal(minutes_around("Asia/Kolkata", timed(SUN, 120, 180), 2026, 3, 29), 60);
}

static void an_hour_that_the_clock_repeats_counts_twice(void **state) {
    (void)state;
    assert_int_equal(minutes_around("Europe/Berlin", timed(SUN, 120, 180), 2026, 10, 25), 120);
    assert_int_equal(minutes_around("America/New_York", timed(SUN, 60, 120), 2026, 11, 1), 120);
    assert_int_equal(minutes_around("Australia/Lord_Howe", timed(SUN, 90, 120), 2026, 4, 5), 60);
    assert_int_equal(minutes_around("Africa/Cairo", timed(THU, 1380, 0), 2026, 10, 30), 120);
    assert_int_equal(minutes_around("America/Sao_Paulo", timed(SAT, 1380, 0), 2018, 2, 18), 120);
    assert_int_equal(minutes_around("Asia/Kolkata", timed(SUN, 120, 180), 2026, 10, 25), 60);
}

static void a_night_over_a_change_of_the_clock_is_an_hour_shorter_or_longer(void **state) {
    (void)state;
    struct rule night = timed(SAT, at(22, 0), at(6, 0));
    assert_int_equal(minutes_around("Europe/Berlin", night, 2026, 3, 29), 7 * 60);
    assert_int_equal(minutes_around("Europe/Berlin", night, 2026, 10, 25), 9 * 60);
    assert_int_equal(minutes_around("Australia/Lord_Howe", night, 2026, 10, 4), 7 * 60 + 30);
    assert_int_equal(minutes_around("Australia/Lord_Howe", night, 2026, 4, 5), 8 * 60 + 30);
    assert_int_equal(minutes_around("Asia/Kolkata", night, 2026, 3, 29), 8 * 60);
}

/* ---- Which of them -------------------------------------------------------------------------- */

static void the_topmost_active_rule_counts(void **state) {
    (void)state;
    const struct zone *zone = zone_find("UTC");
    use_zone("UTC");
    struct rule rules[] = {timed(MON, at(12, 0), at(14, 0)), timed(MON, at(8, 0), at(20, 0)),
                           always()};
    struct rule_process process = {.rule_count = 3, .rules = rules};
    int64_t monday = moment(2026, 11, 30, 0, 0);
    assert_int_equal(week_rule(&process, zone, monday + 7 * 3600), 2);
    assert_int_equal(week_rule(&process, zone, monday + 8 * 3600), 1);
    assert_int_equal(week_rule(&process, zone, monday + 12 * 3600), 0);
    assert_int_equal(week_rule(&process, zone, monday + 14 * 3600), 1);
    assert_int_equal(week_until(&process, zone, monday + 8 * 3600), monday + 12 * 3600);
    struct rule other = rules[0]; /* with the arrows: the long one above the short one */
    rules[0] = rules[1];
    rules[1] = other;
    assert_int_equal(week_rule(&process, zone, monday + 12 * 3600), 0);
    assert_int_equal(week_until(&process, zone, monday + 8 * 3600), monday + 20 * 3600);
}

static void a_rule_that_counts_for_ever_has_no_end(void **state) {
    (void)state;
    struct rule rules[] = {timed(127, 0, 0), always()};
    struct rule_process whole = {.rule_count = 2, .rules = rules};
    struct rule_process one = {.rule_count = 1, .rules = rules + 1};
    const struct zone *zone = zone_find("Europe/Berlin");
    assert_int_equal(week_rule(&whole, zone, 1774700000), 0);
    assert_true(week_until(&whole, zone, 1774700000) == INT64_MAX);
    assert_true(week_until(&one, zone, 1774700000) == INT64_MAX);
    assert_true(week_until(&whole, zone, INT64_MAX - 5) == INT64_MAX);
}

static void the_end_of_a_rule_of_once_a_week_is_found(void **state) {
    (void)state;
    use_zone("Europe/Berlin");
    struct rule rules[] = {timed(SUN, at(2, 30), at(2, 31)), always()};
    struct rule_process process = {.rule_count = 2, .rules = rules};
    const struct zone *zone = zone_find("Europe/Berlin");
    int64_t begin = moment(2026, 11, 29, 2, 30);
    assert_int_equal(week_until(&process, zone, begin - 1), begin);
    assert_int_equal(week_until(&process, zone, begin), begin + 60);
    assert_int_equal(week_until(&process, zone, begin + 60), begin + 7 * DAY_S);
    /* On 29 March there is no 2:30: from the Sunday before, nothing comes within 8 days. */
    assert_true(week_until(&process, zone, moment(2026, 3, 22, 2, 31)) == INT64_MAX);
}

/* ---- Search --------------------------------------------------------------------------------- */

enum { MOST_RULES = 5, WEEK = 7 * 1440 };

static uint64_t seed = 11;

static int below(int limit) { return (int)random_below(&seed, (uint64_t)limit); }

/* Whole hours mostly, so that borders meet each other and the changes of clocks. */
static int some_minute(void) { return below(3) ? below(48) * 30 : below(1440); }

static void random_rules(struct rule rules[MOST_RULES], int count) {
    for (int i = 0; i < count - 1; i++) {
        rules[i] = timed(1 + below(127), some_minute(), some_minute());
        if (below(6) == 0) rules[i].to_minute = rules[i].from_minute;
    }
    rules[count - 1] = always();
}

/* The minutes of the week for which a rule is active, by its words. */
static void fill_week(const struct rule *rule, bool week[WEEK]) {
    memset(week, rule->always, WEEK);
    if (rule->always) return;
    int length = (rule->to_minute - rule->from_minute + 1440) % 1440;
    bool whole = length == 0;
    for (int day = 0; day < 7; day++)
        for (int i = 0; rule->days >> day & 1 && i < (whole ? 1440 : length); i++)
            week[(day * 1440 + (whole ? 0 : rule->from_minute) + i) % WEEK] = true;
}

static int expected_rule(bool weeks[MOST_RULES][WEEK], int count, int64_t epoch_s) {
    time_t t = (time_t)epoch_s;
    struct tm tm;
    localtime_r(&t, &tm);
    int minute = (tm.tm_wday + 6) % 7 * 1440 + tm.tm_hour * 60 + tm.tm_min;
    for (int i = 0; i < count; i++)
        if (weeks[i][minute]) return i;
    return -1;
}

static void search_once(const struct zone *zone, int64_t begin) {
    static bool weeks[MOST_RULES][WEEK];
    struct rule rules[MOST_RULES];
    int count = 1 + below(MOST_RULES);
    struct rule_process process = {.rule_count = count, .rules = rules};
    random_rules(rules, count);
    for (int i = 0; i < count; i++) fill_week(&rules[i], weeks[i]);
    int64_t until = week_until(&process, zone, begin), first = begin - begin % 60 + 60;
    int now = expected_rule(weeks, count, begin);
    assert_int_equal(week_rule(&process, zone, begin), now);
    for (int64_t t = first; t <= begin + 8 * DAY_S; t += 60) {
        if (expected_rule(weeks, count, t) == now) continue;
        assert_int_equal(until, t);
        assert_int_equal(week_rule(&process, zone, t), expected_rule(weeks, count, t));
        return;
    }
    assert_true(until == INT64_MAX);
}

static void the_end_of_any_rule_is_where_a_scan_by_minutes_finds_it(void **state) {
    (void)state;
    static const struct {
        const char *zone;
        int year, month, day;
    } nights[] = {
        {"Europe/Berlin", 2026, 3, 29},       {"Europe/Berlin", 2026, 10, 25},
        {"America/New_York", 2026, 3, 8},     {"America/New_York", 2026, 11, 1},
        {"Australia/Lord_Howe", 2026, 10, 4}, {"Australia/Lord_Howe", 2026, 4, 5},
        {"Africa/Cairo", 2026, 4, 24},        {"Africa/Cairo", 2026, 10, 30},
        {"America/Sao_Paulo", 2018, 11, 4},   {"Asia/Kolkata", 2026, 6, 1},
    };
    for (size_t i = 0; i < sizeof nights / sizeof *nights; i++) {
        const struct zone *zone = zone_find(nights[i].zone);
        use_zone(nights[i].zone);
        int64_t night = moment(nights[i].year, nights[i].month, nights[i].day, 12, 0);
        for (int j = 0; j < 300; j++) search_once(zone, night - below(9 * DAY_S));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_counts_from_its_first_minute_to_before_its_last),
        cmocka_unit_test(over_midnight_a_rule_belongs_to_the_day_it_begins_on),
        cmocka_unit_test(equal_times_are_the_whole_day),
        cmocka_unit_test(to_midnight_is_the_end_of_the_day),
        cmocka_unit_test(an_hour_that_the_clock_skips_is_not_there),
        cmocka_unit_test(an_hour_that_the_clock_repeats_counts_twice),
        cmocka_unit_test(a_night_over_a_change_of_the_clock_is_an_hour_shorter_or_longer),
        cmocka_unit_test(the_topmost_active_rule_counts),
        cmocka_unit_test(a_rule_that_counts_for_ever_has_no_end),
        cmocka_unit_test(the_end_of_a_rule_of_once_a_week_is_found),
        cmocka_unit_test(the_end_of_any_rule_is_where_a_scan_by_minutes_finds_it),
    };
    return cmocka_run_group_tests_name("week", tests, NULL, NULL);
}
