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

enum { ROWS_SOURCE_SIZE = 256, ROWS_SENTENCE_SIZE = 240, ROWS_SLOTS = 4 };

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

/* What rows say after their numbers: most rows say what one shortly before said. */
struct rows_slot {
    const char *tail; /* the bytes from the source to the end of the row; NULL: none */
    size_t tail_length;
    uint64_t head, head_mask; /* the first bytes of it, up to 8 */
    const char *source;
    size_t source_length;
    enum signal signal;
    char buffer[ROWS_SOURCE_SIZE]; /* of a source that has quotes in it */
};

struct rows {
    const char *at, *end;
    enum rows_leniency leniency;
    int number; /* of the row that was read last; the first is 1 */

    /* Of the row read last. `slot` counts from 0 to ROWS_SLOTS - 1; while `fresh` is false, source
     * and signal are those of the row that had the slot before. */
    int slot;
    bool fresh;
    int64_t second;
    uint32_t metric;
    const char *source; /* until rows_next is called again; not ended by NUL */
    size_t source_length;
    enum signal signal;

    uint64_t stamp; /* the last timestamp as it stands in the text: 8 bytes and 2 */
    uint16_t stamp_rest;
    int64_t stamp_second;
    int next_slot; /* to be used anew */
    struct rows_slot slots[ROWS_SLOTS];
    char sentence[ROWS_SENTENCE_SIZE];
};

void rows_begin(struct rows *rows, const char *bytes, size_t length, enum rows_leniency leniency);
enum rows_result rows_next(struct rows *rows);

#endif
