/*
 * Who may act: the holder of the lease, at its epoch. A lock on a file in the data folder tells
 * whether another process of this folder lives, and the file names the last holder: a service that
 * finds the lock free gives that one's lease back, so that a restart need not wait for its end.
 *
 * Of several services on one database each tries to get the lease, by the database's clock, and
 * whoever has it renews it between the ticks too: when it stops or is cut off, another one has the
 * lease SHARED_LEASE_S + TRY_MS later at most. It makes no call later than MARGIN_S before the end,
 * by its own monotonic clock; a call that began before may still be under way when another takes
 * over, which is why that one waits for a call's time-out where an order was open (app->hold_ms).
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
#include "log.h"

enum {
    LEASE_S = 30,
    SHARED_LEASE_S = 12,
    MARGIN_S = 5,
    RENEW_MS = 3000,
    TRY_MS = 2000,
    HOLD_MORE_MS = 5000,
    SHARD = 0,
};

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

/* For the next start, which otherwise waits until the lease ends. */
static void write_holder(const struct control *control) {
    size_t length = strlen(control->holder);
    if (ftruncate(control->lock, 0) == 0 &&
        pwrite(control->lock, control->holder, length, 0) == (ssize_t)length)
        return;
    log_line(
        LOG_WARN, "control",
        "%s/control.lock can't be written to (%s): after a crash the next start acts only once "
        "this one's lease is over",
        control->folder, strerror(errno));
}

/* Whether this process owns the data folder. When it first does, it releases the lease of the
 * folder's previous owner. */
static bool take_lock(struct control *control) {
    char before[sizeof control->holder] = "";
    if (flock(control->lock, LOCK_EX | LOCK_NB) != 0) return false;
    if (control->epoch > 0 || control->lock_taken) return true;
    ssize_t length = pread(control->lock, before, sizeof before - 1, 0);
    if (length > 0 &&
        !(control->follow ? lease_expire : lease_release)(control->store, SHARD, before))
        return false;
    control->lock_taken = true;
    write_holder(control);
    return true;
}

bool lease_hold(struct control *control, int64_t now_s) {
    bool shared = control->follow != NULL;
    int64_t began_ms = ds_clock_monotonic_ms(), for_s = shared ? SHARED_LEASE_S : LEASE_S;
    if (!take_lock(control)) return false;
    if (!lease_take(control->store, SHARD, control->holder, shared ? LEASE_THEIR_CLOCK : now_s,
                    for_s, &control->epoch))
        return false;
    atomic_store(&control->lease_until_ms, began_ms + (for_s - MARGIN_S) * 1000);
    return true;
}

void lease_undo(struct control *control, int64_t epoch, int64_t until_ms) {
    atomic_store(&control->lease_until_ms, until_ms);
    if (control->follow) control->epoch = epoch;
}

/* Only a committed transaction counts as a renewal. */
static bool renew(struct control *control) {
    int64_t until_ms = atomic_load(&control->lease_until_ms), epoch = control->epoch;
    bool ok = take_lock(control) && store_begin_append(control->store);
    /* Read in the transaction that takes the lease, so nobody can have had it in between. */
    bool free = ok && lease_is_free(control->store, SHARD);
    ok = ok && lease_hold(control, 0) && store_commit(control->store);
    if (ok && epoch != control->epoch) control->given_back = free;
    if (!ok) store_rollback(control->store);
    if (!ok) lease_undo(control, epoch, until_ms);
    control->anew = ok && (control->standing_by || epoch != control->epoch);
    return ok;
}

bool lease_keep(struct control *control) {
    int64_t now_ms = ds_clock_monotonic_ms();
    if (!control->follow) return true;
    if (now_ms < control->next_renew_ms) return !control->standing_by;
    bool held = renew(control);
    /* A database that does not answer says nothing: the lease is held until it ends. */
    bool unknown = !held && *store_error(control->store);
    if (unknown && now_ms < atomic_load(&control->lease_until_ms)) held = true;
    control->next_renew_ms = now_ms + (held && !unknown ? RENEW_MS : TRY_MS);
    if (held && control->anew) {
        if (control->standing_by)
            log_line(LOG_INFO, "control", "this service acts from now on (epoch %lld)",
                     (long long)control->epoch);
        control_forget_all(control);
        control->tick_soon = true;
    }
    if (!held && !control->standing_by)
        log_line(LOG_INFO, "control", "this service stands by: %s",
                 unknown ? store_error(control->store) : "another one acts on this data");
    control->standing_by = !held;
    if (control->standing_by) atomic_store(&control->lease_until_ms, 0);
    return held;
}

void lease_note_open(struct control *control, struct process *process) {
    if (!control->follow || control->given_back || process->act.ended_s ||
        process->act.epoch == control->epoch)
        return;
    lease_hold_app(control, process->app);
}

void lease_hold_app(struct control *control, struct app_state *app) {
    int64_t hold_ms = ds_clock_monotonic_ms() + control->settings.act_timeout_s * 1000LL;
    app->hold_ms = hold_ms + HOLD_MORE_MS;
}

/* Whether an app waits for a call that another may have under way. */
static bool waits(const struct control *control) {
    int64_t now_ms = ds_clock_monotonic_ms();
    for (int i = 0; i < control->app_count; i++)
        if (control->apps[i]->hold_ms > now_ms) return true;
    return false;
}

/* Who takes what is given back need not wait for anything. */
void lease_end(struct control *control) {
    if (control->epoch)
        (waits(control) ? lease_expire : lease_release)(control->store, SHARD, control->holder);
    if (control->lock >= 0) close(control->lock);
    control->lock = -1;
}
