/*
 * The dynos of a trial: those that are up, in groups whose queues are alike, and those that start.
 * Pure.
 */
#ifndef FLEET_H
#define FLEET_H

#include "replay/capacity_fit.h"
#include "replay/waits.h"

enum { FLEET_GROUPS = 12, FLEET_STARTS = 64, FLEET_QUEUES = 16 };

struct fleet {
    const struct capacity *capacity;
    int ordered, up;
    struct {
        int dynos;
        double number; /* requests in the queue of each; under a shared one: of a dyno's part */
    } groups[FLEET_GROUPS]; /* the oldest first */
    int group_count;
    struct {
        int dynos;
        double ready_s;
    } starts[FLEET_STARTS];
    int start_count;
    double held; /* requests that wait for the first dyno to be up */
    struct {
        int slots;
        struct queue queue;
    } queues[FLEET_QUEUES]; /* that were made, by the slots that one has */
};

void fleet_begin(struct fleet *fleet, const struct capacity *capacity, int dynos);
/* Orders an absolute number; dynos that are added are up at ready_s. */
void fleet_order(struct fleet *fleet, int dynos, double ready_s);
/* Those that are ready come up. */
void fleet_pass(struct fleet *fleet, double now_s);
/* All dynos begin anew: what they work on is ended, and what comes waits for the first of them. */
void fleet_restart(struct fleet *fleet, double ready_s);

/* The seconds until `now_s`: dynos come up, requests come at `rate` and are added to *waits. Gives
 * how many began. */
double fleet_run(struct fleet *fleet, double now_s, double seconds, double rate, double service_s,
                 struct waits *waits);

#endif
