/*
 * Parts become windows of ten seconds, minutes and hours at once; a series has its turn each ten
 * minutes, so that a chunk is not written anew for every part, nor all series in one minute.
 */
#include <stdlib.h>

#include "clock.h"
#include "log.h"
#include "series/chunk.h"
#include "series/part.h"
#include "series/query.h"
#include "store/apps.h"
#include "store/series.h"

enum {
    LIVE_S = 15 * 60,    /* parts are needed so long: the live windows are made of them */
    TURN_MINUTES = 10,   /* a series is folded so often */
    OVERDUE_S = 30 * 60, /* it missed its turn */
    SWEEP_MINUTES = 60,  /* what is old of a series is removed so often */
    WORK_MS = 300,       /* of one call */
    GROUP = 10,          /* series in a transaction: others wait for it */
    REPORT_S = 3600,
    REPORTS = 20000,
    WINDOWS_S = 2 * 3600,
    MINUTES_DAYS = 30,
    HOURS_DAYS = 13 * 31,
    DAY_S = 86400,
};

/* ---- Folding ------------------------------------------------------------------------------- */

struct fold {
    struct store *store;
    struct chunk *chunk;
    struct sketch sketch;
    int level; /* enum chunk_level */
    int64_t app, series, newest_s;
    bool open;
};

static bool add_stored(void *context, const struct series_chunk *stored) {
    struct fold *fold = context;
    if (chunk_decode(fold->chunk, stored->points, stored->points_length, stored->sketches,
                     stored->sketches_length))
        return true;
    log_line(LOG_ERROR, "series",
             "what was kept of series %lld from %lld on (level %d) can't be read: it is lost",
             (long long)fold->series, (long long)stored->start_s, fold->level);
    chunk_clear(fold->chunk, fold->level, stored->start_s);
    return true;
}

static bool write_chunk(struct fold *fold) {
    struct chunk_stored stored;
    if (!fold->open) return true;
    fold->open = false;
    if (!chunk_encode(fold->chunk, &stored)) return false;
    struct series_chunk row = {
        .start_s = fold->chunk->start_s,
        .points = stored.points,
        .points_length = stored.points_length,
        .sketches = stored.sketches,
        .sketches_length = stored.sketches_length,
    };
    bool ok = series_put_chunk(fold->store, fold->app, fold->series, fold->level, &row);
    free(stored.points);
    return ok;
}

static bool open_chunk(struct fold *fold, int64_t start_s) {
    if (fold->open && fold->chunk->start_s == start_s) return true;
    if (!write_chunk(fold)) return false;
    fold->open = true;
    chunk_clear(fold->chunk, fold->level, start_s);
    return series_chunks(fold->store, fold->app, fold->series, fold->level, start_s, start_s + 1,
                         true, add_stored, fold);
}

static bool fold_part(void *context, const struct series_part *part) {
    struct fold *fold = context;
    if (!open_chunk(fold, chunk_start(fold->level, part->start_s))) return false;
    sketch_clear(&fold->sketch);
    if (part_into_sketch(&fold->sketch, part->data, part->length, 0, PART_SECONDS))
        chunk_add(fold->chunk, part->start_s, &fold->sketch);
    else
        log_line(LOG_ERROR, "series", "a part of series %lld at %lld can't be read: it is lost",
                 (long long)fold->series, (long long)part->start_s);
    fold->newest_s = part->start_s;
    return true;
}

/* In a transaction. */
static bool fold_series(struct fold *fold, int64_t app, int64_t series, int64_t before_s) {
    fold->app = app;
    fold->series = series;
    for (fold->level = 0; fold->level < LEVELS; fold->level++) {
        fold->open = false;
        if (!series_parts(fold->store, app, series, 0, before_s, fold_part, fold) ||
            !write_chunk(fold))
            return false;
    }
    return series_remove_parts(fold->store, app, series, before_s) &&
           series_set_newest(fold->store, series, fold->newest_s);
}

static bool is_due(int64_t series, int64_t oldest_s, int64_t before_s, int64_t now_s) {
    if (oldest_s >= before_s) return false;
    return now_s / 60 % TURN_MINUTES == series % TURN_MINUTES || oldest_s < now_s - OVERDUE_S;
}

