/* The public functions, with the real thread and a service in memory. */
#define _GNU_SOURCE
#include "support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif

#include "agent.h"
#include "clock.h"
#include "leader.h"
#include "support/child.h"
#include "support/false_clock.h"
#include "support/false_transport.h"
#include "support/faults.h"

static dynoscale_options *options_with(const char *url, const char *dyno, const char *dev_mode) {
    const char *const values[][2] = {{"url", url}, {"dyno", dyno}, {"dev_mode", dev_mode}};
    dynoscale_options *o = dynoscale_options_new();
    for (size_t i = 0; o && i < 3; i++)
        dynoscale_options_set(o, dynoscale_setting_find(values[i][0], strlen(values[i][0])),
                              values[i][1], values[i][1] ? strlen(values[i][1]) : 0,
                              DYNOSCALE_SOURCE_CODE);
    return o;
}

static dynoscale_agent *opened(const char *url, const char *dev_mode) {
    dynoscale_options *o = options_with(url, "web.1", dev_mode);
    dynoscale_agent *agent = NULL;
    dynoscale_options_read_environment(o);
    assert_int_equal(ds_agent_open(o, "c", &false_transport, &agent), DYNOSCALE_OK);
    dynoscale_options_free(o);
    return agent;
}

static int open_agent(void **state) {
    false_clock_set_wall(NOW_NS);
    false_transport_reset();
    *state = opened("http://service/token", NULL);
    return 0;
}

/* Lets time pass while flush and stop wait. */
static bool time_passes(void *context) {
    (void)context;
    false_clock_advance_ms(50);
    return false;
}

static dynoscale_error stop(dynoscale_agent *agent) {
    return dynoscale_agent_stop(agent, 2000, time_passes, NULL);
}

static dynoscale_error flush(dynoscale_agent *agent) {
    return dynoscale_agent_flush(agent, 2000, time_passes, NULL);
}

static int close_agent(void **state) {
    false_transport_answer(200, "");
    stop(*state);
    dynoscale_agent_free(*state);
    return 0;
}

/* A request that has waited for so many ms. */
static int64_t request(dynoscale_agent *agent, int64_t waited_ms) {
    char stamp[32];
    int length = snprintf(stamp, sizeof stamp, "%lld",
                          (long long)(ds_clock_wall_ns() / 1000000 - waited_ms));
    return dynoscale_agent_request(agent, stamp, (size_t)length, NULL, 0, 0);
}

static int64_t counter(dynoscale_agent *agent, dynoscale_counter c) {
    int64_t values[DYNOSCALE_COUNTER_COUNT];
    dynoscale_agent_counters(agent, values);
    return values[c];
}

/* ---- Opening ------------------------------------------------------------------------------ */

static void an_agent_that_is_off_is_null_and_harmless(void **state) {
    (void)state;
    dynoscale_agent *agent = (dynoscale_agent *)1;
    dynoscale_options *o = options_with(NULL, "web.1", NULL);
    int64_t values[DYNOSCALE_COUNTER_COUNT];
    dynoscale_level level;
    char text[DYNOSCALE_EVENT_SIZE];
    assert_int_equal(dynoscale_agent_open(o, "c", &agent), DYNOSCALE_ERROR_OFF);
    assert_null(agent);
    dynoscale_agent_prepare(NULL);
    assert_int_equal(dynoscale_agent_request(NULL, "x", 1, NULL, 0, 0), DYNOSCALE_STAMP_OFF);
    assert_int_equal(dynoscale_agent_job_queue_time(NULL, "rq", 2, "q", 1, 0), DYNOSCALE_ERROR_OFF);
    assert_int_equal(dynoscale_agent_flush(NULL, 0, NULL, NULL), DYNOSCALE_OK);
    assert_int_equal(dynoscale_agent_stop(NULL, 0, NULL, NULL), DYNOSCALE_OK);
    assert_false(dynoscale_agent_has_event(NULL));
    assert_false(dynoscale_agent_next_event(NULL, &level, text));
    dynoscale_agent_counters(NULL, values);
    for (int i = 0; i < DYNOSCALE_COUNTER_COUNT; i++) assert_int_equal(values[i], 0);
    dynoscale_agent_free(NULL);
    dynoscale_options_free(o);
}

static void the_same_settings_give_the_same_agent_until_all_have_freed_it(void **state) {
    dynoscale_agent *first = *state, *same = opened("http://service/token", NULL);
    dynoscale_agent *other = opened("http://service/other", NULL);
    assert_ptr_equal(first, same);
    assert_ptr_not_equal(first, other);
    dynoscale_agent_free(same);
    assert_int_equal(request(first, 5), 5);
    assert_int_equal(flush(first), DYNOSCALE_OK);
    stop(first); /* for good: a later open returns another one */
    same = opened("http://service/token", NULL);
    assert_ptr_not_equal(first, same);
    assert_int_equal(request(same, 5), 5);
    assert_int_equal(stop(same), DYNOSCALE_OK);
    dynoscale_agent_free(same);
    stop(other);
    dynoscale_agent_free(other);
}

/* As in configure() while another thread is in a flush of the previous agent. */
static void other_settings_give_another_agent_even_while_the_first_is_held(void **state) {
    dynoscale_agent *first = *state;
    setenv("DYNOSCALE_PUBLISH_FREQUENCY", "7", 1);
    dynoscale_agent *other = opened("http://service/token", NULL);
    dynoscale_agent *same = opened("http://service/token", NULL);
    unsetenv("DYNOSCALE_PUBLISH_FREQUENCY");
    assert_ptr_not_equal(first, other);
    assert_ptr_equal(other, same);
    assert_int_equal(counter(first, DYNOSCALE_COUNTER_PUBLISH_FREQUENCY_MS), 30000);
    assert_int_equal(counter(other, DYNOSCALE_COUNTER_PUBLISH_FREQUENCY_MS), 7000);
    dynoscale_agent_free(same);
    dynoscale_agent_free(other);
}

static void the_public_open_uses_libcurl_and_starts_nothing(void **state) {
    (void)state;
    dynoscale_options *o = options_with("http://127.0.0.1:1/x", "web.1", NULL);
    dynoscale_agent *agent;
    assert_int_equal(dynoscale_agent_open(o, "c", &agent), DYNOSCALE_OK);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_THREAD_STARTS), 0);
    dynoscale_agent_free(agent);
    dynoscale_options_free(o);
}

/* ---- Preparing ---------------------------------------------------------------------------- */

