/*
 * Ten seconds of one series, by the second: how many samples of each bin of a sketch. It is what a
 * report adds, what a commit stores, and what the live windows keep; merged, it is the same to the
 * bit in whatever order. Pure but for its memory. A part belongs to one thread.
 */
#ifndef PART_H
#define PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "series/sketch.h"

enum { PART_SECONDS = 10 };

struct part {
    int64_t start_s; /* a multiple of 10 */
    uint64_t sum;    /* of the samples themselves */
    uint32_t max;
    uint32_t length, room;
    uint32_t sorted;   /* so many of the entries are in order, each second and bin once */
    uint32_t *entries; /* second of the ten << 28 | bin << 16 | samples: see part.c */
};

#define PART_EMPTY(start) ((struct part){.start_s = (start)})

static inline int64_t part_start(int64_t second) { return second - second % PART_SECONDS; }

void part_free(struct part *part);
void part_clear(struct part *part, int64_t start_s); /* keeps the memory */

/* A sample of the second start_s + second. False without memory. */
bool part_grow(struct part *part);
static inline bool part_add(struct part *part, int second, uint32_t value) {
    if (part->length == part->room && !part_grow(part)) return false;
    part->entries[part->length++] = (uint32_t)second << 28 | (uint32_t)sketch_bin(value) << 16 | 1;
    part->sum += value;
    if (value > part->max) part->max = value;
    return true;
}

/* Adds what another part of the same ten seconds holds. False without memory: nothing was added. */
bool part_merge(struct part *part, const struct part *other);

uint64_t part_count(const struct part *part);

/* The stored form, without start_s: version 1, sum, max, then for each second and bin the distance
 * from the one before, and the count where it is not 1. size: the most that encode may write.
 * encode puts the entries in order first, and returns the bytes written; encode_ordered is for a
 * part that is in order already, as encode, merge and bring_in_order leave it. decode: adds what
 * was stored; false for what encode can't have written, or without memory: nothing was added. */
size_t part_stored_size(const struct part *part);
size_t part_encode(uint8_t *bytes, struct part *part);
size_t part_encode_ordered(uint8_t *bytes, const struct part *part);
void part_bring_in_order(struct part *part);
bool part_is_in_order(const struct part *part);
bool part_decode(struct part *part, const uint8_t *bytes, size_t length);

/* Adds the seconds from `first` to before `end` of a stored part to a sketch. Of all ten, sum and
 * max are those of the samples; else those of the middles of their bins. False for what encode
 * can't have written: some of it may have been added. */
bool part_into_sketch(struct sketch *sketch, const uint8_t *bytes, size_t length, int first,
                      int end);

#endif
