/*
 * Sums for each second, while the service asks for them: the time that requests spend in the app,
 * and requests without a sample.
 *
 * The busy time is one 64-bit word: the low 20 bits count the requests in the app; the other 44 are
 * the sum of the µs at which requests left minus the sum of those at which they entered, modulo
 * 2^44. So at the time t all requests together have spent (word >> 20) + count * t in the app,
 * those still in it included, and one load reads that. The thread reads it at the end of each
 * second, so that a request of 3 s counts in each of its seconds, not only in the last. Entering
 * and leaving are one addition each, which a fork or a kill can't split.
 *
 * Times are of the wall clock, which requests have read already. Pure: the caller reads it.
 */
#ifndef DS_SECONDS_H
#define DS_SECONDS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    DS_SECONDS_COUNT_BITS = 20, /* a million requests at once */
    DS_SECONDS_KEPT = 8,        /* seconds; the thread takes the sums each second */
};

typedef struct ds_seconds {
    _Alignas(64) _Atomic(uint64_t) busy;
    /* The epoch second in the high half, requests in the low one; 0: none. */
    _Alignas(64) _Atomic(uint64_t) unstamped[DS_SECONDS_KEPT];

    /* Of the reader alone. */
    bool begun;
    int64_t read_us, read_ms; /* when the word was last read: wall µs, monotonic ms */
    uint64_t read_busy;       /* the time spent until then, modulo 2^44 */
    uint32_t read_count;      /* and the requests in the app */
    int64_t second;           /* the current one */
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

/* Drops the sums and starts again from this time. Requests in the app stay counted. */
void ds_seconds_begin(ds_seconds *s, int64_t wall_ns, int64_t monotonic_ms);

/* Receives a sum: busy time in ms, or requests without a sample. */
typedef void ds_seconds_sink(void *context, bool busy, int64_t epoch_s, int64_t sum);

/* Passes on the sums other than 0 of the seconds that are over; with `all` also that of the current
 * second, whose rest becomes another sum. One reader at a time. */
void ds_seconds_take(ds_seconds *s, int64_t wall_ns, int64_t monotonic_ms, bool all,
                     ds_seconds_sink *sink, void *context);

/* Whether this second has, or will have, a sum. */
bool ds_seconds_active(const ds_seconds *s);

#endif
