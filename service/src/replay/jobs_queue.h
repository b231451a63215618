/*
 * The jobs of a trial: those that wait, first in, first out, and those that are worked on. All
 * workers take from one queue. Pure but for its memory.
 *
 * From one step to the next each job that is worked on ends with the same chance, and those that
 * came are worked on at once while slots are free (the queue M/M/infinity, exactly); where more are
 * there than slots, as many end as full slots end. A job's wait is found from the curve of all jobs
 * that came: those that began by now came until the moment at which the curve had as many.
 */
#ifndef JOBS_QUEUE_H
#define JOBS_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

enum { JOBS_STEP_S = 5, JOBS_STOP_S = 25 }; /* a worker that is to stop may work on for so long */

struct jobs_queue {
    double job_s, late_s; /* how long a job takes; later ones begin late */
    double waiting, working;
    double again;        /* were worked on when their worker went, and wait to be so again, first */
    double came, begun;  /* since the beginning */
    double *curve;       /* came, until the end of each step */
    int steps, room, at; /* at: the step in which the oldest that waits came */
    double oldest_s;     /* how long it has waited */
};

/* False without memory. */
bool jobs_queue_begin(struct jobs_queue *queue, double job_s, double late_s, int minutes);
void jobs_queue_end(struct jobs_queue *queue);

/* The step that ends at `now_s`, with so many slots: `came` jobs come in it. Returns how many began
 * late in it; all that began: the change of `begun`. */
double jobs_queue_pass(struct jobs_queue *queue, int64_t now_s, double slots, double came);
/* How many wait that will begin late. */
double jobs_queue_late(const struct jobs_queue *queue);

#endif
