#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pthread_setname_np, pthread_timedjoin_np, MAP_ANONYMOUS */
#endif
#include "worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "alone.h"
#include "clock.h"
#include "exit.h"
#include "fork.h"
#include "random.h"
#include "thread.h"

enum {
    DRAIN_EVERY_MS = 1000, /* while there are samples; the buffer holds 16,000 */
    GATHER_MS = 4000,      /* from the first sample after a silence to its report */
    FIRST_BACKOFF_MS = 1000,
    LONGEST_BACKOFF_MS = 60 * 1000, /* far below the 5 minutes after which batches expire */
    LONGEST_RETRY_AFTER_MS = 120 * 1000,
    ANSWER_GRACE_MS = 1000,         /* past the transport's own deadline */
    TROUBLES_EVERY_MS = 600 * 1000, /* in which two are logged at most */
    RELEASE_EVERY_MS = 5000,        /* at least, while reports fail: 60 batches in 5 minutes */
    POLL_MS = 100,                  /* during a transfer: the longest until a stop is noticed */
    INTERRUPT_EVERY_MS = 50,
    STOP_GRACE_MS = 250, /* for the thread to leave the TLS library before the process exits */
    START_AGAIN_MS = 1000,
    ALONE_TIMEOUT_MS = 2000,
    LOOK_AGAIN_MOST_MS = 1000, /* whether the thread is alone */
    DRAIN_WORDS = 512,
    JOBS_FALSE_FOR_MS =
        600 * 1000, /* without an answer: the process that reads the queues may have ended */
    MOST_PASSES = 4,
};

/* ---- Counting and telling; all with the lock held ----------------------------------------- */

static void count(ds_worker *w, dynoscale_counter counter, int64_t n) { w->counters[counter] += n; }

/* Failures are logged when they begin and when they end. At most two beginnings in 10 minutes are
 * logged; counters tell the rest. */
__attribute__((format(printf, 3, 4))) static void tell_trouble(ds_worker *w, int64_t now,
                                                               const char *format, ...) {
    bool often = w->troubles_ms[1] != DS_NEVER_MS && now - w->troubles_ms[1] < TROUBLES_EVERY_MS;
    if (w->failing || often) return;
    w->failing = true;
    w->troubles_ms[1] = w->troubles_ms[0];
    w->troubles_ms[0] = now;
    va_list arguments;
    va_start(arguments, format);
    ds_events_add_list(&w->events, DYNOSCALE_LEVEL_WARN, format, arguments);
    va_end(arguments);
}

/* ---- Taking samples in; with the lock held ------------------------------------------------ */

static void note_full(ds_worker *w, int64_t n) {
    if (w->failing) w->lost += n; /* logged when the failure ends */
    else if (w->counters[DYNOSCALE_COUNTER_DROPPED_FULL] == 0)
        ds_events_add(&w->events, DYNOSCALE_LEVEL_WARN,
                      "the buffer of unsent samples is full: the newest are dropped, and counted "
                      "as dropped_full");
    count(w, DYNOSCALE_COUNTER_DROPPED_FULL, n);
}

static bool is_finished(const ds_worker *w) { return atomic_load(&w->stage) == DS_STAGE_FINISHED; }

/* Counts pushes that a full buffer refused; after the end as dropped_stopped, like any others. */
static void count_refused(ds_worker *w) {
    int64_t refused = atomic_exchange(&w->refused, 0);
    if (refused == 0) return;
    w->drained += refused;
    if (is_finished(w)) count(w, DYNOSCALE_COUNTER_DROPPED_STOPPED, refused);
    else note_full(w, refused);
}

/* The first request of the process, or one within a second of it if that did not wake the
 * thread. */
static void note_first(ds_worker *w) {
    int64_t none = 0;
    if (atomic_load_explicit(&w->first_ns, memory_order_relaxed) == 0)
        atomic_compare_exchange_strong(&w->first_ns, &none, ds_clock_wall_ns());
}

/* One pass. Returns true if it found anything. */
static bool drain_once(ds_worker *w) {
    uint64_t words[DRAIN_WORDS];
    size_t position = 0, n;
    int64_t moved = 0, lost = 0;
    while ((n = ds_buffer_drain(&w->buffer, &position, words, DRAIN_WORDS)) > 0) {
        moved += (int64_t)n;
        if (is_finished(w)) continue;
        for (size_t i = 0; i < n; i++) lost += !ds_batches_add(&w->batches, words[i]);
    }
    w->drained += moved;
    if (is_finished(w)) count(w, DYNOSCALE_COUNTER_DROPPED_STOPPED, moved);
    if (lost > 0) note_full(w, lost);
    if (moved > 0) note_first(w);
    return moved > 0;
}

/*
 * Moves the buffer's samples to the batches. Returns true if there were any. A scan can miss a slot
 * that is filled behind it, so repeat until a scan finds nothing. So no sample is reported after a
 * later one of its thread, except while requests come faster than scans.
 */
static bool drain(ds_worker *w) {
    int passes = 0;
    count_refused(w);
    while (passes < MOST_PASSES && drain_once(w)) passes++;
    return passes > 0;
}

/* ---- Signals; with the lock held ----------------------------------------------------------- */

_Atomic(int) ds_worker_asked_of_requests;
_Atomic(int) ds_worker_slots = DS_SLOTS_NOT_SET;

