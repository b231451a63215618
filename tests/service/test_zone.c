/*
 * Time zones against another reading of the same database: the C library's, by TZ.
 */
#define _GNU_SOURCE
#include "../core/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rules/zone.h"
#include "support/random.h"

enum { MOST_ZONES = 600, ZONE_SIZE = 64 };

static char names[MOST_ZONES][ZONE_SIZE];
static int zone_count;

/* Country codes, coordinates, name: the list of places that the database comes with. */
static int read_names(void **state) {
    (void)state;
    char line[512], name[ZONE_SIZE];
    FILE *file = fopen("/usr/share/zoneinfo/zone1970.tab", "r");
    if (!file) return -1;
    while (fgets(line, sizeof line, file) && zone_count < MOST_ZONES)
        if (*line != '#' && sscanf(line, "%*s %*s %63s", name) == 1)
            strcpy(names[zone_count++], name);
    fclose(file);
    return zone_count > 100 ? 0 : -1;
}

static void use_zone(const char *name) {
    setenv("TZ", name, 1);
    tzset();
}

static void expect_same(const struct zone *zone, int64_t epoch_s) {
    time_t moment = (time_t)epoch_s;
    struct tm tm;
    assert_non_null(localtime_r(&moment, &tm));
    struct zone_time time = zone_time(zone, epoch_s);
    int second = tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec;
    if (time.year == tm.tm_year + 1900 && time.month == tm.tm_mon + 1 && time.day == tm.tm_mday &&
        time.weekday == (tm.tm_wday + 6) % 7 && time.second == second &&
        time.offset == tm.tm_gmtoff)
        return;
    fail_msg("%s at %lld: %d-%02d-%02d, day %d, second %d, offset %d; not %d-%02d-%02d, %d, %d, "
             "%ld",
             zone_name(zone), (long long)epoch_s, time.year, time.month, time.day, time.weekday,
             time.second, time.offset, tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
             (tm.tm_wday + 6) % 7, second, tm.tm_gmtoff);
}

static void every_zone_has_the_time_that_the_system_has(void **state) {
    (void)state;
    uint64_t seed = 7;
    /* To the end of 2037: where the database's list ends, GLib misreads Dublin's negative summer.
     */
    const int64_t years_68 = 2145916800;
    for (int i = 0; i < zone_count; i++) {
        const struct zone *zone = zone_find(names[i]);
        if (!zone) fail_msg("%s is not found", names[i]);
        use_zone(names[i]);
        for (int j = 0; j < 300; j++)
            expect_same(zone, (int64_t)random_below(&seed, (uint64_t)years_68));
    }
}

static long offset_of(int64_t epoch_s) {
    time_t moment = (time_t)epoch_s;
    struct tm tm;
    localtime_r(&moment, &tm);
    return tm.tm_gmtoff;
}

/* Every change of the 2020s, found by looking at each hour, and each second of the hour it is in.
 */
static void changes_of_the_clock_are_found_to_the_second(void **state) {
    (void)state;
    static const char *const some[] = {
        "Europe/Berlin",     "America/New_York",  "Australia/Lord_Howe", "Africa/Cairo",
        "America/Sao_Paulo", "Africa/Casablanca", "Antarctica/Troll",    "Pacific/Chatham"};
    const int64_t begin = 1577836800, end = 1893456000;
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        const struct zone *zone = zone_find(some[i]);
        int64_t expected = zone_next_change(zone, begin, end);
        use_zone(some[i]);
        for (int64_t at = begin; at < end; at += 3600) {
            if (offset_of(at) == offset_of(at + 3600)) continue;
            int64_t change = at;
            while (offset_of(change) == offset_of(at)) change++;
            assert_int_equal(expected, change);
            expected = zone_next_change(zone, change, end);
            assert_true(expected > change);
        }
        assert_int_equal(expected, end);
    }
}

static void a_zone_whose_clock_never_changes_says_so(void **state) {
    (void)state;
    const struct zone *zone = zone_find("Asia/Kolkata");
    assert_int_equal(zone_next_change(zone, 1577836800, 1893456000), 1893456000);
    assert_int_equal(zone_next_change(zone, 1577836800, 1577836800), 1577836800);
    assert_int_equal(zone_next_change(zone_find("UTC"), 0, 1893456000), 1893456000);
}

static void a_name_that_the_database_does_not_have_is_no_zone(void **state) {
    (void)state;
    static const char *const no_zones[] = {
        "",
        " ",
        "Europe/Bern",
        "europe/berlin ",
        "Europe",
        "Europe/",
        "/Europe/Berlin",
        "Europe//Berlin",
        "../zoneinfo/Europe/Berlin",
        "/etc/localtime",
        "localtime",
        "posixrules",
        "UTC+3",
        "<+03>-3",
        "CET-1CEST",
        "EST5",
        "ABC5DEF,M3.2.0,M11.1.0",
        ":Europe/Berlin",
        "right/Europe/Berlin",
        "posix/Europe/Berlin",
        "tzdata.zi",
        "leapseconds",
        "zone1970.tab",
        "Europe/Berlin\n",
        "+02:00",
        "Z",
        "Europe/Berlin/Europe/Berlin/Europe/Berlin/Europe/Berlin/Europe/Berlin"};
    for (size_t i = 0; i < sizeof no_zones / sizeof *no_zones; i++)
        if (zone_find(no_zones[i])) fail_msg("\"%s\" is taken for a zone", no_zones[i]);
    assert_null(zone_find(NULL));
}

static void a_zone_is_loaded_once_and_keeps_its_name(void **state) {
    (void)state;
    const struct zone *zone = zone_find("Europe/Berlin");
    assert_ptr_equal(zone_find("Europe/Berlin"), zone);
    assert_string_equal(zone_name(zone), "Europe/Berlin");
    assert_string_equal(zone_name(zone_find("UTC")), "UTC");
}

static void no_moment_is_out_of_reach(void **state) {
    (void)state;
    static const int64_t moments[] = {INT64_MIN, -62135596801, -1, 0, 253402300800, INT64_MAX};
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        struct zone_time time = zone_time(zone_find("America/New_York"), moments[i]);
        assert_in_range(time.month, 1, 12);
        assert_in_range(time.day, 1, 31);
        assert_in_range(time.weekday, 0, 6);
        assert_in_range(time.second, 0, 86399);
    }
    struct zone_time time = zone_time(zone_find("UTC"), -1);
    assert_int_equal(time.year, 1969);
    assert_int_equal(time.day, 31);
    assert_int_equal(time.weekday, 2);
    assert_int_equal(zone_time(zone_find("UTC"), -62135596801).year, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_zone_has_the_time_that_the_system_has),
        cmocka_unit_test(changes_of_the_clock_are_found_to_the_second),
        cmocka_unit_test(a_zone_whose_clock_never_changes_says_so),
        cmocka_unit_test(a_name_that_the_database_does_not_have_is_no_zone),
        cmocka_unit_test(a_zone_is_loaded_once_and_keeps_its_name),
        cmocka_unit_test(no_moment_is_out_of_reach),
    };
    return cmocka_run_group_tests_name("zone", tests, read_names, NULL);
}
