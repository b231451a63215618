/*
 * Points: version 1; then runs of windows that are used: how many are skipped, how many follow, and
 * for each of these the difference of its count from that of the one before, sum, max, and the bins
 * of p50 (the difference from the one before), p95 and p99 (each from the last).
 *
 * Sketches: version 1; the bins that are used: how many, and for each the distance from the one
 * before and its class; then for each class the bytes of its bins, compressed by zstd. Bins of a
 * class are about equally full, which is what the compression lives on. Of the emptiest class only
 * counts other than 0 are kept, with the distances between them; of the others all counts.
 */
#include "series/chunk.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "series/varint.h"

enum {
    VERSION = 1,
    COMPRESSION =
        19, /* worth it: a chunk is packed six times an hour at most, and kept for a month */
    POINT_SIZE = 4 + 2 * VARINT_SIZE + 5 + 3 * 2, /* the longest */
    COUNT_SIZE = 2 + 5,                           /* together with its distance */
    CLASSES = 4,
    SPARSE = 0, /* the emptiest class */
};

static const struct {
    int64_t step, span;
} levels[LEVELS] = {
    [LEVEL_WINDOWS] = {10, 600},
    [LEVEL_MINUTES] = {60, 12 * 3600},
    [LEVEL_HOURS] = {3600, 2 * 86400},
};

int64_t chunk_step(int level) { return levels[level].step; }

int64_t chunk_span(int level) { return levels[level].span; }

int64_t chunk_start(int level, int64_t second) { return second - second % levels[level].span; }

struct chunk *chunk_new(void) {
    return calloc(1, sizeof(struct chunk));
}

void chunk_free(struct chunk *chunk) { free(chunk); }

void chunk_clear(struct chunk *chunk, int level, int64_t start_s) {
    for (int i = 0; i < chunk->bin_count; i++)
        memset(chunk->bins[chunk->listed[i]], 0, sizeof chunk->bins[0]);
    memset(chunk, 0, offsetof(struct chunk, bins));
    chunk->level = level;
    chunk->start_s = start_s;
}

static uint32_t add_count(uint32_t count, uint64_t more) {
    return more > UINT32_MAX - count ? UINT32_MAX : count + (uint32_t)more;
}

static uint32_t *counts_of(struct chunk *chunk, int bin) {
    if (!chunk->used_bin[bin]) chunk->listed[chunk->bin_count++] = (uint16_t)bin;
    chunk->used_bin[bin] = true;
    return chunk->bins[bin];
}

void chunk_add(struct chunk *chunk, int64_t second, const struct sketch *sketch) {
    int window = (int)((second - chunk->start_s) / levels[chunk->level].step);
    if (sketch->count == 0) return;
    chunk->used[window] = true;
    chunk->sum[window] += sketch->sum;
    if (sketch->max > chunk->max[window]) chunk->max[window] = sketch->max;
    for (int bin = sketch->first; bin < sketch->end; bin++) {
        if (sketch->bins[bin] == 0) continue;
        uint32_t *count = &counts_of(chunk, bin)[window];
        *count = add_count(*count, sketch->bins[bin]);
    }
}

void chunk_window(const struct chunk *chunk, int window, struct sketch *sketch) {
    if (!chunk->used[window]) return;
    for (int i = 0; i < chunk->bin_count; i++) {
        int bin = chunk->listed[i];
        if (chunk->bins[bin][window]) sketch_add_bin(sketch, bin, chunk->bins[bin][window]);
    }
    sketch->sum += chunk->sum[window];
    if (chunk->max[window] > sketch->max) sketch->max = chunk->max[window];
}

/* ---- Points -------------------------------------------------------------------------------- */

static uint32_t at_most(uint32_t value, uint32_t max) { return value < max ? value : max; }

void chunk_point_of(struct chunk_point *point, const struct sketch *sketch) {
    point->count = sketch->count;
    point->sum = sketch->sum;
    point->max = sketch->max;
    point->p50 = (uint32_t)sketch_percentile(sketch, 500);
    point->p95 = (uint32_t)sketch_percentile(sketch, 950);
    point->p99 = (uint32_t)sketch_percentile(sketch, 990);
}

struct point_writer {
    uint8_t *at;
    uint64_t count;
    int bin;
};

