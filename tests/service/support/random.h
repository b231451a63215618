/* Numbers that look random, the same in each run: what a search that fails found is found again. */
#ifndef RANDOM_NUMBERS_H
#define RANDOM_NUMBERS_H

#include <stdint.h>

/* xorshift64* of G. Marsaglia and S. Vigna; *state is not 0. */
static inline uint64_t random_next(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1DULL;
}

static inline uint64_t random_below(uint64_t *state, uint64_t limit) {
    return (random_next(state) >> 16) % limit;
}

#endif
