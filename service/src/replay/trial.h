/*
 * What rules would have done: a process's past by the minute, run again with other rules. The
 * service's own decide() decides, on queue times that the model of the queue (queue.h) gives.
 *
 * Not to be confused with control/replay.h, which makes decisions of the past again from the
 * situations that were stored, and must find the same ones.
 *
 * Reading order: history.h (the past), queue.h (how long requests wait), capacity_fit.h (what the
 * past says about a dyno), fleet.h (the dynos of a trial), waits.h (queue times that a rule reads),
 * watch.h (what decide() is told), trial.c (the run), estimate.h (how sure it is). Of jobs:
 * jobs_past.h, jobs_queue.h and jobs_watch.h instead of queue.h, capacity_fit.h, waits.h and
 * watch.h.
 *
 * All of the room is pure: no clock, no file, no environment. The same input gives the same output.
 */
#ifndef TRIAL_H
#define TRIAL_H

#include "decide/memory.h"
#include "replay/capacity_fit.h"
#include "replay/history.h"
#include "rules/rule.h"

struct trial_minute {
    double wanted, ordered, up; /* dynos, on average */
    double requests, above;     /* above: that waited longer than what is slow */
    double p95_ms;              /* -1: no request, or not known */
    bool known, slow;
    bool surely, maybe; /* slow even if a dyno takes more than is thought; if it takes less */
};

struct trial {
    const struct history *history;
    const struct capacity *capacity;
    const struct rule_process *process;
    const struct zone *zone;
    const struct memory *began; /* what was remembered when the past began; NULL: nothing */
    int tick_s;                 /* seconds between decisions: 10, or a divisor of 60 above it */
    /* Called each simulated hour or so with the share of the minutes that are done; false: stop. */
    bool (*progress)(void *context, double done);
    void *context;

    struct trial_minute *minutes; /* history->count of them, the caller's: filled */
    int scalings, most;           /* most: dynos ordered */
    double late;                  /* requests or jobs that waited longer than what is slow */
    double least_s, most_s;       /* dyno-seconds of the minimum and of the maximum in force */
    double cut_minutes;           /* for which more dynos were wanted than the maximum */
    bool automatic;               /* the method of a rule that counted */
};

/* False: stopped, or no memory. */
bool trial_run(struct trial *trial);

/* Ticks so far apart that so many minutes take a second or two. */
int trial_tick_s(const struct rule_process *process, int minutes, bool jobs);

#endif
