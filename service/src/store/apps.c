#define _GNU_SOURCE
#include "store/apps.h"

#include <stdlib.h>
#include <string.h>

#include "store/database.h"
#include "store/ledger.h"

static void copy(char *to, size_t size, const char *from) {
    size_t length = from ? strlen(from) : 0;
    if (length >= size) length = size - 1;
    if (length > 0) memcpy(to, from, length);
    to[length] = '\0';
}

/* ---- Apps ---------------------------------------------------------------------------------- */

enum { APPS_AT_ONCE = 128 };

#define APP_COLUMNS "id, name, zone, created_s, kept_days"

static void app_of(struct query *query, struct app *app) {
    app->id = column_int(query, 0);
    copy(app->name, sizeof app->name, column_text(query, 1));
    copy(app->zone, sizeof app->zone, column_text(query, 2));
    app->created_s = column_int(query, 3);
    app->kept_days = column_int(query, 4);
}

static bool one_app(struct query *query, struct app *app) {
    bool found = query_next(query);
    if (found) app_of(query, app);
    return query_end(query) && found;
}

bool app_by_name(struct store *store, const char *name, struct app *app) {
    struct query query = store_query(store, "SELECT " APP_COLUMNS " FROM app WHERE name = ?1");
    query_text(&query, 1, name);
    return one_app(&query, app);
}

bool app_by_id(struct store *store, int64_t id, struct app *app) {
    struct query query = store_query(store, "SELECT " APP_COLUMNS " FROM app WHERE id = ?1");
    query_int(&query, 1, id);
    return one_app(&query, app);
}

/* Reads a few apps after `name`, so that no statement is open while `each` looks at them. */
static bool next_apps(struct store *store, const char *name, struct app apps[APPS_AT_ONCE],
                      int *count) {
    struct query query = store_query(store, "SELECT " APP_COLUMNS
                                            " FROM app WHERE name > ?1 ORDER BY name LIMIT ?2");
    query_text(&query, 1, name);
    query_int(&query, 2, APPS_AT_ONCE);
    for (*count = 0; *count < APPS_AT_ONCE && query_next(&query); (*count)++)
        app_of(&query, &apps[*count]);
    return query_end(&query);
}

bool app_each(struct store *store, bool (*each)(void *context, const struct app *app),
              void *context) {
    struct app apps[APPS_AT_ONCE] = {{.name = ""}};
    int count = 1;
    do {
        char last[APP_NAME_SIZE];
        copy(last, sizeof last, apps[count - 1].name);
        if (!next_apps(store, last, apps, &count)) return false;
        for (int i = 0; i < count; i++)
            if (!each(context, &apps[i])) return true;
    } while (count == APPS_AT_ONCE);
    return true;
}

bool app_add(struct store *store, struct app *app) {
    struct query query =
        store_query(store, "INSERT INTO app (name, zone, created_s, kept_days) VALUES (?1, ?2, ?3, "
                           "?4) ON CONFLICT (name) DO NOTHING RETURNING id");
    query_text(&query, 1, app->name);
    query_text(&query, 2, app->zone);
    query_int(&query, 3, app->created_s);
    query_int(&query, 4, app->kept_days);
    app->id = query_next(&query) ? column_int(&query, 0) : 0;
    return query_end(&query) && app->id > 0 && store_touch_config(store);
}

bool app_set_zone(struct store *store, int64_t id, const char *zone) {
    struct query query = store_query(store, "UPDATE app SET zone = ?2 WHERE id = ?1");
    query_int(&query, 1, id);
    query_text(&query, 2, zone);
    return query_run(&query) && store_touch_config(store);
}

bool app_set_kept_days(struct store *store, int64_t id, int64_t days) {
    struct query query = store_query(store, "UPDATE app SET kept_days = ?2 WHERE id = ?1");
    query_int(&query, 1, id);
    query_int(&query, 2, days);
    return query_run(&query) && store_touch_config(store);
}

static bool delete_of_app(struct store *store, const char *sql, int64_t app) {
    struct query query = store_query(store, sql);
    query_int(&query, 1, app);
    return query_run(&query);
}

