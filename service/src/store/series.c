#include "store/series.h"

/* ---- Reports come in ----------------------------------------------------------------------- */

int64_t series_add_report(struct store *store, int64_t app, const uint8_t key[SERIES_KEY_SIZE],
                          int64_t at_s, const char *dyno, int64_t number) {
    bool shared = store_is_shared(store);
    struct query query = store_query(
        store, shared ? "INSERT INTO report (app, key, at_s, dyno, number) VALUES (?1, ?2, ?3, "
                        "?4, ?5) ON CONFLICT (app, key) DO NOTHING"
                      : "INSERT INTO report (app, key, at_s, dyno) VALUES (?1, ?2, ?3, ?4) "
                        "ON CONFLICT (app, key) DO NOTHING");
    query_int(&query, 1, app);
    query_blob(&query, 2, key, SERIES_KEY_SIZE);
    query_int(&query, 3, at_s);
    query_text(&query, 4, dyno);
    if (shared) query_int(&query, 5, number);
    return query_run_noted(&query);
}

enum report_added series_report_added(struct store *store, int64_t noted) {
    int64_t changed = noted < 0 ? -1 : store_changed_by(store, noted);
    if (changed < 0) return REPORT_FAILED;
    return changed > 0 ? REPORT_ADDED : REPORT_REPEATED;
}

int64_t series_find(struct store *store, int64_t app, const char *source, const char *signal) {
    struct query query =
        store_query(store, "SELECT id FROM series WHERE app = ?1 AND source = ?2 AND signal = ?3");
    query_int(&query, 1, app);
    query_text(&query, 2, source);
    query_text(&query, 3, signal);
    int64_t id = query_next(&query) ? column_int(&query, 0) : 0;
    return query_end(&query) ? id : -1;
}

bool series_every(struct store *store,
                  bool (*each)(void *context, int64_t app, int64_t series, const char *source,
                               const char *signal),
                  void *context) {
    struct query query = store_query(store, "SELECT app, id, source, signal FROM series");
    bool wanted = true;
    while (wanted && query_next(&query))
        wanted = each(context, column_int(&query, 0), column_int(&query, 1), column_text(&query, 2),
                      column_text(&query, 3));
    return query_end(&query) && wanted;
}

/* Makes a new series and returns its number; 0: it exists, or the app has no room for more; -1:
 * failed. */
static int64_t make_series(struct store *store, int64_t app, const char *source,
                           const char *signal) {
    struct query query = store_query(
        store, "INSERT INTO series (app, source, signal, newest_s) SELECT ?1, ?2, ?3, 0 WHERE"
               " (SELECT count(*) FROM series WHERE app = ?1) < ?4"
               " ON CONFLICT (app, source, signal) DO NOTHING RETURNING id");
    query_int(&query, 1, app);
    query_text(&query, 2, source);
    query_text(&query, 3, signal);
    query_int(&query, 4, SERIES_OF_APP);
    int64_t id = query_next(&query) ? column_int(&query, 0) : 0;
    return query_end(&query) ? id : -1;
}

/* A follower of a shared store knows all series already (series_every), so this one is probably
 * new: it is made without looking first, which would take a round trip. Another receiver may make
 * it at the same time. */
int64_t series_number(struct store *store, int64_t app, const char *source, const char *signal) {
    int64_t id = store_is_shared(store) ? 0 : series_find(store, app, source, signal);
    if (id == 0) id = make_series(store, app, source, signal);
    if (id == 0 && store_is_shared(store)) id = series_find(store, app, source, signal);
    return id;
}

bool series_add_part(struct store *store, int64_t app, int64_t series, int64_t start_s,
                     int64_t number, const void *data, size_t length) {
    struct query query = store_query(store, "INSERT INTO part (app, series, start_s, number, data) "
                                            "VALUES (?1, ?2, ?3, ?4, ?5)");
    query_int(&query, 1, app);
    query_int(&query, 2, series);
    query_int(&query, 3, start_s);
    query_int(&query, 4, number);
    query_blob(&query, 5, data, length);
    return query_run(&query);
}

