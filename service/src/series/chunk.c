/*
 * Points: version 1, then for each window that is used: the distance from the one before, count,
 * sum, max, p50, p95 - p50, p99 - p95.
 *
 * Sketches: version 1, then compressed by zstd: the bins that are used (how many, and the distance
 * of each from the one before), then for each of these its count in each window that is used.
 * Counts of the same bin stand together, as they are alike.
 */
#include "series/chunk.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "series/varint.h"

enum {
    VERSION = 1,
    COMPRESSION = 6,
    POINT_SIZE = 2 + 2 * VARINT_SIZE + 4 * 5, /* the longest */
    COUNT_SIZE = 5,
    RAW_LIMIT = 5 + SKETCH_BINS * 2 + SKETCH_BINS * CHUNK_WINDOWS * COUNT_SIZE,
};

static const struct {
    int64_t step, span;
} levels[LEVELS] = {
    [LEVEL_WINDOWS] = {10, 600},
    [LEVEL_MINUTES] = {60, 6 * 3600},
    [LEVEL_HOURS] = {3600, 2 * 86400},
};

int64_t chunk_step(enum chunk_level level) { return levels[level].step; }

int64_t chunk_span(enum chunk_level level) { return levels[level].span; }

int64_t chunk_start(enum chunk_level level, int64_t second) {
    return second - second % levels[level].span;
}

struct chunk *chunk_new(void) {
    return calloc(1, sizeof(struct chunk));
}

void chunk_free(struct chunk *chunk) { free(chunk); }

void chunk_clear(struct chunk *chunk, enum chunk_level level, int64_t start_s) {
    for (int bin = 0; bin < SKETCH_BINS; bin++)
        if (chunk->used_bin[bin]) memset(chunk->bins[bin], 0, sizeof chunk->bins[bin]);
    memset(chunk, 0, offsetof(struct chunk, bins));
    chunk->level = level;
    chunk->start_s = start_s;
}

static uint32_t add_count(uint32_t count, uint64_t more) {
    return more > UINT32_MAX - count ? UINT32_MAX : count + (uint32_t)more;
}

void chunk_add(struct chunk *chunk, int64_t second, const struct sketch *sketch) {
    int window = (int)((second - chunk->start_s) / levels[chunk->level].step);
    if (sketch->count == 0) return;
    chunk->used[window] = true;
    chunk->sum[window] += sketch->sum;
    if (sketch->max > chunk->max[window]) chunk->max[window] = sketch->max;
    for (int bin = sketch->first; bin < sketch->end; bin++) {
        if (sketch->bins[bin] == 0) continue;
        chunk->used_bin[bin] = true;
        chunk->bins[bin][window] = add_count(chunk->bins[bin][window], sketch->bins[bin]);
    }
}

void chunk_window(const struct chunk *chunk, int window, struct sketch *sketch) {
    if (!chunk->used[window]) return;
    for (int bin = 0; bin < SKETCH_BINS; bin++)
        if (chunk->used_bin[bin] && chunk->bins[bin][window])
            sketch_add_bin(sketch, bin, chunk->bins[bin][window]);
    sketch->sum += chunk->sum[window];
    if (chunk->max[window] > sketch->max) sketch->max = chunk->max[window];
}

/* ---- Points -------------------------------------------------------------------------------- */

void chunk_point_of(struct chunk_point *point, const struct sketch *sketch) {
    point->count = sketch->count;
    point->sum = sketch->sum;
    point->max = sketch->max;
    point->p50 = (uint32_t)sketch_percentile(sketch, 500);
    point->p95 = (uint32_t)sketch_percentile(sketch, 950);
    point->p99 = (uint32_t)sketch_percentile(sketch, 990);
}

static uint8_t *put_point(uint8_t *at, const struct chunk_point *point, int next) {
    at = varint_put(at, (uint64_t)(point->window - next));
    at = varint_put(at, point->count);
    at = varint_put(at, point->sum);
    at = varint_put(at, point->max);
    at = varint_put(at, point->p50);
    at = varint_put(at, point->p95 - point->p50);
    return varint_put(at, point->p99 - point->p95);
}

static size_t put_points(uint8_t *bytes, const struct chunk *chunk) {
    struct sketch sketch = {0};
    uint8_t *at = bytes;
    int next = 0;
    *at++ = VERSION;
    for (int window = 0; window < CHUNK_WINDOWS; window++) {
        if (!chunk->used[window]) continue;
        struct chunk_point point = {.window = window};
        sketch_clear(&sketch);
        chunk_window(chunk, window, &sketch);
        chunk_point_of(&point, &sketch);
        at = put_point(at, &point, next);
        next = window + 1;
    }
    return (size_t)(at - bytes);
}

bool chunk_points_begin(struct chunk_points *points, const uint8_t *bytes, size_t length) {
    *points = (struct chunk_points){bytes, bytes + length, 0};
    return length > 0 && *points->at++ == VERSION;
}

