/*
 * What an agent has once a process: the buffer that requests push to, the batches, and the native
 * thread that drains, sends, retries and stops. It is made for a process's first sample and, in a
 * forked child, left alone as it was: see agent.c.
 *
 * Requests touch only the first part, without a lock. The lock guards the batches, the schedule,
 * the counters and the events; it is never held while the thread waits or talks to the network.
 * The connection and the request in flight are the thread's own.
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

/* For what few requests need: it stays out of the way of the others, whose code the bindings have
 * made one piece. */
#define DS_COLD __attribute__((cold, noinline))

/* The thread's life. */
typedef enum ds_stage {
    DS_STAGE_NEW,      /* not started, or could not be */
    DS_STAGE_RUNNING,  /* started */
    DS_STAGE_FINISHED, /* stopped for good */
} ds_stage;

enum { DS_NEVER_MS = -1 }; /* a moment that is not set, a wait without limit */

enum { DS_AWAKE, DS_DROWSY }; /* or an epoch second */

/*
 * From the end of the events to the first few hundred slots of the buffer it is one page: the first
 * request of a process, which finds none of them there yet, waits for one page and not for four.
 */
typedef struct ds_worker {
    ds_events events; /* its end is read by every request */

    /* DS_DROWSY: the thread sleeps, or has not been started. Whoever pushes then rouses it, and
     * leaves the second in which that began: should that fail, or never end, a later second's push
     * tries again. */
    _Alignas(DS_CACHE_LINE) _Atomic(uint32_t) drowsy;
    _Atomic(int64_t) refused;  /* pushes to a full buffer */
    _Atomic(uint32_t) signals; /* that the service asks for: 1 << dynoscale_signal each */
    _Atomic(int64_t) first_ns; /* wall clock: of the first request; 0: none yet */
    int64_t made_ns;           /* wall clock: what a request entered before is not ours */

    ds_seconds seconds;

    _Alignas(DS_CACHE_LINE) _Atomic(int) references; /* of the agent and of the thread */
    _Atomic(int) stage;                              /* ds_stage */
    ds_wake wake;                                    /* posted for the thread */
    ds_wake progress;                                /* posted by it, for flush and stop */
    _Atomic(int64_t) exit_deadline_ms;               /* of ds_worker_hasten, or DS_NEVER_MS */
    _Atomic(int64_t) deadline_ms;                    /* of stop, or DS_NEVER_MS */
    _Atomic(bool) hurried;                           /* by ds_worker_hurry */
    ds_settings *settings;
    const ds_transport *transport;
    struct ds_worker
        *inherited; /* of the generation before: once a fork has left this one behind */
    struct ds_worker *lingering; /* the next one whose agent has been freed; see agent.c */

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
    bool troubled;           /* a failure was logged, no success since */
    int64_t troubles_ms[2];  /* when the last two were logged */
    int64_t lost;            /* samples, since the last success */
    uint64_t settled;        /* the number of the last batch sent or given up */
    uint64_t last_given_up;  /* the number of the last one given up */

    ds_buffer buffer;
    ds_batches batches;

    /* The thread's own. */
    void *connection;
    bool in_flight;
    int64_t sent_ms;           /* when that began */
    _Atomic(bool) has_settled; /* a batch, of which those who wait are to be told */
    ds_request request;
} ds_worker;

/* One reference; nothing is started. Holds the settings. NULL without memory. */
ds_worker *ds_worker_new(ds_settings *settings, const ds_transport *transport);

void ds_worker_release(ds_worker *worker);

/* Gives back the memory of a worker that a fork left behind, and its hold on the settings. What its
 * thread had in hand stays: pointers to it may be half changed. */
void ds_worker_unmap(ds_worker *worker);

/* Has a thread like the worker's start, do nothing and end, so that the worker's finds all that is
 * to be had once a process, and a stack that the C library keeps. */
void ds_worker_rehearse_start(void);

/* Starts the thread, or wakes it. */
DS_COLD void ds_worker_rouse(ds_worker *worker);

