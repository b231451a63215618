/*
 * The entries are samples in the order in which they came, until somebody needs them in order: then
 * they are sorted and those of the same second and bin put together. An entry counts to 65,535;
 * more samples of the same second and bin are further entries.
 */
#include "series/part.h"

#include <stdlib.h>
#include <string.h>

#include "series/varint.h"

enum {
    VERSION = 1,
    COUNT_MAX = 0xFFFF,
    FIRST_ROOM = 32,
    DIGIT_BITS = 7, /* of a key of 14: second << 10 | bin */
    DIGITS = 1 << DIGIT_BITS,
    FEW = 24, /* entries that are sorted by insertion */
};

/* second << 10 | bin */
static uint32_t key_of(uint32_t entry) { return (entry >> 28) << 10 | (entry >> 16 & 0x3FF); }

static uint32_t entry_of(uint32_t key, uint32_t count) {
    return (key >> 10) << 28 | (key & 0x3FF) << 16 | count;
}

static uint32_t count_of(uint32_t entry) { return entry & COUNT_MAX; }

void part_free(struct part *part) {
    free(part->entries);
    *part = PART_EMPTY(part->start_s);
}

void part_clear(struct part *part, int64_t start_s) {
    part->start_s = start_s;
    part->sum = 0;
    part->max = 0;
    part->length = part->sorted = 0;
}

static bool make_room(struct part *part, size_t more) {
    size_t room = part->room ? part->room : FIRST_ROOM;
    while (room < part->length + more) room *= 2;
    if (room == part->room) return true;
    uint32_t *entries = room > UINT32_MAX ? NULL : realloc(part->entries, room * sizeof *entries);
    if (!entries) return false;
    part->entries = entries;
    part->room = (uint32_t)room;
    return true;
}

bool part_grow(struct part *part) { return make_room(part, 1); }

uint64_t part_count(const struct part *part) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < part->length; i++) count += count_of(part->entries[i]);
    return count;
}

/* ---- Order --------------------------------------------------------------------------------- */

static void sort_few(uint32_t *entries, size_t length) {
    for (size_t i = 1; i < length; i++) {
        uint32_t entry = entries[i], key = key_of(entry);
        size_t at = i;
        for (; at > 0 && key_of(entries[at - 1]) > key; at--) entries[at] = entries[at - 1];
        entries[at] = entry;
    }
}

static void sort_by_digit(const uint32_t *from, uint32_t *to, size_t length, int shift) {
    uint32_t places[DIGITS] = {0}, sum = 0;
    for (size_t i = 0; i < length; i++) places[key_of(from[i]) >> shift & (DIGITS - 1)]++;
    for (int i = 0; i < DIGITS; i++) {
        uint32_t here = places[i];
        places[i] = sum;
        sum += here;
    }
    for (size_t i = 0; i < length; i++)
        to[places[key_of(from[i]) >> shift & (DIGITS - 1)]++] = from[i];
}

/* Without memory for a second array: slowly, but still. */
static void sort(uint32_t *entries, size_t length) {
    uint32_t *other = length > FEW ? malloc(length * sizeof *other) : NULL;
    if (!other) {
        sort_few(entries, length);
        return;
    }
    sort_by_digit(entries, other, length, 0);
    sort_by_digit(other, entries, length, DIGIT_BITS);
    free(other);
}

/* Entries of the same second and bin become one, or, beyond what one can count, full ones and the
 * rest: so the form depends on the samples alone. */
static void put_together(struct part *part) {
    uint32_t to = 0;
    for (uint32_t from = 0; from < part->length;) {
        uint32_t key = key_of(part->entries[from]);
        uint64_t count = 0;
        for (; from < part->length && key_of(part->entries[from]) == key; from++)
            count += count_of(part->entries[from]);
        for (; count > COUNT_MAX; count -= COUNT_MAX)
            part->entries[to++] = entry_of(key, COUNT_MAX);
        part->entries[to++] = entry_of(key, (uint32_t)count);
    }
    part->length = part->sorted = to;
}

void part_bring_in_order(struct part *part) {
    if (part->sorted == part->length) return;
    bool ordered = true;
    for (uint32_t i = 1; i < part->length && ordered; i++)
        ordered = key_of(part->entries[i - 1]) <= key_of(part->entries[i]);
    if (!ordered) sort(part->entries, part->length);
    put_together(part);
}

/* Both in order: from the ends on, into the room behind the first. */
static void merge_ordered(uint32_t *entries, size_t length, const uint32_t *other,
                          size_t other_length) {
    size_t to = length + other_length;
    while (other_length > 0) {
        bool ours = length > 0 && key_of(entries[length - 1]) > key_of(other[other_length - 1]);
        entries[--to] = ours ? entries[--length] : other[--other_length];
    }
}

bool part_merge(struct part *part, const struct part *other) {
    if (other->length > 0 && !make_room(part, other->length)) return false;
    part->sum += other->sum;
    if (other->max > part->max) part->max = other->max;
    if (other->length == 0) return true;
    if (part->sorted == part->length && other->sorted == other->length)
        merge_ordered(part->entries, part->length, other->entries, other->length);
    else
        memcpy(part->entries + part->length, other->entries, other->length * sizeof *part->entries);
    part->length += other->length;
    part_bring_in_order(part);
    return true;
}