/* Every table with a column `app`; a test fails if one is missing. */
static const char *const deletions[] = {
    "DELETE FROM report_token WHERE app = ?1",
    "DELETE FROM api_token WHERE app = ?1",
    "DELETE FROM rules WHERE app = ?1",
    "DELETE FROM platform WHERE app = ?1",
    "DELETE FROM orders WHERE app = ?1",
    "DELETE FROM audit WHERE app = ?1",
    "DELETE FROM report WHERE app = ?1",
    "DELETE FROM part WHERE app = ?1",
    "DELETE FROM chunk WHERE app = ?1",
    "DELETE FROM series WHERE app = ?1",
    "DELETE FROM price WHERE app = ?1",
    "DELETE FROM session WHERE app = ?1",
    "DELETE FROM addon_person WHERE app = ?1",
    /* The row stays as a record of what Heroku requested. */
    ("UPDATE addon_resource SET app = 0, name = '', heroku_app = '', trouble = '', sealed = NULL "
     "WHERE app = ?1"),
    "DELETE FROM delivery WHERE channel IN (SELECT id FROM channel WHERE app = ?1)",
    "DELETE FROM channel WHERE app = ?1",
    "DELETE FROM watch WHERE app = ?1",
    "DELETE FROM notice WHERE app = ?1",
};

bool app_remove(struct store *store, int64_t id) {
    store_erases(store);
    for (size_t i = 0; i < sizeof deletions / sizeof *deletions; i++)
        if (!delete_of_app(store, deletions[i], id)) return false;
    return ledger_remove_app(store, id) &&
           delete_of_app(store, "DELETE FROM app WHERE id = ?1", id) && store_touch_config(store);
}

/* ---- Report tokens ------------------------------------------------------------------------- */

bool report_token_add(struct store *store, int64_t app, const uint8_t hash[TOKEN_HASH_SIZE],
                      const char *hint, int64_t now_s) {
    struct query query = store_query(store, "INSERT INTO report_token (hash, app, hint, created_s) "
                                            "VALUES (?1, ?2, ?3, ?4)");
    query_blob(&query, 1, hash, TOKEN_HASH_SIZE);
    query_int(&query, 2, app);
    query_text(&query, 3, hint);
    query_int(&query, 4, now_s);
    return query_run(&query) && store_touch_config(store);
}

bool report_token_expire_others(struct store *store, int64_t app,
                                const uint8_t hash[TOKEN_HASH_SIZE], int64_t expires_s) {
    struct query query = store_query(
        store, "UPDATE report_token SET expires_s = ?3 WHERE app = ?1 AND hash <> ?2 AND "
               "(expires_s = 0 OR expires_s > ?3)");
    query_int(&query, 1, app);
    query_blob(&query, 2, hash, TOKEN_HASH_SIZE);
    query_int(&query, 3, expires_s);
    return query_run(&query) && store_touch_config(store);
}

bool report_token_each(struct store *store,
                       bool (*each)(void *context, const uint8_t *hash, int64_t app,
                                    int64_t expires_s),
                       void *context) {
    struct query query = store_query(store, "SELECT hash, app, expires_s FROM report_token");
    while (query_next(&query)) {
        size_t length;
        const uint8_t *hash = column_blob(&query, 0, &length);
        if (length != TOKEN_HASH_SIZE) continue;
        if (!each(context, hash, column_int(&query, 1), column_int(&query, 2))) break;
    }
    return query_end(&query);
}

bool report_token_of_app(struct store *store, int64_t app, int64_t now_s,
                         void (*each)(void *context, const char *hint, int64_t created_s,
                                      int64_t expires_s),
                         void *context) {
    struct query query = store_query(
        store, "SELECT hint, created_s, expires_s FROM report_token WHERE app = ?1 AND "
               "(expires_s = 0 OR expires_s > ?2) ORDER BY expires_s = 0 DESC, created_s DESC");
    query_int(&query, 1, app);
    query_int(&query, 2, now_s);
    while (query_next(&query))
        each(context, column_text(&query, 0), column_int(&query, 1), column_int(&query, 2));
    return query_end(&query);
}

bool report_token_tidy(struct store *store, int64_t now_s) {
    struct query query =
        store_query(store, "DELETE FROM report_token WHERE expires_s <> 0 AND expires_s <= ?1");
    query_int(&query, 1, now_s);
    return query_run(&query);
}

/* ---- Rules --------------------------------------------------------------------------------- */

static int64_t newest_rules(struct store *store, int64_t app) {
    struct query query =
        store_query(store, "SELECT coalesce(max(version), 0) FROM rules WHERE app = ?1");
    query_int(&query, 1, app);
    int64_t version = query_next(&query) ? column_int(&query, 0) : -1;
    return query_end(&query) ? version : -1;
}

