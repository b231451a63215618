/*
 * What all databases share: failed transactions stay failed; the schema; the meta table.
 */
#define _GNU_SOURCE /* strdup */
#include "store/store.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "store/database.h"

enum { CLOCK_TOLD_MS = 1000 };

void store_failed(struct store *store, const char *format, ...) {
    store->failures++;
    if (store->in_transaction) store->spoiled = true;
    va_list values;
    va_start(values, format);
    vsnprintf(store->error, sizeof store->error, format, values);
    va_end(values);
}

const char *store_error(const struct store *store) { return store->error; }

uint64_t store_failures(const struct store *store) { return store->failures; }

void store_forgive(struct store *store, uint64_t failures) { store->failures = failures; }

void store_close(struct store *store) {
    if (!store) return;
    store_rollback(store);
    store_end_read(store);
    store->database->close(store);
}

/* ---- Where the data is --------------------------------------------------------------------- */

bool store_is_url(const char *place) {
    return strncmp(place, "postgresql://", 13) == 0 || strncmp(place, "postgres://", 11) == 0;
}

/* The URL in DIR/database, which the caller frees; NULL: there is none. */
static char *read_url(const char *folder) {
    char path[4096], line[2048];
    if (snprintf(path, sizeof path, "%s/database", folder) >= (int)sizeof path) return NULL;
    FILE *file = fopen(path, "re");
    if (!file) return NULL;
    bool read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    if (!read) return NULL;
    line[strcspn(line, " \t\r\n")] = '\0';
    return strdup(line);
}

struct store *store_open(const char *place, enum store_open how, char *error, size_t size) {
    if (store_is_url(place)) return postgresql_open(place, how, error, size);
    char *url = read_url(place);
    if (!url) return sqlite_open(place, how, error, size);
    struct store *store = NULL;
    if (store_is_url(url)) store = postgresql_open(url, how, error, size);
    else snprintf(error, size, "%s/database holds no URL like postgresql://host/database", place);
    free(url);
    return store;
}

bool store_is_shared(const struct store *store) { return store->database->is_shared; }

bool store_backup(struct store *store, const char *file, char *error, size_t size) {
    if (!store->database->is_shared) return sqlite_backup(store, file, error, size);
    snprintf(error, size,
             "the data is in PostgreSQL: back it up with pg_dump, or copy it into a folder with "
             "`dynoscaled move`");
    return false;
}

/* ---- The clock ----------------------------------------------------------------------------- */

static _Atomic int64_t clock_ahead_ms;
static atomic_bool clock_followed;

void store_follow_clock(void) { atomic_store(&clock_followed, true); }

bool store_follows_clock(void) { return atomic_load(&clock_followed); }

void store_set_clock(int64_t ahead_ms) {
    int64_t before_ms = atomic_exchange(&clock_ahead_ms, ahead_ms);
    int64_t moved_ms = ahead_ms - before_ms;
    if (moved_ms > -CLOCK_TOLD_MS && moved_ms < CLOCK_TOLD_MS) return;
    log_line(LOG_WARN, "store", "the database's clock is %lld s ahead of this machine's: %s",
             (long long)(ahead_ms / 1000),
             ahead_ms ? "that of the database counts; set this one" : "this one counts again");
}

int64_t store_wall_ns(void) { return ds_clock_wall_ns() + atomic_load(&clock_ahead_ms) * 1000000; }

void store_compare_clocks(struct store *store) {
    if (store->database->compare_clocks && store_follows_clock())
        store->database->compare_clocks(store);
}

/* ---- Queries ------------------------------------------------------------------------------- */

struct query store_query(struct store *store, const char *sql) {
    struct query query = {.store = store};
    /* The first failure in this transaction is what its end must report. */
    if (store->spoiled) {
        store->failures++;
        query.failed = true;
        return query;
    }
    store->error[0] = '\0';
    query.statement = store->database->prepare(store, sql);
    query.failed = !query.statement;
    return query;
}

void query_int(struct query *query, int parameter, int64_t value) {
    if (query->statement) query->store->database->bind_int(query->statement, parameter, value);
}

void query_text_bytes(struct query *query, int parameter, const char *value, size_t length) {
    if (query->statement)
        query->store->database->bind_text(query->statement, parameter, value, length);
}

void query_text(struct query *query, int parameter, const char *value) {
    query_text_bytes(query, parameter, value, value ? strlen(value) : 0);
}

