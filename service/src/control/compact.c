/*
 * What is old is folded, packed and removed: by whoever acts, on a thread of its own with a store
 * of its own, so that of thousands of apps no tick waits for more than one short transaction. It
 * rests as long as it has worked, since what it writes takes turns with reports and ticks. Two
 * services that do it at once, as where one was stopped for a while, do no harm: each transaction
 * reads what it removes.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* nanosleep */
#endif
#include <malloc.h>
#include <stddef.h>
#include <time.h>

#include "clock.h"
#include "control/state.h"
#include "log.h"
#include "series/query.h"

enum {
    EVERY_MS = 60000,
    EVERY_S = 60,
    MOST_BEHIND = 10, /* minutes: each series has its turn in as many */
    LEAST_REST_MS = 1,
    MOST_REST_MS = 100,
};

struct pace {
    struct control *control;
    int64_t since_ms;
};

static bool take_rest(void *context) {
    struct pace *pace = context;
    int64_t rest_ms = ds_clock_monotonic_ms() - pace->since_ms;
    if (rest_ms < LEAST_REST_MS) rest_ms = LEAST_REST_MS;
    if (rest_ms > MOST_REST_MS) rest_ms = MOST_REST_MS;
    nanosleep(&(struct timespec){.tv_nsec = rest_ms * 1000000}, NULL);
    pace->since_ms = ds_clock_monotonic_ms();
    return !atomic_load(&pace->control->compaction_ends);
}

/* Of each minute since the last time: the series whose turn it was. */
static void fold_minutes(struct control *control, struct store *store, int64_t now_s,
                         const struct store_rest *rest) {
    int64_t from_s = control->compacted_s + EVERY_S;
    if (control->compacted_s == 0 || from_s > now_s) from_s = now_s;
    if (from_s < now_s - MOST_BEHIND * EVERY_S) from_s = now_s - MOST_BEHIND * EVERY_S;
    for (; from_s <= now_s && !atomic_load(&control->compaction_ends); from_s += EVERY_S) {
        if (!series_compact(store, from_s, rest))
            log_line(LOG_ERROR, "control", "old samples were not folded: %s", store_error(store));
        control->compacted_s = from_s;
    }
}

static void run(struct pool_job *job, struct store *store) {
    struct control *control =
        (struct control *)((char *)job - offsetof(struct control, compaction));
    struct pace pace = {control, ds_clock_monotonic_ms()};
    const struct store_rest rest = {take_rest, &pace};
    int64_t now_s = control_now_s();
    fold_minutes(control, store, now_s, &rest);
    if (!ledger_compact(store, now_s, &rest))
        log_line(LOG_ERROR, "control", "old ticks were not packed: %s", store_error(store));
    malloc_trim(0); /* what left the windows goes back to the system: memory does not creep up */
    atomic_store(&control->compacting, false);
}

bool compact_begin(struct control *control, char *error, size_t size) {
    const char *place =
        control->settings.place ? control->settings.place : control->settings.folder;
    control->compaction.run = run;
    control->next_compact_ms = ds_clock_monotonic_ms() + EVERY_MS;
    control->compactor = pool_new("compact", 1, 1, place, error, size);
    return control->compactor != NULL;
}

void compact_if_due(struct control *control) {
    int64_t now_ms = ds_clock_monotonic_ms();
    if (now_ms < control->next_compact_ms || control->standing_by || !control->compactor) return;
    if (atomic_exchange(&control->compacting, true)) return; /* it has much to do */
    control->next_compact_ms = now_ms + EVERY_MS;
    if (!pool_add(control->compactor, &control->compaction))
        atomic_store(&control->compacting, false);
}

void compact_end(struct control *control) {
    atomic_store(&control->compaction_ends, true);
    pool_free(control->compactor);
    control->compactor = NULL;
}
