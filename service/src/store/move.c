/*
 * Takes tables and columns from the databases' own lists, so that none is forgotten. Rows are read
 * as of one moment and written a few hundred per transaction. A mark in both stores says that a
 * move is under way; a move that begins again first deletes what was written.
 */
#define _GNU_SOURCE /* strdup */
#include "store/move.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/database.h"
#include "store/ledger.h"
#include "store/series.h"
#include "text.h"

enum { TABLES = 64, COLUMNS = 24, ROWS = 500, NAME = 64 };
static const char moved_to[] = "moved_to", moving_from[] = "moving_from";

enum type { NUMBER, WORDS, BYTES };

struct column {
    char name[NAME];
    enum type type;
};

struct table {
    char name[NAME];
    struct column columns[COLUMNS];
    int column_count;
    /* Statements are identified by the addresses of their texts, which must live as long as the
     * stores. */
    struct text select, fetch, insert, remove;
};

struct move {
    struct store *from, *to;
    struct table tables[TABLES];
    int table_count;
    int64_t number; /* the next number, for parts and reports that get new ones */
};

/* ---- What there is ------------------------------------------------------------------------- */

static struct query list_columns(struct store *store) {
    return store_query(
        store, store_is_shared(store)
                   ? "SELECT c.relname::text, a.attname::text, upper(format_type(a.atttypid, NULL))"
                     " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relkind ="
                     " 'r' AND pg_table_is_visible(c.oid) AND a.attnum > 0 AND NOT a.attisdropped"
                     " ORDER BY c.relname, a.attnum"
                   : "SELECT t.name, c.name, c.type FROM sqlite_master t JOIN"
                     " pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE"
                     " 'sqlite\\_%' ESCAPE '\\' ORDER BY t.name, c.cid");
}

static enum type type_named(const char *name) {
    if (strcmp(name, "BLOB") == 0 || strcmp(name, "BYTEA") == 0) return BYTES;
    return strcmp(name, "TEXT") == 0 ? WORDS : NUMBER;
}

/* A PostgreSQL schema may hold tables of others, which must not be emptied. Ours are those that the
 * schema's steps make. The store's own book-keeping is not moved. */
static bool is_ours(const struct store *store, const char *table) {
    char words[NAME + 32];
    snprintf(words, sizeof words, "CREATE TABLE %s (", table);
    for (size_t i = 0; i < *store->database->step_count; i++)
        if (strstr(store->database->steps[i].sql, words)) return true;
    return false;
}

static bool note_column(struct move *move, const char *table, const char *column,
                        const char *type) {
    struct table *last = move->table_count ? &move->tables[move->table_count - 1] : NULL;
    if (!last || strcmp(last->name, table) != 0) {
        if (move->table_count == TABLES) return false;
        last = &move->tables[move->table_count++];
        snprintf(last->name, sizeof last->name, "%s", table);
    }
    if (last->column_count == COLUMNS) return false;
    struct column *added = &last->columns[last->column_count++];
    snprintf(added->name, sizeof added->name, "%s", column);
    added->type = type_named(type);
    return true;
}

/* Finds the tables of `to`, which has every table that this program knows. */
static bool find_tables(struct move *move) {
    bool ok = true;
    struct query query = list_columns(move->to);
    while (ok && query_next(&query))
        if (is_ours(move->to, column_text(&query, 0)))
            ok = note_column(move, column_text(&query, 0), column_text(&query, 1),
                             column_text(&query, 2));
    return query_end(&query) && ok && move->table_count > 0;
}

/* Only PostgreSQL numbers reports (ingest/follow.h). */
static bool is_missing(const struct move *move, const struct table *table, int column) {
    return !store_is_shared(move->from) && strcmp(table->name, "report") == 0 &&
           strcmp(table->columns[column].name, "number") == 0;
}

static bool is_numbered_anew(const struct move *move, const struct table *table, int column) {
    bool anew = store_is_shared(move->to) && !store_is_shared(move->from);
    bool numbered = strcmp(table->name, "report") == 0 || strcmp(table->name, "part") == 0;
    return anew && numbered && strcmp(table->columns[column].name, "number") == 0;
}

