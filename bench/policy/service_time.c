#include "service_time.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "options.h"
#include "random.h"

enum { TABLE = 65536 };
static const double LONGEST_S = 25;

static double services[TABLE], exponentials[TABLE];

static double clamp(double x) { return fmin(fmax(x, 1e-6), 1 - 1e-6); }

/* Most are quick, around 80 ms; the others take about a second. */
static double bimodal_quantile(double p, double mean) {
    double slow_share = option_number("slowshare", .08), quick = .08, slow = 1, v = log(1.25);
    bool is_quick = p < 1 - slow_share;
    double q = is_quick ? p / (1 - slow_share) : (p - (1 - slow_share)) / slow_share;
    double middle = is_quick ? quick : slow;
    double x = exp(log(middle) - v / 2 + sqrt(v) * normal_quantile(clamp(q)));
    return x * mean / (quick * (1 - slow_share) + slow * slow_share);
}

static double quantile(const char *kind, double p, double mean, double cv) {
    double v = log(1 + cv * cv);
    if (strcmp(kind, "exp") == 0) return -mean * log(1 - p);
    if (strcmp(kind, "bimodal") == 0) return bimodal_quantile(p, mean);
    return exp(log(mean) - v / 2 + sqrt(v) * normal_quantile(p));
}

void service_time_begin(void) {
    double mean = option_number("mean", .15), cv = option_number("cv", 1.5), sum = 0;
    for (int i = 0; i < TABLE; i++) {
        services[i] = fmin(quantile(option("svc", "logn"), (i + .5) / TABLE, mean, cv), LONGEST_S);
        sum += services[i];
        exponentials[i] = -log(1 - (i + random_uniform(&main_random)) / TABLE * .9999999);
    }
    for (int i = 0; i < TABLE; i++) services[i] *= mean / (sum / TABLE);
}

double service_time_draw(void) { return services[random_bits(&main_random) & (TABLE - 1)]; }
double exponential_draw(void) { return exponentials[random_bits(&main_random) & (TABLE - 1)]; }