/* Dropped if there is no room: a signal is no sample, and older ones say more about a failure. */
static void add_signal(ds_worker *w, dynoscale_signal signal, int64_t epoch_s, int64_t value) {
    char row[DS_REPORT_READING_SIZE];
    if (!ds_worker_asks(w, signal)) return;
    ds_batches_add_signal(&w->batches, row, ds_report_signal(row, epoch_s, value, signal));
}

static void add_second(void *context, bool busy, int64_t epoch_s, int64_t sum) {
    add_signal(context, busy ? DYNOSCALE_SIGNAL_BUSY : DYNOSCALE_SIGNAL_UNSTAMPED, epoch_s, sum);
}

static void add_begin(ds_worker *w, int64_t wall_ns) {
    int64_t first_ns = atomic_load(&w->first_ns);
    if (w->begin_sent || first_ns == 0 || !ds_worker_asks(w, DYNOSCALE_SIGNAL_BEGIN)) return;
    w->begin_sent = true;
    int64_t age_ms = ds_clock_process_age_ms();
    if (age_ms < 0) return;
    int64_t began_ms = wall_ns / 1000000 - age_ms, ms = first_ns / 1000000 - began_ms;
    add_signal(w, DYNOSCALE_SIGNAL_BEGIN, began_ms / 1000, ms > 0 ? ms : 0);
}

static bool sums_seconds(const ds_worker *w) {
    return ds_worker_asks(w, DYNOSCALE_SIGNAL_BUSY) ||
           ds_worker_asks(w, DYNOSCALE_SIGNAL_UNSTAMPED);
}

/* Adds the rows of signals for the seconds that are over; with `all` also for the current one. */
static void take_signals(ds_worker *w, bool all) {
    if (atomic_load_explicit(&w->signals, memory_order_relaxed) == 0 || is_finished(w)) return;
    int64_t wall_ns = ds_clock_wall_ns();
    if (sums_seconds(w))
        ds_seconds_take(&w->seconds, wall_ns, ds_clock_monotonic_ms(), all, add_second, w);
    add_begin(w, wall_ns);
}

static void add_slots(ds_worker *w) {
    int slots = atomic_load(&ds_worker_slots);
    if (slots > 0 && ds_batches_open_any(&w->batches))
        add_signal(w, DYNOSCALE_SIGNAL_SLOTS, ds_clock_wall_ns() / 1000000000, slots);
}

/* The service asks for other signals than before. */
static void follow_signals(ds_worker *w, uint32_t signals) {
    uint32_t summed = 1 << DYNOSCALE_SIGNAL_BUSY | 1 << DYNOSCALE_SIGNAL_UNSTAMPED;
    uint32_t before = atomic_load(&w->signals);
    if (signals == before) return;
    take_signals(w, true);
    if ((before & summed) == 0 || (signals & ~before & summed) != 0)
        ds_seconds_begin(&w->seconds, ds_clock_wall_ns(), ds_clock_monotonic_ms());
    atomic_store(&w->signals, signals);
    bool slots = ds_worker_asks(w, DYNOSCALE_SIGNAL_SLOTS) &&
                 atomic_load(&ds_worker_slots) == DS_SLOTS_NOT_SET;
    atomic_store(&ds_worker_asked_of_requests,
                 (ds_worker_asks(w, DYNOSCALE_SIGNAL_BUSY) ? DYNOSCALE_ASKED_BUSY : 0) |
                     (slots ? DYNOSCALE_ASKED_SLOTS : 0));
    take_signals(w, false);
    ds_events_add(&w->events, DYNOSCALE_LEVEL_DEBUG, "the service asks for %d kinds of signals",
                  __builtin_popcount(signals));
}

/* ---- The schedule; with the lock held ----------------------------------------------------- */

/* Shortened at random by up to a quarter, so that processes that started together drift apart. */
static int64_t with_jitter(int64_t ms) {
    return ms - (int64_t)(ds_random() % (uint64_t)(ms / 4 + 1));
}

static int64_t earlier(int64_t a, int64_t b) {
    if (a == DS_NEVER_MS) return b;
    return b == DS_NEVER_MS || a < b ? a : b;
}

static bool is_stopping(const ds_worker *w) { return w->deadline_ms != DS_NEVER_MS; }

/* When to report the samples that have just begun to arrive. */
static int64_t due_after(const ds_worker *w, int64_t now) {
    int64_t gathered =
        now + with_jitter(w->config.frequency_ms < GATHER_MS ? w->config.frequency_ms : GATHER_MS);
    if (w->last_due_ms == DS_NEVER_MS) return gathered;
    int64_t regular = w->last_due_ms + with_jitter(w->config.frequency_ms);
    return regular > gathered ? regular : gathered;
}

/* Makes everything due now. Returns the number of the last batch. */
static uint64_t release(ds_worker *w, int64_t now) {
    w->last_due_ms = now;
    w->next_due_ms = DS_NEVER_MS;
    add_slots(w);
    return ds_batches_release(&w->batches, now);
}

/* When a report without rows is due, if there is nothing to report. */
static int64_t heartbeat_due(const ds_worker *w) {
    bool quiet = w->batches.sealed == 0 && !ds_batches_open_any(&w->batches);
    bool known = w->counters[DYNOSCALE_COUNTER_REPORTS_ACCEPTED] > 0;
    return quiet && known && w->config.heartbeat_ms > 0 && !is_stopping(w) ? w->heartbeat_ms
                                                                           : DS_NEVER_MS;
}