void query_blob(struct query *query, int parameter, const void *value, size_t length) {
    if (query->statement)
        query->store->database->bind_blob(query->statement, parameter, value, length);
}

void query_null(struct query *query, int parameter) { query_blob(query, parameter, NULL, 0); }

/* Gives a statement that writes outside a transaction one of its own, so that it waits for its turn
 * too. */
static bool own_transaction(struct query *query) {
    struct store *store = query->store;
    if (store->in_transaction || !store->database->writes(query->statement)) return true;
    if (!store_begin(store)) return false;
    store->transaction = query->statement;
    return true;
}

bool query_next(struct query *query) {
    if (!query->statement || query->failed) return false;
    if (query->store->spoiled || !own_transaction(query)) {
        query->failed = true;
        return false;
    }
    enum database_row row = query->store->database->next(query->statement);
    query->failed = row == ROW_FAILED;
    return row == ROW_FOUND;
}

int64_t column_int(struct query *query, int column) {
    return query->store->database->column_int(query->statement, column);
}

/* A value that the database could not deliver must not be taken for a NULL. */
static void note_lost(struct query *query) {
    store_failed(query->store, "out of memory");
    query->failed = true;
}

const char *column_text(struct query *query, int column) {
    const char *text = query->store->database->column_text(query->statement, column);
    if (text || column_is_null(query, column)) return text;
    note_lost(query);
    return "";
}

const void *column_blob(struct query *query, int column, size_t *length) {
    const void *bytes = query->store->database->column_blob(query->statement, column, length);
    if (!bytes && *length > 0) note_lost(query);
    if (!bytes) *length = 0;
    return bytes;
}

bool column_is_null(struct query *query, int column) {
    return query->store->database->column_is_null(query->statement, column);
}

char *store_copy(struct store *store, const char *text) {
    return store_copy_bytes(store, text, text ? strlen(text) + 1 : 0);
}

void *store_copy_bytes(struct store *store, const void *bytes, size_t length) {
    if (!bytes) return NULL;
    void *copy = malloc(length + 1);
    if (copy && length > 0) memcpy(copy, bytes, length);
    if (!copy) store_failed(store, "out of memory");
    return copy;
}

bool query_end(struct query *query) {
    struct store *store = query->store;
    if (!query->statement) return false;
    void *statement = query->statement;
    query->statement = NULL;
    store->database->end(statement);
    if (store->transaction != statement) return !query->failed;
    store->transaction = NULL;
    if (!query->failed) return store_commit(store);
    store_rollback(store);
    return false;
}

bool query_run(struct query *query) {
    query_next(query);
    return query_end(query);
}

int64_t store_changed(struct store *store) { return store->database->changed(store); }

int64_t query_run_noted(struct query *query) {
    struct store *store = query->store;
    if (!store->in_transaction || !query_run(query)) return -1;
    return store->database->last_statement(store);
}

int64_t store_changed_by(struct store *store, int64_t statement) {
    return store->database->changed_by(store, statement);
}

/* ---- Transactions -------------------------------------------------------------------------- */

static bool begin(struct store *store, bool (*how)(struct store *store)) {
    if (store->in_transaction || store->reading) {
        store_failed(store, "a transaction was begun inside another one");
        return false;
    }
    store->error[0] = '\0';
    store->spoiled = false;
    store->in_transaction = how(store);
    return store->in_transaction;
}

bool store_begin(struct store *store) { return begin(store, store->database->begin); }

bool store_begin_append(struct store *store) { return begin(store, store->database->begin_append); }

bool store_commit(struct store *store) {
    if (!store->in_transaction) return false;
    if (store->spoiled || !store->database->commit(store)) {
        store_rollback(store);
        return false;
    }
    store->in_transaction = false;
    if (store->erases && store->database->erase) store->database->erase(store);
    store->erases = false;
    return true;
}

void store_erases(struct store *store) { store->erases = store->in_transaction; }

void store_rollback(struct store *store) {
    if (!store->in_transaction) return;
    store->database->rollback(store);
    store->in_transaction = store->spoiled = store->erases = false;
    store->transaction = NULL;
}

bool store_begin_read(struct store *store) {
    if (store->in_transaction || store->reading) return true;
    store->error[0] = '\0';
    store->reading = store->database->begin_read(store);
    return store->reading;
}

