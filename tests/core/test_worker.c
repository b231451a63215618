/*
 * The worker's steps, one by one, on a clock that stands still: when it drains, sends, retries,
 * drops and sleeps.
 */
#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "support/false_clock.h"
#include "support/false_transport.h"
#include "support/false_worker.h"
#include "support/faults.h"

static void push(ds_worker *w, int count) {
    for (int i = 0; i < count; i++) ds_worker_push(w, ds_sample(1700000000, i));
}

/* Lets time pass until the service has had so many attempts in all. */
static void live_until_attempts(ds_worker *w, size_t count) {
    for (;;) {
        int64_t wait = run_until_idle(w);
        if (false_transport_attempts() >= count) return;
        assert_int_not_equal(wait, DS_NEVER_MS);
        false_clock_advance_ms(wait);
    }
}

static int64_t counter(ds_worker *w, dynoscale_counter c) {
    int64_t values[DYNOSCALE_COUNTER_COUNT] = {0};
    ds_worker_counters(w, values);
    int64_t dropped = 0;
    for (int i = DYNOSCALE_COUNTER_DROPPED_FULL; i <= DYNOSCALE_COUNTER_DROPPED_STOPPED; i++)
        dropped += values[i];
    assert_int_equal(values[DYNOSCALE_COUNTER_RECORDED],
                     values[DYNOSCALE_COUNTER_SENT] + values[DYNOSCALE_COUNTER_PENDING] + dropped);
    return values[c];
}

static const char *next_event(ds_worker *w, dynoscale_level at_least) {
    static char text[DYNOSCALE_EVENT_SIZE];
    dynoscale_level level;
    while (ds_worker_next_event(w, &level, text))
        if (level >= at_least) return text;
    return "";
}

/* ---- When --------------------------------------------------------------------------------- */

static void an_idle_worker_sleeps_without_limit(void **state) {
    ds_worker *w = *state;
    assert_int_equal(run_until_idle(w), DS_NEVER_MS);
    assert_int_equal(atomic_load(&w->sleep_state), DS_ASLEEP);
}

static void the_first_report_leaves_within_five_seconds(void **state) {
    ds_worker *w = *state;
    push(w, 3);
    live_for(w, 2900);
    assert_int_equal(false_transport_attempts(), 0);
    live_for(w, 1200);
    assert_int_equal(false_transport_rows(), 3);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_SENT), 3);
    assert_string_equal(next_event(w, DYNOSCALE_LEVEL_INFO),
                        "service accepted the first report of this process: 3 samples");
}

static void later_reports_leave_every_interval_less_up_to_a_quarter(void **state) {
    ds_worker *w = *state;
    push(w, 1);
    live_for(w, 5000);
    size_t before = false_transport_attempts();
    for (int second = 0; second < 300; second++) {
        push(w, 1);
        live_for(w, 1000);
    }
    size_t reports = false_transport_attempts() - before;
    assert_in_range(reports, 9, 14); /* 300 s / 30 s = 10, / 22.5 s = 13.3 */
}

static void a_silence_causes_no_wake_ups_and_its_end_is_reported_within_five_seconds(void **state) {
    ds_worker *w = *state;
    push(w, 1);
    live_for(w, 60000);
    assert_int_equal(run_until_idle(w), DS_NEVER_MS);
    assert_int_equal(false_transport_open(), 0);
    false_clock_advance_ms(3600000);
    push(w, 1);
    live_for(w, 4001);
    assert_int_equal(false_transport_rows(), 2);
}

static void the_worker_drains_each_second_while_samples_come(void **state) {
    ds_worker *w = *state;
    push(w, 1);
    assert_in_range(run_until_idle(w), 1, 1000);
    assert_int_equal(ds_buffer_count(&w->buffer), 0);
    assert_int_equal(atomic_load(&w->sleep_state), DS_AWAKE);
}

static void push_one(void *context) { push(context, 1); }

