/*
 * What the past says about a dyno: how many requests it works on at once, how long, how much that
 * varies, and whether the router knows which dynos are free. The queue whose waits are most like
 * those that were measured, at all loads that were. Pure.
 */
#ifndef CAPACITY_FIT_H
#define CAPACITY_FIT_H

#include <stdbool.h>

#include "replay/history.h"
#include "replay/queue.h"

struct capacity {
    int slots;         /* of a dyno */
    bool shared;       /* all dynos are about one queue: the router knows which are free */
    bool busy_known;   /* agents report how long requests are worked on */
    double service_s;  /* mean; with busy time: of all the minutes */
    double scale;      /* with busy time: so many times that is a slot taken */
    double smooth;     /* see queue.h */
    double clustering; /* slow requests come in clusters: variance of their count / their count */
    bool any;          /* false: no request was measured with a number of dynos */
    bool learned;      /* enough requests waited to tell at what load they do */
    double highest;    /* requests a second of one dyno, the highest of which enough was measured */
    double doubt;      /* share by which the load that a dyno takes may be off */
};

void capacity_fit(struct capacity *capacity, const struct history *history);

/* How long requests of a minute are worked on, in slots; smoothed over its neighbours. */
double capacity_service(const struct capacity *capacity, const struct history *history, int minute);

#endif