static void put_point(struct point_writer *writer, const struct sketch *sketch) {
    static const int asked[] = {950, 990};
    int bin = sketch_percentile_bin(sketch, 500);
    writer->at = varint_put(writer->at, varint_signed((int64_t)(sketch->count - writer->count)));
    writer->at = varint_put(writer->at, sketch->sum);
    writer->at = varint_put(writer->at, sketch->max);
    writer->at = varint_put(writer->at, varint_signed(bin - writer->bin));
    writer->count = sketch->count;
    writer->bin = bin;
    for (int i = 0; i < 2; i++) {
        int next = sketch_percentile_bin(sketch, asked[i]);
        writer->at = varint_put(writer->at, (uint64_t)(next - bin));
        bin = next;
    }
}

static int end_of_run(const struct chunk *chunk, int window) {
    while (window < CHUNK_WINDOWS && chunk->used[window]) window++;
    return window;
}

static size_t put_points(uint8_t *bytes, const struct chunk *chunk) {
    struct sketch sketch = {0};
    struct point_writer writer = {.at = bytes};
    *writer.at++ = VERSION;
    for (int window = 0, before = 0; window < CHUNK_WINDOWS; window++) {
        if (!chunk->used[window]) continue;
        int end = end_of_run(chunk, window);
        writer.at = varint_put(writer.at, (uint64_t)(window - before));
        writer.at = varint_put(writer.at, (uint64_t)(end - window));
        for (; window < end; window++) {
            sketch_clear(&sketch);
            chunk_window(chunk, window, &sketch);
            put_point(&writer, &sketch);
        }
        before = end;
    }
    return (size_t)(writer.at - bytes);
}

bool chunk_points_begin(struct chunk_points *points, const uint8_t *bytes, size_t length) {
    *points = (struct chunk_points){.at = bytes, .end = bytes + length};
    return length > 0 && *points->at++ == VERSION;
}

/* Reads the next run of windows; NULL: it is invalid. */
static const uint8_t *begin_run(struct chunk_points *points, const uint8_t *at) {
    uint64_t skipped, length;
    at = varint_get(at, points->end, &skipped);
    if (at) at = varint_get(at, points->end, &length);
    if (!at || skipped >= (uint64_t)(CHUNK_WINDOWS - points->next) || length == 0 ||
        length > (uint64_t)(CHUNK_WINDOWS - points->next) - skipped)
        return NULL;
    points->next += (int)skipped;
    points->run = (int)length;
    return at;
}

bool chunk_points_next(struct chunk_points *points, struct chunk_point *point) {
    uint64_t words[6];
    const uint8_t *at = points->at, *end = points->end;
    if (points->run == 0 && (at == end || !(at = begin_run(points, at)))) return false;
    for (int i = 0; i < 6; i++)
        if (!(at = varint_get(at, end, &words[i]))) return false;
    uint64_t count = points->count + (uint64_t)varint_unsigned(words[0]);
    int64_t bin = points->bin + varint_unsigned(words[3]);
    if (count == 0 || words[2] > UINT32_MAX || bin < 0 || bin >= SKETCH_BINS ||
        words[4] >= (uint64_t)(SKETCH_BINS - bin) ||
        words[5] >= (uint64_t)(SKETCH_BINS - bin) - words[4])
        return false;
    point->window = points->next++;
    point->count = points->count = count;
    point->sum = words[1];
    point->max = (uint32_t)words[2];
    points->bin = (int)bin;
    point->p50 = at_most(sketch_middle((int)bin), point->max);
    point->p95 = at_most(sketch_middle((int)(bin + (int64_t)words[4])), point->max);
    point->p99 = at_most(sketch_middle((int)(bin + (int64_t)(words[4] + words[5]))), point->max);
    points->at = at;
    points->run--;
    return true;
}

/* ---- Sketches ------------------------------------------------------------------------------ */

static int used_windows(const struct chunk *chunk, int windows[CHUNK_WINDOWS]) {
    int count = 0;
    for (int window = 0; window < CHUNK_WINDOWS; window++)
        if (chunk->used[window]) windows[count++] = window;
    return count;
}

/* A bin's class: by the average number of samples that a window has in it. */
static int class_of(const uint32_t *counts, const int *windows, int window_count) {
    uint64_t sum = 0, all = (uint64_t)window_count;
    for (int i = 0; i < window_count; i++) sum += counts[windows[i]];
    return sum * 3 < all ? SPARSE : sum < all * 5 / 4 ? 1 : sum < all * 4 ? 2 : 3;
}

