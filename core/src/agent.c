#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sigaction, SA_ONSTACK */
#endif
#include "agent.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alone.h"
#include "clock.h"
#include "exit.h"
#include "fork.h"
#include "leader.h"
#include "options.h"
#include "queue_time.h"
#include "random.h"
#include "report.h"
#include "signals.h"
#include "thread.h"
#include "worker.h"

enum { STAMP_REASONS = 4, FREE_TIMEOUT_MS = 2000, EXIT_TIMEOUT_MS = 2000 };

struct dynoscale_agent {
    _Atomic(ds_worker *) worker; /* this process's; NULL before its first sample */
    bool dev_mode;
    _Atomic(bool) stopped; /* before a worker was there to stop */

    _Atomic(int64_t)
        stamps[STAMP_REASONS]; /* requests without a sample, by -DYNOSCALE_STAMP_* - 1 */
    _Atomic(int64_t) jobs_refused;
    _Atomic(int64_t) dropped_stopped;
    _Atomic(int64_t) dropped_memory;

    ds_settings *settings;
    const ds_transport *transport;
    _Atomic(int) lock_file; /* the leader's lock file; -1: not opened in this process */
    _Atomic(bool) lock_failed;
    _Atomic(ds_worker *) inherited; /* left behind by forks: see forget_ancestors */
    int users;                      /* opens not yet freed; guarded by the registry */
    dynoscale_agent *next;          /* in the registry */
};

/* ---- Registry: the process's agents ------------------------------------------------------- */

static dynoscale_agent *agents;
static ds_worker *freed; /* whose agents were freed while their threads ran */
/* Held for a few instructions, or while the dyno's lock is asked for. */
static atomic_flag registry_busy = ATOMIC_FLAG_INIT;

static void lock_registry(void) {
    while (atomic_flag_test_and_set_explicit(&registry_busy, memory_order_acquire)) sched_yield();
}

static void unlock_registry(void) {
    atomic_flag_clear_explicit(&registry_busy, memory_order_release);
}

/*
 * Only the forking thread exists in the child. The parent's worker is forgotten: its thread does
 * not run here, its lock may be held, and its samples are the parent's to send. The list is valid
 * at every moment, whichever thread was changing it. Only stores to memory; calls nothing that
 * could allocate or lock.
 */
static void forget_parent(void) {
    for (dynoscale_agent *a = agents; a; a = a->next) {
        ds_worker *worker = atomic_load_explicit(&a->worker, memory_order_relaxed);
        if (worker) {
            worker->inherited = atomic_load_explicit(&a->inherited, memory_order_relaxed);
            atomic_store_explicit(&a->inherited, worker, memory_order_relaxed);
        }
        atomic_store_explicit(&a->worker, NULL, memory_order_relaxed);
        atomic_store_explicit(&a->stopped, false, memory_order_relaxed);
        for (int i = 0; i < STAMP_REASONS; i++)
            atomic_store_explicit(&a->stamps[i], 0, memory_order_relaxed);
        atomic_store_explicit(&a->jobs_refused, 0, memory_order_relaxed);
        /* Not closed: a daemon has closed all files, and the number may now be another file's. */
        atomic_store_explicit(&a->lock_file, -1, memory_order_relaxed);
        atomic_store_explicit(&a->lock_failed, false, memory_order_relaxed);
        atomic_store_explicit(&a->dropped_stopped, 0, memory_order_relaxed);
        atomic_store_explicit(&a->dropped_memory, 0, memory_order_relaxed);
    }
    atomic_store_explicit(&ds_worker_asked_of_requests, 0, memory_order_relaxed);
    atomic_store_explicit(&ds_worker_slots, DS_SLOTS_NOT_SET, memory_order_relaxed);
    freed = NULL;
    atomic_flag_clear_explicit(&registry_busy, memory_order_relaxed);
    ds_alone_watch_thread();
}