static void prepare_leaves_no_thread_and_the_first_sample_starts_one(void **state) {
    dynoscale_agent *agent = *state;
    for (int i = 0; i < 2; i++) dynoscale_agent_prepare(agent);
    assert_int_equal(flush(agent), DYNOSCALE_OK);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_THREAD_STARTS), 0);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_RECORDED), 0);
    assert_int_equal(false_transport_attempts(), 0);
    assert_int_equal(request(agent, 5), 5);
    dynoscale_agent_prepare(agent);
    assert_int_equal(flush(agent), DYNOSCALE_OK);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_THREAD_STARTS), 1);
    assert_int_equal(false_transport_rows(), 1);
}

static void a_prepared_agent_may_be_stopped_at_once(void **state) {
    dynoscale_agent *agent = *state;
    dynoscale_agent_prepare(agent);
    assert_int_equal(stop(agent), DYNOSCALE_OK);
    dynoscale_agent_prepare(agent);
    assert_int_equal(request(agent, 3), 3);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_THREAD_STARTS), 0);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_DROPPED_STOPPED), 1);
}

/* Else the next worker takes it. */
static void use_up_what_was_prepared(void) {
    dynoscale_agent *other = opened("http://service/other", NULL);
    assert_int_equal(request(other, 5), 5);
    assert_int_equal(stop(other), DYNOSCALE_OK);
    dynoscale_agent_free(other);
    false_transport_reset();
}

static void a_failed_prepare_is_left_to_the_first_sample(void **state) {
    dynoscale_agent *agent = *state;
    use_up_what_was_prepared();
    faults_fail_allocation_after(0);
    dynoscale_agent_prepare(agent);
    assert_true(faults_allocation_failed());
    faults_fail_allocation_after(-1);
    faults_refuse_threads(true);
    dynoscale_agent_prepare(agent);
    faults_refuse_threads(false);
    assert_false(dynoscale_agent_has_event(agent));
    assert_int_equal(request(agent, 5), 5);
    assert_int_equal(flush(agent), DYNOSCALE_OK);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_RECORDED), 1);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_THREAD_FAILURES), 0);
    assert_int_equal(false_transport_rows(), 1);
}

/* ---- Requests ----------------------------------------------------------------------------- */

static void requests_give_their_queue_time_and_reach_the_service(void **state) {
    dynoscale_agent *agent = *state;
    for (int64_t i = 0; i < 500; i++) assert_int_equal(request(agent, i), i);
    assert_int_equal(flush(agent), DYNOSCALE_OK);
    assert_int_equal(false_transport_rows(), 500);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_RECORDED), 500);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_SENT), 500);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_PENDING), 0);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_THREAD_STARTS), 1);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_LAST_REPORT_AT), NOW_NS / 1000000000);
    assert_memory_equal(false_transport_body(0), "1700000000,0,web,\r\n1700000000,1,web,\r\n", 38);
}

static void requests_without_a_usable_stamp_are_counted_and_start_nothing(void **state) {
    dynoscale_agent *agent = *state;
    assert_int_equal(dynoscale_agent_request(agent, NULL, 0, NULL, 0, 0), DYNOSCALE_STAMP_MISSING);
    assert_int_equal(dynoscale_agent_request(agent, "", 0, NULL, 0, 0), DYNOSCALE_STAMP_MISSING);
    assert_int_equal(dynoscale_agent_request(agent, "x", 1, NULL, 0, 0), DYNOSCALE_STAMP_MALFORMED);
    assert_int_equal(request(agent, 600001), DYNOSCALE_STAMP_STALE);
    assert_int_equal(request(agent, -2000), DYNOSCALE_STAMP_FUTURE);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_STAMP_MISSING), 2);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_STAMP_MALFORMED), 1);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_STAMP_STALE), 1);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_STAMP_FUTURE), 1);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_RECORDED), 0);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_THREAD_STARTS), 0);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_PUBLISH_FREQUENCY_MS), 30000);
}

static void in_development_a_missing_stamp_is_made_up(void **state) {
    (void)state;
    false_transport_reset();
    dynoscale_agent *agent = opened("http://service/dev", "true");
    for (int i = 0; i < 50; i++)
        assert_in_range(dynoscale_agent_request(agent, NULL, 0, NULL, 0, 0), 0, 99);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_RECORDED), 50);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_PUBLISH_FREQUENCY_MS), 1000);
    assert_int_equal(stop(agent), DYNOSCALE_OK);
    dynoscale_agent_free(agent);
}

static void readings_of_job_queues_are_reported_or_refused(void **state) {
    dynoscale_agent *agent = *state;
    assert_int_equal(dynoscale_agent_job_queue_time(agent, "rq", 2, "low,slow", 8, 95),
                     DYNOSCALE_OK);
    assert_int_equal(dynoscale_agent_job_queue_time(agent, "rq", 2, "low", 3, -1),
                     DYNOSCALE_ERROR_INVALID);
    assert_int_equal(dynoscale_agent_job_queue_time(agent, "rq", 2, "a\nb", 3, 1),
                     DYNOSCALE_ERROR_INVALID);
    assert_int_equal(dynoscale_agent_job_queue_time(agent, NULL, 0, NULL, 0, 1),
                     DYNOSCALE_ERROR_INVALID);
    assert_int_equal(flush(agent), DYNOSCALE_OK);
    assert_string_equal(false_transport_body(0), "1700000000,95,\"rq:low,slow\",\r\n");
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_JOBS_REFUSED), 3);
}

enum { THREADS = 8, REQUESTS = 5000 };

static void *make_requests(void *context) {
    for (int i = 0; i < REQUESTS; i++) request(context, i % 1000);
    return NULL;
}

static void many_threads_lose_nothing(void **state) {
    dynoscale_agent *agent = *state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, make_requests, agent);
    while (flush(agent) == DYNOSCALE_OK &&
           counter(agent, DYNOSCALE_COUNTER_RECORDED) < THREADS * REQUESTS)
        continue;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(flush(agent), DYNOSCALE_OK);
    int64_t lost = counter(agent, DYNOSCALE_COUNTER_DROPPED_FULL);
    assert_int_equal(false_transport_rows() + (size_t)lost, THREADS * REQUESTS);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_THREAD_STARTS), 1);
}

/* Until everything that many_threads record is there: each reading adds up, and no counter
 * decreases. */
