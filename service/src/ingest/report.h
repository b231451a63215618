/*
 * A report as it came → what it adds to each series. Pure but for its memory: the moment of its
 * arrival is given.
 */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ingest/signal.h"
#include "series/part.h"

enum {
    REPORT_KEY_SIZE = 16,
    REPORT_DYNO_SIZE = 129,
    REPORT_SERIES = 500,    /* in one report; rows of more are refused */
    REPORT_OFF_S = 15 * 60, /* rows further than this from the arrival are refused */
    REPORT_SENTENCE_SIZE = 256,
};

/* Headers; NULL: not sent. */
struct report_head {
    const char *user_agent;    /* "dynoscale-ruby;2.0.0" */
    const char *dyno;          /* X_DYNO or HTTP_X_DYNO, also with hyphens */
    const char *request_start; /* X_REQUEST_START: "t=" and the epoch second of sending */
    const char *key;           /* Idempotency-Key */
};

struct report_series {
    char *source;
    size_t source_length;
    enum signal signal;
    bool refused; /* the commit found that the app has too many series */
    int part_count, part_room;
    struct part *parts; /* each of other ten seconds */
};

struct report {
    uint8_t key[REPORT_KEY_SIZE];
    char dyno[REPORT_DYNO_SIZE]; /* "": not said */
    int64_t arrived_s;
    int series_count, series_room;
    struct report_series *series;
    uint64_t rows, rows_refused; /* rows: those that count */
};

enum report_kind {
    REPORT_ROWS,      /* may hold none that counts, and still says that its dyno lives */
    REPORT_HEARTBEAT, /* no body, but a key: sent by a process that has nothing to report, and by
                         the doctor */
    REPORT_EMPTY,     /* no body and no key */
    REPORT_MALFORMED, /* nothing of it counts; the sentence says why */
    REPORT_NO_MEMORY,
};

/* Whatever it returns, the report must be given to report_free. */
enum report_kind report_read(struct report *report, const struct report_head *head,
                             const char *body, size_t length, int64_t arrived_s,
                             char sentence[REPORT_SENTENCE_SIZE]);
void report_free(struct report *report);

/* Bytes of memory that it holds. */
size_t report_bytes(const struct report *report);

#endif
