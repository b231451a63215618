/*
 * Which dynos are asked to read job queues.
 */
#include "../core/support/suite.h"

#include <stdio.h>
#include <string.h>

#include "ingest/readers.h"

static struct readers *readers;
static int64_t now_s;

static int set_up(void **state) {
    (void)state;
    now_s = 1700000000;
    readers = readers_new();
    return readers ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    readers_free(readers);
    return 0;
}

/* A report with a row of each source, "" for none. */
static bool asked(int64_t app, const char *dyno, const char *one, const char *other) {
    char body[200] = "1700000000,1,web,\n", sentence[REPORT_SENTENCE_SIZE];
    size_t length = strlen(body);
    if (one[0])
        length += (size_t)snprintf(body + length, sizeof body - length, "1700000000,1,%s,\n", one);
    if (other[0]) snprintf(body + length, sizeof body - length, "1700000000,1,%s,depth\n", other);
    struct report report;
    struct report_head head = {.dyno = dyno, .key = "a"};
    assert_int_equal(report_read(&report, &head, body, strlen(body), 1700000000, sentence),
                     REPORT_ROWS);
    report.arrived_s = now_s;
    bool found = readers_ask(readers, app, &report);
    report_free(&report);
    return found;
}

static void one_dyno_reads_a_queue(void **unused) {
    (void)unused;
    assert_true(asked(1, "web.1", "rq:a", "rq:b"));
    assert_false(asked(1, "web.2", "rq:a", "rq:b"));
    assert_false(asked(1, "web.3", "rq:b", ""));
    assert_true(asked(1, "web.1", "rq:a", "rq:b"));
    assert_false(asked(1, "web.2", "", ""));
    assert_true(asked(2, "web.2", "rq:a", "rq:b"));
}

static void who_finds_a_queue_that_nobody_else_reads_goes_on(void **unused) {
    (void)unused;
    assert_true(asked(1, "web.1", "rq:a", ""));
    assert_true(asked(1, "worker.1", "rq:a", "sidekiq:b"));
    assert_true(asked(1, "web.1", "rq:a", ""));
    assert_true(asked(1, "worker.1", "sidekiq:b", ""));
}

static void who_never_read_is_left_to_read(void **unused) {
    (void)unused;
    assert_true(asked(1, "web.1", "rq:a", ""));
    assert_true(asked(1, "worker.1", "", ""));
    assert_true(asked(1, "", "rq:a", ""));
}

static void another_reads_when_the_reader_is_gone(void **unused) {
    (void)unused;
    assert_true(asked(1, "web.1", "rq:a", ""));
    assert_false(asked(1, "web.2", "rq:a", ""));
    assert_false(asked(1, "web.3", "rq:a", ""));
    now_s += READERS_LOST_S;
    assert_false(asked(1, "web.2", "", ""));
    now_s += 1;
    assert_true(asked(1, "web.2", "", ""));
    assert_true(asked(1, "web.3", "", ""));
    assert_true(asked(1, "web.2", "rq:a", ""));
    assert_false(asked(1, "web.3", "rq:a", ""));
    assert_false(asked(1, "web.1", "rq:a", ""));
}

static void who_need_not_read_looks_for_new_queues_now_and_then(void **unused) {
    (void)unused;
    assert_true(asked(1, "web.1", "rq:a", ""));
    assert_false(asked(1, "web.2", "rq:a", ""));
    for (int i = 0; i < READERS_LOOK_AGAIN_S / 10 - 1; i++) {
        now_s += 10;
        assert_true(asked(1, "web.1", "rq:a", ""));
        assert_false(asked(1, "web.2", "", ""));
    }
    now_s += 10;
    assert_true(asked(1, "web.2", "", ""));
    assert_true(asked(1, "web.2", "rq:a", "rq:new"));
}

static void more_than_can_be_remembered_all_read(void **unused) {
    (void)unused;
    char name[32];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "rq:%d", i);
        assert_true(asked(1, "web.1", name, ""));
    }
    assert_true(asked(1, "web.2", "rq:99", ""));
    for (int i = 0; i < 1100; i++) {
        snprintf(name, sizeof name, "pod-%d", i);
        assert_int_equal(asked(2, name, "rq:a", ""), i == 0 || i >= 1000);
    }
    now_s += 1000;
    assert_true(asked(2, "pod-1", "rq:a", ""));
    assert_false(asked(2, "pod-2000", "rq:a", ""));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_dyno_reads_a_queue),
        TEST(who_finds_a_queue_that_nobody_else_reads_goes_on),
        TEST(who_never_read_is_left_to_read),
        TEST(another_reads_when_the_reader_is_gone),
        TEST(who_need_not_read_looks_for_new_queues_now_and_then),
        TEST(more_than_can_be_remembered_all_read),
    };
    return cmocka_run_group_tests_name("readers", tests, NULL, NULL);
}
