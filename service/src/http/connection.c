#define _GNU_SOURCE /* accept4 and the like under -std=c11 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "http/engine.h"
#include "log.h"

/* ---- Its end -------------------------------------------------------------------------------- */

/* Frees everything but the connection itself, which release() frees at the end of the outermost
 * call. */
void connection_close(struct connection *connection) {
    struct http_server *server = connection->server;
    if (connection->closed) return;
    connection->closed = true;
    event_del(&connection->input);
    event_del(&connection->output);
    event_del(&connection->timer);
    close(connection->fd);
    *connection->previous = connection->next;
    if (connection->next) connection->next->previous = connection->previous;
    if (connection->counted) peers_remove(server->peers, &connection->address);
    struct http_request *request = connection->request;
    if (request && request->handed) request->connection = NULL;
    else request_free(request);
    connection->request = NULL;
    if (connection->stream) stream_closed(connection->stream);
    connection->stream = NULL;
    free(connection->rest);
    free(connection->out);
    server->counts.open--;
    if (server->draining && server->counts.open == 0)
        loop_post(server->loop, &server->drained_post);
    if (!connection->busy) free(connection);
}

/* Marks the connection as busy during calls from outside, so that it is not freed inside them. */
static void hold(struct connection *connection) { connection->busy = true; }

static void release(struct connection *connection) {
    connection->busy = false;
    if (connection->closed) free(connection);
}

void connection_enter(struct connection *connection, enum phase phase) {
    connection->phase = phase;
    event_add(&connection->timer, connection->server->timeouts[phase]);
}

/* ---- Sending -------------------------------------------------------------------------------- */

static bool keep(struct connection *connection, const char *bytes, size_t length) {
    if (length == 0) return true;
    if (connection->out_at > 0) {
        connection->out_length -= connection->out_at;
        memmove(connection->out, connection->out + connection->out_at, connection->out_length);
        connection->out_at = 0;
    }
    if (connection->out_length + length > connection->out_room) {
        size_t room = connection->out_length + length;
        char *out = realloc(connection->out, room);
        if (!out) return false;
        connection->out = out;
        connection->out_room = room;
    }
    memcpy(connection->out + connection->out_length, bytes, length);
    connection->out_length += length;
    return true;
}

static bool would_block(void) { return errno == EAGAIN || errno == EWOULDBLOCK; }

static ssize_t send_parts(int fd, struct iovec *parts, size_t count) {
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t sent;
    do sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 && would_block() ? 0 : sent;
}

bool connection_send(struct connection *connection, const char *head, size_t head_length,
                     const char *body, size_t body_length) {
    bool waits = connection->out_length > 0;
    size_t sent = 0;
    if (!waits) {
        struct iovec parts[] = {{(void *)head, head_length}, {(void *)body, body_length}};
        ssize_t result = send_parts(connection->fd, parts, body_length > 0 ? 2 : 1);
        if (result < 0) goto failed;
        sent = (size_t)result;
        if (sent == head_length + body_length) return true;
    }
    size_t of_head = sent < head_length ? sent : head_length;
    if (!keep(connection, head + of_head, head_length - of_head) ||
        !keep(connection, body + (sent - of_head), body_length - (sent - of_head)))
        goto failed;
    if (!waits) event_add(&connection->output, NULL);
    return true;
failed:
    connection_close(connection);
    return false;
}

/* Closes so that the client receives everything that was sent. If bytes of the client were left
 * unread, the system would reset the connection, and the client could lose the answer. */
static void end(struct connection *connection, bool unread) {
    if (!unread) {
        connection_close(connection);
        return;
    }
    shutdown(connection->fd, SHUT_WR);
    if (connection->paused) event_add(&connection->input, NULL);
    connection->paused = false;
    connection_enter(connection, PHASE_LINGER);
}

/* ---- Requests ------------------------------------------------------------------------------- */

static void wait_for_more(struct connection *connection) {
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const struct frame *frame = &connection->request->frame;
    if (connection->phase == PHASE_IDLE) connection_enter(connection, PHASE_HEAD);
    if (connection->phase != PHASE_HEAD || frame->head_length == 0) return;
    connection_enter(connection, PHASE_BODY);
    if (frame->expects_continue && connection->request->length == frame->head_length)
        connection_send(connection, go_on, sizeof go_on - 1, NULL, 0);
}

