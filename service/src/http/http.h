/*
 * HTTP, as the rest of the service sees it: a request comes in whole, an answer goes out, or a
 * stream of events. Everything here runs on the loop's thread.
 *
 * The engine behind it reads HTTP/1 strictly (two lengths, a length beside chunks, a bare LF, a
 * folded or nameless header, a NUL: 400 and closed), keeps absolute deadlines for head, body and
 * answer, bounds what it holds of each peer and in all, and undoes gzip up to the same limit as a
 * plain body has.
 *
 * Reading order: frame.h (bytes → request), engine.h (the structs), connection.c (one
 * connection's life), answer.c, stream.c, server.c (listeners, limits, drain).
 */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "text.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OTHER };

/* Who is on the other end: `local` is the socket in the data folder, which only this user can
 * open. */
enum http_peer { HTTP_PEER_NETWORK, HTTP_PEER_LOCAL };

struct http_request;

enum http_method http_method(const struct http_request *request);
const char *http_path(const struct http_request *request);  /* as sent, without the query */
const char *http_query(const struct http_request *request); /* as sent, "" where there is none */
enum http_peer http_peer(const struct http_request *request);
/* The client's address, "203.0.113.7": the peer's, or, behind a trusted proxy, the last address of
 * X-Forwarded-For that is not a trusted proxy's. "local" on a socket file. */
const char *http_address(const struct http_request *request);

/* A header's value, by its name in any case; NULL: there is none. If there are several, the
 * first. */
const char *http_header(const struct http_request *request, const char *name);

/* Whether the answer may be compressed by gzip. */
bool http_takes_gzip(const struct http_request *request);

/* The body, decoded, followed by a NUL. Like everything about a request, it stays valid and
 * unchanged until the answer: another thread may read it. */
const char *http_body(const struct http_request *request, size_t *length);

/* Answers, now or at any later time on this thread; the request is gone after it. `headers` are
 * whole lines "Name: value\r\n..." or NULL; `type` may be NULL where there is no body. A client
 * that has left costs nothing. Added here: Date, and the security headers, but for
 * Content-Security-Policy and Cache-Control where `headers` has them. */
void http_answer(struct http_request *request, int status, const char *type, const char *headers,
                 const char *body, size_t length);

/* A stream of server-sent events in place of an answer; the request is gone after it. NULL without
 * memory; the request was answered then. http_stream_send writes "event: name\nid: ...\ndata:
 * ...\n\n" (NULL: left out); data has no line end. False: the client reads too slowly or has left,
 * and nothing was sent. `closed` is called once, by the loop, after the client has left or
 * http_stream_close was called; the stream is gone after it. */
struct http_stream;
struct http_stream *http_stream_open(struct http_request *request, void (*closed)(void *context),
                                     void *context);
bool http_stream_send(struct http_stream *stream, const char *event, const char *id,
                      const char *data);
void http_stream_close(struct http_stream *stream);
/* Sends a last event of any length; the connection ends once the client has taken it. `closed` is
 * called as after http_stream_close. */
void http_stream_end(struct http_stream *stream, const char *event, const char *data);

struct http_limits {
    size_t head_bytes, body_bytes; /* 16 KiB (at most 65,535), 512 KiB */
    size_t held_bytes;   /* of all requests that are not answered yet: 128 MiB, bodies the half */
    size_t stream_bytes; /* that a stream's client may be behind: 64 KiB */
    /* 10 s from the first byte (or the connection) to the end of the head, 30 s more to the end of
     * the body, 75 s without a request, 60 s from the request to the end of its answer. A stream is
     * sent a comment each 20 s, and ends where the one before has not been taken. */
    int head_ms, body_ms, idle_ms, answer_ms, stream_ms;
    int connections, connections_a_peer; /* 10,000, 2,000; beyond: closed at once, counted */
    const char *trusted_proxies; /* "127.0.0.1, 10.0.0.0/8"; not limited as peers; or NULL */
    bool https;                  /* the public address is: adds Strict-Transport-Security */
    bool https_below;            /* and says it of all names below that address's */
    bool reuse_port;             /* several processes may listen on one port */
};
extern const struct http_limits http_usual_limits;

struct http_server;
/* `handle` is called for each request, on the loop's thread. NULL with a sentence. */
struct http_server *http_server_new(struct loop *loop, const struct http_limits *limits,
                                    void (*handle)(void *context, struct http_request *request),
                                    void *context, char *error, size_t size);
/* "127.0.0.1:8080", "[::]:443", or "unix:/path": mode 0600 for HTTP_PEER_LOCAL; for a proxy's use
 * (HTTP_PEER_NETWORK), 0660, and the proxy is trusted. May be called several times. False with a
 * sentence. */
bool http_listen(struct http_server *server, const char *address, enum http_peer peer, char *error,
                 size_t size);
int http_port(const struct http_server *server); /* of the first TCP address; for tests: port 0 */
/* Takes no new connections and closes idle ones; `drained` is called after the last answer was
 * sent. */
void http_drain(struct http_server *server, void (*drained)(void *context), void *context);
/* Closes everything. All requests must have been answered before. */
void http_server_free(struct http_server *server);

struct http_counts {
    uint64_t requests, refused_frames, refused_connections, timed_out;
    size_t held_bytes;
    int open, streams;
};
struct http_counts http_counts(const struct http_server *server);

/* "Not Found" of 404. */
const char *http_reason(int status);

#endif
