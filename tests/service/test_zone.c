/*
 * Time zones against another reading of the same database: the C library's, by TZ.
 */
#define _GNU_SOURCE
#include "../core/support/suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "rules/zone.h"
#include "support/folder.h"
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
    const int64_t year_2400 = 13569465600; /* far behind the end of each list */
    for (int i = 0; i < zone_count; i++) {
        const struct zone *zone = zone_find(names[i]);
        if (!zone) fail_msg("%s is not found", names[i]);
        use_zone(names[i]);
        for (int j = 0; j < 300; j++)
            expect_same(zone, (int64_t)random_below(&seed, (uint64_t)year_2400));
    }
}

static long offset_of(int64_t epoch_s) {
    time_t moment = (time_t)epoch_s;
    struct tm tm;
    localtime_r(&moment, &tm);
    return tm.tm_gmtoff;
}

/* Every change of ten years, found by looking at each hour, and each second of the hour it is in.
 */
static void changes_are_found(int64_t begin) {
    static const char *const some[] = {
        "Europe/Berlin",     "America/New_York",  "Australia/Lord_Howe", "Africa/Cairo",
        "America/Sao_Paulo", "Africa/Casablanca", "Antarctica/Troll",    "Pacific/Chatham",
        "Europe/Dublin",     "America/Santiago",  "Asia/Jerusalem",      "America/Nuuk"};
    const int64_t end = begin + INT64_C(3652) * 86400;
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

static void changes_of_the_clock_are_found_to_the_second(void **state) {
    (void)state;
    changes_are_found(1577836800); /* 2020 */
    changes_are_found(2019686400); /* 2034: the lists end in it */
    changes_are_found(7258118400); /* 2200 */
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

/* ---- Another database ----------------------------------------------------------------------- */

static char bytes[8192];

static size_t read_file(const char *name) {
    char path[200];
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return length;
}

static char *database;

/* As packages do it: a new file takes the place of the old one. */
static void write_zone(const char *name, size_t length) {
    char new_path[200], path[200];
    snprintf(new_path, sizeof new_path, "%s/new", database);
    snprintf(path, sizeof path, "%s/%s", database, name);
    FILE *file = fopen(new_path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
    assert_int_equal(rename(new_path, path), 0);
}

static int with_a_database(void **state) {
    (void)state;
    database = folder_make();
    return setenv("TZDIR", database, 1);
}

static int without_it(void **state) {
    (void)state;
    folder_remove(database);
    return unsetenv("TZDIR");
}

static int offset_in_2026(const struct zone *zone) { return zone_time(zone, 1767225600).offset; }

static void a_database_that_is_updated_is_followed(void **state) {
    (void)state;
    write_zone("Here", read_file("Asia/Kolkata"));
    const struct zone *zone = zone_find("Here");
    assert_non_null(zone);
    assert_int_equal(offset_in_2026(zone), 19800);
    write_zone("Here", read_file("Europe/Berlin"));
    assert_int_equal(offset_in_2026(zone), 19800);
    zone_follow_database();
    assert_int_equal(offset_in_2026(zone), 3600);
    assert_int_equal(zone_next_change(zone, 1767225600, 1893456000), 1774746000);
    assert_ptr_equal(zone_find("Here"), zone);
    zone_follow_database();
    /* What can't be read changes nothing. */
    write_zone("Here", 100);
    zone_follow_database();
    assert_int_equal(offset_in_2026(zone), 3600);
    assert_int_equal(unlink(folder_path(database, "Here")), 0);
    zone_follow_database();
    assert_int_equal(offset_in_2026(zone), 3600);
    write_zone("Here", read_file("Asia/Tokyo"));
    zone_follow_database();
    assert_int_equal(offset_in_2026(zone), 32400);
}

static void a_file_that_was_cut_off_is_no_zone(void **state) {
    (void)state;
    char name[40];
    size_t length = read_file("Europe/Berlin");
    for (size_t cut = 0; cut < length; cut++) {
        snprintf(name, sizeof name, "Cut%zu", cut);
        write_zone(name, cut);
        errno = 0;
        if (zone_find(name))
            fail_msg("the first %zu bytes of %zu are taken for a zone", cut, length);
        assert_int_equal(errno, ENOENT);
    }
}

/* It is a zone or none; whatever it says, a clock on the wall shows something. */
static void a_file_that_is_damaged_does_no_harm(void **state) {
    (void)state;
    static const char *const whole[] = {"Europe/Dublin", "Africa/Casablanca", "Asia/Kolkata"};
    uint64_t seed = 11;
    int zones = 0;
    for (int i = 0; i < 1000; i++) {
        char name[40];
        size_t length = read_file(whole[i % 3]);
        for (uint64_t j = random_below(&seed, 8) + 1; j > 0; j--)
            bytes[random_below(&seed, length)] = (char)random_below(&seed, 256);
        if (i % 2) bytes[length - 2 - random_below(&seed, 20)] = "0123456789,.MJ/-+<>:"[i % 20];
        snprintf(name, sizeof name, "Damaged%d", i);
        write_zone(name, length);
        const struct zone *zone = zone_find(name);
        if (!zone) continue;
        zones++;
        for (int j = 0; j < 20; j++) {
            int64_t at = (int64_t)random_below(&seed, UINT64_C(1) << 40) - (INT64_C(1) << 38);
            struct zone_time time = zone_time(zone, at);
            assert_in_range(time.month, 1, 12);
            assert_in_range(time.second, 0, 86399);
            int64_t change = zone_next_change(zone, at, at + 86400 * 800);
            assert_true(change > at && change <= at + 86400 * 800);
        }
    }
    assert_in_range(zones, 50, 950);
}

static void what_can_not_be_read_now_is_not_taken_for_what_is_not_there(void **state) {
    (void)state;
    struct rlimit before, none;
    write_zone("Later", read_file("Asia/Tokyo"));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    const struct zone *zone = zone_find("Later");
    int error = errno;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_null(zone);
    assert_int_equal(error, EMFILE);
    assert_non_null(zone_find("Later"));
    assert_non_null(zone_find("UTC"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_zone_has_the_time_that_the_system_has),
        cmocka_unit_test(changes_of_the_clock_are_found_to_the_second),
        cmocka_unit_test(a_zone_whose_clock_never_changes_says_so),
        cmocka_unit_test(a_name_that_the_database_does_not_have_is_no_zone),
        cmocka_unit_test(a_zone_is_loaded_once_and_keeps_its_name),
        cmocka_unit_test(no_moment_is_out_of_reach),
        cmocka_unit_test_setup_teardown(a_database_that_is_updated_is_followed, with_a_database,
                                        without_it),
        cmocka_unit_test_setup_teardown(a_file_that_was_cut_off_is_no_zone, with_a_database,
                                        without_it),
        cmocka_unit_test_setup_teardown(a_file_that_is_damaged_does_no_harm, with_a_database,
                                        without_it),
        cmocka_unit_test_setup_teardown(what_can_not_be_read_now_is_not_taken_for_what_is_not_there,
                                        with_a_database, without_it),
    };
    return cmocka_run_group_tests_name("zone", tests, read_names, NULL);
}