static bool write_statements(const struct move *move, struct table *table) {
    text_put(&table->select,
             store_is_shared(move->from) ? "DECLARE move CURSOR FOR SELECT " : "SELECT ");
    text_format(&table->insert, "INSERT INTO %s (", table->name);
    for (int i = 0; i < table->column_count; i++) {
        const char *comma = i > 0 ? ", " : "";
        text_format(&table->select, "%s%s", comma,
                    is_missing(move, table, i) ? "0" : table->columns[i].name);
        text_format(&table->insert, "%s%s", comma, table->columns[i].name);
    }
    text_format(&table->select, " FROM %s", table->name);
    text_put(&table->insert, ") VALUES (");
    for (int i = 0; i < table->column_count; i++)
        text_format(&table->insert, "%s?%d", i > 0 ? ", " : "", i + 1);
    text_put(&table->insert, ")");
    text_format(&table->remove, "DELETE FROM %s", table->name);
    text_format(&table->fetch, "FETCH %d FROM move", ROWS);
    return !table->select.failed && !table->insert.failed && !table->remove.failed &&
           !table->fetch.failed;
}

/* ---- Copying ------------------------------------------------------------------------------- */

static bool copy_row(struct move *move, const struct table *table, struct query *row) {
    struct query insert = store_query(move->to, table->insert.bytes);
    for (int i = 0; i < table->column_count; i++) {
        size_t length = 0;
        const void *bytes;
        if (is_numbered_anew(move, table, i)) query_int(&insert, i + 1, move->number++);
        else if (column_is_null(row, i)) query_null(&insert, i + 1);
        else if (table->columns[i].type == NUMBER) query_int(&insert, i + 1, column_int(row, i));
        else if (table->columns[i].type == WORDS) query_text(&insert, i + 1, column_text(row, i));
        else {
            bytes = column_blob(row, i, &length);
            query_blob(&insert, i + 1, bytes ? bytes : "", length);
        }
    }
    return query_run(&insert);
}

/* Marks belong to one store. */
static bool is_mark(const struct table *table, struct query *row) {
    if (strcmp(table->name, "meta") != 0) return false;
    const char *name = column_text(row, 0);
    return strcmp(name, moved_to) == 0 || strcmp(name, moving_from) == 0;
}

/* Copies the rows of a query; -1: failed. */
static int64_t copy_rows(struct move *move, const struct table *table, const char *sql) {
    int64_t rows = 0;
    bool ok = store_begin_append(move->to);
    struct query query = store_query(move->from, sql);
    while (ok && query_next(&query)) {
        rows++;
        if (!is_mark(table, &query)) ok = copy_row(move, table, &query);
        if (ok && rows % ROWS == 0) ok = store_commit(move->to) && store_begin_append(move->to);
    }
    ok = query_end(&query) && ok && store_commit(move->to);
    if (!ok) store_rollback(move->to);
    return ok ? rows : -1;
}

/* PostgreSQL would send all rows at once; a cursor gives a few at a time. */
static int64_t copy_table(struct move *move, const struct table *table) {
    if (!store_is_shared(move->from)) return copy_rows(move, table, table->select.bytes);
    int64_t all = 0, some = 0;
    if (!move->from->database->run(move->from, table->select.bytes)) return -1;
    do {
        some = copy_rows(move, table, table->fetch.bytes);
        all += some;
    } while (some == ROWS);
    return some >= 0 && move->from->database->run(move->from, "CLOSE move") ? all : -1;
}

/* Copies the counter of ids, so that the id of a removed row is never used again. */
static bool copy_sequence(struct move *move, const struct table *table) {
    if (strcmp(table->columns[0].name, "id") != 0) return true;
    struct query query = store_query(
        move->from, store_is_shared(move->from)
                        ? "SELECT pg_sequence_last_value(pg_get_serial_sequence(?1, 'id'))"
                        : "SELECT seq FROM sqlite_sequence WHERE name = ?1");
    query_text(&query, 1, table->name);
    int64_t last = query_next(&query) ? column_int(&query, 0) : 0;
    if (!query_end(&query)) return false;
    if (last <= 0) return true;
    if (store_is_shared(move->to)) {
        query = store_query(move->to, "SELECT setval(pg_get_serial_sequence(?1, 'id'), ?2)");
    } else {
        query = store_query(move->to, "DELETE FROM sqlite_sequence WHERE name = ?1");
        query_text(&query, 1, table->name);
        if (!query_run(&query)) return false;
        query = store_query(move->to, "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)");
    }
    query_text(&query, 1, table->name);
    query_int(&query, 2, last);
    return query_run(&query);
}

static bool empty_all(struct move *move, const char *from) {
    bool ok = store_begin(move->to);
    for (int i = 0; i < move->table_count && ok; i++) {
        struct query query = store_query(move->to, move->tables[i].remove.bytes);
        ok = query_run(&query);
    }
    ok = ok && store_set_meta(move->to, moving_from, from) && store_commit(move->to);
    if (!ok) store_rollback(move->to);
    return ok;
}

/* ---- Marks --------------------------------------------------------------------------------- */

