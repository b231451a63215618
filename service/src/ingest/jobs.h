/*
 * What readings of a job queue say about its jobs: how many come and how many begin. A reading has
 * how many jobs are ready and how long the oldest has waited. A queue is first in, first out, so
 * the jobs that are ready are those that came since the oldest did: each reading is a point of the
 * curve of all jobs that ever came. Pure: no clock, no allocation.
 */
#ifndef JOBS_H
#define JOBS_H

#include <stddef.h>
#include <stdint.h>

enum {
    JOBS_READINGS = 120,
    JOBS_CURVE_S = 120, /* readings so old still tell when the jobs that wait came */
    JOBS_FLOW_S = 30,   /* what comes is counted over this time, what begins since the last one */
};

struct jobs_reading {
    int64_t at_s;
    int64_t waiting; /* jobs; -1: not reported */
    int64_t oldest_ms;
};

struct jobs_flow {
    int64_t arrive, start; /* jobs in 1000 s; -1: not known */
};

/* Of readings in order of time, at most JOBS_READINGS. Known only while jobs wait for longer than
 * from one reading to the next: what comes and begins in between is not seen. */
struct jobs_flow jobs_flow(const struct jobs_reading *readings, size_t count);

#endif
