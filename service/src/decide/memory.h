/*
 * What decisions remember from one tick to the next, for one process type. It is stored after each
 * tick, given to the next one, and part of the ledger. No pointers.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/automatic/learned.h"

/* Stored number (never reused), name, at first, meaning. Moments are epoch seconds; 0: never. */
#define MEMORY_FIELDS(X)                                                                      \
    X(1, last_tick, 0, "the tick before")                                                     \
    X(2, last_up, 0, "when dynos were last added")                                            \
    X(3, last_down, 0, "when dynos were last removed")                                        \
    X(4, below_since, 0, "since when the statistic has been below the threshold for down")    \
    X(5, wanted, -1, "the number wanted after the last tick; -1: none yet")                   \
    X(6, up_value_ms, -1, "the statistic when adding began; -1: nothing to compare with")     \
    X(7, futile_ups, 0, "times that dynos were added since then, the wait not yet shorter")   \
    X(8, futile_since, 0, "since when nothing is added because it did not help")              \
    X(9, adopted_at, 0, "when somebody else made the change that was last adopted")           \
    X(10, stood_down_since, 0, "since when nothing is done because somebody else scales too") \
    X(11, last_value_ms, -1, "the statistic at the tick before; -1: none")                    \
    X(12, last_ordered, -1, "dynos ordered at the tick before; -1: not known")                \
    X(13, jobs_hold_since, 0, "since when a scaling down waits for running jobs")             \
    X(14, last_restart, 0, "when the service last began to hear reports")                     \
    X(15, prior_up, 0, "last_up before the last order, which counts again if that fails")     \
    X(16, prior_down, 0, "last_down before the last order, in the same way")                  \
    X(17, zero_since, 0, "since when somebody else has had 0 dynos run, which is a pause")    \
    X(18, up_from, -1, "dynos ordered when dynos were last added; -1: none")                  \
    X(19, up_samples, -1, "requests in the window when adding began; -1: none")               \
    X(20, up_running, -1, "jobs being worked on when adding began; -1: not known")            \
    X(21, up_since, 0, "when adding began")                                                   \
    X(22, job_starts, 0, "jobs that began while jobs waited, fading, in thousandths")         \
    X(23, job_worker_s, 0, "seconds of workers in which they began, fading, in thousandths")  \
    X(24, job_slots, 0, "jobs that a worker works on at once, in thousandths; 0: not known")  \
    X(25, job_full, 0, "1: that many were worked on while others waited, so it is the most")  \
    X(26, job_busy, -1, "jobs worked on, in the last half minute, in thousandths; -1: none")  \
    X(27, job_last, -1, "jobs worked on at the tick before; -1: not known")                   \
    X(28, job_worked, 0, "jobs worked on, summed over ticks, fading, in thousandths")         \
    X(29, job_changes, 0, "half the squares of its changes by the tick, the same way")        \
    X(30, job_load, 0, "workers that jobs last kept busy, in thousandths")                    \
    X(31, job_load_at, 0, "when that was known")                                              \
    X(32, job_seen, 0, "when a job was last seen, waiting or worked on")                      \
    X(33, job_zero_at, 0, "when the last worker was given back")                              \
    X(34, job_keep_s, 0, "how long the last worker stays without a job; 0: as usual")

struct memory {
#define X(number, name, unknown, meaning) int64_t name;
    MEMORY_FIELDS(X)
#undef X
    struct learned learned; /* of the automatic method; empty if it was never used */
};

/* The state before the first tick. */
void memory_clear(struct memory *memory);

/* The stored form: what differs from a cleared memory, then, after a byte 0, what was learned.
 * encode: returns the bytes written, at most MEMORY_STORED. decode: false for what encode can't
 * have written. */
enum { MEMORY_STORED = 512 + LEARNED_STORED };
size_t memory_encode(uint8_t *bytes, const struct memory *memory);
bool memory_decode(struct memory *memory, const uint8_t *bytes, size_t length);

struct text;
/* Writes an object with every field; null for one that is not set. */
void memory_json(struct text *text, const struct memory *memory);
/* False, and nothing changes: an unknown name, or no whole number. */
bool memory_set(struct memory *memory, const char *name, const char *value);
bool memory_equal(const struct memory *one, const struct memory *other);

#endif
