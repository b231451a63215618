/*
 * The automatic method for workers: every job is to begin within the goal. Three files:
 *
 *   jobs_known   what is known of the jobs, and what is learned of a worker: how many it works on
 *                at once, how many it begins in a second
 *   jobs_need    workers that keep the share of late jobs below the goal, as queueing theory says;
 *                and workers that begin what will wait when one that is ordered now is up
 *   jobs         the order of these, what is said of it, and the last worker
 *
 * What agents report differs, and so does what can be known: all; how many jobs wait, but not how
 * many are worked on; or only how long the oldest has waited.
 */
#ifndef AUTOMATIC_JOBS_H
#define AUTOMATIC_JOBS_H

#include "decide/automatic/automatic.h"

struct memory;

struct jobs {
    struct moment moment;   /* what patience and the trial of more workers need */
    double goal_s, share;   /* at most this share of jobs may begin later than that */
    double keep_min;        /* the last worker stays so long without a job, in minutes */
    double drain_s;         /* what waits is begun in this time */
    double waiting;         /* jobs; -1: not known */
    double working;         /* jobs; -1: not known */
    double oldest_s, grows; /* seconds; seconds a second */
    bool queued;            /* jobs wait for longer than from one reading to the next */
    double arrive, start;   /* jobs/s of all workers, while jobs wait; -1: not known */
    double rate;            /* jobs/s that a worker begins while jobs wait; 0: not known */
    double slots;           /* jobs that it works on at once; 0: not known */
    bool full;              /* slots is the most; else the most that was seen */
    double job_s;           /* how long a job takes */
    double load;            /* workers that what comes keeps busy; -1: not known */
    double coming_s;        /* until those that are ordered are up */
};

/* jobs_known.c. Brings what is learned to this tick. */
struct jobs jobs_known(struct view *view, struct moment moment);

/* jobs_need.c: workers, at most moment.most + 1. The load is known for the first; jobs wait, their
 * number is known, and so is the rate for the second, which also says how many will wait. The third
 * goes by the age of the oldest job, and says how many times what is begun comes. */
int jobs_for_load(const struct jobs *jobs);
int jobs_for_backlog(const struct jobs *jobs, double *later);
int jobs_by_age(const struct jobs *jobs, double *times);

#endif