/* Cuts the bytes behind the request out of its buffer. */
static bool split_rest(struct connection *connection) {
    struct http_request *request = connection->request;
    size_t end = request->frame.head_length + request->frame.body_length;
    size_t length = request->length - end;
    request->length = end;
    if (length == 0) return true;
    connection->rest = malloc(length);
    if (!connection->rest) return false;
    memcpy(connection->rest, request->bytes + end, length);
    connection->rest_length = length;
    return true;
}

static void hand_over(struct connection *connection) {
    struct http_server *server = connection->server;
    struct http_request *request = connection->request;
    const char *refusal = "There is no memory for the request now; send it again later.";
    server->counts.requests++;
    connection->close_after = !request->frame.keep_alive;
    int status = split_rest(connection) ? request_finish(request, &refusal) : 503;
    if (status != 0) {
        answer_refusal(connection, status, refusal);
        return;
    }
    request->handed = true;
    connection_enter(connection, PHASE_ANSWER);
    server->handle(server->context, request);
}

/* Makes the bytes that were already received the next request. */
static bool take_rest(struct connection *connection) {
    if (connection->closed || connection->phase != PHASE_IDLE || !connection->rest) return false;
    struct http_request *request = request_new(connection);
    while (request && request->room < connection->rest_length)
        if (!request_make_room(request)) break;
        else request->length = request->room; /* so that the buffer can grow again */
    if (!request || request->room < connection->rest_length) {
        answer_refusal(connection, 503, "There is no memory for the request now.");
        return false;
    }
    memcpy(request->bytes, connection->rest, connection->rest_length);
    request->length = connection->rest_length;
    explicit_bzero(connection->rest, connection->rest_length);
    free(connection->rest);
    connection->rest = NULL;
    return true;
}

static void log_refused_frame(const struct connection *connection,
                              const struct http_request *request) {
    char from[ADDRESS_TEXT_SIZE] = "this machine";
    if (!connection->is_file) address_write(from, &connection->address);
    log_refusal(LOG_FRAMES, "http", "a request from %s was refused with %d: %s", from,
                request->frame.status, request->frame.refusal);
}

/* Handles all complete requests in the buffer, one after the other; stops at one that is answered
 * later. */
static void read_requests(struct connection *connection) {
    do {
        struct http_request *request = connection->request;
        switch (frame_read(&request->frame, request->bytes, &request->length)) {
        case FRAME_MORE:
            wait_for_more(connection);
            return;
        case FRAME_DONE:
            hand_over(connection);
            break;
        case FRAME_REFUSED:
            connection->server->counts.refused_frames++;
            log_refused_frame(connection, request);
            answer_refusal(connection, request->frame.status, request->frame.refusal);
            return;
        }
    } while (take_rest(connection));
}

void connection_answered(struct connection *connection) {
    if (connection->out_length > 0) return; /* on_output will continue */
    if (connection->close_after || connection->server->draining) {
        end(connection, connection->rest || connection->paused);
        return;
    }
    connection_enter(connection, PHASE_IDLE);
    if (connection->paused) event_add(&connection->input, NULL);
    connection->paused = false;
    if (connection->busy) return; /* read_requests will continue */
    hold(connection);
    if (take_rest(connection)) read_requests(connection);
    release(connection);
}

/* ---- Events --------------------------------------------------------------------------------- */

/* Reads once. True: connection->request has new bytes. */
static bool read_some(struct connection *connection) {
    struct http_request *request = connection->request;
    if (!request) request = request_new(connection);
    if (!request || !request_make_room(request)) {
        answer_refusal(connection, 503, "There are too many requests now; send it again later.");
        return false;
    }
    ssize_t count =
        recv(connection->fd, request->bytes + request->length, request->room - request->length, 0);
    if (count > 0) {
        request->length += (size_t)count;
        return true;
    }
    if (count < 0 && (would_block() || errno == EINTR)) {
        if (request->length == 0) request_free(request);
        return false;
    }
    connection_close(connection);
    return false;
}