static uint8_t *put_sparse(uint8_t *at, const uint32_t *counts, const int *windows,
                           int window_count) {
    int next = 0;
    for (int i = 0; i < window_count; i++) {
        uint32_t count = counts[windows[i]];
        if (count == 0) continue;
        at = varint_put(at, (uint64_t)(i - next) << 1 | (count > 1));
        if (count > 1) at = varint_put(at, count - 2);
        next = i + 1;
    }
    /* A distance to the end marks the end. */
    return varint_put(at, (uint64_t)(window_count - next) << 1);
}

static uint8_t *put_dense(uint8_t *at, const uint32_t *counts, const int *windows,
                          int window_count) {
    for (int i = 0; i < window_count; i++) at = varint_put(at, counts[windows[i]]);
    return at;
}

struct bins {
    int count;
    struct {
        int bin, class;
    } all[SKETCH_BINS];
};

static void list_bins(struct bins *bins, const struct chunk *chunk, const int *windows,
                      int window_count) {
    bins->count = 0;
    for (int bin = 0; bin < SKETCH_BINS; bin++) {
        if (!chunk->used_bin[bin]) continue;
        bins->all[bins->count].bin = bin;
        bins->all[bins->count++].class = class_of(chunk->bins[bin], windows, window_count);
    }
}

static uint8_t *put_bin_list(uint8_t *at, const struct bins *bins) {
    at = varint_put(at, (uint64_t)bins->count);
    for (int i = 0, next = 0; i < bins->count; next = bins->all[i++].bin + 1)
        at = varint_put(at, (uint64_t)(bins->all[i].bin - next) * CLASSES +
                                (uint64_t)bins->all[i].class);
    return at;
}

/* The uncompressed bytes of a class. */
static size_t put_class(uint8_t *raw, const struct chunk *chunk, const struct bins *bins, int class,
                        const int *windows, int window_count) {
    uint8_t *at = raw;
    for (int i = 0; i < bins->count; i++) {
        if (bins->all[i].class != class) continue;
        const uint32_t *counts = chunk->bins[bins->all[i].bin];
        at = class == SPARSE ? put_sparse(at, counts, windows, window_count)
                             : put_dense(at, counts, windows, window_count);
    }
    return (size_t)(at - raw);
}

/* NULL: the compression failed. */
static uint8_t *put_sketches(uint8_t *at, const uint8_t *end, uint8_t *raw,
                             const struct chunk *chunk, const struct bins *bins, const int *windows,
                             int window_count) {
    *at++ = VERSION;
    at = put_bin_list(at, bins);
    for (int class = 0; class < CLASSES; class ++) {
        size_t length = put_class(raw, chunk, bins, class, windows, window_count);
        uint8_t *packed = at + VARINT_SIZE;
        size_t size = ZSTD_compress(packed, (size_t)(end - packed), raw, length, COMPRESSION);
        if (ZSTD_isError(size)) return NULL;
        at = varint_put(at, size);
        memmove(at, packed, size);
        at += size;
    }
    return at;
}

bool chunk_encode(const struct chunk *chunk, struct chunk_stored *stored) {
    int windows[CHUNK_WINDOWS], count = used_windows(chunk, windows);
    struct bins bins;
    list_bins(&bins, chunk, windows, count);
    size_t raw_size = (size_t)bins.count * ((size_t)count * COUNT_SIZE + 2) + 1;
    size_t points_size = 1 + (size_t)count * POINT_SIZE;
    size_t packed_size = 1 + 5 + (size_t)bins.count * 2 + ZSTD_compressBound(raw_size) +
                         CLASSES * (VARINT_SIZE + ZSTD_compressBound(1));
    uint8_t *raw = malloc(raw_size), *bytes = malloc(points_size + packed_size), *end = NULL;
    if (raw && bytes) {
        *stored = (struct chunk_stored){.points = bytes, .sketches = bytes + points_size};
        stored->points_length = put_points(stored->points, chunk);
        end = put_sketches(stored->sketches, stored->sketches + packed_size, raw, chunk, &bins,
                           windows, count);
        stored->sketches_length = (size_t)(end - stored->sketches);
    }
    free(raw);
    if (!end) free(bytes);
    return end != NULL;
}

