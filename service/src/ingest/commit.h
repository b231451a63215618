/*
 * The thread that makes reports durable: one transaction for all that came since the last one,
 * then the live windows, then `done` for all of them. A transaction begins `commit_ms` after the
 * one before, so a report after a pause does not wait; it takes no more than `group_bytes`, one
 * report of each app in turn (waiting.h), and fewer where such a one takes longer than `group_ms`,
 * so that neither other apps nor other writers wait for the flood of one. A report that came before
 * is not counted again.
 */
#ifndef COMMIT_H
#define COMMIT_H

#include "ingest/live.h"
#include "ingest/report.h"
#include "store/store.h"

enum commit_result {
    COMMIT_DONE,     /* on disk, and in the live windows */
    COMMIT_REPEATED, /* was before */
    COMMIT_FAILED,   /* nothing of it was kept: the sender must try again */
};

struct commit_item {
    struct commit_item *next;
    int64_t app;
    struct report report;
    size_t bytes; /* how much of the waiting room it takes */
    enum commit_result result;
    uint64_t series_refused; /* rows of series beyond the app's limit */
    int64_t noted, number;   /* in the store: of its key, of itself */
};

struct commit_settings {
    const char *folder; /* or a URL: what store_open is given */
    int commit_ms;      /* from the begin of one transaction to that of the next, at least */
    size_t waiting_bytes, group_bytes; /* of all reports that wait; of those of one transaction */
    int group_ms;                      /* that it may take, about; 0: as long as it takes */
    /* On the thread: items, those of an app in the order in which they were added. */
    void (*done)(void *context, struct commit_item *first);
    /* On the thread, after commit_call. */
    void (*called)(void *context, struct store *store);
    void *context;
};

struct commit;

/* Opens the store (and makes it if need be), fills `live` from it, calls `called` once, starts the
 * thread. NULL with a sentence. */
struct commit *commit_new(struct live *live, const struct commit_settings *settings, char *error,
                          size_t size);

/* Whether the app may have so many more bytes waiting. Any thread. */
bool commit_has_room(struct commit *commit, int64_t app, size_t bytes);
/* False: there is no room, and the item stays the caller's. An added item takes up room until
 * commit_release, which follows `done`. */
bool commit_add(struct commit *commit, struct commit_item *item);
void commit_release(struct commit *commit, const struct commit_item *item);
/* Has `called` called soon: at once if urgent, else a second after the last call. */
void commit_call(struct commit *commit, bool urgent);

/* Commits what waits and ends the thread. */
void commit_end(struct commit *commit);
/* After commit_end, and the last commit_release. */
void commit_free(struct commit *commit);

/* Any thread. */
uint64_t commit_count(const struct commit *commit);
uint64_t commit_failed_count(const struct commit *commit);
size_t commit_waiting_bytes(struct commit *commit);

#endif
