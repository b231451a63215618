/*
 * Each receiver numbers its reports and parts in one sequence and commits them in that order, so
 * one number says how far it has been read. A reading takes some reports with their parts, and of
 * all receivers together: a dyno's reports may go to any receiver, and are processed in the order
 * in which they arrived.
 */
#define _GNU_SOURCE /* strdup */
#include "ingest/follow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "ingest/report.h"
#include "log.h"
#include "store/series.h"

enum { LIVE_S = 15 * 60, REPORTS_AT_ONCE = 5000, RECEIVERS = 256 };

struct receiver {
    int64_t next; /* the first number that was not read yet */
    int64_t end;  /* the same of the next receiver */
    bool seen;    /* in this pass */
};

struct heard {
    int64_t app, number;
    struct report report; /* with its dyno, time and series of requests */
};

struct follow {
    struct live *live;
    struct receiver receivers[RECEIVERS];
    size_t receiver_count;
    struct heard *heard;
    size_t heard_count, heard_room;
    bool lost; /* memory ran out: the live windows lack something that was read */
};

struct follow *follow_new(struct live *live) {
    struct follow *follow = calloc(1, sizeof *follow);
    if (follow) follow->live = live;
    return follow;
}

static void forget_heard(struct follow *follow) {
    for (size_t i = 0; i < follow->heard_count; i++) report_free(&follow->heard[i].report);
    follow->heard_count = 0;
}

void follow_free(struct follow *follow) {
    if (!follow) return;
    forget_heard(follow);
    free(follow->heard);
    free(follow);
}

/* ---- Receivers ----------------------------------------------------------------------------- */

static int64_t receiver_of(int64_t number) { return number >> SERIES_NUMBER_BITS; }

static bool note_receiver(void *context, int64_t number) {
    struct follow *follow = context;
    for (size_t i = 0; i < follow->receiver_count; i++) {
        struct receiver *receiver = &follow->receivers[i];
        if (receiver_of(receiver->end - 1) != receiver_of(number)) continue;
        receiver->seen = true;
        return true;
    }
    if (follow->receiver_count == RECEIVERS) return true; /* more receivers than start in an hour */
    int64_t begin = receiver_of(number) << SERIES_NUMBER_BITS;
    follow->receivers[follow->receiver_count++] = (struct receiver){
        .next = begin, .end = begin + ((int64_t)1 << SERIES_NUMBER_BITS), .seen = true};
    return true;
}

/* Finds the receivers; forgets those of which the store has nothing left. */
static bool find_receivers(struct follow *follow, struct store *store, int64_t from_s) {
    for (size_t i = 0; i < follow->receiver_count; i++) follow->receivers[i].seen = false;
    if (!series_each_receiver(store, from_s, note_receiver, follow)) return false;
    size_t kept = 0;
    for (size_t i = 0; i < follow->receiver_count; i++)
        if (follow->receivers[i].seen) follow->receivers[kept++] = follow->receivers[i];
    follow->receiver_count = kept;
    return true;
}

/* ---- Reports and their parts --------------------------------------------------------------- */

static bool note_heard(void *context, const struct series_report *found) {
    struct follow *follow = context;
    void *array = array_grown(follow->heard, &follow->heard_room, follow->heard_count + 1,
                              sizeof *follow->heard);
    follow->lost = follow->lost || !array;
    if (!array) return false;
    follow->heard = array;
    struct heard *heard = &follow->heard[follow->heard_count++];
    memset(heard, 0, sizeof *heard);
    heard->app = found->app;
    heard->number = found->number;
    heard->report.arrived_s = found->at_s;
    size_t length = strlen(found->dyno);
    if (length >= sizeof heard->report.dyno) length = sizeof heard->report.dyno - 1;
    memcpy(heard->report.dyno, found->dyno, length);
    if (!live_heard(follow->live, found->app, heard->report.dyno, found->at_s)) follow->lost = true;
    return true;
}

/* The report that a part belongs to: the last one numbered before it. */
static struct heard *heard_before(struct follow *follow, int64_t number) {
    size_t low = 0, high = follow->heard_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (follow->heard[middle].number < number) low = middle + 1;
        else high = middle;
    }
    return low > 0 ? &follow->heard[low - 1] : NULL;
}

/* Keeps parts of requests' waits and times, which live_report also counts by dyno. Takes the part
 * over. */
