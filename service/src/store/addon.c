#include "store/addon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/database.h"
#include "store/people.h"

#define COLUMNS \
    "uuid, app, plan, name, heroku_app, state, trouble, dynos, created_s, ended_s, next_s, tries"

static void take(struct query *query, struct addon_resource *to) {
    memset(to, 0, sizeof *to);
    snprintf(to->uuid, sizeof to->uuid, "%s", column_text(query, 0));
    to->app = column_int(query, 1);
    snprintf(to->plan, sizeof to->plan, "%s", column_text(query, 2));
    snprintf(to->name, sizeof to->name, "%s", column_text(query, 3));
    snprintf(to->heroku_app, sizeof to->heroku_app, "%s", column_text(query, 4));
    snprintf(to->state, sizeof to->state, "%s", column_text(query, 5));
    snprintf(to->trouble, sizeof to->trouble, "%s", column_text(query, 6));
    to->dynos = column_int(query, 7);
    to->created_s = column_int(query, 8);
    to->ended_s = column_int(query, 9);
    to->next_s = column_int(query, 10);
    to->tries = column_int(query, 11);
}

static bool one(struct query *query, struct addon_resource *resource) {
    bool found = query_next(query);
    if (found) take(query, resource);
    return query_end(query) && found;
}

bool addon_by_uuid(struct store *store, const char *uuid, struct addon_resource *resource) {
    struct query query =
        store_query(store, "SELECT " COLUMNS " FROM addon_resource WHERE uuid = ?1");
    query_text(&query, 1, uuid);
    return one(&query, resource);
}

bool addon_of_app(struct store *store, int64_t app, struct addon_resource *resource) {
    if (app == 0) return false;
    struct query query =
        store_query(store, "SELECT " COLUMNS " FROM addon_resource WHERE app = ?1");
    query_int(&query, 1, app);
    return one(&query, resource);
}

bool addon_each_plan(struct store *store, bool (*each)(void *context, int64_t app, int64_t dynos),
                     void *context) {
    struct query query =
        store_query(store, "SELECT app, dynos FROM addon_resource WHERE app <> 0 AND dynos > 0");
    bool wanted = true;
    while (wanted && query_next(&query))
        wanted = each(context, column_int(&query, 0), column_int(&query, 1));
    return query_end(&query) && wanted;
}

bool addon_due(struct store *store, int64_t now_s, struct addon_resource *resource) {
    struct query query =
        store_query(store, "SELECT " COLUMNS " FROM addon_resource WHERE next_s > 0 AND "
                           "next_s <= ?1 ORDER BY next_s LIMIT 1");
    query_int(&query, 1, now_s);
    return one(&query, resource);
}

bool addon_add(struct store *store, const struct addon_resource *resource, const void *sealed,
               size_t sealed_length) {
    struct query query = store_query(store, "INSERT INTO addon_resource (" COLUMNS
                                            ", sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
                                            "?7, ?8, ?9, ?10, ?11, ?12, ?13)");
    query_text(&query, 1, resource->uuid);
    query_int(&query, 2, resource->app);
    query_text(&query, 3, resource->plan);
    query_text(&query, 4, resource->name);
    query_text(&query, 5, resource->heroku_app);
    query_text(&query, 6, resource->state);
    query_text(&query, 7, resource->trouble);
    query_int(&query, 8, resource->dynos);
    query_int(&query, 9, resource->created_s);
    query_int(&query, 10, resource->ended_s);
    query_int(&query, 11, resource->next_s);
    query_int(&query, 12, resource->tries);
    query_blob(&query, 13, sealed, sealed_length);
    return query_run(&query) && store_touch_config(store);
}

bool addon_update(struct store *store, const struct addon_resource *resource) {
    struct query query = store_query(
        store, "UPDATE addon_resource SET app = ?2, plan = ?3, name = ?4, heroku_app = ?5, "
               "state = ?6, trouble = ?7, dynos = ?8, ended_s = ?9, next_s = ?10, tries = ?11 "
               "WHERE uuid = ?1");
    query_text(&query, 1, resource->uuid);
    query_int(&query, 2, resource->app);
    query_text(&query, 3, resource->plan);
    query_text(&query, 4, resource->name);
    query_text(&query, 5, resource->heroku_app);
    query_text(&query, 6, resource->state);
    query_text(&query, 7, resource->trouble);
    query_int(&query, 8, resource->dynos);
    query_int(&query, 9, resource->ended_s);
    query_int(&query, 10, resource->next_s);
    query_int(&query, 11, resource->tries);
    return query_run(&query) && store_touch_config(store);
}

void *addon_sealed(struct store *store, const char *uuid, size_t *length) {
    void *copy = NULL;
    *length = 0;
    struct query query = store_query(store, "SELECT sealed FROM addon_resource WHERE uuid = ?1");
    query_text(&query, 1, uuid);
    if (query_next(&query)) {
        const void *bytes = column_blob(&query, 0, length);
        copy = store_copy_bytes(store, bytes, *length);
    }
    query_end(&query);
    return copy;
}

bool addon_seal(struct store *store, const char *uuid, const void *sealed, size_t length) {
    struct query query =
        store_query(store, "UPDATE addon_resource SET sealed = ?2 WHERE uuid = ?1 AND "
                           "state <> 'gone'");
    query_text(&query, 1, uuid);
    query_blob(&query, 2, sealed, length);
    return query_run(&query);
}

bool addon_person_add(struct store *store, int64_t app, int64_t person) {
    struct query query =
        store_query(store, "INSERT INTO addon_person (app, person) VALUES (?1, ?2) "
                           "ON CONFLICT (app, person) DO NOTHING");
    query_int(&query, 1, app);
    query_int(&query, 2, person);
    return query_run(&query);
}

bool addon_people_remove(struct store *store, int64_t app) {
    enum { SOME = 64 };
    int64_t people[SOME];
    int count;
    do {
        count = 0;
        struct query query =
            store_query(store, "SELECT person FROM addon_person WHERE app = ?1 AND person NOT IN "
                               "(SELECT person FROM addon_person WHERE app <> ?1) AND person IN "
                               "(SELECT id FROM person) LIMIT 64");
        query_int(&query, 1, app);
        while (query_next(&query)) people[count++] = column_int(&query, 0);
        if (!query_end(&query)) return false;
        for (int i = 0; i < count; i++)
            if (!person_remove(store, people[i])) return false;
    } while (count == SOME);
    return true;
}

bool addon_use(struct store *store, const uint8_t hash[TOKEN_HASH_SIZE], int64_t now_s,
               int64_t until_s) {
    struct query over = store_query(store, "DELETE FROM addon_used WHERE until_s < ?1");
    query_int(&over, 1, now_s);
    if (!query_run(&over)) return false;
    struct query query = store_query(store, "INSERT INTO addon_used (hash, until_s) VALUES "
                                            "(?1, ?2) ON CONFLICT (hash) DO NOTHING");
    query_blob(&query, 1, hash, TOKEN_HASH_SIZE);
    query_int(&query, 2, until_s);
    return query_run(&query) && store_changed(store) == 1;
}
