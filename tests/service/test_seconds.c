/* What the automatic method is given of the requests: counted by the second and by the dyno. */
#include "../core/support/suite.h"

#include <stdio.h>
#include <string.h>

#include "ingest/report.h"
#include "ingest/seconds.h"

enum { NOW = 1700000000, GOAL_MS = 100 };

static struct seconds seconds;
static struct seconds_dyno dynos[16];

static int set_up(void **state) {
    (void)state;
    memset(&seconds, 0, sizeof seconds);
    memset(dynos, 0, sizeof dynos);
    return 0;
}

/* A report that arrives at a moment: `requests` in each of the `span` seconds before, that waited
 * `ms` each. */
static void report(int dyno, int64_t arrived_s, int span, int requests, int ms) {
    static char body[1 << 16];
    char sentence[REPORT_SENTENCE_SIZE];
    size_t length = 0;
    struct report report;
    for (int64_t at_s = arrived_s - span; at_s < arrived_s; at_s++)
        for (int i = 0; i < requests; i++)
            length += (size_t)snprintf(body + length, sizeof body - length, "%lld,%d,web,\r\n",
                                       (long long)at_s, ms);
    const struct report_head head = {.dyno = "web.1", .key = "0123456789abcdef0123456789abcdef"};
    report_read(&report, &head, body, length, arrived_s, sentence);
    seconds_report(&seconds, &dynos[dyno], &report, GOAL_MS);
    report_free(&report);
}

static struct situation measured(int64_t now_s, int lag_s) {
    struct situation situation;
    situation_clear(&situation);
    seconds_measure(&seconds, now_s, lag_s, &situation);
    return situation;
}

static void all_dynos(int count, int64_t until_s, int requests, int ms) {
    seconds_formation(&seconds, NOW - 200, NOW + 200, count);
    for (int64_t at_s = until_s - 60; at_s < until_s; at_s += 10)
        for (int dyno = 0; dyno < count; dyno++) report(dyno, at_s + 10, 10, requests, ms);
}

static void without_reports_nothing_is_known(void **state) {
    (void)state;
    struct situation situation = measured(NOW, 0);
    assert_int_equal(situation.known_age, -1);
    assert_int_equal(situation.begin_rate, -1);
    assert_int_equal(situation.arrive_rate, -1);
}

static void the_traffic_of_all_dynos_is_known_from_those_that_reported(void **state) {
    (void)state;
    all_dynos(4, NOW, 7, 20);
    /* Four of eight have reported, which have been up for long. */
    seconds_formation(&seconds, NOW - 200, NOW - 100, 8);
    seconds_formation(&seconds, NOW - 100, NOW + 200, 8);
    struct situation situation = measured(NOW, 0);
    assert_int_equal(situation.known_age, 0);
    assert_int_equal(situation.begin_rate, 8 * 7 * 1000);
    assert_int_equal(situation.arrive_rate, 8 * 7 * 1000);
    assert_int_equal(situation.last_requests, 4 * 7 * 10);
    assert_int_equal(situation.last_dyno_s, 40);
    assert_int_equal(situation.last_slow, 0);
    assert_int_equal(situation.last_wait_ms, 4 * 7 * 10 * 20);
    assert_int_equal(situation.learn_requests, 4 * 7 * 30);
    assert_true(situation.learn_steady);
}

static void one_dyno_that_alone_reports_stands_for_all(void **state) {
    (void)state;
    seconds_formation(&seconds, NOW - 200, NOW + 200, 20);
    for (int64_t at_s = NOW - 60; at_s < NOW; at_s += 10) report(0, at_s + 10, 10, 5, 20);
    assert_int_equal(measured(NOW, 0).begin_rate, 20 * 5 * 1000);
}

/* The platform is read once a tick: a dyno that is up now took none of the requests before. */
static void a_dyno_that_came_up_counts_from_then_on_or_from_its_first_report(void **state) {
    (void)state;
    all_dynos(4, NOW, 6, 20);
    seconds_formation(&seconds, NOW - 10, NOW, 6);
    assert_int_equal(measured(NOW, 0).begin_rate, 4 * 6 * 1000);
    for (int dyno = 0; dyno < 6; dyno++) report(dyno, NOW + 10, 10, 4, 20);
    seconds_formation(&seconds, NOW, NOW + 10, 8);
    assert_int_equal(measured(NOW + 10, 0).begin_rate, 6 * 4 * 1000);
}

static void a_second_that_few_have_reported_is_not_known_yet(void **state) {
    (void)state;
    all_dynos(8, NOW, 5, 20);
    report(0, NOW + 5, 5, 5, 20);
    struct situation situation = measured(NOW + 6, 0);
    assert_int_equal(situation.known_age, 6);
}

static void seconds_without_requests_count_as_seconds(void **state) {
    (void)state;
    all_dynos(1, NOW, 6, 20);
    report(0, NOW + 10, 0, 0, 0); /* a heartbeat */
    struct situation situation = measured(NOW + 10, 0);
    assert_int_equal(situation.known_age, 0);
    assert_int_equal(situation.last_requests, 0);
    assert_int_equal(situation.last_dyno_s, 10);
    assert_int_equal(situation.begin_rate, 6 * 1000 * 5 / 15);
}