int64_t series_receiver(struct store *store) {
    struct query query = store_query(
        store, "INSERT INTO counter (name, value) VALUES ('receiver', 1) "
               "ON CONFLICT (name) DO UPDATE SET value = counter.value + 1 RETURNING value");
    int64_t number = query_next(&query) ? column_int(&query, 0) : -1;
    return query_end(&query) ? number : -1;
}

/* ---- What is there ------------------------------------------------------------------------- */

bool series_each_part(struct store *store, int64_t from_s,
                      bool (*each)(void *context, const struct series_part *part), void *context) {
    struct query query = store_query(
        store, "SELECT part.app, part.series, part.start_s, series.source, series.signal, "
               "part.data FROM part JOIN series ON series.id = part.series "
               "WHERE part.start_s >= ?1");
    query_int(&query, 1, from_s);
    bool wanted = true;
    while (wanted && query_next(&query)) {
        struct series_part part = {.app = column_int(&query, 0),
                                   .series = column_int(&query, 1),
                                   .start_s = column_int(&query, 2),
                                   .source = column_text(&query, 3),
                                   .signal = column_text(&query, 4)};
        part.data = column_blob(&query, 5, &part.length);
        wanted = each(context, &part);
    }
    return query_end(&query) && wanted;
}

bool series_parts(struct store *store, int64_t app, int64_t series, int64_t from_s, int64_t to_s,
                  bool (*each)(void *context, const struct series_part *part), void *context) {
    struct query query =
        store_query(store, "SELECT start_s, data FROM part WHERE app = ?1 AND series = ?2 AND "
                           "start_s >= ?3 AND start_s < ?4 ORDER BY start_s, number");
    query_int(&query, 1, app);
    query_int(&query, 2, series);
    query_int(&query, 3, from_s);
    query_int(&query, 4, to_s);
    bool wanted = true;
    while (wanted && query_next(&query)) {
        struct series_part part = {.app = app, .series = series, .start_s = column_int(&query, 0)};
        part.data = column_blob(&query, 1, &part.length);
        wanted = each(context, &part);
    }
    return query_end(&query) && wanted;
}

bool series_each_heard(struct store *store, int64_t from_s,
                       void (*each)(void *context, int64_t app, const char *dyno, int64_t at_s),
                       void *context) {
    struct query query = store_query(store, "SELECT app, dyno, max(at_s) FROM report "
                                            "WHERE at_s >= ?1 GROUP BY app, dyno");
    query_int(&query, 1, from_s);
    while (query_next(&query))
        each(context, column_int(&query, 0), column_text(&query, 1), column_int(&query, 2));
    return query_end(&query);
}

/* Goes from one receiver to the next by the index, however many rows each has added. */
bool series_each_receiver(struct store *store, int64_t from_s,
                          bool (*each)(void *context, int64_t number), void *context) {
    struct query query = store_query(
        store,
        "WITH RECURSIVE receiver (number) AS (SELECT min(number) FROM report UNION ALL SELECT"
        " (SELECT min(report.number) FROM report WHERE report.number >="
        " ((receiver.number >> 40) + 1) << 40) FROM receiver WHERE receiver.number IS NOT NULL)"
        " SELECT number FROM receiver WHERE (SELECT report.at_s FROM report WHERE report.number <"
        " ((receiver.number >> 40) + 1) << 40 ORDER BY report.number DESC LIMIT 1) >= ?1");
    query_int(&query, 1, from_s);
    bool wanted = true;
    while (wanted && query_next(&query)) wanted = each(context, column_int(&query, 0));
    return query_end(&query) && wanted;
}

