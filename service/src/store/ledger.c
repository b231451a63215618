#include "store/ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "store/database.h"
#include "store/ledger_pack.h"

enum {
    HOUR_S = 3600,
    KEPT_S = 30 * 24 * HOUR_S,
    ACTS_KEPT_S = 400 * 24 * HOUR_S,
};

static int64_t hour_of(int64_t at_s) { return at_s - (at_s % HOUR_S + HOUR_S) % HOUR_S; }

static void copy(char *to, size_t size, const char *from) { snprintf(to, size, "%s", from); }

/* ---- Writing -------------------------------------------------------------------------------- */

/* The learned state is larger than everything else in a tick, and can be computed from the previous
 * tick. So it is stored only with the first tick of an hour, and with a tick whose predecessor is
 * not in the same hour. */
static bool is_chained(const struct ledger_tick *tick) {
    int64_t before = tick->memory.last_tick, now = tick->situation.now;
    return before > 0 && before < now && hour_of(before) == hour_of(now) &&
           !learned_is_empty(&tick->memory.learned);
}

bool ledger_add(struct store *store, const struct ledger_tick *tick) {
    size_t length;
    struct ledger_tick kept = *tick;
    kept.chained = is_chained(tick);
    uint8_t *data = ledger_pack(&kept, 1, &length);
    if (!data) return false;
    struct query query =
        store_query(store, "INSERT INTO tick (app, process, at_s, changes, data)"
                           " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (app, process, at_s)"
                           " DO UPDATE SET changes = excluded.changes, data = excluded.data");
    query_int(&query, 1, tick->app);
    query_text(&query, 2, tick->process);
    query_int(&query, 3, tick->situation.now);
    query_int(&query, 4, tick->decision.action != DECISION_HOLD);
    query_blob(&query, 5, data, length);
    bool ok = query_run(&query);
    free(data);
    return ok;
}

bool ledger_remember(struct store *store, const struct ledger_tick *tick,
                     const struct memory *after) {
    uint8_t memory[MEMORY_STORED];
    struct query query =
        store_query(store, "INSERT INTO tick_memory (app, process, data) VALUES (?1, ?2, ?3)"
                           " ON CONFLICT (app, process) DO UPDATE SET data = excluded.data");
    query_int(&query, 1, tick->app);
    query_text(&query, 2, tick->process);
    query_blob(&query, 3, memory, memory_encode(memory, after));
    return query_run(&query);
}

/* False, and a cleared memory, if there is none that can be read. */
static bool memory_of(struct query *query, int column, struct memory *memory) {
    size_t length;
    const void *data = column_blob(query, column, &length);
    bool ok = memory_decode(memory, data, length);
    if (!ok) memory_clear(memory);
    return ok;
}

bool ledger_memory(struct store *store, int64_t app, const char *process, struct memory *memory) {
    memory_clear(memory);
    struct query query =
        store_query(store, "SELECT data FROM tick_memory WHERE app = ?1 AND process = ?2");
    query_int(&query, 1, app);
    query_text(&query, 2, process);
    bool found = query_next(&query) && memory_of(&query, 0, memory);
    return query_end(&query) && found;
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* Reads the ticks of a row; the caller frees them. A row that can't be read for lack of memory is a
 * failure: an older tick must not be taken for the last. */
static struct ledger_tick *ticks_of(struct store *store, const void *data, size_t length,
                                    int64_t app, const char *process, size_t *count) {
    errno = 0;
    struct ledger_tick *ticks = data ? ledger_unpack(data, length, count) : NULL;
    if (data && !ticks && errno == ENOMEM) store_failed(store, "out of memory");
    for (size_t i = 0; ticks && i < *count; i++) {
        ticks[i].app = app;
        copy(ticks[i].process, sizeof ticks[i].process, process);
    }
    return ticks;
}

struct range {
    int64_t from_s, to_s;
    bool changes_only;
    bool (*each)(void *context, const struct ledger_tick *tick);
    void *context;
};

/* False: `each` wants no more ticks. */
static bool give(const struct range *range, const struct ledger_tick *ticks, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct ledger_tick *tick = &ticks[i];
        if (tick->situation.now < range->from_s || tick->situation.now >= range->to_s) continue;
        if (range->changes_only && tick->decision.action == DECISION_HOLD) continue;
        if (!range->each(range->context, tick)) return false;
    }
    return true;
}

