/* Orders to platforms. */
#include <stdio.h>

#include "store/ledger.h"

#define COLUMNS \
    "id, app, process, from_dynos, to_dynos, epoch, ordered_s, ended_s, state, tries, trouble"

bool act_add(struct store *store, struct act *act) {
    struct query query =
        store_query(store, "INSERT INTO act (app, process, from_dynos, to_dynos, epoch, ordered_s,"
                           " ended_s, state, tries, trouble)"
                           " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 WHERE NOT EXISTS"
                           " (SELECT 1 FROM lease WHERE shard = 0 AND epoch > ?5) RETURNING id");
    query_int(&query, 1, act->app);
    query_text(&query, 2, act->process);
    query_int(&query, 3, act->from);
    query_int(&query, 4, act->to);
    query_int(&query, 5, act->epoch);
    query_int(&query, 6, act->ordered_s);
    query_int(&query, 7, act->ended_s);
    query_int(&query, 8, act->state);
    query_int(&query, 9, act->tries);
    query_text(&query, 10, act->trouble);
    bool added = query_next(&query);
    if (added) act->id = column_int(&query, 0);
    return query_end(&query) && added;
}

bool act_update(struct store *store, const struct act *act) {
    struct query query =
        store_query(store, "UPDATE act SET to_dynos = ?2, ended_s = ?3, state = ?4, tries = ?5,"
                           " trouble = ?6, epoch = ?7 WHERE id = ?1 AND epoch <= ?7");
    query_int(&query, 1, act->id);
    query_int(&query, 2, act->to);
    query_int(&query, 3, act->ended_s);
    query_int(&query, 4, act->state);
    query_int(&query, 5, act->tries);
    query_text(&query, 6, act->trouble);
    query_int(&query, 7, act->epoch);
    return query_run(&query);
}

static void take(struct query *query, struct act *act) {
    *act = (struct act){.id = column_int(query, 0),
                        .app = column_int(query, 1),
                        .from = (int)column_int(query, 3),
                        .to = (int)column_int(query, 4),
                        .epoch = column_int(query, 5),
                        .ordered_s = column_int(query, 6),
                        .ended_s = column_int(query, 7),
                        .state = (enum act_state)column_int(query, 8),
                        .tries = (int)column_int(query, 9)};
    snprintf(act->process, sizeof act->process, "%s", column_text(query, 2));
    snprintf(act->trouble, sizeof act->trouble, "%s", column_text(query, 10));
}

bool act_last(struct store *store, int64_t app, const char *process, struct act *act) {
    struct query query =
        store_query(store, "SELECT " COLUMNS " FROM act WHERE app = ?1 AND process = ?2"
                           " ORDER BY id DESC LIMIT 1");
    query_int(&query, 1, app);
    query_text(&query, 2, process);
    bool found = query_next(&query);
    if (found) take(&query, act);
    return query_end(&query) && found;
}

bool act_each_last(struct store *store, int64_t from_app, int64_t to_app,
                   bool (*each)(void *context, const struct act *act), void *context) {
    struct query query = store_query(
        store, "SELECT " COLUMNS " FROM act WHERE id IN (SELECT (SELECT newest.id FROM act newest"
               " WHERE newest.app = tick_memory.app AND newest.process = tick_memory.process"
               " ORDER BY newest.id DESC LIMIT 1) FROM tick_memory WHERE app >= ?1 AND app <= ?2)");
    query_int(&query, 1, from_app);
    query_int(&query, 2, to_app);
    struct act act;
    bool wanted = true;
    while (wanted && query_next(&query)) {
        take(&query, &act);
        wanted = each(context, &act);
    }
    return query_end(&query) && wanted;
}

bool act_each(struct store *store, int64_t app, const char *process, int64_t from_s, int64_t to_s,
              bool (*each)(void *context, const struct act *act), void *context) {
    struct query query =
        store_query(store, "SELECT " COLUMNS " FROM act WHERE app = ?1 AND process = ?2 AND"
                           " ordered_s >= ?3 AND ordered_s < ?4 ORDER BY ordered_s, id");
    query_int(&query, 1, app);
    query_text(&query, 2, process);
    query_int(&query, 3, from_s);
    query_int(&query, 4, to_s);
    struct act act;
    while (query_next(&query)) {
        take(&query, &act);
        if (!each(context, &act)) break;
    }
    return query_end(&query);
}
