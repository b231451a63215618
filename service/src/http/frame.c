#define _GNU_SOURCE /* strncasecmp */
#include "http/frame.h"

#include <string.h>
#include <strings.h>

enum { CHUNK_LINE_MOST = 256, SIZE_DIGITS_MOST = 15, LENGTH_DIGITS_MOST = 18 };

void frame_init(struct frame *frame, size_t head_most, size_t body_most) {
    memset(frame, 0, offsetof(struct frame, fields));
    frame->head_most = head_most < FRAME_HEAD_MOST ? head_most : FRAME_HEAD_MOST;
    frame->body_most = body_most;
}

static bool refuse(struct frame *frame, int status, const char *refusal) {
    frame->status = status;
    frame->refusal = refusal;
    return false;
}

/* RFC 9110's token: the characters of methods and of field names. */
static bool is_token(unsigned char c) {
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
    return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }

static bool is_blank(unsigned char c) { return c == ' ' || c == '\t'; }

/* Characters of field values and chunk extensions: no control character but a tab. */
static bool is_text(unsigned char c) { return (c >= 0x20 && c != 0x7f) || c == '\t'; }

static size_t token_length(const char *at, size_t length) {
    size_t count = 0;
    while (count < length && is_token((unsigned char)at[count])) count++;
    return count;
}

static bool equals(const char *bytes, size_t length, const char *name) {
    return strlen(name) == length && strncasecmp(bytes, name, length) == 0;
}

static struct frame_span span(size_t at, size_t length) {
    return (struct frame_span){(uint16_t)at, (uint16_t)length};
}

/* ---- The request line: "POST /path?query HTTP/1.1" --------------------------------------- */

static enum http_method method_of(const char *name, size_t length) {
    static const char *const names[] = {
        [HTTP_GET] = "GET", [HTTP_HEAD] = "HEAD",   [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT", [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE"};
    for (int i = HTTP_GET; i < HTTP_OTHER; i++)
        if (strlen(names[i]) == length && memcmp(name, names[i], length) == 0)
            return (enum http_method)i;
    return HTTP_OTHER;
}

static bool read_version(struct frame *frame, const char *at, size_t length) {
    if (length != 8 || memcmp(at, "HTTP/", 5) != 0 || !is_digit((unsigned char)at[5]) ||
        at[6] != '.' || !is_digit((unsigned char)at[7]))
        return refuse(frame, 400, "The request line does not end in a version of HTTP.");
    if (at[5] != '1' || at[7] > '1')
        return refuse(frame, 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.");
    frame->minor = at[7] - '0';
    return true;
}

/* The target in the only form that a server needs: "/path?query". "*" and full URLs are for
 * proxies, and the host in a URL could contradict the Host header. */
static bool read_target(struct frame *frame, const char *bytes, size_t at, size_t length) {
    if (length == 0 || bytes[at] != '/')
        return refuse(frame, 400, "The target of a request must begin with a slash.");
    size_t path = length;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[at + i];
        if (c <= 0x20 || c >= 0x7f || c == '#')
            return refuse(frame, 400, "The target has a character that must be percent-encoded.");
        if (c == '?' && path == length) path = i;
    }
    frame->path = span(at, path);
    if (path < length) frame->query = span(at + path + 1, length - path - 1);
    return true;
}

static bool read_request_line(struct frame *frame, const char *bytes, size_t at, size_t length) {
    size_t method = token_length(bytes + at, length);
    if (method == 0 || method == length || bytes[at + method] != ' ')
        return refuse(frame, 400, "The request does not begin with a method and a blank.");
    frame->method = method_of(bytes + at, method);
    size_t target = at + method + 1, left = length - method - 1;
    const char *blank = memchr(bytes + target, ' ', left);
    if (!blank) return refuse(frame, 400, "The request line has no version of HTTP.");
    size_t target_length = (size_t)(blank - (bytes + target));
    return read_target(frame, bytes, target, target_length) &&
           read_version(frame, blank + 1, left - target_length - 1);
}

/* ---- Fields --------------------------------------------------------------------------------- */

static bool read_content_length(struct frame *frame, const char *value, size_t length) {
    if (frame->has_length) return refuse(frame, 400, "There are two Content-Length headers.");
    frame->has_length = true;
    if (length == 0 || length > LENGTH_DIGITS_MOST)
        return refuse(frame, 400, "Content-Length is not a number of bytes.");
    for (size_t i = 0; i < length; i++) {
        if (!is_digit((unsigned char)value[i]))
            return refuse(frame, 400, "Content-Length is not a number of bytes.");
        frame->left = frame->left * 10 + (uint64_t)(value[i] - '0');
    }
    return true;
}

static bool read_transfer_encoding(struct frame *frame, const char *value, size_t length) {
    if (frame->chunked) return refuse(frame, 400, "There are two Transfer-Encoding headers.");
    if (!equals(value, length, "chunked"))
        return refuse(frame, 501, "The only Transfer-Encoding that is understood is chunked.");
    frame->chunked = true;
    return true;
}

/* "shop.example", "[2001:db8::1]", either with ":8080". */
static bool read_host(struct frame *frame, const char *value, size_t length) {
    if (frame->has_host) return refuse(frame, 400, "There are two Host headers.");
    frame->has_host = true;
    bool literal = length > 0 && value[0] == '[';
    size_t at = literal ? 1 : 0, begin = at;
    for (; at < length; at++) {
        unsigned char c = (unsigned char)value[at];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c);
        if (!letter && c != '.' && !(literal ? c == ':' : c == '-' || c == '_' || c == '~')) break;
    }
    bool named = at > begin;
    if (literal) named = named && at < length && value[at++] == ']';
    if (named && at < length && value[at] == ':')
        for (at++; at < length && is_digit((unsigned char)value[at]);) at++;
    if (!named || at != length) return refuse(frame, 400, "The Host header names no host.");
    return true;
}

