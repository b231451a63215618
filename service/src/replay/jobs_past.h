/*
 * The past of a process that works on jobs, from the situations of its ticks: how many jobs waited,
 * for how long, and how many were worked on. How many came is not reported. It follows from them:
 * jobs that came are those that began and those by which more wait; and jobs that are worked on end
 * after a time that is found here too. Pure.
 */
#ifndef JOBS_PAST_H
#define JOBS_PAST_H

#include "decide/situation.h"
#include "replay/capacity_fit.h"
#include "replay/history.h"

/* What the ticks of a minute said. */
struct jobs_seen {
    double known_s;  /* of it */
    double late_s;   /* of these, with a job that waited longer than what is late */
    double queued_s; /* of these, with jobs that waited from one reading to the next */
    double worked_s; /* time that slots were at work */
    double more;     /* jobs by which more were there at its end */
    double risen;    /* the same, of ticks at which there were more */
    double longer;   /* jobs by which more waited at its end */
    double oldest_ms;
};

struct jobs_past {
    struct history *history; /* the caller's; its minutes are filled */
    struct jobs_seen *seen;  /* history->count of them, the caller's, 0 at first */
    bool heard;              /* of the queues, at any tick */
    bool working_known;      /* the number that is worked on, at any tick */

    int64_t last_s; /* the last tick that was known; 0: none */
    double last_waiting, last_working, last_up;

    /* While jobs waited: seconds of workers, jobs that began, seconds of slots at work. */
    double worker_s, starts, slot_s;
    double most_slots;      /* at work in a worker at once */
    double worked, changes; /* as jobs_known.c has them: how long a job takes where none waits */
    double tick_sum, ticks; /* seconds between ticks */
    double queued_ticks;
};

/* The next tick, in the order of time. */
void jobs_past_tick(struct jobs_past *past, const struct situation *now);

/* After the last: what a worker does, and how many jobs came and began in each minute. False: no
 * tick tells how many jobs were worked on. */
bool jobs_past_end(struct jobs_past *past, struct capacity *capacity);

#endif
