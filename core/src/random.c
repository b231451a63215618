#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* getentropy */
#endif
#include "random.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#elif defined(__linux__)
#include <sys/syscall.h>
#endif

#include "clock.h"

/* Fills `buffer` and returns 0, else -1. */
static int fill(void *buffer, size_t size) {
#if defined(__GLIBC__) && __GLIBC__ == 2 && __GLIBC_MINOR__ < 25
    /* For builds with a glibc older than its getentropy; kernels before 3.17 refuse the call. */
    return syscall(SYS_getrandom, buffer, size, 0) == (long)size ? 0 : -1;
#else
    return getentropy(buffer, size);
#endif
}

uint64_t ds_random(void) {
    uint64_t value;
    if (fill(&value, sizeof value) == 0) return value;
    /* If a sandbox forbids the call: the time in ns and the process still make batches
     * different. */
    value = (uint64_t)ds_clock_wall_ns() ^ ((uint64_t)getpid() << 40) ^ (uint64_t)(uintptr_t)&value;
    value *= 0x9E3779B97F4A7C15U; /* Fibonacci hashing spreads the difference over all bits */
    return value ^ (value >> 29);
}

void ds_random_key(char key[DS_RANDOM_KEY_SIZE]) {
    snprintf(key, DS_RANDOM_KEY_SIZE, "%016" PRIx64 "%016" PRIx64, ds_random(), ds_random());
}