static void schedule(ds_worker *w, int64_t now) {
    int64_t heartbeat_ms = heartbeat_due(w);
    if (heartbeat_ms != DS_NEVER_MS && now >= heartbeat_ms)
        ds_batches_release_none(&w->batches, now);
    if (ds_batches_open_any(&w->batches) && w->next_due_ms == DS_NEVER_MS)
        w->next_due_ms = due_after(w, now);
    /* For long intervals with much traffic: before there is no batch left. */
    bool crowded = w->batches.sealed >= DS_BATCHES / 2 && !ds_batches_oldest_due(&w->batches);
    bool last_chance = is_stopping(w) && ds_batches_open_any(&w->batches);
    if (crowded || last_chance) release(w, now);
    if (w->next_due_ms == DS_NEVER_MS || now < w->next_due_ms) return;

    if (w->backoff_ms > 0 && now < w->last_due_ms + RELEASE_EVERY_MS)
        w->next_due_ms = w->last_due_ms + RELEASE_EVERY_MS;
    else release(w, now);
}

/* ---- Outcomes; with the lock held --------------------------------------------------------- */

/* Takes the oldest batch out of the queue. */
static int64_t finish_batch(ds_worker *w, bool given_up) {
    const ds_batch *batch = ds_batches_oldest_due(&w->batches);
    int64_t rows = (int64_t)ds_batch_rows(batch);
    w->finished = batch->number;
    w->heartbeat_ms = ds_clock_monotonic_ms() + with_jitter(w->config.heartbeat_ms);
    if (given_up) w->last_given_up = batch->number;
    ds_batches_remove_oldest(&w->batches);
    return rows;
}

static void log_success(ds_worker *w, int64_t rows) {
    if (w->counters[DYNOSCALE_COUNTER_REPORTS_ACCEPTED] == 1)
        ds_events_add(&w->events, DYNOSCALE_LEVEL_INFO,
                      "%s accepted the first report of this process: %" PRId64 " samples",
                      w->settings->host, rows);
    if (w->lost > 0)
        ds_events_add(&w->events, DYNOSCALE_LEVEL_WARN,
                      "%s accepts reports again; %" PRId64 " samples were dropped meanwhile",
                      w->settings->host, w->lost);
    else if (w->failing)
        ds_events_add(&w->events, DYNOSCALE_LEVEL_INFO, "%s accepts reports again",
                      w->settings->host);
    w->failing = false;
    w->lost = 0;
}

static void follow(ds_worker *w, int64_t now, const ds_report_config *config) {
    bool other = config->frequency_ms != w->config.frequency_ms;
    w->config = *config;
    w->heartbeat_ms = now + with_jitter(config->heartbeat_ms);
    follow_signals(w, config->signals);
    if (!other) return;
    if (w->next_due_ms != DS_NEVER_MS) w->next_due_ms = due_after(w, now);
    ds_events_add(&w->events, DYNOSCALE_LEVEL_DEBUG,
                  "the service asks for a report every %" PRId64 " ms", config->frequency_ms);
}

static void accepted(ds_worker *w, int64_t now, const ds_answer *answer) {
    int64_t rows = finish_batch(w, false);
    ds_report_config config = w->config;
    count(w, DYNOSCALE_COUNTER_SENT, rows);
    count(w, DYNOSCALE_COUNTER_REPORTS_ACCEPTED, 1);
    w->counters[DYNOSCALE_COUNTER_LAST_REPORT_AT] = ds_clock_wall_ns() / 1000000000;
    log_success(w, rows);
    w->backoff_ms = 0;
    w->retry_ms = DS_NEVER_MS;
    w->answered_ms = now;
    if (answer->body_whole && ds_report_answer(answer->body, answer->body_length, &config))
        follow(w, now, &config);
}

/* A 4xx will not get better by trying again. */
static void rejected(ds_worker *w, int64_t now, int status) {
    int64_t rows = finish_batch(w, true);
    count(w, DYNOSCALE_COUNTER_REPORTS_FAILED, 1);
    count(w, DYNOSCALE_COUNTER_DROPPED_REJECTED, rows);
    w->backoff_ms = 0;
    w->retry_ms = DS_NEVER_MS;
    tell_trouble(w, now,
                 "%s refused a report with status %d, and %" PRId64 " samples were dropped: check "
                 "DYNOSCALE_URL",
                 w->settings->host, status, rows);
}

static int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

/* The wait that the service asks for, with limits: not 0, not so long that batches expire, and up
 * to a quarter more, so that processes don't all come back at once. Without one the next step of 1,
 * 2, 4 ... s. */
static int64_t retry_wait(const ds_worker *w, int64_t retry_after_ms) {
    if (retry_after_ms == DS_ANSWER_NO_RETRY) return with_jitter(w->backoff_ms);
    int64_t asked = at_most(at_least(retry_after_ms, FIRST_BACKOFF_MS), LONGEST_RETRY_AFTER_MS);
    return with_jitter(asked + asked / 3); /* a quarter less is what was asked for */
}