bool series_new_reports(struct store *store, int64_t from, int64_t to, int64_t from_s, int64_t most,
                        bool (*each)(void *context, const struct series_report *report),
                        void *context) {
    struct query query =
        store_query(store, "SELECT app, number, at_s, dyno FROM report WHERE number >= ?1 AND "
                           "number < ?2 AND at_s >= ?3 ORDER BY number LIMIT ?4");
    query_int(&query, 1, from);
    query_int(&query, 2, to);
    query_int(&query, 3, from_s);
    query_int(&query, 4, most);
    bool wanted = true;
    while (wanted && query_next(&query)) {
        struct series_report report = {.app = column_int(&query, 0),
                                       .number = column_int(&query, 1),
                                       .at_s = column_int(&query, 2),
                                       .dyno = column_text(&query, 3)};
        wanted = each(context, &report);
    }
    return query_end(&query) && wanted;
}

bool series_new_parts(struct store *store, int64_t from, int64_t to, int64_t from_s,
                      bool (*each)(void *context, const struct series_part *part), void *context) {
    struct query query = store_query(
        store, "SELECT part.app, part.series, part.start_s, part.number, series.source, "
               "series.signal, part.data FROM part JOIN series ON series.id = part.series "
               "WHERE part.number >= ?1 AND part.number < ?2 AND part.start_s >= ?3 "
               "ORDER BY part.number");
    query_int(&query, 1, from);
    query_int(&query, 2, to);
    query_int(&query, 3, from_s);
    bool wanted = true;
    while (wanted && query_next(&query)) {
        struct series_part part = {.app = column_int(&query, 0),
                                   .series = column_int(&query, 1),
                                   .start_s = column_int(&query, 2),
                                   .number = column_int(&query, 3),
                                   .source = column_text(&query, 4),
                                   .signal = column_text(&query, 5)};
        part.data = column_blob(&query, 6, &part.length);
        wanted = each(context, &part);
    }
    return query_end(&query) && wanted;
}

bool series_each(struct store *store, int64_t app,
                 void (*each)(void *context, int64_t series, const char *source, const char *signal,
                              int64_t newest_s),
                 void *context) {
    struct query query =
        store_query(store, "SELECT id, source, signal, newest_s, "
                           "(SELECT max(start_s) FROM part WHERE part.app = series.app AND "
                           "part.series = series.id) "
                           "FROM series WHERE app = ?1 ORDER BY source, id");
    query_int(&query, 1, app);
    while (query_next(&query)) {
        int64_t folded = column_int(&query, 3), recent = column_int(&query, 4);
        each(context, column_int(&query, 0), column_text(&query, 1), column_text(&query, 2),
             recent > folded ? recent : folded);
    }
    return query_end(&query);
}

/* ---- Chunks -------------------------------------------------------------------------------- */

bool series_chunks(struct store *store, int64_t app, int64_t series, int level, int64_t from_s,
                   int64_t to_s, bool sketches,
                   bool (*each)(void *context, const struct series_chunk *chunk), void *context) {
    struct query query = store_query(
        store, sketches ? "SELECT start_s, points, sketches FROM chunk WHERE app = ?1 AND "
                          "series = ?2 AND level = ?3 AND start_s >= ?4 AND start_s < ?5 "
                          "ORDER BY start_s"
                        : "SELECT start_s, points FROM chunk WHERE app = ?1 AND series = ?2 AND "
                          "level = ?3 AND start_s >= ?4 AND start_s < ?5 ORDER BY start_s");
    query_int(&query, 1, app);
    query_int(&query, 2, series);
    query_int(&query, 3, level);
    query_int(&query, 4, from_s);
    query_int(&query, 5, to_s);
    bool wanted = true;
    while (wanted && query_next(&query)) {
        struct series_chunk chunk = {.start_s = column_int(&query, 0)};
        chunk.points = column_blob(&query, 1, &chunk.points_length);
        if (sketches) chunk.sketches = column_blob(&query, 2, &chunk.sketches_length);
        wanted = each(context, &chunk);
    }
    return query_end(&query) && wanted;
}

