#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* nanosleep under -std=c11 */
#endif
#include "fork.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "clock.h"

enum {
    NAP_NS = 250 * 1000,
    MOST_NAPS = 4000, /* at least 1 s: longer than any hold that ends */
    LOOKUP_MS = 30,
    MOST_LOOKUP_NAPS = 120,
};

static _Atomic(int) holders; /* threads between hold and release */
static _Atomic(int) forks;   /* waiting, or in progress */
static _Atomic(int) lookups;
static _Atomic(int64_t) lookup_began_ms; /* the last one of them */
static void (*forget)(void);             /* written before the handlers are registered */

/* No lock and no condition variable: a child could not rely on those either. */
static void pause_briefly(void) { nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL); }

static bool lookup_has_just_begun(void) {
    return atomic_load(&lookups) > 0 &&
           ds_clock_monotonic_ms() - atomic_load(&lookup_began_ms) < LOOKUP_MS;
}

static void before(void) {
    for (int naps = 0;;) {
        /* Not counted in `forks` yet: the thread of the lookup must be able to hold. */
        while (lookup_has_just_begun() && naps++ < MOST_LOOKUP_NAPS) pause_briefly();
        /* seq_cst, as in ds_fork_hold: if a fork and a hold begin at the same moment, one sees the
         * other. */
        atomic_fetch_add(&forks, 1);
        for (int n = 0; atomic_load(&holders) > 0 && n < MOST_NAPS; n++) pause_briefly();
        if (!lookup_has_just_begun() || naps >= MOST_LOOKUP_NAPS) return;
        atomic_fetch_sub(&forks, 1);
    }
}

/* A signal handler may fork at any point of this. The count starts at 0 in its child, where the
 * interrupted fork must not count down. */
static void after_in_parent(void) {
    int n = atomic_load(&forks);
    while (n > 0 && !atomic_compare_exchange_weak(&forks, &n, n - 1)) {
    }
}

static void after_in_child(void) {
    atomic_store(&forks, 0);
    atomic_store(&holders, 0);
    atomic_store(&lookups, 0);
    forget();
}

bool ds_fork_watch(void (*in_child)(void)) {
    static _Atomic(bool) watching;
    if (atomic_exchange(&watching, true)) return true;
    forget = in_child;
    /* At the C level: the interpreters' hooks miss Process.daemon, uWSGI and Passenger. */
    if (pthread_atfork(before, after_in_parent, after_in_child) == 0) return true;
    atomic_store(&watching, false);
    return false;
}

void ds_fork_hold(void) {
    for (;;) {
        while (atomic_load(&forks) > 0) pause_briefly();
        atomic_fetch_add(&holders, 1);
        if (atomic_load(&forks) == 0) return;
        atomic_fetch_sub(&holders, 1);
    }
}

void ds_fork_release(void) { atomic_fetch_sub(&holders, 1); }

void ds_fork_lookup_begins(void) {
    atomic_store(&lookup_began_ms, ds_clock_monotonic_ms());
    atomic_fetch_add(&lookups, 1);
}

void ds_fork_lookup_ended(void) { atomic_fetch_sub(&lookups, 1); }
