/*
 * The live windows: what rules read of them.
 */
#include "../core/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/live.h"
#include "series/part.h"
#include "support/random.h"

#define NOW_S 1700000000

static struct live *live;

static int set_up(void **state) {
    (void)state;
    live = live_new();
    return live ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    live_free(live);
    return 0;
}

static void add(int64_t app, const char *source, const char *signal, int64_t second, uint32_t value,
                int count) {
    struct part part = PART_EMPTY(part_start(second));
    for (int i = 0; i < count; i++)
        assert_true(part_add(&part, (int)(second - part.start_s), value));
    live_add(live, app, source, signal, &part);
    part_free(&part);
}

static struct rule a_rule(void) {
    return (struct rule){.up = {.threshold_ms = 100}, .statistic = RULE_P95};
}

static void a_statistic_is_of_the_seconds_asked_for(void **unused) {
    (void)unused;
    struct rule rule = a_rule();
    add(1, "web", "wait", NOW_S - 61, 5000, 10);
    add(1, "web", "wait", NOW_S - 60, 20, 9);
    add(1, "web", "wait", NOW_S - 1, 400, 1);
    add(1, "web", "wait", NOW_S, 9000, 10);
    struct live_measure found = live_measure(live, 1, &rule, true, NOW_S - 60, NOW_S);
    assert_int_equal(found.samples, 10);
    assert_int_equal(found.above, 1);
    assert_in_range(found.value_ms, 394, 406);
    rule.statistic = RULE_P90;
    assert_int_equal(live_measure(live, 1, &rule, true, NOW_S - 60, NOW_S).value_ms, 20);
    rule.statistic = RULE_MEAN;
    assert_in_range(live_measure(live, 1, &rule, true, NOW_S - 60, NOW_S).value_ms, 57, 59);
    assert_int_equal(live_measure(live, 1, &rule, true, NOW_S - 30, NOW_S - 20).value_ms, -1);
    assert_int_equal(live_measure(live, 2, &rule, true, NOW_S - 60, NOW_S).value_ms, -1);
}

static void processes_are_pooled(void **unused) {
    (void)unused;
    struct rule rule = a_rule();
    rule.statistic = RULE_P50;
    add(1, "web", "wait", NOW_S - 5, 1, 1);
    add(1, "web", "wait", NOW_S - 5, 1, 1);
    add(1, "web", "wait", NOW_S - 5, 50, 3);
    struct live_measure found = live_measure(live, 1, &rule, true, NOW_S - 10, NOW_S);
    assert_int_equal(found.samples, 5);
    assert_int_equal(found.value_ms, 50);
}

static void as_many_parts_as_come_are_one_sketch(void **unused) {
    (void)unused;
    enum { PARTS = 150, SAMPLES = 700 };
    struct rule rule = a_rule();
    struct sketch all = {0};
    uint64_t state = 3;
    for (int i = 0; i < PARTS; i++) {
        struct part part = PART_EMPTY(NOW_S - 10);
        for (int j = 0; j < SAMPLES * (i % 2); j++) {
            uint32_t value = (uint32_t)random_below(&state, 90000);
            assert_true(part_add(&part, (int)random_below(&state, PART_SECONDS), value));
            sketch_add(&all, value);
        }
        live_add(live, 1, "web", "wait", &part);
        part_free(&part);
        struct live_measure found = live_measure(live, 1, &rule, true, NOW_S - 10, NOW_S);
        assert_int_equal(found.samples, all.count);
        assert_int_equal(found.value_ms, sketch_percentile(&all, 950));
        assert_int_equal(found.above, sketch_above(&all, 100));
    }
}

static void the_worst_queue_counts(void **unused) {
    (void)unused;
    struct rule rule = a_rule();
    add(1, "web", "wait", NOW_S - 5, 60, 1);
    add(1, "sidekiq:low", "wait", NOW_S - 5, 30, 1);
    add(1, "sidekiq:mail", "wait", NOW_S - 5, 20, 4);
    add(1, "sidekiq:mail", "depth", NOW_S - 5, 5000, 4);
    struct live_measure found = live_measure(live, 1, &rule, false, NOW_S - 10, NOW_S);
    assert_string_equal(found.source, "sidekiq:low");
    assert_int_equal(found.value_ms, 30);
    rule.queue_count = 1;
    strcpy(rule.queues[0], "sidekiq:m*");
    found = live_measure(live, 1, &rule, false, NOW_S - 10, NOW_S);
    assert_string_equal(found.source, "sidekiq:mail");
    assert_int_equal(found.samples, 4);
    strcpy(rule.queues[0], "rq:*");
    assert_int_equal(live_measure(live, 1, &rule, false, NOW_S - 10, NOW_S).value_ms, -1);
}

