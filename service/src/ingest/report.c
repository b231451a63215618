#define _GNU_SOURCE /* strndup */
#include "ingest/report.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/rows.h"
#include "text.h"

enum {
    PLACES = 1024,        /* a hash table of series: a power of two above REPORT_SERIES */
    LATENCY_S = 2,        /* between sending and arrival: less is no sign of a wrong clock */
    OLD_QUEUE_S = 10 * 60 /* the gem before 2.0 misreads some stamps: its longer waits are wrong */
};

/* Agents that are older than this service. */
enum agent {
    AGENT_OURS,
    AGENT_OLD_RUBY, /* dynoscale_ruby 1.x: waits of requests in whole seconds; no key; no quotes */
    AGENT_OLD_PYTHON, /* dynoscale 1.x: no key; no time of sending; negative waits */
};

struct reader {
    struct report *report;
    enum agent agent;
    int64_t correction_s;
    uint16_t places[PLACES]; /* number of a series plus 1; 0: free */
    /* For the rows of a slot: their series (-1: there are more than REPORT_SERIES), and where in it
     * the previous row's part is (-1: none). */
    struct {
        int series, part;
    } slots[ROWS_SLOTS];
};

/* ---- Headers ------------------------------------------------------------------------------- */

static bool begins(const char *text, const char *with) {
    return text && strncmp(text, with, strlen(with)) == 0;
}

static enum agent agent_of(const char *user_agent) {
    if (begins(user_agent, "dynoscale-ruby;1.") || begins(user_agent, "dynoscale-ruby;0."))
        return AGENT_OLD_RUBY;
    if (begins(user_agent, "dynoscale-python;1.") || begins(user_agent, "dynoscale-python;0."))
        return AGENT_OLD_PYTHON;
    return AGENT_OURS;
}

/* The epoch second of a stamp, in which a proxy may have put finer units; -1: it is none. */
static int64_t stamp_second(const char *stamp) {
    enum { DIGITS = 19 };
    static const int64_t year_2000_s = 946684800;
    if (!stamp) return -1;
    while (*stamp == ' ') stamp++;
    if (begins(stamp, "t=") || begins(stamp, "T=")) stamp += 2;
    int64_t value = 0;
    int digits = 0;
    for (; *stamp >= '0' && *stamp <= '9' && digits < DIGITS; stamp++, digits++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *stamp - '0', &value))
            return -1;
    for (int64_t unit = 1000000000; unit > 0; unit /= 1000)
        if (value / unit >= year_2000_s) return value / unit;
    return -1;
}

/* How much the sender's clock is behind. */
static int64_t correction(const char *stamp, int64_t arrived_s) {
    int64_t sent_s = stamp_second(stamp);
    int64_t behind_s = arrived_s - sent_s;
    return sent_s < 0 || llabs(behind_s) <= LATENCY_S ? 0 : behind_s;
}

static bool read_dyno(struct report *report, const char *dyno, char *sentence) {
    if (!dyno) return true;
    size_t length = strlen(dyno);
    bool usable = length < sizeof report->dyno;
    for (size_t i = 0, size; usable && i < length; i += size) {
        size = text_character(dyno + i, length - i);
        usable = size > 0 && (unsigned char)dyno[i] >= 0x20 && dyno[i] != 0x7F;
        if (size == 0) size = 1;
    }
    if (usable) memcpy(report->dyno, dyno, length + 1);
    else
        snprintf(sentence, REPORT_SENTENCE_SIZE,
                 "the header X_DYNO is not a dyno's name: up to %d bytes of UTF-8 without control "
                 "characters are allowed",
                 REPORT_DYNO_SIZE - 1);
    return usable;
}

static void hash(crypto_generichash_state *state, const void *bytes, size_t length) {
    crypto_generichash_update(state, bytes, length);
}

/* The key by which a repeated report is recognised: that of the batch, or, for agents that send
 * none, who sent which bytes when. */
static void make_key(struct report *report, const struct report_head *head, const char *body,
                     size_t length) {
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof report->key);
    if (head->key) {
        hash(&state, "key", 4);
        hash(&state, head->key, strlen(head->key));
    } else {
        const char *start = head->request_start ? head->request_start : "";
        hash(&state, "all", 4);
        hash(&state, report->dyno, strlen(report->dyno) + 1);
        hash(&state, start, strlen(start) + 1);
        hash(&state, body, length);
    }
    crypto_generichash_final(&state, report->key, sizeof report->key);
}

/* ---- Series -------------------------------------------------------------------------------- */

static uint16_t *place_of(struct reader *reader, const struct rows *rows) {
    uint64_t mixed = 0xCBF29CE484222325u + (uint64_t)rows->signal; /* FNV-1a */
    for (size_t i = 0; i < rows->source_length; i++)
        mixed = (mixed ^ (unsigned char)rows->source[i]) * 0x100000001B3u;
    for (size_t place = (size_t)(mixed >> 20);; place++) {
        uint16_t *at = &reader->places[place & (PLACES - 1)];
        if (*at == 0) return at;
        const struct report_series *series = &reader->report->series[*at - 1];
        if (series->signal == rows->signal && series->source_length == rows->source_length &&
            memcmp(series->source, rows->source, rows->source_length) == 0)
            return at;
    }
}