/* Wakes the native threads, so that they see whether there are others. */
static void look_around(void) {
    lock_registry();
    for (dynoscale_agent *a = agents; a; a = a->next) {
        ds_worker *worker = atomic_load(&a->worker);
        if (worker) ds_worker_look_around(worker);
    }
    unlock_registry();
}

/* The agent with those settings, with one more user, or NULL. With the registry locked. */
static dynoscale_agent *registered(const ds_settings *settings) {
    for (dynoscale_agent *a = agents; a; a = a->next) {
        if (atomic_load(&a->stopped) || !ds_settings_equal(a->settings, settings)) continue;
        a->users++;
        return a;
    }
    return NULL;
}

static void unregister(dynoscale_agent *agent) {
    dynoscale_agent **link = &agents;
    while (*link != agent) link = &(*link)->next;
    *link = agent->next;
}

/* Removes one from the list `freed`: the first, or the first that has ended. NULL: none. */
static ds_worker *take_freed(bool finished_only) {
    lock_registry();
    ds_worker **link = &freed;
    while (finished_only && *link && !ds_worker_has_ended(*link)) link = &(*link)->next_freed;
    ds_worker *worker = *link;
    if (worker) *link = worker->next_freed;
    unlock_registry();
    return worker;
}

/* Detaches a worker to shut down in the background. free() must not block; process exit must wait,
 * because the thread may be inside the TLS library. */
static void shut_down_in_background(ds_worker *worker) {
    ds_worker_stop_in_background(worker, FREE_TIMEOUT_MS);
    lock_registry();
    worker->next_freed = freed;
    freed = worker;
    unlock_registry();
    while ((worker = take_freed(true))) {
        ds_worker_stop(worker, 0, NULL, NULL); /* is gone: does not wait */
        ds_worker_release(worker);
    }
}

/*
 * In C's exit(). Usually the host has stopped the agent before, and nothing is left to do. If not,
 * sends what was recorded. If the thread has outlived the stop, cancels it: it must not be inside
 * the TLS library when that is cleaned up.
 *
 * The interrupted thread may hold any lock, so this takes none: the lists are valid at every
 * moment.
 */
static void send_the_rest(void) {
    int64_t now = ds_clock_monotonic_ms();
    for (dynoscale_agent *a = agents; a; a = a->next) {
        ds_worker *worker = atomic_load(&a->worker);
        if (worker) ds_worker_stop_by(worker, now + EXIT_TIMEOUT_MS);
    }
    for (ds_worker *w = freed; w; w = w->next_freed) ds_worker_stop_by(w, now + EXIT_TIMEOUT_MS);

    for (dynoscale_agent *a = agents; a; a = a->next) {
        ds_worker *worker = atomic_load(&a->worker);
        if (worker) ds_worker_wait_for_end(worker);
    }
    for (ds_worker *w = freed; w; w = w->next_freed) ds_worker_wait_for_end(w);
}

/* A second signal would end the wait, or call exit() again, which continues after this handler. */
static void stop_at_exit(void) {
    bool held = ds_signals_hold_all();
    send_the_rest();
    if (held) ds_signals_release();
}

/* ---- Signals that the app gives no action ---------------------------------------------------- */

static _Atomic(bool) sends_at_signals;

static void send_all_now(void) {
    for (dynoscale_agent *a = agents; a; a = a->next) {
        ds_worker *worker = atomic_load(&a->worker);
        if (worker) ds_worker_send_now(worker);
    }
}

/* The signal is raised again, and its default action runs when this returns. The kernel ignores it
 * in the first process of a system or a container, which goes on. */
static void at_signal(int number) {
    if (getpid() == 1) {
        send_all_now();
        return;
    }
    send_the_rest();
    signal(number, SIG_DFL);
    raise(number);
}