/* Reads a list of tokens; only "close" and "keep-alive" matter. */
static void read_connection(struct frame *frame, const char *value, size_t length) {
    for (size_t at = 0; at < length;) {
        const char *comma = memchr(value + at, ',', length - at);
        size_t end = comma ? (size_t)(comma - value) : length, last = end;
        while (at < last && is_blank((unsigned char)value[at])) at++;
        while (last > at && is_blank((unsigned char)value[last - 1])) last--;
        if (equals(value + at, last - at, "close")) frame->has_connection_close = true;
        if (equals(value + at, last - at, "keep-alive")) frame->has_connection_keep_alive = true;
        at = end + 1;
    }
}

static bool read_expect(struct frame *frame, const char *value, size_t length) {
    if (!equals(value, length, "100-continue"))
        return refuse(frame, 417, "The only expectation that is met is 100-continue.");
    frame->expects_continue = true;
    return true;
}

static bool note_field(struct frame *frame, const char *bytes, const struct frame_field *field) {
    const char *name = bytes + field->name.at, *value = bytes + field->value.at;
    size_t length = field->value.length;
    switch (field->name.length) {
    case 4:
        if (equals(name, 4, "Host")) return read_host(frame, value, length);
        return true;
    case 6:
        if (equals(name, 6, "Expect")) return read_expect(frame, value, length);
        return true;
    case 10:
        if (equals(name, 10, "Connection")) read_connection(frame, value, length);
        return true;
    case 14:
        if (equals(name, 14, "Content-Length")) return read_content_length(frame, value, length);
        return true;
    case 17:
        if (equals(name, 17, "Transfer-Encoding"))
            return read_transfer_encoding(frame, value, length);
        return true;
    default:
        return true;
    }
}

/* Reads one field of the head or the trailer, without its CR LF. */
static bool read_field(struct frame *frame, const char *bytes, size_t at, size_t length,
                       struct frame_field *field) {
    if (is_blank((unsigned char)bytes[at]))
        return refuse(frame, 400, "A header is folded over two lines.");
    size_t name = token_length(bytes + at, length);
    if (name == 0 || name == length || bytes[at + name] != ':')
        return refuse(frame, 400, "A header line is not a name, a colon and a value.");
    size_t begin = at + name + 1, end = at + length;
    for (size_t i = begin; i < end; i++)
        if (!is_text((unsigned char)bytes[i]))
            return refuse(frame, 400, "A header's value has a control character.");
    while (begin < end && is_blank((unsigned char)bytes[begin])) begin++;
    while (end > begin && is_blank((unsigned char)bytes[end - 1])) end--;
    *field = (struct frame_field){span(at, name), span(begin, end - begin)};
    return true;
}