static void failed(ds_worker *w, int64_t now, const char *reason, int64_t retry_after_ms) {
    int64_t longest =
        at_most(at_least(w->config.frequency_ms, FIRST_BACKOFF_MS), LONGEST_BACKOFF_MS);
    w->backoff_ms = at_most(at_least(w->backoff_ms * 2, FIRST_BACKOFF_MS), longest);
    w->retry_ms = now + retry_wait(w, retry_after_ms);
    count(w, DYNOSCALE_COUNTER_REPORTS_FAILED, 1);
    tell_trouble(w, now, "a report to %s failed: %s; %zu samples are kept and sent again",
                 w->settings->host, reason, ds_batches_rows(&w->batches));
}

static bool may_get_better(int status) {
    return status < 400 || status > 499 || status == 408 || status == 429;
}

static void conclude(ds_worker *w, int64_t now, const ds_answer *answer) {
    char reason[DS_ANSWER_REASON_SIZE];
    w->counters[DYNOSCALE_COUNTER_LAST_STATUS] = answer->status;
    if (answer->status >= 200 && answer->status <= 299) {
        accepted(w, now, answer);
    } else if (!may_get_better(answer->status)) {
        rejected(w, now, answer->status);
    } else if (answer->status == 0) {
        failed(w, now, answer->reason, DS_ANSWER_NO_RETRY);
    } else {
        snprintf(reason, sizeof reason, "it answered with status %d", answer->status);
        failed(w, now, reason, answer->retry_after_ms);
    }
    atomic_store(&w->has_finished, true);
}

static void drop_expired(ds_worker *w, int64_t now) {
    const ds_batch *batch;
    int64_t rows = 0;
    bool any = false;
    for (; (batch = ds_batches_oldest_due(&w->batches)) && ds_batch_expired(batch, now); any = true)
        rows += finish_batch(w, true);
    if (!any) return;
    count(w, DYNOSCALE_COUNTER_DROPPED_EXPIRED, rows);
    w->lost += rows; /* logged when the service accepts reports again */
    atomic_store(&w->has_finished, true);
}

/* The transport has its own deadlines. If they fail, the request would stay in flight for ever and
 * block all later ones. */
static bool is_overdue(const ds_worker *w, int64_t now) {
    return w->in_flight && now >= w->sent_ms + w->settings->timeout_ms + ANSWER_GRACE_MS;
}

static void give_up_answer(ds_worker *w, int64_t now) {
    w->in_flight = false; /* so that the connection is closed */
    w->counters[DYNOSCALE_COUNTER_LAST_STATUS] = 0;
    failed(w, now, "there was no answer in time", DS_ANSWER_NO_RETRY);
    atomic_store(&w->has_finished, true);
}

/* Ends the worker: drops what is left and what comes later. */
static void finish(ds_worker *w) {
    count_refused(w);
    atomic_store(&w->stage, DS_STAGE_FINISHED);
    int64_t rows = (int64_t)ds_batches_rows(&w->batches);
    count(w, DYNOSCALE_COUNTER_DROPPED_STOPPED, rows);
    if (rows > 0) w->last_given_up = UINT64_MAX;
    w->finished = UINT64_MAX;
    ds_batches_clear(&w->batches);
    atomic_store(&w->sleep_state,
                 DS_AWAKE); /* nobody needs waking: reading the counters finds later samples */
    drain(w);
    ds_wake_post(&w->progress);
}

/* ---- The thread's turn -------------------------------------------------------------------- */

static void disconnect(ds_worker *w) {
    if (w->connection) w->transport->close(w->connection);
    w->connection = NULL;
    w->in_flight = false;
    free(w->request.body);
    w->request.body = NULL;
}

/* Writes the request for a batch. False without memory. */
static bool compose(ds_worker *w, const ds_batch *batch) {
    ds_request *request = &w->request;
    const ds_settings *settings = w->settings;
    ds_report_sender sender = {settings->user_agent, settings->dyno,
                               settings->app_name[0] ? settings->app_name : NULL};
    free(request->body);
    request->body = malloc(batch->sample_count * DS_REPORT_ROW_SIZE + batch->text_length + 1);
    if (!request->body) return false;
    size_t length = ds_report_rows(request->body, batch->samples, batch->sample_count);
    if (batch->text_length > 0) memcpy(request->body + length, batch->text, batch->text_length);
    request->body_length = length + batch->text_length;
    request->header_count =
        ds_report_headers(request->headers, &sender, batch->key, ds_clock_wall_ns() / 1000000000);
    return true;
}

/* Begins to send a batch. Only this thread removes batches, so it reads this one without the
 * lock. */
static bool begin(ds_worker *w, const ds_batch *batch, char reason[DS_ANSWER_REASON_SIZE]) {
    snprintf(reason, DS_ANSWER_REASON_SIZE, "no memory for a request");
    if (!compose(w, batch)) return false;
    if (!w->connection) w->connection = w->transport->open(w->settings, reason);
    if (!w->connection) return false;
    ds_fork_hold();        /* the C library locks its list of handlers */
    ds_exit_watch_again(); /* libcurl is loaded, and a TLS library that cleans up at exit */
    ds_fork_release();
    w->sent_ms = ds_clock_monotonic_ms();
    w->in_flight = w->transport->start(w->connection, &w->request, reason);
    return w->in_flight;
}

