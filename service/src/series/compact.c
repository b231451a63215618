/*
 * Folds parts into windows of ten seconds, minutes and hours. Each series has its turn every ten
 * minutes, so that chunks are not rewritten for every part, nor those of all series in the same
 * minute.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "log.h"
#include "series/chunk.h"
#include "series/part.h"
#include "series/query.h"
#include "store/apps.h"
#include "store/series.h"

enum {
    LIVE_S = 15 * 60,   /* how long parts are kept: the live windows are made of them */
    TURN_MINUTES = 10,  /* how often a series is folded */
    SWEEP_MINUTES = 60, /* how often the old windows of a series are removed */
    GROUP = 10,         /* series per transaction, since others wait for it */
    REPORT_S = 3600,
    REPORTS = 5000, /* removed per statement */
    WINDOWS_S = 2 * 3600,
    MINUTES_DAYS = 30,
    HOURS_DAYS = 13 * 31,
    DAY_S = 86400,
};

/* ---- Series whose turn it is --------------------------------------------------------------------
 */

struct turns {
    size_t count, room;
    struct turn {
        int64_t app, series, newest_s;
    } * all;
};

static bool note_turn(void *context, int64_t app, int64_t series, int64_t newest_s) {
    struct turns *turns = context;
    void *array = array_grown(turns->all, &turns->room, turns->count + 1, sizeof *turns->all);
    if (!array) return false;
    turns->all = array;
    turns->all[turns->count++] = (struct turn){app, series, newest_s};
    return true;
}

struct work {
    struct store *store;
    int64_t now_s;
    const struct store_rest *rest; /* NULL: none */
};

/* Runs a step for each series whose turn it is, once in so many minutes, a few per transaction. */
static bool in_turns(struct work *work, int minutes,
                     bool (*each)(struct work *work, const struct turn *turn)) {
    struct turns turns = {0};
    struct store *store = work->store;
    bool ok = series_some(store, minutes, work->now_s / 60 % minutes, note_turn, &turns);
    for (size_t from = 0; ok && from < turns.count && store_rests(work->rest); from += GROUP) {
        ok = store_begin(store);
        for (size_t i = from; ok && i < turns.count && i < from + GROUP; i++)
            ok = each(work, &turns.all[i]);
        ok = ok && store_commit(store);
        if (!ok) store_rollback(store);
    }
    free(turns.all);
    return ok;
}

/* ---- Folding ------------------------------------------------------------------------------- */

struct fold {
    struct work work; /* first */
    struct chunk *chunk;
    struct sketch sketch;
    int level; /* enum chunk_level */
    int64_t app, series;
    bool open;

    /* A part that waits; the bytes of all parts stand one after the other. */
    struct waiting_part {
        int64_t start_s;
        size_t length;
    } * parts;
    size_t part_count, part_room;
    uint8_t *bytes;
    size_t byte_count, byte_room;
};

static bool add_stored(void *context, const struct series_chunk *stored) {
    struct fold *fold = context;
    errno = 0;
    if (chunk_decode(fold->chunk, stored->points, stored->points_length, stored->sketches,
                     stored->sketches_length))
        return true;
    if (errno == ENOMEM) return false; /* nothing is lost: it will be folded later */
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
    bool ok = series_put_chunk(fold->work.store, fold->app, fold->series, fold->level, &row);
    free(stored.points);
    return ok;
}

static bool open_chunk(struct fold *fold, int64_t start_s) {
    if (fold->open && fold->chunk->start_s == start_s) return true;
    if (!write_chunk(fold)) return false;
    fold->open = true;
    chunk_clear(fold->chunk, fold->level, start_s);
    return series_chunks(fold->work.store, fold->app, fold->series, fold->level, start_s,
                         start_s + 1, true, add_stored, fold);
}

static bool note_part(void *context, const struct series_part *part) {
    struct fold *fold = context;
    void *parts =
        array_grown(fold->parts, &fold->part_room, fold->part_count + 1, sizeof *fold->parts);
    if (parts) fold->parts = parts;
    void *bytes =
        array_grown(fold->bytes, &fold->byte_room, fold->byte_count + part->length + 1, 1);
    if (bytes) fold->bytes = bytes;
    if (!parts || !bytes) return false;
    fold->parts[fold->part_count++] = (struct waiting_part){part->start_s, part->length};
    if (part->length > 0) memcpy(fold->bytes + fold->byte_count, part->data, part->length);
    fold->byte_count += part->length;
    return true;
}

static bool fold_part(struct fold *fold, const struct waiting_part *part, const uint8_t *bytes) {
    if (!open_chunk(fold, chunk_start(fold->level, part->start_s))) return false;
    sketch_clear(&fold->sketch);
    if (part_into_sketch(&fold->sketch, bytes, part->length, 0, PART_SECONDS))
        chunk_add(fold->chunk, part->start_s, &fold->sketch);
    else
        log_line(LOG_ERROR, "series", "a part of series %lld at %lld can't be read: it is lost",
                 (long long)fold->series, (long long)part->start_s);
    return true;
}

static bool fold_level(struct fold *fold) {
    const uint8_t *bytes = fold->bytes;
    fold->open = false;
    for (size_t i = 0; i < fold->part_count; i++) {
        if (!fold_part(fold, &fold->parts[i], bytes)) return false;
        bytes += fold->parts[i].length;
    }
    return write_chunk(fold);
}

/* Must run in a transaction. */
static bool fold_series(struct work *work, const struct turn *turn) {
    struct fold *fold = (struct fold *)work;
    int64_t before_s = part_start(work->now_s - LIVE_S) - PART_SECONDS + 1;
    fold->app = turn->app;
    fold->series = turn->series;
    fold->part_count = fold->byte_count = 0;
    if (!series_parts(work->store, turn->app, turn->series, 0, before_s, note_part, fold))
        return false;
    if (fold->part_count == 0) return true;
    for (fold->level = 0; fold->level < LEVELS; fold->level++)
        if (!fold_level(fold)) return false;
    return series_remove_parts(work->store, turn->app, turn->series, before_s) &&
           series_set_newest(work->store, turn->series, fold->parts[fold->part_count - 1].start_s);
}

static bool fold_all(const struct work *work) {
    struct fold *fold = calloc(1, sizeof *fold);
    if (!fold) return false;
    fold->work = *work;
    fold->chunk = chunk_new();
    bool ok = fold->chunk && in_turns(&fold->work, TURN_MINUTES, fold_series);
    chunk_free(fold->chunk);
    free(fold->parts);
    free(fold->bytes);
    free(fold);
    return ok;
}

/* ---- Forgetting ---------------------------------------------------------------------------- */

static int64_t minutes_days(struct store *store, int64_t id) {
    struct app app;
    bool fewer = app_by_id(store, id, &app) && app.kept_days > 0 && app.kept_days < MINUTES_DAYS;
    return fewer ? app.kept_days : MINUTES_DAYS;
}

static bool forget_old(struct work *work, const struct turn *one) {
    struct store *store = work->store;
    int64_t now_s = work->now_s;
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

static bool forget_reports(struct work *work) {
    int64_t removed = REPORTS;
    while (removed == REPORTS && store_rests(work->rest)) {
        removed = series_remove_reports(work->store, work->now_s - REPORT_S, REPORTS);
        if (removed < 0) return false;
    }
    return true;
}

bool series_compact(struct store *store, int64_t now_s, const struct store_rest *rest) {
    struct work work = {store, now_s, rest};
    return fold_all(&work) && in_turns(&work, SWEEP_MINUTES, forget_old) && forget_reports(&work);
}
