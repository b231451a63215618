/*
 * Parts: what is read is written again to the same bytes, whole or merged with another; each second
 * read into a sketch by itself is all of them together. Two stored parts, the length of the first
 * before them.
 */
#include "fuzz.h"

#include "series/part.h"

static struct tally *tally;

/* Empties the tally. */
static void require_same(const struct part *wanted, const char *what) {
    size_t length;
    const uint8_t *bytes = tally_encode(tally, &length);
    REQUIRE(length == wanted->stored_length && memcmp(bytes, wanted->stored, length) == 0, "%s",
            what);
}

static void look_at_seconds(const uint8_t *bytes, size_t length) {
    struct sketch whole = {0}, seconds = {0};
    REQUIRE(part_into_sketch(&whole, bytes, length, 0, PART_SECONDS), "all seconds");
    for (int second = 0; second < PART_SECONDS; second++)
        REQUIRE(part_into_sketch(&seconds, bytes, length, second, second + 1), "%d", second);
    REQUIRE(whole.count == seconds.count &&
                memcmp(whole.bins, seconds.bins, sizeof whole.bins) == 0,
            "seconds together");
}

static bool read_part(struct part *part, input in) {
    uint8_t *bytes = (uint8_t *)copy_of(in.at, in.left);
    bool good = part_decode(part, bytes, in.left);
    struct sketch sketch = {0};
    REQUIRE(part_into_sketch(&sketch, bytes, in.left, 0, PART_SECONDS) == good, "%d", good);
    if (good) {
        REQUIRE(part_store(part, tally), "memory");
        REQUIRE(part->stored_length == in.left && memcmp(bytes, part->stored, in.left) == 0,
                "%zu of %zu", part->stored_length, in.left);
        REQUIRE(tally_add_stored(tally, bytes, in.left), "read");
        require_same(part, "read into a tally");
        REQUIRE(part_count(part) == sketch.count, "count");
        look_at_seconds(part->stored, part->stored_length);
    } else {
        REQUIRE(part->length == 0 && part->sum == 0 && part->max == 0, "nothing is added");
        size_t length;
        REQUIRE(!tally_add_stored(tally, bytes, in.left), "read into a tally");
        tally_encode(tally, &length);
        REQUIRE(tally_encode(tally, &length)[0] == 1 && length == 3, "%zu: not empty", length);
    }
    free(bytes);
    return good;
}

void fuzz_part(const uint8_t *data, size_t size) {
    input in = {data, size};
    input first = take_bytes(&in, (size_t)take(&in, 2));
    struct part one = {0}, other = {0}, both = {0};
    if (!tally && !(tally = tally_new())) exit(1);
    bool good = read_part(&one, first);
    good &= read_part(&other, in);
    if (good) {
        REQUIRE(part_decode(&both, first.at, first.left) && part_decode(&both, in.at, in.left),
                "memory");
        REQUIRE(part_store(&both, tally), "memory");
        tally_add(tally, &one);
        tally_add(tally, &other);
        require_same(&both, "one and the other");
        tally_add(tally, &other);
        tally_add(tally, &one);
        require_same(&both, "the other and one");
    }
    part_free(&one);
    part_free(&other);
    part_free(&both);
}

FUZZ(fuzz_part)
