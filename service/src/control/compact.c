/*
 * Folds, packs and removes old data: in the service that holds the lease, on a thread with a store
 * of its own, so that even with thousands of apps no tick waits for more than one short
 * transaction. The thread rests as long as it has worked, since its writes take turns with reports
 * and ticks. If two services do this at once, as after one was stopped for a while, no harm is
 * done: each transaction reads what it removes.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* nanosleep */
#endif
#include <inttypes.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "control/state.h"
#include "log.h"
#include "series/query.h"

enum {
    EVERY_MS = 60000,
    EVERY_S = 60,
    MOST_BEHIND = 10, /* minutes: within so many each series has its turn */
    DAY_S = 86400,
    NOTED_EVERY_S = 3600,
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

/* Folds the series whose turns came in the minutes since the last time. */
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

/* ---- The clock ------------------------------------------------------------------------------- */

static int64_t noted_clock(struct store *store) {
    char *text = store_meta(store, "clock");
    int64_t noted_s = text ? strtoll(text, NULL, 10) : 0;
    free(text);
    return noted_s;
}

static void note_clock(struct control *control, struct store *store, int64_t now_s) {
    char text[24];
    if (llabs(now_s - control->noted_s) < NOTED_EVERY_S) return;
    snprintf(text, sizeof text, "%" PRId64, now_s);
    if (store_begin(store) && store_set_meta(store, "clock", text) && store_commit(store))
        control->noted_s = now_s;
    store_rollback(store);
}

/* If the clock was set years ahead for a minute, that must not remove what is kept for years. So a
 * clock that is more than a day ahead of the time that has passed since it was last believed, or
 * since another start noted it, is believed only after it has shown so for a day. */
static bool is_believed(struct control *control, struct store *store, int64_t now_s) {
    int64_t now_ms = ds_clock_monotonic_ms();
    if (control->believed_ms == 0) {
        control->believed_ms = now_ms;
        control->believed_s = control->noted_s = noted_clock(store);
    }
    int64_t expected_s = control->believed_s + (now_ms - control->believed_ms) / 1000;
    if (control->believed_s == 0 || now_s <= expected_s + DAY_S) {
        control->doubted_ms = 0;
    } else if (control->doubted_ms == 0) {
        control->doubted_ms = now_ms;
        log_line(LOG_WARN, "control",
                 "the clock is %lld days ahead of where it should be: nothing old is removed for a "
                 "day; if it is wrong, set it right until then",
                 (long long)((now_s - expected_s) / DAY_S));
    }
    if (control->doubted_ms != 0 && now_ms - control->doubted_ms < DAY_S * INT64_C(1000))
        return false;
    control->doubted_ms = 0;
    control->believed_s = now_s;
    control->believed_ms = now_ms;
    note_clock(control, store, now_s);
    return true;
}

/* ---- Its turns ------------------------------------------------------------------------------- */

static void run(struct pool_job *job, struct store *store) {
    struct control *control =
        (struct control *)((char *)job - offsetof(struct control, compaction));
    struct pace pace = {control, ds_clock_monotonic_ms()};
    const struct store_rest rest = {take_rest, &pace};
    int64_t now_s = control_now_s();
    bool believed = is_believed(control, store, now_s);
    if (believed) fold_minutes(control, store, now_s, &rest);
    if (believed && !ledger_compact(store, now_s, &rest))
        log_line(LOG_ERROR, "control", "old ticks were not packed: %s", store_error(store));
    malloc_trim(
        0); /* gives the memory that was used back to the system, so that it does not creep up */
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
    if (atomic_exchange(&control->compacting, true)) return; /* there is much to do */
    control->next_compact_ms = now_ms + EVERY_MS;
    if (!pool_add(control->compactor, &control->compaction))
        atomic_store(&control->compacting, false);
}

void compact_end(struct control *control) {
    atomic_store(&control->compaction_ends, true);
    pool_free(control->compactor);
    control->compactor = NULL;
}
