/*
 * Queries and transactions, whatever the database (sqlite.c is the driver of one; database.h says
 * what a driver is). All SQL stands in store/: one file a topic, written once for every driver, in
 * words that SQLite and PostgreSQL both know.
 *
 * A connection belongs to one thread. Parameters are written ?1, ?2 ...; a statement is prepared
 * once for each connection and kept, known by the address of its text, which must be static.
 *
 *     struct query query = store_query(store, "SELECT id FROM app WHERE name = ?1");
 *     query_text(&query, 1, name);
 *     if (query_next(&query)) id = column_int(&query, 0);
 *     if (!query_end(&query)) ... store_error(store) says what happened ...
 */
#ifndef DRIVER_H
#define DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

struct query {
    struct store *store;
    void *statement; /* NULL: it could not be prepared; all below then do nothing */
    bool failed;
};

struct query store_query(struct store *store, const char *sql);

/* Parameters, counted from 1. The bytes must stay until query_end. NULL text or blob: NULL. */
void query_int(struct query *query, int parameter, int64_t value);
void query_text(struct query *query, int parameter, const char *value);
void query_text_bytes(struct query *query, int parameter, const char *value, size_t length);
void query_blob(struct query *query, int parameter, const void *value, size_t length);
void query_null(struct query *query, int parameter);

/* The next row: false where there is none, or where it failed (query_end tells which). */
bool query_next(struct query *query);

/* Columns of the row, counted from 0. Text and blobs live until the next call of query_next or
 * query_end; a NULL is 0, NULL text, or a blob of NULL and length 0. */
int64_t column_int(struct query *query, int column);
const char *column_text(struct query *query, int column);
const void *column_blob(struct query *query, int column, size_t *length);
bool column_is_null(struct query *query, int column);

/* Ends it; the statement may be used anew. False where anything failed since store_query. */
bool query_end(struct query *query);

/* Runs a statement that gives no rows, its parameters set: query_next and query_end in one. */
bool query_run(struct query *query);

/* How many rows the last statement on this connection changed. */
int64_t store_changed(struct store *store);

/* query_run in a transaction, whose number is for store_changed_by: the rows that it changed. A
 * database on another machine is told at once and asked at the end, so that many statements wait
 * for it together: a statement without rows that fails may be told by a later one, or by
 * store_commit. -1: it failed. */
int64_t query_run_noted(struct query *query);
int64_t store_changed_by(struct store *store, int64_t statement);

/*
 * A transaction that writes. Threads of this process and others on the data take turns, for at most
 * 10 s. False, and store_error says why, where it can't begin or commit; store_rollback
 * may be called at any time and undoes what was not committed. Reads outside a transaction see
 * whole commits only. Once a statement in it has failed, the others do nothing and store_commit
 * fails: nothing is committed by halves. A statement that writes outside a transaction is one of
 * its own.
 */
bool store_begin(struct store *store);
/* Begins a transaction that only adds rows which no other changes. It takes no turn, if the
 * database allows that. */
bool store_begin_append(struct store *store);
bool store_commit(struct store *store);
void store_rollback(struct store *store);

/* In a transaction: what it deletes should also vanish from the disk after the commit, as far as
 * the database can: SQLite overwrites it, PostgreSQL removes it with its next vacuum. */
void store_erases(struct store *store);

/* Reads between these two see one moment, whatever others commit in the meantime. Nothing may be
 * written in between. Inside a transaction they do nothing. */
bool store_begin_read(struct store *store);
void store_end_read(struct store *store);

/* Whether services on several machines may use it. */
bool store_is_shared(const struct store *store);

/* The wall clock in ns that all services on the data share: this machine's, corrected to the
 * database's if they differ by more than 2 s. Any thread. store_compare_clocks measures the
 * difference again. */
int64_t store_wall_ns(void);
void store_follow_clock(void); /* from now on, for this process */
void store_compare_clocks(struct store *store);

/* A sentence about the last failure on this connection, without secrets: "the disk is full". */
const char *store_error(const struct store *store);

/* How often something failed on this connection: after several reads, tells whether something that
 * "was not there" could in fact not be read. */
uint64_t store_failures(const struct store *store);
/* Forgets the failures since the count was `failures`, because they do not matter. */
void store_forgive(struct store *store, uint64_t failures);

#endif
