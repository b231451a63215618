/*
 * PostgreSQL, 15 or newer, for any number of services on one database.
 *
 * In a transaction all statements go into libpq's pipeline: those that give no rows are sent and
 * not waited for, and what became of them is read when rows are asked for, or at the commit. So a
 * transaction of hundreds of statements takes two round trips.
 *
 * Nothing outlives a transaction on the server's side, so pgbouncer may stand between in
 * transaction mode: settings are SET LOCAL, statements are unnamed, locks end with the transaction.
 *
 * A transaction begun by store_begin first locks the table `turn`: all of them, of all services,
 * come one after the other, each sees what those before it committed, and REPEATABLE READ keeps
 * what others append meanwhile out of its sight. That is what SQLite gives, so what is written on
 * driver.h need not know which database it is. store_begin_append takes no turn.
 */
#define _GNU_SOURCE /* strndup */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "clock.h"
#include "log.h"
#include "store/database.h"
#include "store/libpq.h"
#include "store/statements.h"
#include "text.h"

enum {
    PARAMETERS = 32,
    ANSWER_MS = 15000, /* the longest time for a statement */
    STEP_ANSWER_MS =
        6 * 3600 * 1000, /* the same for a step of the schema, which may read a whole table */
    FLUSH_EVERY = 64,    /* most statements in the pipeline before it is flushed */
    CLOCK_OFF_MS = 2000,
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
};

struct statement {
    struct statement_head head; /* first */
    struct postgresql_store *store;
    char *text; /* with $1 for ?1 */
    bool reads, gives_rows;
    int parameters;
    Oid types[PARAMETERS];
    const char *values[PARAMETERS];
    int lengths[PARAMETERS];
    uint8_t numbers[PARAMETERS][8];
    char *repaired[PARAMETERS]; /* copies of texts that were not UTF-8, repaired */
    bool ran;
    PGresult *result;
    int row, rows;
};

struct postgresql_store {
    struct store base;
    const struct libpq *pq;
    PGconn *connection; /* NULL: not connected */
    char *url;
    bool piped;           /* in a transaction, whose statements go into the pipeline */
    bool quiet;           /* the transaction is being undone: further failures are not logged */
    bool patient;         /* a step of the schema is running */
    const char *prepared; /* the text of the unnamed statement in this transaction; NULL: none */
    Oid prepared_types[PARAMETERS];

    /* For each command in the pipeline whose result was not read yet: whether it counts as a
     * statement. */
    bool *sent;
    size_t sent_first, sent_count, sent_room;
    /* The rows changed by each statement of this transaction, by the statement's number. */
    int64_t *changed;
    size_t changed_count, changed_room, statement_count;
    int64_t last_changed;

    struct statements statements;
};

static const struct database postgresql;

/* ---- What went wrong ----------------------------------------------------------------------- */

static void tell(struct postgresql_store *store, const char *sentence) {
    if (!store->quiet && !store->base.spoiled) store_failed(&store->base, "%s", sentence);
}

static void disconnect(struct postgresql_store *store) {
    if (store->connection) store->pq->PQfinish(store->connection);
    store->connection = NULL;
    store->piped = false;
    store->sent_first = store->sent_count = 0;
    store->prepared = NULL;
}

/* Copies libpq's message into one line. It names the host and the user, never the password. */
static void copy_words(char *to, size_t size, const char *words) {
    size_t length = 0;
    for (; words && *words && length + 1 < size; words++)
        if (*words != '\n') to[length++] = *words;
        else if (words[1]) to[length++] = ' ';
    to[length] = '\0';
}

static void lost(struct postgresql_store *store) {
    char sentence[STORE_ERROR_SIZE], words[300];
    copy_words(words, sizeof words,
               store->connection ? store->pq->PQerrorMessage(store->connection) : "");
    snprintf(sentence, sizeof sentence, "the connection to the database was lost: %s",
             *words ? words : "it is tried again");
    tell(store, sentence);
    disconnect(store);
}

static bool is_state(const char *state, const char *begin) {
    return state && strncmp(state, begin, strlen(begin)) == 0;
}

