/*
 * The agent's part in one process: the buffer that requests push to, the batches, and the native
 * thread that drains, sends, retries and stops. The first sample of a process makes it. A forked
 * child leaves its parent's alone: see agent.c.
 *
 * Requests touch only the first part, without a lock. The lock guards the batches, the schedule,
 * the counters and the events. It is never held while the thread waits or talks to the network. The
 * connection and the request in flight belong to the thread.
 */
#ifndef DS_WORKER_H
#define DS_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "batch.h"
#include "buffer.h"
#include "dynoscale.h"
#include "events.h"
#include "options.h"
#include "report.h"
#include "seconds.h"
#include "transport.h"
#include "wake.h"

/* Rarely executed. Kept out of line so that flattening the hot path does not inline it. */
#define DS_COLD __attribute__((cold, noinline))

/* The thread's life. */
typedef enum ds_stage {
    DS_STAGE_NEW,      /* not started, or could not be */
    DS_STAGE_RUNNING,  /* started */
    DS_STAGE_FINISHED, /* stopped for good */
} ds_stage;

enum { DS_NEVER_MS = -1 }; /* a time that is not set, or a wait without limit */

enum { DS_AWAKE, DS_ASLEEP }; /* or an epoch second */

/*
 * The fields from the end of `events` to the first few hundred slots of the buffer lie on one page,
 * so that the first request of a process waits for one page fault, not four.
 */
typedef struct ds_worker {
    ds_events events; /* every request reads its last field */

    /* DS_AWAKE, DS_ASLEEP (also: not started), or the epoch second in which a push began to wake
     * the thread. If that fails or never ends, a push in a later second tries again. */
    _Alignas(DS_CACHE_LINE) _Atomic(uint32_t) sleep_state;
    _Atomic(int64_t) refused;  /* pushes to a full buffer */
    _Atomic(uint32_t) signals; /* that the service asks for: 1 << dynoscale_signal each */
    _Atomic(int64_t) first_ns; /* wall clock: of the first request; 0: none yet */
    int64_t made_ns;           /* wall clock: earlier enters belong to another worker */

    ds_seconds seconds;

    _Alignas(DS_CACHE_LINE) _Atomic(int) references; /* of the agent and of the thread */
    _Atomic(int) stage;                              /* ds_stage */
    ds_wake wake;                                    /* posted for the thread */
    ds_wake progress;                                /* posted by it, for flush and stop */
    _Atomic(int64_t) exit_deadline_ms;               /* of ds_worker_stop_by, or DS_NEVER_MS */
    _Atomic(int64_t) deadline_ms;                    /* of stop, or DS_NEVER_MS */
    _Atomic(bool) send_asked;                        /* by ds_worker_send_now */
    ds_settings *settings;
    const ds_transport *transport;
    struct ds_worker *inherited;  /* the worker of the parent process, after a fork */
    struct ds_worker *next_freed; /* in the list of those whose agent was freed; see agent.c */

    pthread_mutex_t lock;
    int64_t counters[DYNOSCALE_COUNTER_COUNT];
    int64_t drained; /* samples taken out of the buffer, and readings taken in */

    /* The schedule: monotonic ms, or DS_NEVER_MS. */
    ds_report_config config; /* as the service's last answer said */
    int64_t answered_ms;     /* when that was */
    int64_t heartbeat_ms;    /* when a report without rows is due */
    bool begin_sent;         /* the signal, once a process */
    int64_t last_due_ms;     /* when a report was last due */
    int64_t next_due_ms;     /* when the next one is */
    int64_t retry_ms;        /* before this nothing is sent */
    int64_t backoff_ms;      /* the last wait after a failure, 0: the last attempt went well */
    int64_t next_start_ms;   /* before this the thread is not started again */
    pthread_t thread;        /* while joinable */
    _Atomic(bool) joinable;  /* started, and nobody has joined it yet */
    bool failing;            /* a failure was logged, no success since */
    int64_t troubles_ms[2];  /* when the last two were logged */
    int64_t lost;            /* samples, since the last success */
    uint64_t finished;       /* the number of the last batch sent or given up */
    uint64_t last_given_up;  /* the number of the last one given up */

    ds_buffer buffer;
    ds_batches batches;

    /* Of the thread alone. */
    void *connection;
    bool in_flight;
    int64_t sent_ms;            /* when that began */
    _Atomic(bool) has_finished; /* a batch: those who wait must be woken */
    ds_request request;
} ds_worker;

/* Returns one reference, or NULL without memory. Starts nothing. Keeps a reference to the
 * settings. */
ds_worker *ds_worker_new(ds_settings *settings, const ds_transport *transport);

/* Maps the memory of the next worker, so that a child which is forked now need not. */
void ds_worker_keep_spare(void);

