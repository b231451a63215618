#include "seen.h"

#include <string.h>

enum { LONG_AGO = -100000, BOOTS = 16 };
static const double USUAL_BOOT_S = 25, LONGEST_WAIT_S = 200;

int seen_up[SEEN_RING], seen_ordered[SEEN_RING];
int truth_busy[SEEN_RING], truth_in_flight[SEEN_RING], truth_arrivals[SEEN_RING];
int seen_last_up = LONG_AGO, seen_last_down = LONG_AGO;
int seen_last_report = LONG_AGO, seen_release = LONG_AGO, seen_boot_count;
static double boots[BOOTS];

static struct pooled {
    int second, dynos, requests, slow;
    double wait_sum;
    int histogram[SEEN_BUCKETS];
} seconds[SEEN_RING];

static const double limits[SEEN_BUCKETS - 1] = {
    .001, .002, .003, .005, .007, .010, .015, .020, .025, .03, .04, .05, .06,
    .07,  .08,  .1,   .12,  .15,  .2,   .25,  .3,   .4,   .5,  .7,  1,   1.4,
    2,    2.8,  4,    5.6,  8,    11,   15,   20,   25,   30,  40,  60,  90};

int wait_bucket_of(double wait_s) {
    int low = 0, high = SEEN_BUCKETS - 1;
    while (low < high) {
        int middle = (low + high) / 2;
        if (wait_s > limits[middle]) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* A percentile in the bucket that ends at 100 ms counts as having reached 100 ms: the limit is
 * given as a little more than it is. */
double wait_bucket_limit(int bucket) {
    return bucket < SEEN_BUCKETS - 1 ? limits[bucket] * (1 + 1e-9) : LONGEST_WAIT_S;
}

static struct pooled *pooled_second(int second) {
    struct pooled *pooled = &seconds[(second + SEEN_RING) % SEEN_RING];
    if (pooled->second != second + 1) {
        memset(pooled, 0, sizeof *pooled);
        pooled->second = second + 1; /* 0: never used */
    }
    return pooled;
}

void seen_report(int now, int second, const struct row *row) {
    if (now - second > SEEN_RING - 100) return;
    struct pooled *pooled = pooled_second(second);
    pooled->dynos++;
    pooled->requests += row->requests;
    pooled->slow += row->slow;
    pooled->wait_sum += row->wait_sum;
    for (int i = 0; i < SEEN_BUCKETS; i++) pooled->histogram[i] += row->histogram[i];
    seen_last_report = now;
}

void seen_forget(void) { memset(seconds, 0, sizeof seconds); }

void seen_boot(double seconds_of_boot) { boots[seen_boot_count++ % BOOTS] = seconds_of_boot; }

double seen_boot_mean(void) {
    int count = seen_boot_count < BOOTS ? seen_boot_count : BOOTS;
    double sum = 2 * USUAL_BOOT_S;
    for (int i = 0; i < count; i++) sum += boots[i];
    return sum / (count + 2);
}

void seen_formation(int second, int ordered, int up) {
    seen_ordered[second % SEEN_RING] = ordered;
    seen_up[second % SEEN_RING] = up;
}

struct window seen_window(int from, int to) {
    struct window window = {0};
    for (int t = from < 0 ? 0 : from; t < to; t++) {
        const struct pooled *pooled = pooled_second(t);
        if (pooled->dynos == 0) continue;
        window.requests += pooled->requests;
        window.slow += pooled->slow;
        window.wait_sum += pooled->wait_sum;
        for (int i = 0; i < SEEN_BUCKETS; i++) window.histogram[i] += pooled->histogram[i];
    }
    return window;
}

double window_quantile(const struct window *window, double q) {
    double total = 0, sum = 0;
    for (int i = 0; i < SEEN_BUCKETS; i++) total += window->histogram[i];
    if (total <= 0) return 0;
    for (int i = 0; i < SEEN_BUCKETS; i++) {
        sum += window->histogram[i];
        if (sum >= q * total) return wait_bucket_limit(i);
    }
    return LONGEST_WAIT_S;
}

double ring_mean(const int *ring, int from, int to) {
    double sum = 0;
    int count = 0;
    for (int i = from < 0 ? 0 : from; i < to; i++, count++) sum += ring[i % SEEN_RING];
    return count ? sum / count : 0;
}