static void the_thread_does_not_sleep_over_a_sample_after_its_last_scan(void **state) {
    ds_worker *w = *state;
    false_transport_stall();
    push(w, 1);
    live_for(w, 4100);
    run_until_idle(w);
    false_transport_answer(200, "");
    false_clock_meanwhile(push_one, w); /* after the drain: when the answer is read */
    int64_t wait;
    assert_true(ds_worker_step(w, &wait));
    assert_int_equal(false_transport_rows(), 1);
    assert_in_range(wait, 1, 1000);
    assert_int_equal(ds_buffer_count(&w->buffer), 0);
    live_for(w, 30000);
    assert_int_equal(false_transport_rows(), 2);
}

static void the_sample_that_ends_a_silence_wakes_the_thread_or_a_later_second_does(void **state) {
    ds_worker *w = *state;
    run_until_idle(w);
    uint32_t posts = ds_wake_count(&w->wake);
    for (int64_t second = 1700000000; second < 1700000003; second++)
        for (int i = 0; i < 100; i++) {
            ds_worker_push(w, ds_sample(second, 1));
            uint32_t expected = posts + (uint32_t)(second - 1700000000 + 1);
            assert_int_equal(ds_wake_count(&w->wake), expected); /* the thread never wakes up */
        }
    run_until_idle(w);
    posts = ds_wake_count(&w->wake);
    push(w, 100);
    assert_int_equal(ds_wake_count(&w->wake), posts);
}

static void the_service_sets_the_interval(void **state) {
    ds_worker *w = *state;
    false_transport_answer(200, "{\"config\": {\"publish_frequency\": 2}}");
    push(w, 1);
    live_for(w, 4100);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_PUBLISH_FREQUENCY_MS), 2000);
    push(w, 1);
    live_for(w, 2100);
    assert_int_equal(false_transport_rows(), 2);
    false_transport_answer(200, "<html>");
    push(w, 1);
    live_for(w, 2100);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_PUBLISH_FREQUENCY_MS), 2000);
}

static void a_new_interval_holds_for_samples_that_came_while_it_was_on_its_way(void **state) {
    ds_worker *w = *state;
    push(w, 1);
    live_for(w, 2000);
    false_transport_stall();
    live_for(w, 2100);
    push(w, 1);
    live_for(w, 1000);
    false_transport_answer(200, "{\"config\": {\"publish_frequency\": 1}}");
    live_for(w, 1200);
    assert_int_equal(false_transport_rows(), 2);
}

static void an_empty_answer_changes_nothing(void **state) {
    ds_worker *w = *state;
    push(w, 1);
    live_for(w, 2000);
    false_transport_stall();
    live_for(w, 2100);
    false_transport_answer(204, "");
    live_for(w, 200);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_PUBLISH_FREQUENCY_MS), 30000);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_LAST_STATUS), 204);
}

static void the_wall_clock_may_step_an_hour_either_way(void **state) {
    ds_worker *w = *state;
    push(w, 1);
    live_for(w, 2000);
    false_clock_set_wall(NOW_NS + 3600LL * 1000000000);
    push(w, 1);
    live_for(w, 2100);
    assert_int_equal(false_transport_rows(), 2);
    false_clock_set_wall(NOW_NS - 3600LL * 1000000000);
    push(w, 1);
    live_for(w, 30000);
    assert_int_equal(false_transport_rows(), 3);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_DROPPED_EXPIRED), 0);
}

/* ---- What --------------------------------------------------------------------------------- */

static void a_report_carries_rows_and_headers(void **state) {
    ds_worker *w = *state;
    push(w, 2);
    assert_int_equal(ds_worker_add_row(w, "1700000000,5,rq:low,\r\n", 22), DYNOSCALE_OK);
    live_for(w, 4100);
    assert_string_equal(false_transport_body(0),
                        "1700000000,0,web,\r\n1700000000,1,web,\r\n1700000000,5,rq:low,\r\n");
    assert_string_equal(false_transport_header(0, "X_DYNO"), "web.1");
    assert_string_equal(false_transport_header(0, "HTTP_X_DYNO"), "web.1");
    assert_string_equal(false_transport_header(0, "X_APP_NAME"), "shop");
    assert_string_equal(false_transport_header(0, "User-Agent"), "dynoscale-c;" DYNOSCALE_VERSION);
    assert_int_equal(strlen(false_transport_header(0, "Idempotency-Key")), 32);
}

