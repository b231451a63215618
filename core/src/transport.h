/*
 * How a report gets to the service: a table of functions, so that the C suite can put in a false
 * one. All of them run on one thread, the native one or the doctor's, one connection at a time;
 * none blocks but `wait`.
 */
#ifndef DS_TRANSPORT_H
#define DS_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "report.h"

typedef struct ds_request {
    char *body; /* not ended by NUL; NULL: a GET, in place of the POST that a report is */
    size_t body_length;
    char headers[DS_REPORT_HEADERS][DS_REPORT_HEADER_SIZE];
    size_t header_count;
} ds_request;

enum { DS_ANSWER_BODY_SIZE = 16 * 1024, DS_ANSWER_REASON_SIZE = 128, DS_ANSWER_NO_RETRY = -1 };

/* How far a request got. What lies before the answer is told only where there was none. */
typedef enum ds_reach {
    DS_REACH_NOTHING,
    DS_REACH_ADDRESS, /* the name, or the proxy's, was resolved */
    DS_REACH_PEER,    /* the service, or the proxy, took the connection */
    DS_REACH_TLS,     /* the service has proved who it is */
    DS_REACH_ANSWER,
} ds_reach;

enum { DS_PEER_SIZE = 80 };

/* The way there and back, for the doctor alone. Times are those of the last transfer, -1 where
 * libcurl did not get so far. */
typedef struct ds_way {
    ds_reach reach;
    int proxy_status;           /* what a proxy answered to CONNECT; 0: it was not asked */
    bool proxy_unresolved;      /* the name that is not known is the proxy's */
    char peer[DS_PEER_SIZE];    /* whom the connection is to: "127.0.0.1 port 443" or "" */
    int64_t name_ms;            /* to resolve the name */
    int64_t connect_ms, tls_ms; /* after that to connect, after that for TLS */
    int64_t answer_ms;          /* from the sending of the request to the end of the answer */
    int64_t date_s;             /* the answer's Date, -1: none that can be read */
    int64_t queue_time_ms;      /* "queue" of its Server-Timing, -1: none */
} ds_way;

typedef struct ds_answer {
    int status;                         /* of HTTP; 0: there was no answer */
    char reason[DS_ANSWER_REASON_SIZE]; /* why there was none; without secrets */
    int64_t retry_after_ms;             /* DS_ANSWER_NO_RETRY: not said */
    ds_way way;
    bool body_whole; /* false: longer than is kept, or broken off */
    size_t body_length;
    char body[DS_ANSWER_BODY_SIZE];
} ds_answer;

typedef struct ds_transport {
    /* A connection for one or more requests to settings->url; NULL with a reason. */
    void *(*open)(const ds_settings *settings, char reason[DS_ANSWER_REASON_SIZE]);

    /* Begins to send; the request stays as it is until there is an answer. False with a reason. */
    bool (*start)(void *connection, const ds_request *request, char reason[DS_ANSWER_REASON_SIZE]);

    /* Goes on as far as it can at once. The answer, kept by the connection, or NULL: not yet. */
    const ds_answer *(*poll)(void *connection);

    /* Sleeps until there may be something to poll for, at most `ms`. */
    void (*wait)(void *connection, int64_t ms);

    /* Gives up what is in flight and frees the connection. */
    void (*close)(void *connection);

    /* What it is made of: "libcurl 8.5.0 with OpenSSL/3.0.13". False with a reason. Any thread. */
    bool (*describe)(char text[DS_ANSWER_REASON_SIZE], char reason[DS_ANSWER_REASON_SIZE]);
} ds_transport;

extern const ds_transport ds_transport_curl;

#endif
