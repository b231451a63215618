/*
 * How a report gets to the service: a table of functions, which tests replace. All of them run on
 * one thread, the native one or the doctor's, with one connection at a time. Only `wait` blocks.
 */
#ifndef DS_TRANSPORT_H
#define DS_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "report.h"

typedef struct ds_request {
    char *body; /* not NUL-terminated; NULL: send a GET, not the POST of a report */
    size_t body_length;
    char headers[DS_REPORT_HEADERS][DS_REPORT_HEADER_SIZE];
    size_t header_count;
} ds_request;

enum { DS_ANSWER_BODY_SIZE = 16 * 1024, DS_ANSWER_REASON_SIZE = 128, DS_ANSWER_NO_RETRY = -1 };

/* How far a request got. The steps before the answer are set only if there was none. */
typedef enum ds_reach {
    DS_REACH_NOTHING,
    DS_REACH_ADDRESS, /* the host name (or the proxy's) was resolved */
    DS_REACH_PEER,    /* the service (or the proxy) accepted the connection */
    DS_REACH_TLS,     /* the service's certificate was verified */
    DS_REACH_ANSWER,
} ds_reach;

enum { DS_PEER_SIZE = 80 };

/* The path of a request and its answer, for the doctor alone. Times are those of the last transfer,
 * -1 if libcurl did not get that far. */
typedef struct ds_path {
    ds_reach reach;
    int proxy_status;           /* the proxy's answer to CONNECT; 0: not asked */
    bool proxy_unresolved;      /* the name that could not be resolved is the proxy's */
    char peer[DS_PEER_SIZE];    /* the other end: "127.0.0.1 port 443", or "" */
    int64_t name_ms;            /* resolving the name */
    int64_t connect_ms, tls_ms; /* then connecting, then TLS */
    int64_t answer_ms;          /* from sending the request to the end of the answer */
    int64_t date_s;             /* the answer's Date, -1: none that can be read */
    int64_t queue_time_ms;      /* "queue" of its Server-Timing, -1: none */
} ds_path;

typedef struct ds_answer {
    int status;                         /* of HTTP; 0: there was no answer */
    char reason[DS_ANSWER_REASON_SIZE]; /* why there was no answer; without secrets */
    int64_t retry_after_ms;             /* DS_ANSWER_NO_RETRY: not said */
    ds_path path;
    bool body_whole; /* false: too long, or broken off */
    size_t body_length;
    char body[DS_ANSWER_BODY_SIZE];
} ds_answer;

typedef struct ds_transport {
    /* Makes a connection for requests to settings->url; NULL with a reason. */
    void *(*open)(const ds_settings *settings, char reason[DS_ANSWER_REASON_SIZE]);

    /* Begins to send. The caller keeps the request unchanged until there is an answer. False with a
     * reason. */
    bool (*start)(void *connection, const ds_request *request, char reason[DS_ANSWER_REASON_SIZE]);

    /* Continues without blocking. Returns the answer, which the connection owns, or NULL: not
     * yet. */
    const ds_answer *(*poll)(void *connection);

    /* Sleeps until poll may have something to do, at most `ms`. */
    void (*wait)(void *connection, int64_t ms);

    /* Cancels a request in flight and frees the connection. */
    void (*close)(void *connection);

    /* Names the libraries: "libcurl 8.5.0 with OpenSSL/3.0.13". False with a reason. Any thread. */
    bool (*describe)(char text[DS_ANSWER_REASON_SIZE], char reason[DS_ANSWER_REASON_SIZE]);
} ds_transport;

extern const ds_transport ds_transport_curl;

#endif
