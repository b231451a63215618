#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* clock_gettime under -std=c11 */
#endif
#include "clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef __APPLE__
#include <sys/sysctl.h>
#include <sys/types.h>
#endif

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

#if defined(__linux__)
int64_t ds_clock_process_age_ms(void) {
    enum { BEGAN_AFTER_NAME = 20 }; /* fields after the name, which may hold blanks: proc(5) */
    char line[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    if (!file) return -1;
    size_t length = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[length] = '\0';

    const char *at = strrchr(line, ')');
    for (int i = 0; at && i < BEGAN_AFTER_NAME; i++) at = strchr(at + 1, ' ');
    unsigned long long ticks;
    struct timespec up;
    if (!at || sscanf(at, " %llu", &ticks) != 1) return -1;
    if (clock_gettime(CLOCK_BOOTTIME, &up) != 0) return -1;
    int64_t began_ms = (int64_t)(ticks * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK));
    int64_t age_ms = (int64_t)up.tv_sec * 1000 + up.tv_nsec / 1000000 - began_ms;
    return age_ms > 0 ? age_ms : 0;
}
#elif defined(__APPLE__)
int64_t ds_clock_process_age_ms(void) {
    int name[] = {CTL_KERN, KERN_PROC, KERN_PROC_PID, getpid()};
    struct kinfo_proc process;
    size_t size = sizeof process;
    if (sysctl(name, 4, &process, &size, NULL, 0) != 0 || size == 0) return -1;
    const struct timeval *began = &process.kp_proc.p_starttime;
    int64_t age_ms =
        ds_clock_wall_ns() / 1000000 - ((int64_t)began->tv_sec * 1000 + began->tv_usec / 1000);
    return age_ms > 0 ? age_ms : 0;
}
#else
int64_t ds_clock_process_age_ms(void) { return -1; }
#endif
