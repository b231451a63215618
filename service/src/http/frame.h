/*
 * Where a request of HTTP/1 begins and ends, and whether it may pass: a state machine over the
 * bytes of a connection that reads no clock, allocates nothing and calls nobody. It is the only
 * reader of requests, so no second one can understand the same bytes differently.
 *
 * It is strict where another server in front could read something else (request smuggling): one
 * Content-Length or one "chunked", never both; CR LF at the end of every line; no folded line, no
 * blank before a colon, no NUL. What is refused is answered with `status` and the connection ends.
 * The verdict does not depend on how the bytes were cut into reads.
 */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/http.h"

enum { FRAME_FIELDS = 100, FRAME_HEAD_MOST = 65535 };

struct frame_span {
    uint16_t at, length;
};

struct frame_field {
    struct frame_span name, value; /* the value without blanks around it */
};

enum frame_result { FRAME_MORE, FRAME_DONE, FRAME_REFUSED };

struct frame {
    size_t head_most, body_most; /* bytes; the head's at most FRAME_HEAD_MOST */

    /* What was found; the head's part is there once head_length is not 0. */
    enum http_method method;
    int minor; /* HTTP/1.minor */
    struct frame_span path, query;
    size_t head_length;
    size_t body_length; /* of the bytes of the body that are there, behind the head */
    bool keep_alive, expects_continue;
    int status;          /* of a refusal: 400, 413, 417, 431, 501 or 505 */
    const char *refusal; /* a sentence */

    /* Its own. */
    enum { IN_REQUEST_LINE, IN_FIELDS, IN_BODY, IN_SIZE, IN_CHUNK, IN_CHUNK_END, IN_TRAILER } state;
    size_t at;   /* the next byte to look at */
    size_t line; /* where the line that is being read begins */
    size_t trailer_bytes;
    uint64_t left; /* of the body or the chunk */
    bool has_length, chunked, has_host, has_connection_close, has_connection_keep_alive;
    uint16_t field_count;
    struct frame_field fields[FRAME_FIELDS];
};

void frame_init(struct frame *frame, size_t head_most, size_t body_most);

/*
 * Looks at what was added to `bytes` since the last call: `bytes` begins with the request's first
 * byte and has *length bytes. The framing of chunks is cut out in place, so *length may become
 * smaller. FRAME_DONE: the request is bytes[0 .. head_length + body_length), and what follows
 * belongs to the next one. After FRAME_DONE or FRAME_REFUSED the frame must be initialised anew.
 */
enum frame_result frame_read(struct frame *frame, char *bytes, size_t *length);

/* The index of the field with that name (in any case) at or after `from`; -1: none. */
int frame_find(const struct frame *frame, const char *bytes, const char *name, int from);

#endif
