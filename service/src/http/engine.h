/*
 * What the files of http/ share: the server, a connection, a request.
 *
 * A connection reads into its request's buffer until frame.h says that the request is whole. From
 * then on the request is the handler's, and the connection reads no further; what came behind it
 * (pipelining) waits in `rest`. A connection that is closed before the answer lets go of its
 * request; the handler's answer then only frees it.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "http/address.h"
#include "http/frame.h"
#include "http/http.h"
#include "http/peers.h"

enum phase {
    PHASE_HEAD,   /* from the connection, or a request's first byte, to the end of its head */
    PHASE_BODY,   /* to the end of its body */
    PHASE_ANSWER, /* to the last byte of its answer */
    PHASE_IDLE,   /* between requests */
    PHASE_STREAM,
    PHASE_LINGER, /* answered and not read further, but what the client still sends must be taken,
                     or the system would discard the answer with it */
    PHASES
};

struct http_listener {
    struct http_listener *next;
    struct http_server *server;
    struct event event;
    int fd;
    enum http_peer peer;
    char *path; /* of a socket file */
};

struct http_server {
    struct loop *loop;
    struct event_base *base;
    struct http_limits limits;
    struct address_networks trusted;
    void (*handle)(void *context, struct http_request *request);
    void *context;
    const struct timeval *timeouts[PHASES];

    struct http_listener *listeners;
    struct event accept_again;    /* after descriptors ran out */
    struct event close_listeners; /* in a drain, once connections under way are accepted */
    int64_t complained_ms;        /* when that was last logged */
    struct peers *peers;
    struct connection *connections; /* all */
    struct http_counts counts;
    int port;

    bool draining;
    void (*drained)(void *context);
    void *drained_context;
    struct loop_post drained_post;

    struct text head; /* of the answer being written */
    char date[40];
    int64_t date_s;
};

struct connection {
    struct connection *next, **previous;
    struct http_server *server;
    struct event input, output, timer;
    int fd;
    enum phase phase;
    enum http_peer peer;
    bool is_file; /* a socket file: it has no address */
    bool counted; /* in server->peers */
    bool paused;  /* `input` is off */
    bool busy;    /* advance() is on the stack: it will continue, and free the connection if it was
                     closed */
    bool closed;
    bool close_after; /* the answer */
    struct address address;
    struct http_request *request; /* being read, or being answered */
    struct http_stream *stream;
    char *rest; /* what came behind the request */
    size_t rest_length;
    char *out; /* what the socket did not take yet: out[out_at .. out_length) */
    size_t out_at, out_length, out_room;
};

struct http_request {
    struct http_server *server;
    struct connection *connection; /* NULL: the client has left */
    bool handed;                   /* passed to the handler, which will answer */
    enum http_peer peer;
    char address[ADDRESS_TEXT_SIZE];
    char *bytes; /* head and body */
    size_t length, room;
    char *plain; /* the body without its gzip, else NULL */
    size_t plain_length;
    struct frame frame;
};

struct http_stream {
    struct http_server *server;
    struct connection *connection; /* NULL: `closed` is about to be called, by `post` */
    void (*closed)(void *context);
    void *context;
    struct loop_post post;
    bool behind; /* when the timer last ran, something had not been taken */
};

/* connection.c */
void connection_new(struct http_server *server, int fd, enum http_peer peer,
                    const struct sockaddr *from);
void connection_close(struct connection *connection);
void connection_enter(struct connection *connection, enum phase phase); /* with its deadline */
/* Sends, and keeps what the socket does not take. In two parts, so that a body need not be copied.
 * False: the connection was closed. */
bool connection_send(struct connection *connection, const char *head, size_t head_length,
                     const char *body, size_t body_length);
/* Called when the answer was passed to connection_send: decides what follows once it is sent. */
void connection_answered(struct connection *connection);
/* During a drain: reads what has arrived, and closes the connection if that is nothing. */
void connection_end_if_idle(struct connection *connection);

/* request.c */
struct http_request *request_new(struct connection *connection);
void request_free(struct http_request *request);
bool request_make_room(struct http_request *request); /* false: limits, or no memory */
/* The frame is complete: ends its strings with NULs, unpacks gzip, finds the address. Returns 0, or
 * the status of a refusal and its sentence. */
int request_finish(struct http_request *request, const char **refusal);

/* answer.c: refuses the connection's request, or the connection if it has none. */
void answer_refusal(struct connection *connection, int status, const char *sentence);
/* Writes the status line and headers, up to the empty line, into server->head; body_length -1:
 * unknown. */
void answer_head(struct http_server *server, int status, const char *type, const char *headers,
                 int64_t body_length, bool close);

/* stream.c */
void stream_closed(struct http_stream *stream); /* the connection is being closed */
void stream_timer(struct http_stream *stream);

#endif
