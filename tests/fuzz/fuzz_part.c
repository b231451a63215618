/*
 * Parts: what is read is written again to the same bytes, whole or merged with another; each second
 * read into a sketch by itself is all of them together. Two stored parts, the length of the first
 * before them.
 */
#include "fuzz.h"

#include "series/part.h"

static uint8_t *encode(struct part *part, size_t *length) {
    uint8_t *bytes = malloc(part_stored_size(part));
    if (!bytes) exit(1);
    *length = part_encode(bytes, part);
    REQUIRE(*length <= part_stored_size(part), "%zu", *length);
    return bytes;
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
        size_t length;
        uint8_t *again = encode(part, &length);
        REQUIRE(length == in.left && memcmp(bytes, again, length) == 0, "%zu of %zu", length,
                in.left);
        REQUIRE(part_count(part) == sketch.count, "count");
        look_at_seconds(again, length);
        free(again);
    } else {
        REQUIRE(part->length == 0 && part->sum == 0 && part->max == 0, "nothing is added");
    }
    free(bytes);
    return good;
}

void fuzz_part(const uint8_t *data, size_t size) {
    input in = {data, size};
    input first = take_bytes(&in, (size_t)take(&in, 2));
    struct part one = {0}, other = {0}, forth = {0}, back = {0}, read = {0};
    bool both = read_part(&one, first);
    both &= read_part(&other, in);
    if (both) {
        size_t length, again_length;
        REQUIRE(part_merge(&forth, &one) && part_merge(&forth, &other), "memory");
        REQUIRE(part_merge(&back, &other) && part_merge(&back, &one), "memory");
        uint8_t *bytes = encode(&forth, &length), *again = encode(&back, &again_length);
        REQUIRE(length == again_length && memcmp(bytes, again, length) == 0, "merging commutes");
        REQUIRE(part_decode(&read, first.at, first.left) && part_decode(&read, in.at, in.left),
                "memory");
        size_t read_length;
        uint8_t *read_bytes = encode(&read, &read_length);
        REQUIRE(length == read_length && memcmp(bytes, read_bytes, length) == 0, "read as one");
        free(read_bytes);
        free(bytes);
        free(again);
    }
    part_free(&one);
    part_free(&other);
    part_free(&forth);
    part_free(&back);
    part_free(&read);
}

FUZZ(fuzz_part)