bool series_put_chunk(struct store *store, int64_t app, int64_t series, int level,
                      const struct series_chunk *chunk) {
    struct query query = store_query(
        store, "INSERT INTO chunk (app, series, level, start_s, points, sketches) "
               "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (app, series, level, start_s) "
               "DO UPDATE SET points = excluded.points, sketches = excluded.sketches");
    query_int(&query, 1, app);
    query_int(&query, 2, series);
    query_int(&query, 3, level);
    query_int(&query, 4, chunk->start_s);
    query_blob(&query, 5, chunk->points, chunk->points_length);
    query_blob(&query, 6, chunk->sketches, chunk->sketches_length);
    return query_run(&query);
}

int64_t series_first_chunk(struct store *store, int64_t app, int64_t series, int level,
                           int64_t from_s) {
    struct query query = store_query(store, "SELECT min(start_s) FROM chunk WHERE app = ?1 AND "
                                            "series = ?2 AND level = ?3 AND start_s >= ?4");
    query_int(&query, 1, app);
    query_int(&query, 2, series);
    query_int(&query, 3, level);
    query_int(&query, 4, from_s);
    int64_t start_s = INT64_MAX;
    if (query_next(&query) && !column_is_null(&query, 0)) start_s = column_int(&query, 0);
    return query_end(&query) ? start_s : -1;
}

/* ---- Folding and forgetting ---------------------------------------------------------------- */

bool series_remove_parts(struct store *store, int64_t app, int64_t series, int64_t before_s) {
    struct query query =
        store_query(store, "DELETE FROM part WHERE app = ?1 AND series = ?2 AND start_s < ?3");
    query_int(&query, 1, app);
    query_int(&query, 2, series);
    query_int(&query, 3, before_s);
    return query_run(&query);
}

bool series_set_newest(struct store *store, int64_t series, int64_t newest_s) {
    struct query query =
        store_query(store, "UPDATE series SET newest_s = ?2 WHERE id = ?1 AND newest_s < ?2");
    query_int(&query, 1, series);
    query_int(&query, 2, newest_s);
    return query_run(&query);
}

bool series_some(struct store *store, int64_t by, int64_t rest,
                 bool (*each)(void *context, int64_t app, int64_t series, int64_t newest_s),
                 void *context) {
    struct query query =
        store_query(store, "SELECT app, id, newest_s FROM series WHERE id % ?1 = ?2");
    query_int(&query, 1, by);
    query_int(&query, 2, rest);
    bool wanted = true;
    while (wanted && query_next(&query))
        wanted = each(context, column_int(&query, 0), column_int(&query, 1), column_int(&query, 2));
    return query_end(&query) && wanted;
}

bool series_remove_chunks(struct store *store, int64_t app, int64_t series, int level,
                          int64_t before_s) {
    struct query query = store_query(store, "DELETE FROM chunk WHERE app = ?1 AND series = ?2 AND "
                                            "level = ?3 AND start_s < ?4");
    query_int(&query, 1, app);
    query_int(&query, 2, series);
    query_int(&query, 3, level);
    query_int(&query, 4, before_s);
    return query_run(&query);
}

bool series_remove(struct store *store, int64_t app, int64_t series) {
    struct query query = store_query(store, "DELETE FROM series WHERE app = ?1 AND id = ?2");
    query_int(&query, 1, app);
    query_int(&query, 2, series);
    return query_run(&query);
}

int64_t series_remove_reports(struct store *store, int64_t before_s, int64_t most) {
    struct query query =
        store_query(store, "DELETE FROM report WHERE (app, key) IN "
                           "(SELECT app, key FROM report WHERE at_s < ?1 ORDER BY at_s LIMIT ?2)");
    query_int(&query, 1, before_s);
    query_int(&query, 2, most);
    return query_run(&query) ? store_changed(store) : -1;
}