/* When the current second of the wall clock is over, and its sums can be taken. */
static int64_t drain_after(const ds_worker *w) {
    if (!sums_seconds(w)) return DRAIN_EVERY_MS;
    return DRAIN_EVERY_MS - ds_clock_wall_ns() / 1000000 % DRAIN_EVERY_MS;
}

/* How long there is nothing to do. With the lock held. */
static int64_t begin_wait(ds_worker *w, int64_t now, bool moved) {
    if (!moved) {
        /* Stores that it sleeps, then reads the slots; a producer stores a slot, then reads
         * `sleep_state`. One of the two sees the other. seq_cst: pairs with ds_worker_push. */
        atomic_store(&w->sleep_state, DS_ASLEEP);
        moved = drain(w) || (sums_seconds(w) && ds_seconds_active(&w->seconds));
        if (moved) {
            atomic_store(&w->sleep_state, DS_AWAKE);
            schedule(w, now);
        }
    }
    const ds_batch *oldest = ds_batches_oldest_due(&w->batches);
    int64_t until = moved ? now + drain_after(w) : DS_NEVER_MS;
    until = earlier(until, heartbeat_due(w));
    until = earlier(until, w->next_due_ms);
    until = earlier(until, w->deadline_ms);
    if (oldest) {
        until = earlier(until, w->retry_ms == DS_NEVER_MS ? now : w->retry_ms);
        until = earlier(until, oldest->due_ms + DS_BATCH_EXPIRES_MS + 1);
    }
    if (until == DS_NEVER_MS) return DS_NEVER_MS;
    return until > now ? until - now : 0;
}

static uint64_t make_due(ds_worker *w, int64_t now);

/* With the lock held. */
static void apply_exit_deadline(ds_worker *w) {
    int64_t deadline_ms = atomic_load(&w->exit_deadline_ms);
    if (deadline_ms == DS_NEVER_MS || (is_stopping(w) && w->deadline_ms <= deadline_ms)) return;
    w->deadline_ms = deadline_ms;
    w->retry_ms = DS_NEVER_MS;
}

/* What the thread does next. */
typedef enum next_step { STEP_WAIT, STEP_SEND, STEP_END } next_step;

/* Takes in what came since the last turn, and decides. With the lock held. Returns the batch to
 * send in *batch, or how long to wait in *wait_ms. */
static next_step take_turn(ds_worker *w, int64_t now, const ds_answer *answer,
                           const ds_batch **batch, int64_t *wait_ms) {
    bool moved = drain(w);
    take_signals(w, false);
    apply_exit_deadline(w);
    if (atomic_exchange(&w->send_asked, false)) make_due(w, now);
    if (answer) conclude(w, now, answer);
    else if (is_overdue(w, now)) give_up_answer(w, now);
    if (!w->in_flight) drop_expired(w, now);
    schedule(w, now);

    bool nothing_left = !w->in_flight && !ds_batches_any(&w->batches);
    if (is_stopping(w) && (nothing_left || now >= w->deadline_ms)) return STEP_END;
    *batch = w->in_flight ? NULL : ds_batches_oldest_due(&w->batches);
    if (*batch && (w->retry_ms == DS_NEVER_MS || now >= w->retry_ms)) return STEP_SEND;
    *wait_ms = w->in_flight ? POLL_MS : begin_wait(w, now, moved);
    return STEP_WAIT;
}

static void send_batch(ds_worker *w, int64_t now, const ds_batch *batch) {
    char reason[DS_ANSWER_REASON_SIZE];
    if (begin(w, batch, reason)) return;
    disconnect(w);
    pthread_mutex_lock(&w->lock);
    failed(w, now, reason, DS_ANSWER_NO_RETRY);
    pthread_mutex_unlock(&w->lock);
}

bool ds_worker_step(ds_worker *w, int64_t *wait_ms) {
    const ds_batch *batch = NULL;
    /* Awake: nobody needs to wake the thread until `begin_wait` stores otherwise. */
    atomic_store_explicit(&w->sleep_state, DS_AWAKE, memory_order_relaxed);
    const ds_answer *answer = w->in_flight ? w->transport->poll(w->connection) : NULL;
    if (answer) w->in_flight = false;

    *wait_ms = 0;
    pthread_mutex_lock(&w->lock);
    int64_t now = ds_clock_monotonic_ms();
    next_step next = take_turn(w, now, answer, &batch, wait_ms);
    pthread_mutex_unlock(&w->lock);

    if (next == STEP_END || (next == STEP_WAIT && !w->in_flight)) disconnect(w);
    /* Only now: a waiting thread may fork at once, and a child can't use the connection. */
    if (atomic_exchange(&w->has_finished, false)) ds_wake_post(&w->progress);
    if (next == STEP_SEND) send_batch(w, now, batch);
    if (next != STEP_END) return true;
    pthread_mutex_lock(&w->lock);
    finish(w);
    pthread_mutex_unlock(&w->lock);
    return false;
}

static uint64_t begin_stop(ds_worker *w, int64_t now, int64_t timeout_ms);

/* Stops the worker once no other thread is left, or looks again later. Returns the wait until then,
 * which is at most `wait_ms`. */
