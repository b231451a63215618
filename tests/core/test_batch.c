/* Batches: order, bounds, keys, expiry. */
#include "support/suite.h"

#include <stdlib.h>
#include <string.h>

#include "batch.h"

static ds_batches *fresh(void **state) {
    static ds_batches batches;
    (void)state;
    ds_batches_clear(&batches);
    memset(&batches, 0, sizeof batches);
    return &batches;
}

static void add(ds_batches *b, uint64_t first, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) assert_true(ds_batches_add(b, first + i));
}

static void nothing_is_due_before_it_is_released(void **state) {
    ds_batches *b = fresh(state);
    assert_null(ds_batches_oldest_due(b));
    assert_int_equal(ds_batches_release(b, 5), 0);
    assert_null(ds_batches_oldest_due(b));
    add(b, 1, 3);
    assert_null(ds_batches_oldest_due(b));
    assert_true(ds_batches_open_any(b));
    assert_int_equal(ds_batches_release(b, 5), 1);
    assert_non_null(ds_batches_oldest_due(b));
    assert_false(ds_batches_open_any(b));
    assert_int_equal(ds_batches_rows(b), 3);
}

static void batches_leave_in_the_order_in_which_they_came(void **state) {
    ds_batches *b = fresh(state);
    for (uint64_t i = 1; i <= 10; i++) {
        add(b, i * 100, 2);
        assert_int_equal(ds_batches_release(b, (int64_t)i), i);
    }
    for (uint64_t i = 1; i <= 10; i++) {
        const ds_batch *oldest = ds_batches_oldest_due(b);
        assert_int_equal(oldest->number, i);
        assert_int_equal(oldest->samples[1], i * 100 + 1);
        assert_int_equal(ds_batch_rows(oldest), 2);
        ds_batches_remove_oldest(b);
    }
    assert_null(ds_batches_oldest_due(b));
    ds_batches_remove_oldest(b); /* of nothing: nothing happens */
    assert_int_equal(ds_batches_rows(b), 0);
}

static void a_sealed_batch_keeps_its_key_and_content(void **state) {
    ds_batches *b = fresh(state);
    add(b, 1, 5);
    ds_batches_release(b, 1);
    char key[DS_RANDOM_KEY_SIZE];
    strcpy(key, ds_batches_oldest_due(b)->key);
    add(b, 6, 5);
    ds_batches_release(b, 2);
    assert_string_equal(ds_batches_oldest_due(b)->key, key);
    assert_int_equal(ds_batches_oldest_due(b)->sample_count, 5);
    assert_int_equal(strlen(key), 32);
    assert_int_equal(strspn(key, "0123456789abcdef"), 32);
    ds_batches_remove_oldest(b);
    assert_string_not_equal(ds_batches_oldest_due(b)->key, key);
}

static void a_full_batch_is_sealed_but_not_due(void **state) {
    ds_batches *b = fresh(state);
    add(b, 1, DS_BATCH_SAMPLES + 1);
    assert_int_equal(b->sealed, 1);
    assert_true(ds_batches_open_any(b));
    assert_null(ds_batches_oldest_due(b));
    assert_int_equal(ds_batches_release(b, 1), 2);
    assert_int_equal(ds_batches_oldest_due(b)->sample_count, DS_BATCH_SAMPLES);
}

static void the_newest_is_dropped_at_the_bound(void **state) {
    ds_batches *b = fresh(state);
    add(b, 1, (uint64_t)DS_BATCHES * DS_BATCH_SAMPLES);
    assert_false(ds_batches_add(b, 7));
    assert_int_equal(ds_batches_rows(b), DS_BATCHES * DS_BATCH_SAMPLES);
    /* 63 are sealed; the open one can't be, since its number was returned */
    assert_int_equal(ds_batches_release(b, 1), DS_BATCHES);
    assert_int_equal(b->sealed, DS_BATCHES - 1);
    ds_batches_remove_oldest(b);
    assert_int_equal(ds_batches_release(b, 2), DS_BATCHES);
    assert_true(ds_batches_add(b, 7));
    ds_batches_clear(b);
}

static void rows_of_job_queues_are_sent_with_the_samples(void **state) {
    ds_batches *b = fresh(state);
    add(b, 1, 2);
    assert_true(ds_batches_add_row(b, "one\r\n", 5));
    assert_true(ds_batches_add_row(b, "two\r\n", 5));
    ds_batches_release(b, 1);
    const ds_batch *batch = ds_batches_oldest_due(b);
    assert_int_equal(ds_batch_rows(batch), 4);
    assert_int_equal(batch->text_length, 10);
    assert_memory_equal(batch->text, "one\r\ntwo\r\n", 10);
}

static void text_is_bounded_too(void **state) {
    ds_batches *b = fresh(state);
    char row[400];
    memset(row, 'x', sizeof row);
    size_t added = 0;
    while (ds_batches_add_row(b, row, sizeof row)) added++;
    assert_int_equal(added, (size_t)DS_BATCHES * (DS_BATCH_TEXT / sizeof row));
    ds_batches_clear(b);
}

static void a_batch_expires_five_minutes_after_it_was_due(void **state) {
    ds_batches *b = fresh(state);
    add(b, 1, 1);
    ds_batches_release(b, 1000);
    const ds_batch *batch = ds_batches_oldest_due(b);
    assert_false(ds_batch_expired(batch, 1000 + 300000));
    assert_true(ds_batch_expired(batch, 1000 + 300001));
    ds_batches_release(b, 200000); /* being due again changes nothing */
    assert_true(ds_batch_expired(batch, 1000 + 300001));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_due_before_it_is_released),
        cmocka_unit_test(batches_leave_in_the_order_in_which_they_came),
        cmocka_unit_test(a_sealed_batch_keeps_its_key_and_content),
        cmocka_unit_test(a_full_batch_is_sealed_but_not_due),
        cmocka_unit_test(the_newest_is_dropped_at_the_bound),
        cmocka_unit_test(rows_of_job_queues_are_sent_with_the_samples),
        cmocka_unit_test(text_is_bounded_too),
        cmocka_unit_test(a_batch_expires_five_minutes_after_it_was_due),
    };
    return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