bool chunk_points_next(struct chunk_points *points, struct chunk_point *point) {
    uint64_t words[7];
    const uint8_t *at = points->at, *end = points->end;
    if (at == end) return false;
    for (int i = 0; i < 7; i++)
        if (!(at = varint_get(at, end, &words[i]))) return false;
    if (words[0] >= (uint64_t)(CHUNK_WINDOWS - points->next) || words[1] == 0 ||
        words[3] > UINT32_MAX || words[4] > words[3] || words[5] > words[3] - words[4] ||
        words[6] > words[3] - words[4] - words[5])
        return false;
    point->window = points->next + (int)words[0];
    point->count = words[1];
    point->sum = words[2];
    point->max = (uint32_t)words[3];
    point->p50 = (uint32_t)words[4];
    point->p95 = point->p50 + (uint32_t)words[5];
    point->p99 = point->p95 + (uint32_t)words[6];
    points->at = at;
    points->next = point->window + 1;
    return true;
}

/* ---- Sketches ------------------------------------------------------------------------------ */

static int used_bins(const struct chunk *chunk) {
    int count = 0;
    for (int bin = 0; bin < SKETCH_BINS; bin++) count += chunk->used_bin[bin];
    return count;
}

static int used_windows(const struct chunk *chunk, int windows[CHUNK_WINDOWS]) {
    int count = 0;
    for (int window = 0; window < CHUNK_WINDOWS; window++)
        if (chunk->used[window]) windows[count++] = window;
    return count;
}

static size_t put_bins(uint8_t *bytes, const struct chunk *chunk) {
    int windows[CHUNK_WINDOWS], count = used_windows(chunk, windows), next = 0;
    uint8_t *at = varint_put(bytes, (uint64_t)used_bins(chunk));
    for (int bin = 0; bin < SKETCH_BINS; bin++) {
        if (!chunk->used_bin[bin]) continue;
        at = varint_put(at, (uint64_t)(bin - next));
        next = bin + 1;
    }
    for (int bin = 0; bin < SKETCH_BINS; bin++)
        for (int i = 0; chunk->used_bin[bin] && i < count; i++)
            at = varint_put(at, chunk->bins[bin][windows[i]]);
    return (size_t)(at - bytes);
}

bool chunk_encode(const struct chunk *chunk, struct chunk_stored *stored) {
    int windows[CHUNK_WINDOWS], count = used_windows(chunk, windows), bins = used_bins(chunk);
    size_t raw_size = VARINT_SIZE + (size_t)bins * (2 + (size_t)count * COUNT_SIZE);
    size_t points_size = 1 + (size_t)count * POINT_SIZE, packed_size = ZSTD_compressBound(raw_size);
    uint8_t *raw = malloc(raw_size);
    uint8_t *bytes = malloc(points_size + 1 + packed_size);
    bool ok = raw && bytes;
    if (ok) {
        *stored = (struct chunk_stored){.points = bytes, .sketches = bytes + points_size};
        stored->points_length = put_points(stored->points, chunk);
        stored->sketches[0] = VERSION;
        size_t packed = ZSTD_compress(stored->sketches + 1, packed_size, raw, put_bins(raw, chunk),
                                      COMPRESSION);
        ok = !ZSTD_isError(packed);
        stored->sketches_length = packed + 1;
    }
    free(raw);
    if (!ok) free(bytes);
    return ok;
}

/* Adds sums and maxima, and notes which windows were stored; -1 where it can't be read. */
static int get_points(struct chunk *chunk, const uint8_t *bytes, size_t length,
                      int windows[CHUNK_WINDOWS]) {
    struct chunk_points points;
    struct chunk_point point;
    int count = 0;
    if (!chunk_points_begin(&points, bytes, length)) return -1;
    while (chunk_points_next(&points, &point)) {
        windows[count++] = point.window;
        chunk->used[point.window] = true;
        chunk->sum[point.window] += point.sum;
        if (point.max > chunk->max[point.window]) chunk->max[point.window] = point.max;
    }
    return points.at == points.end ? count : -1;
}

static bool get_bins(struct chunk *chunk, const uint8_t *at, const uint8_t *end, const int *windows,
                     int window_count) {
    uint64_t count, word, next = 0;
    int bins[SKETCH_BINS];
    at = varint_get(at, end, &count);
    if (!at || count > SKETCH_BINS) return false;
    for (uint64_t i = 0; i < count; i++) {
        at = varint_get(at, end, &word);
        if (!at || word >= SKETCH_BINS - next) return false;
        bins[i] = (int)(next + word);
        next += word + 1;
    }
    for (uint64_t i = 0; i < count; i++) {
        uint32_t *counts = chunk->bins[bins[i]];
        chunk->used_bin[bins[i]] = true;
        for (int j = 0; j < window_count; j++) {
            at = varint_get(at, end, &word);
            if (!at || word > UINT32_MAX) return false;
            counts[windows[j]] = add_count(counts[windows[j]], word);
        }
    }
    return at == end;
}

bool chunk_decode(struct chunk *chunk, const uint8_t *points, size_t points_length,
                  const uint8_t *sketches, size_t sketches_length) {
    int windows[CHUNK_WINDOWS];
    int count = get_points(chunk, points, points_length, windows);
    if (count < 0 || sketches_length < 1 || sketches[0] != VERSION) return false;
    unsigned long long size = ZSTD_getFrameContentSize(sketches + 1, sketches_length - 1);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > RAW_LIMIT)
        return false;
    uint8_t *raw = malloc(size > 0 ? size : 1);
    if (!raw) return false;
    size_t length = ZSTD_decompress(raw, size, sketches + 1, sketches_length - 1);
    bool ok = !ZSTD_isError(length) && length == size &&
              get_bins(chunk, raw, raw + length, windows, count);
    free(raw);
    return ok;
}
