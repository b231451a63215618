/*
 * libpq, PostgreSQL's client library, loaded when a database is asked for: the service needs it
 * neither to be built nor to start on a folder. The declarations are those of libpq's stable binary
 * interface, from version 14 on, which brought the pipeline.
 */
#ifndef LIBPQ_H
#define LIBPQ_H

#include <stdbool.h>
#include <stddef.h>

typedef struct pg_conn PGconn;
typedef struct pg_result PGresult;
typedef unsigned int Oid;

enum { CONNECTION_OK = 0 };
enum { PQTRANS_IDLE = 0 };
enum {
    PGRES_COMMAND_OK = 1,
    PGRES_TUPLES_OK = 2,
    PGRES_PIPELINE_SYNC = 10,
    PGRES_PIPELINE_ABORTED = 11,
};
enum { PG_DIAG_SQLSTATE = 'C', PG_DIAG_MESSAGE_PRIMARY = 'M' };

/* name, result, parameters */
#define LIBPQ_FUNCTIONS(X)                                                                      \
    X(PQconnectdbParams, PGconn *, (const char *const *, const char *const *, int))             \
    X(PQfinish, void, (PGconn *))                                                               \
    X(PQstatus, int, (const PGconn *))                                                          \
    X(PQtransactionStatus, int, (const PGconn *))                                               \
    X(PQerrorMessage, char *, (const PGconn *))                                                 \
    X(PQsocket, int, (const PGconn *))                                                          \
    X(PQsetnonblocking, int, (PGconn *, int))                                                   \
    X(PQsetNoticeProcessor, void *, (PGconn *, void (*)(void *, const char *), void *))         \
    X(PQenterPipelineMode, int, (PGconn *))                                                     \
    X(PQexitPipelineMode, int, (PGconn *))                                                      \
    X(PQpipelineSync, int, (PGconn *))                                                          \
    X(PQsendFlushRequest, int, (PGconn *))                                                      \
    X(PQsendQuery, int, (PGconn *, const char *))                                               \
    X(PQsendPrepare, int, (PGconn *, const char *, const char *, int, const Oid *))             \
    X(PQsendQueryParams, int,                                                                   \
      (PGconn *, const char *, int, const Oid *, const char *const *, const int *, const int *, \
       int))                                                                                    \
    X(PQsendQueryPrepared, int,                                                                 \
      (PGconn *, const char *, int, const char *const *, const int *, const int *, int))        \
    X(PQflush, int, (PGconn *))                                                                 \
    X(PQconsumeInput, int, (PGconn *))                                                          \
    X(PQisBusy, int, (PGconn *))                                                                \
    X(PQgetResult, PGresult *, (PGconn *))                                                      \
    X(PQresultStatus, int, (const PGresult *))                                                  \
    X(PQresultErrorField, char *, (const PGresult *, int))                                      \
    X(PQcmdTuples, char *, (PGresult *))                                                        \
    X(PQcmdStatus, char *, (PGresult *))                                                        \
    X(PQntuples, int, (const PGresult *))                                                       \
    X(PQftype, Oid, (const PGresult *, int))                                                    \
    X(PQgetvalue, char *, (const PGresult *, int, int))                                         \
    X(PQgetlength, int, (const PGresult *, int, int))                                           \
    X(PQgetisnull, int, (const PGresult *, int, int))                                           \
    X(PQclear, void, (PGresult *))

struct libpq {
#define LIBPQ_FIELD(name, result, parameters) result(*name) parameters;
    LIBPQ_FUNCTIONS(LIBPQ_FIELD)
#undef LIBPQ_FIELD
};

/* The library, loaded at the first call; NULL with a sentence. Any thread. */
const struct libpq *libpq_load(char *error, size_t size);

#endif