static void explain(char *sentence, size_t size, const char *state, const char *words) {
    if (is_state(state, "53100"))
        snprintf(sentence, size, "the database's disk is full: make room where its data is");
    else if (is_state(state, "55P03") || is_state(state, "40001") || is_state(state, "40P01"))
        snprintf(sentence, size,
                 "the data was in use by another service for too long: it is to be tried again");
    else if (is_state(state, "57P0") || is_state(state, "25006"))
        snprintf(sentence, size, "the database stops, starts or is a replica: %s", words);
    else if (is_state(state, "42501"))
        snprintf(sentence, size,
                 "the database's user may not do that (%s): make it the owner of the database, or "
                 "GRANT it what it lacks",
                 words);
    else if (is_state(state, "57014"))
        snprintf(sentence, size,
                 "the database ended a statement (%s): where that is its statement_timeout, raise "
                 "that for the service's user",
                 words);
    else snprintf(sentence, size, "the database says: %s", words);
}

/* False if a command failed, which is logged. A command that was skipped after an earlier failure
 * is not logged. */
static bool is_well(struct postgresql_store *store, const PGresult *result) {
    const struct libpq *pq = store->pq;
    int status = pq->PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return true;
    char sentence[STORE_ERROR_SIZE], words[300];
    if (status == PGRES_PIPELINE_ABORTED) {
        tell(store, "a statement before it failed");
        return false;
    }
    copy_words(words, sizeof words, pq->PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
    explain(sentence, sizeof sentence, pq->PQresultErrorField(result, PG_DIAG_SQLSTATE), words);
    tell(store, sentence);
    return false;
}

/* ---- The connection ------------------------------------------------------------------------ */

static void ignore_notice(void *context, const char *words) { (void)context, (void)words; }

static bool compare_clocks(struct postgresql_store *store);

static bool connect_now(struct postgresql_store *store) {
    /* The URL stands last, so its settings win. */
    static const char *const names[] = {"fallback_application_name",
                                        "client_encoding",
                                        "connect_timeout",
                                        "keepalives_idle",
                                        "keepalives_interval",
                                        "keepalives_count",
                                        "tcp_user_timeout",
                                        "target_session_attrs",
                                        "dbname",
                                        NULL};
    const char *const values[] = {"dynoscaled", "UTF8",  "4",          "5",        "2",
                                  "3",          "10000", "read-write", store->url, NULL};
    const struct libpq *pq = store->pq;
    store->connection = pq->PQconnectdbParams(names, values, 1);
    if (store->connection && pq->PQstatus(store->connection) == CONNECTION_OK &&
        pq->PQsetnonblocking(store->connection, 1) == 0) {
        pq->PQsetNoticeProcessor(store->connection, ignore_notice, NULL);
        return !store_follows_clock() || compare_clocks(store);
    }
    char sentence[STORE_ERROR_SIZE], words[300];
    copy_words(words, sizeof words,
               store->connection ? pq->PQerrorMessage(store->connection) : "out of memory");
    snprintf(sentence, sizeof sentence, "the database can't be reached: %s", words);
    tell(store, sentence);
    disconnect(store);
    return false;
}

/* A server that has ended says so, or closes the connection, before anything is sent. */
static bool still_open(struct postgresql_store *store) {
    struct pollfd found = {.fd = store->pq->PQsocket(store->connection), .events = POLLIN};
    for (int i = 0; i < 4 && poll(&found, 1, 0) > 0; i++)
        if (!store->pq->PQconsumeInput(store->connection)) return false;
    return store->pq->PQstatus(store->connection) == CONNECTION_OK;
}

static bool ready(struct postgresql_store *store) {
    if (store->connection && !still_open(store)) disconnect(store);
    return store->connection || connect_now(store);
}

/* ---- Sending and receiving ----------------------------------------------------------------- */

static bool wait_socket(struct postgresql_store *store, short events, int64_t until_ms) {
    struct pollfd found = {.fd = store->pq->PQsocket(store->connection), .events = events};
    for (;;) {
        int64_t left_ms = until_ms - ds_clock_monotonic_ms();
        int64_t most_ms = store->patient ? STEP_ANSWER_MS : ANSWER_MS;
        if (left_ms > most_ms) left_ms = most_ms; /* a test's clock may stand still */
        int count = poll(&found, 1, left_ms > 0 ? (int)left_ms : 0);
        if (count > 0) return true;
        if (count < 0 && errno == EINTR) continue;
        tell(store, "the database did not answer in time: it is tried again");
        return false;
    }
}

/* Reads the next result; NULL: the command has no more. False: the connection is lost. */
static bool fetch(struct postgresql_store *store, PGresult **result) {
    const struct libpq *pq = store->pq;
    int64_t until_ms = ds_clock_monotonic_ms() + (store->patient ? STEP_ANSWER_MS : ANSWER_MS);
    for (;;) {
        int left = store->connection ? pq->PQflush(store->connection) : -1;
        if (left < 0) break;
        if (left == 0 && !pq->PQisBusy(store->connection)) {
            *result = pq->PQgetResult(store->connection);
            return true;
        }
        if (!wait_socket(store, left ? POLLIN | POLLOUT : POLLIN, until_ms)) break;
        if (!pq->PQconsumeInput(store->connection)) break;
    }
    lost(store);
    return false;
}

/* Sends the buffer, reading what arrives in the meantime, so that neither side waits for the
 * other. */
static bool flush(struct postgresql_store *store) {
    const struct libpq *pq = store->pq;
    int64_t until_ms = ds_clock_monotonic_ms() + ANSWER_MS;
    for (;;) {
        int left = pq->PQflush(store->connection);
        if (left == 0) return true;
        if (left < 0 || !wait_socket(store, POLLIN | POLLOUT, until_ms)) break;
        if (!pq->PQconsumeInput(store->connection)) break;
    }
    lost(store);
    return false;
}

/* Notes a command that was sent. */
static bool note_sent(struct postgresql_store *store, int sent, bool counts) {
    void *array = array_grown(store->sent, &store->sent_room,
                              store->sent_first + store->sent_count + 1, sizeof(bool));
    if (!sent || !array) {
        lost(store);
        return false;
    }
    store->sent = array;
    store->sent[store->sent_first + store->sent_count++] = counts;
    return store->sent_count % FLUSH_EVERY != 0 || flush(store);
}

static bool note_changed(struct postgresql_store *store, int64_t changed) {
    void *array = array_grown(store->changed, &store->changed_room, store->changed_count + 1,
                              sizeof(int64_t));
    if (!array) return false;
    store->changed = array;
    store->changed[store->changed_count++] = store->last_changed = changed;
    return true;
}

/* The result of the oldest command in the pipeline, which the caller clears; NULL: the connection
 * is lost. */
static PGresult *receive(struct postgresql_store *store) {
    PGresult *result, *rest = NULL;
    bool counts = store->sent[store->sent_first];
    if (!fetch(store, &result)) return NULL;
    if (!result || !fetch(store, &rest) || rest) {
        if (rest) store->pq->PQclear(rest);
        if (result) store->pq->PQclear(result);
        lost(store);
        return NULL;
    }
    store->sent_first++;
    if (--store->sent_count == 0) store->sent_first = 0;
    if (counts) note_changed(store, strtoll(store->pq->PQcmdTuples(result), NULL, 10));
    return result;
}

/* Reads the results of all but the newest `but` commands. False: one failed. */
static bool receive_all(struct postgresql_store *store, size_t but) {
    bool ok = true;
    while (store->connection && store->sent_count > but) {
        PGresult *result = receive(store);
        if (!result) return false;
        ok = is_well(store, result) && ok;
        store->pq->PQclear(result);
    }
    return ok && store->connection;
}

/* Ends the pipeline; all that was sent is then finished. False: some of it failed. */
static bool leave_pipeline(struct postgresql_store *store) {
    if (!store->piped) return store->connection != NULL;
    PGresult *result = NULL;
    if (!store->pq->PQpipelineSync(store->connection)) {
        lost(store);
        return false;
    }
    bool ok = receive_all(store, 0);
    if (!store->connection || !fetch(store, &result)) return false;
    bool synced = result && store->pq->PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    if (result) store->pq->PQclear(result);
    if (!synced || !store->pq->PQexitPipelineMode(store->connection)) {
        lost(store);
        return false;
    }
    store->piped = false;
    store->prepared = NULL;
    return ok;
}

static bool enter_pipeline(struct postgresql_store *store) {
    store->prepared = NULL;
    store->piped = store->pq->PQenterPipelineMode(store->connection) == 1;
    if (!store->piped) lost(store);
    return store->piped;
}

/* Sends a statement without parameters through the pipeline. */
static bool send_text(struct postgresql_store *store, const char *text) {
    store->prepared = NULL;
    return note_sent(
        store, store->pq->PQsendQueryParams(store->connection, text, 0, NULL, NULL, NULL, NULL, 1),
        false);
}

/* Outside the pipeline: the last result of what was sent. NULL: it failed. */
static PGresult *receive_alone(struct postgresql_store *store, int sent) {
    PGresult *result = NULL, *next;
    bool ok = true;
    if (!sent) {
        lost(store);
        return NULL;
    }
    while (fetch(store, &next) && next) {
        if (result) store->pq->PQclear(result);
        result = next;
        ok = is_well(store, result) && ok;
    }
    if (ok && result && store->connection) return result;
    if (result) store->pq->PQclear(result);
    return NULL;
}

static bool run_alone(struct postgresql_store *store, const char *sql) {
    PGresult *result = receive_alone(store, store->pq->PQsendQuery(store->connection, sql));
    if (result) store->pq->PQclear(result);
    return result != NULL;
}

/* ---- The clock ----------------------------------------------------------------------------- */

static bool compare_clocks(struct postgresql_store *store) {
    int64_t began_ms = ds_clock_wall_ns() / 1000000, theirs_ms = 0;
    PGresult *result = receive_alone(
        store, store->pq->PQsendQuery(store->connection, "SELECT floor(extract(epoch FROM"
                                                         " clock_timestamp()) * 1000)::bigint"));
    if (!result) return false;
    int64_t middle_ms = (began_ms + ds_clock_wall_ns() / 1000000) / 2;
    if (store->pq->PQntuples(result) == 1)
        theirs_ms = strtoll(store->pq->PQgetvalue(result, 0, 0), NULL, 10);
    store->pq->PQclear(result);
    int64_t ahead_ms = theirs_ms - middle_ms;
    store_set_clock(ahead_ms > CLOCK_OFF_MS || ahead_ms < -CLOCK_OFF_MS ? ahead_ms : 0);
    return true;
}

static void postgresql_compare_clocks(struct store *base) {
    struct postgresql_store *store = (struct postgresql_store *)base;
    if (!store->piped && !base->reading && ready(store)) compare_clocks(store);
}

/* ---- Statements ---------------------------------------------------------------------------- */

static bool begins_with(const char *sql, const char *word) {
    while (isspace((unsigned char)*sql) || *sql == '(') sql++;
    return strncmp(sql, word, strlen(word)) == 0;
}

/* Replaces ?1 by $1, and notes the number of parameters. */
static bool translate(struct statement *statement) {
    statement->text = strdup(statement->head.sql);
    if (!statement->text) return false;
    for (char *at = statement->text; *at; at++) {
        if (*at != '?' || !isdigit((unsigned char)at[1])) continue;
        *at = '$';
        int number = atoi(at + 1);
        if (number > statement->parameters) statement->parameters = number;
    }
    statement->reads = begins_with(statement->head.sql, "SELECT") ||
                       begins_with(statement->head.sql, "WITH") ||
                       begins_with(statement->head.sql, "FETCH");
    statement->gives_rows = statement->reads || strstr(statement->head.sql, "RETURNING");
    return statement->parameters <= PARAMETERS;
}

static void free_statement(void *given) {
    struct statement *statement = given;
    free(statement->text);
    free(statement);
}

static void *new_statement(struct store *base, struct statement_head head) {
    struct statement *statement = calloc(1, sizeof *statement);
    if (statement) {
        *statement = (struct statement){.head = head, .store = (struct postgresql_store *)base};
        if (translate(statement)) return statement;
        free_statement(statement);
    }
    store_failed(base, "out of memory");
    return NULL;
}

static void *postgresql_prepare(struct store *base, const char *sql) {
    return statements_take(&((struct postgresql_store *)base)->statements, base, sql,
                           new_statement);
}

static void postgresql_end(void *given) {
    struct statement *statement = given;
    for (int i = 0; i < statement->parameters; i++) {
        statement->types[i] = 0;
        statement->values[i] = NULL;
        statement->lengths[i] = 0;
        free(statement->repaired[i]);
        statement->repaired[i] = NULL;
    }
    if (statement->result) statement->store->pq->PQclear(statement->result);
    statement->result = NULL;
    statement->ran = false;
    if (!statement->head.kept) free_statement(statement);
    else statement->head.in_use = false;
}

static bool postgresql_writes(void *statement) { return !((struct statement *)statement)->reads; }

static void bind(struct statement *statement, int parameter, Oid type, const void *value,
                 size_t length) {
    if (parameter < 1 || parameter > statement->parameters) {
        store_failed(&statement->store->base, "a statement has no parameter %d", parameter);
        return;
    }
    statement->types[parameter - 1] = value ? type : 0;
    statement->values[parameter - 1] = value;
    statement->lengths[parameter - 1] = (int)length;
}

static void postgresql_bind_int(void *given, int parameter, int64_t value) {
    struct statement *statement = given;
    if (parameter < 1 || parameter > PARAMETERS) return;
    uint8_t *bytes = statement->numbers[parameter - 1];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)((uint64_t)value >> (56 - 8 * i));
    bind(statement, parameter, TYPE_INT8, bytes, 8);
}