int64_t rules_put(struct store *store, int64_t app, const char *text, const char *who,
                  int64_t now_s) {
    int64_t version = newest_rules(store, app);
    if (version < 0) return -1;
    struct query query =
        store_query(store, "INSERT INTO rules (app, version, at_s, who, body) VALUES (?1, ?2, ?3, "
                           "?4, ?5)");
    query_int(&query, 1, app);
    query_int(&query, 2, ++version);
    query_int(&query, 3, now_s);
    query_text(&query, 4, who);
    query_text(&query, 5, text);
    return query_run(&query) && store_touch_config(store) ? version : -1;
}

char *rules_get(struct store *store, int64_t app, int64_t version, int64_t *found) {
    struct query query = store_query(
        store, "SELECT version, body FROM rules WHERE app = ?1 AND (?2 = 0 OR version = ?2) "
               "ORDER BY version DESC LIMIT 1");
    query_int(&query, 1, app);
    query_int(&query, 2, version);
    char *text = NULL;
    if (query_next(&query)) {
        if (found) *found = column_int(&query, 0);
        text = store_copy(store, column_text(&query, 1));
    }
    if (query_end(&query)) return text;
    free(text);
    return NULL;
}

bool rules_each(struct store *store, int64_t app,
                bool (*each)(void *context, int64_t version, int64_t at_s, const char *who,
                             const char *text),
                void *context) {
    struct query query = store_query(
        store, "SELECT version, at_s, who, body FROM rules WHERE app = ?1 ORDER BY version DESC");
    query_int(&query, 1, app);
    while (query_next(&query)) {
        if (!each(context, column_int(&query, 0), column_int(&query, 1), column_text(&query, 2),
                  column_text(&query, 3)))
            break;
    }
    return query_end(&query);
}

bool rules_each_newest(struct store *store,
                       bool (*each)(void *context, int64_t app, int64_t version, int64_t at_s,
                                    const char *text),
                       void *context) {
    struct query query = store_query(
        store, "SELECT rules.app, rules.version, rules.at_s, rules.body FROM app JOIN rules ON "
               "rules.app = app.id AND rules.version = "
               "(SELECT max(newest.version) FROM rules newest WHERE newest.app = app.id)");
    bool wanted = true;
    while (wanted && query_next(&query))
        wanted = each(context, column_int(&query, 0), column_int(&query, 1), column_int(&query, 2),
                      column_text(&query, 3));
    return query_end(&query) && wanted;
}

/* ---- Platforms ----------------------------------------------------------------------------- */

bool platform_put(struct store *store, int64_t app, const char *kind, const char *settings,
                  const void *sealed, size_t sealed_length) {
    struct query query = store_query(
        store, "INSERT INTO platform (app, kind, settings, sealed) VALUES (?1, ?2, ?3, ?4) "
               "ON CONFLICT (app) DO UPDATE SET kind = excluded.kind, "
               "settings = excluded.settings, sealed = excluded.sealed, "
               "times_set = platform.times_set + 1");
    query_int(&query, 1, app);
    query_text(&query, 2, kind);
    query_text(&query, 3, settings);
    query_blob(&query, 4, sealed, sealed_length);
    return query_run(&query) && store_touch_config(store);
}

bool platform_renew(struct store *store, int64_t app, const void *before, size_t before_length,
                    const void *sealed, size_t length) {
    struct query query =
        store_query(store, "UPDATE platform SET sealed = ?3 WHERE app = ?1 AND sealed = ?2");
    query_int(&query, 1, app);
    query_blob(&query, 2, before, before_length);
    query_blob(&query, 3, sealed, length);
    return query_run(&query);
}

bool platform_get(struct store *store, int64_t app, char **kind, char **settings, void **sealed,
                  size_t *sealed_length) {
    *kind = *settings = NULL;
    *sealed = NULL;
    *sealed_length = 0;
    struct query query =
        store_query(store, "SELECT kind, settings, sealed FROM platform WHERE app = ?1");
    query_int(&query, 1, app);
    bool found = query_next(&query);
    if (found) {
        const void *bytes = column_blob(&query, 2, sealed_length);
        *kind = store_copy(store, column_text(&query, 0));
        *settings = store_copy(store, column_text(&query, 1));
        *sealed = store_copy_bytes(store, bytes, *sealed_length);
        found = *kind && *settings && (!bytes || *sealed);
    }
    if (query_end(&query) && found) return true;
    free(*kind);
    free(*settings);
    free(*sealed);
    *kind = *settings = NULL;
    *sealed = NULL;
    return false;
}