bool ledger_each(struct store *store, int64_t app, const char *process, int64_t from_s,
                 int64_t to_s, bool changes_only,
                 bool (*each)(void *context, const struct ledger_tick *tick), void *context) {
    const struct range range = {from_s, to_s, changes_only, each, context};
    struct query query =
        store_query(store, "SELECT start_s AS at, data FROM tick_pack WHERE app = ?1 AND"
                           " process = ?2 AND start_s > ?3 - 3600 AND start_s < ?4"
                           " AND changes >= ?5"
                           " UNION ALL SELECT at_s AS at, data FROM tick WHERE app = ?1 AND"
                           " process = ?2 AND at_s >= ?3 AND at_s < ?4 AND changes >= ?5"
                           " ORDER BY at");
    query_int(&query, 1, app);
    query_text(&query, 2, process);
    query_int(&query, 3, from_s);
    query_int(&query, 4, to_s);
    query_int(&query, 5, changes_only);
    bool ok = true, more = true;
    while (ok && more && query_next(&query)) {
        size_t length, count;
        const void *data = column_blob(&query, 1, &length);
        struct ledger_tick *ticks = ticks_of(store, data, length, app, process, &count);
        ok = ticks != NULL;
        if (ok) more = give(&range, ticks, count);
        free(ticks);
    }
    return query_end(&query) && ok;
}

/* From a query's rows, ordered by age: the last tick at or before the moment. */
static bool last_of(struct query *query, int64_t app, const char *process, int64_t at_s,
                    struct ledger_tick *tick) {
    bool found = false;
    query_int(query, 1, app);
    query_text(query, 2, process);
    query_int(query, 3, at_s);
    while (!found && query_next(query)) {
        size_t length, count;
        const void *data = column_blob(query, 0, &length);
        struct ledger_tick *ticks = ticks_of(query->store, data, length, app, process, &count);
        for (size_t i = ticks ? count : 0; i-- > 0 && !found;) {
            found = ticks[i].situation.now <= at_s;
            if (found) *tick = ticks[i];
        }
        free(ticks);
    }
    return query_end(query) && found;
}

bool ledger_last(struct store *store, int64_t app, const char *process, int64_t at_s,
                 struct ledger_tick *tick) {
    uint64_t failures = store_failures(store);
    struct query query =
        store_query(store, "SELECT data FROM tick WHERE app = ?1 AND process = ?2 AND at_s <= ?3"
                           " ORDER BY at_s DESC LIMIT 1");
    if (last_of(&query, app, process, at_s, tick)) return true;
    if (store_failures(store) != failures) return false;
    query = store_query(store, "SELECT data FROM tick_pack WHERE app = ?1 AND process = ?2 AND"
                               " start_s <= ?3 ORDER BY start_s DESC LIMIT 2");
    return last_of(&query, app, process, at_s, tick);
}

/* The last tick of a process is a row of its own, unless the process has not ticked for an hour. */
bool ledger_each_process(struct store *store, int64_t from_app, int64_t to_app,
                         bool (*each)(void *context, int64_t app, const char *process,
                                      const struct memory *memory, const struct ledger_tick *last),
                         void *context) {
    struct query query = store_query(
        store, "SELECT app, process, data, coalesce("
               "(SELECT tick.data FROM tick WHERE tick.app = tick_memory.app AND tick.process ="
               " tick_memory.process ORDER BY tick.at_s DESC LIMIT 1),"
               "(SELECT tick_pack.data FROM tick_pack WHERE tick_pack.app = tick_memory.app AND"
               " tick_pack.process = tick_memory.process ORDER BY tick_pack.start_s DESC LIMIT 1))"
               " FROM tick_memory WHERE app >= ?1 AND app <= ?2");
    query_int(&query, 1, from_app);
    query_int(&query, 2, to_app);
    bool wanted = true;
    uint64_t failures = store_failures(store);
    while (wanted && query_next(&query)) {
        int64_t app = column_int(&query, 0);
        const char *process = column_text(&query, 1);
        struct memory memory;
        memory_of(&query, 2, &memory);
        size_t length, count = 0;
        const void *data = column_blob(&query, 3, &length);
        struct ledger_tick *ticks = ticks_of(store, data, length, app, process, &count);
        wanted =
            each(context, app, process, &memory, ticks && count > 0 ? &ticks[count - 1] : NULL);
        free(ticks);
    }
    return query_end(&query) && wanted && store_failures(store) == failures;
}

