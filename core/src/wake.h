/*
 * A place to sleep until woken or until a time has passed: an event count.
 *
 * The sleeper reads the count, looks whether there is something to do, and sleeps only while the
 * count is still what it read; whoever makes something to do posts. On Linux it is a futex: a post
 * takes no lock, and a forked child inherits plain memory. Elsewhere it is a mutex and a condition
 * variable, never destroyed in a child.
 */
#ifndef DS_WAKE_H
#define DS_WAKE_H

#include <stdatomic.h>
#include <stdint.h>

#if !defined(__linux__) || defined(DS_WAKE_PORTABLE)
#define DS_WAKE_HAS_LOCK
#include <pthread.h>
#endif

typedef struct ds_wake {
    _Atomic(uint32_t) count;
#ifdef DS_WAKE_HAS_LOCK
    pthread_mutex_t mutex;
    pthread_cond_t changed;
#endif
} ds_wake;

void ds_wake_init(ds_wake *wake);

uint32_t ds_wake_count(ds_wake *wake);

/* Sleeps until the count is no longer `seen`, or for `ms`; a negative `ms` sets no limit. May
 * return early. The wall clock has no influence. */
void ds_wake_wait(ds_wake *wake, uint32_t seen, int64_t ms);

/* Wakes all that sleep. Any thread. */
void ds_wake_post(ds_wake *wake);

/*
 * The same two for a signal's handler, which may have interrupted its thread in the middle of
 * either: they wait for no lock. Where a lock that the post needs is held for long, sleepers wake
 * only when their time is up.
 */
void ds_wake_post_in_handler(ds_wake *wake);
void ds_wake_wait_in_handler(ds_wake *wake, uint32_t seen, int64_t ms);

#endif
