/*
 * Situations and memories: their stored form, their JSON, and setting a field by its name.
 */
#include "../core/support/suite.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decide/memory.h"
#include "decide/situation.h"
#include "support/random.h"
#include "text.h"

static uint64_t seed = 5;

static int64_t below(int64_t limit) { return (int64_t)random_below(&seed, (uint64_t)limit); }

/* Small, unknown, large and extreme numbers. */
static int64_t some_number(void) {
    switch (below(6)) {
    case 0:
        return -1;
    case 1:
        return below(100);
    case 2:
        return INT64_MIN + below(2);
    case 3:
        return INT64_MAX - below(2);
    default:
        return (int64_t)random_next(&seed) >> below(63);
    }
}

static void some_situation(struct situation *situation) {
    situation_clear(situation);
#define X(number, name, unknown, meaning) \
    if (below(2)) situation->name = some_number();
    SITUATION_FIELDS(X)
#undef X
    char text[SITUATION_TEXT_SIZE] = "";
    for (int64_t i = below(SITUATION_TEXT_SIZE); i > 0; i--) text[i - 1] = (char)(1 + below(255));
    if (below(2)) situation_set(situation, "queue", text);
    if (below(2)) situation_set(situation, "trouble", "the platform is away");
    if (below(2)) situation_set(situation, "outsider", "anna");
}

static void some_memory(struct memory *memory) {
    memory_clear(memory);
#define X(number, name, unknown, meaning) \
    if (below(2)) memory->name = some_number();
    MEMORY_FIELDS(X)
#undef X
}

/* ---- Stored --------------------------------------------------------------------------------- */

static void any_situation_is_stored_and_read_the_same(void **state) {
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct situation one, before, read;
        uint8_t bytes[SITUATION_STORED], again[SITUATION_STORED];
        some_situation(&one);
        some_situation(&before);
        const struct situation *from = i % 2 ? &before : NULL;
        size_t length = situation_encode(bytes, &one, from);
        assert_in_range(length, 0, SITUATION_STORED);
        assert_true(situation_decode(&read, bytes, length, from));
        assert_memory_equal(&read, &one, sizeof one);
        assert_int_equal(situation_encode(again, &read, from), length);
        assert_memory_equal(bytes, again, length);
    }
}

static void any_memory_is_stored_and_read_the_same(void **state) {
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct memory one, read;
        uint8_t bytes[MEMORY_STORED];
        some_memory(&one);
        size_t length = memory_encode(bytes, &one);
        assert_in_range(length, 0, MEMORY_STORED);
        assert_true(memory_decode(&read, bytes, length));
        assert_true(memory_equal(&read, &one));
        assert_memory_equal(&read, &one, sizeof one);
    }
}

static void what_is_as_before_takes_no_room(void **state) {
    (void)state;
    struct situation cleared, one;
    uint8_t bytes[SITUATION_STORED];
    situation_clear(&cleared);
    some_situation(&one);
    assert_int_equal(situation_encode(bytes, &cleared, NULL), 0);
    assert_int_equal(situation_encode(bytes, &one, &one), 0);
    struct situation next = one;
    next.now = (int64_t)((uint64_t)one.now + 10);
    assert_int_equal(situation_encode(bytes, &next, &one), 2);
    assert_int_equal(bytes[0], 1);  /* the field's number */
    assert_int_equal(bytes[1], 20); /* ten more */
}

/* The bytes of a ledger must mean the same years later. */
static void the_stored_form_stays_what_it_is(void **state) {
    (void)state;
    static const uint8_t expected[] = {1,    0x80, 0xC4, 0x9F, 0xD5, 0x0C, 3,   2,   5,  0x9A,
                                       0x02, 25,   2,    100,  4,    'r',  'q', ':', 'a'};
    struct situation one;
    uint8_t bytes[SITUATION_STORED];
    situation_clear(&one);
    one.now = 1700000000;
    one.scaling = 1;
    one.value_ms = 140;
    one.paused = 1;
    strcpy(one.queue, "rq:a");
    assert_int_equal(situation_encode(bytes, &one, NULL), sizeof expected);
    assert_memory_equal(bytes, expected, sizeof expected);
}

/* Whatever decode takes, encode gives back: no two stored forms mean the same. */
static void nothing_is_read_that_can_not_have_been_written(void **state) {
    (void)state;
    int taken = 0;
    for (int i = 0; i < 300000; i++) {
        uint8_t bytes[SITUATION_STORED], again[SITUATION_STORED];
        struct situation one;
        struct memory memory;
        some_situation(&one);
        size_t length = i % 3 ? situation_encode(bytes, &one, NULL) : (size_t)below(12);
        if (i % 3 == 0)
            for (size_t j = 0; j < length; j++) bytes[j] = (uint8_t)below(i % 2 ? 256 : 12);
        else if (length > 0) bytes[below((int64_t)length)] ^= (uint8_t)(1 << below(8));
        if (i % 5 == 0 && length > 0) length -= 1;
        if (situation_decode(&one, bytes, length, NULL)) {
            assert_int_equal(situation_encode(again, &one, NULL), length);
            assert_memory_equal(bytes, again, length);
            taken++;
        }
        if (length <= MEMORY_STORED && memory_decode(&memory, bytes, length)) {
            assert_int_equal(memory_encode(again, &memory), length);
            assert_memory_equal(bytes, again, length);
        }
    }
    assert_true(taken > 1000);
}