/* The same for a request that found it drowsy: the first one is noted. */
DS_COLD void ds_worker_rouse_by_request(ds_worker *worker);

/* Whether the signals of any worker of this process need to know when requests enter and leave. */
extern _Atomic(bool) ds_worker_busy_asked;

/* Requests that this process can work on at once; 0: unknown. */
extern _Atomic(int) ds_worker_slots;

static inline bool ds_worker_asks(const ds_worker *worker, dynoscale_signal signal) {
    return (atomic_load_explicit(&worker->signals, memory_order_relaxed) >> signal & 1) != 0;
}

/* After a request left something to be seen in a second. */
static inline void ds_worker_wake(ds_worker *worker, uint32_t now) {
    /* seq_cst: pairs with the store in `rest` (worker.c); see also `put` (buffer.c). */
    uint32_t drowsy = atomic_load(&worker->drowsy);
    if (drowsy != DS_AWAKE && drowsy != now &&
        atomic_compare_exchange_strong(&worker->drowsy, &drowsy, now))
        ds_worker_rouse_by_request(worker);
}

/* Puts a sample in. Any thread; wait-free but for the sample that ends a silence. */
static inline void ds_worker_push(ds_worker *worker, uint64_t sample) {
    if (!ds_buffer_push(&worker->buffer, sample))
        atomic_fetch_add_explicit(&worker->refused, 1, memory_order_relaxed);
    ds_worker_wake(worker, (uint32_t)(sample >> 32));
}

/* Counts a request that gave no sample, where the service asks for it. Any thread; wait-free. */
void ds_worker_unstamped(ds_worker *worker, int64_t now_ns);

/* Takes a reading's row in, or a signal's, which is no sample. Any thread. */
dynoscale_error ds_worker_add_row(ds_worker *worker, const char *row, size_t length);
dynoscale_error ds_worker_add_signal(ds_worker *worker, const char *row, size_t length);

void ds_worker_asked(ds_worker *worker, dynoscale_asked *asked);

dynoscale_error ds_worker_flush(ds_worker *worker, int64_t timeout_ms,
                                dynoscale_interrupted interrupted, void *context);
dynoscale_error ds_worker_stop(ds_worker *worker, int64_t timeout_ms,
                               dynoscale_interrupted interrupted, void *context);

/* Asks the thread to finish by itself until the timeout. */
void ds_worker_dismiss(ds_worker *worker, int64_t timeout_ms);

/*
 * For C's exit(). The first asks the thread to finish by a moment of the monotonic clock, the
 * second waits for its end, for a little longer than that. A stop that is under way keeps its own
 * moment where that is sooner. Neither locks or allocates.
 */
void ds_worker_hasten(ds_worker *worker, int64_t deadline_ms);
void ds_worker_await(ds_worker *worker);

/* For a signal's handler: asks the thread to send at once what there is, and returns. */
void ds_worker_hurry(ds_worker *worker);

/* Whether the worker has finished and its thread is gone: then ds_worker_stop does not wait. (Where
 * that can't be told, off Linux, whether it has finished: the rest is a matter of µs.) One thread
 * at a time. */
bool ds_worker_gone(ds_worker *worker);

/* Adds the worker's counters to `values`. */
void ds_worker_counters(ds_worker *worker, int64_t values[DYNOSCALE_COUNTER_COUNT]);

bool ds_worker_next_event(ds_worker *worker, dynoscale_level *level,
                          char text[DYNOSCALE_EVENT_SIZE]);

/* Leaves an event. Any thread. */
__attribute__((format(printf, 3, 4))) void ds_worker_tell(ds_worker *worker, dynoscale_level level,
                                                          const char *format, ...);

/*
 * Does all that can be done at this moment: the thread's loop is this and the wait that it asks
 * for. Gives the ms to wait at most, DS_NEVER_MS for no limit; false when the thread is to end.
 */
bool ds_worker_step(ds_worker *worker, int64_t *wait_ms);

#endif
