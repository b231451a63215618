/* Rows, headers, answers. */
#include "support/suite.h"

#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "support/vectors.h"

static void rows_are_csv_with_crlf(void **state) {
    (void)state;
    const uint64_t samples[] = {ds_sample(1700000000, 12), ds_sample(1700000000, 0),
                                ds_sample(1700000003, 1840), ds_sample(1700000003, 600000)};
    char csv[4 * DS_REPORT_ROW_SIZE + 1];
    size_t length = ds_report_rows(csv, samples, 4);
    csv[length] = '\0';
    assert_string_equal(csv, "1700000000,12,web,\r\n1700000000,0,web,\r\n1700000003,1840,web,\r\n"
                             "1700000003,600000,web,\r\n");
    assert_int_equal(ds_report_rows(csv, samples, 0), 0);
}

static void a_sample_is_never_zero_and_the_longest_row_fits(void **state) {
    (void)state;
    char csv[DS_REPORT_ROW_SIZE];
    uint64_t longest = ds_sample(4294967295, 4294967294);
    assert_true(ds_sample(0, 0) != 0);
    assert_int_equal(ds_report_rows(csv, &longest, 1), DS_REPORT_ROW_SIZE);
    assert_memory_equal(csv, "4294967295,4294967294,web,\r\n", DS_REPORT_ROW_SIZE);
}

static const char *reading(const char *backend, const char *queue) {
    static char csv[DS_REPORT_READING_SIZE + 1];
    size_t length =
        ds_report_reading(csv, 1700000003, 95, backend, strlen(backend), queue, strlen(queue), "");
    csv[length] = '\0';
    return csv;
}