static void levels_are_the_newest_reading_and_amounts_a_sum(void **unused) {
    (void)unused;
    struct rule rule = a_rule();
    assert_int_equal(live_signal(live, 1, &rule, false, "working", NOW_S - 60, NOW_S), -1);
    add(1, "rq:a", "working", NOW_S - 30, 9, 1);
    add(1, "rq:a", "working", NOW_S - 7, 0, 1);
    add(1, "rq:a", "working", NOW_S - 4, 3, 1);
    add(1, "rq:a", "working", NOW_S - 4, 2, 1);
    add(1, "rq:a", "working", NOW_S, 50, 1);
    add(1, "rq:b", "working", NOW_S - 55, 4, 1);
    add(1, "rq:a", "depth", NOW_S - 4, 60, 1);
    assert_int_equal(live_signal(live, 1, &rule, false, "working", NOW_S - 60, NOW_S), 7);
    assert_int_equal(live_signal(live, 1, &rule, false, "working", NOW_S - 60, NOW_S - 4), 4);
    assert_int_equal(live_signal(live, 1, &rule, true, "working", NOW_S - 60, NOW_S), -1);
    assert_int_equal(live_signal(live, 1, &rule, false, "mood", NOW_S - 60, NOW_S), -1);
    add(1, "web", "busy", NOW_S - 5, 40, 2);
    add(1, "web", "busy", NOW_S - 15, 60, 1);
    assert_int_equal(live_signal(live, 1, &rule, true, "busy", NOW_S - 60, NOW_S), 140);
    assert_int_equal(live_signal(live, 1, &rule, true, "busy", NOW_S - 10, NOW_S), 80);
}

static void dynos_are_counted_by_their_types(void **unused) {
    (void)unused;
    assert_int_equal(live_heard_at(live, 1, NULL), -1);
    static const char *const names[] = {
        "web.1", "web.2", "web.2", "worker.1", "web-12a34b56d-e78f9", "web-3", "web-worker.1", ""};
    for (int i = 0; i < 8; i++) live_heard(live, 1, names[i], NOW_S + i);
    assert_int_equal(live_dynos(live, 1, "web", NOW_S), 4);
    assert_int_equal(live_dynos(live, 1, "web", NOW_S + 2), 3);
    assert_int_equal(live_dynos(live, 1, "worker", NOW_S), 1);
    assert_int_equal(live_dynos(live, 1, "web-worker", NOW_S), 1);
    assert_int_equal(live_dynos(live, 1, NULL, NOW_S), 6);
    assert_int_equal(live_heard_at(live, 1, "web"), NOW_S + 5);
    assert_int_equal(live_heard_at(live, 1, NULL), NOW_S + 7);
    assert_int_equal(live_heard_at(live, 1, "clock"), -1);
    live_heard(live, 1, "web.1", NOW_S - 100);
    assert_int_equal(live_dynos(live, 1, "web", NOW_S), 4);
    assert_true(live_knows(live, 1, "worker.1"));
    assert_false(live_knows(live, 1, "worker.2"));
    assert_false(live_knows(live, 2, "worker.1"));
}

static void what_is_older_than_15_minutes_is_forgotten(void **unused) {
    (void)unused;
    struct rule rule = a_rule();
    add(1, "web", "wait", NOW_S - 899, 1, 1);
    add(1, "web", "wait", NOW_S - 889, 2, 1);
    add(1, "old", "wait", NOW_S - 1000, 2, 1);
    live_heard(live, 1, "web.1", NOW_S - 900);
    live_heard(live, 1, "web.2", NOW_S - 899);
    live_expire(live, NOW_S);
    assert_int_equal(live_measure(live, 1, &rule, true, NOW_S - 2000, NOW_S).samples, 2);
    assert_int_equal(live_measure(live, 1, &rule, false, NOW_S - 2000, NOW_S).samples, 0);
    assert_int_equal(live_dynos(live, 1, NULL, 0), 1);
    live_expire(live, NOW_S + 10);
    assert_int_equal(live_measure(live, 1, &rule, true, NOW_S - 2000, NOW_S).samples, 1);
    live_expire(live, NOW_S + 1000);
    assert_int_equal(live_measure(live, 1, &rule, true, NOW_S - 2000, NOW_S).samples, 0);
    assert_int_equal(live_heard_at(live, 1, NULL), -1);
}

static void an_app_that_is_forgotten_leaves_the_others(void **unused) {
    (void)unused;
    struct rule rule = a_rule();
    /* Numbers that want the same places in a table. */
    uint64_t state = 9;
    int64_t apps[500];
    for (int i = 0; i < 500; i++) {
        apps[i] = (int64_t)(random_next(&state) >> 20);
        add(apps[i], "web", "wait", NOW_S - 1, (uint32_t)i % 60, 1);
    }
    for (int i = 0; i < 500; i += 2) live_forget_app(live, apps[i]);
    live_forget_app(live, 9999);
    for (int i = 0; i < 500; i++) {
        int64_t value = live_measure(live, apps[i], &rule, true, NOW_S - 10, NOW_S).value_ms;
        assert_int_equal(value, i % 2 ? i % 60 : -1);
    }
}