/* ---- Packing -------------------------------------------------------------------------------- */

struct hour {
    int64_t app, start_s;
    const char *process;
    struct ledger_tick *ticks; /* in order of time, room for LEDGER_PACK_TICKS */
    size_t count;
    int64_t changes;
};

/* Usually appends. After the clock was set back, inserts by time, and replaces a tick of the same
 * second. */
static bool collect(void *context, const struct ledger_tick *tick) {
    struct hour *hour = context;
    size_t at = hour->count;
    while (at > 0 && hour->ticks[at - 1].situation.now > tick->situation.now) at--;
    if (at > 0 && hour->ticks[at - 1].situation.now == tick->situation.now) {
        hour->ticks[at - 1] = *tick;
        return true;
    }
    if (hour->count == LEDGER_PACK_TICKS) return false;
    memmove(&hour->ticks[at + 1], &hour->ticks[at], (hour->count - at) * sizeof *tick);
    hour->ticks[at] = *tick;
    hour->count++;
    return true;
}

/* Reads the rows of the hour and its existing pack; there are both only after the clock was set
 * back. */
static bool read_hour(struct store *store, struct hour *hour) {
    if (!ledger_each(store, hour->app, hour->process, hour->start_s, hour->start_s + HOUR_S, false,
                     collect, hour))
        return false;
    hour->changes = 0;
    for (size_t i = 0; i < hour->count; i++)
        hour->changes += hour->ticks[i].decision.action != DECISION_HOLD;
    return hour->count > 0;
}

static bool remove_rows(struct store *store, const struct hour *hour) {
    struct query query = store_query(store, "DELETE FROM tick WHERE app = ?1 AND process = ?2 AND"
                                            " at_s >= ?3 AND at_s < ?3 + 3600");
    query_int(&query, 1, hour->app);
    query_text(&query, 2, hour->process);
    query_int(&query, 3, hour->start_s);
    return query_run(&query);
}

static bool write_hour(struct store *store, const struct hour *hour, const uint8_t *data,
                       size_t length) {
    struct query query =
        store_query(store, "INSERT INTO tick_pack (app, process, start_s, changes, data)"
                           " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (app, process, start_s)"
                           " DO UPDATE SET changes = excluded.changes, data = excluded.data");
    query_int(&query, 1, hour->app);
    query_text(&query, 2, hour->process);
    query_int(&query, 3, hour->start_s);
    query_int(&query, 4, hour->changes);
    query_blob(&query, 5, data, length);
    return query_run(&query);
}

/* Reads in the same transaction that removes, so nothing can come in between. */
static bool pack_hour(struct store *store, struct hour *hour) {
    size_t length;
    hour->count = 0;
    uint8_t *data = NULL;
    bool ok = store_begin(store);
    ok = ok && read_hour(store, hour) && (data = ledger_pack(hour->ticks, hour->count, &length));
    ok = ok && write_hour(store, hour, data, length) && remove_rows(store, hour) &&
         store_commit(store);
    if (!ok) store_rollback(store);
    free(data);
    return ok;
}

static bool remove_old(struct store *store, int64_t app, const char *process, int64_t now_s) {
    struct query query = store_query(store, "DELETE FROM tick_pack WHERE app = ?1 AND process = ?2"
                                            " AND start_s < ?3");
    query_int(&query, 1, app);
    query_text(&query, 2, process);
    query_int(&query, 3, now_s - KEPT_S - HOUR_S);
    return query_run(&query);
}

/* A process with a finished hour that is not packed, or with packs that are too old. */
struct due {
    int64_t app, row_s, pack_s; /* the oldest moments; -1: none */
    char name[RULE_PROCESS_SIZE];
};

static int64_t moment(struct query *query, int column) {
    return column_is_null(query, column) ? -1 : column_int(query, column);
}

