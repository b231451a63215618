/*
 * Rows of reports, good and bad.
 */
#include "../core/support/suite.h"

#include <stdio.h>
#include <string.h>

#include "ingest/rows.h"
#include "support/random.h"

static struct rows rows;

static void begin(const char *text) { rows_begin(&rows, text, strlen(text), ROWS_STRICT); }

static void expect_row(int64_t second, uint32_t metric, const char *source, enum signal signal) {
    assert_int_equal(rows_next(&rows), ROWS_ROW);
    assert_int_equal(rows.second, second);
    assert_int_equal(rows.metric, metric);
    assert_int_equal(rows.source_length, strlen(source));
    assert_memory_equal(rows.source, source, strlen(source));
    assert_int_equal(rows.signal, signal);
}

static void expect_end(void) {
    assert_int_equal(rows_next(&rows), ROWS_END);
    assert_int_equal(rows_next(&rows), ROWS_END);
}

static void expect_malformed(const char *text, const char *sentence) {
    begin(text);
    enum rows_result result;
    while ((result = rows_next(&rows)) == ROWS_ROW) {
    }
    assert_int_equal(result, ROWS_MALFORMED);
    if (!strstr(rows.sentence, sentence))
        fail_msg("\"%s\" is not in \"%s\"", sentence, rows.sentence);
}

static void rows_are_read_with_either_line_end(void **unused) {
    (void)unused;
    for (int round = 0; round < 2; round++) {
        begin(round ? "1700000000,12,web,\n1700000001,13,web,\n1700000001,0,a:b,\n1700000002,1,web,"
                    : "1700000000,12,web,\r\n1700000001,13,web,\r\n1700000001,0,a:b,\r\n"
                      "1700000002,1,web,\r\n");
        expect_row(1700000000, 12, "web", SIGNAL_WAIT);
        assert_true(rows.fresh);
        expect_row(1700000001, 13, "web", SIGNAL_WAIT);
        assert_false(rows.fresh);
        expect_row(1700000001, 0, "a:b", SIGNAL_WAIT);
        assert_true(rows.fresh);
        expect_row(1700000002, 1, "web", SIGNAL_WAIT);
        assert_int_equal(rows.number, 4);
        expect_end();
    }
}

static void quoted_fields_are_read(void **unused) {
    (void)unused;
    begin("1,2,\"rq:low,slow\",\r\n1,3,\"rq:low,slow\",\r\n1,4,\"rq:a\"\"b\",\n\"1\",\"5\",\"web\","
          "\"\"\n"
          "1,6,\"rq:Grüße\",\"depth\"");
    expect_row(1, 2, "rq:low,slow", SIGNAL_WAIT);
    expect_row(1, 3, "rq:low,slow", SIGNAL_WAIT);
    expect_row(1, 4, "rq:a\"b", SIGNAL_WAIT);
    expect_row(1, 5, "web", SIGNAL_WAIT);
    expect_row(1, 6, "rq:Grüße", SIGNAL_DEPTH);
    expect_end();
}

/* Rows of several sources by turns, of all lengths of numbers, are each read by their own words. */
static void rows_like_one_before_are_read_as_such(void **unused) {
    (void)unused;
    static const char *const sources[] = {"web",           "a",    "\"rq:low,slow\"",
                                          "rq:0123456789", "web2", "webs"};
    static const char *const plain[] = {"web", "a", "rq:low,slow", "rq:0123456789", "web2", "webs"};
    static char text[60 * 4000];
    uint64_t state = 11, again = 0;
    uint32_t metrics[4000];
    int which[4000];
    char *at = text;
    for (int i = 0; i < 4000; i++) {
        which[i] = (int)random_below(&state, i < 2000 ? 4 : 6);
        metrics[i] = (uint32_t)random_next(&state) >> random_below(&state, 32);
        at += sprintf(at, "%d,%u,%s,\n", 1700000000 + i / 7, metrics[i], sources[which[i]]);
    }
    begin(text);
    for (int i = 0; i < 4000; i++) {
        expect_row(1700000000 + i / 7, metrics[i], plain[which[i]], SIGNAL_WAIT);
        again += !rows.fresh;
        assert_int_equal(rows.number, i + 1);
    }
    assert_true(again > 1000);
    expect_end();
}