/* Adds sums and maxima, and notes which windows were stored; -1: invalid. */
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
    return points.at == points.end && points.run == 0 ? count : -1;
}

/* NULL: put_bin_list can't have written this. */
static const uint8_t *get_bin_list(struct bins *bins, const uint8_t *at, const uint8_t *end) {
    uint64_t count, word, next = 0;
    at = varint_get(at, end, &count);
    if (!at || count > SKETCH_BINS) return NULL;
    bins->count = (int)count;
    for (int i = 0; i < bins->count; i++) {
        at = varint_get(at, end, &word);
        if (!at || word / CLASSES >= SKETCH_BINS - next) return NULL;
        bins->all[i].bin = (int)(next + word / CLASSES);
        bins->all[i].class = (int)(word % CLASSES);
        next += word / CLASSES + 1;
    }
    return at;
}

static const uint8_t *get_sparse(uint32_t *counts, const uint8_t *at, const uint8_t *end,
                                 const int *windows, int window_count) {
    for (uint64_t i = 0, word, count;; i++) {
        at = varint_get(at, end, &word);
        if (!at || word >> 1 > (uint64_t)window_count - i) return NULL;
        i += word >> 1;
        if (i == (uint64_t)window_count) return word & 1 ? NULL : at;
        count = 1;
        if (word & 1) {
            at = varint_get(at, end, &count);
            if (!at || count > UINT32_MAX - 2) return NULL;
            count += 2;
        }
        counts[windows[i]] = add_count(counts[windows[i]], count);
    }
}

static const uint8_t *get_dense(uint32_t *counts, const uint8_t *at, const uint8_t *end,
                                const int *windows, int window_count) {
    uint64_t word;
    for (int i = 0; i < window_count; i++) {
        at = varint_get(at, end, &word);
        if (!at || word > UINT32_MAX) return NULL;
        counts[windows[i]] = add_count(counts[windows[i]], word);
    }
    return at;
}

static bool get_class(struct chunk *chunk, const struct bins *bins, int class, const uint8_t *at,
                      const uint8_t *end, const int *windows, int window_count) {
    for (int i = 0; i < bins->count && at; i++) {
        if (bins->all[i].class != class) continue;
        uint32_t *counts = counts_of(chunk, bins->all[i].bin);
        at = class == SPARSE ? get_sparse(counts, at, end, windows, window_count)
                             : get_dense(counts, at, end, windows, window_count);
    }
    return at == end;
}

/* Decompresses the bytes of a class into new memory; NULL: they are invalid. */
static uint8_t *unpack(const uint8_t *packed, size_t size, size_t limit, size_t *length) {
    unsigned long long raw_size = ZSTD_getFrameContentSize(packed, size);
    if (raw_size == ZSTD_CONTENTSIZE_ERROR || raw_size == ZSTD_CONTENTSIZE_UNKNOWN ||
        raw_size > limit)
        return NULL;
    uint8_t *raw = malloc(raw_size > 0 ? raw_size : 1);
    if (!raw) return NULL;
    *length = ZSTD_decompress(raw, raw_size, packed, size);
    if (!ZSTD_isError(*length) && *length == raw_size) return raw;
    free(raw);
    return NULL;
}

bool chunk_decode(struct chunk *chunk, const uint8_t *points, size_t points_length,
                  const uint8_t *sketches, size_t sketches_length) {
    int windows[CHUNK_WINDOWS], count = get_points(chunk, points, points_length, windows);
    const uint8_t *at = sketches, *end = sketches + sketches_length;
    struct bins bins;
    if (count < 0 || sketches_length < 1 || *at++ != VERSION) return false;
    at = get_bin_list(&bins, at, end);
    for (int class = 0; class < CLASSES; class ++) {
        uint64_t size;
        size_t length;
        if (at) at = varint_get(at, end, &size);
        if (!at || size > (uint64_t)(end - at)) return false;
        size_t limit = (size_t)bins.count * ((size_t)count * COUNT_SIZE + 2);
        uint8_t *raw = unpack(at, size, limit, &length);
        bool ok = raw && get_class(chunk, &bins, class, raw, raw + length, windows, count);
        free(raw);
        if (!ok) return false;
        at += size;
    }
    return at == end;
}
