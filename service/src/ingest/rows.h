/*
 * The rows of a report, one after the other: RFC 4180, LF or CRLF, without a header row.
 *
 *     1700000000,12,web,
 *     1700000003,95,"rq:low,slow",
 *
 * timestamp: epoch seconds. metric: a whole number from 0 to 2^32-1. source: 1 to 255 bytes of
 * UTF-8 without control characters. metadata: empty, or the name of a signal. Pure: any bytes, no
 * clock, no allocation.
 */
#ifndef ROWS_H
#define ROWS_H

#include <stdint.h>

#include "ingest/signal.h"

enum { ROWS_SOURCE_SIZE = 256, ROWS_SENTENCE_SIZE = 240 };

enum rows_result {
    ROWS_ROW,
    ROWS_REFUSED, /* a row that can't be used, and does not make the others wrong: unknown
                     metadata, or what old agents are known to write */
    ROWS_END,
    ROWS_MALFORMED, /* rows.sentence says which row, which field, what is allowed */
};

/* What is forgiven to agents that were published before this service. */
enum rows_leniency {
    ROWS_STRICT,
    ROWS_OLD, /* negative metrics, and sources with commas that are not quoted */
};

struct rows {
    const char *at, *end;
    enum rows_leniency leniency;
    int number; /* of the row that was read last; the first is 1 */

    /* Of the row read last. `again`: source and signal are those of the row before. */
    bool again;
    int64_t second;
    uint32_t metric;
    const char *source; /* until rows_next is called again; not ended by NUL */
    size_t source_length;
    enum signal signal;

    const char *tail; /* that row from its source to its end */
    size_t tail_length;
    char buffer[ROWS_SOURCE_SIZE]; /* of a source that was quoted */
    char sentence[ROWS_SENTENCE_SIZE];
};

void rows_begin(struct rows *rows, const char *bytes, size_t length, enum rows_leniency leniency);
enum rows_result rows_next(struct rows *rows);

#endif