static void several_batches_are_sent_in_order_over_one_connection(void **state) {
    ds_worker *w = *state;
    for (int i = 0; i < 3; i++) {
        push(w, 12000);
        live_for(w, 1000);
    }
    live_for(w, 1100);
    assert_int_equal(false_transport_rows(), 36000);
    assert_int_equal(false_transport_attempts(), 3);
    assert_int_equal(false_transport_open(), 0);
    assert_string_not_equal(false_transport_header(0, "Idempotency-Key"),
                            false_transport_header(1, "Idempotency-Key"));
}

/* The scan has passed the slots of the first of these, and comes yet to the last one. */
static void push_around_the_pass(void *w) { push(w, 513); }

static void a_sample_is_not_reported_after_a_later_one(void **state) {
    ds_worker *w = *state;
    push(w, 513); /* more than are taken at once */
    faults_during_allocation(push_around_the_pass, w);
    assert_int_equal(ds_worker_flush(w, 0, NULL, NULL), DYNOSCALE_ERROR_TIMED_OUT);
    assert_int_equal(ds_batch_rows(ds_batches_oldest_due(&w->batches)), 2 * 513);
}

/* ---- Failures ----------------------------------------------------------------------------- */

static void a_failed_report_is_sent_again_as_it_was_under_its_key(void **state) {
    ds_worker *w = *state;
    false_transport_answer(500, "");
    push(w, 3);
    live_until_attempts(w, 1);
    push(w, 2);
    live_for(w, 20000);
    false_transport_answer(200, "");
    live_for(w, 60000);
    size_t last = false_transport_attempts() - 1;
    assert_string_equal(false_transport_body(0), false_transport_body(last - 1));
    assert_string_equal(false_transport_header(0, "Idempotency-Key"),
                        false_transport_header(last - 1, "Idempotency-Key"));
    assert_string_not_equal(false_transport_header(0, "Idempotency-Key"),
                            false_transport_header(last, "Idempotency-Key"));
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_SENT), 5);
}

static void waits_grow_from_one_second_to_the_interval(void **state) {
    ds_worker *w = *state;
    const int64_t steps[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
    false_transport_answer(0, "no route");
    push(w, 1);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        live_until_attempts(w, i + 1);
        run_until_idle(w);
        assert_in_range(w->retry_ms - ds_clock_monotonic_ms(), steps[i] * 3 / 4, steps[i]);
    }
}

static void waits_are_a_minute_at_most_however_long_the_interval(void **state) {
    ds_worker *w = *state;
    const int64_t steps[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    w->config.frequency_ms = 3600000;
    false_transport_answer(503, "");
    push(w, 1);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        live_until_attempts(w, i + 1);
        run_until_idle(w);
        assert_in_range(w->retry_ms - ds_clock_monotonic_ms(), steps[i] * 3 / 4, steps[i]);
    }
}

/* Adds a sample every 5 seconds; returns the number of warnings that the host logged. */
static int live_under_traffic(ds_worker *w, int seconds) {
    int warnings = 0;
    for (int second = 0; second < seconds; second += 5) {
        push(w, 1);
        live_for(w, 5000);
        while (*next_event(w, DYNOSCALE_LEVEL_WARN)) warnings++;
    }
    return warnings;
}

static void after_an_outage_a_report_is_tried_within_a_minute(void **state) {
    ds_worker *w = *state;
    const int64_t intervals[] = {1000, 30000, 600000, 3600000};
    for (size_t i = 0; i < sizeof intervals / sizeof *intervals; i++) {
        w->config.frequency_ms = intervals[i];
        false_transport_answer(503, "");
        live_under_traffic(w, 230);
        int64_t expired = counter(w, DYNOSCALE_COUNTER_DROPPED_EXPIRED);
        false_transport_answer(200, "");
        live_under_traffic(w, 65);
        assert_int_equal(counter(w, DYNOSCALE_COUNTER_DROPPED_EXPIRED), expired);
        assert_int_equal(ds_batches_oldest_due(&w->batches) != NULL, false);
    }
}