static bool keep_part(struct heard *heard, const char *source, enum signal signal,
                      struct part part) {
    struct report *report = &heard->report;
    struct report_series *series =
        realloc(report->series, (size_t)(report->series_count + 1) * sizeof *series);
    if (!series) return false;
    report->series = series;
    series += report->series_count;
    *series = (struct report_series){.source = strdup(source),
                                     .source_length = strlen(source),
                                     .signal = signal,
                                     .part_count = 1,
                                     .part_room = 1,
                                     .parts = malloc(sizeof part)};
    if (!series->source || !series->parts) {
        free(series->source);
        free(series->parts);
        return false;
    }
    report->series_count++;
    series->parts[0] = part;
    return true;
}

static bool take_part(void *context, const struct series_part *stored) {
    struct follow *follow = context;
    struct part part = PART_EMPTY(stored->start_s);
    errno = 0;
    if (!part_decode(&part, stored->data, stored->length)) {
        follow->lost = follow->lost || errno == ENOMEM;
        log_line(LOG_ERROR, "ingest", "a part of series %lld at %lld can't be read",
                 (long long)stored->series, (long long)stored->start_s);
        part_free(&part);
        return true;
    }
    if (!live_add(follow->live, stored->app, stored->source, stored->signal, &part))
        follow->lost = true;
    enum signal signal = signal_by_name(stored->signal, strlen(stored->signal));
    struct heard *heard = heard_before(follow, stored->number);
    bool by_dyno = strcmp(stored->source, "web") == 0 && heard && heard->app == stored->app &&
                   (signal == SIGNAL_WAIT || signal == SIGNAL_BUSY);
    bool kept = by_dyno && keep_part(heard, stored->source, signal, part);
    if (!kept) part_free(&part);
    follow->lost = follow->lost || kept != by_dyno;
    return true;
}

/* Reads at most REPORTS_AT_ONCE of a receiver, with all their parts; *more: it has more. */
static bool read_receiver(struct follow *follow, struct store *store, struct receiver *receiver,
                          int64_t from_s, bool *more) {
    size_t before = follow->heard_count;
    if (!series_new_reports(store, receiver->next, receiver->end, from_s, REPORTS_AT_ONCE,
                            note_heard, follow))
        return false;
    size_t count = follow->heard_count - before;
    if (count == 0) return true;
    int64_t to = receiver->end;
    if (count == REPORTS_AT_ONCE) { /* the last report's parts may go on: it is read again */
        to = follow->heard[--follow->heard_count].number;
        report_free(&follow->heard[follow->heard_count].report);
        *more = true;
    }
    int64_t last = follow->heard[follow->heard_count - 1].number;
    int64_t next = to == receiver->end ? last + 1 : to;
    /* `heard` is in order, because receivers are read by their numbers. */
    if (!series_new_parts(store, receiver->next, to, from_s - PART_SECONDS, take_part, follow))
        return false;
    receiver->next = next;
    return true;
}

static int by_arrival(const void *one, const void *other) {
    const struct heard *a = one, *b = other;
    if (a->report.arrived_s != b->report.arrived_s)
        return a->report.arrived_s > b->report.arrived_s ? 1 : -1;
    return (a->number > b->number) - (a->number < b->number);
}

static void show_reports(struct follow *follow) {
    if (follow->heard_count > 0)
        qsort(follow->heard, follow->heard_count, sizeof *follow->heard, by_arrival);
    for (size_t i = 0; i < follow->heard_count; i++)
        live_report(follow->live, follow->heard[i].app, &follow->heard[i].report);
    forget_heard(follow);
}

static int by_number(const void *one, const void *other) {
    int64_t a = ((const struct receiver *)one)->end, b = ((const struct receiver *)other)->end;
    return (a > b) - (a < b);
}

static bool read_some(struct follow *follow, struct store *store, int64_t from_s, bool *more) {
    bool ok = store_begin_read(store);
    if (!ok) return false;
    ok = find_receivers(follow, store, from_s);
    if (ok && follow->receiver_count > 0)
        qsort(follow->receivers, follow->receiver_count, sizeof *follow->receivers, by_number);
    for (size_t i = 0; i < follow->receiver_count && ok; i++)
        ok = read_receiver(follow, store, &follow->receivers[i], from_s, more);
    store_end_read(store);
    return ok;
}

/* The next pass reads the last 15 minutes again. */
static void begin_anew(struct follow *follow) {
    log_line(LOG_ERROR, "ingest", "memory ran out for new reports: they are read again");
    live_forget_all(follow->live);
    follow->receiver_count = 0;
    follow->lost = false;
}

bool follow_read(struct follow *follow, struct store *store, int64_t now_s) {
    bool ok, more;
    do {
        more = false;
        ok = read_some(follow, store, now_s - LIVE_S, &more);
        show_reports(follow);
    } while (ok && more && !follow->lost);
    if (!follow->lost) return ok;
    begin_anew(follow);
    return false;
}