/* As text_character; 0 for a NUL, too, which PostgreSQL can't store. */
static size_t utf8_length(const char *at, size_t left) {
    return *at ? text_character(at, left) : 0;
}

/* PostgreSQL refuses text that is not UTF-8, such as a browser may send as its name. */
static void postgresql_bind_text(void *given, int parameter, const char *value, size_t length) {
    struct statement *statement = given;
    size_t at = 0, good;
    while (value && at < length && (good = utf8_length(value + at, length - at)) > 0) at += good;
    if (value && at < length && parameter >= 1 && parameter <= PARAMETERS) {
        char *copy = malloc(length + 1);
        if (copy) memcpy(copy, value, length);
        for (; copy && at < length; at += good ? good : 1) {
            good = utf8_length(copy + at, length - at);
            if (!good) copy[at] = '?';
        }
        free(statement->repaired[parameter - 1]);
        statement->repaired[parameter - 1] = copy;
        value = copy;
    }
    bind(statement, parameter, TYPE_TEXT, value, length);
}

static void postgresql_bind_blob(void *statement, int parameter, const void *value, size_t length) {
    bind(statement, parameter, TYPE_BYTEA, value, length);
}

static const int binary[PARAMETERS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                       1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

/* Parses the unnamed statement again only if it differs from the previous one. */
static bool send_statement(struct postgresql_store *store, struct statement *statement) {
    const struct libpq *pq = store->pq;
    size_t types_size = (size_t)statement->parameters * sizeof(Oid);
    bool same = store->prepared == statement->text &&
                memcmp(store->prepared_types, statement->types, types_size) == 0;
    if (!same && !note_sent(store,
                            pq->PQsendPrepare(store->connection, "", statement->text,
                                              statement->parameters, statement->types),
                            false))
        return false;
    store->prepared = statement->head.kept ? statement->text : NULL;
    memcpy(store->prepared_types, statement->types, types_size);
    store->statement_count++;
    return note_sent(store,
                     pq->PQsendQueryPrepared(store->connection, "", statement->parameters,
                                             statement->values, statement->lengths, binary, 1),
                     true);
}

static enum database_row first_row(struct statement *statement, PGresult *result) {
    if (!result) return ROW_FAILED;
    if (!is_well(statement->store, result)) {
        statement->store->pq->PQclear(result);
        return ROW_FAILED;
    }
    statement->result = result;
    statement->row = 0;
    statement->rows = statement->store->pq->PQntuples(result);
    return statement->rows > 0 ? ROW_FOUND : ROW_NONE;
}

static enum database_row run_in_pipeline(struct statement *statement) {
    struct postgresql_store *store = statement->store;
    if (!store->connection || !send_statement(store, statement)) return ROW_FAILED;
    if (!statement->gives_rows) return ROW_NONE;
    if (!store->pq->PQsendFlushRequest(store->connection) || !flush(store)) return ROW_FAILED;
    if (!receive_all(store, 1)) {
        if (store->connection) receive_all(store, 0);
        return ROW_FAILED;
    }
    return first_row(statement, receive(store));
}

static PGresult *read_alone(struct statement *statement) {
    struct postgresql_store *store = statement->store;
    if (!store->connection) return NULL;
    return receive_alone(store, store->pq->PQsendQueryParams(store->connection, statement->text,
                                                             statement->parameters,
                                                             statement->types, statement->values,
                                                             statement->lengths, binary, 1));
}

/* Outside a transaction only reading statements come here, so they can be repeated once on a new
 * connection. */
static enum database_row run_outside(struct statement *statement) {
    struct postgresql_store *store = statement->store;
    if (store->base.reading) return first_row(statement, read_alone(statement));
    if (!ready(store)) return ROW_FAILED;
    PGresult *result = read_alone(statement);
    if (!result && !store->connection && ready(store)) {
        result = read_alone(statement);
        if (result) store->base.error[0] = '\0';
    }
    return first_row(statement, result);
}

static enum database_row postgresql_next(void *given) {
    struct statement *statement = given;
    if (statement->ran) {
        if (!statement->result) return ROW_NONE;
        return ++statement->row < statement->rows ? ROW_FOUND : ROW_NONE;
    }
    statement->ran = true;
    struct postgresql_store *store = statement->store;
    return store->base.in_transaction ? run_in_pipeline(statement) : run_outside(statement);
}

static bool has_value(const struct statement *statement, int column) {
    return statement->result && statement->row < statement->rows &&
           !statement->store->pq->PQgetisnull(statement->result, statement->row, column);
}

static int64_t postgresql_column_int(void *given, int column) {
    struct statement *statement = given;
    if (!has_value(statement, column)) return 0;
    const struct libpq *pq = statement->store->pq;
    const char *bytes = pq->PQgetvalue(statement->result, statement->row, column);
    int length = pq->PQgetlength(statement->result, statement->row, column);
    switch (pq->PQftype(statement->result, column)) {
    case TYPE_BOOL:
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
        break;
    default:
        return 0;
    }
    uint64_t value = bytes[0] & 0x80 && length > 1 ? UINT64_MAX : 0;
    for (int i = 0; i < length; i++) value = value << 8 | (uint8_t)bytes[i];
    return (int64_t)value;
}

static const char *postgresql_column_text(void *given, int column) {
    struct statement *statement = given;
    if (!has_value(statement, column)) return NULL;
    return statement->store->pq->PQgetvalue(statement->result, statement->row, column);
}

static const void *postgresql_column_blob(void *given, int column, size_t *length) {
    struct statement *statement = given;
    *length = 0;
    if (!has_value(statement, column)) return NULL;
    const struct libpq *pq = statement->store->pq;
    *length = (size_t)pq->PQgetlength(statement->result, statement->row, column);
    return pq->PQgetvalue(statement->result, statement->row, column);
}

static bool postgresql_column_is_null(void *statement, int column) {
    return !has_value(statement, column);
}

/* ---- Transactions -------------------------------------------------------------------------- */

static bool begin_with(struct store *base, const char *const *texts) {
    struct postgresql_store *store = (struct postgresql_store *)base;
    if (!ready(store) || !enter_pipeline(store)) return false;
    store->changed_count = store->statement_count = 0;
    bool ok = true;
    for (; *texts && ok; texts++) ok = send_text(store, *texts);
    return ok;
}

/* A client that stops in the middle of a transaction holds up the others for at most this long. */
#define LIMITS \
    "SET LOCAL lock_timeout = '10s'", "SET LOCAL idle_in_transaction_session_timeout = '8s'"

static bool postgresql_begin(struct store *base) {
    /* Takes the lock before the first statement that reads data. */
    static const char *const texts[] = {"BEGIN ISOLATION LEVEL REPEATABLE READ", LIMITS,
                                        "LOCK TABLE turn IN EXCLUSIVE MODE", NULL};
    return begin_with(base, texts);
}

static bool postgresql_begin_append(struct store *base) {
    static const char *const texts[] = {"BEGIN ISOLATION LEVEL READ COMMITTED", LIMITS, NULL};
    return begin_with(base, texts);
}

/* The answer to COMMIT may be lost although it was done: false means that it may or may not be. */
static bool postgresql_commit(struct store *base) {
    struct postgresql_store *store = (struct postgresql_store *)base;
    if (!store->connection || !store->piped) {
        tell(store, "the connection to the database was lost");
        return false;
    }
    if (!send_text(store, "COMMIT") || !leave_pipeline(store)) return false;
    return store->pq->PQtransactionStatus(store->connection) == PQTRANS_IDLE;
}

static void postgresql_rollback(struct store *base) {
    struct postgresql_store *store = (struct postgresql_store *)base;
    store->quiet = true;
    if (store->connection) leave_pipeline(store);
    if (store->connection && store->pq->PQtransactionStatus(store->connection) != PQTRANS_IDLE)
        run_alone(store, "ROLLBACK");
    if (store->connection && store->pq->PQtransactionStatus(store->connection) != PQTRANS_IDLE)
        disconnect(store);
    store->quiet = false;
}

static bool postgresql_begin_read(struct store *base) {
    struct postgresql_store *store = (struct postgresql_store *)base;
    /* A move reads for a long time, and writes elsewhere in between. */
    static const char text[] = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY, NOT DEFERRABLE;"
                               "SET LOCAL idle_in_transaction_session_timeout = '60s'";
    if (!ready(store)) return false;
    if (run_alone(store, text)) return true;
    if (store->connection || !ready(store) || !run_alone(store, text)) return false;
    base->error[0] = '\0';
    return true;
}

static void postgresql_end_read(struct store *base) {
    struct postgresql_store *store = (struct postgresql_store *)base;
    if (store->connection) run_alone(store, "ROLLBACK");
}

static bool postgresql_run(struct store *base, const char *sql) {
    struct postgresql_store *store = (struct postgresql_store *)base;
    bool piped = store->piped;
    if (base->in_transaction && !piped) return false;
    if (piped ? !leave_pipeline(store) : !ready(store)) return false;
    store->patient = piped;
    bool ok = run_alone(store, sql);
    store->patient = false;
    if (piped && store->connection) ok = enter_pipeline(store) && ok;
    return ok;
}

/* Waits for everything that was sent. */
static bool catch_up(struct postgresql_store *store) {
    if (!store->piped || store->sent_count == 0) return store->connection != NULL;
    return store->pq->PQsendFlushRequest(store->connection) && flush(store) &&
           receive_all(store, 0);
}

static int64_t postgresql_changed(struct store *base) {
    struct postgresql_store *store = (struct postgresql_store *)base;
    if (store->piped) catch_up(store);
    return store->last_changed;
}

static int64_t postgresql_last_statement(struct store *base) {
    return (int64_t)((struct postgresql_store *)base)->statement_count - 1;
}

static int64_t postgresql_changed_by(struct store *base, int64_t statement) {
    struct postgresql_store *store = (struct postgresql_store *)base;
    if (statement >= (int64_t)store->changed_count && !catch_up(store)) return -1;
    bool known = statement >= 0 && statement < (int64_t)store->changed_count;
    return known && !base->spoiled ? store->changed[statement] : -1;
}

/* ---- Opening and closing ------------------------------------------------------------------- */

static void postgresql_close(struct store *base) {
    struct postgresql_store *store = (struct postgresql_store *)base;
    statements_free(&store->statements, free_statement);
    free(store->sent);
    free(store->changed);
    if (store->pq) disconnect(store);
    free(store->url);
    free(store);
}

static bool has_table(struct postgresql_store *store, const char *name) {
    struct query query =
        store_query(&store->base, "SELECT CASE WHEN to_regclass(?1) IS NULL THEN 0 ELSE 1 END");
    query_text(&query, 1, name);
    bool found = query_next(&query) && column_int(&query, 0) == 1;
    return query_end(&query) && found;
}

static bool is_new_enough(struct postgresql_store *store) {
    struct query query =
        store_query(&store->base, "SELECT current_setting('server_version_num')::bigint");
    int64_t version = query_next(&query) ? column_int(&query, 0) : 0;
    if (!query_end(&query)) return false;
    if (version >= 150000) return true;
    store_failed(&store->base, "it is PostgreSQL %d: 15 or a newer one is needed",
                 (int)(version / 10000));
    return false;
}

/* Names, platforms' messages and the like may hold any character. */
static bool holds_every_text(struct postgresql_store *store) {
    struct query query = store_query(&store->base, "SELECT current_setting('server_encoding')");
    const char *encoding = query_next(&query) ? column_text(&query, 0) : NULL;
    bool ok = encoding && strcmp(encoding, "UTF8") == 0;
    if (encoding && !ok)
        store_failed(&store->base,
                     "the database's encoding is %s, which can't hold every text: make it anew, "
                     "with CREATE DATABASE ... TEMPLATE template0 ENCODING 'UTF8'",
                     encoding);
    return query_end(&query) && ok;
}

/* Makes the table whose lock is the turn. If two services make it at once, one of them finds it
 * there. */
static bool make_turn(struct postgresql_store *store) {
    char why[STORE_ERROR_SIZE] = "";
    for (int i = 0; i < 3; i++) {
        if (has_table(store, "turn")) return true;
        if (!store->connection) return false;
        if (postgresql_run(&store->base, "CREATE TABLE turn ()")) return true;
        snprintf(why, sizeof why, "%s", store->base.error);
    }
    if (has_table(store, "turn")) return true;
    if (*why) store_failed(&store->base, "%s", why);
    return false;
}

static struct postgresql_store *new_store(const char *url) {
    struct postgresql_store *store = calloc(1, sizeof *store);
    if (!store) return NULL;
    store->base.database = &postgresql;
    store->url = strdup(url);
    store->pq = libpq_load(store->base.error, sizeof store->base.error);
    return store;
}

struct store *postgresql_open(const char *url, enum store_open how, char *error, size_t size) {
    struct postgresql_store *store = new_store(url);
    if (!store) {
        snprintf(error, size, "out of memory");
        return NULL;
    }
    bool ok =
        store->pq && store->url && ready(store) && is_new_enough(store) && holds_every_text(store);
    if (ok && how != STORE_CREATE && !has_table(store, "schema_step")) {
        if (!*store->base.error)
            store_failed(&store->base, "there is no data in it: `dynoscaled serve --database ...` "
                                       "makes it");
        ok = false;
    }
    if (ok && how == STORE_LOOK && store_knows_schema(&store->base)) return &store->base;
    if (ok && how != STORE_LOOK && make_turn(store) && store_step_schema(&store->base))
        return &store->base;
    bool reached = store->connection || !store->pq;
    snprintf(error, size, "can't use the data in PostgreSQL: %.400s%s", store->base.error,
             reached ? "" : " (see that it runs, and what the URL says: host, user, database)");
    postgresql_close(&store->base);
    return NULL;
}

static const struct database postgresql = {
    .steps = schema_postgresql,
    .step_count = &schema_postgresql_steps,
    .is_shared = true,
    .close = postgresql_close,
    .prepare = postgresql_prepare,
    .writes = postgresql_writes,
    .bind_int = postgresql_bind_int,
    .bind_text = postgresql_bind_text,
    .bind_blob = postgresql_bind_blob,
    .next = postgresql_next,
    .column_int = postgresql_column_int,
    .column_text = postgresql_column_text,
    .column_blob = postgresql_column_blob,
    .column_is_null = postgresql_column_is_null,
    .end = postgresql_end,
    .run = postgresql_run,
    .changed = postgresql_changed,
    .last_statement = postgresql_last_statement,
    .changed_by = postgresql_changed_by,
    .begin = postgresql_begin,
    .begin_append = postgresql_begin_append,
    .begin_read = postgresql_begin_read,
    .end_read = postgresql_end_read,
    .commit = postgresql_commit,
    .rollback = postgresql_rollback,
    .compare_clocks = postgresql_compare_clocks,
};