static void an_outage_is_one_warning_at_its_beginning_and_one_at_its_end(void **state) {
    ds_worker *w = *state;
    const int64_t intervals[] = {1000, 30000, 600000};
    for (size_t i = 0; i < sizeof intervals / sizeof *intervals; i++) {
        w->config.frequency_ms = intervals[i];
        false_transport_answer(503, "");
        assert_int_equal(live_under_traffic(w, 1800), 1);
        false_transport_answer(200, "");
        assert_int_equal(live_under_traffic(w, 1200), 1);
    }
}

static void a_service_that_keeps_failing_gives_at_most_two_warnings_in_ten_minutes(void **state) {
    ds_worker *w = *state;
    int warnings = 0;
    w->config.frequency_ms = 1000;
    for (int turn = 0; turn < 180; turn++) {
        false_transport_answer(turn % 2 == 0 ? 503 : 200, "");
        warnings += live_under_traffic(w, 10);
    }
    assert_in_range(warnings, 2, 2 * 4);
}

static void a_request_without_an_answer_in_time_is_cancelled(void **state) {
    ds_worker *w = *state;
    false_transport_stall();
    push(w, 3);
    live_until_attempts(w, 1);
    assert_true(w->in_flight);
    live_for(w, 15900);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_REPORTS_FAILED), 0);
    live_for(w, 200);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_REPORTS_FAILED), 1);
    assert_int_equal(false_transport_cancelled(), 1);
    assert_string_equal(next_event(w, DYNOSCALE_LEVEL_WARN),
                        "a report to service failed: there was no answer in time; 3 samples are "
                        "kept and sent again");
    false_transport_answer(200, "");
    live_for(w, 2000);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_SENT), 3);
}

static void a_failure_is_logged_once_and_its_end_too(void **state) {
    ds_worker *w = *state;
    false_transport_answer(0, "Connection refused");
    push(w, 2);
    live_for(w, 30000);
    assert_string_equal(next_event(w, DYNOSCALE_LEVEL_WARN),
                        "a report to service failed: Connection refused; 2 samples are kept and "
                        "sent again");
    assert_string_equal(next_event(w, DYNOSCALE_LEVEL_WARN), "");
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_LAST_STATUS), 0);
    false_transport_answer(200, "");
    live_for(w, 60000);
    push(w, 1);
    false_transport_answer(503, "");
    live_for(w, 60000);
    assert_string_equal(next_event(w, DYNOSCALE_LEVEL_WARN),
                        "a report to service failed: it answered with status 503; 1 samples are "
                        "kept and sent again");
    false_transport_answer(200, "");
    live_for(w, 60000);
    assert_string_equal(next_event(w, DYNOSCALE_LEVEL_INFO), "service accepts reports again");
}

static void retry_after_is_honoured(void **state) {
    ds_worker *w = *state;
    false_transport_answer(429, "");
    false_transport_retry_after(120000);
    push(w, 1);
    live_for(w, 4001);
    assert_int_equal(false_transport_attempts(), 1);
    false_transport_answer(200, "");
    live_for(w, 119000);
    assert_int_equal(false_transport_attempts(), 1);
    live_for(w, 45000);
    assert_int_equal(false_transport_rows(), 1);
}

static void retry_after_never_lasts_longer_than_samples_are_kept(void **state) {
    ds_worker *w = *state;
    false_transport_answer(503, "");
    false_transport_retry_after(3600000); /* as if the transport had not cut it */
    push(w, 10);
    live_for(w, 4001);
    false_transport_answer(200, "");
    live_for(w, 161000);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_SENT), 10);
}

