/*
 * Sketches and parts: by random search, against the samples themselves.
 */
#include "../core/support/suite.h"

#include <stdlib.h>
#include <string.h>

#include "series/part.h"
#include "series/sketch.h"
#include "support/random.h"

enum { ROUNDS = 300, SAMPLES = 400 };

/* Of all sizes alike, and often of one octave, as waits are. */
static uint32_t some_value(uint64_t *state) {
    switch (random_below(state, 4)) {
    case 0:
        return (uint32_t)random_below(state, 100);
    case 1:
        return (uint32_t)(1000 + random_below(state, 500));
    case 2:
        return (uint32_t)random_next(state) >> random_below(state, 32);
    default:
        return (uint32_t)random_below(state, 10000);
    }
}

static int by_value(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static bool same(const struct sketch *one, const struct sketch *other) {
    return one->count == other->count && one->sum == other->sum && one->max == other->max &&
           memcmp(one->bins, other->bins, sizeof one->bins) == 0;
}

static void every_value_is_near_the_middle_of_its_bin(void **unused) {
    (void)unused;
    int before = -1;
    for (uint64_t value = 0; value <= UINT32_MAX; value += 1 + value / 777) {
        int bin = sketch_bin((uint32_t)value);
        int64_t off = (int64_t)sketch_middle(bin) - (int64_t)value;
        assert_true(bin >= before && bin < SKETCH_BINS);
        assert_true(llabs(off) * 64 <= (int64_t)value);
        if (value < 64) assert_int_equal(off, 0);
        before = bin;
    }
    assert_int_equal(sketch_bin(UINT32_MAX), SKETCH_BINS - 1);
    for (int bin = 0; bin < SKETCH_BINS; bin++)
        assert_int_equal(sketch_bin(sketch_middle(bin)), bin);
}

static void percentiles_are_those_of_the_samples(void **unused) {
    (void)unused;
    static const int asked[] = {0, 1, 500, 750, 900, 950, 990, 999, 1000};
    uint64_t state = 1;
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t values[SAMPLES];
        uint64_t sum = 0;
        size_t count = 1 + random_below(&state, SAMPLES);
        struct sketch sketch = {0};
        for (size_t i = 0; i < count; i++) {
            values[i] = some_value(&state);
            sum += values[i];
            sketch_add(&sketch, values[i]);
        }
        qsort(values, count, sizeof *values, by_value);
        for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
            size_t rank = (count * (size_t)asked[i] + 999) / 1000;
            int64_t is = values[rank > 0 ? rank - 1 : 0];
            int64_t found = sketch_percentile(&sketch, asked[i]);
            assert_true(llabs(found - is) * 1000 <= is * 16);
        }
        assert_int_equal(sketch_mean(&sketch), sum / count);
        assert_int_equal(sketch.max, values[count - 1]);
        assert_int_equal(sketch.count, count);
    }
}

static void samples_above_are_counted_by_their_bins(void **unused) {
    (void)unused;
    struct sketch sketch = {0};
    for (uint32_t value = 0; value < 60; value++) sketch_add(&sketch, value);
    sketch_add(&sketch, 5000);
    assert_int_equal(sketch_above(&sketch, 59), 1);
    assert_int_equal(sketch_above(&sketch, 49), 11);
    assert_int_equal(sketch_above(&sketch, -1), 61);
    assert_int_equal(sketch_above(&sketch, INT64_MAX), 0);
}

static void no_samples_have_no_percentile(void **unused) {
    (void)unused;
    struct sketch sketch = {0};
    assert_int_equal(sketch_percentile(&sketch, 950), -1);
    assert_int_equal(sketch_mean(&sketch), -1);
    assert_int_equal(sketch_above(&sketch, 0), 0);
}

static void the_order_of_merging_changes_nothing(void **unused) {
    (void)unused;
    uint64_t state = 2;
    for (int round = 0; round < ROUNDS; round++) {
        struct sketch pieces[4] = {0}, all = {0}, forth = {0}, back = {0}, nested = {0};
        for (int i = 0; i < SAMPLES; i++) {
            uint32_t value = some_value(&state);
            sketch_add(&pieces[random_below(&state, 4)], value);
            sketch_add(&all, value);
        }
        for (int i = 0; i < 4; i++) sketch_merge(&forth, &pieces[i]);
        for (int i = 3; i >= 0; i--) sketch_merge(&back, &pieces[i]);
        sketch_merge(&pieces[0], &pieces[2]);
        sketch_merge(&pieces[3], &pieces[1]);
        sketch_merge(&nested, &pieces[3]);
        sketch_merge(&nested, &pieces[0]);
        assert_true(same(&all, &forth) && same(&all, &back) && same(&all, &nested));
        sketch_clear(&all);
        assert_true(same(&all, &(struct sketch){0}));
    }
}

