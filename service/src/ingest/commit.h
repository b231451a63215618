/*
 * The thread that makes reports durable: one transaction for all that came since the last one,
 * then the live windows, then `done` for all of them. A transaction begins `commit_ms` after the
 * one before, so a report after a pause does not wait. A report that came before is not counted
 * again.
 */
#ifndef COMMIT_H
#define COMMIT_H

#include "ingest/live.h"
#include "ingest/report.h"
#include "store/store.h"

enum commit_result {
    COMMIT_DONE,     /* on disk, and in the live windows */
    COMMIT_REPEATED, /* was before */
    COMMIT_FAILED,   /* nothing of it is kept: the sender tries again */
};

struct commit_item {
    struct commit_item *next;
    int64_t app;
    struct report report;
    enum commit_result result;
    uint64_t series_refused; /* rows of series that the app may not have any more */
    int64_t noted, number;   /* in the store: of its key, of itself */
};

struct commit_settings {
    const char *folder; /* or a URL: what store_open is given */
    int commit_ms;      /* from the begin of one transaction to that of the next, at least */
    /* On the thread: items in the order in which they were added. */
    void (*done)(void *context, struct commit_item *first);
    /* On the thread, after commit_call. */
    void (*called)(void *context, struct store *store);
    void *context;
};

struct commit;

/* Opens the store (making it if need be), fills `live` from it, calls `called` once, starts the
 * thread. NULL with a sentence. */
struct commit *commit_new(struct live *live, const struct commit_settings *settings, char *error,
                          size_t size);

/* Any thread. */
void commit_add(struct commit *commit, struct commit_item *item);
/* `called` is called soon: at once, or, unless urgent, a second after it was called last. */
void commit_call(struct commit *commit, bool urgent);

/* Commits what waits, ends the thread. */
void commit_free(struct commit *commit);

/* Any thread. */
uint64_t commit_count(const struct commit *commit);
uint64_t commit_failed_count(const struct commit *commit);

#endif