/* Each of several exit handlers calls it. A worker that can't end would delay each of them. */
static void all_handlers_of_an_exit_wait_for_the_first_ones_deadline(void **state) {
    ds_worker *w = *state;
    int64_t now = ds_clock_monotonic_ms();
    ds_worker_stop_by(w, now + 2000);
    false_clock_advance_ms(2000);
    ds_worker_stop_by(w, now + 4000);
    assert_int_equal(atomic_load(&w->exit_deadline_ms), now + 2000);
}

static void processes_retry_at_different_times_after_a_retry_after(void **state) {
    ds_worker *w = *state;
    int64_t earliest = INT64_MAX, latest = 0;
    for (int i = 0; i < 40; i++) {
        false_transport_answer(503, "");
        false_transport_retry_after(60000);
        push(w, 1);
        live_until_attempts(w, false_transport_attempts() + 1);
        run_until_idle(w);
        int64_t wait = w->retry_ms - ds_clock_monotonic_ms();
        earliest = wait < earliest ? wait : earliest;
        latest = wait > latest ? wait : latest;
        false_transport_answer(200, "");
        live_for(w, 90000);
    }
    assert_in_range(earliest, 60000, 80000);
    assert_in_range(latest - earliest, 5000, 20000);
}

static void retry_after_zero_does_not_hammer(void **state) {
    ds_worker *w = *state;
    false_transport_answer(503, "");
    false_transport_retry_after(0);
    push(w, 1);
    live_for(w, 4001);
    size_t before = false_transport_attempts();
    live_for(w, 10000);
    assert_in_range(false_transport_attempts() - before, 7, 11);
}

static void samples_are_kept_if_a_retry_can_help_and_dropped_if_not(void **state) {
    ds_worker *w = *state;
    const int better[] = {408, 429, 500, 502, 503, 599, 301, 304, 0};
    const int worse[] = {400, 401, 403, 404, 410, 413, 422, 451, 499};
    int64_t rejected = 0;
    for (size_t i = 0; i < sizeof better / sizeof *better; i++) {
        false_transport_answer(better[i], "");
        push(w, 1);
        live_for(w, 31000);
        assert_int_equal(counter(w, DYNOSCALE_COUNTER_PENDING), 1);
        false_transport_answer(200, "");
        live_for(w, 61000);
        assert_int_equal(counter(w, DYNOSCALE_COUNTER_PENDING), 0);
    }
    live_for(w, 600000); /* so that it is logged in any case */
    while (*next_event(w, DYNOSCALE_LEVEL_DEBUG)) continue;
    for (size_t i = 0; i < sizeof worse / sizeof *worse; i++) {
        false_transport_answer(worse[i], "");
        push(w, 1);
        live_for(w, 31000);
        assert_int_equal(counter(w, DYNOSCALE_COUNTER_DROPPED_REJECTED), ++rejected);
    }
    assert_string_equal(next_event(w, DYNOSCALE_LEVEL_WARN),
                        "service refused a report with status 400, and 1 samples were dropped: "
                        "check DYNOSCALE_URL");
    assert_string_equal(next_event(w, DYNOSCALE_LEVEL_WARN), "");
    false_transport_answer(200, "");
    push(w, 1);
    live_for(w, 31000);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_PENDING), 0);
}

static void samples_unsent_for_five_minutes_are_dropped_and_counted(void **state) {
    ds_worker *w = *state;
    false_transport_answer(0, "down");
    push(w, 7);
    live_for(w, 300000);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_PENDING), 7);
    live_for(w, 6000);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_DROPPED_EXPIRED), 7);
    assert_int_equal(run_until_idle(w), DS_NEVER_MS);
    next_event(w, DYNOSCALE_LEVEL_WARN);
    assert_string_equal(next_event(w, DYNOSCALE_LEVEL_WARN), "");
    false_transport_answer(200, "");
    push(w, 1);
    live_for(w, 60000);
    assert_string_equal(next_event(w, DYNOSCALE_LEVEL_WARN),
                        "service accepts reports again; 7 samples were dropped meanwhile");
}

