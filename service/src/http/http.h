/*
 * HTTP, as the rest of the service sees it: a request comes in whole, an answer goes out, or a
 * stream of events. Everything here runs on the loop's thread.
 *
 * The engine behind it reads HTTP/1.1 strictly (two lengths, a length beside chunks, a bare LF, a
 * folded or nameless header, a NUL: 400 and closed), keeps absolute deadlines for head and body,
 * bounds what it holds of each peer and in all, and undoes gzip up to the same limit as a plain
 * body has.
 */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "loop.h"
#include "text.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OTHER };

/* Who may be on the other end: `local` is the socket file in the data folder, which only this
 * user can open. */
enum http_peer { HTTP_PEER_NETWORK, HTTP_PEER_LOCAL };

struct http_request;

enum http_method http_method(const struct http_request *request);
const char *http_path(const struct http_request *request);  /* as sent, without the query */
const char *http_query(const struct http_request *request); /* as sent, "" where there is none */
enum http_peer http_peer(const struct http_request *request);
const char *http_address(const struct http_request *request); /* "203.0.113.7", of a trusted proxy's
                                                                 X-Forwarded-For if so set */

/* A header's value, any case of its name; NULL where there is none. Of several: the first. */
const char *http_header(const struct http_request *request, const char *name);

/* The body, decoded; not ended by NUL. It lives until the answer. */
const char *http_body(const struct http_request *request, size_t *length);

/* Answers, now or at any later time on this thread; the request is gone after it. `headers` are
 * whole lines "Name: value\r\n..." or NULL. A client that has left costs nothing. The security
 * headers that every answer has are added here. */
void http_answer(struct http_request *request, int status, const char *type, const char *headers,
                 const char *body, size_t length);

/* A stream of server-sent events in place of an answer. `closed` is called once, when the client
 * has left or http_stream_close was called; the stream is gone after it. http_stream_send writes
 * "event: name\ndata: ...\n\n"; data has no line end. False: the client reads too slowly, and
 * nothing was sent. */
struct http_stream;
struct http_stream *http_stream_open(struct http_request *request, void (*closed)(void *context),
                                     void *context);
bool http_stream_send(struct http_stream *stream, const char *event, const char *id,
                      const char *data);
void http_stream_close(struct http_stream *stream);

struct http_limits {
    size_t head_bytes, body_bytes;            /* 16 KiB, 512 KiB */
    int head_ms, body_ms, idle_ms, answer_ms; /* 10 s, 30 s, 75 s, 60 s; all absolute but idle */
    int connections, connections_a_peer;      /* 10,000, 1,000; beyond: closed at once, counted */
    const char *trusted_proxy;                /* an address or NULL */
};
extern const struct http_limits http_usual_limits;

struct http_server;
/* `handle` is called for each request, on the loop's thread. */
struct http_server *http_server_new(struct loop *loop, const struct http_limits *limits,
                                    void (*handle)(void *context, struct http_request *request),
                                    void *context);
/* "127.0.0.1:8080", "[::]:443", or "unix:/path" (mode 0600). May be called several times. False
 * with a sentence. */
bool http_listen(struct http_server *server, const char *address, char *error, size_t size);
int http_port(const struct http_server *server); /* of the first TCP address; for tests: port 0 */
/* Takes no new connections; `drained` is called when the last answer has been sent. */
void http_drain(struct http_server *server, void (*drained)(void *context), void *context);
void http_server_free(struct http_server *server);

struct http_counts {
    uint64_t requests, refused_frames, refused_connections, timed_out;
    int open;
};
struct http_counts http_counts(const struct http_server *server);

#endif
