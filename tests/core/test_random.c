/* Random numbers, from the system and without it. */
#include "support/suite.h"

#include <string.h>

#include "random.h"
#include "support/false_clock.h"
#include "support/faults.h"

enum { KEYS = 1000 };

static void keys_are_32_digits_and_differ(void **state) {
    (void)state;
    static char keys[KEYS][DS_RANDOM_KEY_SIZE];
    for (int i = 0; i < KEYS; i++) {
        ds_random_key(keys[i]);
        assert_int_equal(strspn(keys[i], "0123456789abcdef"), 32);
        assert_int_equal(strlen(keys[i]), 32);
        for (int j = 0; j < i; j++) assert_string_not_equal(keys[i], keys[j]);
    }
}

static void without_the_system_s_random_numbers_keys_differ_by_time(void **state) {
    (void)state;
    faults_refuse_entropy(true);
    uint64_t first = ds_random();
    false_clock_set_wall(NOW_NS + 1);
    assert_true(ds_random() != first);
    faults_refuse_entropy(false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_32_digits_and_differ),
        cmocka_unit_test(without_the_system_s_random_numbers_keys_differ_by_time),
    };
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
