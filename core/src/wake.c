#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* syscall, nanosleep, pthread_cond_timedwait_relative_np */
#endif
#include "wake.h"

#include <stddef.h>
#include <time.h>

uint32_t ds_wake_count(ds_wake *wake) {
    /* seq_cst, as is the increment in ds_wake_post: whoever checks after reading the count sees
     * what was done before the post. */
    return atomic_load(&wake->count);
}

#ifndef DS_WAKE_HAS_LOCK

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's layout: on 32-bit systems time_t may be larger. */
#ifdef SYS_futex
typedef struct kernel_time {
    long seconds, nanoseconds;
} kernel_time;
#else /* 32-bit systems that only have 64-bit times */
#define SYS_futex SYS_futex_time64
typedef struct kernel_time {
    int64_t seconds, nanoseconds;
} kernel_time;
#endif

void ds_wake_init(ds_wake *wake) { atomic_init(&wake->count, 0); }

void ds_wake_wait(ds_wake *wake, uint32_t seen, int64_t ms) {
    kernel_time limit = {.seconds = (long)(ms / 1000), .nanoseconds = (long)(ms % 1000) * 1000000};
    /* FUTEX_WAIT measures a relative time-out by the monotonic clock. Any result is fine: the
     * caller checks again. */
    syscall(SYS_futex, &wake->count, FUTEX_WAIT_PRIVATE, seen, ms < 0 ? NULL : &limit, NULL, 0);
}

void ds_wake_post(ds_wake *wake) {
    atomic_fetch_add(&wake->count, 1);
    syscall(SYS_futex, &wake->count, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void ds_wake_post_in_handler(ds_wake *wake) { ds_wake_post(wake); }

void ds_wake_wait_in_handler(ds_wake *wake, uint32_t seen, int64_t ms) {
    ds_wake_wait(wake, seen, ms);
}

#else

void ds_wake_init(ds_wake *wake) {
    atomic_init(&wake->count, 0);
    pthread_mutex_init(&wake->mutex, NULL);
#ifdef __APPLE__
    pthread_cond_init(&wake->changed, NULL);
#else
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&wake->changed, &attributes);
    pthread_condattr_destroy(&attributes);
#endif
}

static void timed_wait(ds_wake *wake, int64_t ms) {
    struct timespec limit = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
#ifdef __APPLE__
    pthread_cond_timedwait_relative_np(&wake->changed, &wake->mutex, &limit);
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    limit.tv_sec += now.tv_sec + (limit.tv_nsec + now.tv_nsec) / 1000000000;
    limit.tv_nsec = (limit.tv_nsec + now.tv_nsec) % 1000000000;
    pthread_cond_timedwait(&wake->changed, &wake->mutex, &limit);
#endif
}

void ds_wake_wait(ds_wake *wake, uint32_t seen, int64_t ms) {
    pthread_mutex_lock(&wake->mutex);
    if (atomic_load(&wake->count) == seen) {
        if (ms < 0) pthread_cond_wait(&wake->changed, &wake->mutex);
        else timed_wait(wake, ms);
    }
    pthread_mutex_unlock(&wake->mutex);
}

void ds_wake_post(ds_wake *wake) {
    pthread_mutex_lock(&wake->mutex);
    atomic_fetch_add(&wake->count, 1);
    pthread_cond_broadcast(&wake->changed);
    pthread_mutex_unlock(&wake->mutex);
}

static void pause_briefly(void) { nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL); }

void ds_wake_post_in_handler(ds_wake *wake) {
    enum { TRIES = 20 };
    atomic_fetch_add(&wake->count, 1);
    for (int i = 0; i < TRIES; i++, pause_briefly()) {
        if (pthread_mutex_trylock(&wake->mutex) != 0) continue;
        pthread_cond_broadcast(&wake->changed);
        pthread_mutex_unlock(&wake->mutex);
        return;
    }
}

static int64_t monotonic_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void ds_wake_wait_in_handler(ds_wake *wake, uint32_t seen, int64_t ms) {
    int64_t end_ms = monotonic_ms() + ms;
    while (atomic_load(&wake->count) == seen && monotonic_ms() < end_ms) pause_briefly();
}

#endif