static bool has_mark(struct store *store, const char *mark) {
    char *value = store_meta(store, mark);
    free(value);
    return value != NULL;
}

static bool remove_mark(struct store *store, const char *mark) {
    struct query query = store_query(store, "DELETE FROM meta WHERE name = ?1");
    query_text(&query, 1, mark);
    return query_run(&query);
}

static bool has_data(struct store *store) {
    struct query query =
        store_query(store, "SELECT 1 WHERE EXISTS (SELECT 1 FROM app) OR EXISTS"
                           " (SELECT 1 FROM person) OR EXISTS (SELECT 1 FROM audit)");
    bool found = query_next(&query);
    return !query_end(&query) || found;
}

bool store_move_allows(struct store *store, char *error, size_t size) {
    if (has_mark(store, moved_to))
        snprintf(error, size,
                 "this data was moved into another store, or a move of it has not ended: use that "
                 "one, run `dynoscaled move` again, or `dynoscaled move --cancel` to use this one");
    else if (has_mark(store, moving_from))
        snprintf(error, size, "a move into this data has not ended: run `dynoscaled move` again");
    else return true;
    return false;
}

bool store_move_cancel(const char *from, char *error, size_t size) {
    struct store *store = store_open(from, STORE_EXISTING, error, size);
    if (!store) return false;
    bool ok = remove_mark(store, moved_to);
    if (!ok) snprintf(error, size, "%s", store_error(store));
    store_close(store);
    return ok;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static bool may_begin(struct move *move, char *error, size_t size) {
    if (lease_is_held(move->from, 0) || lease_is_held(move->to, 0))
        snprintf(error, size,
                 "a service works on this data, or was killed less than 30 s ago: stop "
                 "all of them first");
    else if (has_mark(move->from, moving_from))
        snprintf(error, size, "a move into the first of the two has not ended");
    else if (has_data(move->to) && !has_mark(move->to, moving_from))
        snprintf(error, size, "there is data in the second of the two already: it must be empty");
    else return true;
    return false;
}

static bool copy_all(struct move *move,
                     void (*tell)(void *context, const char *table, int64_t rows), void *context) {
    bool ok = store_begin_read(move->from);
    for (int i = 0; i < move->table_count && ok; i++) {
        /* Reports after their parts: a follower must not take a part for one of another report. */
        if (strcmp(move->tables[i].name, "report") == 0)
            move->number |= (int64_t)1 << (SERIES_NUMBER_BITS - 1);
        int64_t rows = copy_table(move, &move->tables[i]);
        ok = rows >= 0 && copy_sequence(move, &move->tables[i]);
        if (ok && tell) tell(context, move->tables[i].name, rows);
    }
    store_end_read(move->from);
    return ok;
}

static bool run_move(struct move *move, const char *from, const char *to,
                     void (*tell)(void *context, const char *table, int64_t rows), void *context) {
    bool ok = find_tables(move);
    for (int i = 0; i < move->table_count && ok; i++) ok = write_statements(move, &move->tables[i]);
    /* A new receiver, whose number comes from the copied counters. */
    int64_t receiver = ok ? series_receiver(move->from) : -1;
    ok = ok && receiver >= 0;
    if (ok) move->number = receiver << SERIES_NUMBER_BITS;
    ok = ok && store_set_meta(move->from, moved_to, store_is_url(to) ? "postgresql" : to);
    ok = ok && empty_all(move, store_is_url(from) ? "postgresql" : from);
    return ok && copy_all(move, tell, context) && remove_mark(move->to, moving_from);
}

bool store_move(const char *from, const char *to,
                void (*tell)(void *context, const char *table, int64_t rows), void *context,
                char *error, size_t size) {
    struct move *move = calloc(1, sizeof *move);
    if (!move) {
        snprintf(error, size, "out of memory");
        return false;
    }
    bool ok = false;
    move->from = store_open(from, STORE_EXISTING, error, size);
    if (move->from) move->to = store_open(to, STORE_CREATE, error, size);
    if (move->to && may_begin(move, error, size)) {
        ok = run_move(move, from, to, tell, context);
        const char *why = *store_error(move->to) ? store_error(move->to) : store_error(move->from);
        if (!ok) snprintf(error, size, "the move did not end (%s): run it again", why);
    }
    store_close(move->from);
    store_close(move->to);
    for (int i = 0; i < move->table_count; i++) {
        text_free(&move->tables[i].select);
        text_free(&move->tables[i].fetch);
        text_free(&move->tables[i].insert);
        text_free(&move->tables[i].remove);
    }
    free(move);
    return ok;
}
