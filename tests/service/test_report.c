/*
 * Reports: headers, clocks, old agents, keys.
 */
#include "../core/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/report.h"

#define NOW_S 1700000000
#define RUBY  "dynoscale-ruby;2.0.0"

static struct report report;
static char sentence[REPORT_SENTENCE_SIZE];

static int tear_down(void **state) {
    (void)state;
    report_free(&report);
    return 0;
}

static enum report_kind read_with(const struct report_head *head, const char *body) {
    report_free(&report);
    sentence[0] = '\0';
    return report_read(&report, head, body, strlen(body), NOW_S, sentence);
}

static enum report_kind read_body(const char *body) {
    struct report_head head = {.user_agent = RUBY, .dyno = "web.1", .key = "a"};
    return read_with(&head, body);
}

/* Samples of a series, by their own sums; -1: there is no such series. */
static int64_t count_of(const char *source, enum signal signal) {
    for (int i = 0; i < report.series_count; i++) {
        const struct report_series *series = &report.series[i];
        if (series->signal != signal || strcmp(series->source, source) != 0) continue;
        int64_t count = 0;
        for (int j = 0; j < series->part_count; j++)
            count += (int64_t)part_count(&series->parts[j]);
        return count;
    }
    return -1;
}

static void rows_become_parts_of_series(void **unused) {
    (void)unused;
    assert_int_equal(
        read_body("1700000000,12,web,\r\n1699999999,7,web,\r\n1700000000,3,web,busy\r\n"
                  "1700000001,5,\"rq:a,b\",\r\n1699999998,9,web,\r\n"),
        REPORT_ROWS);
    assert_int_equal(report.rows, 5);
    assert_int_equal(report.rows_refused, 0);
    assert_string_equal(report.dyno, "web.1");
    assert_int_equal(report.series_count, 3);
    assert_int_equal(count_of("web", SIGNAL_WAIT), 3);
    assert_int_equal(count_of("web", SIGNAL_BUSY), 1);
    assert_int_equal(count_of("rq:a,b", SIGNAL_WAIT), 1);
    const struct report_series *web = &report.series[0];
    assert_int_equal(web->part_count, 2);
    assert_int_equal(web->parts[0].start_s, 1700000000);
    assert_int_equal(web->parts[1].start_s, 1699999990);
    assert_int_equal(web->parts[1].sum, 16);
    assert_true(report_bytes(&report) > sizeof report);
}

static void a_malformed_row_is_told(void **unused) {
    (void)unused;
    assert_int_equal(read_body("1700000000,12,web,\n1700000000,x,web,\n"), REPORT_MALFORMED);
    assert_string_equal(sentence,
                        "row 2: metric is 'x': a whole number from 0 to 4294967295 is needed");
}

static void rows_that_are_far_off_are_refused(void **unused) {
    (void)unused;
    assert_int_equal(read_body("1699999100,1,web,\n1699999099,1,web,\n1700000900,1,web,\n"
                               "1700000901,1,web,\n0,1,web,\n1700000000,1,web,mood\n"),
                     REPORT_ROWS);
    assert_int_equal(report.rows, 2);
    assert_int_equal(report.rows_refused, 4);
}

static void expect_second(const char *start, int64_t second) {
    struct report_head head = {.dyno = "web.1", .key = "a", .request_start = start};
    assert_int_equal(read_with(&head, "1700003600,1,web,\n1700000000,1,worker,\n"), REPORT_ROWS);
    bool found = false;
    for (int i = 0; i < report.series_count; i++)
        for (int j = 0; j < report.series[i].part_count; j++)
            found |= report.series[i].parts[j].start_s == part_start(second);
    if (!found) fail_msg("no row of second %lld with %s", (long long)second, start);
}

