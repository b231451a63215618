/*
 * A bounded lock-free buffer of 64-bit words: many producers, one consumer at a time. It is not a
 * queue: words of one thread come out nearly in order, those of several threads in any order.
 *
 * A slot is one word; 0 means empty. A push is one compare-and-swap from 0 to the word, so a word
 * is in the buffer whole or not at all: a producer that dies blocks nobody, and a fork at any
 * moment copies a valid buffer.
 *
 * Where to look for an empty slot is only a hint: `next` is the first slot of the next run, and a
 * lane is the position of its threads within their run. Threads of different lanes write to
 * different cache lines and so don't slow each other down. Lanes are stored without a
 * compare-and-swap and may race: a wrong hint makes the search longer, but loses no word.
 *
 * If no slot is empty, the push is refused. The refusal is remembered until the next drain, so that
 * a push to a full buffer is as cheap as one to an empty buffer.
 */
#ifndef DS_BUFFER_H
#define DS_BUFFER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Otherwise the compiler's library would take a lock, which a forked child inherits. */
_Static_assert(
    ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_POINTER_LOCK_FREE == 2,
    "atomic operations of 64 bits take no lock: this processor, or the compiler's setting "
    "for it (-march), has none");

enum {
    DS_CACHE_LINE = 64,
    DS_BUFFER_SLOTS = 16384, /* 128 KiB. The thread drains once a second while there is traffic. */
    DS_BUFFER_RUN = 32,      /* slots: four cache lines */
    DS_BUFFER_LANES = 16,
};

typedef struct ds_buffer_lane {
    _Alignas(DS_CACHE_LINE) _Atomic(size_t) next; /* a multiple of DS_BUFFER_RUN: take a new run */
} ds_buffer_lane;

typedef struct ds_buffer {
    _Alignas(DS_CACHE_LINE) _Atomic(size_t) next;     /* the first slot of the next run */
    _Alignas(DS_CACHE_LINE) _Atomic(uint64_t) drains; /* drains finished so far */
    _Atomic(uint64_t) full_at;                        /* `drains` + 1 when found full */
    ds_buffer_lane lanes[DS_BUFFER_LANES];
    _Alignas(DS_CACHE_LINE) _Atomic(uint64_t) slots[DS_BUFFER_SLOTS];
} ds_buffer;

/* An all-zero ds_buffer is an empty buffer. */

/* Adds a word other than 0. Returns false if the buffer is full. Any thread; wait-free. */
bool ds_buffer_push(ds_buffer *buffer, uint64_t word);

/*
 * Takes up to `most` words out and returns their number; words of one thread nearly in order. A
 * pass starts with *position 0 and ends when 0 is returned. It always finds a word whose push ended
 * before the pass began. One caller at a time.
 */
size_t ds_buffer_drain(ds_buffer *buffer, size_t *position, uint64_t *words, size_t most);

/* The number of words; exact while nobody pushes or drains. */
size_t ds_buffer_count(const ds_buffer *buffer);

#endif