static void a_stored_sketch_is_the_same_to_the_bit(void **unused) {
    (void)unused;
    uint64_t state = 3;
    static uint8_t bytes[SKETCH_STORED], again[SKETCH_STORED];
    for (int round = 0; round < ROUNDS; round++) {
        struct sketch sketch = {0}, found = {0};
        for (uint64_t i = random_below(&state, SAMPLES); i > 0; i--)
            sketch_add(&sketch, some_value(&state));
        if (round == 0) sketch_add_bin(&sketch, SKETCH_BINS - 1, UINT64_MAX / 2);
        size_t length = sketch_encode(bytes, &sketch);
        assert_true(sketch_decode(&found, bytes, length));
        assert_true(same(&sketch, &found));
        assert_int_equal(sketch_encode(again, &found), length);
        assert_memory_equal(bytes, again, length);
        /* Cut off, or of another version: nothing is added. */
        struct sketch none = {0};
        bytes[0] = 2;
        assert_false(sketch_decode(&none, bytes, length));
        assert_false(sketch_decode(&none, bytes, 0));
        assert_true(same(&none, &(struct sketch){0}));
    }
}

static void a_sketch_that_nobody_wrote_is_refused(void **unused) {
    (void)unused;
    static const struct {
        size_t length;
        uint8_t bytes[8];
    } wrong[] = {
        {2, {1, 0}},                                  /* no max */
        {4, {1, 0, 0, 5}},                            /* no count */
        {5, {1, 0, 0, 5, 0}},                         /* a count of 0 */
        {6, {1, 0, 0, 0x80, 0x07, 1}},                /* bin 896 */
        {6, {1, 0, 0, 0x85, 0, 1}},                   /* 5, in two bytes */
        {8, {1, 0, 0x80, 0x80, 0x80, 0x80, 0x10, 0}}, /* a max of 2^32 */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct sketch sketch = {0};
        assert_false(sketch_decode(&sketch, wrong[i].bytes, wrong[i].length));
        assert_true(same(&sketch, &(struct sketch){0}));
    }
}

/* ---- Parts --------------------------------------------------------------------------------- */

static struct tally *tally;

static int set_up(void **state) {
    (void)state;
    tally = tally_new();
    return tally ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    free(tally);
    return 0;
}

static void a_part_holds_each_second_by_itself(void **unused) {
    (void)unused;
    uint64_t state = 4;
    for (int round = 0; round < ROUNDS; round++) {
        struct part part = PART_EMPTY(1700000000);
        struct sketch seconds[PART_SECONDS] = {0}, all = {0}, found = {0};
        for (int i = 0; i < SAMPLES; i++) {
            int second = (int)random_below(&state, PART_SECONDS);
            uint32_t value = some_value(&state);
            assert_true(part_add(&part, second, value));
            sketch_add(&seconds[second], value);
            sketch_add(&all, value);
        }
        assert_true(part_store(&part, tally));
        assert_true(part_into_sketch(&found, part.stored, part.stored_length, 0, PART_SECONDS));
        assert_true(same(&all, &found));
        for (int second = 0; second < PART_SECONDS; second++) {
            sketch_clear(&found);
            assert_true(
                part_into_sketch(&found, part.stored, part.stored_length, second, second + 1));
            assert_int_equal(found.count, seconds[second].count);
            assert_memory_equal(found.bins, seconds[second].bins, sizeof found.bins);
        }
        assert_int_equal(part_count(&part), SAMPLES);
        part_free(&part);
    }
}

static void assert_tallied(const struct part *wanted) {
    size_t length;
    const uint8_t *bytes = tally_encode(tally, &length);
    assert_int_equal(length, wanted->stored_length);
    assert_memory_equal(bytes, wanted->stored, length);
}

