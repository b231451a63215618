#include "replay/chance.h"

#include <math.h>
#include <stdbool.h>

enum { MANY = 40 }; /* for larger means, a normal distribution is accurate enough */

double chance_uniform(int64_t moment_s, uint64_t which) {
    uint64_t x = (uint64_t)moment_s * 0x9E3779B97F4A7C15u + which * 0xD1B54A32D192ED03u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    x ^= x >> 31;
    return ((double)(x >> 11) + .5) / 9007199254740992.;
}

double chance_normal(int64_t moment_s, uint64_t which) {
    double angle = 6.283185307179586 * chance_uniform(moment_s, which + 1);
    return sqrt(-2 * log(chance_uniform(moment_s, which))) * cos(angle);
}

static double rounded(double x, double most) {
    x = floor(x + .5);
    return x < 0 ? 0 : x > most ? most : x;
}

double chance_poisson(double mean, int64_t moment_s, uint64_t which) {
    if (mean < 1e-9) return 0;
    if (mean > MANY) return rounded(mean + sqrt(mean) * chance_normal(moment_s, which), HUGE_VAL);
    double u = chance_uniform(moment_s, which), term = exp(-mean), sum = term;
    int count = 0;
    while (u > sum && count < 5 * MANY) {
        term *= mean / ++count;
        sum += term;
    }
    return count;
}

double chance_binomial(double count, double share, int64_t moment_s, uint64_t which) {
    if (count < .5 || share <= 0) return 0;
    if (share >= 1) return count;
    if (count * share * (1 - share) > MANY)
        return rounded(count * share +
                           sqrt(count * share * (1 - share)) * chance_normal(moment_s, which),
                       count);
    /* Adds up the distribution itself, from its first term on. */
    bool mirrored = share > .5;
    double p = mirrored ? 1 - share : share, n = floor(count + .5);
    double u = chance_uniform(moment_s, which), term = pow(1 - p, n), sum = term, k = 0;
    while (u > sum && k < n) {
        term *= (n - k) / (k + 1) * p / (1 - p);
        sum += term;
        k++;
    }
    return mirrored ? n - k : k;
}
