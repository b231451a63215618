/* What methods may know of a run: the agents' reports, pooled by second, and the formation. The
 * series called truth_ are the platform's own and without a lag: only peers that scale by what
 * their proxy or their cluster measures use them, and are flattered by that. */
#ifndef POLICY_SEEN_H
#define POLICY_SEEN_H

#include <stdbool.h>

enum { SEEN_RING = 8192, SEEN_BUCKETS = 40, MOST_DYNOS = 200 };

/* A second of one dyno. */
struct row {
    int requests;    /* that began */
    int slow;        /* of these, that waited more than 100 ms */
    int arrived;     /* by their stamp, in this second, and begun by the time of the report */
    double wait_sum; /* seconds */
    double busy;     /* slots at work */
    int queued;
    int histogram[SEEN_BUCKETS];
};

/* A span of seconds of all dynos that have reported it. */
struct window {
    double requests, slow, wait_sum;
    double histogram[SEEN_BUCKETS];
};

extern int seen_up[SEEN_RING], seen_ordered[SEEN_RING]; /* the formation, by second */
extern int truth_busy[SEEN_RING], truth_in_flight[SEEN_RING], truth_arrivals[SEEN_RING];
extern int seen_last_up, seen_last_down; /* when the platform was last scaled */
extern int seen_last_report, seen_release;
extern int seen_boot_count;

int wait_bucket_of(double wait_s);
double wait_bucket_limit(int bucket); /* seconds */

/* A row of a report that has arrived. */
void seen_report(int now, int second, const struct row *row);
void seen_boot(double seconds);
double seen_boot_mean(void); /* of the last 16, and of two usual ones of 25 s */
void seen_formation(int second, int ordered, int up);
void seen_forget(void); /* the service lost what it had received */

struct window seen_window(int from, int to);
double window_quantile(const struct window *window, double q);
double ring_mean(const int *ring, int from, int to);

#endif