static void a_field_is_quoted_only_when_it_must_be(void **state) {
    (void)state;
    assert_string_equal(reading("sidekiq", "default"), "1700000003,95,sidekiq:default,\r\n");
    assert_string_equal(reading("rq", "low,slow"), "1700000003,95,\"rq:low,slow\",\r\n");
    assert_string_equal(reading("rq", "a\"b"), "1700000003,95,\"rq:a\"\"b\",\r\n");
    assert_string_equal(reading("rq", "two words"), "1700000003,95,rq:two words,\r\n");
    assert_string_equal(reading("good_job", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
                        "1700000003,95,good_job:\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80,\r\n");
}

static void names_that_could_split_a_row_are_refused(void **state) {
    (void)state;
    char long_name[202];
    memset(long_name, '"', sizeof long_name);
    long_name[201] = '\0';
    assert_string_equal(reading("rq", long_name), "");
    long_name[200] = '\0';
    assert_int_equal(strlen(reading("rq", long_name)), strlen("1700000003,95,\"rq:\",\r\n") + 400);
    const char *const bad[] = {"",
                               "a\nb",
                               "a\rb",
                               "a\tb",
                               "\x7f",
                               "\xff",
                               "\xc3",
                               "\xc3(",
                               "\xc0\x80",
                               "\xed\xa0\x80",
                               "\xf4\x90\x80\x80",
                               "\xe0\x80\x80",
                               "\xf0\x80\x80\x80",
                               "\xc2\x85",
                               "\xf5\x80\x80\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_string_equal(reading("rq", bad[i]), "");
    const char *const bad_backends[] = {
        "", "Rq", "r q", "r,q", "r:q", "rq\n", "abcdefghijklmnopqrstuvwxyz0123456"};
    for (size_t i = 0; i < sizeof bad_backends / sizeof *bad_backends; i++)
        assert_string_equal(reading(bad_backends[i], "default"), "");
    char csv[DS_REPORT_READING_SIZE];
    assert_int_equal(ds_report_reading(csv, 1, 1, "rq", 2, "a\0b", 3, ""), 0);
}

static void headers_say_who_sends(void **state) {
    (void)state;
    char lines[DS_REPORT_HEADERS][DS_REPORT_HEADER_SIZE];
    ds_report_sender sender = {"dynoscale-ruby;2.0.0", "web.1", "shop"};
    assert_int_equal(ds_report_headers(lines, &sender, "0123abc", 1700000005), 7);
    assert_string_equal(lines[0], "Content-Type: text/csv");
    assert_string_equal(lines[1], "User-Agent: dynoscale-ruby;2.0.0");
    assert_string_equal(lines[2], "X_DYNO: web.1");
    assert_string_equal(lines[3], "HTTP_X_DYNO: web.1");
    assert_string_equal(lines[4], "X_REQUEST_START: t=1700000005");
    assert_string_equal(lines[5], "Idempotency-Key: 0123abc");
    assert_string_equal(lines[6], "X_APP_NAME: shop");
    sender.app_name = NULL;
    assert_int_equal(ds_report_headers(lines, &sender, "0123abc", 1700000005), 6);
}

/* ---- Answers ------------------------------------------------------------------------------ */

enum { ASKED_SIZE = 128 };

/* In the vectors' notation: busy+depth, no_jobs, heartbeat=MS, with blanks between; "nothing". */
static void show_asked(const ds_report_config *config, char text[ASKED_SIZE]) {
    size_t n = 0;
    for (int i = 0; i < DYNOSCALE_SIGNAL_COUNT; i++)
        if (config->signals >> i & 1)
            n += (size_t)snprintf(text + n, ASKED_SIZE - n, "%s%s", n > 0 ? "+" : "",
                                  dynoscale_signal_name((dynoscale_signal)i));
    if (!config->jobs)
        n += (size_t)snprintf(text + n, ASKED_SIZE - n, "%sno_jobs", n > 0 ? " " : "");
    if (config->heartbeat_ms > 0)
        n += (size_t)snprintf(text + n, ASKED_SIZE - n, "%sheartbeat=%lld", n > 0 ? " " : "",
                              (long long)config->heartbeat_ms);
    if (n == 0) snprintf(text, ASKED_SIZE, "nothing");
}

static int64_t expected_ms(const char *text) {
    return strcmp(text, "unchanged") == 0 ? 30000 : strtoll(text, NULL, 10);
}

static void every_answer_is_read_as_it_says(void **state) {
    (void)state;
    static vectors v;
    static char body[VECTOR_SIZE];
    int cases = 0, wrong = 0;
    vectors_open(&v, "answers.tsv");
    for (; vectors_next(&v); cases++) {
        assert_int_equal(v.count, 4);
        char asked[ASKED_SIZE];
        ds_report_config config = {.frequency_ms = 30000, .jobs = true};
        size_t length = vectors_text(v.columns[1], 0, body);
        ds_report_answer(body, length, &config);
        show_asked(&config, asked);
        if (config.frequency_ms == expected_ms(v.columns[2]) && strcmp(asked, v.columns[3]) == 0)
            continue;
        print_error("%s: %lld %s, expected %s %s\n", v.columns[0], (long long)config.frequency_ms,
                    asked, v.columns[2], v.columns[3]);
        wrong++;
    }
    vectors_close(&v);
    assert_int_equal(wrong, 0);
    assert_true(cases >= 60);
}

static void an_unusable_value_leaves_what_was_asked_before(void **state) {
    (void)state;
    const char *bodies[] = {"", "{}", "{\"config\": []}", "<p>",
                            "{\"config\": {\"signals\": \"slots\", \"jobs\": 1, "
                            "\"heartbeat\": 0, \"publish_frequency\": true}}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        ds_report_config config = {
            .frequency_ms = 20000, .signals = 5, .jobs = false, .heartbeat_ms = 60000};
        ds_report_answer(bodies[i], strlen(bodies[i]), &config);
        assert_int_equal(config.frequency_ms, 20000);
        assert_int_equal(config.signals, 5);
        assert_false(config.jobs);
        assert_int_equal(config.heartbeat_ms, 60000);
    }
}

static void a_signals_row_has_its_name_as_metadata(void **state) {
    (void)state;
    char csv[DS_REPORT_READING_SIZE + 1];
    csv[ds_report_signal(csv, 1700000003, 850, DYNOSCALE_SIGNAL_BUSY)] = '\0';
    assert_string_equal(csv, "1700000003,850,web,busy\r\n");
    csv[ds_report_reading(csv, 1700000003, 7, "rq", 2, "a,b", 3, "depth")] = '\0';
    assert_string_equal(csv, "1700000003,7,\"rq:a,b\",depth\r\n");
}

static void an_answer_cut_anywhere_is_read_without_harm(void **state) {
    (void)state;
    const char *whole = "{\"a\": [1.5e3, \"x\\\"\", {}], \"config\": {\"publish_frequency\": 45, "
                        "\"signals\": [\"busy\"], \"jobs\": false, \"heartbeat\": 20}}";
    ds_report_config before;
    memset(&before, 0, sizeof before);
    before.frequency_ms = 30000;
    for (size_t length = 0; length < strlen(whole); length++) {
        char *exact = malloc(length ? length : 1);
        ds_report_config config = before;
        memcpy(exact, whole, length);
        assert_false(ds_report_answer(exact, length, &config));
        assert_memory_equal(&config, &before, sizeof config);
        free(exact);
    }
}

static void numbers_do_not_depend_on_the_locale(void **state) {
    (void)state;
    int64_t ms = 0;
    const char *german = setlocale(LC_NUMERIC, "de_DE.UTF-8"); /* where there is one */
    assert_true(ds_report_frequency("2.5", 3, &ms));
    assert_int_equal(ms, 2500);
    assert_false(ds_report_frequency("2,5", 3, &ms));
    if (german) setlocale(LC_NUMERIC, "C");
}

static void retry_after_is_whole_seconds_up_to_two_minutes(void **state) {
    (void)state;
    int64_t ms = -7;
    assert_true(ds_report_retry_after("0", 1, &ms));
    assert_int_equal(ms, 0);
    assert_true(ds_report_retry_after("120", 3, &ms));
    assert_int_equal(ms, 120000);
    assert_true(ds_report_retry_after("121", 3, &ms));
    assert_int_equal(ms, 120000);
    assert_true(ds_report_retry_after("99999999999999999999999", 23, &ms));
    assert_int_equal(ms, 120000);
    ms = -7;
    const char *const bad[] = {"",   "-1", "1.5", "soon", "Wed, 21 Oct 2026 07:28:00 GMT",
                               "1 ", "+1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ds_report_retry_after(bad[i], strlen(bad[i]), &ms));
    assert_int_equal(ms, -7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_csv_with_crlf),
        cmocka_unit_test(a_sample_is_never_zero_and_the_longest_row_fits),
        cmocka_unit_test(a_field_is_quoted_only_when_it_must_be),
        cmocka_unit_test(names_that_could_split_a_row_are_refused),
        cmocka_unit_test(headers_say_who_sends),
        cmocka_unit_test(every_answer_is_read_as_it_says),
        cmocka_unit_test(an_unusable_value_leaves_what_was_asked_before),
        cmocka_unit_test(a_signals_row_has_its_name_as_metadata),
        cmocka_unit_test(an_answer_cut_anywhere_is_read_without_harm),
        cmocka_unit_test(numbers_do_not_depend_on_the_locale),
        cmocka_unit_test(retry_after_is_whole_seconds_up_to_two_minutes),
    };
    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
