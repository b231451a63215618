/*
 * Inside store/: a database as a table of functions, which driver.h and store.h are written on. One
 * file a driver.
 */
#ifndef DATABASE_H
#define DATABASE_H

#include "store/store.h"

/* A step of a schema, of service/schema/DRIVER/NNN_topic.sql: made into a table by
 * service/schema/embed. Steps are never changed once released, only added. */
struct schema_step {
    int number;
    const char *name; /* "001_series" */
    const char *sql;
};
extern const struct schema_step schema_sqlite[];
extern const size_t schema_sqlite_steps;
extern const struct schema_step schema_postgresql[];
extern const size_t schema_postgresql_steps;

enum database_row { ROW_FOUND, ROW_NONE, ROW_FAILED };

struct database {
    const struct schema_step *steps;
    const size_t *step_count;
    bool is_shared; /* by services of several machines */

    void (*close)(struct store *store);

    /* As in driver.h, which sees to transactions that failed. A failure is told by
     * store_failed. */
    void *(*prepare)(struct store *store, const char *sql);
    bool (*writes)(void *statement);
    void (*bind_int)(void *statement, int parameter, int64_t value);
    void (*bind_text)(void *statement, int parameter, const char *value, size_t length);
    void (*bind_blob)(void *statement, int parameter, const void *value, size_t length);
    enum database_row (*next)(void *statement);
    int64_t (*column_int)(void *statement, int column);
    const char *(*column_text)(void *statement, int column);
    const void *(*column_blob)(void *statement, int column, size_t *length);
    bool (*column_is_null)(void *statement, int column);
    void (*end)(void *statement);

    bool (*run)(struct store *store, const char *sql); /* statements without parameters */
    int64_t (*changed)(struct store *store);
    int64_t (*last_statement)(struct store *store);
    int64_t (*changed_by)(struct store *store, int64_t statement);
    bool (*begin)(struct store *store);
    bool (*begin_append)(struct store *store);
    bool (*begin_read)(struct store *store);
    void (*end_read)(struct store *store);
    bool (*commit)(struct store *store);
    void (*rollback)(struct store *store);
    void (*erase)(struct store *store); /* after such a commit; NULL: there is nothing to do */
    void (*compare_clocks)(struct store *store); /* NULL: it has none of its own */
};

enum { STORE_ERROR_SIZE = 512 };

/* A driver's own struct begins with it. */
struct store {
    const struct database *database;
    bool in_transaction;
    bool reading;      /* between store_begin_read and store_end_read */
    bool spoiled;      /* a statement of this transaction failed: it can only be rolled back */
    bool erases;       /* this transaction: see store_erases */
    void *transaction; /* the statement that is a transaction of its own; NULL */
    uint64_t failures; /* so far */
    char error[STORE_ERROR_SIZE];
};

/* Copies a text; the caller frees it. NULL for NULL, and without memory, which counts as a failure
 * of the store. */
char *store_copy(struct store *store, const char *text);
/* The same for bytes. No bytes give a copy too, so that NULL means that memory ran out. */
void *store_copy_bytes(struct store *store, const void *bytes, size_t length);

/* The drivers: as store_open and the like, where the data is theirs. */
struct store *sqlite_open(const char *folder, enum store_open how, char *error, size_t size);
bool sqlite_backup(struct store *store, const char *file, char *error, size_t size);
struct store *postgresql_open(const char *url, enum store_open how, char *error, size_t size);

/* Sets how far the database's clock is ahead of this machine's, for store_wall_ns; asks whether the
 * driver should measure it. */
void store_set_clock(int64_t ahead_ms);
bool store_follows_clock(void);

/* Notes why something failed; in a transaction, spoils it. */
void store_failed(struct store *store, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Steps the schema forward. False with store_error. */
bool store_step_schema(struct store *store);

/* Whether this program knows every schema step in the data; else false with store_error. */
bool store_knows_schema(struct store *store);

#endif
