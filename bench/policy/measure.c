#include "measure.h"

#include <stdio.h>
#include <stdlib.h>

#include "options.h"
#include "stored.h"

static const double SLOW_S = .1, SLOW_SHARE = .05;
enum { WAITS = 20000, LONGEST_MS = 200 * 1000 };

static struct {
    long requests, slow, over_1_s, over_30_s, lost;
    long wait_count[WAITS]; /* of 10 ms each */
    int *minute_requests, *minute_slow, minutes, largest;
    double longest_wait, dyno_seconds;
} all;

void measure_begin(int seconds) {
    stored_begin(seconds);
    all.minutes = seconds / 60 + 1;
    all.minute_requests = calloc((size_t)all.minutes + 2, sizeof(int));
    all.minute_slow = calloc((size_t)all.minutes + 2, sizeof(int));
    if (!all.minute_requests || !all.minute_slow) abort();
}

void measure_request(double arrival, double wait, double response) {
    int minute = (int)(arrival / 60), bin = (int)(wait * 1000) / (LONGEST_MS / WAITS);
    stored_request(arrival, wait);
    all.requests++;
    all.minute_requests[minute]++;
    if (wait > SLOW_S) {
        all.minute_slow[minute]++;
        all.slow++;
    }
    all.over_1_s += wait > 1;
    all.over_30_s += response > 30;
    if (wait > all.longest_wait) all.longest_wait = wait;
    all.wait_count[bin < WAITS ? bin : WAITS - 1]++;
}

void measure_lost(int second, int requests) {
    all.lost += requests;
    all.minute_requests[second / 60] += requests;
    all.minute_slow[second / 60] += requests;
}

void measure_dyno_seconds(double seconds) { all.dyno_seconds += seconds; }

void measure_formation(int ordered) {
    if (ordered > all.largest) all.largest = ordered;
}

static double wait_quantile(double q) {
    double sum = 0;
    for (int i = 0; i < WAITS; i++) {
        sum += (double)all.wait_count[i];
        if (sum >= q * (double)all.requests) return (i + 1) * (LONGEST_MS / WAITS) / 1000.;
    }
    return all.longest_wait;
}

static int minutes_over(double share) {
    int count = 0;
    for (int m = 0; m < all.minutes; m++)
        count += all.minute_requests[m] > 0 && all.minute_slow[m] > share * all.minute_requests[m];
    return count;
}

void measure_print(int scalings) {
    printf("%s,%s,%d,%.2f,%d,%d,%d,%.3f,%.1f,%d,%ld,%ld,%ld,%ld,%.2f,%d\n", option("name", ""),
           option("tag", ""), option_int("seed", 1), all.dyno_seconds / 3600, minutes_over(-1),
           minutes_over(SLOW_SHARE), minutes_over(.5), wait_quantile(.99), all.longest_wait,
           scalings, all.over_1_s, all.over_30_s, all.lost, all.requests,
           all.requests ? 100. * (double)all.slow / (double)all.requests : 0, all.largest);
}