/* ---- The stored form ----------------------------------------------------------------------- */

size_t part_stored_size(const struct part *part) {
    /* A distance of 14 bits and a flag: at most 3 bytes; the count of entries that were put
     * together: 10 at most, but each needs as many entries. */
    return 1 + VARINT_SIZE + 5 + (size_t)part->length * 6;
}

static uint8_t *put_head(uint8_t *at, uint64_t sum, uint64_t max) {
    *at++ = VERSION;
    return varint_put(varint_put(at, sum), max);
}

/* `next` is what follows the key before, and set to what follows this one. */
static inline uint8_t *put_entry(uint8_t *at, uint32_t *next, uint32_t key, uint64_t count) {
    at = varint_put(at, (uint64_t)(key - *next) << 1 | (count > 1));
    if (count > 1) at = varint_put(at, count - 2);
    *next = key + 1;
    return at;
}

/* The entries of the next key, from `at` on; false at the end. */
static inline bool next_entry(const struct part *part, uint32_t *at, uint32_t *key,
                              uint64_t *count) {
    if (*at == part->length) return false;
    *key = key_of(part->entries[*at]);
    *count = 0;
    do *count += count_of(part->entries[(*at)++]);
    while (*at < part->length && key_of(part->entries[*at]) == *key);
    return true;
}

bool part_is_in_order(const struct part *part) { return part->sorted == part->length; }

size_t part_encode_ordered(uint8_t *bytes, const struct part *part) {
    uint8_t *at = put_head(bytes, part->sum, part->max);
    uint32_t next = 0, i = 0, key;
    uint64_t count;
    while (next_entry(part, &i, &key, &count)) at = put_entry(at, &next, key, count);
    return (size_t)(at - bytes);
}

size_t part_encode(uint8_t *bytes, struct part *part) {
    part_bring_in_order(part);
    return part_encode_ordered(bytes, part);
}

struct reader {
    const uint8_t *at, *end;
    uint64_t sum, max, next;
};

static bool read_head(struct reader *reader, const uint8_t *bytes, size_t length) {
    *reader = (struct reader){.at = bytes, .end = bytes + length};
    if (length == 0 || *reader->at++ != VERSION) return false;
    reader->at = varint_get(reader->at, reader->end, &reader->sum);
    if (reader->at) reader->at = varint_get(reader->at, reader->end, &reader->max);
    return reader->at && reader->max <= UINT32_MAX;
}

/* The next second and bin; false at the end (at == end) and for what is none. */
static inline bool read_entry(struct reader *reader, uint32_t *key, uint64_t *count) {
    uint64_t word;
    if (reader->at == reader->end) return false;
    const uint8_t *at = varint_get(reader->at, reader->end, &word);
    *count = 1;
    if (at && word & 1) {
        at = varint_get(at, reader->end, count);
        if (!at || *count > UINT32_MAX - 2) return false;
        *count += 2;
    }
    uint64_t found = reader->next + (word >> 1);
    if (!at || word >> 1 > 0x3FFF || found >> 10 >= PART_SECONDS || (found & 0x3FF) >= SKETCH_BINS)
        return false;
    reader->at = at;
    reader->next = found + 1;
    *key = (uint32_t)found;
    return true;
}

bool part_decode(struct part *part, const uint8_t *bytes, size_t length) {
    struct reader reader;
    if (!read_head(&reader, bytes, length)) return false;
    uint32_t before = part->length, sorted = part->sorted, key;
    uint64_t count;
    while (read_entry(&reader, &key, &count)) {
        if (!make_room(part, count / COUNT_MAX + 1)) break;
        for (; count > COUNT_MAX; count -= COUNT_MAX)
            part->entries[part->length++] = entry_of(key, COUNT_MAX);
        part->entries[part->length++] = entry_of(key, (uint32_t)count);
    }
    if (reader.at != reader.end) {
        part->length = before;
        part->sorted = sorted;
        return false;
    }
    if (before == 0) part->sorted = part->length;
    part->sum += reader.sum;
    if (reader.max > part->max) part->max = (uint32_t)reader.max;
    return true;
}

bool part_into_sketch(struct sketch *sketch, const uint8_t *bytes, size_t length, int first,
                      int end) {
    struct reader reader;
    if (!read_head(&reader, bytes, length)) return false;
    bool all = first <= 0 && end >= PART_SECONDS;
    uint32_t key;
    uint64_t count;
    while (read_entry(&reader, &key, &count)) {
        int second = (int)(key >> 10), bin = (int)(key & 0x3FF);
        if (second < first || second >= end) continue;
        sketch_add_bin(sketch, bin, count);
        if (all) continue;
        uint32_t middle = sketch_middle(bin);
        sketch->sum += middle * count;
        if (middle > sketch->max) sketch->max = middle;
    }
    if (all) {
        sketch->sum += reader.sum;
        if (reader.max > sketch->max) sketch->max = (uint32_t)reader.max;
    }
    return reader.at == reader.end;
}
