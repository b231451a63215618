#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
/* The real clocks, which other tests replace: under other names, to exist beside the false one. */
#include "support/suite.h"

#include <sys/wait.h>
#include <unistd.h>

#define ds_clock_wall_ns        real_wall_ns
#define ds_clock_monotonic_ms   real_monotonic_ms
#define ds_clock_process_age_ms real_process_age_ms
#include "../../core/src/clock.c"

static void the_wall_clock_gives_ns_since_the_epoch(void **state) {
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

/* A child is younger than its parent, and ages from its fork. */
static void the_age_of_a_process_is_the_time_since_its_start(void **state) {
    (void)state;
    int64_t before_ms = real_monotonic_ms();
    pid_t child = fork();
    if (child == 0) {
        int64_t age_ms = real_process_age_ms();
        _exit(age_ms >= 0 && age_ms <= real_monotonic_ms() - before_ms + 20 ? 0 : 1);
    }
    int status = 1;
    assert_true(waitpid(child, &status, 0) == child);
    assert_int_equal(status, 0);
    int64_t passed_ms = real_monotonic_ms() - before_ms;
    assert_true(real_process_age_ms() >= passed_ms - 20); /* the system counts in ticks */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wall_clock_gives_ns_since_the_epoch),
        cmocka_unit_test(the_monotonic_clock_does_not_step_back),
        cmocka_unit_test(the_age_of_a_process_is_the_time_since_its_start),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