static void slow_is_what_waits_longer_than_the_goal(void **state) {
    (void)state;
    all_dynos(2, NOW, 3, 300);
    struct situation situation = measured(NOW, 0);
    assert_int_equal(situation.last_slow, situation.last_requests);
    assert_in_range(situation.last_wait_ms, 60 * 295, 60 * 305);
}

static void requests_count_where_they_arrived_too(void **state) {
    (void)state;
    all_dynos(1, NOW - 20, 4, 1);
    report(0, NOW, 20, 4, 20000); /* they arrived 20 s before they began */
    struct situation situation = measured(NOW, 0);
    assert_int_equal(situation.begin_rate, 4000);
    /* 30 to 45 s before: what began then at once, and for 10 of these what began 20 s later. */
    assert_int_equal(situation.arrive_rate, (15 * 4 + 10 * 4) * 1000 / 15 + 1);
}

static void waits_that_can_not_be_true_are_dropped(void **state) {
    (void)state;
    seconds_formation(&seconds, NOW - 200, NOW + 200, 1);
    struct seconds_row row = {.requests = 20, .slow = 3, .quick = 17, .late = 3};
    row.wait_ms = 180200;
    row.late_ms = 180000;
    for (int i = 1; i <= 10; i++) seconds_add(&seconds, &dynos[0], NOW - i, row, true);
    struct situation situation = measured(NOW, 0);
    assert_int_equal(situation.last_requests, 200); /* they are load all the same */
    assert_int_equal(situation.last_slow, 0);
    assert_int_equal(situation.last_wait_ms, 2000);
}

static void a_real_backlog_is_not_dropped(void **state) {
    (void)state;
    all_dynos(2, NOW, 5, 8000);
    assert_int_equal(measured(NOW, 0).last_slow, measured(NOW, 0).last_requests);
}

static void a_dyno_that_alone_is_slow_is_set_aside_and_comes_back(void **state) {
    (void)state;
    seconds_formation(&seconds, NOW - 200, NOW + 2000, 6);
    int64_t at_s = NOW;
    for (; at_s < NOW + 300; at_s += 10) {
        for (int dyno = 0; dyno < 6; dyno++) report(dyno, at_s, 10, 5, dyno == 2 ? 900 : 20);
        seconds_screen(&seconds, dynos, 6, sizeof *dynos, at_s, 6);
    }
    assert_true(dynos[2].left_out);
    assert_int_equal(measured(at_s - 10, 0).left_out, 1);
    assert_int_equal(measured(at_s - 10, 0).last_slow, 0);
    for (; at_s < NOW + 900; at_s += 10) {
        for (int dyno = 0; dyno < 6; dyno++) report(dyno, at_s, 10, 5, 20);
        seconds_screen(&seconds, dynos, 6, sizeof *dynos, at_s, 6);
    }
    assert_false(dynos[2].left_out);
}

static void dynos_that_are_all_slow_are_all_counted(void **state) {
    (void)state;
    seconds_formation(&seconds, NOW - 200, NOW + 2000, 6);
    for (int64_t at_s = NOW; at_s < NOW + 400; at_s += 10) {
        for (int dyno = 0; dyno < 6; dyno++) report(dyno, at_s, 10, 5, 900);
        seconds_screen(&seconds, dynos, 6, sizeof *dynos, at_s, 6);
    }
    assert_int_equal(seconds.left_out, 0);
}

static void processes_of_one_dyno_add_up_within_the_lag(void **state) {
    (void)state;
    seconds_formation(&seconds, NOW - 200, NOW + 200, 1);
    for (int64_t at_s = NOW - 100; at_s <= NOW; at_s += 10) {
        report(0, at_s - 5, 10, 4, 20); /* one of two processes */
        report(0, at_s, 10, 4, 20);
    }
    assert_in_range(dynos[0].reports_apart * 10, 40, 60);
    assert_int_equal(measured(NOW, 10).begin_rate, 8000);
}

static void old_seconds_make_room_for_new_ones(void **state) {
    (void)state;
    all_dynos(1, NOW, 5, 20);
    report(0, NOW + 1000, 10, 3, 20);
    seconds_formation(&seconds, NOW + 900, NOW + 1000, 1);
    struct situation situation = measured(NOW + 1000, 0);
    assert_int_equal(situation.begin_rate, 3000);
    report(0, NOW + 20, 10, 9, 20); /* far too late: dropped */
    assert_int_equal(measured(NOW + 1000, 0).last_requests, 30);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(without_reports_nothing_is_known),
        TEST(the_traffic_of_all_dynos_is_known_from_those_that_reported),
        TEST(one_dyno_that_alone_reports_stands_for_all),
        TEST(a_dyno_that_came_up_counts_from_then_on_or_from_its_first_report),
        TEST(a_second_that_few_have_reported_is_not_known_yet),
        TEST(seconds_without_requests_count_as_seconds),
        TEST(slow_is_what_waits_longer_than_the_goal),
        TEST(requests_count_where_they_arrived_too),
        TEST(waits_that_can_not_be_true_are_dropped),
        TEST(a_real_backlog_is_not_dropped),
        TEST(a_dyno_that_alone_is_slow_is_set_aside_and_comes_back),
        TEST(dynos_that_are_all_slow_are_all_counted),
        TEST(processes_of_one_dyno_add_up_within_the_lag),
        TEST(old_seconds_make_room_for_new_ones),
    };
    return cmocka_run_group_tests_name("seconds", tests, NULL, NULL);
}