static void act_at(int number) {
    struct sigaction before, ours = {.sa_handler = at_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    if (sigaction(number, NULL, &before) != 0) return;
    if ((before.sa_flags & SA_SIGINFO) != 0 || before.sa_handler != SIG_DFL) return;
    sigemptyset(&ours.sa_mask);
    sigaction(number, &ours, NULL);
}

/* Again at a process's first sample: servers reset signals in their workers. */
static void act_at_signals(void) {
    if (!atomic_load(&sends_at_signals)) return;
    act_at(SIGTERM);
    act_at(SIGQUIT);
    act_at(SIGHUP);
}

void dynoscale_send_at_signals(void) {
    atomic_store(&sends_at_signals, true);
    act_at_signals();
}

bool dynoscale_hold_signals(const int *numbers, size_t count) {
    return ds_signals_hold(numbers, count);
}

void dynoscale_release_signals(void) { ds_signals_release(); }

/* ---- Opening and closing ------------------------------------------------------------------ */

/* Another agent of the process that has the same lock and the file open, or NULL. They share one
 * descriptor, because closing any descriptor of a file releases the process's locks on it. With the
 * registry locked. */
static dynoscale_agent *agent_with_lock_file(const dynoscale_agent *agent) {
    for (dynoscale_agent *a = agents; a; a = a->next)
        if (a != agent && atomic_load(&a->lock_file) >= 0 &&
            strcmp(a->settings->lock_path, agent->settings->lock_path) == 0)
            return a;
    return NULL;
}

static void release_lead(dynoscale_agent *agent) {
    lock_registry();
    int file = atomic_load(&agent->lock_file);
    if (!agent_with_lock_file(agent)) ds_leader_resign(agent->settings->lock_path, &file);
    atomic_store(&agent->lock_file, -1);
    unlock_registry();
}

static void discard(dynoscale_agent *agent) {
    release_lead(agent);
    ds_settings_release(agent->settings);
    free(agent);
}

static dynoscale_agent *make(const dynoscale_options *options, const char *language,
                             const ds_transport *transport) {
    dynoscale_agent *agent = calloc(1, sizeof *agent);
    ds_settings *settings = ds_settings_new(options, language);
    if (!agent || !settings) {
        free(agent);
        if (settings) ds_settings_release(settings);
        return NULL;
    }
    agent->settings = settings;
    agent->dev_mode = settings->dev_mode;
    agent->transport = transport;
    agent->users = 1;
    atomic_init(&agent->lock_file, -1);
    return agent;
}

dynoscale_error ds_agent_open(const dynoscale_options *options, const char *language,
                              const ds_transport *transport, dynoscale_agent **opened) {
    *opened = NULL;
    if (dynoscale_options_off_reason(options) != DYNOSCALE_ON) return DYNOSCALE_ERROR_OFF;
    ds_alone_init(look_around);
    if (!ds_fork_watch(forget_parent)) return DYNOSCALE_ERROR_NO_MEMORY;
    dynoscale_agent *fresh = make(options, language, transport);
    if (!fresh) return DYNOSCALE_ERROR_NO_MEMORY;
    ds_fork_hold(); /* the C library locks its list of handlers */
    ds_exit_watch(stop_at_exit);
    ds_fork_release();

    lock_registry();
    dynoscale_agent *agent = registered(fresh->settings);
    if (!agent) {
        fresh->next = agents;
        agents = agent = fresh;
    }
    unlock_registry();
    if (agent != fresh) discard(fresh);
    *opened = agent;
    return DYNOSCALE_OK;
}

dynoscale_error dynoscale_agent_open(const dynoscale_options *options, const char *language,
                                     dynoscale_agent **agent) {
    return ds_agent_open(options, language, &ds_transport_curl, agent);
}

void dynoscale_agent_free(dynoscale_agent *agent) {
    if (!agent) return;
    lock_registry();
    bool last = --agent->users == 0;
    if (last) unregister(agent);
    unlock_registry();
    if (!last) return;
    ds_worker *worker = atomic_load(&agent->worker);
    if (worker) shut_down_in_background(worker);
    discard(agent);
}

/* ---- Requests ----------------------------------------------------------------------------- */

static void count(_Atomic(int64_t) *counter) {
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/*
 * Frees the workers that forks left behind, except the parent's: a signal handler may have forked
 * inside a call with it, which goes on in the child. Freeing older generations keeps chains of
 * forks from growing.
 */
static void forget_ancestors(dynoscale_agent *agent) {
    ds_worker *parents = atomic_load(&agent->inherited);
    while (parents && parents->inherited) {
        ds_worker *ancestor = parents->inherited;
        parents->inherited = ancestor->inherited;
        ds_worker_unmap(ancestor);
    }
}

/* The process's worker, made by the first caller; NULL if stopped or without memory. */
DS_COLD static ds_worker *make_worker(dynoscale_agent *agent) {
    if (atomic_load(&agent->stopped)) return NULL;
    ds_worker *fresh = ds_worker_new(agent->settings, agent->transport), *there = NULL;
    if (!fresh) return NULL;
    act_at_signals();
    if (!atomic_compare_exchange_strong(&agent->worker, &there, fresh)) {
        ds_worker_release(fresh);
        return there;
    }
    forget_ancestors(agent);
    /* Publishes the worker, then reads `stopped`; dynoscale_agent_stop stores that, then reads the
     * worker. One of the two sees the other. */
    if (atomic_load(&agent->stopped)) ds_worker_stop_in_background(fresh, 0);
    return fresh;
}

static ds_worker *worker_of(dynoscale_agent *agent) {
    /* acquire: pairs with the compare-and-swap in make_worker, which publishes the whole worker. */
    ds_worker *worker = atomic_load_explicit(&agent->worker, memory_order_acquire);
    return worker ? worker : make_worker(agent);
}

/* For a sample or a reading when there is no worker. */
DS_COLD static void count_lost(dynoscale_agent *agent) {
    count(atomic_load(&agent->stopped) ? &agent->dropped_stopped : &agent->dropped_memory);
}

void dynoscale_agent_prepare(dynoscale_agent *agent) {
    if (!agent || atomic_load(&agent->worker) || !make_worker(agent)) return;
    ds_worker_keep_spare();
    ds_thread_warm_up();
}

static void record(dynoscale_agent *agent, int64_t now_ns, int64_t queue_time_ms) {
    ds_worker *worker = worker_of(agent);
    if (worker) ds_worker_push(worker, ds_sample(now_ns / 1000000000, queue_time_ms));
    else count_lost(agent);
}

DS_COLD static void sum_unstamped(ds_worker *worker) {
    ds_worker_unstamped(worker, ds_clock_wall_ns());
}

static int64_t count_unstamped(dynoscale_agent *agent, int64_t reason) {
    count(&agent->stamps[-reason - 1]);
    ds_worker *worker = atomic_load_explicit(&agent->worker, memory_order_acquire);
    if (worker && ds_worker_asks(worker, DYNOSCALE_SIGNAL_UNSTAMPED)) sum_unstamped(worker);
    return reason;
}

/* There is no router in development: up to 100 ms are made up, so that there is something to
 * see. */
DS_COLD static int64_t without_stamp(dynoscale_agent *agent) {
    if (!agent->dev_mode) return count_unstamped(agent, DYNOSCALE_STAMP_MISSING);
    int64_t queue_time_ms = (int64_t)(ds_random() % 100);
    record(agent, ds_clock_wall_ns(), queue_time_ms);
    return queue_time_ms;
}

int64_t dynoscale_agent_request_start_at(dynoscale_agent *agent, int64_t entered_ns,
                                         const char *start, size_t start_length,
                                         double body_wait_ms) {
    if (!agent) return DYNOSCALE_STAMP_OFF;
    if (!start) return DYNOSCALE_STAMP_MISSING;

    int64_t now_ns = entered_ns < 0 ? ds_clock_wall_ns() : entered_ns;
    int64_t queue_time_ms = ds_queue_time_of_one_ms(start, start_length, body_wait_ms, now_ns);
    if (queue_time_ms >= 0) record(agent, now_ns, queue_time_ms);
    return queue_time_ms;
}

int64_t dynoscale_agent_request_at(dynoscale_agent *agent, int64_t entered_ns, const char *start,
                                   size_t start_length, const char *queue_start,
                                   size_t queue_start_length, double body_wait_ms) {
    if (!agent) return DYNOSCALE_STAMP_OFF;
    if (!start && !queue_start) return without_stamp(agent);

    int64_t now_ns = entered_ns < 0 ? ds_clock_wall_ns() : entered_ns;
    int64_t queue_time_ms = ds_queue_time_ms(start, start_length, queue_start, queue_start_length,
                                             body_wait_ms, now_ns);
    if (queue_time_ms == DYNOSCALE_STAMP_MISSING) return without_stamp(agent);
    if (queue_time_ms < 0) return count_unstamped(agent, queue_time_ms);
    record(agent, now_ns, queue_time_ms);
    return queue_time_ms;
}

int64_t dynoscale_agent_request_start(dynoscale_agent *agent, const char *start,
                                      size_t start_length, double body_wait_ms) {
    return dynoscale_agent_request_start_at(agent, -1, start, start_length, body_wait_ms);
}

int64_t dynoscale_agent_request(dynoscale_agent *agent, const char *start, size_t start_length,
                                const char *queue_start, size_t queue_start_length,
                                double body_wait_ms) {
    return dynoscale_agent_request_at(agent, -1, start, start_length, queue_start,
                                      queue_start_length, body_wait_ms);
}

/* ---- Signals ------------------------------------------------------------------------------ */

int dynoscale_asked_of_requests(void) {
    return atomic_load_explicit(&ds_worker_asked_of_requests, memory_order_relaxed);
}

int64_t dynoscale_agent_enter(dynoscale_agent *agent) {
    ds_worker *worker = agent ? atomic_load_explicit(&agent->worker, memory_order_acquire) : NULL;
    if (!worker || !ds_worker_asks(worker, DYNOSCALE_SIGNAL_BUSY)) return -1;
    int64_t now_ns = ds_clock_wall_ns();
    if (now_ns <= worker->made_ns) return -1; /* the clock was set: `leave` would ignore it */
    ds_seconds_enter(&worker->seconds, now_ns / 1000);
    ds_worker_wake_if_asleep(worker, (uint32_t)(now_ns / 1000000000));
    return now_ns;
}

void dynoscale_agent_leave(dynoscale_agent *agent, int64_t entered_ns) {
    if (!agent || entered_ns < 0) return;
    ds_worker *worker = atomic_load_explicit(&agent->worker, memory_order_acquire);
    if (worker && entered_ns > worker->made_ns)
        ds_seconds_leave(&worker->seconds, ds_clock_wall_ns() / 1000);
}

void dynoscale_agent_asked(dynoscale_agent *agent, dynoscale_asked *asked) {
    *asked = (dynoscale_asked){.jobs = true};
    ds_worker *worker = agent ? atomic_load(&agent->worker) : NULL;
    if (worker) ds_worker_asked(worker, asked);
}

void dynoscale_set_slots(int slots) {
    atomic_store(&ds_worker_slots, slots);
    atomic_fetch_and(&ds_worker_asked_of_requests, ~DYNOSCALE_ASKED_SLOTS);
}

/* ---- Job queues --------------------------------------------------------------------------- */

dynoscale_error dynoscale_agent_job_queue_time(dynoscale_agent *agent, const char *backend,
                                               size_t backend_length, const char *queue,
                                               size_t queue_length, int64_t queue_time_ms) {
    if (!agent) return DYNOSCALE_ERROR_OFF;
    char row[DS_REPORT_READING_SIZE];
    size_t length = 0;
    if (backend && queue && queue_time_ms >= 0)
        length = ds_report_reading(row, ds_clock_wall_ns() / 1000000000, queue_time_ms, backend,
                                   backend_length, queue, queue_length, "");
    if (length == 0) {
        count(&agent->jobs_refused);
        return DYNOSCALE_ERROR_INVALID;
    }
    ds_worker *worker = worker_of(agent);
    if (worker) return ds_worker_add_row(worker, row, length);
    count_lost(agent);
    return atomic_load(&agent->stopped) ? DYNOSCALE_ERROR_STOPPED : DYNOSCALE_ERROR_NO_MEMORY;
}

dynoscale_error dynoscale_agent_job_signal(dynoscale_agent *agent, const char *backend,
                                           size_t backend_length, const char *queue,
                                           size_t queue_length, dynoscale_signal signal,
                                           int64_t jobs) {
    if (!agent) return DYNOSCALE_ERROR_OFF;
    bool is_of_jobs = signal == DYNOSCALE_SIGNAL_DEPTH || signal == DYNOSCALE_SIGNAL_WORKING;
    ds_worker *worker = atomic_load(&agent->worker);
    if (is_of_jobs && (!worker || !ds_worker_asks(worker, signal))) return DYNOSCALE_OK;
    char row[DS_REPORT_READING_SIZE];
    size_t length = 0;
    if (is_of_jobs && backend && queue && jobs >= 0)
        length =
            ds_report_reading(row, ds_clock_wall_ns() / 1000000000, jobs, backend, backend_length,
                              queue, queue_length, dynoscale_signal_name(signal));
    return length == 0 ? DYNOSCALE_ERROR_INVALID : ds_worker_add_signal(worker, row, length);
}

/* Before there is a worker, it can't be logged; then it is logged once. */
static void log_no_lock(dynoscale_agent *agent, int error) {
    ds_worker *worker = worker_of(agent);
    if (!worker || atomic_exchange(&agent->lock_failed, true)) return;
    ds_worker_log(worker, DYNOSCALE_LEVEL_WARN,
                  "job queues are not measured: the lock %s can't be taken: %s",
                  agent->settings->lock_path, strerror(error));
}

bool dynoscale_agent_leads(dynoscale_agent *agent, const char *topic) {
    if (!agent) return false;
    lock_registry(); /* if two threads opened the file, one would release the lock by closing it */
    int file = atomic_load(&agent->lock_file);
    const dynoscale_agent *other = file < 0 ? agent_with_lock_file(agent) : NULL;
    if (other) file = atomic_load(&other->lock_file);
    bool may = !atomic_load(&agent->stopped);
    bool leads = may && ds_leader_lead(agent->settings->lock_path, topic ? topic : "", &file);
    int error = leads || !may ? 0 : errno;
    if (may) atomic_store(&agent->lock_file, file);
    unlock_registry();
    if (error != 0) log_no_lock(agent, error);
    return leads;
}

int dynoscale_agent_watch_leader(dynoscale_agent *agent, const char *topic) {
    if (!agent) return -1;
    lock_registry(); /* nobody closes the file meanwhile */
    int ended = ds_leader_watch(atomic_load(&agent->lock_file), topic ? topic : "");
    unlock_registry();
    return ended;
}

/* ---- Flush and stop ----------------------------------------------------------------------- */

dynoscale_error dynoscale_agent_flush(dynoscale_agent *agent, int64_t timeout_ms,
                                      dynoscale_interrupted interrupted, void *context) {
    ds_worker *worker = agent ? atomic_load(&agent->worker) : NULL;
    if (worker) return ds_worker_flush(worker, timeout_ms, interrupted, context);
    return agent && atomic_load(&agent->stopped) ? DYNOSCALE_ERROR_STOPPED : DYNOSCALE_OK;
}

dynoscale_error dynoscale_agent_stop(dynoscale_agent *agent, int64_t timeout_ms,
                                     dynoscale_interrupted interrupted, void *context) {
    int64_t began_ms = ds_clock_monotonic_ms();
    dynoscale_error error = DYNOSCALE_OK;
    if (timeout_ms < 0) timeout_ms = 0;
    if (agent) {
        atomic_store(&agent->stopped, true);
        release_lead(agent);
        ds_worker *worker = atomic_load(&agent->worker);
        if (worker) error = ds_worker_stop(worker, timeout_ms, interrupted, context);
    }
    for (ds_worker *worker; (worker = take_freed(false)); ds_worker_release(worker)) {
        int64_t passed_ms = ds_clock_monotonic_ms() - began_ms;
        ds_worker_stop(worker, timeout_ms - passed_ms, interrupted, context);
    }
    return error;
}

/* ---- What happened ------------------------------------------------------------------------ */

void dynoscale_agent_counters(dynoscale_agent *agent, int64_t values[DYNOSCALE_COUNTER_COUNT]) {
    memset(values, 0, DYNOSCALE_COUNTER_COUNT * sizeof *values);
    if (!agent) return;
    int64_t stopped = atomic_load(&agent->dropped_stopped);
    int64_t memory = atomic_load(&agent->dropped_memory);
    for (int i = 0; i < STAMP_REASONS; i++)
        values[DYNOSCALE_COUNTER_STAMP_MISSING + i] = atomic_load(&agent->stamps[i]);
    values[DYNOSCALE_COUNTER_JOBS_REFUSED] = atomic_load(&agent->jobs_refused);
    values[DYNOSCALE_COUNTER_RECORDED] = stopped + memory;
    values[DYNOSCALE_COUNTER_DROPPED_STOPPED] = stopped;
    values[DYNOSCALE_COUNTER_DROPPED_FULL] = memory;
    values[DYNOSCALE_COUNTER_PUBLISH_FREQUENCY_MS] = agent->settings->publish_frequency_ms;
    ds_worker *worker = atomic_load(&agent->worker);
    if (worker) ds_worker_counters(worker, values);
}

bool dynoscale_agent_has_event(const dynoscale_agent *agent) {
    if (!agent) return false;
    const ds_worker *worker = atomic_load_explicit(&agent->worker, memory_order_acquire);
    return worker && ds_events_any(&worker->events);
}

bool dynoscale_agent_next_event(dynoscale_agent *agent, dynoscale_level *level,
                                char text[DYNOSCALE_EVENT_SIZE]) {
    ds_worker *worker = agent ? atomic_load(&agent->worker) : NULL;
    return worker && ds_worker_next_event(worker, level, text);
}

/* ---- Names -------------------------------------------------------------------------------- */

const char *dynoscale_counter_name(dynoscale_counter counter) {
    static const char *const names[] = {
#define X(id, name, meaning) name,
        DYNOSCALE_COUNTERS(X)
#undef X
    };
    return (unsigned)counter < DYNOSCALE_COUNTER_COUNT ? names[counter] : NULL;
}

const char *dynoscale_counter_meaning(dynoscale_counter counter) {
    static const char *const meanings[] = {
#define X(id, name, meaning) meaning,
        DYNOSCALE_COUNTERS(X)
#undef X
    };
    return (unsigned)counter < DYNOSCALE_COUNTER_COUNT ? meanings[counter] : NULL;
}

const char *dynoscale_error_name(dynoscale_error error) {
    switch (error) {
#define X(name, text) \
    case name:        \
        return #name;
        DYNOSCALE_ERRORS(X)
#undef X
    }
    return "DYNOSCALE_ERROR_UNKNOWN";
}

const char *dynoscale_error_text(dynoscale_error error) {
    switch (error) {
#define X(name, text) \
    case name:        \
        return text;
        DYNOSCALE_ERRORS(X)
#undef X
    }
    return "unknown error";
}
