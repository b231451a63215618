/*
 * The readings of one job queue in the last minutes, and what they add to a situation.
 */
#ifndef READINGS_H
#define READINGS_H

#include <stdbool.h>

#include "decide/situation.h"
#include "ingest/jobs.h"

struct readings {
    struct jobs_reading reading[JOBS_READINGS]; /* in order of time */
    size_t count;
};

/* For cells_each_level, with a struct readings as `of`. A reading of the age begins a new reading;
 * one of the depth is added to the reading of the same second or a neighbouring one. */
void readings_note_age(void *of, int64_t at_s, int64_t age_ms);
void readings_note_depth(void *of, int64_t at_s, int64_t depth);

/* Adds a queue's readings, at least one, to a situation: how many jobs wait, how long the oldest
 * has waited, how many come and begin. False: how many wait in it is unknown. */
bool readings_into_situation(const struct readings *readings, struct situation *situation);

#endif
