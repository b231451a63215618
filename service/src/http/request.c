#define _GNU_SOURCE /* strcasecmp, explicit_bzero */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/engine.h"
#include "http/gzip.h"

enum { FIRST_ROOM = 4096, READ_ROOM = 2048, USUAL_ROOM = 64 << 10 };

struct http_request *request_new(struct connection *connection) {
    struct http_server *server = connection->server;
    struct http_request *request = malloc(sizeof *request);
    if (!request) return NULL;
    memset(request, 0, offsetof(struct http_request, frame));
    frame_init(&request->frame, server->limits.head_bytes, server->limits.body_bytes);
    request->server = server;
    request->connection = connection;
    request->peer = connection->peer;
    connection->request = request;
    return request;
}

void request_free(struct http_request *request) {
    if (!request) return;
    request->server->counts.held_bytes -= request->room + request->plain_length;
    if (request->connection) request->connection->request = NULL;
    /* It may have held a password, a token or a credential. */
    if (request->bytes) explicit_bzero(request->bytes, request->room);
    if (request->plain) explicit_bzero(request->plain, request->plain_length);
    free(request->bytes);
    free(request->plain);
    free(request);
}

/* Doubles each time, so that memory is only taken for bytes that were sent. The first step fits a
 * usual body. */
static size_t next_room(const struct http_request *request) {
    const struct frame *frame = &request->frame;
    size_t room = request->room ? request->room * 2 : FIRST_ROOM;
    size_t whole = frame->head_length > 0 ? request->length + (size_t)frame->left : 0;
    return whole > room && whole <= USUAL_ROOM ? whole : room;
}

/* How many more bytes the request may hold. Beyond the first bytes of each, bodies may use at most
 * half of the room for requests. The rest is for heads, so that pages are answered however many
 * bodies are arriving. */
static size_t may_hold(const struct http_request *request) {
    const struct http_server *server = request->server;
    size_t most = server->limits.held_bytes, held = server->counts.held_bytes;
    if (request->room > 0 && request->frame.head_length > 0) most /= 2;
    return held < most ? most - held : 0;
}

bool request_make_room(struct http_request *request) {
    struct http_server *server = request->server;
    const struct frame *frame = &request->frame;
    bool in_body = frame->head_length > 0 && !frame->chunked;
    size_t wanted = in_body && frame->left < READ_ROOM ? (size_t)frame->left : READ_ROOM;
    if (request->room - request->length >= wanted) return true;
    size_t room = next_room(request);
    size_t more = room - request->room;
    if (more > may_hold(request)) return false;
    char *bytes = malloc(room + 1); /* and a NUL behind the body */
    if (!bytes) return false;
    if (request->bytes) { /* not by realloc, which would leave a copy behind */
        memcpy(bytes, request->bytes, request->length);
        explicit_bzero(request->bytes, request->room);
        free(request->bytes);
    }
    request->bytes = bytes;
    request->room = room;
    server->counts.held_bytes += more;
    return true;
}

/* A byte that nobody needs any more follows each part of the head (a blank, a '?', a colon, a CR):
 * a NUL replaces it. */
static void end_strings(struct http_request *request) {
    const struct frame *frame = &request->frame;
    request->bytes[request->length] = '\0';
    request->bytes[frame->path.at + frame->path.length] = '\0';
    if (frame->query.at > 0) request->bytes[frame->query.at + frame->query.length] = '\0';
    for (int i = 0; i < frame->field_count; i++) {
        const struct frame_span *value = &frame->fields[i].value;
        request->bytes[value->at + value->length] = '\0';
    }
}

static const char *field_value(const struct http_request *request, int number) {
    return request->bytes + request->frame.fields[number].value.at;
}

static int busy(const char **refusal) {
    *refusal = "There is no memory for the body now; send it again later.";
    return 503;
}

static int undo_encoding(struct http_request *request, const char **refusal) {
    const struct frame *frame = &request->frame;
    struct http_server *server = request->server;
    const char *encoding = http_header(request, "Content-Encoding");
    if (!encoding || strcasecmp(encoding, "identity") == 0 || frame->body_length == 0) return 0;
    if (strcasecmp(encoding, "gzip") != 0 && strcasecmp(encoding, "x-gzip") != 0) {
        *refusal = "The only Content-Encoding that is understood is gzip.";
        return 415;
    }
    /* Unpacked, a body may be a thousand times as long as what was sent. */
    size_t room = may_hold(request), most = room < frame->body_most ? room : frame->body_most;
    switch (gzip_undo(request->bytes + frame->head_length, frame->body_length, most,
                      &request->plain, &request->plain_length)) {
    case GZIP_OK:
        server->counts.held_bytes += request->plain_length;
        return 0;
    case GZIP_TOO_LARGE:
        if (most < frame->body_most) return busy(refusal);
        *refusal = "The body is too large once it is unpacked.";
        return 413;
    case GZIP_DAMAGED:
        *refusal = "The body is not gzip as its header says.";
        return 400;
    default:
        return busy(refusal);
    }
}

/* The last address in a list that is not a trusted proxy. False: there is none. */
static bool last_untrusted(const struct http_server *server, const char *list,
                           struct address *address) {
    size_t end = strlen(list);
    while (end > 0) {
        size_t begin = end;
        while (begin > 0 && list[begin - 1] != ',') begin--;
        const char *at = list + begin;
        size_t length = end - begin;
        while (length > 0 && (*at == ' ' || *at == '\t')) at++, length--;
        while (length > 0 && (at[length - 1] == ' ' || at[length - 1] == '\t')) length--;
        if (!address_read(address, at, length)) return false;
        if (!address_in(&server->trusted, address)) return true;
        end = begin > 0 ? begin - 1 : 0;
    }
    return false;
}

static bool told_address(const struct http_request *request, struct address *address) {
    int last = -1;
    for (int i = 0; (i = frame_find(&request->frame, request->bytes, "X-Forwarded-For", i)) >= 0;)
        last = i++;
    return last >= 0 && last_untrusted(request->server, field_value(request, last), address);
}

static void find_address(struct http_request *request) {
    const struct connection *connection = request->connection;
    struct address address = connection->address, told;
    bool found = !connection->is_file;
    bool trusted = found ? address_in(&request->server->trusted, &address)
                         : request->peer == HTTP_PEER_NETWORK;
    if (trusted && told_address(request, &told)) {
        address = told;
        found = true;
    }
    if (found) address_write(request->address, &address);
    else memcpy(request->address, "local", sizeof "local");
}

int request_finish(struct http_request *request, const char **refusal) {
    end_strings(request);
    find_address(request);
    return undo_encoding(request, refusal);
}

enum http_method http_method(const struct http_request *request) { return request->frame.method; }

const char *http_path(const struct http_request *request) {
    return request->bytes + request->frame.path.at;
}

const char *http_query(const struct http_request *request) {
    return request->frame.query.at > 0 ? request->bytes + request->frame.query.at : "";
}

enum http_peer http_peer(const struct http_request *request) { return request->peer; }

const char *http_address(const struct http_request *request) { return request->address; }

const char *http_header(const struct http_request *request, const char *name) {
    int number = frame_find(&request->frame, request->bytes, name, 0);
    return number < 0 ? NULL : field_value(request, number);
}

const char *http_body(const struct http_request *request, size_t *length) {
    *length = request->plain ? request->plain_length : request->frame.body_length;
    return request->plain ? request->plain : request->bytes + request->frame.head_length;
}
