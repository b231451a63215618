#include "series/sketch.h"

#include <string.h>

#include "series/varint.h"

enum { VERSION = 1 };

static uint32_t lowest(int bin) {
    if (bin < SKETCH_EXACT) return (uint32_t)bin;
    int octave = (bin - SKETCH_EXACT) / SKETCH_OCTAVE, part = (bin - SKETCH_EXACT) % SKETCH_OCTAVE;
    return (uint32_t)(SKETCH_OCTAVE + part) << (octave + 1);
}

uint32_t sketch_middle(int bin) {
    if (bin < SKETCH_EXACT) return (uint32_t)bin;
    int octave = (bin - SKETCH_EXACT) / SKETCH_OCTAVE;
    return lowest(bin) + (((uint32_t)1 << (octave + 1)) - 1) / 2;
}

void sketch_clear(struct sketch *sketch) {
    if (sketch->end > sketch->first)
        memset(sketch->bins + sketch->first, 0,
               (size_t)(sketch->end - sketch->first) * sizeof *sketch->bins);
    sketch->count = sketch->sum = 0;
    sketch->max = 0;
    sketch->first = sketch->end = 0;
}

void sketch_add_bin(struct sketch *sketch, int bin, uint64_t count) {
    if (sketch->end == 0) sketch->first = (uint16_t)bin;
    if (bin < sketch->first) sketch->first = (uint16_t)bin;
    if (bin >= sketch->end) sketch->end = (uint16_t)(bin + 1);
    sketch->bins[bin] += count;
    sketch->count += count;
}

void sketch_add(struct sketch *sketch, uint32_t value) {
    sketch_add_bin(sketch, sketch_bin(value), 1);
    sketch->sum += value;
    if (value > sketch->max) sketch->max = value;
}

void sketch_merge(struct sketch *sketch, const struct sketch *other) {
    if (other->count == 0) return;
    if (sketch->end == 0) sketch->first = other->first;
    if (other->first < sketch->first) sketch->first = other->first;
    if (other->end > sketch->end) sketch->end = other->end;
    for (int bin = other->first; bin < other->end; bin++) sketch->bins[bin] += other->bins[bin];
    sketch->count += other->count;
    sketch->sum += other->sum;
    if (other->max > sketch->max) sketch->max = other->max;
}

int sketch_percentile_bin(const struct sketch *sketch, int per_mille) {
    /* ceil(count * per_mille / 1000) without an overflow */
    uint64_t whole = sketch->count / 1000 * (uint64_t)per_mille;
    uint64_t rank = whole + (sketch->count % 1000 * (uint64_t)per_mille + 999) / 1000;
    if (rank == 0) rank = 1;
    uint64_t seen = 0;
    int bin = sketch->first;
    while (bin < sketch->end - 1 && (seen += sketch->bins[bin]) < rank) bin++;
    return bin;
}

int64_t sketch_percentile(const struct sketch *sketch, int per_mille) {
    if (sketch->count == 0) return -1;
    uint32_t middle = sketch_middle(sketch_percentile_bin(sketch, per_mille));
    return middle < sketch->max ? middle : sketch->max;
}

int64_t sketch_mean(const struct sketch *sketch) {
    return sketch->count == 0 ? -1 : (int64_t)(sketch->sum / sketch->count);
}

uint64_t sketch_above(const struct sketch *sketch, int64_t value) {
    uint64_t above = 0;
    for (int bin = sketch->end - 1; bin >= sketch->first && sketch_middle(bin) > value; bin--)
        above += sketch->bins[bin];
    return above;
}

size_t sketch_encode(uint8_t *bytes, const struct sketch *sketch) {
    uint8_t *at = bytes;
    *at++ = VERSION;
    at = varint_put(at, sketch->sum);
    at = varint_put(at, sketch->max);
    int next = 0;
    for (int bin = sketch->first; bin < sketch->end; bin++) {
        if (sketch->bins[bin] == 0) continue;
        at = varint_put(at, (uint64_t)(bin - next));
        at = varint_put(at, sketch->bins[bin]);
        next = bin + 1;
    }
    return (size_t)(at - bytes);
}

/* Adds the bins from `at` to `end` to the sketch, if one is given. False: they are invalid. */
static bool read_bins(struct sketch *sketch, const uint8_t *at, const uint8_t *end) {
    uint64_t skipped, count, next = 0;
    while (at < end) {
        at = varint_get(at, end, &skipped);
        if (at) at = varint_get(at, end, &count);
        if (!at || skipped >= SKETCH_BINS - next || count == 0) return false;
        if (sketch) sketch_add_bin(sketch, (int)(next + skipped), count);
        next += skipped + 1;
    }
    return true;
}

bool sketch_decode(struct sketch *sketch, const uint8_t *bytes, size_t length) {
    const uint8_t *at = bytes, *end = bytes + length;
    uint64_t sum, max;
    if (length == 0 || *at++ != VERSION) return false;
    at = varint_get(at, end, &sum);
    if (at) at = varint_get(at, end, &max);
    if (!at || max > UINT32_MAX || !read_bins(NULL, at, end)) return false;
    read_bins(sketch, at, end);
    sketch->sum += sum;
    if (max > sketch->max) sketch->max = (uint32_t)max;
    return true;
}