static void signals_are_told_apart(void **unused) {
    (void)unused;
    begin("1,2,web,busy\n1,2,web,slots\n1,2,web,unstamped\n1,2,web,begin\n1,2,a:b,depth\n"
          "1,2,a:b,working\n1,2,a:b,working\n");
    expect_row(1, 2, "web", SIGNAL_BUSY);
    expect_row(1, 2, "web", SIGNAL_SLOTS);
    expect_row(1, 2, "web", SIGNAL_UNSTAMPED);
    expect_row(1, 2, "web", SIGNAL_BEGIN);
    expect_row(1, 2, "a:b", SIGNAL_DEPTH);
    expect_row(1, 2, "a:b", SIGNAL_WORKING);
    expect_row(1, 2, "a:b", SIGNAL_WORKING);
    expect_end();
}

static void unknown_metadata_refuses_its_row_alone(void **unused) {
    (void)unused;
    begin("1,2,web,\n1,2,web,mood\n2,2,web,mood\n1,2,web,wait\n"
          "1,2,web,\"a very long name, \"\"longer\"\" than any signal's name has ever been\"\n"
          "1,3,web,\n");
    expect_row(1, 2, "web", SIGNAL_WAIT);
    for (int i = 0; i < 4; i++) assert_int_equal(rows_next(&rows), ROWS_REFUSED);
    expect_row(1, 3, "web", SIGNAL_WAIT);
    expect_end();
}

static void the_largest_numbers_are_read(void **unused) {
    (void)unused;
    begin("999999999999,4294967295,web,\n999999999999,4294967295,web,\n0,0,web,\n");
    expect_row(999999999999, UINT32_MAX, "web", SIGNAL_WAIT);
    expect_row(999999999999, UINT32_MAX, "web", SIGNAL_WAIT);
    expect_row(0, 0, "web", SIGNAL_WAIT);
    expect_end();
}

static void empty_lines_are_no_rows(void **unused) {
    (void)unused;
    begin("");
    expect_end();
    begin("\r\n\n");
    expect_end();
    begin("\n1,2,web,\n\r\n");
    expect_row(1, 2, "web", SIGNAL_WAIT);
    expect_end();
}

