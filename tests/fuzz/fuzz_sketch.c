/*
 * Sketches: what is read is written again to the same bytes; merging in any order is the same;
 * percentiles are those of counting. Two stored sketches, the length of the first before them.
 */
#include "fuzz.h"

#include "series/sketch.h"

static bool same(const struct sketch *one, const struct sketch *other) {
    return one->count == other->count && one->sum == other->sum && one->max == other->max &&
           memcmp(one->bins, other->bins, sizeof one->bins) == 0;
}

static bool decode(struct sketch *sketch, input in) {
    static const struct sketch none;
    uint8_t *bytes = (uint8_t *)copy_of(in.at, in.left);
    bool good = sketch_decode(sketch, bytes, in.left);
    if (good) {
        uint8_t *again = malloc(SKETCH_STORED);
        if (!again) exit(1);
        size_t length = sketch_encode(again, sketch);
        REQUIRE(length == in.left && memcmp(bytes, again, length) == 0, "%zu of %zu", length,
                in.left);
        free(again);
    } else {
        REQUIRE(same(sketch, &none), "a sketch that is refused adds nothing");
    }
    free(bytes);
    return good;
}

/* By the definition: the smallest bin of which at least that share is not above. */
static int64_t slow_percentile(const struct sketch *sketch, int per_mille) {
    __extension__ typedef unsigned __int128 wide;
    wide seen = 0;
    for (int bin = 0; bin < SKETCH_BINS; bin++) {
        seen += sketch->bins[bin];
        if (seen == 0 || seen * 1000 < (wide)sketch->count * (unsigned)per_mille) continue;
        uint32_t middle = sketch_middle(bin);
        return middle < sketch->max ? middle : sketch->max;
    }
    return -1;
}

void fuzz_sketch(const uint8_t *data, size_t size) {
    input in = {data, size};
    input first = take_bytes(&in, (size_t)take(&in, 2));
    struct sketch one = {0}, other = {0}, forth = {0}, back = {0};
    bool both = decode(&one, first);
    both &= decode(&other, in);
    /* Counts that overflow can't come from samples. */
    bool sane = one.count < 1u << 31 && other.count < 1u << 31;
    for (int bin = 0; bin < SKETCH_BINS && sane; bin++)
        sane = one.bins[bin] < 1u << 31 && other.bins[bin] < 1u << 31;
    if (!both || !sane) return;
    sketch_merge(&forth, &one);
    sketch_merge(&forth, &other);
    sketch_merge(&back, &other);
    sketch_merge(&back, &one);
    REQUIRE(same(&forth, &back), "merging commutes");
    for (int per_mille = 0; per_mille <= 1000; per_mille += 125)
        REQUIRE(sketch_percentile(&forth, per_mille) == slow_percentile(&forth, per_mille),
                "%d of 1000: %lld, %lld", per_mille,
                (long long)sketch_percentile(&forth, per_mille),
                (long long)slow_percentile(&forth, per_mille));
    sketch_clear(&forth);
    REQUIRE(same(&forth, &(struct sketch){0}), "a cleared sketch is empty");
}

FUZZ(fuzz_sketch)