static void *look_at_counters(void *context) {
    int64_t values[DYNOSCALE_COUNTER_COUNT], before = 0;
    do {
        dynoscale_agent_counters(context, values);
        int64_t known = values[DYNOSCALE_COUNTER_SENT] + values[DYNOSCALE_COUNTER_PENDING];
        for (int i = DYNOSCALE_COUNTER_DROPPED_FULL; i <= DYNOSCALE_COUNTER_DROPPED_STOPPED; i++)
            known += values[i];
        if (values[DYNOSCALE_COUNTER_RECORDED] != known) return "they do not add up";
        if (known < before) return "they went back";
        before = known;
    } while (before < THREADS * REQUESTS);
    return NULL;
}

static void counters_add_up_at_every_moment_for_every_thread(void **state) {
    dynoscale_agent *agent = *state;
    enum { LOOKERS = 3 };
    pthread_t threads[THREADS], lookers[LOOKERS];
    for (int i = 0; i < LOOKERS; i++) pthread_create(&lookers[i], NULL, look_at_counters, agent);
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, make_requests, agent);
    for (int i = 0; i < THREADS; i++) {
        flush(agent);
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < LOOKERS; i++) {
        void *wrong;
        pthread_join(lookers[i], &wrong);
        if (wrong) fail_msg("%s", (const char *)wrong);
    }
}

/* ---- Flush and stop ----------------------------------------------------------------------- */

static void a_flush_of_nothing_is_done_at_once(void **state) {
    assert_int_equal(dynoscale_agent_flush(*state, 0, NULL, NULL), DYNOSCALE_OK);
    assert_int_equal(false_transport_attempts(), 0);
}

static void a_flush_says_when_time_ran_out_and_keeps_the_samples(void **state) {
    dynoscale_agent *agent = *state;
    false_transport_stall();
    request(agent, 1);
    assert_int_equal(flush(agent), DYNOSCALE_ERROR_TIMED_OUT);
    assert_int_equal(dynoscale_agent_flush(agent, -5, NULL, NULL), DYNOSCALE_ERROR_TIMED_OUT);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_PENDING), 1);
    false_transport_answer(200, "");
    assert_int_equal(flush(agent), DYNOSCALE_OK);
    assert_int_equal(false_transport_rows(), 1);
}

static void a_flush_says_when_samples_were_given_up(void **state) {
    dynoscale_agent *agent = *state;
    false_transport_answer(404, "");
    request(agent, 1);
    assert_int_equal(flush(agent), DYNOSCALE_ERROR_DROPPED);
    false_transport_answer(200, "");
    request(agent, 1);
    assert_int_equal(flush(agent), DYNOSCALE_OK);
}

static bool at_once(void *context) {
    ++*(int *)context;
    return true;
}

static void a_wait_can_be_interrupted(void **state) {
    dynoscale_agent *agent = *state;
    int asked = 0;
    false_transport_stall();
    request(agent, 1);
    assert_int_equal(dynoscale_agent_flush(agent, 2000, at_once, &asked),
                     DYNOSCALE_ERROR_INTERRUPTED);
    assert_int_equal(dynoscale_agent_stop(agent, 2000, at_once, &asked),
                     DYNOSCALE_ERROR_INTERRUPTED);
    assert_int_equal(asked, 2);
    false_transport_answer(200, "");
    assert_int_equal(stop(agent), DYNOSCALE_OK);
}

static void a_stop_sends_all_and_is_for_good(void **state) {
    dynoscale_agent *agent = *state;
    for (int i = 0; i < 10; i++) request(agent, i);
    assert_int_equal(stop(agent), DYNOSCALE_OK);
    assert_int_equal(false_transport_rows(), 10);
    assert_int_equal(request(agent, 3), 3);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_DROPPED_STOPPED), 1);
    assert_int_equal(dynoscale_agent_job_queue_time(agent, "rq", 2, "q", 1, 1),
                     DYNOSCALE_ERROR_STOPPED);
    assert_int_equal(flush(agent), DYNOSCALE_ERROR_STOPPED);
    assert_int_equal(stop(agent), DYNOSCALE_OK);
}

static void a_stop_before_the_first_sample_starts_nothing_later(void **state) {
    dynoscale_agent *agent = *state;
    assert_int_equal(stop(agent), DYNOSCALE_OK);
    assert_int_equal(request(agent, 3), 3);
    assert_int_equal(dynoscale_agent_job_queue_time(agent, "rq", 2, "q", 1, 1),
                     DYNOSCALE_ERROR_STOPPED);
    assert_int_equal(flush(agent), DYNOSCALE_ERROR_STOPPED);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_THREAD_STARTS), 0);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_DROPPED_STOPPED), 2);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_RECORDED), 2);
}

static void a_stop_does_not_wait_for_a_service_that_hangs(void **state) {
    dynoscale_agent *agent = *state;
    false_transport_stall();
    request(agent, 1);
    assert_int_equal(stop(agent), DYNOSCALE_ERROR_TIMED_OUT);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_DROPPED_STOPPED), 1);
    assert_int_equal(false_transport_open(), 0);
    assert_int_equal(false_transport_cancelled(), 1);
}

static void a_later_stop_may_shorten_an_earlier_one(void **state) {
    dynoscale_agent *agent = *state;
    int asked = 0;
    false_transport_stall();
    request(agent, 1);
    assert_int_equal(dynoscale_agent_stop(agent, 300000, at_once, &asked),
                     DYNOSCALE_ERROR_INTERRUPTED);
    int64_t before = ds_clock_monotonic_ms();
    assert_int_equal(stop(agent), DYNOSCALE_ERROR_TIMED_OUT);
    assert_in_range(ds_clock_monotonic_ms() - before, 2000, 2300);
}

static void a_stop_whose_report_is_refused_returns_dropped(void **state) {
    dynoscale_agent *agent = *state;
    false_transport_answer(401, "");
    request(agent, 1);
    assert_int_equal(stop(agent), DYNOSCALE_ERROR_DROPPED);
}

static void a_stop_may_last_for_ever(void **state) {
    dynoscale_agent *agent = *state;
    request(agent, 1);
    assert_int_equal(dynoscale_agent_stop(agent, INT64_MAX, time_passes, NULL), DYNOSCALE_OK);
    assert_int_equal(dynoscale_agent_stop(agent, INT64_MIN, time_passes, NULL), DYNOSCALE_OK);
}

static void stop_meanwhile(void *context) { stop(context); }