static int64_t stop_if_alone(ds_worker *w, int64_t wait_ms, int64_t *look_again_ms) {
    if (!ds_alone_may_be() || atomic_load(&w->deadline_ms) != DS_NEVER_MS) return wait_ms;
    if (ds_alone_is()) {
        begin_stop(w, ds_clock_monotonic_ms(), ALONE_TIMEOUT_MS);
        return 0;
    }
    *look_again_ms = at_most(*look_again_ms * 2, LOOK_AGAIN_MOST_MS);
    return wait_ms == DS_NEVER_MS ? *look_again_ms : at_most(wait_ms, *look_again_ms);
}

static void *run(void *context) {
    ds_worker *w = context;
    int64_t look_again_ms = 1;
#if defined(__APPLE__)
    pthread_setname_np(DS_THREAD_NAME);
#elif defined(__linux__)
    pthread_setname_np(pthread_self(), DS_THREAD_NAME);
#endif
    for (;;) {
        int64_t wait_ms = 0;
        uint32_t seen = ds_wake_count(&w->wake);
        if (!ds_worker_step(w, &wait_ms)) break;
        wait_ms = stop_if_alone(w, wait_ms, &look_again_ms);
        if (w->in_flight) w->transport->wait(w->connection, wait_ms);
        else if (wait_ms != 0) ds_wake_wait(&w->wake, seen, wait_ms);
    }
    ds_worker_release(w);
    return NULL;
}

/* ---- Starting ----------------------------------------------------------------------------- */

static int create_own_thread(ds_worker *w) {
    atomic_fetch_add(&w->references, 1);
    int error = ds_thread_create(&w->thread, run, w);
    if (error != 0) atomic_fetch_sub(&w->references, 1);
    atomic_store(&w->joinable, error == 0);
    return error;
}

/* With the lock held. */
static void start(ds_worker *w) {
    int64_t now = ds_clock_monotonic_ms();
    if (atomic_load(&w->stage) != DS_STAGE_NEW) return;
    if (w->next_start_ms != DS_NEVER_MS && now < w->next_start_ms) return;
    int error = create_own_thread(w);
    if (error == 0) {
        atomic_store(&w->stage, DS_STAGE_RUNNING);
        count(w, DYNOSCALE_COUNTER_THREAD_STARTS, 1);
        return;
    }
    w->next_start_ms = now + START_AGAIN_MS;
    if (w->counters[DYNOSCALE_COUNTER_THREAD_FAILURES] == 0)
        ds_events_add(&w->events, DYNOSCALE_LEVEL_WARN,
                      "the system refused a thread (%s), so nothing is sent: %s; trying again",
                      strerror(error), ds_thread_remedy(error));
    count(w, DYNOSCALE_COUNTER_THREAD_FAILURES, 1);
}

void ds_worker_wake_by_request(ds_worker *w) {
    note_first(w);
    ds_worker_wake(w);
}

void ds_worker_look_around(ds_worker *w) {
    if (atomic_load(&w->stage) == DS_STAGE_RUNNING) ds_wake_post(&w->wake);
}

void ds_worker_wake(ds_worker *w) {
    if (atomic_load(&w->stage) == DS_STAGE_RUNNING) {
        ds_wake_post(&w->wake);
        return;
    }
    pthread_mutex_lock(&w->lock);
    start(w);
    pthread_mutex_unlock(&w->lock);
}

/* ---- For the agent ------------------------------------------------------------------------ */

/* Memory for the next worker, usually a forked child's: mapped, and never written to. */
static _Atomic(ds_worker *) spare;