static void while_the_service_is_down_samples_are_kept_for_five_minutes_each(void **state) {
    ds_worker *w = *state;
    false_transport_answer(503, "");
    for (int second = 0; second < 900; second++) {
        push(w, 2);
        live_for(w, 1000);
    }
    int64_t pending = counter(w, DYNOSCALE_COUNTER_PENDING);
    assert_in_range(pending, 2 * 300, 2 * 340);
    false_transport_answer(200, "");
    live_for(w, 61000);
    assert_in_range(counter(w, DYNOSCALE_COUNTER_SENT), 2 * 260, pending);
}

static void short_intervals_use_up_no_batches_while_reports_fail(void **state) {
    ds_worker *w = *state;
    w->config.frequency_ms = 1000;
    false_transport_answer(503, "");
    for (int second = 0; second < 280; second++) {
        push(w, 2);
        live_for(w, 1000);
    }
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_PENDING), 2 * 280);
    assert_in_range(w->batches.sealed, 2, 280 / 5 + 2);
    false_transport_answer(200, "");
    live_for(w, 61000);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_SENT), 2 * 280);
}

static void reports_further_apart_than_five_minutes_lose_nothing(void **state) {
    ds_worker *w = *state;
    w->config.frequency_ms = 3600000;
    push(w, 1);
    live_for(w, 5000);
    for (int minute = 0; minute < 70; minute++) {
        push(w, 1000);
        live_for(w, 60000);
    }
    live_for(w, 3600000);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_SENT), 70001);
}

static void a_long_interval_under_much_traffic_sends_before_the_batches_run_out(void **state) {
    ds_worker *w = *state;
    w->config.frequency_ms = 3600000;
    push(w, 1);
    live_for(w, 5000);
    for (int second = 0; second < 100; second++) {
        push(w, 14000);
        live_for(w, 1000);
    }
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_DROPPED_FULL), 0);
    assert_true(counter(w, DYNOSCALE_COUNTER_SENT) > 0);
}

static void samples_beyond_the_bound_are_dropped_counted_and_logged_once(void **state) {
    ds_worker *w = *state;
    false_transport_stall();
    for (int i = 0; i < 80; i++) {
        push(w, DS_BUFFER_SLOTS);
        live_for(w, 100);
    }
    int64_t bound = DS_BATCHES * DS_BATCH_SAMPLES;
    assert_in_range(counter(w, DYNOSCALE_COUNTER_PENDING), bound - DS_BATCH_SAMPLES, bound);
    assert_true(counter(w, DYNOSCALE_COUNTER_DROPPED_FULL) > 0);
    assert_string_equal(next_event(w, DYNOSCALE_LEVEL_WARN),
                        "the buffer of unsent samples is full: the newest are dropped, and counted "
                        "as dropped_full");
    assert_string_equal(next_event(w, DYNOSCALE_LEVEL_WARN), "");
}

static void pushes_to_a_full_buffer_are_counted_and_logged_once(void **state) {
    ds_worker *w = *state;
    push(w, DS_BUFFER_SLOTS + 5);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_DROPPED_FULL), 5);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_RECORDED), DS_BUFFER_SLOTS + 5);
    run_until_idle(w);
    assert_non_null(strstr(next_event(w, DYNOSCALE_LEVEL_WARN), "counted as dropped_full"));
    push(w, DS_BUFFER_SLOTS + 5);
    run_until_idle(w);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_DROPPED_FULL), 10);
    assert_string_equal(next_event(w, DYNOSCALE_LEVEL_WARN), "");
}

static void samples_taken_during_a_transfer_wait_for_the_next(void **state) {
    ds_worker *w = *state;
    push(w, 1);
    live_for(w, 2000);
    false_transport_stall();
    live_for(w, 2100);
    assert_true(w->in_flight);
    push(w, 5);
    live_for(w, 5000);
    assert_int_equal(ds_buffer_count(&w->buffer), 0);
    false_transport_answer(200, "");
    live_for(w, 100);
    assert_int_equal(false_transport_rows(), 1);
    live_for(w, 60000);
    assert_int_equal(false_transport_rows(), 6);
}

