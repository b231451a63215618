#include "store/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/ledger_pack.h"

enum {
    HOUR_S = 3600,
    KEPT_S = 30 * 24 * HOUR_S,
    ACTS_KEPT_S = 400 * 24 * HOUR_S,
    PACKED_AT_ONCE = 64, /* hours that one ledger_compact packs, and a share of more processes */
    PACKED_SHARE = 20,
};

static int64_t hour_of(int64_t at_s) { return at_s - (at_s % HOUR_S + HOUR_S) % HOUR_S; }

static void copy(char *to, size_t size, const char *from) { snprintf(to, size, "%s", from); }

/* ---- Writing -------------------------------------------------------------------------------- */

/* What was learned takes more than all the rest, and each tick could make it again from what the
 * tick before it was given: so it is kept of the first tick of an hour, and of one whose
 * predecessor is not in the hour. */
static bool is_chained(const struct ledger_tick *tick) {
    int64_t before = tick->memory.last_tick, now = tick->situation.now;
    return before > 0 && before < now && hour_of(before) == hour_of(now) &&
           !learned_is_empty(&tick->memory.learned);
}

bool ledger_add(struct store *store, const struct ledger_tick *tick, const struct memory *after) {
    size_t length;
    struct ledger_tick kept = *tick;
    kept.chained = is_chained(tick);
    uint8_t *data = ledger_pack(&kept, 1, &length), memory[MEMORY_STORED];
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
    query = store_query(store, "INSERT INTO tick_memory (app, process, data) VALUES (?1, ?2, ?3)"
                               " ON CONFLICT (app, process) DO UPDATE SET data = excluded.data");
    query_int(&query, 1, tick->app);
    query_text(&query, 2, tick->process);
    query_blob(&query, 3, memory, memory_encode(memory, after));
    return query_run(&query) && ok;
}

bool ledger_memory(struct store *store, int64_t app, const char *process, struct memory *memory) {
    memory_clear(memory);
    struct query query =
        store_query(store, "SELECT data FROM tick_memory WHERE app = ?1 AND process = ?2");
    query_int(&query, 1, app);
    query_text(&query, 2, process);
    bool found = query_next(&query);
    if (found) {
        size_t length;
        const void *data = column_blob(&query, 0, &length);
        found = memory_decode(memory, data, length);
        if (!found) memory_clear(memory);
    }
    return query_end(&query) && found;
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* The ticks of a row; the caller frees them. */
static struct ledger_tick *ticks_of(const void *data, size_t length, int64_t app,
                                    const char *process, size_t *count) {
    struct ledger_tick *ticks = data ? ledger_unpack(data, length, count) : NULL;
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

/* False: `each` wants no more. */
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
        struct ledger_tick *ticks = ticks_of(data, length, app, process, &count);
        ok = ticks != NULL;
        if (ok) more = give(&range, ticks, count);
        free(ticks);
    }
    return query_end(&query) && ok;
}

/* Of the rows that a query gives, which are ordered by their age, the last tick at or before the
 * moment. */
