/*
 * Shared by the benchmarks in C: interleaved rounds, printed as they are measured. A line is
 *
 *   NAME <tab> VALUE
 *
 * and each round prints each name once; bench.py computes medians and spreads.
 */
#ifndef BENCH_ROUNDS_H
#define BENCH_ROUNDS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline double seconds_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline void print_value(const char *name, double value) {
    printf("%s\t%.9g\n", name, value);
    fflush(stdout);
}

static inline int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the values. */
static inline double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, ascending);
    return values[count / 2];
}

static inline void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static inline long number_argument(int count, char **arguments, int index, long standard) {
    return count > index ? atol(arguments[index]) : standard;
}

#endif
