/*
 * What the service asks for by its answers: rows of signals, reports without rows. The false worker
 * steps on a clock that stands still.
 */
#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "support/false_clock.h"
#include "support/false_transport.h"
#include "support/false_worker.h"

#define SECOND_NS 1000000000LL

static int new_worker(void **state) {
    false_worker_new(state);
    false_clock_set_wall(1700000000 * SECOND_NS);
    false_clock_set_process_age(2500);
    dynoscale_set_slots(0);
    return 0;
}

static int64_t wall_s(void) { return ds_clock_wall_ns() / SECOND_NS; }

static void push(ds_worker *w) { ds_worker_push(w, ds_sample(wall_s(), 7)); }

static void report(ds_worker *w) {
    size_t before = false_transport_accepted();
    for (int i = 0; false_transport_accepted() == before; i++) {
        assert_true(i < 600000);
        live_for(w, 1);
    }
    live_for(w, 1);
}

/* Lets a report be answered with this config, and moves the clock to the start of a second. */
static void ask(ds_worker *w, const char *config) {
    char text[512];
    snprintf(text, sizeof text, "{\"config\": {%s}}", config);
    false_transport_answer(200, text);
    push(w);
    report(w);
    live_for(w, 1000 - ds_clock_wall_ns() / 1000000 % 1000);
}

static void enter(ds_worker *w) { ds_seconds_enter(&w->seconds, ds_clock_wall_ns() / 1000); }
static void leave(ds_worker *w) { ds_seconds_leave(&w->seconds, ds_clock_wall_ns() / 1000); }

/* The rows with this metadata in all accepted reports, as "SECOND:VALUE " with seconds since
 * `since`. */
static const char *rows_of(const char *metadata, int64_t since) {
    static char found[4096];
    char end[32];
    size_t n = 0;
    snprintf(end, sizeof end, ",web,%s\r\n", metadata);
    found[0] = '\0';
    for (size_t i = 0; i < false_transport_attempts(); i++) {
        const char *at = false_transport_body(i);
        for (const char *next; (next = strstr(at, "\r\n")); at = next + 2) {
            long long second, value;
            char rest[64] = "";
            assert_true(sscanf(at, "%lld,%lld%63[^\n]", &second, &value, rest) == 3);
            if (strncmp(rest, end, strlen(end) - 1) == 0)
                n += (size_t)snprintf(found + n, sizeof found - n, "%lld:%lld ",
                                      second - (long long)since, value);
        }
    }
    return found;
}

static void a_long_request_counts_in_each_of_its_seconds(void **state) {
    ds_worker *w = *state;
    ask(w, "\"signals\": [\"busy\"]");
    int64_t since = wall_s();
    false_clock_advance_ms(400);
    enter(w);
    push(w);
    live_for(w, 3000);
    leave(w);
    push(w);
    report(w);
    assert_string_equal(rows_of("busy", since), "0:600 1:1000 2:1000 3:400 ");
}

static void requests_at_once_are_summed(void **state) {
    ds_worker *w = *state;
    ask(w, "\"signals\": [\"busy\"]");
    int64_t since = wall_s();
    for (int i = 0; i < 10; i++) enter(w);
    push(w);
    live_for(w, 250);
    for (int i = 0; i < 4; i++) leave(w);
    live_for(w, 250);
    for (int i = 0; i < 6; i++) leave(w);
    report(w);
    assert_string_equal(rows_of("busy", since), "0:4000 ");
}

static void a_request_that_is_still_in_the_app_is_seen(void **state) {
    ds_worker *w = *state;
    ask(w, "\"signals\": [\"busy\"]");
    int64_t since = wall_s();
    enter(w);
    push(w);
    live_for(w, 2500);
    assert_true(ds_batches_open_any(&w->batches));
    ds_worker_stop_in_background(w, 2000);
    int64_t wait;
    while (ds_worker_step(w, &wait)) false_clock_advance_ms(wait > 0 ? 1 : 0);
    assert_string_equal(rows_of("busy", since), "0:1000 1:1000 2:500 ");
}

