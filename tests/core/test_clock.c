#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
/* The real clocks, which all other tests replace: under other names, to stand beside the false. */
#include "support/suite.h"

#define ds_clock_wall_ns      real_wall_ns
#define ds_clock_monotonic_ms real_monotonic_ms
#include "../../core/src/clock.c"

static void the_wall_clock_tells_ns_since_the_epoch(void **state) {
    (void)state;
    int64_t before = (int64_t)time(NULL), now_ns = real_wall_ns(), after = (int64_t)time(NULL);
    assert_in_range(now_ns / 1000000000, before, after + 1);
}

static void the_monotonic_clock_does_not_step_back(void **state) {
    (void)state;
    int64_t last = real_monotonic_ms();
    for (int i = 0; i < 100000; i++) {
        int64_t now = real_monotonic_ms();
        assert_true(now >= last);
        last = now;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wall_clock_tells_ns_since_the_epoch),
        cmocka_unit_test(the_monotonic_clock_does_not_step_back),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