bool platform_each(struct store *store,
                   bool (*each)(void *context, int64_t app, const char *kind, const char *settings,
                                const void *sealed, size_t sealed_length, int64_t times_set),
                   void *context) {
    struct query query =
        store_query(store, "SELECT app, kind, settings, sealed, times_set FROM platform");
    bool wanted = true;
    while (wanted && query_next(&query)) {
        size_t length;
        const void *sealed = column_blob(&query, 3, &length);
        wanted = each(context, column_int(&query, 0), column_text(&query, 1),
                      column_text(&query, 2), sealed, length, column_int(&query, 4));
    }
    return query_end(&query) && wanted;
}

bool platform_remove(struct store *store, int64_t app) {
    return delete_of_app(store, "DELETE FROM platform WHERE app = ?1", app) &&
           store_touch_config(store);
}

/* ---- Orders of people ---------------------------------------------------------------------- */

#define ORDERS_COLUMNS "paused, paused_until_s, paused_by, boost, boost_until_s, boost_by"

static void orders_of(struct query *query, struct process_orders *orders) {
    orders->paused = (int)column_int(query, 0);
    orders->paused_until_s = column_int(query, 1);
    copy(orders->paused_by, sizeof orders->paused_by, column_text(query, 2));
    orders->boost = (int)column_int(query, 3);
    orders->boost_until_s = column_int(query, 4);
    copy(orders->boost_by, sizeof orders->boost_by, column_text(query, 5));
}

bool orders_get(struct store *store, int64_t app, const char *process,
                struct process_orders *orders) {
    *orders = (struct process_orders){.boost = -1};
    struct query query =
        store_query(store, "SELECT " ORDERS_COLUMNS " FROM orders WHERE app = ?1 AND process = ?2");
    query_int(&query, 1, app);
    query_text(&query, 2, process);
    if (query_next(&query)) orders_of(&query, orders);
    return query_end(&query);
}

bool orders_each(struct store *store,
                 bool (*each)(void *context, int64_t app, const char *process,
                              const struct process_orders *orders),
                 void *context) {
    struct query query = store_query(store, "SELECT " ORDERS_COLUMNS ", app, process FROM orders");
    bool wanted = true;
    while (wanted && query_next(&query)) {
        struct process_orders orders;
        orders_of(&query, &orders);
        wanted = each(context, column_int(&query, 6), column_text(&query, 7), &orders);
    }
    return query_end(&query) && wanted;
}

bool orders_put(struct store *store, int64_t app, const char *process,
                const struct process_orders *orders) {
    struct query query = store_query(
        store, "INSERT INTO orders (app, process, paused, paused_until_s, paused_by, boost, "
               "boost_until_s, boost_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
               "ON CONFLICT (app, process) DO UPDATE SET paused = excluded.paused, "
               "paused_until_s = excluded.paused_until_s, paused_by = excluded.paused_by, "
               "boost = excluded.boost, boost_until_s = excluded.boost_until_s, "
               "boost_by = excluded.boost_by");
    query_int(&query, 1, app);
    query_text(&query, 2, process);
    query_int(&query, 3, orders->paused);
    query_int(&query, 4, orders->paused_until_s);
    query_text(&query, 5, orders->paused_by);
    query_int(&query, 6, orders->boost);
    query_int(&query, 7, orders->boost_until_s);
    query_text(&query, 8, orders->boost_by);
    return query_run(&query) && store_touch_config(store);
}

/* ---- The audit log ------------------------------------------------------------------------- */

bool audit_add(struct store *store, int64_t now_s, const char *who, int64_t app, const char *what,
               const char *difference) {
    struct query query = store_query(
        store, "INSERT INTO audit (at_s, who, app, what, difference) VALUES (?1, ?2, ?3, ?4, ?5)");
    query_int(&query, 1, now_s);
    query_text(&query, 2, who);
    query_int(&query, 3, app);
    query_text(&query, 4, what);
    query_text(&query, 5, difference);
    return query_run(&query);
}

bool audit_each(struct store *store, int64_t app, int64_t before_id, int limit,
                bool (*each)(void *context, int64_t id, int64_t at_s, const char *who, int64_t app,
                             const char *what, const char *difference),
                void *context) {
    struct query query = store_query(
        store, "SELECT id, at_s, who, app, what, difference FROM audit WHERE (?1 = 0 OR app = ?1) "
               "AND (?2 = 0 OR id < ?2) ORDER BY id DESC LIMIT ?3");
    query_int(&query, 1, app);
    query_int(&query, 2, before_id);
    query_int(&query, 3, limit);
    while (query_next(&query)) {
        if (!each(context, column_int(&query, 0), column_int(&query, 1), column_text(&query, 2),
                  column_int(&query, 3), column_text(&query, 4), column_text(&query, 5)))
            break;
    }
    return query_end(&query);
}
