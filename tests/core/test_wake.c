/*
 * The event count of systems without futexes, compiled here under other names: in a signal handler
 * it waits for no lock.
 */
#define DS_WAKE_PORTABLE
#define ds_wake                 portable_wake
#define ds_wake_init            portable_wake_init
#define ds_wake_count           portable_wake_count
#define ds_wake_wait            portable_wake_wait
#define ds_wake_post            portable_wake_post
#define ds_wake_post_in_handler portable_wake_post_in_handler
#define ds_wake_wait_in_handler portable_wake_wait_in_handler
#define nanosleep               slow_nanosleep
#include "../../core/src/wake.c"

#include "support/suite.h"

static void a_post_in_a_handler_waits_for_no_lock_that_its_thread_holds(void **state) {
    (void)state;
    portable_wake wake;
    portable_wake_init(&wake);
    pthread_mutex_lock(&wake.mutex); /* as inside a post that the signal interrupted */
    portable_wake_post_in_handler(&wake);
    assert_int_equal(portable_wake_count(&wake), 1);
    portable_wake_wait_in_handler(&wake, 1, 10);
    portable_wake_wait_in_handler(&wake, 0, 60000); /* has been posted: returns at once */
    pthread_mutex_unlock(&wake.mutex);
}

/* As on a busy machine. */
static int naps;

int slow_nanosleep(const struct timespec *asked, struct timespec *left) {
    const struct timespec longer = {.tv_nsec = 20 * 1000 * 1000};
    (void)asked, (void)left;
    naps++;
    return clock_nanosleep(CLOCK_MONOTONIC, 0, &longer, NULL);
}

static void a_wait_in_a_handler_ends_by_the_clock_however_long_naps_take(void **state) {
    (void)state;
    portable_wake wake;
    portable_wake_init(&wake);
    naps = 0;
    portable_wake_wait_in_handler(&wake, 0, 50);
    assert_in_range(naps, 1, 3);
}

static void *sleep_on(void *context) {
    portable_wake *wake = context;
    while (portable_wake_count(wake) == 0) portable_wake_wait(wake, 0, -1);
    return NULL;
}

static void a_post_wakes_who_sleeps_in_a_handler_too(void **state) {
    (void)state;
    for (int in_handler = 0; in_handler < 2; in_handler++) {
        portable_wake wake;
        pthread_t sleeper;
        portable_wake_init(&wake);
        assert_int_equal(pthread_create(&sleeper, NULL, sleep_on, &wake), 0);
        if (in_handler) portable_wake_post_in_handler(&wake);
        else portable_wake_post(&wake);
        pthread_join(sleeper, NULL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_post_in_a_handler_waits_for_no_lock_that_its_thread_holds),
        cmocka_unit_test(a_post_wakes_who_sleeps_in_a_handler_too),
        cmocka_unit_test(a_wait_in_a_handler_ends_by_the_clock_however_long_naps_take),
    };
    return cmocka_run_group_tests_name("wake", tests, NULL, NULL);
}