static void a_connection_that_can_not_be_made_is_a_failure_like_others(void **state) {
    ds_worker *w = *state;
    false_transport_refuse_open(true);
    push(w, 1);
    live_for(w, 4100);
    assert_string_equal(next_event(w, DYNOSCALE_LEVEL_WARN),
                        "a report to service failed: no connection to be had; 1 samples are kept "
                        "and sent again");
    false_transport_refuse_open(false);
    false_transport_refuse_start(true);
    live_for(w, 1100);
    false_transport_refuse_start(false);
    live_for(w, 30000);
    assert_int_equal(false_transport_rows(), 1);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_REPORTS_FAILED), 2);
}

/* ---- Stopping ----------------------------------------------------------------------------- */

static void finish(ds_worker *w) {
    int64_t wait = 0;
    for (int turns = 0; ds_worker_step(w, &wait); turns++) {
        assert_true(turns < 1000);
        if (wait > 0) false_clock_advance_ms(wait);
    }
}

static void a_stop_sends_what_was_recorded_and_ends(void **state) {
    ds_worker *w = *state;
    push(w, 4);
    w->deadline_ms = ds_clock_monotonic_ms() + 2000;
    finish(w);
    assert_int_equal(false_transport_rows(), 4);
    assert_int_equal(false_transport_open(), 0);
    push(w, 3);
    push(w, 3);
    assert_int_equal(ds_worker_add_row(w, "x\r\n", 3), DYNOSCALE_ERROR_STOPPED);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_DROPPED_STOPPED), 7);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_RECORDED), 11);
    assert_int_equal(ds_worker_flush(w, 100, NULL, NULL), DYNOSCALE_ERROR_STOPPED);
    assert_int_equal(ds_worker_stop(w, 100, NULL, NULL), DYNOSCALE_OK);
}

static void after_a_stop_samples_are_counted_and_nobody_is_woken(void **state) {
    ds_worker *w = *state;
    push(w, DS_BUFFER_SLOTS + 5); /* 5 find the buffer full */
    w->deadline_ms = ds_clock_monotonic_ms() + 2000;
    finish(w);
    pthread_mutex_lock(&w->lock); /* a push that took it would hang */
    push(w, DS_BUFFER_SLOTS + 7);
    pthread_mutex_unlock(&w->lock);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_DROPPED_FULL), 5);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_DROPPED_STOPPED), DS_BUFFER_SLOTS + 7);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_PENDING), 0);
    assert_int_equal(ds_buffer_count(&w->buffer), 0);
}

static void a_stop_cancels_the_transfer_in_flight_at_its_deadline(void **state) {
    ds_worker *w = *state;
    false_transport_stall();
    push(w, 4);
    w->deadline_ms = ds_clock_monotonic_ms() + 2000;
    int64_t before = ds_clock_monotonic_ms();
    finish(w);
    assert_in_range(ds_clock_monotonic_ms() - before, 2000, 2100);
    assert_int_equal(false_transport_cancelled(), 1);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_DROPPED_STOPPED), 4);
}

static void a_stop_tries_again_while_it_may(void **state) {
    ds_worker *w = *state;
    false_transport_answer(500, "");
    push(w, 4);
    w->deadline_ms = ds_clock_monotonic_ms() + 2000;
    finish(w);
    assert_in_range(false_transport_attempts(), 2, 3);
    assert_int_equal(counter(w, DYNOSCALE_COUNTER_DROPPED_STOPPED), 4);
}

/* ---- Events ------------------------------------------------------------------------------- */

static void of_many_events_the_newest_sixteen_are_kept(void **state) {
    ds_worker *w = *state;
    char text[DYNOSCALE_EVENT_SIZE];
    dynoscale_level level;
    for (int i = 0; i < 20; i++) ds_events_add(&w->events, DYNOSCALE_LEVEL_INFO, "event %d", i);
    for (int i = 4; i < 20; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "event %d", i);
        assert_true(ds_events_any(&w->events));
        assert_true(ds_worker_next_event(w, &level, text));
        assert_string_equal(text, expected);
    }
    assert_false(ds_events_any(&w->events));
    assert_false(ds_worker_next_event(w, &level, text));
}