static bool add_field(struct frame *frame, const char *bytes, size_t at, size_t length) {
    if (frame->field_count == FRAME_FIELDS)
        return refuse(frame, 431, "There are more than 100 headers.");
    struct frame_field *field = &frame->fields[frame->field_count];
    if (!read_field(frame, bytes, at, length, field)) return false;
    frame->field_count++;
    return note_field(frame, bytes, field);
}

/* The head is complete: checks its headers together. */
static bool end_head(struct frame *frame) {
    frame->head_length = frame->at;
    if (frame->minor == 1 && !frame->has_host)
        return refuse(frame, 400, "HTTP/1.1 needs a Host header.");
    if (frame->chunked && frame->has_length)
        return refuse(frame, 400, "Content-Length and Transfer-Encoding stand beside each other.");
    if (frame->chunked && frame->minor == 0)
        return refuse(frame, 400, "HTTP/1.0 has no Transfer-Encoding.");
    if (frame->left > frame->body_most) return refuse(frame, 413, "The body is too large.");
    frame->keep_alive =
        !frame->has_connection_close && (frame->minor == 1 || frame->has_connection_keep_alive);
    if (frame->minor == 0) frame->expects_continue = false;
    frame->state = frame->chunked ? IN_SIZE : IN_BODY;
    frame->line = frame->at;
    return true;
}

/* ---- Chunks --------------------------------------------------------------------------------- */