static bool last_of(struct query *query, int64_t app, const char *process, int64_t at_s,
                    struct ledger_tick *tick) {
    bool found = false;
    query_int(query, 1, app);
    query_text(query, 2, process);
    query_int(query, 3, at_s);
    while (!found && query_next(query)) {
        size_t length, count;
        const void *data = column_blob(query, 0, &length);
        struct ledger_tick *ticks = ticks_of(data, length, app, process, &count);
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
    struct query query =
        store_query(store, "SELECT data FROM tick WHERE app = ?1 AND process = ?2 AND at_s <= ?3"
                           " ORDER BY at_s DESC LIMIT 1");
    if (last_of(&query, app, process, at_s, tick)) return true;
    query = store_query(store, "SELECT data FROM tick_pack WHERE app = ?1 AND process = ?2 AND"
                               " start_s <= ?3 ORDER BY start_s DESC LIMIT 2");
    return last_of(&query, app, process, at_s, tick);
}

/* ---- Packing -------------------------------------------------------------------------------- */

struct hour {
    int64_t app, start_s;
    const char *process;
    struct ledger_tick *ticks; /* in the order of their moments, room for LEDGER_PACK_TICKS */
    size_t count;
    int64_t changes;
};

/* Mostly at the end; else, after a clock was set back, where its moment belongs, in place of an
 * earlier tick of the same second. */
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

/* Its rows, and what was packed of it before: both only after a clock was set back. */
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

static bool pack_hour(struct store *store, struct hour *hour) {
    size_t length;
    hour->count = 0;
    uint8_t *data = NULL;
    bool ok = read_hour(store, hour) && (data = ledger_pack(hour->ticks, hour->count, &length));
    ok = ok && store_begin(store);
    ok = ok && write_hour(store, hour, data, length) && remove_rows(store, hour) &&
         store_commit(store);
    if (!ok) store_rollback(store);
    free(data);
    return ok;
}

/* The moment that a query gives for a process, -1: none. */
static int64_t moment(struct query *query, int64_t app, const char *process) {
    query_int(query, 1, app);
    query_text(query, 2, process);
    int64_t at_s = query_next(query) ? column_int(query, 0) : -1;
    return query_end(query) ? at_s : -1;
}

static bool remove_old(struct store *store, int64_t app, const char *process, int64_t now_s) {
    struct query query =
        store_query(store, "SELECT start_s FROM tick_pack WHERE app = ?1 AND process = ?2"
                           " ORDER BY start_s LIMIT 1");
    int64_t oldest = moment(&query, app, process);
    if (oldest < 0 || oldest >= now_s - KEPT_S - HOUR_S) return true;
    query = store_query(store, "DELETE FROM tick_pack WHERE app = ?1 AND process = ?2 AND"
                               " start_s < ?3");
    query_int(&query, 1, app);
    query_text(&query, 2, process);
    query_int(&query, 3, now_s - KEPT_S - HOUR_S);
    return query_run(&query);
}

/* Packs hours of one process that are over, at most *left of them. */
static bool compact_process(struct store *store, int64_t now_s, struct hour *hour, int *left) {
    bool ok = remove_old(store, hour->app, hour->process, now_s);
    while (ok && *left > 0) {
        struct query query =
            store_query(store, "SELECT at_s FROM tick WHERE app = ?1 AND process = ?2"
                               " ORDER BY at_s LIMIT 1");
        int64_t oldest = moment(&query, hour->app, hour->process);
        if (oldest < 0 || oldest >= hour_of(now_s)) break;
        hour->start_s = hour_of(oldest);
        ok = pack_hour(store, hour);
        (*left)--;
    }
    return ok;
}

struct process_name {
    int64_t app;
    char name[RULE_PROCESS_SIZE];
};

static struct process_name *all_processes(struct store *store, size_t *count, bool *ok) {
    struct process_name *names = NULL;
    size_t room = 0;
    *count = 0;
    *ok = true;
    struct query query = store_query(store, "SELECT app, process FROM tick_memory");
    while (query_next(&query)) {
        if (*count == room) {
            room = room ? room * 2 : 64;
            struct process_name *more = realloc(names, room * sizeof *names);
            *ok = more != NULL;
            if (!more) break;
            names = more;
        }
        names[*count].app = column_int(&query, 0);
        copy(names[*count].name, sizeof names->name, column_text(&query, 1));
        (*count)++;
    }
    *ok = query_end(&query) && *ok;
    return names;
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

bool ledger_compact(struct store *store, int64_t now_s) {
    size_t count;
    bool ok;
    struct process_name *names = all_processes(store, &count, &ok);
    struct hour hour = {.ticks = malloc(LEDGER_PACK_TICKS * sizeof *hour.ticks)};
    int left = PACKED_AT_ONCE + (int)(count / PACKED_SHARE);
    ok = ok && hour.ticks;
    for (size_t i = 0; i < count && hour.ticks && left > 0; i++) {
        hour.app = names[i].app;
        hour.process = names[i].name;
        ok = compact_process(store, now_s, &hour, &left) && ok; /* the others all the same */
    }
    free(hour.ticks);
    free(names);
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
