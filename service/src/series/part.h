/*
 * Ten seconds of one series, by the second: how many samples of each bin of a sketch. A part takes
 * samples as they come. A tally puts them in order, and writes the stored form, which a commit
 * stores and the live windows keep. It is the same to the bit in whatever order samples and parts
 * came together. Pure but for memory. A part and a tally each belong to one thread.
 */
#ifndef PART_H
#define PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "series/sketch.h"

enum {
    PART_SECONDS = 10,
    PART_COUNT_MAX = 0xFFFF, /* of an entry: more samples are further entries */
};

struct part {
    int64_t start_s; /* a multiple of 10 */
    uint64_t sum;    /* of the samples themselves */
    uint32_t max;
    uint32_t length, room;
    uint32_t *entries; /* as they came: second of the ten << 26 | bin << 16 | count of samples */
    uint8_t *stored;   /* NULL before part_store */
    size_t stored_length;
};

#define PART_EMPTY(start) ((struct part){.start_s = (start)})

static inline int64_t part_start(int64_t second) { return second - second % PART_SECONDS; }
static inline int part_second(uint32_t entry) { return (int)(entry >> 26); }
static inline int part_bin(uint32_t entry) { return (int)(entry >> 16 & 0x3FF); }
static inline uint32_t part_samples(uint32_t entry) { return entry & PART_COUNT_MAX; }

void part_free(struct part *part);
void part_clear(struct part *part, int64_t start_s); /* keeps the memory of the entries */

/* A sample of the second start_s + second. False without memory. */
bool part_grow(struct part *part);
static inline bool part_add(struct part *part, int second, uint32_t value) {
    if (part->length == part->room && !part_grow(part)) return false;
    part->entries[part->length++] = (uint32_t)second << 26 | (uint32_t)sketch_bin(value) << 16 | 1;
    part->sum += value;
    if (value > part->max) part->max = value;
    return true;
}

uint64_t part_count(const struct part *part);

/* Counts by second and bin. Between uses it is empty, as tally_new and tally_encode leave it. */
struct tally;
struct tally *tally_new(void); /* NULL without memory; free() frees it */
void tally_add(struct tally *tally, const struct part *part);
/* False for what tally_encode can't have written: some of it may have been added. */
bool tally_add_stored(struct tally *tally, const uint8_t *bytes, size_t length);

/* The stored form, without start_s: version 1, sum, max, then for each second and bin the distance
 * from the one before, and the count where it is not 1. Valid until the tally is used again. */
const uint8_t *tally_encode(struct tally *tally, size_t *length);

/* Keeps the stored form in the part too: no samples are added after that. False without memory. */
bool part_store(struct part *part, struct tally *tally);
/* Adds what was stored. False for what tally_encode can't have written, or without memory (errno is
 * ENOMEM then): nothing was added. */
bool part_decode(struct part *part, const uint8_t *bytes, size_t length);

/* Adds the seconds from `first` to before `end` of a stored part to a sketch. Of all ten, sum and
 * max are those of the samples; else those of the middles of their bins. False for what
 * tally_encode can't have written: some of it may have been added. */
bool part_into_sketch(struct sketch *sketch, const uint8_t *bytes, size_t length, int first,
                      int end);

#endif