static void a_stop_in_the_middle_of_the_first_request_is_for_good(void **state) {
    dynoscale_agent *agent = *state;
    faults_during_allocation(stop_meanwhile, agent);
    assert_int_equal(request(agent, 3), 3);
    assert_int_equal(request(agent, 3), 3);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_THREAD_STARTS), 0);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_RECORDED), 2);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_DROPPED_STOPPED), 2);
}

static void request_meanwhile(void *context) { request(context, 1); }

static void two_first_requests_at_once_share_a_thread(void **state) {
    dynoscale_agent *agent = *state;
    faults_during_allocation(request_meanwhile, agent);
    assert_int_equal(request(agent, 2), 2);
    assert_int_equal(flush(agent), DYNOSCALE_OK);
    assert_string_equal(false_transport_body(0), "1700000000,1,web,\r\n1700000000,2,web,\r\n");
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_THREAD_STARTS), 1);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_RECORDED), 2);
}

static void free_returns_at_once_and_the_rest_is_sent(void **state) {
    (void)state;
    dynoscale_agent *agent = opened("http://service/free", NULL);
    request(agent, 1);
    dynoscale_agent_free(agent);
    while (false_transport_rows() < 1 || false_transport_open() > 0) usleep(1000);
}

static void a_stop_waits_for_the_threads_of_agents_that_were_freed(void **state) {
    (void)state;
    false_transport_reset();
    false_transport_stall();
    for (int i = 0; i < 3; i++) {
        dynoscale_agent *agent = opened("http://service/freed", NULL);
        request(agent, 1);
        dynoscale_agent_free(agent);
    }
    assert_int_equal(stop(NULL), DYNOSCALE_OK);
    assert_int_equal(false_transport_open(), 0);
    assert_int_equal(false_transport_cancelled(), 3);
    for (int i = 0; i < 3; i++) { /* the next free also frees those that have finished */
        false_transport_answer(200, "");
        dynoscale_agent *agent = opened("http://service/freed", NULL);
        request(agent, 1);
        assert_int_equal(stop(agent), DYNOSCALE_OK);
        dynoscale_agent_free(agent);
    }
}

/* ---- Signals and threads ------------------------------------------------------------------ */

static _Atomic(int) handled_by; /* 1: the main thread, 2: another */
static pthread_t main_thread;

static void on_signal(int number) {
    (void)number;
    atomic_store(&handled_by, pthread_equal(pthread_self(), main_thread) ? 1 : 2);
}

static void signals_stay_the_apps(void **state) {
    dynoscale_agent *agent = *state;
    sigset_t before, blocked, now;
    main_thread = pthread_self();
    signal(SIGUSR1, on_signal);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    request(agent, 1);
    flush(agent);
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    assert_memory_equal(&before, &now, sizeof(unsigned long));
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    atomic_store(&handled_by, 0);
    kill(getpid(), SIGUSR1); /* only a thread of the agent could handle it now */
    flush(agent);
    assert_int_equal(atomic_load(&handled_by), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(atomic_load(&handled_by), 1);
}

static void a_refused_thread_is_logged_and_tried_again_each_second(void **state) {
    dynoscale_agent *agent = *state;
    dynoscale_level level;
    char text[DYNOSCALE_EVENT_SIZE];
    faults_refuse_threads(true);
    for (int i = 0; i < 100; i++) request(agent, 1);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_THREAD_FAILURES), 1);
    assert_true(dynoscale_agent_has_event(agent));
    assert_true(dynoscale_agent_next_event(agent, &level, text));
    assert_int_equal(level, DYNOSCALE_LEVEL_WARN);
    assert_string_equal(text, "the system refused a thread (Resource temporarily unavailable), so "
                              "nothing is sent: raise the limit of threads or processes; trying "
                              "again");
    false_clock_advance_ms(1000);
    request(agent, 1);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_THREAD_FAILURES), 2);
    faults_refuse_threads(false);
    false_clock_advance_ms(1000);
    request(agent, 1);
    assert_int_equal(flush(agent), DYNOSCALE_OK);
    assert_int_equal(false_transport_rows(), 102);
}

static void a_refused_thread_is_logged_with_its_own_reason(void **state) {
    dynoscale_agent *agent = *state;
    const struct {
        int error;
        const char *text;
    } cases[] = {
        {EPERM, "(Operation not permitted), so nothing is sent: let the sandbox allow threads"},
        {ENOMEM, "(Cannot allocate memory), so nothing is sent: give the process more memory"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status;
        pid_t child = fork(); /* it is told once a process */
        if (child == 0) {
            dynoscale_level level;
            char text[DYNOSCALE_EVENT_SIZE] = "";
            faults_refuse_threads_with(cases[i].error);
            request(agent, 1);
            dynoscale_agent_next_event(agent, &level, text);
            leave_child(strstr(text, cases[i].text) ? 0 : 1);
        }
        waitpid(child, &status, 0);
        assert_int_equal(status, 0);
    }
}

static void a_stop_without_a_thread_drops_what_was_recorded(void **state) {
    dynoscale_agent *agent = *state;
    faults_refuse_threads(true);
    request(agent, 1);
    assert_int_equal(dynoscale_agent_stop(agent, 2000, NULL, NULL), DYNOSCALE_ERROR_DROPPED);
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_DROPPED_STOPPED), 1);
    faults_refuse_threads(false);
}

/* ---- Memory ------------------------------------------------------------------------------- */

/* A whole life in which the n-th allocation fails. Returns false if there were fewer than n. */
static bool live_with_failure(int n) {
    dynoscale_agent *agent = NULL;
    faults_fail_allocation_after(n);
    dynoscale_options *o = options_with("http://service/memory", "web.1", NULL);
    if (o) dynoscale_options_read_environment(o);
    if (o && ds_agent_open(o, "c", &false_transport, &agent) == DYNOSCALE_OK) {
        request(agent, 1);
        dynoscale_agent_job_queue_time(agent, "rq", 2, "q", 1, 1);
        flush(agent);
        request(agent, 2);
        int64_t values[DYNOSCALE_COUNTER_COUNT], dropped = 0;
        stop(agent);
        dynoscale_agent_counters(agent, values);
        for (int i = DYNOSCALE_COUNTER_DROPPED_FULL; i <= DYNOSCALE_COUNTER_DROPPED_STOPPED; i++)
            dropped += values[i];
        assert_int_equal(values[DYNOSCALE_COUNTER_RECORDED], values[DYNOSCALE_COUNTER_SENT] +
                                                                 values[DYNOSCALE_COUNTER_PENDING] +
                                                                 dropped);
        dynoscale_agent_free(agent);
    }
    bool failed = faults_allocation_failed();
    faults_fail_allocation_after(-1);
    dynoscale_options_free(o);
    return failed;
}

