/*
 * Which dynos read an app's job queues: one for each queue is enough, and each reading costs the
 * app's broker something. A dyno that never read any is left to read, since nobody knows what it
 * would find; one that reads only what another reads need not. Lost with a restart: then all read.
 * Belongs to one thread.
 */
#ifndef READERS_H
#define READERS_H

#include "ingest/report.h"

enum {
    READERS_LOST_S = 25,        /* a queue that was not read for so long needs a reader */
    READERS_LOOK_AGAIN_S = 600, /* a dyno that need not read does so once, to find new queues */
};

struct readers;

struct readers *readers_new(void); /* NULL without memory */
void readers_free(struct readers *readers);

/* Whether the dyno that sent the report is to read job queues from now on. */
bool readers_ask(struct readers *readers, int64_t app, const struct report *report);

#endif
