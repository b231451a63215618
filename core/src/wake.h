/*
 * An event count: a thread sleeps until it is posted or a time has passed.
 *
 * The sleeper reads the count, checks whether there is something to do, and sleeps only while the
 * count is unchanged. Whoever makes something to do posts. On Linux it is a futex: a post takes no
 * lock, and a forked child inherits plain memory. Elsewhere it is a mutex and a condition variable,
 * which a child never destroys.
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

/* Sleeps while the count is `seen`, at most `ms`; a negative `ms` sets no limit. May return early.
 * Does not depend on the wall clock. */
void ds_wake_wait(ds_wake *wake, uint32_t seen, int64_t ms);

/* Wakes all sleepers. Any thread. */
void ds_wake_post(ds_wake *wake);

/*
 * The same two for a signal handler, which may have interrupted its thread inside either of them:
 * they wait for no lock. If a lock that the post needs stays held, sleepers wake only at their
 * time-out.
 */
void ds_wake_post_in_handler(ds_wake *wake);
void ds_wake_wait_in_handler(ds_wake *wake, uint32_t seen, int64_t ms);

#endif