static void short_requests_add_up_to_whole_ms(void **state) {
    ds_worker *w = *state;
    ask(w, "\"signals\": [\"busy\"]");
    int64_t since = wall_s(), us = ds_clock_wall_ns() / 1000;
    for (int i = 0; i < 5000; i++) { /* of 300 us each */
        ds_seconds_enter(&w->seconds, us + i * 100);
        ds_seconds_leave(&w->seconds, us + i * 100 + 300);
    }
    push(w);
    live_for(w, 1000);
    report(w);
    assert_string_equal(rows_of("busy", since), "0:1500 ");
}

static void after_a_silence_a_request_counts_in_its_own_second(void **state) {
    ds_worker *w = *state;
    ask(w, "\"signals\": [\"busy\"]");
    live_for(w, 100000);
    assert_int_equal(run_until_idle(w), DS_NEVER_MS); /* no wake-ups */
    false_clock_advance_ms(100000);
    int64_t since = wall_s();
    enter(w);
    push(w);
    live_for(w, 200);
    leave(w);
    report(w);
    assert_string_equal(rows_of("busy", since), "0:200 ");
}

static void a_clock_that_is_set_counts_no_time_that_did_not_pass(void **state) {
    ds_worker *w = *state;
    ask(w, "\"signals\": [\"busy\"]");
    enter(w);
    push(w);
    live_for(w, 1000);
    false_clock_set_wall(ds_clock_wall_ns() + 3600 * SECOND_NS);
    live_for(w, 10);
    int64_t since = wall_s();
    leave(w);
    enter(w);
    push(w);
    live_for(w, 500);
    false_clock_set_wall(ds_clock_wall_ns() - 7200 * SECOND_NS);
    live_for(w, 10);
    leave(w);
    push(w);
    report(w);
    const char *rows = rows_of("busy", since);
    long long sum = 0, second, value;
    for (int n; sscanf(rows, "%lld:%lld %n", &second, &value, &n) == 2; rows += n) sum += value;
    assert_in_range(sum, 1000, 2020);
}

static void signals_that_are_not_asked_for_are_not_sent(void **state) {
    ds_worker *w = *state;
    dynoscale_set_slots(5);
    for (int i = 0; i < 3; i++) {
        enter(w);
        ds_worker_unstamped(w, ds_clock_wall_ns());
        push(w);
        live_for(w, 300);
        leave(w);
        report(w);
    }
    for (size_t i = 0; i < false_transport_attempts(); i++)
        for (const char *at = false_transport_body(i), *next; (next = strstr(at, "\r\n"));
             at = next + 2)
            assert_memory_equal(next - 5, ",web,", 5);
}

static void an_answer_that_asks_no_more_ends_it(void **state) {
    ds_worker *w = *state;
    ask(w, "\"signals\": [\"busy\", \"unstamped\"]");
    assert_true(dynoscale_busy_asked());
    ask(w, "\"publish_frequency\": 20");
    assert_false(dynoscale_busy_asked());
    int64_t since = wall_s();
    enter(w);
    ds_worker_unstamped(w, ds_clock_wall_ns());
    push(w);
    live_for(w, 300);
    leave(w);
    report(w);
    assert_string_equal(rows_of("busy", since), "");
    assert_string_equal(rows_of("unstamped", since), "");
}

static void unstamped_requests_are_counted_by_the_second(void **state) {
    ds_worker *w = *state;
    ask(w, "\"signals\": [\"unstamped\"]");
    int64_t since = wall_s();
    for (int second = 0; second < 12; second += 3) {
        for (int i = 0; i <= second; i++) ds_worker_unstamped(w, ds_clock_wall_ns());
        live_for(w, 3000);
    }
    live_for(w, 40000);
    assert_string_equal(rows_of("unstamped", since), "0:1 3:4 6:7 9:10 ");
    assert_int_equal(run_until_idle(w), DS_NEVER_MS);
}