/* Whatever the order in which parts come, and wherever the seconds asked for begin and end. */
static void measures_are_those_of_the_samples(void **unused) {
    (void)unused;
    uint64_t state = 7;
    for (int round = 0; round < 50; round++) {
        int64_t app = 100 + round, from = NOW_S + (int64_t)random_below(&state, 40);
        int64_t to = from + 1 + (int64_t)random_below(&state, 40);
        int64_t samples = 0, above = 0;
        struct rule rule = a_rule();
        rule.up.threshold_ms = 30;
        for (int i = 0; i < 200; i++) {
            int64_t second = NOW_S + (int64_t)random_below(&state, 100);
            uint32_t value = (uint32_t)random_below(&state, 60);
            add(app, "web", "wait", second, value, 1);
            samples += second >= from && second < to;
            above += second >= from && second < to && value > 30;
        }
        struct live_measure found = live_measure(live, app, &rule, true, from, to);
        assert_int_equal(found.samples, samples);
        assert_int_equal(found.above, above);
    }
}

/* A queue of which 20 jobs a second come and 10 begin: each second the oldest came half a second
 * later. */
static void add_reading(const char *source, int64_t at_s, int64_t since_s, bool depth) {
    add(1, source, "wait", at_s, (uint32_t)(500 * since_s), 1);
    if (depth) add(1, source, "depth", at_s, (uint32_t)(10 * since_s), 1);
}

static struct situation situation_of_jobs(const struct rule *rule) {
    struct situation situation;
    situation_clear(&situation);
    situation.now = NOW_S;
    situation.report_s = 10;
    live_jobs(live, 1, rule, &situation);
    return situation;
}

static void jobs_that_wait_come_and_begin_are_known_where_the_depth_is(void **unused) {
    (void)unused;
    struct rule rule = a_rule();
    assert_int_equal(situation_of_jobs(&rule).oldest_ms, -1);
    for (int i = 0; i < 6; i++) add_reading("que:mail", NOW_S - 53 + 10 * i, 30 + 10 * i, true);
    struct situation found = situation_of_jobs(&rule);
    assert_in_range(found.jobs_waiting, 787, 813);
    assert_in_range(found.oldest_ms, 39000, 41000);
    assert_in_range(found.oldest_past_ms, 34000, 36000);
    assert_int_equal(found.oldest_apart_s, 10);
    assert_in_range(found.jobs_arrive, 17000, 23000);
    assert_in_range(found.jobs_start, 7000, 13000);
    add(1, "que:other", "wait", NOW_S - 3, 0, 1); /* empty: it has no depth, and needs none */
    assert_in_range(situation_of_jobs(&rule).jobs_waiting, 787, 813);
    add_reading("que:more", NOW_S - 3, 10, true);
    assert_in_range(situation_of_jobs(&rule).jobs_waiting, 885, 915);
    add_reading("rq:default", NOW_S - 3, 100, false); /* has jobs that nobody counts */
    found = situation_of_jobs(&rule);
    assert_int_equal(found.jobs_waiting, -1);
    assert_int_equal(found.jobs_arrive, -1);
    assert_in_range(found.oldest_ms, 49000, 51000);
    assert_int_equal(found.oldest_past_ms, -1);
}

static void only_queues_that_count_and_that_are_read_are_known(void **unused) {
    (void)unused;
    struct rule rule = a_rule();
    rule.queue_count = 1;
    strcpy(rule.queues[0], "que:m*");
    add_reading("que:mail", NOW_S - 3, 20, true);
    add_reading("que:other", NOW_S - 3, 90, true);
    assert_int_equal(situation_of_jobs(&rule).oldest_ms / 1000, 10);
    live_expire(live, NOW_S);
    add_reading("que:mist", NOW_S - 60, 90, true); /* nobody reads it any more */
    assert_int_equal(situation_of_jobs(&rule).oldest_ms / 1000, 10);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_statistic_is_of_the_seconds_asked_for),
        TEST(processes_are_pooled),
        TEST(as_many_parts_as_come_are_one_sketch),
        TEST(the_worst_queue_counts),
        TEST(levels_are_the_newest_reading_and_amounts_a_sum),
        TEST(dynos_are_counted_by_their_types),
        TEST(what_is_older_than_15_minutes_is_forgotten),
        TEST(an_app_that_is_forgotten_leaves_the_others),
        TEST(measures_are_those_of_the_samples),
        TEST(jobs_that_wait_come_and_begin_are_known_where_the_depth_is),
        TEST(only_queues_that_count_and_that_are_read_are_known),
    };
    return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}
