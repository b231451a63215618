/*
 * Many windows of a series in one row of the store: what is older than the last minutes. A chunk is
 * kept as two blobs: the points that charts show (count, sum, max and percentiles of each window),
 * which are read fast, and the sketches, compressed, from which windows are merged into longer
 * ones. Merging commutes to the bit. Pure but for its memory.
 */
#ifndef CHUNK_H
#define CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "series/sketch.h"

enum chunk_level { LEVEL_WINDOWS, LEVEL_MINUTES, LEVEL_HOURS, LEVELS };

enum { CHUNK_WINDOWS = 720 }; /* the most in a chunk of any level */

/* Seconds of a window (10, 60, 3600), and of a chunk. */
int64_t chunk_step(int level);
int64_t chunk_span(int level);
int64_t chunk_start(int level, int64_t second);

struct chunk {
    int level; /* enum chunk_level */
    int64_t start_s;
    bool used[CHUNK_WINDOWS];
    uint64_t sum[CHUNK_WINDOWS];
    uint32_t max[CHUNK_WINDOWS];
    bool used_bin[SKETCH_BINS];
    int bin_count;
    uint16_t listed[SKETCH_BINS]; /* the bins that are used, in any order */
    uint32_t bins[SKETCH_BINS][CHUNK_WINDOWS];
};

/* 2.6 MB, of which only what is used takes memory. NULL without memory. */
struct chunk *chunk_new(void);
void chunk_free(struct chunk *chunk);
void chunk_clear(struct chunk *chunk, int level, int64_t start_s);

/* Adds the samples of a sketch to the window that holds the second; the second is in the chunk. */
void chunk_add(struct chunk *chunk, int64_t second, const struct sketch *sketch);
/* Adds a window to a sketch. */
void chunk_window(const struct chunk *chunk, int window, struct sketch *sketch);

struct chunk_stored {
    uint8_t *points, *sketches; /* one block of memory: free(points) */
    size_t points_length, sketches_length;
};

/* False without memory. */
bool chunk_encode(const struct chunk *chunk, struct chunk_stored *stored);
/* Adds what was stored. False for what encode can't have written, or without memory (errno is
 * ENOMEM then): what the chunk holds is of no use. */
bool chunk_decode(struct chunk *chunk, const uint8_t *points, size_t points_length,
                  const uint8_t *sketches, size_t sketches_length);

/* What charts show of a window. */
struct chunk_point {
    int window;
    uint64_t count, sum;
    uint32_t max, p50, p95, p99;
};

/* Reads the points one after the other. */
struct chunk_points {
    const uint8_t *at, *end;
    int next, run; /* the next window, and how many follow without a gap */
    uint64_t count;
    int bin;
};
bool chunk_points_begin(struct chunk_points *points, const uint8_t *bytes, size_t length);
/* False at the end, and for what encode can't have written (at != end). */
bool chunk_points_next(struct chunk_points *points, struct chunk_point *point);

void chunk_point_of(struct chunk_point *point, const struct sketch *sketch);

#endif