static void signals_count_as_no_samples(void **state) {
    ds_worker *w = *state;
    dynoscale_set_slots(5);
    ask(w, "\"signals\": [\"busy\", \"slots\", \"unstamped\", \"begin\"]");
    enter(w);
    ds_worker_unstamped(w, ds_clock_wall_ns());
    live_for(w, 1500);
    leave(w);
    live_for(w, 60000);
    int64_t values[DYNOSCALE_COUNTER_COUNT] = {0};
    ds_worker_counters(w, values);
    assert_int_equal(values[DYNOSCALE_COUNTER_RECORDED], 1);
    assert_int_equal(values[DYNOSCALE_COUNTER_SENT], 1);
    assert_int_equal(values[DYNOSCALE_COUNTER_PENDING], 0);
    assert_true(strlen(rows_of("busy", 0)) > 0);
}

static void slots_go_with_each_report(void **state) {
    ds_worker *w = *state;
    ask(w, "\"signals\": [\"slots\"]");
    push(w);
    report(w); /* nobody has told yet */
    assert_string_equal(rows_of("slots", 0), "");
    dynoscale_set_slots(5);
    int64_t since = wall_s();
    for (int i = 0; i < 3; i++) {
        push(w);
        report(w);
    }
    const char *rows = rows_of("slots", since);
    int reports = 0;
    for (; (rows = strstr(rows, ":5 ")); rows += 3) reports++;
    assert_int_equal(reports, 3);
    live_for(w, 100000);
    assert_int_equal(run_until_idle(w), DS_NEVER_MS); /* they are no reason to report */
}

static void slots_are_asked_of_requests_until_the_host_has_told(void **state) {
    ds_worker *w = *state;
    atomic_store(&ds_worker_slots, DS_SLOTS_NOT_SET);
    assert_int_equal(dynoscale_asked_of_requests(), 0);
    ask(w, "\"signals\": [\"slots\"]");
    assert_int_equal(dynoscale_asked_of_requests(), DYNOSCALE_ASKED_SLOTS);
    assert_false(dynoscale_busy_asked());
    dynoscale_set_slots(0); /* they can't be known */
    ask(w, "\"signals\": [\"slots\", \"busy\"]");
    assert_int_equal(dynoscale_asked_of_requests(), DYNOSCALE_ASKED_BUSY);
    assert_string_equal(rows_of("slots", 0), "");
}

static void begin_is_sent_once(void **state) {
    ds_worker *w = *state;
    false_clock_advance_ms(600);
    int64_t first_ms = ds_clock_wall_ns() / 1000000;
    push(w);
    report(w);
    false_clock_set_process_age(60000);
    ask(w, "\"signals\": [\"begin\"]");
    for (int i = 0; i < 3; i++) {
        push(w);
        report(w);
    }
    long long second, ms;
    int end = 0;
    const char *rows = rows_of("begin", 0);
    assert_int_equal(sscanf(rows, "%lld:%lld %n", &second, &ms, &end), 2);
    assert_int_equal(rows[end], '\0');
    assert_in_range(second * 1000 + ms, first_ms - 999, first_ms);
}

static void a_quiet_process_sends_reports_without_rows(void **state) {
    ds_worker *w = *state;
    ask(w, "\"heartbeat\": 60");
    size_t before = false_transport_accepted();
    live_for(w, 44000);
    assert_int_equal(false_transport_accepted(), before);
    live_for(w, 17000);
    assert_int_equal(false_transport_accepted(), before + 1);
    assert_string_equal(false_transport_body(before), "");
    assert_int_equal(strlen(false_transport_header(before, "Idempotency-Key")), 32);
    live_for(w, 300000);
    assert_in_range(false_transport_accepted(), before + 6, before + 8);
    assert_int_equal(false_transport_open(), 0);
}