/* In a transaction: up to GROUP series that come after (*app, *series). *more: there may be
 * others. */
static bool fold_group(struct fold *fold, int64_t now_s, int64_t *app, int64_t *series,
                       bool *more) {
    int64_t before_s = part_start(now_s - LIVE_S) - PART_SECONDS + 1, oldest_s;
    for (int folded = 0; folded < GROUP;) {
        *more = series_next_with_parts(fold->store, app, series, &oldest_s);
        if (!*more) break;
        if (!is_due(*series, oldest_s, before_s, now_s)) continue;
        if (!fold_series(fold, *app, *series, before_s)) return false;
        folded++;
    }
    return true;
}

static bool fold_all(struct fold *fold, int64_t now_s, int64_t until_ms) {
    int64_t app = 0, series = 0;
    bool more = true;
    while (more && ds_clock_monotonic_ms() < until_ms) {
        if (!store_begin(fold->store)) return false;
        if (!fold_group(fold, now_s, &app, &series, &more)) {
            store_rollback(fold->store);
            return false;
        }
        if (!store_commit(fold->store)) return false;
    }
    return true;
}

/* ---- Forgetting ---------------------------------------------------------------------------- */

struct old {
    size_t count, room;
    struct old_series {
        int64_t app, series, newest_s;
    } * all;
};

static bool note(void *context, int64_t app, int64_t series, int64_t newest_s) {
    struct old *old = context;
    if (old->count == old->room) {
        size_t room = old->room ? old->room * 2 : 64;
        struct old_series *all = realloc(old->all, room * sizeof *all);
        if (!all) return false;
        old->all = all;
        old->room = room;
    }
    old->all[old->count++] = (struct old_series){app, series, newest_s};
    return true;
}

static int64_t minutes_days(struct store *store, int64_t id) {
    struct app app;
    bool fewer = app_by_id(store, id, &app) && app.kept_days > 0 && app.kept_days < MINUTES_DAYS;
    return fewer ? app.kept_days : MINUTES_DAYS;
}

static bool forget_old(struct store *store, const struct old_series *one, int64_t now_s) {
    const int64_t kept_s[LEVELS] = {
        [LEVEL_WINDOWS] = WINDOWS_S,
        [LEVEL_MINUTES] = minutes_days(store, one->app) * DAY_S,
        [LEVEL_HOURS] = (int64_t)HOURS_DAYS * DAY_S,
    };
    for (int level = 0; level < LEVELS; level++)
        if (!series_remove_chunks(store, one->app, one->series, level,
                                  now_s - kept_s[level] - chunk_span(level)))
            return false;
    int64_t gone_s = now_s - kept_s[LEVEL_HOURS] - chunk_span(LEVEL_HOURS);
    if (one->newest_s == 0 || one->newest_s >= gone_s) return true;
    return series_remove(store, one->app, one->series);
}

static bool forget(struct store *store, int64_t now_s) {
    struct old old = {0};
    bool ok = series_some(store, SWEEP_MINUTES, now_s / 60 % SWEEP_MINUTES, note, &old);
    for (size_t from = 0; ok && from < old.count; from += GROUP) {
        ok = store_begin(store);
        for (size_t i = from; ok && i < old.count && i < from + GROUP; i++)
            ok = forget_old(store, &old.all[i], now_s);
        ok = ok && store_commit(store);
        if (!ok) store_rollback(store);
    }
    free(old.all);
    return ok && series_remove_reports(store, now_s - REPORT_S, REPORTS);
}

bool series_compact(struct store *store, int64_t now_s) {
    struct fold *fold = calloc(1, sizeof *fold);
    struct chunk *chunk = fold ? chunk_new() : NULL;
    bool ok = false;
    if (chunk) {
        fold->store = store;
        fold->chunk = chunk;
        ok = fold_all(fold, now_s, ds_clock_monotonic_ms() + WORK_MS) && forget(store, now_s);
    }
    chunk_free(chunk);
    free(fold);
    return ok;
}