/* Finds the series of the row's slot. False without memory. */
static bool find_series(struct reader *reader, const struct rows *rows) {
    struct report *report = reader->report;
    uint16_t *place = place_of(reader, rows);
    reader->slots[rows->slot].part = -1;
    reader->slots[rows->slot].series = *place - 1;
    if (*place != 0 || report->series_count == REPORT_SERIES) return true;
    if (report->series_count == report->series_room) {
        int room = report->series_room ? report->series_room * 2 : 4;
        struct report_series *more = realloc(report->series, (size_t)room * sizeof *more);
        if (!more) return false;
        report->series = more;
        report->series_room = room;
    }
    struct report_series *series = &report->series[report->series_count];
    *series = (struct report_series){.source_length = rows->source_length, .signal = rows->signal};
    series->source = strndup(rows->source, rows->source_length);
    if (!series->source) return false;
    reader->slots[rows->slot].series = report->series_count++;
    *place = (uint16_t)report->series_count;
    return true;
}

/* Finds or makes the series' part of a moment; -1 without memory. */
static int find_part(struct report_series *series, int64_t start_s) {
    for (int i = series->part_count - 1; i >= 0; i--)
        if (series->parts[i].start_s == start_s) return i;
    if (series->part_count == series->part_room) {
        int room = series->part_room ? series->part_room * 2 : 2;
        struct part *more = realloc(series->parts, (size_t)room * sizeof *more);
        if (!more) return -1;
        series->parts = more;
        series->part_room = room;
    }
    series->parts[series->part_count] = PART_EMPTY(start_s);
    return series->part_count++;
}

/* ---- Rows ---------------------------------------------------------------------------------- */

/* The metric in milliseconds; false if an old agent misread its router's stamp. */
static bool in_ms(const struct reader *reader, struct rows *rows) {
    bool seconds = reader->agent == AGENT_OLD_RUBY && rows->signal == SIGNAL_WAIT &&
                   rows->source_length == 3 && memcmp(rows->source, "web", 3) == 0;
    if (!seconds) return true;
    if (rows->metric > OLD_QUEUE_S) return false;
    rows->metric *= 1000;
    return true;
}

/* False without memory. */
static bool add_row(struct reader *reader, struct rows *rows) {
    struct report *report = reader->report;
    int64_t second = rows->second + reader->correction_s;
    if (rows->fresh && !find_series(reader, rows)) return false;
    int number = reader->slots[rows->slot].series, *at = &reader->slots[rows->slot].part;
    if (number < 0 || llabs(second - report->arrived_s) > REPORT_OFF_S || !in_ms(reader, rows)) {
        report->rows_refused++;
        return true;
    }
    struct report_series *series = &report->series[number];
    if (*at < 0 || (uint64_t)(second - series->parts[*at].start_s) >= PART_SECONDS)
        *at = find_part(series, part_start(second));
    if (*at < 0) return false;
    struct part *part = &series->parts[*at];
    report->rows++;
    return part_add(part, (int)(second - part->start_s), rows->metric);
}

static enum report_kind read_rows(struct reader *reader, const char *body, size_t length,
                                  char *sentence) {
    struct rows rows;
    rows_begin(&rows, body, length, reader->agent == AGENT_OURS ? ROWS_STRICT : ROWS_OLD);
    for (;;) {
        switch (rows_next(&rows)) {
        case ROWS_ROW:
            if (!add_row(reader, &rows)) return REPORT_NO_MEMORY;
            break;
        case ROWS_REFUSED:
            reader->report->rows_refused++;
            break;
        case ROWS_END:
            return REPORT_ROWS;
        case ROWS_MALFORMED:
            snprintf(sentence, REPORT_SENTENCE_SIZE, "%s", rows.sentence);
            return REPORT_MALFORMED;
        }
    }
}

enum report_kind report_read(struct report *report, const struct report_head *head,
                             const char *body, size_t length, int64_t arrived_s,
                             char sentence[REPORT_SENTENCE_SIZE]) {
    memset(report, 0, sizeof *report);
    report->arrived_s = arrived_s;
    if (!read_dyno(report, head->dyno, sentence)) return REPORT_MALFORMED;
    if (length == 0 && !head->key) return REPORT_EMPTY;
    make_key(report, head, body, length);
    if (length == 0) return REPORT_HEARTBEAT;
    struct reader reader = {
        .report = report,
        .agent = agent_of(head->user_agent),
        .correction_s = correction(head->request_start, arrived_s),
    };
    return read_rows(&reader, body, length, sentence);
}

size_t report_bytes(const struct report *report) {
    size_t bytes = sizeof *report + (size_t)report->series_room * sizeof *report->series;
    for (int i = 0; i < report->series_count; i++) {
        const struct report_series *series = &report->series[i];
        bytes += series->source_length + (size_t)series->part_room * sizeof *series->parts;
        for (int j = 0; j < series->part_count; j++)
            bytes += series->parts[j].room * sizeof *series->parts[j].entries;
    }
    return bytes;
}

void report_free(struct report *report) {
    for (int i = 0; i < report->series_count; i++) {
        struct report_series *series = &report->series[i];
        for (int j = 0; j < series->part_count; j++) part_free(&series->parts[j]);
        free(series->parts);
        free(series->source);
    }
    free(report->series);
    report->series = NULL;
    report->series_count = report->series_room = 0;
}