static void a_heartbeat_that_fails_is_sent_again_under_its_key(void **state) {
    ds_worker *w = *state;
    ask(w, "\"heartbeat\": 60");
    size_t before = false_transport_attempts();
    false_transport_answer(503, "");
    live_for(w, 70000);
    assert_true(false_transport_attempts() > before + 1);
    char key[33];
    snprintf(key, sizeof key, "%s", false_transport_header(before, "Idempotency-Key"));
    assert_string_equal(false_transport_header(before + 1, "Idempotency-Key"), key);
    live_for(w, 400000); /* it expires, and the next one begins */
    size_t last = false_transport_attempts() - 1;
    assert_string_not_equal(false_transport_header(last, "Idempotency-Key"), key);
}

static void a_heartbeat_does_not_delay_the_end(void **state) {
    ds_worker *w = *state;
    ask(w, "\"heartbeat\": 60");
    false_transport_answer(503, "");
    live_for(w, 70000);
    int64_t wait;
    ds_worker_stop_in_background(w, 2000);
    assert_false(ds_worker_step(w, &wait));
}

static void a_process_that_has_not_reported_sends_no_heartbeat(void **state) {
    ds_worker *w = *state;
    w->config.heartbeat_ms = 1000;
    false_transport_answer(403, "");
    push(w);
    live_for(w, 100000);
    assert_int_equal(false_transport_attempts(), 1);
}

static void what_is_asked_can_be_read(void **state) {
    ds_worker *w = *state;
    dynoscale_asked asked;
    ds_worker_asked(w, &asked);
    assert_int_equal(asked.signals, 0);
    assert_true(asked.jobs);
    ask(w, "\"signals\": [\"depth\"], \"jobs\": false, \"heartbeat\": 60");
    ds_worker_asked(w, &asked);
    assert_int_equal(asked.signals, 1 << DYNOSCALE_SIGNAL_DEPTH);
    assert_false(asked.jobs);
    assert_int_equal(asked.heartbeat_ms, 60000);
}

static void without_answers_for_ten_minutes_job_queues_are_read_again(void **state) {
    ds_worker *w = *state;
    dynoscale_asked asked;
    ask(w, "\"jobs\": false");
    false_clock_advance_ms(590000);
    ds_worker_asked(w, &asked);
    assert_false(asked.jobs);
    false_clock_advance_ms(20000);
    ds_worker_asked(w, &asked);
    assert_true(asked.jobs);
}

#define WITH_WORKER(test) cmocka_unit_test_setup_teardown(test, new_worker, false_worker_free)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_WORKER(a_long_request_counts_in_each_of_its_seconds),
        WITH_WORKER(requests_at_once_are_summed),
        WITH_WORKER(a_request_that_is_still_in_the_app_is_seen),
        WITH_WORKER(short_requests_add_up_to_whole_ms),
        WITH_WORKER(after_a_silence_a_request_counts_in_its_own_second),
        WITH_WORKER(a_clock_that_is_set_counts_no_time_that_did_not_pass),
        WITH_WORKER(signals_that_are_not_asked_for_are_not_sent),
        WITH_WORKER(an_answer_that_asks_no_more_ends_it),
        WITH_WORKER(unstamped_requests_are_counted_by_the_second),
        WITH_WORKER(signals_count_as_no_samples),
        WITH_WORKER(slots_go_with_each_report),
        WITH_WORKER(slots_are_asked_of_requests_until_the_host_has_told),
        WITH_WORKER(begin_is_sent_once),
        WITH_WORKER(a_quiet_process_sends_reports_without_rows),
        WITH_WORKER(a_heartbeat_that_fails_is_sent_again_under_its_key),
        WITH_WORKER(a_heartbeat_does_not_delay_the_end),
        WITH_WORKER(a_process_that_has_not_reported_sends_no_heartbeat),
        WITH_WORKER(what_is_asked_can_be_read),
        WITH_WORKER(without_answers_for_ten_minutes_job_queues_are_read_again),
    };
    return cmocka_run_group_tests_name("asked", tests, NULL, NULL);
}
