#include "decide/automatic/number.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static const double LOG_2_HIGH = 6.93147180369123816490e-01; /* the last 32 bits are 0 */
static const double LOG_2_LOW = 1.90821492927058770002e-10;
static const double ROOT_OF_2 = 1.41421356237309504880;
static const double FARTHEST = 700;

static double power_of_2(int exponent) {
    uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return power;
}

/* x = k log 2 + r with |r| <= log 2 / 2; exp(r) is a series, evaluated by Horner's rule. */
double number_exp(double x) {
    if (x < -FARTHEST) return 0;
    if (x > FARTHEST) x = FARTHEST;
    int k = (int)(x / (LOG_2_HIGH + LOG_2_LOW) + (x < 0 ? -.5 : .5));
    double r = x - k * LOG_2_HIGH;
    r = r - k * LOG_2_LOW;
    double sum = 1;
    for (int i = 14; i > 0; i--) sum = 1 + r / i * sum;
    return sum * power_of_2(k);
}

/* x = 2^k m with m near 1; log m = 2 artanh((m - 1) / (m + 1)). */
double number_log(double x) {
    if (!(x >= DBL_MIN)) return -FARTHEST;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int k = (int)(bits >> 52) - 1023;
    bits = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1023) << 52;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > ROOT_OF_2) {
        m = m / 2;
        k++;
    }
    double f = (m - 1) / (m + 1), square = f * f, sum = 0;
    for (int i = 25; i > 0; i -= 2) sum = sum * square + 1. / i;
    return k * LOG_2_HIGH + (2 * f * sum + k * LOG_2_LOW);
}

double number_power(double x, double y) { return x > 0 ? number_exp(y * number_log(x)) : 0; }
double number_sqrt(double x) { return x > 0 ? sqrt(x) : 0; }

double number_within(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

double number_larger(double one, double other) { return one > other ? one : other; }
double number_smaller(double one, double other) { return one < other ? one : other; }