static void each_allocation_may_fail(void **state) {
    (void)state;
    setenv("https_proxy", "http://proxy", 1);
    setenv("SSL_CERT_FILE", "/ca.pem", 1);
    false_transport_reset();
    int n = 0;
    for (bool failed = true; failed; n++) {
        faults_fail_allocation_after(n);
        failed = live_with_failure(n);
        if (n > 200) fail_msg("no end of allocations");
    }
    assert_true(n > 10);
    clearenv();
}

/* ---- Fork --------------------------------------------------------------------------------- */

/* Runs `in_child` in a forked child; 0 is success. */
static int forked(int (*in_child)(dynoscale_agent *), dynoscale_agent *agent) {
    int status;
    pid_t child = fork();
    if (child == 0) leave_child(in_child(agent));
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static int child_is_empty(dynoscale_agent *agent) {
    int64_t values[DYNOSCALE_COUNTER_COUNT];
    dynoscale_agent_counters(agent, values);
    for (int i = 0; i < DYNOSCALE_COUNTER_COUNT; i++)
        if (values[i] != 0 && i != DYNOSCALE_COUNTER_PUBLISH_FREQUENCY_MS) return 1;
    if (dynoscale_agent_stop(agent, 1000, NULL, NULL) != DYNOSCALE_OK) return 2;
    return 0;
}

static int child_reports_its_own(dynoscale_agent *agent) {
    size_t before = false_transport_rows();
    for (int i = 0; i < 7; i++) request(agent, 1);
    if (flush(agent) != DYNOSCALE_OK) return 1;
    if (false_transport_rows() - before != 7) return 2;
    if (counter(agent, DYNOSCALE_COUNTER_RECORDED) != 7) return 3;
    if (counter(agent, DYNOSCALE_COUNTER_THREAD_STARTS) != 1) return 4;
    return stop(agent) == DYNOSCALE_OK ? 0 : 5;
}

static int child_forks_again(dynoscale_agent *agent) {
    request(agent, 1);
    int inner = forked(child_reports_its_own, agent);
    if (inner != 0) return 10 + inner;
    return stop(agent) == DYNOSCALE_OK ? 0 : 1;
}

static void a_child_starts_empty_and_reports_its_own(void **state) {
    dynoscale_agent *agent = *state;
    skip_under_sanitizers();
    dynoscale_agent_prepare(agent);
    assert_int_equal(forked(child_reports_its_own, agent), 0);
    for (int i = 0; i < 5; i++) request(agent, 1);
    assert_int_equal(forked(child_is_empty, agent), 0);
    assert_int_equal(forked(child_reports_its_own, agent), 0);
    assert_int_equal(forked(child_forks_again, agent), 0);
    assert_int_equal(flush(agent), DYNOSCALE_OK);
    assert_int_equal(false_transport_rows(), 5);
    assert_int_equal(stop(agent), DYNOSCALE_OK);
    assert_int_equal(forked(child_reports_its_own, agent), 0); /* a stop is its process's own */
}

/* The thread would allocate. */
static int child_has_its_memory(dynoscale_agent *agent) {
    faults_refuse_threads(true);
    faults_fail_allocation_after(0);
    if (request(agent, 5) != 5 || faults_allocation_failed()) return 1;
    return counter(agent, DYNOSCALE_COUNTER_DROPPED_FULL) == 0 ? 0 : 2;
}

static void a_child_of_a_prepared_process_has_its_memory(void **state) {
    skip_under_sanitizers();
    dynoscale_agent_prepare(*state);
    assert_int_equal(forked(child_has_its_memory, *state), 0);
}

static _Atomic(bool) enough;

static void *request_until_enough(void *context) {
    while (!atomic_load(&enough)) request(context, 1);
    return NULL;
}

static int child_of_a_busy_parent(dynoscale_agent *agent) {
    request(agent, 1);
    return counter(agent, DYNOSCALE_COUNTER_RECORDED) == 1 ? 0 : 1;
}

/* The false service has a lock that a child may inherit held, so the child records and does not
 * send. */
#ifdef __linux__
/* KiB of private memory that the process has mapped. */
static long mapped_kib(void) {
    char line[256];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status)) sscanf(line, "VmData: %ld", &kib);
    if (status) fclose(status);
    return kib;
}

static bool report(dynoscale_agent *agent) {
    request(agent, 1);
    return flush(agent) == DYNOSCALE_OK;
}

/* About 60 KiB, which stay where they are: the clock stands still. */
static bool keep_readings(dynoscale_agent *agent) {
    enum { READINGS = 300 };
    char queue[200];
    memset(queue, 'q', sizeof queue);
    for (int i = 0; i < READINGS; i++)
        if (dynoscale_agent_job_queue_time(agent, "test", 4, queue, sizeof queue, 1) !=
            DYNOSCALE_OK)
            return false;
    return true;
}

/* Each generation does the same, and forks the next. All pass on the exit status of the last: 0 if
 * it has mapped no more than the third. */