void ds_worker_release(ds_worker *worker);

/* Frees the memory of a worker that a fork left behind, its batches and its reference to the
 * settings. What its thread was using at the fork stays allocated: pointers to it may be half
 * changed. */
void ds_worker_unmap(ds_worker *worker);

/* Wakes the thread if it runs: it ends once it is alone (alone.h). */
void ds_worker_look_around(ds_worker *worker);

/* Starts the thread, or wakes it. */
DS_COLD void ds_worker_wake(ds_worker *worker);

/* The same for a request that found the thread asleep. Notes the time of the first one. */
DS_COLD void ds_worker_wake_by_request(ds_worker *worker);

/* DYNOSCALE_ASKED_*: what the workers of this process ask of requests. */
extern _Atomic(int) ds_worker_asked_of_requests;

/* Requests that this process can run at once; 0: can't be known; DS_SLOTS_NOT_SET. */
enum { DS_SLOTS_NOT_SET = -1 };
extern _Atomic(int) ds_worker_slots;

static inline bool ds_worker_asks(const ds_worker *worker, dynoscale_signal signal) {
    return (atomic_load_explicit(&worker->signals, memory_order_relaxed) >> signal & 1) != 0;
}

/* Called after a request left something to send in this second. */
static inline void ds_worker_wake_if_asleep(ds_worker *worker, uint32_t now) {
    /* seq_cst: pairs with the store in `begin_wait` (worker.c); see also `put` (buffer.c). */
    uint32_t sleep_state = atomic_load(&worker->sleep_state);
    if (sleep_state != DS_AWAKE && sleep_state != now &&
        atomic_compare_exchange_strong(&worker->sleep_state, &sleep_state, now))
        ds_worker_wake_by_request(worker);
}

/* Adds a sample. Any thread; wait-free, except for the first sample after a silence. */
static inline void ds_worker_push(ds_worker *worker, uint64_t sample) {
    if (!ds_buffer_push(&worker->buffer, sample))
        atomic_fetch_add_explicit(&worker->refused, 1, memory_order_relaxed);
    ds_worker_wake_if_asleep(worker, (uint32_t)(sample >> 32));
}

/* Counts a request without a sample, if the service asks for it. Any thread; wait-free. */
void ds_worker_unstamped(ds_worker *worker, int64_t now_ns);

/* Adds the row of a reading, or of a signal, which is no sample. Any thread. */
dynoscale_error ds_worker_add_row(ds_worker *worker, const char *row, size_t length);
dynoscale_error ds_worker_add_signal(ds_worker *worker, const char *row, size_t length);

void ds_worker_asked(ds_worker *worker, dynoscale_asked *asked);

dynoscale_error ds_worker_flush(ds_worker *worker, int64_t timeout_ms,
                                dynoscale_interrupted interrupted, void *context);
dynoscale_error ds_worker_stop(ds_worker *worker, int64_t timeout_ms,
                               dynoscale_interrupted interrupted, void *context);

/* Detaches the worker to shut down in the background until the timeout, without waiting for it. */
void ds_worker_stop_in_background(ds_worker *worker, int64_t timeout_ms);

/*
 * For C's exit(). The first asks the thread to finish by a deadline on the monotonic clock. The
 * second waits for its end, a little longer than that. A stop in progress keeps its own deadline if
 * that is sooner. Neither locks or allocates.
 */
void ds_worker_stop_by(ds_worker *worker, int64_t deadline_ms);
void ds_worker_wait_for_end(ds_worker *worker);

/* For a signal handler: asks the thread to send at once what there is, and returns. */
void ds_worker_send_now(ds_worker *worker);

/* Whether the worker has finished and its thread has ended, so that ds_worker_stop does not wait.
 * Off Linux the thread's end is unknown: then whether the worker has finished, and the thread ends
 * µs later. One thread at a time. */
bool ds_worker_has_ended(ds_worker *worker);

/* Adds the worker's counters to `values`. */
void ds_worker_counters(ds_worker *worker, int64_t values[DYNOSCALE_COUNTER_COUNT]);

bool ds_worker_next_event(ds_worker *worker, dynoscale_level *level,
                          char text[DYNOSCALE_EVENT_SIZE]);

/* Adds an event. Any thread. */
__attribute__((format(printf, 3, 4))) void ds_worker_log(ds_worker *worker, dynoscale_level level,
                                                         const char *format, ...);

/*
 * Does everything that is due now. Returns in *wait_ms how long to wait before the next call,
 * DS_NEVER_MS for no limit. Returns false when the thread has to end. The thread is a loop of this
 * function and the wait.
 */
bool ds_worker_step(ds_worker *worker, int64_t *wait_ms);

#endif