/* Zero pages, which take no memory until they are written: a quiet process uses few of them. */
static ds_worker *map_worker(void) {
    void *memory =
        mmap(NULL, sizeof(ds_worker), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

void ds_worker_keep_spare(void) {
    if (atomic_load(&spare)) return;
    ds_worker *none = NULL, *fresh = map_worker();
    if (fresh && !atomic_compare_exchange_strong(&spare, &none, fresh))
        munmap(fresh, sizeof *fresh); /* another thread was faster */
}

ds_worker *ds_worker_new(ds_settings *settings, const ds_transport *transport) {
    ds_worker *w = atomic_exchange(&spare, NULL);
    if (!w) w = map_worker();
    if (!w) return NULL;
    pthread_mutex_init(&w->lock, NULL); /* can't fail with default attributes */
    atomic_init(&w->references, 1);
    atomic_init(&w->sleep_state, DS_ASLEEP);
    ds_wake_init(&w->wake);
    ds_wake_init(&w->progress);
    w->settings = ds_settings_hold(settings);
    w->transport = transport;
    w->config = (ds_report_config){.frequency_ms = settings->publish_frequency_ms, .jobs = true};
    w->made_ns = ds_clock_wall_ns();
    w->last_due_ms = w->next_due_ms = w->retry_ms = DS_NEVER_MS;
    w->next_start_ms = DS_NEVER_MS;
    w->troubles_ms[0] = w->troubles_ms[1] = DS_NEVER_MS;
    atomic_init(&w->deadline_ms, DS_NEVER_MS);
    atomic_init(&w->exit_deadline_ms, DS_NEVER_MS);
    return w;
}

void ds_worker_release(ds_worker *w) {
    if (atomic_fetch_sub(&w->references, 1) > 1) return;
    if (atomic_load(&w->joinable)) pthread_detach(w->thread);
    ds_batches_clear(&w->batches);
    ds_settings_release(w->settings);
    free(w->request.body);
    pthread_mutex_destroy(&w->lock);
    munmap(w, sizeof *w);
}

void ds_worker_unmap(ds_worker *w) {
    /* The fork copied the lock with the batches: if it is free, nobody was changing them. */
    if (pthread_mutex_trylock(&w->lock) == 0) ds_batches_clear(&w->batches);
    ds_settings_release(w->settings);
    munmap(w, sizeof *w);
}

dynoscale_error ds_worker_add_row(ds_worker *w, const char *row, size_t length) {
    pthread_mutex_lock(&w->lock);
    w->drained++;
    if (is_finished(w)) {
        count(w, DYNOSCALE_COUNTER_DROPPED_STOPPED, 1);
        pthread_mutex_unlock(&w->lock);
        return DYNOSCALE_ERROR_STOPPED;
    }
    bool added = ds_batches_add_row(&w->batches, row, length);
    if (!added) note_full(w, 1);
    pthread_mutex_unlock(&w->lock);
    ds_worker_wake(w);
    return added ? DYNOSCALE_OK : DYNOSCALE_ERROR_FULL;
}

dynoscale_error ds_worker_add_signal(ds_worker *w, const char *row, size_t length) {
    dynoscale_error error = DYNOSCALE_ERROR_STOPPED;
    pthread_mutex_lock(&w->lock);
    if (!is_finished(w))
        error =
            ds_batches_add_signal(&w->batches, row, length) ? DYNOSCALE_OK : DYNOSCALE_ERROR_FULL;
    pthread_mutex_unlock(&w->lock);
    if (error == DYNOSCALE_OK) ds_worker_wake(w);
    return error;
}

void ds_worker_unstamped(ds_worker *w, int64_t now_ns) {
    if (!ds_worker_asks(w, DYNOSCALE_SIGNAL_UNSTAMPED)) return;
    ds_seconds_unstamped(&w->seconds, now_ns / 1000000000);
    ds_worker_wake_if_asleep(w, (uint32_t)(now_ns / 1000000000));
}

void ds_worker_asked(ds_worker *w, dynoscale_asked *asked) {
    pthread_mutex_lock(&w->lock);
    bool lately = ds_clock_monotonic_ms() - w->answered_ms < JOBS_FALSE_FOR_MS;
    asked->signals = w->config.signals;
    asked->jobs = w->config.jobs || !lately;
    asked->heartbeat_ms = w->config.heartbeat_ms;
    pthread_mutex_unlock(&w->lock);
}

/* Waits until the batch of that number, and so all before it, is sent or dropped. */
static dynoscale_error wait_until_finished(ds_worker *w, uint64_t number, int64_t deadline_ms,
                                           dynoscale_interrupted interrupted, void *context) {
    for (;;) {
        uint32_t seen = ds_wake_count(&w->progress);
        pthread_mutex_lock(&w->lock);
        bool finished = w->finished >= number && !atomic_load(&w->has_finished);
        pthread_mutex_unlock(&w->lock);
        if (finished) return DYNOSCALE_OK;

        int64_t left = deadline_ms - ds_clock_monotonic_ms();
        if (left <= 0) return DYNOSCALE_ERROR_TIMED_OUT;
        if (interrupted && interrupted(context)) return DYNOSCALE_ERROR_INTERRUPTED;
        ds_wake_wait(&w->progress, seen, left < INTERRUPT_EVERY_MS ? left : INTERRUPT_EVERY_MS);
    }
}

static bool given_up_since(ds_worker *w, uint64_t finished_before) {
    pthread_mutex_lock(&w->lock);
    bool given_up = w->last_given_up > finished_before;
    pthread_mutex_unlock(&w->lock);
    return given_up;
}

/* Makes everything due, to be tried at once. With the lock held. */
static uint64_t make_due(ds_worker *w, int64_t now) {
    drain(w);
    take_signals(w, true);
    if (ds_batches_any(&w->batches)) start(w);
    w->retry_ms = DS_NEVER_MS;
    return release(w, now);
}

static int64_t deadline_after(int64_t now, int64_t timeout_ms) {
    const int64_t longest_ms = 3600 * 1000;
    if (timeout_ms < 0) return now;
    return now + (timeout_ms < longest_ms ? timeout_ms : longest_ms);
}

dynoscale_error ds_worker_flush(ds_worker *w, int64_t timeout_ms, dynoscale_interrupted interrupted,
                                void *context) {
    int64_t now = ds_clock_monotonic_ms();
    pthread_mutex_lock(&w->lock);
    if (is_finished(w)) {
        pthread_mutex_unlock(&w->lock);
        return DYNOSCALE_ERROR_STOPPED;
    }
    uint64_t before = w->finished, number = make_due(w, now);
    pthread_mutex_unlock(&w->lock);
    ds_wake_post(&w->wake);

    dynoscale_error error =
        wait_until_finished(w, number, deadline_after(now, timeout_ms), interrupted, context);
    if (error == DYNOSCALE_OK && given_up_since(w, before))
        return is_finished(w) ? DYNOSCALE_ERROR_STOPPED : DYNOSCALE_ERROR_DROPPED;
    return error;
}

/* Asks the thread to finish by the deadline; if there is no thread, does it here. */
static uint64_t begin_stop(ds_worker *w, int64_t now, int64_t timeout_ms) {
    pthread_mutex_lock(&w->lock);
    uint64_t before = w->finished;
    if (!is_finished(w)) {
        w->deadline_ms = earlier(w->deadline_ms, deadline_after(now, timeout_ms));
        drain(w);
        take_signals(w, true);
        if (ds_batches_any(&w->batches)) make_due(w, now);
        if (atomic_load(&w->stage) == DS_STAGE_NEW) finish(w);
    }
    pthread_mutex_unlock(&w->lock);
    ds_wake_post(&w->wake);
    return before;
}

/* Waits until the thread, which has finished, has ended: at its end libraries clean up, which must
 * not happen during the clean-up of the whole process. Takes µs; at most STOP_GRACE_MS if the
 * system has a call with a limit. */
static void join(ds_worker *w) {
    if (!atomic_exchange(&w->joinable, false)) return;
#ifdef __linux__
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_nsec += STOP_GRACE_MS * 1000000L;
    limit.tv_sec += limit.tv_nsec / 1000000000;
    limit.tv_nsec %= 1000000000;
    if (pthread_timedjoin_np(w->thread, NULL, &limit) != 0) pthread_detach(w->thread);
#else
    pthread_join(w->thread, NULL);
#endif
}

dynoscale_error ds_worker_stop(ds_worker *w, int64_t timeout_ms, dynoscale_interrupted interrupted,
                               void *context) {
    int64_t now = ds_clock_monotonic_ms();
    uint64_t before = begin_stop(w, now, timeout_ms);
    int64_t deadline = deadline_after(now, timeout_ms) + STOP_GRACE_MS;
    dynoscale_error error = wait_until_finished(w, UINT64_MAX, deadline, interrupted, context);
    if (error != DYNOSCALE_OK) return error;
    join(w);
    if (before == UINT64_MAX || !given_up_since(w, before)) return DYNOSCALE_OK;
    bool late = ds_clock_monotonic_ms() >= deadline_after(now, timeout_ms);
    return late ? DYNOSCALE_ERROR_TIMED_OUT : DYNOSCALE_ERROR_DROPPED;
}

void ds_worker_stop_in_background(ds_worker *w, int64_t timeout_ms) {
    begin_stop(w, ds_clock_monotonic_ms(), timeout_ms);
}

void ds_worker_stop_by(ds_worker *w, int64_t deadline_ms) {
    deadline_ms = earlier(deadline_ms, atomic_load(&w->exit_deadline_ms)); /* of earlier handlers */
    atomic_store(&w->exit_deadline_ms, earlier(deadline_ms, atomic_load(&w->deadline_ms)));
    ds_wake_post_in_handler(&w->wake);
}

void ds_worker_wait_for_end(ds_worker *w) {
    int64_t until = atomic_load(&w->exit_deadline_ms) + STOP_GRACE_MS;
    while (atomic_load(&w->stage) == DS_STAGE_RUNNING) {
        uint32_t seen = ds_wake_count(&w->progress);
        int64_t left = until - ds_clock_monotonic_ms();
        if (left <= 0) return;
        ds_wake_wait_in_handler(&w->progress, seen,
                                left < INTERRUPT_EVERY_MS ? left : INTERRUPT_EVERY_MS);
    }
    join(w);
}

void ds_worker_send_now(ds_worker *w) {
    atomic_store(&w->send_asked, true);
    ds_wake_post_in_handler(&w->wake);
}

bool ds_worker_has_ended(ds_worker *w) {
    if (!is_finished(w)) return false;
#ifdef __linux__
    if (!atomic_exchange(&w->joinable, false)) return true;
    bool gone = pthread_tryjoin_np(w->thread, NULL) == 0;
    if (!gone) atomic_store(&w->joinable, true);
    return gone;
#else
    return true;
#endif
}

void ds_worker_counters(ds_worker *w, int64_t values[DYNOSCALE_COUNTER_COUNT]) {
    pthread_mutex_lock(&w->lock);
    if (is_finished(w)) drain(w);
    for (int i = 0; i < DYNOSCALE_COUNTER_COUNT; i++) values[i] += w->counters[i];
    int64_t waiting = (int64_t)ds_buffer_count(&w->buffer);
    int64_t refused = atomic_load_explicit(&w->refused, memory_order_relaxed);
    values[DYNOSCALE_COUNTER_RECORDED] += w->drained + waiting + refused;
    values[DYNOSCALE_COUNTER_PENDING] += (int64_t)ds_batches_rows(&w->batches) + waiting;
    values[DYNOSCALE_COUNTER_DROPPED_FULL] += refused;
    values[DYNOSCALE_COUNTER_PUBLISH_FREQUENCY_MS] = w->config.frequency_ms;
    pthread_mutex_unlock(&w->lock);
}

bool ds_worker_next_event(ds_worker *w, dynoscale_level *level, char text[DYNOSCALE_EVENT_SIZE]) {
    pthread_mutex_lock(&w->lock);
    bool taken = ds_events_take(&w->events, level, text);
    pthread_mutex_unlock(&w->lock);
    return taken;
}

void ds_worker_log(ds_worker *w, dynoscale_level level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&w->lock);
    ds_events_add_list(&w->events, level, format, arguments);
    pthread_mutex_unlock(&w->lock);
    va_end(arguments);
}
