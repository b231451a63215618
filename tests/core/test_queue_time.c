/* Header text → queue time: the vectors, and what they can't express. */
#include "support/suite.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dynoscale.h"
#include "queue_time.h"
#include "support/vectors.h"

/* A time of a whole ms, so that stamps in ms lose nothing. */
#define NOW 1700000000123000000LL

static int64_t expected_value(const char *text) {
    if (strcmp(text, "missing") == 0) return DYNOSCALE_STAMP_MISSING;
    if (strcmp(text, "malformed") == 0) return DYNOSCALE_STAMP_MALFORMED;
    if (strcmp(text, "stale") == 0) return DYNOSCALE_STAMP_STALE;
    if (strcmp(text, "future") == 0) return DYNOSCALE_STAMP_FUTURE;
    return strtoll(text, NULL, 10);
}

static int64_t value_of(vectors *v) {
    static char start[VECTOR_SIZE], queue_start[VECTOR_SIZE];
    bool has_start = strcmp(v->columns[1], "-") != 0, has_queue = strcmp(v->columns[2], "-") != 0;
    size_t start_length = vectors_text(v->columns[1], NOW, start);
    size_t queue_length = vectors_text(v->columns[2], NOW, queue_start);
    double body_wait = strcmp(v->columns[3], "-") == 0 ? 0 : strtod(v->columns[3], NULL);
    int64_t ms = ds_queue_time_ms(has_start ? start : NULL, start_length,
                                  has_queue ? queue_start : NULL, queue_length, body_wait, NOW);
    if (!has_start) return ms;

    /* X-Request-Start alone gives the same, or a negative result. */
    bool list = memchr(start, ',', start_length) != NULL;
    int64_t alone = ds_queue_time_ms(start, start_length, NULL, 0, body_wait, NOW);
    int64_t one = ds_queue_time_of_one_ms(start, start_length, body_wait, NOW);
    if (list || alone < 0) assert_true(one < 0);
    else assert_int_equal(one, ms);
    return ms;
}

/* whole_s loses NOW's fraction of a second. */
static bool as_expected(vectors *v, int64_t value) {
    int64_t expected = expected_value(v->columns[4]);
    bool whole_seconds = strstr(v->line + strlen(v->columns[0]) + 1, "{whole_s:") != NULL;
    return value == (whole_seconds && expected >= 0 ? expected + 123 : expected);
}

static void every_vector_is_read_as_it_says(void **state) {
    (void)state;
    static vectors v;
    int cases = 0, wrong = 0;
    vectors_open(&v, "queue_time.tsv");
    for (; vectors_next(&v); cases++) {
        assert_int_equal(v.count, 6);
        int64_t value = value_of(&v);
        if (as_expected(&v, value)) continue;
        print_error("%s: %lld, expected %s\n", v.columns[0], (long long)value, v.columns[4]);
        wrong++;
    }
    vectors_close(&v);
    assert_int_equal(wrong, 0);
    assert_true(cases >= 80);
}

static int64_t read_text(const char *text, size_t length) {
    return ds_queue_time_ms(text, length, NULL, 0, 0, NOW);
}

static void reads_nothing_after_the_given_length(void **state) {
    (void)state;
    const char *text = "1700000000000999"; /* in a block of its own, so that a sanitizer sees it */
    for (size_t length = 0; length <= 13; length++) {
        char *exact = malloc(length + 1);
        memcpy(exact, text, length);
        exact = realloc(exact, length ? length : 1);
        int64_t value = read_text(exact, length);
        assert_int_equal(value, length == 13   ? 123
                                : length == 0  ? DYNOSCALE_STAMP_MISSING
                                : length >= 10 ? (length == 10 ? 123 : DYNOSCALE_STAMP_FUTURE)
                                               : DYNOSCALE_STAMP_MALFORMED);
        free(exact);
    }
}

static void a_megabyte_of_anything_is_read_without_harm(void **state) {
    (void)state;
    const size_t size = 1000000;
    char *text = malloc(size);
    for (int byte = 0; byte < 256; byte++) {
        memset(text, byte, size);
        int64_t value = read_text(text, size);
        assert_true(value < 0);
    }
    memcpy(text, "1699999999000,", 14);
    memset(text + 14, ',', size - 14);
    assert_int_equal(read_text(text, size), 1123);
    free(text);
}

static void every_count_of_digits_is_read_alike_whole_and_in_parts(void **state) {
    (void)state;
    char text[64];
    for (int zeros = 0; zeros < 24; zeros++) { /* shifts the eight digits read at once */
        int length = snprintf(text, sizeof text, "%0*d1699999999000", zeros, 0) - (zeros == 0);
        assert_int_equal(read_text(zeros ? text : text + 1, (size_t)length), 1123);
    }
}

static void a_wrong_digit_is_noticed_at_every_place(void **state) {
    (void)state;
    for (int at = 0; at < 13; at++)
        for (int byte = 0; byte < 256; byte++) {
            char text[] = "1699999999000";
            text[at] = (char)byte;
            if (byte >= '0' && byte <= '9') continue;
            int64_t value = read_text(text, 13);
            bool may_part = byte == ',' || byte == '.' || byte == ' ' || byte == '\t';
            if (!may_part) assert_int_equal(value, DYNOSCALE_STAMP_MALFORMED);
        }
}

static void a_clock_before_1970_or_far_ahead_does_no_harm(void **state) {
    (void)state;
    assert_int_equal(ds_queue_time_ms("1700000000000", 13, NULL, 0, 0, -1), DYNOSCALE_STAMP_FUTURE);
    assert_int_equal(ds_queue_time_ms("1700000000000", 13, NULL, 0, 0, 0), DYNOSCALE_STAMP_FUTURE);
    assert_int_equal(
        ds_queue_time_ms("9223372036854775807", 19, NULL, 0, 0, INT64_MAX - 2000000000),
        DYNOSCALE_STAMP_FUTURE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector_is_read_as_it_says),
        cmocka_unit_test(reads_nothing_after_the_given_length),
        cmocka_unit_test(a_megabyte_of_anything_is_read_without_harm),
        cmocka_unit_test(every_count_of_digits_is_read_alike_whole_and_in_parts),
        cmocka_unit_test(a_wrong_digit_is_noticed_at_every_place),
        cmocka_unit_test(a_clock_before_1970_or_far_ahead_does_no_harm),
    };
    return cmocka_run_group_tests_name("queue_time", tests, NULL, NULL);
}
