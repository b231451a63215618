/*
 * What decide() is told of jobs in a trial: readings of the queue at each tick, as agents would
 * have made them. Pure.
 */
#ifndef JOBS_WATCH_H
#define JOBS_WATCH_H

#include "decide/situation.h"
#include "ingest/jobs.h"
#include "replay/jobs_queue.h"
#include "rules/rule.h"

enum { JOBS_WATCH_TICKS = 64 };

struct jobs_watch {
    int tick_s;
    int64_t count;
    struct jobs_watched {
        struct jobs_reading reading;
        int64_t working;
        bool heard;
    } ring[JOBS_WATCH_TICKS];
};

/* The tick that is over: no reading where nothing was heard. */
void jobs_watch_read(struct jobs_watch *watch, int64_t now_s, const struct jobs_queue *queue,
                     bool heard);

/* The fields of a situation that are measured; `now` is set. */
void jobs_watch_tell(const struct jobs_watch *watch, const struct rule *rule,
                     struct situation *situation);

#endif
