/* Dates and queue times in an answer's headers. */
#include "support/suite.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "headers.h"

static int64_t date(const char *text) {
    int64_t epoch_s = -1;
    return ds_headers_date(text, strlen(text), &epoch_s) ? epoch_s : -1;
}

static void a_date_is_read_as_the_system_writes_it(void **state) {
    (void)state;
    const int64_t step = 86400 * 13 + 3600 * 5 + 60 * 7 + 11;
    for (int64_t s = 0; s < 8000000000; s += step) { /* until 2223 */
        char text[64];
        time_t t = (time_t)s;
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&t));
        assert_int_equal(date(text), s);
    }
    assert_int_equal(date("Thu, 29 Feb 2024 23:59:59 GMT"), 1709251199);
    assert_int_equal(date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
}

static void nothing_else_is_a_date(void **state) {
    (void)state;
    const char *const texts[] = {
        "",
        "now",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun, 06 Nox 1994 08:49:37 GMT",
        "Sux, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (date(texts[i]) != -1) fail_msg("read as a date: %s", texts[i]);
}

/* Every length: no byte after the end is read. */
static void a_date_cut_short_is_none(void **state) {
    (void)state;
    const char text[] = "Sun, 06 Nov 1994 08:49:37 GMT";
    int64_t epoch_s;
    for (size_t length = 0; length < sizeof text - 1; length++)
        assert_false(ds_headers_date(text, length, &epoch_s));
}

static int64_t queue_time(const char *text) {
    int64_t ms = -1;
    return ds_headers_queue_time(text, strlen(text), &ms) ? ms : -1;
}

static void a_queue_time_is_found_among_other_entries(void **state) {
    (void)state;
    assert_int_equal(queue_time("queue;dur=12"), 12);
    assert_int_equal(queue_time("queue;dur=12.75"), 12);
    assert_int_equal(queue_time("db;dur=5, queue;dur=12"), 12);
    assert_int_equal(queue_time("queue;dur=12,db;dur=5"), 12);
    assert_int_equal(queue_time("QUEUE ; desc=x ; DUR = \"7\" "), 7);
    assert_int_equal(queue_time("a;desc=\"x, queue;dur=1\", queue;dur=2"), 2);
    assert_int_equal(queue_time("a;desc=\"\\\", queue;dur=1\", queue;dur=2"), 2);
    assert_int_equal(queue_time("queue;dur=1, queue;dur=2"), 2);
    assert_int_equal(queue_time("queue;dur=99999999999999999999"), 9999999999);
}

static void nothing_else_is_a_queue_time(void **state) {
    (void)state;
    const char *const texts[] = {
        "",
        "queue",
        "queue;dur",
        "queue;dur=",
        "queue;dur=x",
        "queue;dur=-1",
        "queue;dur=1x",
        "queues;dur=1",
        "db;dur=1",
        "queue;desc=\"dur=1\"",
        "a;desc=\"queue;dur=1",
        "queue,dur=1",
        "a;desc=\"\\\", queue;dur=1, x\"",
        ";dur=1",
        ",;=\"\\",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (queue_time(texts[i]) != -1) fail_msg("read as a queue time: %s", texts[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_date_is_read_as_the_system_writes_it),
        cmocka_unit_test(nothing_else_is_a_date),
        cmocka_unit_test(a_date_cut_short_is_none),
        cmocka_unit_test(a_queue_time_is_found_among_other_entries),
        cmocka_unit_test(nothing_else_is_a_queue_time),
    };
    return cmocka_run_group_tests_name("headers", tests, NULL, NULL);
}
