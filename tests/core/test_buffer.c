/* The buffer: one thread first, then many. */
#include "support/suite.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"

static ds_buffer buffer;

static int empty_buffer(void **state) {
    (void)state;
    memset((void *)&buffer, 0, sizeof buffer);
    return 0;
}

static size_t drain_all(uint64_t *words) {
    size_t position = 0, total = 0, n;
    while ((n = ds_buffer_drain(&buffer, &position, words + total, 100)) > 0) total += n;
    return total;
}

static void fill(void) {
    for (uint64_t i = 1; i <= DS_BUFFER_SLOTS; i++) assert_true(ds_buffer_push(&buffer, i));
}

static void gives_words_back_in_order(void **state) {
    (void)state;
    static uint64_t words[DS_BUFFER_SLOTS];
    for (uint64_t round = 0; round < 5; round++) {
        for (uint64_t i = 1; i <= 1000; i++) assert_true(ds_buffer_push(&buffer, round * 1000 + i));
        assert_int_equal(ds_buffer_count(&buffer), 1000);
        assert_int_equal(drain_all(words), 1000);
        for (uint64_t i = 1; i <= 1000; i++) assert_int_equal(words[i - 1], round * 1000 + i);
        assert_int_equal(ds_buffer_count(&buffer), 0);
    }
}

/* The same from ever deeper in the stack, across any boundary of addresses. */
static void push_at_depth(uint64_t word, int depth) {
    volatile char frame[8 * 1024];
    frame[0] = (char)depth;
    if (depth > 0) push_at_depth(word, depth - 1);
    else assert_true(ds_buffer_push(&buffer, word));
    frame[1] = frame[0];
}

static void keeps_a_thread_s_order_at_any_depth_of_its_stack(void **state) {
    (void)state;
    static uint64_t words[DS_BUFFER_SLOTS];
    for (uint64_t i = 1; i <= 1000; i++) push_at_depth(i, (int)(i % 20));
    assert_int_equal(drain_all(words), 1000);
    for (uint64_t i = 1; i <= 1000; i++) assert_int_equal(words[i - 1], i);
}

static void a_full_buffer_refuses_the_newest_until_a_drain(void **state) {
    (void)state;
    static uint64_t words[DS_BUFFER_SLOTS];
    fill();
    for (int i = 0; i < 10; i++) assert_false(ds_buffer_push(&buffer, 99999));
    assert_int_equal(drain_all(words), DS_BUFFER_SLOTS);
    for (uint64_t i = 0; i < DS_BUFFER_SLOTS; i++) assert_int_equal(words[i], i + 1);
    fill();
    assert_false(ds_buffer_push(&buffer, 99999));
}

static void one_free_slot_anywhere_is_found(void **state) {
    (void)state;
    for (size_t free_slot = 0; free_slot < DS_BUFFER_SLOTS; free_slot += 1021) {
        empty_buffer(NULL);
        fill();
        atomic_store(&buffer.slots[free_slot], 0);
        assert_true(ds_buffer_push(&buffer, 4711));
        assert_int_equal(atomic_load(&buffer.slots[free_slot]), 4711);
        assert_false(ds_buffer_push(&buffer, 4712));
    }
}

static void a_wrong_hint_loses_nothing(void **state) {
    (void)state;
    static uint64_t words[DS_BUFFER_SLOTS];
    const size_t hints[] = {0, 1, 500, DS_BUFFER_SLOTS - 1, SIZE_MAX, SIZE_MAX - 3};
    for (uint64_t i = 1; i <= 600; i++) {
        atomic_store(&buffer.next, hints[i % (sizeof hints / sizeof *hints)]);
        assert_true(ds_buffer_push(&buffer, i));
    }
    assert_int_equal(drain_all(words), 600);
    uint64_t sum = 0;
    for (int i = 0; i < 600; i++) sum += words[i];
    assert_int_equal(sum, 600 * 601 / 2);
}

/* ---- Many producers ----------------------------------------------------------------------- */

enum { PRODUCERS = 16, PUSHES = 50000 };

static _Atomic(uint64_t) refused[PRODUCERS];
static _Atomic(int) running;

/* A word holds its producer and its number; its upper half repeats the lower, to show tearing. */
static uint64_t word_of(uint32_t producer, uint32_t i) {
    uint32_t half = producer << 28 | (i + 1);
    return (uint64_t)~half << 32 | half;
}

static void *produce(void *context) {
    uint32_t producer = *(uint32_t *)context;
    for (uint32_t i = 0; i < PUSHES; i++) {
        if (ds_buffer_push(&buffer, word_of(producer, i))) continue;
        atomic_fetch_add(&refused[producer], 1);
        sched_yield(); /* lets the drain run: most words should get in */
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static void many_producers_lose_duplicate_and_tear_nothing(void **state) {
    (void)state;
    static uint8_t seen[PRODUCERS][PUSHES + 1];
    static uint64_t words[DS_BUFFER_SLOTS + 100];
    uint32_t numbers[PRODUCERS];
    pthread_t threads[PRODUCERS];
    uint64_t total = 0, lost = 0;
    memset(seen, 0, sizeof seen);
    atomic_store(&running, PRODUCERS);
    for (uint32_t p = 0; p < PRODUCERS; p++) {
        numbers[p] = p;
        atomic_store(&refused[p], 0);
        assert_int_equal(pthread_create(&threads[p], NULL, produce, &numbers[p]), 0);
    }
    for (bool last = false; !last;) {
        last = atomic_load(&running) == 0;
        size_t position = 0, n;
        while ((n = ds_buffer_drain(&buffer, &position, words, 100)) > 0) {
            total += n;
            for (size_t i = 0; i < n; i++) {
                uint32_t half = (uint32_t)words[i];
                assert_int_equal(~(uint32_t)(words[i] >> 32), half);
                assert_int_equal(seen[half >> 28][half & 0xFFFFFFF]++, 0);
            }
        }
    }
    for (int p = 0; p < PRODUCERS; p++) {
        pthread_join(threads[p], NULL);
        lost += atomic_load(&refused[p]);
    }
    assert_int_equal(total + lost, (uint64_t)PRODUCERS * PUSHES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(gives_words_back_in_order, empty_buffer),
        cmocka_unit_test_setup(keeps_a_thread_s_order_at_any_depth_of_its_stack, empty_buffer),
        cmocka_unit_test_setup(a_full_buffer_refuses_the_newest_until_a_drain, empty_buffer),
        cmocka_unit_test_setup(one_free_slot_anywhere_is_found, empty_buffer),
        cmocka_unit_test_setup(a_wrong_hint_loses_nothing, empty_buffer),
        cmocka_unit_test_setup(many_producers_lose_duplicate_and_tear_nothing, empty_buffer),
    };
    return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
