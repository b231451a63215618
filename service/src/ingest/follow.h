/*
 * The live windows where several services receive reports: filled from the store alone, with what
 * all of them committed, in the order in which it arrived. What a service received itself comes the
 * same way, so whichever decides, decides on the same.
 */
#ifndef FOLLOW_H
#define FOLLOW_H

#include "ingest/live.h"
#include "store/store.h"

struct follow;

struct follow *follow_new(struct live *live); /* NULL without memory */
void follow_free(struct follow *follow);

/* Adds what was committed since the last call; at first, what the last 15 minutes hold. False where
 * the store failed: what was read is added, the rest comes with the next call. */
bool follow_read(struct follow *follow, struct store *store, int64_t now_s);

#endif
