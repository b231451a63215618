#include "buffer.h"

#include <pthread.h>

#define MASK ((size_t)DS_BUFFER_SLOTS - 1)

_Static_assert((DS_BUFFER_SLOTS & (DS_BUFFER_SLOTS - 1)) == 0, "slots are found by masking");
_Static_assert(DS_BUFFER_SLOTS % DS_BUFFER_RUN == 0, "runs don't overlap");

enum { LANE_SHIFT = 28 };
_Static_assert(DS_BUFFER_LANES == 1U << (32 - LANE_SHIFT), "the hash's upper bits name a lane");

/*
 * seq_cst on success: a producer stores its word and then reads whether the thread sleeps; the
 * thread stores that it sleeps and then reads the slots (`begin_wait` in worker.c). In the single
 * order of all seq_cst operations one of the two sees the other, so the thread never sleeps while a
 * word waits.
 */
static bool put(_Atomic(uint64_t) *slot, uint64_t word) {
    if (atomic_load_explicit(slot, memory_order_relaxed) != 0) return false;
    uint64_t empty = 0;
    return atomic_compare_exchange_strong_explicit(slot, &empty, word, memory_order_seq_cst,
                                                   memory_order_relaxed);
}

/* Always the same lane for a thread, so that its words stay in order. Cheaper than a thread-local
 * variable of a shared library. Two threads may share a lane: nothing is lost. */
static ds_buffer_lane *lane_of_thread(ds_buffer *buffer) {
#if defined(__has_builtin) && defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#if __has_builtin(__builtin_thread_pointer)
#define THREAD __builtin_thread_pointer()
#endif
#endif
#ifndef THREAD
#define THREAD pthread_self()
#endif
    uint32_t thread = (uint32_t)((uintptr_t)THREAD >> 10);
    return &buffer->lanes[thread * 0x9E3779B1U >> LANE_SHIFT]; /* D. Knuth's multiplicative hash */
}

static bool push_further(ds_buffer *buffer, ds_buffer_lane *lane, uint64_t word, size_t from) {
    /* acquire: pairs with the release in ds_buffer_drain, so that the loop below sees every slot
     * that those drains have emptied. */
    uint64_t drains = atomic_load_explicit(&buffer->drains, memory_order_acquire);
    if (atomic_load_explicit(&buffer->full_at, memory_order_relaxed) == drains + 1) return false;

    for (size_t n = 0; n < DS_BUFFER_SLOTS; n++) {
        if (!put(&buffer->slots[(from + n) & MASK], word)) continue;
        size_t after = from + n + 1;
        atomic_store_explicit(&lane->next, after, memory_order_relaxed);
        /* So that no other thread searches the same slots again. */
        atomic_store_explicit(&buffer->next,
                              (after + DS_BUFFER_RUN - 1) / DS_BUFFER_RUN * DS_BUFFER_RUN,
                              memory_order_relaxed);
        return true;
    }
    /* Stores the count from above: if a drain has ended since, this has no effect. */
    atomic_store_explicit(&buffer->full_at, drains + 1, memory_order_relaxed);
    return false;
}

bool ds_buffer_push(ds_buffer *buffer, uint64_t word) {
    ds_buffer_lane *lane = lane_of_thread(buffer);
    size_t i = atomic_load_explicit(&lane->next, memory_order_relaxed);
    if (i % DS_BUFFER_RUN == 0)
        i = atomic_fetch_add_explicit(&buffer->next, DS_BUFFER_RUN, memory_order_relaxed);
    if (!put(&buffer->slots[i & MASK], word)) return push_further(buffer, lane, word, i + 1);
    atomic_store_explicit(&lane->next, i + 1, memory_order_relaxed);
    return true;
}

size_t ds_buffer_drain(ds_buffer *buffer, size_t *position, uint64_t *words, size_t most) {
    size_t n = 0, i = *position;
    for (; i < DS_BUFFER_SLOTS && n < most; i++) {
        uint64_t word = atomic_load_explicit(&buffer->slots[i], memory_order_seq_cst);
        if (word == 0) continue;
        words[n++] = word;
        /* Only the consumer empties slots, so a plain store is enough. relaxed: the word itself was
         * the whole message. */
        atomic_store_explicit(&buffer->slots[i], 0, memory_order_relaxed);
    }
    *position = i;
    if (n == 0) return 0;
    /* Start again at slot 0: the first cache lines stay warm, and pages never reached stay
     * unused. */
    for (size_t lane = 0; lane < DS_BUFFER_LANES; lane++)
        atomic_store_explicit(&buffer->lanes[lane].next, 0, memory_order_relaxed);
    atomic_store_explicit(&buffer->next, 0, memory_order_relaxed);
    /* release: pairs with the acquire in push_further. */
    atomic_fetch_add_explicit(&buffer->drains, 1, memory_order_release);
    return n;
}

size_t ds_buffer_count(const ds_buffer *buffer) {
    size_t n = 0;
    for (size_t i = 0; i < DS_BUFFER_SLOTS; i++)
        n += atomic_load_explicit(&buffer->slots[i], memory_order_relaxed) != 0;
    return n;
}
