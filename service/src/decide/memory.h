/*
 * What decisions remember from one tick to the next, for one process type. It is stored after each
 * tick, given to the next one, and part of the ledger. No pointers.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Stored number (never reused), name, meaning. Moments are epoch seconds; 0: never. */
#define MEMORY_FIELDS(X)                                                                   \
    X(1, last_tick, "the tick before")                                                     \
    X(2, last_up, "when dynos were last added")                                            \
    X(3, last_down, "when dynos were last removed")                                        \
    X(4, below_since, "since when the statistic has been below the threshold for down")    \
    X(5, wanted, "the number wanted after the last tick; -1: none yet")                    \
    X(6, up_value_ms, "the statistic when dynos were last added")                          \
    X(7, futile_ups, "times in a row that adding dynos did not make the wait shorter")     \
    X(8, futile_since, "since when nothing is added because it did not help")              \
    X(9, adopted_at, "when a change by somebody else was last adopted")                    \
    X(10, stood_down_since, "since when nothing is done because somebody else scales too") \
    X(11, last_value_ms, "the statistic at the tick before; -1: none")                     \
    X(12, last_ordered, "dynos ordered at the tick before; -1: not known")                 \
    X(13, jobs_hold_since, "since when a scaling down waits for running jobs")             \
    X(14, last_restart, "when the service was last seen to have started anew")

struct memory {
#define X(number, name, meaning) int64_t name;
    MEMORY_FIELDS(X)
#undef X
};

void memory_clear(struct memory *memory);
enum { MEMORY_STORED = 512 };
size_t memory_encode(uint8_t *bytes, const struct memory *memory);
bool memory_decode(struct memory *memory, const uint8_t *bytes, size_t length);
struct text;
void memory_json(struct text *text, const struct memory *memory);
bool memory_set(struct memory *memory, const char *name, const char *value);
bool memory_equal(const struct memory *one, const struct memory *other);

#endif