int main(void) {
#define WITH_WORKER(test) cmocka_unit_test_setup_teardown(test, false_worker_new, false_worker_free)
    const struct CMUnitTest tests[] = {
        WITH_WORKER(an_idle_worker_sleeps_without_limit),
        WITH_WORKER(the_first_report_leaves_within_five_seconds),
        WITH_WORKER(later_reports_leave_every_interval_less_up_to_a_quarter),
        WITH_WORKER(a_silence_causes_no_wake_ups_and_its_end_is_reported_within_five_seconds),
        WITH_WORKER(the_worker_drains_each_second_while_samples_come),
        WITH_WORKER(the_thread_does_not_sleep_over_a_sample_after_its_last_scan),
        WITH_WORKER(the_sample_that_ends_a_silence_wakes_the_thread_or_a_later_second_does),
        WITH_WORKER(the_service_sets_the_interval),
        WITH_WORKER(a_new_interval_holds_for_samples_that_came_while_it_was_on_its_way),
        WITH_WORKER(an_empty_answer_changes_nothing),
        WITH_WORKER(the_wall_clock_may_step_an_hour_either_way),
        WITH_WORKER(a_report_carries_rows_and_headers),
        WITH_WORKER(several_batches_are_sent_in_order_over_one_connection),
        WITH_WORKER(a_sample_is_not_reported_after_a_later_one),
        WITH_WORKER(a_failed_report_is_sent_again_as_it_was_under_its_key),
        WITH_WORKER(waits_grow_from_one_second_to_the_interval),
        WITH_WORKER(a_failure_is_logged_once_and_its_end_too),
        WITH_WORKER(an_outage_is_one_warning_at_its_beginning_and_one_at_its_end),
        WITH_WORKER(a_service_that_keeps_failing_gives_at_most_two_warnings_in_ten_minutes),
        WITH_WORKER(a_request_without_an_answer_in_time_is_cancelled),
        WITH_WORKER(waits_are_a_minute_at_most_however_long_the_interval),
        WITH_WORKER(after_an_outage_a_report_is_tried_within_a_minute),
        WITH_WORKER(retry_after_is_honoured),
        WITH_WORKER(retry_after_never_lasts_longer_than_samples_are_kept),
        WITH_WORKER(processes_retry_at_different_times_after_a_retry_after),
        WITH_WORKER(retry_after_zero_does_not_hammer),
        WITH_WORKER(samples_are_kept_if_a_retry_can_help_and_dropped_if_not),
        WITH_WORKER(samples_unsent_for_five_minutes_are_dropped_and_counted),
        WITH_WORKER(while_the_service_is_down_samples_are_kept_for_five_minutes_each),
        WITH_WORKER(short_intervals_use_up_no_batches_while_reports_fail),
        WITH_WORKER(reports_further_apart_than_five_minutes_lose_nothing),
        WITH_WORKER(a_long_interval_under_much_traffic_sends_before_the_batches_run_out),
        WITH_WORKER(samples_beyond_the_bound_are_dropped_counted_and_logged_once),
        WITH_WORKER(pushes_to_a_full_buffer_are_counted_and_logged_once),
        WITH_WORKER(samples_taken_during_a_transfer_wait_for_the_next),
        WITH_WORKER(a_connection_that_can_not_be_made_is_a_failure_like_others),
        WITH_WORKER(a_stop_sends_what_was_recorded_and_ends),
        WITH_WORKER(after_a_stop_samples_are_counted_and_nobody_is_woken),
        WITH_WORKER(a_stop_cancels_the_transfer_in_flight_at_its_deadline),
        WITH_WORKER(a_stop_tries_again_while_it_may),
        WITH_WORKER(all_handlers_of_an_exit_wait_for_the_first_ones_deadline),
        WITH_WORKER(of_many_events_the_newest_sixteen_are_kept),
    };
    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
