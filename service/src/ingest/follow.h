/*
 * Fills the live windows when several services receive reports: only from the store, with what all
 * of them committed, in order of arrival. A service's own reports come the same way, so every
 * service would decide on the same data.
 */
#ifndef FOLLOW_H
#define FOLLOW_H

#include "ingest/live.h"
#include "store/store.h"

struct follow;

struct follow *follow_new(struct live *live); /* NULL without memory */
void follow_free(struct follow *follow);

/* Adds what was committed since the last call; the first call adds the last 15 minutes. False: the
 * store failed; what was read is added, the rest comes with the next call. */
bool follow_read(struct follow *follow, struct store *store, int64_t now_s);

#endif
