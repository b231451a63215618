#include "traffic.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "random.h"

enum { DAY_S = 86400, MOST_COUNTS = 1 << 20, FIVE_MINUTES = 300 };

double *traffic_rate;
int traffic_seconds;

struct counts {
    double *values;
    int count, step_s;
};

/* Columns: "minute" or "second", and "requests" in that step. */
static bool read_counts(struct counts *counts, const char *name) {
    FILE *file = fopen(name, "r");
    char line[256];
    bool ok = file && fgets(line, sizeof line, file);
    int unit_s = ok && strncmp(line, "minute", 6) == 0 ? 60 : 1;
    long time, first = 0, second = 1;
    counts->values = calloc(MOST_COUNTS, sizeof *counts->values);
    counts->count = 0;
    while (ok && counts->values && counts->count < MOST_COUNTS && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%ld,%lf", &time, &counts->values[counts->count]) != 2) continue;
        if (counts->count == 0) first = time;
        if (counts->count == 1) second = time;
        counts->count++;
    }
    if (file) fclose(file);
    counts->step_s = (int)(second - first) * unit_s;
    return ok && counts->count > 1;
}

/* Steps of a minute and more are joined by straight lines, shorter ones are constant. */
static double rate_at(const struct counts *counts, double second) {
    double position = second / counts->step_s;
    int last = counts->count - 1;
    if (counts->step_s < 60) {
        int i = (int)position;
        return counts->values[i > last ? last : i] / counts->step_s;
    }
    position = fmin(fmax(position - .5, 0), last);
    int i = (int)position < last ? (int)position : last - 1;
    double part = position - i;
    return (counts->values[i] * (1 - part) + counts->values[i + 1] * part) / counts->step_s;
}

static bool load_file(const char *name, int from_s) {
    struct counts counts;
    if (!read_counts(&counts, name)) {
        fprintf(stderr,
                "%s can't be read: it must be CSV with the columns minute or second, and "
                "requests\n",
                name);
        free(counts.values);
        return false;
    }
    for (int i = 1; i < counts.count && option_int("fill", 0); i++)
        if (counts.values[i] <= 0) counts.values[i] = counts.values[i - 1];
    for (int i = 0; i < traffic_seconds; i++) traffic_rate[i] = rate_at(&counts, from_s + i);
    free(counts.values);
    return true;
}

/* Scales the run so that its largest mean of five minutes is `peak` requests a second. */
static void scale_to_peak(double peak) {
    double sum = 0, largest = 0;
    for (int i = 0; i < traffic_seconds; i++) {
        sum += traffic_rate[i];
        if (i >= FIVE_MINUTES) sum -= traffic_rate[i - FIVE_MINUTES];
        if (i >= FIVE_MINUTES - 1 && sum / FIVE_MINUTES > largest) largest = sum / FIVE_MINUTES;
    }
    for (int i = 0; i < traffic_seconds && largest > 0; i++) traffic_rate[i] *= peak / largest;
}

/* Lognormal noise that lasts about 20 s. */
static void add_noise(double size) {
    double z = 0;
    for (int i = 0; i < traffic_seconds; i++) {
        double p = fmin(fmax(i % 5 ? .5 : random_uniform(&main_random), 1e-6), 1 - 1e-6);
        if (i % 5 == 0) z = .8 * z + .6 * normal_quantile(p);
        traffic_rate[i] *= exp(size * z - size * size / 2);
    }
}

bool traffic_load(void) {
    const char *name = option("trace", "daily");
    traffic_seconds = option_int("len", DAY_S);
    traffic_rate = calloc((size_t)traffic_seconds + 1, sizeof *traffic_rate);
    if (!traffic_rate) return false;
    bool is_file = strchr(name, '/') || strchr(name, '.');
    bool ok = is_file ? load_file(name, option_int("from", 0))
                      : traffic_make(name, option_int("from", 0));
    if (!ok && !is_file) fprintf(stderr, "no trace is called %s\n", name);
    if (!ok) return false;
    scale_to_peak(option_number("peak", 200));
    if (option_number("noise", 0) > 0) add_noise(option_number("noise", 0));
    return true;
}

double traffic_maximum(int from, int to) {
    double largest = 0;
    for (int i = from; i < to && i < traffic_seconds; i++)
        if (traffic_rate[i] > largest) largest = traffic_rate[i];
    return largest;
}
