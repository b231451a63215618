/*
 * How many samples had which value: a histogram of whole milliseconds (or of any whole number from
 * 0 to 2^32-1) from which percentiles are read. Each value below 64 has a bin of its own, larger
 * ones 32 bins an octave, so that the middle of a bin is at most 1/64 (1.6 %) from any value in it.
 *
 * Whole numbers only, and merging is adding: in whatever order samples and sketches come together,
 * the result is the same to the bit. Pure: no clock, no allocation. Any thread.
 */
#ifndef SKETCH_H
#define SKETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SKETCH_EXACT = 64,                             /* values below have a bin each */
    SKETCH_OCTAVE = 32,                            /* bins of 64 to 127, of 128 to 255 ... */
    SKETCH_BINS = 64 + (32 - 6) * 32,              /* 896 */
    SKETCH_STORED = 1 + 10 + 5 + SKETCH_BINS * 12, /* the longest stored form */
};

struct sketch {
    uint64_t count, sum; /* of the samples themselves, not of their bins */
    uint32_t max;
    uint16_t first, end; /* the bins from `first` to before `end` may be other than 0 */
    uint64_t bins[SKETCH_BINS];
};

static inline int sketch_bin(uint32_t value) {
    if (value < SKETCH_EXACT) return (int)value;
    int octave = 31 - __builtin_clz(value); /* 6 to 31 */
    return SKETCH_EXACT + (octave - 6) * SKETCH_OCTAVE +
           (int)(value >> (octave - 5) & (SKETCH_OCTAVE - 1));
}

/* The value in the middle of a bin. */
uint32_t sketch_middle(int bin);

/* No samples. Only what was used is cleared: for the first time, clear by {0}. */
void sketch_clear(struct sketch *sketch);

void sketch_add(struct sketch *sketch, uint32_t value);
/* `count` samples of a bin, whose exact values are added to sum and max by the caller. */
void sketch_add_bin(struct sketch *sketch, int bin, uint64_t count);
void sketch_merge(struct sketch *sketch, const struct sketch *other);

/* The nearest rank: the smallest value that at least per_mille of 1000 of the samples don't
 * exceed. -1: no samples. */
int64_t sketch_percentile(const struct sketch *sketch, int per_mille);
/* The bin that it is in; the sketch has samples. */
int sketch_percentile_bin(const struct sketch *sketch, int per_mille);
/* Rounded down. -1: no samples. */
int64_t sketch_mean(const struct sketch *sketch);
/* Samples that are greater than a value, by the middles of their bins. */
uint64_t sketch_above(const struct sketch *sketch, int64_t value);

/* The stored form: version 1, sum, max, then for each bin that is not empty the distance from the
 * bin before and the count. encode: the bytes written, at most SKETCH_STORED. decode: adds what was
 * stored; false for what encode can't have written, and then nothing was added. */
size_t sketch_encode(uint8_t *bytes, const struct sketch *sketch);
bool sketch_decode(struct sketch *sketch, const uint8_t *bytes, size_t length);

#endif
