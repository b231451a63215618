/*
 * What was measured, as it is kept: reports that were counted, parts of the last minutes, chunks of
 * what is older. What parts and chunks hold is known to series/ alone.
 */
#ifndef STORE_SERIES_H
#define STORE_SERIES_H

#include "store/store.h"

enum { SERIES_OF_APP = 1000, SERIES_KEY_SIZE = 16, SERIES_NUMBER_BITS = 40 };

/* ---- Reports come in: in the caller's transaction ------------------------------------------- */

enum report_added { REPORT_ADDED, REPORT_REPEATED, REPORT_FAILED };

/* Notes that a report is counted, unless it was within the last hour. Returns what
 * series_report_added is to be asked with, once all reports of the group are noted; -1: it failed.
 * number: as a part's. */
int64_t series_add_report(struct store *store, int64_t app, const uint8_t key[SERIES_KEY_SIZE],
                          int64_t at_s, const char *dyno, int64_t number);
enum report_added series_report_added(struct store *store, int64_t noted);

/* All series there are, for who looks them up often. */
bool series_every(struct store *store,
                  bool (*each)(void *context, int64_t app, int64_t series, const char *source,
                               const char *signal),
                  void *context);

/* The number of a series, which is made where it is new; 0 where the app has SERIES_OF_APP already;
 * -1 where it failed. */
int64_t series_number(struct store *store, int64_t app, const char *source, const char *signal);

/* A part's number is of the receiver (series_receiver, one for each start of a service), shifted by
 * SERIES_NUMBER_BITS, and counts up in it: no two parts or reports have the same. The parts of a
 * report follow it. */
bool series_add_part(struct store *store, int64_t app, int64_t series, int64_t start_s,
                     int64_t number, const void *data, size_t length);
int64_t series_receiver(struct store *store); /* -1: it failed */

/* ---- What is there ------------------------------------------------------------------------- */

struct series_part {
    int64_t app, series, start_s, number;
    const char *source, *signal; /* NULL where the caller knows them */
    const void *data;
    size_t length;
};

/* Parts of all series that begin at or after a moment. False where it failed or `each` returned
 * false. */
bool series_each_part(struct store *store, int64_t from_s,
                      bool (*each)(void *context, const struct series_part *part), void *context);
/* Parts of a series that begin in [from_s, to_s). */
bool series_parts(struct store *store, int64_t app, int64_t series, int64_t from_s, int64_t to_s,
                  bool (*each)(void *context, const struct series_part *part), void *context);

/* Dynos that reported since a moment, each with the newest one. */
bool series_each_heard(struct store *store, int64_t from_s,
                       void (*each)(void *context, int64_t app, const char *dyno, int64_t at_s),
                       void *context);

/*
 * What receivers on a shared store added, in the order of their numbers. A receiver commits one
 * group after the other, so of each what can be seen is all up to some number. Read between
 * store_begin_read and store_end_read.
 */
struct series_report {
    int64_t app, number, at_s;
    const char *dyno;
};
/* The first number of each receiver that had reports since a moment. */
bool series_each_receiver(struct store *store, int64_t from_s,
                          bool (*each)(void *context, int64_t number), void *context);
/* Reports numbered in [from, to), of a moment or later, at most `most`. */
bool series_new_reports(struct store *store, int64_t from, int64_t to, int64_t from_s, int64_t most,
                        bool (*each)(void *context, const struct series_report *report),
                        void *context);
/* Parts numbered in [from, to) that begin at a moment or later; part->number is set. */
bool series_new_parts(struct store *store, int64_t from, int64_t to, int64_t from_s,
                      bool (*each)(void *context, const struct series_part *part), void *context);

/* The number of a series; 0: there is none, -1: it failed. */
int64_t series_find(struct store *store, int64_t app, const char *source, const char *signal);
/* Series of an app, by source; newest_s: of its samples, to about half an hour. */
bool series_each(struct store *store, int64_t app,
                 void (*each)(void *context, int64_t series, const char *source, const char *signal,
                              int64_t newest_s),
                 void *context);

/* ---- Chunks -------------------------------------------------------------------------------- */

struct series_chunk {
    int64_t start_s;
    const void *points, *sketches;
    size_t points_length, sketches_length;
};

/* Chunks of a level that begin in [from_s, to_s), in order. Without `sketches` these are not read
 * from the disk (NULL). */
bool series_chunks(struct store *store, int64_t app, int64_t series, int level, int64_t from_s,
                   int64_t to_s, bool sketches,
                   bool (*each)(void *context, const struct series_chunk *chunk), void *context);
bool series_put_chunk(struct store *store, int64_t app, int64_t series, int level,
                      const struct series_chunk *chunk);
/* Where the first chunk of a level at or after a moment begins; INT64_MAX: there is none, -1: it
 * failed. */
int64_t series_first_chunk(struct store *store, int64_t app, int64_t series, int level,
                           int64_t from_s);

/* ---- Folding and forgetting ---------------------------------------------------------------- */

bool series_remove_parts(struct store *store, int64_t app, int64_t series, int64_t before_s);
bool series_set_newest(struct store *store, int64_t series, int64_t newest_s);

/* Calls `each` for series whose number leaves `rest` when divided by `by`. */
bool series_some(struct store *store, int64_t by, int64_t rest,
                 bool (*each)(void *context, int64_t app, int64_t series, int64_t newest_s),
                 void *context);
bool series_remove_chunks(struct store *store, int64_t app, int64_t series, int level,
                          int64_t before_s);
bool series_remove(struct store *store, int64_t app, int64_t series);
/* At most `most` of the oldest ones: how many, -1 where it failed. */
int64_t series_remove_reports(struct store *store, int64_t before_s, int64_t most);

#endif