void store_end_read(struct store *store) {
    if (store->reading) store->database->end_read(store);
    store->reading = false;
}

/* ---- The schema ---------------------------------------------------------------------------- */

static const struct schema_step *find_step(const struct store *store, int64_t number) {
    const struct database *database = store->database;
    for (size_t i = 0; i < *database->step_count; i++)
        if (database->steps[i].number == number) return &database->steps[i];
    return NULL;
}

bool store_knows_schema(struct store *store) {
    struct query query = store_query(store, "SELECT number, name FROM schema_step");
    while (query_next(&query)) {
        if (find_step(store, column_int(&query, 0))) continue;
        store_failed(store,
                     "it was written by a newer version of dynoscaled (its schema has the step "
                     "%s, which this version does not know): use that version or a newer one",
                     column_text(&query, 1));
        query_end(&query);
        return false;
    }
    return query_end(&query);
}

int64_t store_missing_steps(struct store *store) {
    struct query query = store_query(store, "SELECT count(*) FROM schema_step");
    int64_t missing = -1;
    if (query_next(&query)) missing = (int64_t)*store->database->step_count - column_int(&query, 0);
    return query_end(&query) ? missing : -1;
}

static bool has_step(struct store *store, const struct schema_step *step) {
    struct query query = store_query(store, "SELECT 1 FROM schema_step WHERE number = ?1");
    query_int(&query, 1, step->number);
    bool found = query_next(&query);
    return query_end(&query) && found;
}

static bool run_step(struct store *store, const struct schema_step *step) {
    if (!store->database->run(store, step->sql)) return false;
    struct query query =
        store_query(store, "INSERT INTO schema_step (number, name) VALUES (?1, ?2)");
    query_int(&query, 1, step->number);
    query_text(&query, 2, step->name);
    return query_run(&query);
}

/* A user without the right to make tables gets an error from PostgreSQL even if the table
 * exists. */
static bool has_steps(struct store *store) {
    if (!store->database->is_shared) return false;
    struct query query =
        store_query(store, "SELECT 1 WHERE to_regclass('schema_step') IS NOT NULL");
    bool found = query_next(&query);
    return query_end(&query) && found;
}

static bool run_missing_steps(struct store *store) {
    if (!has_steps(store) &&
        !store->database->run(store, "CREATE TABLE IF NOT EXISTS schema_step ("
                                     "number INTEGER PRIMARY KEY, name TEXT NOT NULL)"))
        return false;
    if (!store_knows_schema(store)) return false;
    for (size_t i = 0; i < *store->database->step_count; i++) {
        const struct schema_step *step = &store->database->steps[i];
        if (has_step(store, step)) continue;
        if (store->spoiled || !run_step(store, step)) return false;
    }
    return true;
}

bool store_step_schema(struct store *store) {
    if (!store_begin(store)) return false;
    if (run_missing_steps(store)) return store_commit(store);
    store_rollback(store);
    return false;
}

/* ---- Meta ---------------------------------------------------------------------------------- */

char *store_meta(struct store *store, const char *name) {
    struct query query = store_query(store, "SELECT value FROM meta WHERE name = ?1");
    query_text(&query, 1, name);
    char *value = NULL;
    if (query_next(&query)) value = store_copy(store, column_text(&query, 0));
    if (query_end(&query)) return value;
    free(value);
    return NULL;
}

bool store_set_meta(struct store *store, const char *name, const char *value) {
    struct query query =
        store_query(store, "INSERT INTO meta (name, value) VALUES (?1, ?2) "
                           "ON CONFLICT (name) DO UPDATE SET value = excluded.value");
    query_text(&query, 1, name);
    query_text(&query, 2, value);
    return query_run(&query);
}

bool store_touch_config(struct store *store) {
    struct query query =
        store_query(store, "INSERT INTO counter (name, value) VALUES ('config', 1) "
                           "ON CONFLICT (name) DO UPDATE SET value = counter.value + 1");
    return query_run(&query);
}

int64_t store_config_version(struct store *store) {
    struct query query = store_query(store, "SELECT value FROM counter WHERE name = 'config'");
    int64_t version = query_next(&query) ? column_int(&query, 0) : 0;
    return query_end(&query) ? version : -1;
}

bool store_rests(const struct store_rest *rest) { return !rest || rest->take(rest->context); }
