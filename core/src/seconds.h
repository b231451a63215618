/*
 * What is summed by the second while the service asks for it: the time that requests spend in the
 * app, and requests that gave no sample.
 *
 * The busy time is one 64-bit word: in its low 20 bits how many requests are in the app, in the
 * other 44 the µs at which requests left minus the µs at which they entered, modulo 2^44. So at a
 * moment t all requests together have spent (word >> 20) + count * t in the app, those that are
 * still there included, and the thread reads that with one load. It does so at the turn of each
 * second: a request of 3 s counts in each of its seconds, not in the last one alone. Entering and
 * leaving are one addition each, which a fork or a kill can't tear.
 *
 * Moments are of the wall clock, which requests have read already. Pure: the caller reads it.
 */
#ifndef DS_SECONDS_H
#define DS_SECONDS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    DS_SECONDS_COUNT_BITS = 20, /* a million requests at once */
    DS_SECONDS_KEPT = 8,        /* seconds; the thread takes them every second */
};

typedef struct ds_seconds {
    _Alignas(64) _Atomic(uint64_t) busy;
    /* The epoch second in the high half, requests in the low one; 0: none. */
    _Alignas(64) _Atomic(uint64_t) unstamped[DS_SECONDS_KEPT];

    /* The reader's own. */
    bool begun;
    int64_t read_us, read_ms; /* when the word was last read: wall µs, monotonic ms */
    uint64_t read_busy;       /* what it was then: the time spent until then, modulo 2^44 */
    uint32_t read_count;      /* and the requests in the app */
    int64_t second;           /* the one that is being summed */
    int64_t sum_us;           /* of it */
} ds_seconds;

/* An all-zero ds_seconds is empty. */

static inline void ds_seconds_enter(ds_seconds *s, int64_t now_us) {
    uint64_t at = (uint64_t)now_us << DS_SECONDS_COUNT_BITS;
    atomic_fetch_add(&s->busy, 1 - at); /* seq_cst: pairs with the load in ds_seconds_active */
}

/* Only after an enter on the same ds_seconds. */
static inline void ds_seconds_leave(ds_seconds *s, int64_t now_us) {
    uint64_t at = (uint64_t)now_us << DS_SECONDS_COUNT_BITS;
    atomic_fetch_add(&s->busy, at - 1);
}

/* Counts one request without a sample. Any thread. */
void ds_seconds_unstamped(ds_seconds *s, int64_t epoch_s);

/* Forgets what was summed, and sums from this moment on; requests in the app stay counted. */
void ds_seconds_begin(ds_seconds *s, int64_t wall_ns, int64_t monotonic_ms);

/* Takes a sum: of the busy time in ms, or of requests without a sample. */
typedef void ds_seconds_sink(void *context, bool busy, int64_t epoch_s, int64_t sum);

/* Gives the sums other than 0 of the seconds that are over; with `all` of the current one, too: its
 * rest is another sum. One reader at a time. */
void ds_seconds_take(ds_seconds *s, int64_t wall_ns, int64_t monotonic_ms, bool all,
                     ds_seconds_sink *sink, void *context);

/* Whether there is, or will be, a sum at the end of this second. */
bool ds_seconds_active(const ds_seconds *s);

#endif
