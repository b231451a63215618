#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* clock_gettime under -std=c11 */
#endif
#include "clock.h"

#include <time.h>

int64_t ds_clock_wall_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t); /* fails only for an unknown clock */
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t ds_clock_monotonic_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