static void a_row_that_is_wrong_is_named(void **unused) {
    (void)unused;
    expect_malformed("1,2,web,\n1,2,web\n", "row 2 has 3 fields: timestamp,metric,source,metadata");
    expect_malformed("1\n", "row 1 has 1 field:");
    expect_malformed("1,2,web,,\n", "row 1 has 5 fields");
    expect_malformed("timestamp,metric,source,metadata\n", "row 1: timestamp is 'timestamp': a");
    expect_malformed("1.5,2,web,\n", "timestamp is '1.5'");
    expect_malformed("-1,2,web,\n", "timestamp is '-1'");
    expect_malformed("1000000000000,2,web,\n", "timestamp is '1000000000000'");
    expect_malformed("1,2,web,\n1,2,web,\n1,-2,web,\n", "row 3: metric is '-2': a whole number");
    expect_malformed("1,,web,\n", "metric is ''");
    expect_malformed("1,4294967296,web,\n", "metric is '4294967296'");
    expect_malformed("1,2,web,\n1,4294967296,web,\n", "metric is '4294967296'");
    expect_malformed("1,12e3,web,\n", "metric is '12e3'");
    /* After a row like it, where eight bytes are read at a time. */
    static const char *const wrong[] = {"1a3", "/23", ":23", "12 ", " 12", "-12", "+12", "", "1.5"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[200], sentence[64];
        snprintf(text, sizeof text, "1700000000,1,web,\n1700000000,%s,web,\n1700000000,1,web,\n",
                 wrong[i]);
        snprintf(sentence, sizeof sentence, "row 2: metric is '%s'", wrong[i]);
        expect_malformed(text, sentence);
    }
    expect_malformed("1700000000,1,web,\n170000000:,1,web,\n1700000000,1,web,\n", "row 2: times");
    expect_malformed("1700000000,1,web,\n/700000000,1,web,\n1700000000,1,web,\n", "row 2: times");
    expect_malformed("1,2,,\n", "source is ''");
    expect_malformed("1,2,a\tb,\n", "source is 'a?b': 1 to 255 bytes of UTF-8");
    expect_malformed("1,2,a\x80,\n", "source is 'a?'");
    expect_malformed("1,2,a\xc2\x85,\n", "source is");
    expect_malformed("1,2,\"a\nb\",\n", "source is 'a?b'");
    expect_malformed("1,2,we\"b,\n", "row 1: the quotes of source are wrong");
    expect_malformed("1,2,\"web,\n", "row 1: the quotes of source are wrong");
    expect_malformed("1,2,\"web\"x,\n", "row 1: the quotes of source are wrong");
    expect_malformed("1,2,web,\"", "row 1: the quotes of metadata are wrong");
    expect_malformed("{\"a\":1}", "quotes of timestamp");
    expect_malformed("\x1f\x8b", "row 1 has 1 field");
}

static void the_longest_source_is_read_and_a_longer_one_named(void **unused) {
    (void)unused;
    char text[700], source[256];
    memset(source, 'x', 255);
    source[255] = '\0';
    snprintf(text, sizeof text, "1,2,%s,\n1,2,%s,\n", source, source);
    begin(text);
    expect_row(1, 2, source, SIGNAL_WAIT);
    expect_row(1, 2, source, SIGNAL_WAIT);
    snprintf(text, sizeof text, "1,2,%sx,\n", source);
    expect_malformed(text, "source is 'xxxxxxxxxxxxxxxxxxxxxxxx...'");
    snprintf(text, sizeof text, "1,2,\"%s\"\"\",\n", source);
    expect_malformed(text, "source is");
}

static void what_old_agents_write_is_forgiven_them_alone(void **unused) {
    (void)unused;
    const char *text = "1,-2,web,\n2,3,web,\n2,4,rq:low,slow,\n3,999999999999,web,\n4,5,web,\n";
    rows_begin(&rows, text, strlen(text), ROWS_OLD);
    assert_int_equal(rows_next(&rows), ROWS_REFUSED);
    expect_row(2, 3, "web", SIGNAL_WAIT);
    expect_row(2, 4, "rq:low,slow", SIGNAL_WAIT);
    assert_int_equal(rows_next(&rows), ROWS_REFUSED);
    expect_row(4, 5, "web", SIGNAL_WAIT);
    expect_end();
    expect_malformed("2,4,rq:low,slow,\n", "has 5 fields");
    const char *wrong = "1,-,web,\n";
    rows_begin(&rows, wrong, strlen(wrong), ROWS_OLD);
    assert_int_equal(rows_next(&rows), ROWS_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_read_with_either_line_end),
        cmocka_unit_test(quoted_fields_are_read),
        cmocka_unit_test(rows_like_one_before_are_read_as_such),
        cmocka_unit_test(signals_are_told_apart),
        cmocka_unit_test(unknown_metadata_refuses_its_row_alone),
        cmocka_unit_test(the_largest_numbers_are_read),
        cmocka_unit_test(empty_lines_are_no_rows),
        cmocka_unit_test(a_row_that_is_wrong_is_named),
        cmocka_unit_test(the_longest_source_is_read_and_a_longer_one_named),
        cmocka_unit_test(what_old_agents_write_is_forgiven_them_alone),
    };
    return cmocka_run_group_tests_name("rows", tests, NULL, NULL);
}
