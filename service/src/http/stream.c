#include <stdlib.h>
#include <string.h>

#include "http/engine.h"

static void tell_closed(void *context) {
    struct http_stream *stream = context;
    stream->server->counts.streams--;
    stream->closed(stream->context);
    free(stream);
}

void stream_closed(struct http_stream *stream) {
    stream->connection = NULL;
    stream->post.run = tell_closed;
    stream->post.context = stream;
    loop_post(stream->server->loop, &stream->post);
}

/* X-Accel-Buffering: otherwise nginx holds events back until its buffer is full. */
static bool send_head(struct http_server *server, struct connection *connection) {
    answer_head(server, 200, "text/event-stream", "X-Accel-Buffering: no\r\n", -1, true);
    if (!server->head.failed)
        return connection_send(connection, server->head.bytes, server->head.length, NULL, 0);
    text_free(&server->head);
    connection_close(connection);
    return false;
}

struct http_stream *http_stream_open(struct http_request *request, void (*closed)(void *context),
                                     void *context) {
    struct http_server *server = request->server;
    struct connection *connection = request->connection;
    struct http_stream *stream = calloc(1, sizeof *stream);
    if (!stream) {
        http_answer(request, 503, NULL, "Retry-After: 5\r\n", NULL, 0);
        return NULL;
    }
    *stream = (struct http_stream){.server = server, .closed = closed, .context = context};
    server->counts.streams++;
    request_free(request);
    if (!connection || server->draining) {
        if (connection) connection_close(connection);
        stream_closed(stream);
        return stream;
    }
    stream->connection = connection;
    connection->stream = stream;
    connection_enter(connection, PHASE_STREAM);
    if (connection->paused)
        event_add(&connection->input, NULL); /* to notice when the client leaves */
    connection->paused = false;
    send_head(server, connection);
    return stream;
}

static void put_line(struct text *text, const char *name, const char *value) {
    if (!value) return;
    text_put(text, name);
    text_put(text, ": ");
    text_put(text, value);
    text_char(text, '\n');
}

static const struct text *put_event(struct http_stream *stream, const char *event, const char *id,
                                    const char *data) {
    struct text *text = &stream->server->head;
    text_clear(text);
    put_line(text, "event", event);
    put_line(text, "id", id);
    put_line(text, "data", data);
    text_char(text, '\n');
    return text;
}

bool http_stream_send(struct http_stream *stream, const char *event, const char *id,
                      const char *data) {
    struct connection *connection = stream->connection;
    if (!connection) return false;
    const struct text *text = put_event(stream, event, id, data);
    size_t behind = connection->out_length - connection->out_at;
    if (text->failed || behind + text->length > stream->server->limits.stream_bytes) return false;
    return connection_send(connection, text->bytes, text->length, NULL, 0);
}

void http_stream_close(struct http_stream *stream) {
    if (stream->connection) connection_close(stream->connection);
}

void http_stream_end(struct http_stream *stream, const char *event, const char *data) {
    struct connection *connection = stream->connection;
    if (!connection) return;
    const struct text *text = put_event(stream, event, NULL, data);
    if (text->failed) {
        connection_close(connection);
        return;
    }
    connection->stream = NULL;
    stream_closed(stream);
    connection->close_after = true;
    connection_enter(connection, PHASE_ANSWER);
    if (connection_send(connection, text->bytes, text->length, NULL, 0))
        connection_answered(connection);
}

/* A comment line shows proxies that the connection is alive, and shows us whether the client is. */
void stream_timer(struct http_stream *stream) {
    struct connection *connection = stream->connection;
    bool waits = connection->out_length > 0;
    if (waits && stream->behind) {
        stream->server->counts.timed_out++;
        connection_close(connection);
        return;
    }
    stream->behind = waits;
    connection_enter(connection, PHASE_STREAM);
    if (!waits) connection_send(connection, ":\n\n", 3, NULL, 0);
}