static bool decodes(const char *bytes, size_t length) {
    struct situation one;
    return situation_decode(&one, (const uint8_t *)bytes, length, NULL);
}

static void damaged_forms_are_refused(void **state) {
    (void)state;
    assert_true(decodes("", 0));
    assert_true(decodes("\1\2", 2));
    assert_false(decodes("\1", 1));       /* no value */
    assert_false(decodes("\1\200", 2));   /* a value that ends early */
    assert_false(decodes("\1\0", 2));     /* no difference */
    assert_false(decodes("\1\202\0", 3)); /* a number longer than needed */
    assert_false(decodes("\3\2\1\2", 4)); /* out of order */
    assert_false(decodes("\1\2\1\2", 4)); /* twice */
    assert_false(decodes("\0\2", 2));     /* no such field */
    assert_false(decodes("\77\2", 2));    /* no such field */
    assert_false(decodes("\1\377\377\377\377\377\377\377\377\377\2", 11)); /* beyond 64 bits */
    assert_true(decodes("\144\1a", 3));
    assert_false(decodes("\144\1\0", 3));   /* a NUL in a text */
    assert_false(decodes("\144\0", 2));     /* an empty text is no difference */
    assert_false(decodes("\144\2a", 3));    /* a text that ends early */
    assert_false(decodes("\144\200\2", 3)); /* a text that is too long */
}

/* ---- Words ---------------------------------------------------------------------------------- */

static void json_has_every_field_and_null_for_what_is_not_known(void **state) {
    (void)state;
    struct situation situation;
    struct text text = TEXT_EMPTY;
    situation_clear(&situation);
    situation.now = 1700000000;
    situation_set(&situation, "queue", "a\"b");
    situation_json(&text, &situation);
    json_t *json = json_loads(text.bytes, 0, NULL);
    assert_non_null(json);
    assert_int_equal(json_object_size(json), 60 + 3);
    assert_int_equal(json_integer_value(json_object_get(json, "now")), 1700000000);
    assert_true(json_is_null(json_object_get(json, "value_ms")));
    assert_true(json_is_null(json_object_get(json, "ordered")));
    assert_int_equal(json_integer_value(json_object_get(json, "samples")), 0);
    assert_string_equal(json_string_value(json_object_get(json, "queue")), "a\"b");
    json_decref(json);
    struct memory memory;
    memory_clear(&memory);
    text_clear(&text);
    memory_json(&text, &memory);
    json = json_loads(text.bytes, 0, NULL);
    assert_int_equal(json_object_size(json), 34);
    assert_true(json_is_null(json_object_get(json, "wanted")));
    assert_int_equal(json_integer_value(json_object_get(json, "last_up")), 0);
    json_decref(json);
    text_free(&text);
}

static void a_field_is_set_by_its_name_or_nothing_is_changed(void **state) {
    (void)state;
    struct situation one, before;
    char long_text[SITUATION_TEXT_SIZE + 1];
    memset(long_text, 'a', sizeof long_text);
    situation_clear(&one);
    assert_true(situation_set(&one, "value_ms", "140"));
    assert_true(situation_set(&one, "clock_jump", "-9223372036854775808"));
    assert_true(one.clock_jump == INT64_MIN);
    assert_int_equal(one.value_ms, 140);
    before = one;
    static const char *const no_numbers[] = {
        "", "-", "1.5", "x", " 1", "+1", "9223372036854775808"};
    for (size_t i = 0; i < sizeof no_numbers / sizeof *no_numbers; i++)
        assert_false(situation_set(&one, "value_ms", no_numbers[i]));
    assert_false(situation_set(&one, "nothing", "1"));
    long_text[SITUATION_TEXT_SIZE] = '\0';
    assert_false(situation_set(&one, "queue", long_text));
    assert_memory_equal(&one, &before, sizeof one);
    long_text[SITUATION_TEXT_SIZE - 1] = '\0';
    assert_true(situation_set(&one, "queue", long_text));
    struct memory memory;
    memory_clear(&memory);
    assert_true(memory_set(&memory, "wanted", "4"));
    assert_int_equal(memory.wanted, 4);
    assert_false(memory_set(&memory, "queue", "a"));
}

static void memories_are_equal_if_every_field_is(void **state) {
    (void)state;
    struct memory one, other;
    memory_clear(&one);
    memory_clear(&other);
    assert_true(memory_equal(&one, &other));
#define X(number, name, unknown, meaning)     \
    other.name++;                             \
    assert_false(memory_equal(&one, &other)); \
    other.name--;
    MEMORY_FIELDS(X)
#undef X
    assert_true(memory_equal(&one, &other));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_situation_is_stored_and_read_the_same),
        cmocka_unit_test(any_memory_is_stored_and_read_the_same),
        cmocka_unit_test(what_is_as_before_takes_no_room),
        cmocka_unit_test(the_stored_form_stays_what_it_is),
        cmocka_unit_test(nothing_is_read_that_can_not_have_been_written),
        cmocka_unit_test(damaged_forms_are_refused),
        cmocka_unit_test(json_has_every_field_and_null_for_what_is_not_known),
        cmocka_unit_test(a_field_is_set_by_its_name_or_nothing_is_changed),
        cmocka_unit_test(memories_are_equal_if_every_field_is),
    };
    return cmocka_run_group_tests_name("situation", tests, NULL, NULL);
}