static bool is_due(const struct due *due, int64_t now_s) {
    bool unpacked = due->row_s >= 0 && due->row_s < hour_of(now_s);
    return unpacked || (due->pack_s >= 0 && due->pack_s < now_s - KEPT_S - HOUR_S);
}

/* In one query: with thousands of processes, one each would be too many per minute. */
static struct due *all_due(struct store *store, int64_t now_s, size_t *count, bool *ok) {
    struct due *all = NULL;
    size_t room = 0;
    *count = 0;
    *ok = true;
    struct query query = store_query(
        store, "SELECT app, process,"
               " (SELECT min(tick.at_s) FROM tick WHERE tick.app = tick_memory.app AND"
               " tick.process = tick_memory.process),"
               " (SELECT min(tick_pack.start_s) FROM tick_pack WHERE tick_pack.app ="
               " tick_memory.app AND tick_pack.process = tick_memory.process) FROM tick_memory");
    while (query_next(&query)) {
        struct due due = {column_int(&query, 0), moment(&query, 2), moment(&query, 3), ""};
        if (!is_due(&due, now_s)) continue;
        void *array = array_grown(all, &room, *count + 1, sizeof *all);
        *ok = array != NULL;
        if (!array) break;
        all = array;
        copy(due.name, sizeof due.name, column_text(&query, 1));
        all[(*count)++] = due;
    }
    *ok = query_end(&query) && *ok;
    return all;
}

/* The oldest moment of a row; -1: there is none, or the query failed. */
static int64_t oldest_row(struct store *store, const struct due *due) {
    struct query query =
        store_query(store, "SELECT min(at_s) FROM tick WHERE app = ?1 AND process = ?2");
    query_int(&query, 1, due->app);
    query_text(&query, 2, due->name);
    int64_t at_s = query_next(&query) ? moment(&query, 0) : -1;
    return query_end(&query) ? at_s : -1;
}

/* Packs all finished hours of one process. */
static bool compact_process(struct store *store, int64_t now_s, const struct due *due,
                            struct hour *hour, const struct store_rest *rest) {
    bool ok = remove_old(store, due->app, due->name, now_s);
    hour->app = due->app;
    hour->process = due->name;
    for (int64_t row_s = due->row_s;
         ok && row_s >= 0 && row_s < hour_of(now_s) && store_rests(rest);
         row_s = oldest_row(store, due)) {
        hour->start_s = hour_of(row_s);
        ok = pack_hour(store, hour);
    }
    return ok;
}

static bool remove_old_acts(struct store *store, int64_t now_s) {
    struct query query = store_query(store, "SELECT min(ordered_s) FROM act WHERE id = (SELECT"
                                            " min(id) FROM act)");
    bool found = query_next(&query) && !column_is_null(&query, 0);
    bool old = found && column_int(&query, 0) < now_s - ACTS_KEPT_S;
    if (!query_end(&query)) return false;
    if (!old) return true;
    query = store_query(store, "DELETE FROM act WHERE ordered_s < ?1");
    query_int(&query, 1, now_s - ACTS_KEPT_S);
    return query_run(&query);
}

bool ledger_compact(struct store *store, int64_t now_s, const struct store_rest *rest) {
    size_t count;
    bool ok;
    struct due *due = all_due(store, now_s, &count, &ok);
    struct hour hour = {.ticks = malloc(LEDGER_PACK_TICKS * sizeof *hour.ticks)};
    ok = ok && hour.ticks;
    for (size_t i = 0; i < count && hour.ticks && store_rests(rest); i++)
        ok =
            compact_process(store, now_s, &due[i], &hour, rest) && ok; /* goes on with the others */
    free(hour.ticks);
    free(due);
    return remove_old_acts(store, now_s) && ok;
}

bool ledger_remove_app(struct store *store, int64_t app) {
    static const char *const removals[] = {
        "DELETE FROM tick WHERE app = ?1", "DELETE FROM tick_pack WHERE app = ?1",
        "DELETE FROM tick_memory WHERE app = ?1", "DELETE FROM act WHERE app = ?1"};
    for (size_t i = 0; i < sizeof removals / sizeof *removals; i++) {
        struct query query = store_query(store, removals[i]);
        query_int(&query, 1, app);
        if (!query_run(&query)) return false;
    }
    return true;
}