/* Reads bytes that nobody needs. */
static void discard(struct connection *connection) {
    char bytes[4096];
    ssize_t count = recv(connection->fd, bytes, sizeof bytes, 0);
    if (count > 0 || (count < 0 && (would_block() || errno == EINTR))) return;
    connection_close(connection);
}

static void on_input(evutil_socket_t fd, short what, void *context) {
    struct connection *connection = context;
    (void)fd, (void)what;
    hold(connection);
    switch (connection->phase) {
    case PHASE_STREAM:
    case PHASE_LINGER:
        discard(connection);
        break;
    case PHASE_ANSWER:
        /* The next request stays in the socket until this one is answered. */
        event_del(&connection->input);
        connection->paused = true;
        break;
    default:
        if (read_some(connection)) read_requests(connection);
    }
    release(connection);
}

static void on_output(evutil_socket_t fd, short what, void *context) {
    struct connection *connection = context;
    (void)fd, (void)what;
    struct iovec part = {connection->out + connection->out_at,
                         connection->out_length - connection->out_at};
    ssize_t sent = send_parts(connection->fd, &part, 1);
    if (sent < 0) {
        connection_close(connection);
        return;
    }
    connection->out_at += (size_t)sent;
    if (connection->out_at < connection->out_length) return;
    event_del(&connection->output);
    free(connection->out);
    connection->out = NULL;
    connection->out_at = connection->out_length = connection->out_room = 0;
    if (connection->phase == PHASE_ANSWER) connection_answered(connection);
}

static void on_timer(evutil_socket_t fd, short what, void *context) {
    struct connection *connection = context;
    (void)fd, (void)what;
    switch (connection->phase) {
    case PHASE_STREAM:
        stream_timer(connection->stream);
        return;
    case PHASE_HEAD:
    case PHASE_BODY:
        connection->server->counts.timed_out++;
        hold(connection);
        if (connection->request)
            answer_refusal(connection, 408, "The request did not arrive whole in time.");
        connection_close(connection);
        release(connection);
        return;
    case PHASE_ANSWER:
        connection->server->counts.timed_out++;
        break;
    default:
        break;
    }
    connection_close(connection);
}

/* ---- Its beginning -------------------------------------------------------------------------- */

void connection_new(struct http_server *server, int fd, enum http_peer peer,
                    const struct sockaddr *from) {
    struct connection *connection = calloc(1, sizeof *connection);
    struct address address;
    bool is_file = !address_of_socket(&address, from), counted = false;
    bool limited = !is_file && !address_in(&server->trusted, &address);
    if (connection && limited)
        counted = peers_add(server->peers, &address, server->limits.connections_a_peer);
    if (!connection || counted != limited) {
        char text[ADDRESS_TEXT_SIZE] = "this machine";
        server->counts.refused_connections++;
        if (!is_file) address_write(text, &address);
        log_refusal(LOG_CONNECTIONS, "http", "a connection from %s was closed: %s", text,
                    connection ? "it already has as many as it may" : "there is no memory for it");
        free(connection);
        close(fd);
        return;
    }
    connection->server = server;
    connection->fd = fd;
    connection->peer = peer;
    connection->is_file = is_file;
    connection->counted = counted;
    if (!is_file) connection->address = address;
    event_assign(&connection->input, server->base, fd, EV_READ | EV_PERSIST, on_input, connection);
    event_assign(&connection->output, server->base, fd, EV_WRITE | EV_PERSIST, on_output,
                 connection);
    event_assign(&connection->timer, server->base, -1, 0, on_timer, connection);
    connection->next = server->connections;
    connection->previous = &server->connections;
    if (connection->next) connection->next->previous = &connection->next;
    server->connections = connection;
    server->counts.open++;
    event_add(&connection->input, NULL);
    connection_enter(connection, PHASE_HEAD);
}

/* With --reuse-port a new connection gets an answer here: its client did not choose this
 * process. */
static bool is_idle(const struct connection *connection) {
    return connection->phase == PHASE_IDLE ||
           (connection->phase == PHASE_HEAD && !connection->request &&
            !connection->server->limits.reuse_port);
}

void connection_end_if_idle(struct connection *connection) {
    hold(connection);
    if (is_idle(connection) && read_some(connection)) read_requests(connection);
    if (!connection->closed && is_idle(connection)) connection_close(connection);
    release(connection);
}