static int hex_value(unsigned char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Reads "1a2b" or "1a2b;extension"; extensions are ignored. */
static bool read_size(struct frame *frame, const char *line, size_t length) {
    size_t digits = 0;
    uint64_t size = 0;
    for (; digits < length && hex_value((unsigned char)line[digits]) >= 0; digits++) {
        if (digits == SIZE_DIGITS_MOST) return refuse(frame, 400, "A chunk's size is too long.");
        size = size * 16 + (uint64_t)hex_value((unsigned char)line[digits]);
    }
    if (digits == 0 || (digits < length && line[digits] != ';'))
        return refuse(frame, 400, "A chunk does not begin with its size in hexadecimal digits.");
    for (size_t i = digits; i < length; i++)
        if (!is_text((unsigned char)line[i]))
            return refuse(frame, 400, "A chunk's extension has a control character.");
    if (size > frame->body_most - frame->body_length)
        return refuse(frame, 413, "The body is too large.");
    frame->left = size;
    frame->state = size > 0 ? IN_CHUNK : IN_TRAILER;
    return true;
}

/* Takes bytes of the body or of a chunk. True once it is complete. */
static bool take_body(struct frame *frame, char *bytes, size_t length) {
    size_t there = length - frame->at;
    size_t taken = there < frame->left ? there : (size_t)frame->left;
    char *end = bytes + frame->head_length + frame->body_length;
    if (taken > 0 && end != bytes + frame->at) memmove(end, bytes + frame->at, taken);
    frame->body_length += taken;
    frame->at += taken;
    frame->left -= taken;
    return frame->left == 0;
}

/* ---- Line by line --------------------------------------------------------------------------- */

/* The longest that the current line may be, with its end. */
static size_t line_most(const struct frame *frame) {
    switch (frame->state) {
    case IN_REQUEST_LINE:
    case IN_FIELDS:
        return frame->head_most - frame->line;
    case IN_TRAILER:
        return frame->head_most - frame->trailer_bytes;
    case IN_CHUNK_END:
        return 2;
    default:
        return CHUNK_LINE_MOST;
    }
}

static bool refuse_long_line(struct frame *frame) {
    switch (frame->state) {
    case IN_REQUEST_LINE:
    case IN_FIELDS:
        return refuse(frame, 431, "The head of the request is too large.");
    case IN_TRAILER:
        return refuse(frame, 431, "The trailer of the request is too large.");
    case IN_CHUNK_END:
        return refuse(frame, 400, "A chunk is longer than its size says.");
    default:
        return refuse(frame, 400, "The line of a chunk's size is too long.");
    }
}

/* Reads one complete line without its CR LF. False: refused; *done: the request is complete. */
static bool read_line(struct frame *frame, const char *bytes, size_t at, size_t length,
                      bool *done) {
    struct frame_field trailer;
    switch (frame->state) {
    case IN_REQUEST_LINE:
        if (!read_request_line(frame, bytes, at, length)) return false;
        frame->state = IN_FIELDS;
        return true;
    case IN_FIELDS:
        if (length == 0) return end_head(frame);
        return add_field(frame, bytes, at, length);
    case IN_SIZE:
        return read_size(frame, bytes + at, length);
    case IN_CHUNK_END:
        if (length > 0) return refuse(frame, 400, "A chunk is longer than its size says.");
        frame->state = IN_SIZE;
        return true;
    case IN_TRAILER:
        *done = length == 0;
        frame->trailer_bytes += length + 2;
        return *done || read_field(frame, bytes, at, length, &trailer);
    default:
        return true;
    }
}

enum found { FOUND_LINE, FOUND_NONE, FOUND_REFUSED };

/* Finds the end of the line that begins at frame->line; frame->at is then behind it. */
static enum found find_line(struct frame *frame, const char *bytes, size_t length,
                            size_t *line_length) {
    size_t most = line_most(frame), there = length - frame->line;
    size_t seen = frame->at - frame->line, limit = there < most ? there : most;
    const char *end = limit > seen ? memchr(bytes + frame->at, '\n', limit - seen) : NULL;
    if (!end) {
        frame->at = frame->line + limit;
        if (there < most) return FOUND_NONE;
        refuse_long_line(frame);
        return FOUND_REFUSED;
    }
    size_t line = (size_t)(end - (bytes + frame->line));
    if (line == 0 || end[-1] != '\r') {
        refuse(frame, 400, "A line does not end in CR LF.");
        return FOUND_REFUSED;
    }
    frame->at = frame->line + line + 1;
    *line_length = line - 1;
    return FOUND_LINE;
}

static enum frame_result step(struct frame *frame, char *bytes, size_t length, bool *waits) {
    if (frame->state == IN_BODY || frame->state == IN_CHUNK) {
        bool whole = take_body(frame, bytes, length);
        *waits = !whole;
        if (!whole) return FRAME_MORE;
        frame->line = frame->at;
        if (frame->state == IN_BODY) return FRAME_DONE;
        frame->state = IN_CHUNK_END;
        return FRAME_MORE;
    }
    size_t line = frame->line, line_length = 0;
    enum found found = find_line(frame, bytes, length, &line_length);
    *waits = found == FOUND_NONE;
    if (found == FOUND_NONE) return FRAME_MORE;
    bool done = false;
    if (found == FOUND_REFUSED || !read_line(frame, bytes, line, line_length, &done))
        return FRAME_REFUSED;
    frame->line = frame->at;
    return done ? FRAME_DONE : FRAME_MORE;
}

/* Moves the bytes that were not taken yet to the end of the body, over the framing of chunks. */
static void close_gap(struct frame *frame, char *bytes, size_t *length) {
    if (!frame->chunked || frame->head_length == 0) return;
    size_t end = frame->head_length + frame->body_length;
    size_t from = frame->state == IN_CHUNK ? frame->at : frame->line, gap = from - end;
    if (gap == 0) return;
    memmove(bytes + end, bytes + from, *length - from);
    *length -= gap;
    frame->at -= gap;
    frame->line = end;
}

enum frame_result frame_read(struct frame *frame, char *bytes, size_t *length) {
    enum frame_result result = FRAME_MORE;
    for (bool waits = false; result == FRAME_MORE && !waits;)
        result = step(frame, bytes, *length, &waits);
    if (result != FRAME_REFUSED) close_gap(frame, bytes, length);
    return result;
}

int frame_find(const struct frame *frame, const char *bytes, const char *name, int from) {
    size_t length = strlen(name);
    for (int i = from; i < frame->field_count; i++) {
        const struct frame_span *found = &frame->fields[i].name;
        if (found->length == length && strncasecmp(bytes + found->at, name, length) == 0) return i;
    }
    return -1;
}
