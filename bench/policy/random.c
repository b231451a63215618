#include "random.h"

#include <math.h>

struct random main_random, scenario_random;

void random_seed(struct random *random, uint64_t seed) {
    for (int i = 0; i < 4; i++) { /* splitmix64 */
        seed += 0x9E3779B97F4A7C15u;
        uint64_t x = seed;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
        random->s[i] = x ^ (x >> 31);
    }
}

/* By bisection of the distribution function: it is called some ten thousand times a run. */
double normal_quantile(double p) {
    double low = -9, high = 9;
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        if (.5 * erfc(-middle / sqrt(2)) < p) low = middle;
        else high = middle;
    }
    return (low + high) / 2;
}
