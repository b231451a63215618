#include "series/part.h"

#include <stdlib.h>
#include <string.h>

#include "series/varint.h"

enum {
    VERSION = 1,
    FIRST_ROOM = 32,
    KEYS = PART_SECONDS << 10, /* a key is second << 10 | bin */
    WORD_BITS = 64,
    STORED_MOST = 1 + VARINT_SIZE + 5 + PART_SECONDS * SKETCH_BINS * (3 + VARINT_SIZE),
};

struct tally {
    uint64_t sum, max;
    uint64_t used[KEYS / WORD_BITS]; /* one bit for each count that is not 0 */
    uint64_t counts[KEYS];
    uint8_t bytes[STORED_MOST];
};

/* ---- Samples ------------------------------------------------------------------------------- */

void part_free(struct part *part) {
    free(part->entries);
    free(part->stored);
    *part = PART_EMPTY(part->start_s);
}

void part_clear(struct part *part, int64_t start_s) {
    struct part kept = *part;
    free(part->stored);
    *part = (struct part){.start_s = start_s, .entries = kept.entries, .room = kept.room};
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
    for (uint32_t i = 0; i < part->length; i++) count += part_samples(part->entries[i]);
    return count;
}

/* ---- Reading the stored form --------------------------------------------------------------- */

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

/* Reads the next second and bin; false: the end (at == end), or invalid. */
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
    uint32_t before = part->length, key;
    uint64_t count;
    while (read_entry(&reader, &key, &count)) {
        if (!make_room(part, count / PART_COUNT_MAX + 1)) {
            reader.at = NULL;
            break;
        }
        for (; count > PART_COUNT_MAX; count -= PART_COUNT_MAX)
            part->entries[part->length++] = key << 16 | PART_COUNT_MAX;
        part->entries[part->length++] = key << 16 | (uint32_t)count;
    }
    if (reader.at != reader.end) {
        part->length = before;
        return false;
    }
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

/* ---- Tallies, and writing the stored form -------------------------------------------------- */

struct tally *tally_new(void) {
    return calloc(1, sizeof(struct tally));
}

static inline void add(struct tally *tally, uint32_t key, uint64_t count) {
    tally->counts[key] += count;
    tally->used[key / WORD_BITS] |= (uint64_t)1 << key % WORD_BITS;
}

static void add_head(struct tally *tally, uint64_t sum, uint64_t max) {
    tally->sum += sum;
    if (max > tally->max) tally->max = max;
}

void tally_add(struct tally *tally, const struct part *part) {
    add_head(tally, part->sum, part->max);
    for (uint32_t i = 0; i < part->length; i++)
        add(tally, part->entries[i] >> 16, part_samples(part->entries[i]));
}

bool tally_add_stored(struct tally *tally, const uint8_t *bytes, size_t length) {
    struct reader reader;
    if (!read_head(&reader, bytes, length)) return false;
    uint32_t key;
    uint64_t count;
    while (read_entry(&reader, &key, &count)) add(tally, key, count);
    add_head(tally, reader.sum, reader.max);
    return reader.at == reader.end;
}

const uint8_t *tally_encode(struct tally *tally, size_t *length) {
    uint8_t *at = tally->bytes;
    *at++ = VERSION;
    at = varint_put(varint_put(at, tally->sum), tally->max);
    uint32_t next = 0;
    for (uint32_t word = 0; word < KEYS / WORD_BITS; word++) {
        for (uint64_t bits = tally->used[word]; bits != 0; bits &= bits - 1) {
            uint32_t key = word * WORD_BITS + (uint32_t)__builtin_ctzll(bits);
            uint64_t count = tally->counts[key];
            tally->counts[key] = 0;
            at = varint_put(at, (uint64_t)(key - next) << 1 | (count > 1));
            if (count > 1) at = varint_put(at, count - 2);
            next = key + 1;
        }
        tally->used[word] = 0;
    }
    tally->sum = tally->max = 0;
    *length = (size_t)(at - tally->bytes);
    return tally->bytes;
}

bool part_store(struct part *part, struct tally *tally) {
    size_t length;
    tally_add(tally, part);
    const uint8_t *bytes = tally_encode(tally, &length);
    uint8_t *stored = realloc(part->stored, length);
    if (!stored) return false;
    memcpy(stored, bytes, length);
    part->stored = stored;
    part->stored_length = length;
    return true;
}
