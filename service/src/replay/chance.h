/*
 * Chance that is the same each time: numbers that follow from a moment and from what they are for.
 * Pure.
 */
#ifndef CHANCE_H
#define CHANCE_H

#include <stdint.h>

double chance_uniform(int64_t moment_s, uint64_t which); /* above 0, below 1 */
double chance_normal(int64_t moment_s, uint64_t which);  /* takes `which` and the one after it */

/* How many come where `mean` do on average; how many of `count` remain where each does with the
 * chance `share`. Whole numbers. */
double chance_poisson(double mean, int64_t moment_s, uint64_t which);
double chance_binomial(double count, double share, int64_t moment_s, uint64_t which);

#endif