static void the_order_in_which_parts_come_changes_no_byte(void **unused) {
    (void)unused;
    uint64_t state = 5;
    for (int round = 0; round < ROUNDS; round++) {
        struct part pieces[4] = {0}, all = {0}, read = {0};
        for (uint64_t i = random_below(&state, SAMPLES); i > 0; i--) {
            int second = (int)random_below(&state, PART_SECONDS);
            uint32_t value = some_value(&state);
            part_add(&pieces[random_below(&state, 4)], second, value);
            part_add(&all, second, value);
        }
        assert_true(part_store(&all, tally));
        for (int i = 3; i >= 0; i--) tally_add(tally, &pieces[i]);
        assert_tallied(&all);
        for (int i = 0; i < 4; i++) assert_true(part_store(&pieces[i], tally));
        for (int i = 0; i < 4; i++)
            assert_true(tally_add_stored(tally, pieces[i].stored, pieces[i].stored_length));
        assert_tallied(&all);
        for (int i = 0; i < 4; i++)
            assert_true(part_decode(&read, pieces[i].stored, pieces[i].stored_length));
        tally_add(tally, &read);
        assert_tallied(&all);
        for (int i = 0; i < 4; i++) part_free(&pieces[i]);
        part_free(&all);
        part_free(&read);
    }
}

static void a_part_counts_more_than_an_entry_can(void **unused) {
    (void)unused;
    struct part part = {0}, twice = {0};
    for (int i = 0; i < 200000; i++) assert_true(part_add(&part, 3, 7));
    assert_true(part_store(&part, tally));
    assert_true(part.stored_length < 12);
    for (int i = 0; i < 2; i++) assert_true(part_decode(&twice, part.stored, part.stored_length));
    assert_int_equal(part_count(&twice), 400000);
    assert_true(part_store(&twice, tally));
    struct sketch sketch = {0};
    assert_true(part_into_sketch(&sketch, twice.stored, twice.stored_length, 3, 4));
    assert_int_equal(sketch.count, 400000);
    part_free(&part);
    part_free(&twice);
}

/* As releases before wrote it. */
static void the_stored_form_of_a_part_stays(void **unused) {
    (void)unused;
    static const uint8_t stored[] = {1,    0xCD, 0x01, 100, /* version, sum, max */
                                     0x0A,                  /* 5 ms in the first second */
                                     0x99, 0x31, 0,         /* 100 ms in the fourth, twice */
                                     0xDA, 0x5E};           /* 0 ms in the last */
    struct part part = {0};
    assert_true(part_add(&part, 9, 0) && part_add(&part, 3, 100));
    assert_true(part_add(&part, 0, 5) && part_add(&part, 3, 100));
    assert_true(part_store(&part, tally));
    assert_int_equal(part.stored_length, sizeof stored);
    assert_memory_equal(part.stored, stored, sizeof stored);
    part_free(&part);
}

static void a_part_that_nobody_wrote_is_refused(void **unused) {
    (void)unused;
    static const struct {
        size_t length;
        uint8_t bytes[8];
    } wrong[] = {
        {0, {0}},
        {3, {2, 0, 0}},                   /* version 2 */
        {5, {1, 0, 0, 3, 0x80}},          /* a count that is cut off */
        {5, {1, 0, 0, 0x80, 0x0E}},       /* bin 896 of the first second */
        {6, {1, 0, 0, 0x80, 0xA0, 0x01}}, /* the eleventh second */
        {5, {1, 0, 0, 2, 0x81}},          /* a distance that is cut off, after a good entry */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct part part = {0};
        assert_true(part_add(&part, 1, 1));
        assert_false(part_decode(&part, wrong[i].bytes, wrong[i].length));
        assert_int_equal(part_count(&part), 1);
        part_free(&part);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_is_near_the_middle_of_its_bin),
        cmocka_unit_test(percentiles_are_those_of_the_samples),
        cmocka_unit_test(samples_above_are_counted_by_their_bins),
        cmocka_unit_test(no_samples_have_no_percentile),
        cmocka_unit_test(the_order_of_merging_changes_nothing),
        cmocka_unit_test(a_stored_sketch_is_the_same_to_the_bit),
        cmocka_unit_test(a_sketch_that_nobody_wrote_is_refused),
        cmocka_unit_test(a_part_holds_each_second_by_itself),
        cmocka_unit_test(the_order_in_which_parts_come_changes_no_byte),
        cmocka_unit_test(a_part_counts_more_than_an_entry_can),
        cmocka_unit_test(the_stored_form_of_a_part_stays),
        cmocka_unit_test(a_part_that_nobody_wrote_is_refused),
    };
    return cmocka_run_group_tests_name("sketch", tests, set_up, tear_down);
}