static int live_as_generation(dynoscale_agent *agent, bool (*live)(dynoscale_agent *),
                              int generation, long third_kib) {
    enum { GENERATIONS = 24 };
    if (!live(agent)) return 1;
    if (generation == 3) third_kib = mapped_kib();
    if (generation == GENERATIONS) return mapped_kib() > third_kib + 512 ? 2 : 0;
    int status;
    pid_t child = fork();
    if (child == 0) leave_child(live_as_generation(agent, live, generation + 1, third_kib));
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

static int generations_that_report(dynoscale_agent *agent) {
    return live_as_generation(agent, report, 1, 0);
}

static int generations_that_keep_readings(dynoscale_agent *agent) {
    return live_as_generation(agent, keep_readings, 1, 0);
}

static void generations_of_forks_do_not_grow(void **state) {
    skip_under_sanitizers();
    assert_int_equal(forked(generations_that_report, *state), 0);
    assert_int_equal(forked(generations_that_keep_readings, *state), 0);
}
#endif

#ifdef __linux__
static dynoscale_agent *shared_agent;

static void *fork_and_return(void *context) {
    pid_t *child = context;
    request(shared_agent, 1);
    *child = fork();
    if (*child == 0) request(shared_agent, 1);
    return NULL;
}

static void a_child_ends_when_the_thread_that_forked_it_returns(void **state) {
    pthread_t thread;
    pid_t child = 0;
    int status;
    skip_under_sanitizers();
    shared_agent = *state;
    pthread_create(&thread, NULL, fork_and_return, &child);
    pthread_join(thread, NULL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
}
#endif

static void forks_at_any_moment_leave_a_child_that_works(void **state) {
    dynoscale_agent *agent = *state;
    skip_under_sanitizers();
    pthread_t threads[2];
    const char *count = getenv("FORKS");
    int forks = count ? atoi(count) : 300;
    atomic_store(&enough, false);
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, request_until_enough, agent);
    for (int i = 0; i < forks; i++) assert_int_equal(forked(child_of_a_busy_parent, agent), 0);
    atomic_store(&enough, true);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    assert_int_equal(flush(agent), DYNOSCALE_OK);
}

/* ---- Exit --------------------------------------------------------------------------------- */

static bool in_exit; /* a child that is being judged */

/* Registered first, so called last, after the agents' own. */
static void judge(void) {
    if (!in_exit) return;
    leave_child(false_transport_rows() == 3 && false_transport_open() == 0 ? 0 : 1);
}

static int child_exits(dynoscale_agent *agent) {
    false_transport_reset();
    for (int i = 0; i < 3; i++) request(agent, 1);
    in_exit = true;
    exit(2);
}

static int child_exits_after_a_free(dynoscale_agent *agent) {
    false_transport_reset();
    for (int i = 0; i < 3; i++) request(agent, 1);
    dynoscale_agent_free(agent);
    in_exit = true;
    exit(2);
}

static void an_exit_without_a_stop_sends_what_was_recorded(void **state) {
    skip_under_sanitizers();
    assert_int_equal(forked(child_exits, *state), 0);
    assert_int_equal(forked(child_exits_after_a_free, *state), 0);
}

/* ---- The dyno's leader --------------------------------------------------------------------- */

static int child_leads(dynoscale_agent *agent) {
    return dynoscale_agent_leads(agent, NULL) ? 0 : 1;
}

static int child_leads_and_dies(dynoscale_agent *agent) {
    if (!dynoscale_agent_leads(agent, NULL)) return 1;
    kill(getpid(), SIGKILL);
    return 2;
}

static void one_process_of_a_dyno_leads_and_the_next_when_it_has_ended(void **state) {
    (void)state;
    char folder[] = "/tmp/dynoscale-test-XXXXXX", path[DS_LEADER_PATH_SIZE];
    assert_non_null(mkdtemp(folder));
    setenv("TMPDIR", folder, 1);
    dynoscale_agent *agent = opened("http://service/leader", NULL);
    ds_leader_path(path, folder, "web.1", "http://service/leader");
    assert_int_equal(forked(child_leads_and_dies, agent), 100 + SIGKILL);
    assert_true(dynoscale_agent_leads(agent, NULL));
    assert_true(dynoscale_agent_leads(agent, NULL));
    assert_int_equal(forked(child_leads, agent), 1); /* with the parent's file, but not its lock */
    assert_true(dynoscale_agent_leads(agent, NULL));
    assert_int_equal(counter(agent, DYNOSCALE_COUNTER_THREAD_STARTS), 0);
    dynoscale_agent_free(agent);
    unlink(path);
    rmdir(folder);
    unsetenv("TMPDIR");
    assert_false(dynoscale_agent_leads(NULL, NULL));
}

static bool readable(int file, int timeout_ms) {
    struct pollfd poll_of = {.fd = file, .events = POLLIN};
    return poll(&poll_of, 1, timeout_ms) == 1;
}

static int child_waits_to_lead(dynoscale_agent *agent) {
    if (dynoscale_agent_leads(agent, NULL)) return 1;
    int ended = dynoscale_agent_watch_leader(agent, NULL);
    if (ended < 0 || readable(ended, 0)) return 2;
    kill(getppid(), SIGUSR1);
    if (!readable(ended, 30000)) return 3;
    return dynoscale_agent_leads(agent, NULL) && dynoscale_agent_watch_leader(agent, NULL) < 0 ? 0
                                                                                               : 4;
}

/* The leader ends when a child of its own waits for that. Another child takes its place; the test
 * can't wait for its exit status, so it reports by a pipe. */
static void lead_until_told(dynoscale_agent *agent, int report) {
    sigset_t told;
    int number;
    sigemptyset(&told);
    sigaddset(&told, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &told, NULL);
    char result = 9;
    if (!dynoscale_agent_leads(agent, NULL)) _exit(1);
    if (fork() == 0) {
        result = (char)child_waits_to_lead(agent);
        leave_child(write(report, &result, 1) == 1 ? 0 : 1);
    }
    sigwait(&told, &number);
    _exit(0);
}

/* Linux before 5.3 has no pidfd_open, and valgrind does not know it. */
static bool ends_can_be_watched(void) {
#ifdef SYS_pidfd_open
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (self >= 0) close(self);
    return self >= 0;
#else
    return false;
#endif
}

static void a_process_that_waits_to_lead_is_woken_by_the_leaders_end(void **state) {
    (void)state;
    if (!ends_can_be_watched()) skip();
    char folder[] = "/tmp/dynoscale-test-XXXXXX", path[DS_LEADER_PATH_SIZE], result = 9;
    int report[2], status;
    assert_non_null(mkdtemp(folder));
    setenv("TMPDIR", folder, 1);
    dynoscale_agent *agent = opened("http://service/leader", NULL);
    ds_leader_path(path, folder, "web.1", "http://service/leader");
    assert_int_equal(pipe(report), 0);
    pid_t leader = fork();
    if (leader == 0) lead_until_told(agent, report[1]);
    assert_int_equal(read(report[0], &result, 1), 1);
    kill(leader, SIGKILL); /* it has ended, unless a test failed */
    assert_int_equal(waitpid(leader, &status, 0), leader);
    assert_int_equal(result, 0);
    close(report[0]);
    close(report[1]);
    dynoscale_agent_free(agent);
    unlink(path);
    rmdir(folder);
    unsetenv("TMPDIR");
    assert_int_equal(dynoscale_agent_watch_leader(NULL, NULL), -1);
}

static int child_leads_in_rq(dynoscale_agent *agent) {
    if (dynoscale_agent_leads(agent, "celery")) return 1;
    if (dynoscale_agent_leads(agent, NULL)) return 2;
    return dynoscale_agent_leads(agent, "rq") ? 0 : 3;
}

static void in_each_topic_another_process_may_lead(void **state) {
    (void)state;
    char folder[] = "/tmp/dynoscale-test-XXXXXX", path[DS_LEADER_PATH_SIZE];
    assert_non_null(mkdtemp(folder));
    setenv("TMPDIR", folder, 1);
    dynoscale_agent *agent = opened("http://service/leader", NULL);
    ds_leader_path(path, folder, "web.1", "http://service/leader");
    assert_true(dynoscale_agent_leads(agent, "celery"));
    assert_true(dynoscale_agent_leads(agent, NULL));
    assert_int_equal(forked(child_leads_in_rq, agent), 0);
    assert_true(dynoscale_agent_leads(agent, "rq")); /* the child has ended */
    dynoscale_agent_free(agent);
    unlink(path);
    rmdir(folder);
    unsetenv("TMPDIR");
}

static dynoscale_agent *leader_that_reports_every(const char *seconds) {
    setenv("DYNOSCALE_PUBLISH_FREQUENCY", seconds, 1);
    dynoscale_agent *agent = opened("http://service/leader", NULL);
    unsetenv("DYNOSCALE_PUBLISH_FREQUENCY");
    return agent;
}

static void the_end_of_one_agent_leaves_the_lead_to_the_process_s_others(void **state) {
    (void)state;
    char folder[] = "/tmp/dynoscale-test-XXXXXX", path[DS_LEADER_PATH_SIZE];
    assert_non_null(mkdtemp(folder));
    setenv("TMPDIR", folder, 1);
    dynoscale_agent *first = leader_that_reports_every("30");
    dynoscale_agent *second = leader_that_reports_every("10");
    assert_ptr_not_equal(first, second);
    ds_leader_path(path, folder, "web.1", "http://service/leader");
    assert_true(dynoscale_agent_leads(first, NULL));
    assert_true(dynoscale_agent_leads(second, NULL));
    dynoscale_agent_free(first);
    assert_int_equal(forked(child_leads, second), 1);

    dynoscale_agent *third = leader_that_reports_every("20");
    assert_true(dynoscale_agent_leads(third, NULL));
    dynoscale_agent_stop(second, 0, NULL, NULL);
    assert_int_equal(forked(child_leads, third), 1);
    dynoscale_agent_free(second);
    assert_int_equal(forked(child_leads, third), 1);
    dynoscale_agent_stop(third, 0, NULL, NULL);
    assert_int_equal(forked(child_leads, third), 0); /* nobody leads now */
    dynoscale_agent_free(third);
    unlink(path);
    rmdir(folder);
    unsetenv("TMPDIR");
}

static void the_lock_s_name_does_not_reveal_the_token(void **state) {
    (void)state;
    char one[DS_LEADER_PATH_SIZE], other[DS_LEADER_PATH_SIZE];
    ds_leader_path(one, "/tmp", "web.1", "https://service/report/9f3a01c7be");
    ds_leader_path(other, "/tmp", "web.1", "https://service/report/9f3a01c7bf");
    /* The beginning of SHA-256(SHA-256(url) and dyno), computed by another tool. */
    assert_non_null(strstr(one, "-3663df1efb29d503.lock"));
    assert_string_not_equal(one, other);
}

static void who_stops_leads_no_more(void **state) {
    (void)state;
    char folder[] = "/tmp/dynoscale-test-XXXXXX", path[DS_LEADER_PATH_SIZE];
    assert_non_null(mkdtemp(folder));
    setenv("TMPDIR", folder, 1);
    dynoscale_agent *agent = opened("http://service/leader", NULL);
    ds_leader_path(path, folder, "web.1", "http://service/leader");
    assert_true(dynoscale_agent_leads(agent, NULL));
    assert_int_equal(forked(child_leads, agent), 1);
    dynoscale_agent_stop(agent, 0, NULL, NULL);
    assert_int_equal(forked(child_leads, agent), 0);
    assert_false(dynoscale_agent_leads(agent, NULL));
    dynoscale_agent_free(agent);
    unlink(path);
    rmdir(folder);
    unsetenv("TMPDIR");
}

/* As by a clean-up of the folder, or by a daemon, which closes all files. */
static void a_lock_file_that_is_gone_is_made_anew(void **state) {
    (void)state;
    char folder[] = "/tmp/dynoscale-test-XXXXXX", path[DS_LEADER_PATH_SIZE];
    assert_non_null(mkdtemp(folder));
    ds_leader_path(path, folder, "web.1", "http://service/leader");
    int file = -1;
    struct stat found;
    assert_true(ds_leader_lead(path, "", &file));
    int before = file;
    unlink(path);
    assert_true(ds_leader_lead(path, "", &file));
    assert_int_equal(stat(path, &found), 0);
    close(before);

    int others = open("/dev/null", O_RDWR);
    assert_int_equal(dup2(others, file), file);
    int taken = before = file;
    ds_leader_resign(path, &taken);
    assert_int_equal(fstat(before, &found), 0); /* it is somebody else's now */
    assert_true(ds_leader_lead(path, "", &file));
    assert_int_not_equal(file, before);
    close(before);
    close(others);
    ds_leader_resign(path, &file);
    assert_int_equal(file, -1);
    unlink(path);
    rmdir(folder);
}

static void a_lock_that_somebody_else_put_there_is_not_taken(void **state) {
    (void)state;
    char folder[] = "/tmp/dynoscale-test-XXXXXX", path[DS_LEADER_PATH_SIZE];
    assert_non_null(mkdtemp(folder));
    ds_leader_path(path, folder, "web.1", "http://service/leader");
    int file = -1;
    assert_int_equal(mkfifo(path, 0600), 0);
    errno = 0;
    assert_false(ds_leader_lead(path, "", &file));
    assert_int_equal(errno, EPERM);
    assert_int_equal(file, -1);
    unlink(path);
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_false(ds_leader_lead(path, "", &file));
    assert_int_equal(errno, ELOOP);
    unlink(path);
    rmdir(folder);
}

static void without_a_lock_no_process_leads_and_a_warning_is_logged_once(void **state) {
    (void)state;
    dynoscale_level level;
    char text[DYNOSCALE_EVENT_SIZE];
    setenv("TMPDIR", "/no/such/folder", 1);
    dynoscale_agent *agent = opened("http://service/leader", NULL);
    for (int i = 0; i < 3; i++) assert_false(dynoscale_agent_leads(agent, NULL));
    assert_true(dynoscale_agent_next_event(agent, &level, text));
    assert_non_null(strstr(text, "/no/such/folder"));
    assert_null(strstr(text, "leader"));
    assert_false(dynoscale_agent_next_event(agent, &level, text));
    dynoscale_agent_free(agent);
    unsetenv("TMPDIR");
}

/* ---- Names -------------------------------------------------------------------------------- */

static void everything_has_a_name_and_a_text(void **state) {
    (void)state;
    for (int i = 0; i <= DYNOSCALE_ERROR_INTERRUPTED; i++) {
        assert_non_null(strstr(dynoscale_error_name((dynoscale_error)i), "DYNOSCALE_"));
        assert_true(strlen(dynoscale_error_text((dynoscale_error)i)) > 3);
    }
    assert_string_equal(dynoscale_error_name(DYNOSCALE_ERROR_FULL), "DYNOSCALE_ERROR_FULL");
    assert_string_equal(dynoscale_error_name((dynoscale_error)99), "DYNOSCALE_ERROR_UNKNOWN");
    assert_string_equal(dynoscale_error_text((dynoscale_error)99), "unknown error");
    for (int i = 0; i < DYNOSCALE_COUNTER_COUNT; i++) {
        assert_non_null(dynoscale_counter_name((dynoscale_counter)i));
        assert_non_null(dynoscale_counter_meaning((dynoscale_counter)i));
    }
    assert_null(dynoscale_counter_name(DYNOSCALE_COUNTER_COUNT));
    assert_null(dynoscale_counter_meaning(DYNOSCALE_COUNTER_COUNT));
}

/* First of all tests: the handlers are installed once a process. */
static void without_fork_handlers_there_is_no_agent(void **state) {
    (void)state;
    dynoscale_options *o = options_with("http://service/token", "web.1", NULL);
    dynoscale_agent *agent;
    faults_refuse_fork_handlers(true);
    assert_int_equal(ds_agent_open(o, "c", &false_transport, &agent), DYNOSCALE_ERROR_NO_MEMORY);
    assert_null(agent);
    faults_refuse_fork_handlers(false);
    dynoscale_options_free(o);
}

int main(void) {
#define WITH_AGENT(test) cmocka_unit_test_setup_teardown(test, open_agent, close_agent)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_fork_handlers_there_is_no_agent),
        cmocka_unit_test(an_agent_that_is_off_is_null_and_harmless),
        WITH_AGENT(the_same_settings_give_the_same_agent_until_all_have_freed_it),
        WITH_AGENT(other_settings_give_another_agent_even_while_the_first_is_held),
        cmocka_unit_test(the_public_open_uses_libcurl_and_starts_nothing),
        WITH_AGENT(prepare_leaves_no_thread_and_the_first_sample_starts_one),
        WITH_AGENT(a_prepared_agent_may_be_stopped_at_once),
        WITH_AGENT(a_failed_prepare_is_left_to_the_first_sample),
        WITH_AGENT(requests_give_their_queue_time_and_reach_the_service),
        WITH_AGENT(requests_without_a_usable_stamp_are_counted_and_start_nothing),
        cmocka_unit_test(in_development_a_missing_stamp_is_made_up),
        WITH_AGENT(readings_of_job_queues_are_reported_or_refused),
        WITH_AGENT(many_threads_lose_nothing),
        WITH_AGENT(counters_add_up_at_every_moment_for_every_thread),
        WITH_AGENT(a_flush_of_nothing_is_done_at_once),
        WITH_AGENT(a_flush_says_when_time_ran_out_and_keeps_the_samples),
        WITH_AGENT(a_flush_says_when_samples_were_given_up),
        WITH_AGENT(a_wait_can_be_interrupted),
        WITH_AGENT(a_stop_sends_all_and_is_for_good),
        WITH_AGENT(a_stop_before_the_first_sample_starts_nothing_later),
        WITH_AGENT(a_stop_does_not_wait_for_a_service_that_hangs),
        WITH_AGENT(a_later_stop_may_shorten_an_earlier_one),
        WITH_AGENT(a_stop_whose_report_is_refused_returns_dropped),
        WITH_AGENT(a_stop_may_last_for_ever),
        WITH_AGENT(a_stop_in_the_middle_of_the_first_request_is_for_good),
        WITH_AGENT(two_first_requests_at_once_share_a_thread),
        WITH_AGENT(free_returns_at_once_and_the_rest_is_sent),
        cmocka_unit_test(a_stop_waits_for_the_threads_of_agents_that_were_freed),
        WITH_AGENT(signals_stay_the_apps),
        WITH_AGENT(a_refused_thread_is_logged_and_tried_again_each_second),
        WITH_AGENT(a_refused_thread_is_logged_with_its_own_reason),
        WITH_AGENT(a_stop_without_a_thread_drops_what_was_recorded),
        cmocka_unit_test(each_allocation_may_fail),
        WITH_AGENT(a_child_starts_empty_and_reports_its_own),
        WITH_AGENT(a_child_of_a_prepared_process_has_its_memory),
        WITH_AGENT(forks_at_any_moment_leave_a_child_that_works),
#ifdef __linux__
        WITH_AGENT(generations_of_forks_do_not_grow),
        WITH_AGENT(a_child_ends_when_the_thread_that_forked_it_returns),
#endif
        WITH_AGENT(an_exit_without_a_stop_sends_what_was_recorded),
        cmocka_unit_test(one_process_of_a_dyno_leads_and_the_next_when_it_has_ended),
        cmocka_unit_test(a_process_that_waits_to_lead_is_woken_by_the_leaders_end),
        cmocka_unit_test(who_stops_leads_no_more),
        cmocka_unit_test(in_each_topic_another_process_may_lead),
        cmocka_unit_test(the_end_of_one_agent_leaves_the_lead_to_the_process_s_others),
        cmocka_unit_test(the_lock_s_name_does_not_reveal_the_token),
        cmocka_unit_test(a_lock_file_that_is_gone_is_made_anew),
        cmocka_unit_test(a_lock_that_somebody_else_put_there_is_not_taken),
        cmocka_unit_test(without_a_lock_no_process_leads_and_a_warning_is_logged_once),
        cmocka_unit_test(everything_has_a_name_and_a_text),
    };
    atexit(judge);
    return cmocka_run_group_tests_name("agent", tests, NULL, NULL);
}