static void rows_are_moved_by_what_the_senders_clock_is_off(void **unused) {
    (void)unused;
    expect_second("t=1700003630", 1699999970); /* an hour and 30 s ahead: the row was 30 s old */
    expect_second("t=1700003630.250", 1699999970);
    expect_second("1700003630000", 1699999970);
    expect_second("T=1700003630000000000", 1699999970);
    expect_second("t=1700000002", 1700000000); /* the network, not the clock */
    expect_second("t=1699999998", 1700000000);
    expect_second("soon", 1700000000);
    expect_second("t=12", 1700000000);
    expect_second("", 1700000000);
    expect_second("t=99999999999999999999999", 1700000000);
    expect_second(NULL, 1700000000);
}

static void no_body_is_a_heartbeat_or_nothing(void **unused) {
    (void)unused;
    struct report_head head = {.user_agent = RUBY, .dyno = "web.1"};
    assert_int_equal(read_with(&head, ""), REPORT_EMPTY);
    head.key = "0123456789abcdef0123456789abcdef";
    assert_int_equal(read_with(&head, ""), REPORT_HEARTBEAT);
    assert_string_equal(report.dyno, "web.1");
    assert_int_equal(read_with(&head, "\r\n"), REPORT_ROWS);
    assert_int_equal(report.rows, 0);
}

static void a_name_of_a_dyno_that_is_none_is_told(void **unused) {
    (void)unused;
    static const char *const wrong[] = {"web\x01", "web\xff", "web\x7f"};
    struct report_head head = {.key = "a"};
    for (size_t i = 0; i < 3; i++) {
        head.dyno = wrong[i];
        assert_int_equal(read_with(&head, "1700000000,1,web,\n"), REPORT_MALFORMED);
        assert_non_null(strstr(sentence, "X_DYNO"));
    }
    char name[REPORT_DYNO_SIZE + 1];
    memset(name, 'x', sizeof name);
    name[REPORT_DYNO_SIZE] = '\0';
    head.dyno = name;
    assert_int_equal(read_with(&head, ""), REPORT_MALFORMED);
    name[REPORT_DYNO_SIZE - 1] = '\0';
    assert_int_equal(read_with(&head, "1700000000,1,web,\n"), REPORT_ROWS);
    head.dyno = NULL;
    assert_int_equal(read_with(&head, "1700000000,1,web,\n"), REPORT_ROWS);
    assert_string_equal(report.dyno, "");
}

static void more_series_than_one_report_may_have_are_refused(void **unused) {
    (void)unused;
    static char body[60 * (REPORT_SERIES + 20)];
    char *at = body;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < REPORT_SERIES + (round ? 10 : 0); i++)
            at += sprintf(at, "1700000000,1,rq:%d,\n", i);
    assert_true(strlen(body) < sizeof body);
    at += sprintf(at, "1700000000,1,rq:7,\n");
    assert_int_equal(read_body(body), REPORT_ROWS);
    assert_int_equal(report.series_count, REPORT_SERIES);
    assert_int_equal(report.rows_refused, 10);
    assert_int_equal(count_of("rq:7", SIGNAL_WAIT), 3);
}

/* ---- Keys ---------------------------------------------------------------------------------- */

static void key_of(uint8_t key[REPORT_KEY_SIZE], const char *dyno, const char *start,
                   const char *given, const char *body) {
    struct report_head head = {
        .user_agent = "dynoscale-ruby;1.0.5", .dyno = dyno, .request_start = start, .key = given};
    assert_int_equal(read_with(&head, body), REPORT_ROWS);
    memcpy(key, report.key, REPORT_KEY_SIZE);
}

#define ROW "1700000000,1,web,\n"

static void the_batchs_key_says_what_is_the_same(void **unused) {
    (void)unused;
    uint8_t one[REPORT_KEY_SIZE], other[REPORT_KEY_SIZE];
    key_of(one, "web.1", "t=1700000000", "abc", ROW);
    key_of(other, "web.1", "t=1700000009", "abc", ROW);
    assert_memory_equal(one, other, sizeof one);
    key_of(other, "web.1", "t=1700000000", "abd", ROW);
    assert_memory_not_equal(one, other, sizeof one);
}

