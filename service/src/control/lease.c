/*
 * Who may act: the holder of the lease, at its epoch. A lock on a file in the data folder tells
 * whether another process of this folder lives, and the file names the last holder: a service that
 * finds the lock free gives that one's lease back, so that a restart need not wait for its end.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_CLOEXEC, flock */
#endif
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "clock.h"
#include "control/state.h"

enum { LEASE_S = 30, MARGIN_S = 5, SHARD = 0 };

bool lease_begin(struct control *control, char *error, size_t size) {
    char path[4096], host[24] = "";
    gethostname(host, sizeof host - 1);
    snprintf(control->holder, sizeof control->holder, "%s/%ld/%016" PRIx64, host, (long)getpid(),
             control->random);
    snprintf(path, sizeof path, "%s/control.lock", control->folder);
    control->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (control->lock >= 0) return true;
    snprintf(error, size, "can't open %s: %s", path, strerror(errno));
    return false;
}

/* Whether this process is the one of its folder; at first, whoever was it before gives up its
 * lease. */
static bool take_lock(struct control *control) {
    char before[sizeof control->holder] = "";
    if (flock(control->lock, LOCK_EX | LOCK_NB) != 0) return false;
    if (control->epoch > 0) return true;
    ssize_t length = pread(control->lock, before, sizeof before - 1, 0);
    if (length > 0 && !lease_release(control->store, SHARD, before)) return false;
    size_t own = strlen(control->holder);
    /* What can't be written costs the next start a wait for the lease's end. */
    if (pwrite(control->lock, control->holder, own, 0) != (ssize_t)own) return true;
    return ftruncate(control->lock, (off_t)own) == 0 || true;
}

bool lease_hold(struct control *control, int64_t now_s) {
    int64_t began_ms = ds_clock_monotonic_ms();
    if (!take_lock(control)) return false;
    if (!lease_take(control->store, SHARD, control->holder, now_s, LEASE_S, &control->epoch))
        return false;
    atomic_store(&control->lease_until_ms, began_ms + (LEASE_S - MARGIN_S) * 1000);
    return true;
}

void lease_end(struct control *control) {
    if (control->epoch) lease_release(control->store, SHARD, control->holder);
    if (control->lock >= 0) close(control->lock);
    control->lock = -1;
}
