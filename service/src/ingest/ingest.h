/*
 * Reports in: HTTP request → rows → parts of windows → one commit for all that came within some
 * ms → live windows → answers.
 */
#ifndef INGEST_H
#define INGEST_H

#include "http/http.h"
#include "ingest/live.h"
#include "loop.h"

struct ingest;

struct ingest_settings {
    const char *folder;   /* or a URL: what store_open is given */
    int commit_ms;        /* 15: from one commit's begin to the next's, at least */
    size_t waiting_bytes; /* 32 MiB: beyond, reports are answered with 503 and Retry-After */
    size_t unknown_bytes; /* 8 MiB: the same of those whose tokens are looked up, of all together */
    int publish_s;        /* 10: seconds between reports that agents are asked for */
};

/* Starts the thread that commits and fills `live` from the store. NULL with a sentence. */
struct ingest *ingest_new(struct loop *loop, struct live *live,
                          const struct ingest_settings *settings, char *error, size_t size);

/* Answers POST /api/v1/report/TOKEN (`token`: the last part of the path), now or after the
 * commit. */
void ingest_report(struct ingest *ingest, struct http_request *request, const char *token);

/* Tokens or apps were added, changed or removed: reads the tokens again. Any thread. */
void ingest_forget_tokens(struct ingest *ingest);

/* Commits and answers what waits, and ends the thread. */
void ingest_free(struct ingest *ingest);

struct ingest_counts {
    uint64_t reports, repeated, refused, overloaded, rows, rows_refused, commits, failed_commits;
    size_t waiting_bytes; /* of reports that are not committed yet */
    size_t unknown_bytes; /* of bodies of reports whose tokens are looked up */
};
struct ingest_counts ingest_counts(const struct ingest *ingest);

#endif
