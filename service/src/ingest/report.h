/*
 * Turns a report as it arrived into what it adds to each series. Pure except for memory: the moment
 * of arrival is a parameter.
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
    REPORT_SERIES = 500,    /* per report; rows of further series are refused */
    REPORT_OFF_S = 15 * 60, /* rows that are further than this from the arrival are refused */
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
    REPORT_ROWS,      /* maybe without any row that counts: even so it says that its dyno lives */
    REPORT_HEARTBEAT, /* no body, but a key: sent by a process with nothing to report, and by the
                         doctor */
    REPORT_EMPTY,     /* no body and no key */
    REPORT_MALFORMED, /* nothing of it counts; the sentence says why */
    REPORT_NO_MEMORY,
};

/* Whatever it returns, call report_free. */
enum report_kind report_read(struct report *report, const struct report_head *head,
                             const char *body, size_t length, int64_t arrived_s,
                             char sentence[REPORT_SENTENCE_SIZE]);
void report_free(struct report *report);

/* The bytes of memory that the report holds. */
size_t report_bytes(const struct report *report);

#endif
