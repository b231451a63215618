/* xoshiro256**. One stream drives requests and the platform; what only changes the agents' reports
 * has another, so that the same seed gives the same requests with and without it. */
#ifndef POLICY_RANDOM_H
#define POLICY_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t s[4];
};
extern struct random main_random, scenario_random;

void random_seed(struct random *random, uint64_t seed);

static inline uint64_t random_rotate(uint64_t x, int k) { return x << k | x >> (64 - k); }

static inline uint64_t random_bits(struct random *random) {
    uint64_t *s = random->s, result = random_rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = random_rotate(s[3], 45);
    return result;
}

/* [0, 1) */
static inline double random_uniform(struct random *random) {
    return (double)(random_bits(random) >> 11) * (1.0 / 9007199254740992.0);
}

static inline int random_below(struct random *random, int n) {
    return (int)(((random_bits(random) >> 32) * (uint64_t)n) >> 32);
}

/* The value below which a standard normal variable falls with probability p. */
double normal_quantile(double p);

#endif