static void without_a_key_it_is_who_sent_what_when(void **unused) {
    (void)unused;
    uint8_t one[REPORT_KEY_SIZE], other[REPORT_KEY_SIZE];
    key_of(one, "web.1", "t=1700000000", NULL, ROW);
    key_of(other, "web.1", "t=1700000000", NULL, ROW);
    assert_memory_equal(one, other, sizeof one);
    key_of(other, "web.2", "t=1700000000", NULL, ROW);
    assert_memory_not_equal(one, other, sizeof one);
    key_of(other, "web.1", "t=1700000001", NULL, ROW);
    assert_memory_not_equal(one, other, sizeof one);
    key_of(other, "web.1", NULL, NULL, ROW);
    assert_memory_not_equal(one, other, sizeof one);
    key_of(other, "web.1", "t=1700000000", NULL, ROW ROW);
    assert_memory_not_equal(one, other, sizeof one);
}

/* ---- Old agents ---------------------------------------------------------------------------- */

/* As the gem 1.0.5 writes: `"#{timestamp},#{metric},#{source},#{metadata}\n"`. */
static void the_old_gems_seconds_become_milliseconds(void **unused) {
    (void)unused;
    struct report_head head = {
        .user_agent = "dynoscale-ruby;1.0.5", .dyno = "web.1", .request_start = "t=1700000000"};
    assert_int_equal(read_with(&head, "1700000000,2,web,\n1700000000,1500,sidekiq:default,\n"
                                      "1700000000,3,web,\n1700000000,700,rq:low,slow,\n"
                                      "1700000000,1699998000,web,\n1700000000,-1,web,\n"),
                     REPORT_ROWS);
    assert_int_equal(report.rows, 4);
    assert_int_equal(report.rows_refused, 2);
    assert_int_equal(report.series[0].parts[0].sum, 5000);
    assert_int_equal(report.series[1].parts[0].sum, 1500);
    assert_string_equal(report.series[2].source, "rq:low,slow");
    head.user_agent = RUBY;
    assert_int_equal(read_with(&head, "1700000000,2,web,\n"), REPORT_ROWS);
    assert_int_equal(report.series[0].parts[0].sum, 2);
}

static void a_row_that_is_refused_lends_nothing_to_the_next(void **unused) {
    (void)unused;
    struct report_head head = {.user_agent = "dynoscale-python;1.2.2", .dyno = "web.1"};
    assert_int_equal(read_with(&head, "1700000000,-3,web,\r\n1700000000,4,web,\r\n"
                                      "1700000000,-3,rq:a,\r\n1700000000,5,rq:a,\r\n"
                                      "1700000000,6,web,\r\n1700000000,6,rq:a,\r\n"),
                     REPORT_ROWS);
    assert_int_equal(count_of("web", SIGNAL_WAIT), 2);
    assert_int_equal(count_of("rq:a", SIGNAL_WAIT), 2);
}

static void the_old_packages_milliseconds_stay(void **unused) {
    (void)unused;
    struct report_head head = {.user_agent = "dynoscale-python;1.2.2", .dyno = "web.1"};
    assert_int_equal(read_with(&head, "1700000000,2,web,\r\n1700000000,-3,web,\r\n"
                                      "1700000000,9,\"rq:a,b\",\r\n"),
                     REPORT_ROWS);
    assert_int_equal(report.rows, 2);
    assert_int_equal(report.rows_refused, 1);
    assert_int_equal(report.series[0].parts[0].sum, 2);
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(rows_become_parts_of_series),
        TEST(a_malformed_row_is_told),
        TEST(rows_that_are_far_off_are_refused),
        TEST(rows_are_moved_by_what_the_senders_clock_is_off),
        TEST(no_body_is_a_heartbeat_or_nothing),
        TEST(a_name_of_a_dyno_that_is_none_is_told),
        TEST(more_series_than_one_report_may_have_are_refused),
        TEST(the_batchs_key_says_what_is_the_same),
        TEST(without_a_key_it_is_who_sent_what_when),
        TEST(the_old_gems_seconds_become_milliseconds),
        TEST(a_row_that_is_refused_lends_nothing_to_the_next),
        TEST(the_old_packages_milliseconds_stay),
    };
    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
