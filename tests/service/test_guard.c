/* The strictness of http/frame.h: each case read whole, byte by byte and cut in two at each place.
 */
#include "../core/support/suite.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/frame.h"

enum { HEAD_MOST = 1024, BODY_MOST = 64 };

struct verdict {
    enum frame_result result;
    int status;
    size_t length; /* of what was left: the request without its chunks' framing, and what follows */
    char bytes[8192];
    struct frame frame;
};

/* Gives the frame the bytes in pieces: the first one of `first` bytes, the others of `others`. */
static void feed(struct verdict *verdict, const char *bytes, size_t length, size_t first,
                 size_t others) {
    frame_init(&verdict->frame, HEAD_MOST, BODY_MOST);
    verdict->length = 0;
    verdict->result = FRAME_MORE;
    size_t at = 0, piece = first;
    while (verdict->result == FRAME_MORE && at < length) {
        if (piece > length - at) piece = length - at;
        assert_true(verdict->length + piece <= sizeof verdict->bytes);
        memcpy(verdict->bytes + verdict->length, bytes + at, piece);
        verdict->length += piece;
        at += piece;
        verdict->result = frame_read(&verdict->frame, verdict->bytes, &verdict->length);
        piece = others;
    }
    verdict->status = verdict->result == FRAME_REFUSED ? verdict->frame.status : 0;
    if (verdict->result != FRAME_DONE) return;
    /* What was not given yet follows too. */
    memcpy(verdict->bytes + verdict->length, bytes + at, length - at);
    verdict->length += length - at;
}

static void assert_same(const struct verdict *one, const struct verdict *other) {
    assert_int_equal(one->result, other->result);
    assert_int_equal(one->status, other->status);
    if (one->result == FRAME_REFUSED) {
        assert_string_equal(one->frame.refusal, other->frame.refusal);
        return;
    }
    assert_int_equal(one->frame.head_length, other->frame.head_length);
    assert_int_equal(one->frame.body_length, other->frame.body_length);
    assert_int_equal(one->frame.field_count, other->frame.field_count);
    if (one->result != FRAME_DONE) return;
    assert_int_equal(one->length, other->length);
    assert_memory_equal(one->bytes, other->bytes, one->length);
}

static const struct verdict *read_all_ways(const char *bytes, size_t length) {
    static struct verdict whole, cut;
    feed(&whole, bytes, length, length, length);
    feed(&cut, bytes, length, 1, 1);
    assert_same(&whole, &cut);
    for (size_t first = 1; first < length && length < 300; first++) {
        feed(&cut, bytes, length, first, length);
        assert_same(&whole, &cut);
    }
    return &whole;
}

#define READ(text) read_all_ways(text, sizeof(text) - 1)
#define GET        "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST       "POST /r HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED    POST "Transfer-Encoding: chunked\r\n\r\n"

static void refused(const char *bytes, size_t length, int status, const char *word) {
    const struct verdict *verdict = read_all_ways(bytes, length);
    if (verdict->result != FRAME_REFUSED || verdict->status != status)
        print_error("%.200s: result %d, status %d\n", bytes, (int)verdict->result, verdict->status);
    assert_int_equal(verdict->result, FRAME_REFUSED);
    assert_int_equal(verdict->status, status);
    if (!strstr(verdict->frame.refusal, word)) print_error("%s\n", verdict->frame.refusal);
    assert_non_null(strstr(verdict->frame.refusal, word));
}

#define REFUSED(text, status, word) refused(text, sizeof(text) - 1, status, word)

static void a_request_is_taken_apart(void **state) {
    (void)state;
    const struct verdict *verdict =
        READ("POST /api/v1/x?a=b&c HTTP/1.1\r\nHost: shop.example:8080\r\nX_DYNO:web.1\r\n"
             "content-LENGTH: \t5 \r\nEmpty:\r\n\r\nhelloGET");
    const struct frame *frame = &verdict->frame;
    assert_int_equal(verdict->result, FRAME_DONE);
    assert_int_equal(frame->method, HTTP_POST);
    assert_int_equal(frame->minor, 1);
    assert_memory_equal(verdict->bytes + frame->path.at, "/api/v1/x", frame->path.length);
    assert_memory_equal(verdict->bytes + frame->query.at, "a=b&c", frame->query.length);
    assert_int_equal(frame->body_length, 5);
    assert_memory_equal(verdict->bytes + frame->head_length, "helloGET", 8);
    assert_true(frame->keep_alive);
    assert_int_equal(frame_find(frame, verdict->bytes, "x_dyno", 0), 1);
    assert_int_equal(frame_find(frame, verdict->bytes, "x_dyno", 2), -1);
    assert_int_equal(frame->fields[3].value.length, 0);
    assert_int_equal(frame_find(frame, verdict->bytes, "Missing", 0), -1);
}

static void methods_are_known_by_their_exact_names(void **state) {
    (void)state;
    assert_int_equal(READ(GET "\r\n")->frame.method, HTTP_GET);
    assert_int_equal(READ("HEAD / HTTP/1.0\r\n\r\n")->frame.method, HTTP_HEAD);
    assert_int_equal(READ("PUT / HTTP/1.0\r\n\r\n")->frame.method, HTTP_PUT);
    assert_int_equal(READ("PATCH / HTTP/1.0\r\n\r\n")->frame.method, HTTP_PATCH);
    assert_int_equal(READ("DELETE / HTTP/1.0\r\n\r\n")->frame.method, HTTP_DELETE);
    assert_int_equal(READ("get / HTTP/1.0\r\n\r\n")->frame.method, HTTP_OTHER);
    assert_int_equal(READ("TRACE / HTTP/1.0\r\n\r\n")->frame.method, HTTP_OTHER);
}

static void the_connection_stays_as_the_version_and_the_header_say(void **state) {
    (void)state;
    assert_true(READ(GET "\r\n")->frame.keep_alive);
    assert_false(READ(GET "Connection: close\r\n\r\n")->frame.keep_alive);
    assert_false(READ(GET "Connection: x , Close,keep-alive\r\n\r\n")->frame.keep_alive);
    assert_false(READ("GET / HTTP/1.0\r\n\r\n")->frame.keep_alive);
    assert_true(READ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")->frame.keep_alive);
    assert_true(
        READ(POST "Content-Length: 0\r\nExpect: 100-Continue\r\n\r\n")->frame.expects_continue);
    assert_false(READ("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n")->frame.expects_continue);
}

static void chunks_become_a_plain_body(void **state) {
    (void)state;
    const struct verdict *verdict =
        READ(CHUNKED "3\r\nabc\r\n00A;name=\"v\"\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nNEXT");
    assert_int_equal(verdict->result, FRAME_DONE);
    assert_int_equal(verdict->frame.body_length, 13);
    assert_memory_equal(verdict->bytes + verdict->frame.head_length, "abc0123456789NEXT", 17);
    verdict = READ(CHUNKED "0\r\n\r\n");
    assert_int_equal(verdict->result, FRAME_DONE);
    assert_int_equal(verdict->frame.body_length, 0);
}

static void what_is_not_whole_is_waited_for(void **state) {
    (void)state;
    assert_int_equal(READ("GET / HT")->result, FRAME_MORE);
    assert_int_equal(READ(GET)->result, FRAME_MORE);
    assert_int_equal(READ(POST "Content-Length: 3\r\n\r\nab")->result, FRAME_MORE);
    assert_int_equal(READ(CHUNKED "3\r\nabc\r")->result, FRAME_MORE);
    assert_int_equal(READ(CHUNKED "3\r\nabc\r\n0\r\n")->result, FRAME_MORE);
    assert_int_equal(READ(CHUNKED "1f")->result, FRAME_MORE);
}

static void two_readings_of_the_length_are_refused(void **state) {
    (void)state;
    REFUSED(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, "two Content-Length");
    REFUSED(POST "Content-Length: 5\r\ncontent-length: 5\r\n\r\n", 400, "two Content-Length");
    REFUSED(POST "Content-Length: 5, 5\r\n\r\n", 400, "not a number");
    REFUSED(POST "Content-Length: +5\r\n\r\n", 400, "not a number");
    REFUSED(POST "Content-Length: -5\r\n\r\n", 400, "not a number");
    REFUSED(POST "Content-Length: 0x5\r\n\r\n", 400, "not a number");
    REFUSED(POST "Content-Length:\r\n\r\n", 400, "not a number");
    REFUSED(POST "Content-Length: 5 5\r\n\r\n", 400, "not a number");
    REFUSED(POST "Content-Length: 18446744073709551617\r\n\r\n", 400, "not a number");
    REFUSED(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "beside");
    REFUSED(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400, "beside");
    REFUSED(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "two");
    REFUSED("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "HTTP/1.0 has no");
    REFUSED(POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "chunked");
    REFUSED(POST "Transfer-Encoding: chunked, chunked\r\n\r\n", 501, "chunked");
    REFUSED(POST "Transfer-Encoding: xchunked\r\n\r\n", 501, "chunked");
    REFUSED(POST "Transfer-Encoding: identity\r\n\r\n", 501, "chunked");
    REFUSED(POST "Transfer-Encoding: \"chunked\"\r\n\r\n", 501, "chunked");
    REFUSED(POST "Transfer-Encoding: \x0b"
                 "chunked\r\n\r\n",
            400, "control character");
}

static void lines_that_end_or_begin_otherwise_are_refused(void **state) {
    (void)state;
    REFUSED("GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "CR LF");
    REFUSED("GET / HTTP/1.1\r\nHost: a\n\r\n", 400, "CR LF");
    REFUSED(GET "\n", 400, "CR LF");
    REFUSED("\r\n" GET "\r\n", 400, "method");
    REFUSED("\n" GET "\r\n", 400, "CR LF");
    REFUSED(GET "X: a\rb\r\n\r\n", 400, "control character");
    REFUSED(GET "X: a\r\r\n\r\n", 400, "control character");
    REFUSED(GET " folded\r\n\r\n", 400, "folded");
    REFUSED(GET "\tfolded\r\n\r\n", 400, "folded");
    REFUSED("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "folded");
    REFUSED(GET ": nameless\r\n\r\n", 400, "a name, a colon");
    REFUSED(GET "X : a\r\n\r\n", 400, "a name, a colon");
    REFUSED(GET "X\r\n\r\n", 400, "a name, a colon");
    REFUSED(GET "X\xe4: a\r\n\r\n", 400, "a name, a colon");
    REFUSED(GET "X\0: a\r\n\r\n", 400, "a name, a colon");
    REFUSED(GET "X: a\0b\r\n\r\n", 400, "control character");
    REFUSED(GET "X: a\x7f\r\n\r\n", 400, "control character");
    assert_int_equal(READ(GET "X: a\tb \xc3\xa4\r\n\r\n")->result, FRAME_DONE);
}

static void request_lines_that_are_none_are_refused(void **state) {
    (void)state;
    REFUSED("GET /\r\n\r\n", 400, "no version");
    REFUSED("GET\r\n\r\n", 400, "method");
    REFUSED("\x16\x03\x01\x02\r\n", 400, "method");
    REFUSED("G\0T / HTTP/1.1\r\n\r\n", 400, "method");
    REFUSED(" GET / HTTP/1.1\r\n\r\n", 400, "method");
    REFUSED("GET  / HTTP/1.1\r\n\r\n", 400, "slash");
    REFUSED("GET\t/ HTTP/1.1\r\n\r\n", 400, "method");
    REFUSED("GET /  HTTP/1.1\r\n\r\n", 400, "version");
    REFUSED("GET / HTTP/1.1 \r\n\r\n", 400, "version");
    REFUSED("GET / http/1.1\r\n\r\n", 400, "version");
    REFUSED("GET / HTTP/1.10\r\n\r\n", 400, "version");
    REFUSED("GET / HTTP/+1.1\r\n\r\n", 400, "version");
    REFUSED("GET / HTTP/1.2\r\n\r\n", 505, "Only HTTP/1.0");
    REFUSED("GET / HTTP/0.9\r\n\r\n", 505, "Only HTTP/1.0");
    REFUSED("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "slash");
    REFUSED("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "slash");
    REFUSED("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "slash");
    REFUSED("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "slash");
    REFUSED("GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "percent-encoded");
    REFUSED("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "percent-encoded");
    REFUSED("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "percent-encoded");
    REFUSED("GET /?\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "percent-encoded");
}

static void a_request_names_one_host(void **state) {
    (void)state;
    REFUSED("GET / HTTP/1.1\r\n\r\n", 400, "needs a Host");
    REFUSED(GET "Host: a\r\n\r\n", 400, "two Host");
    REFUSED("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "names no host");
    REFUSED("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "names no host");
    REFUSED("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "names no host");
    REFUSED("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "names no host");
    REFUSED("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400, "names no host");
    REFUSED("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400, "names no host");
    REFUSED("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400, "names no host");
    REFUSED("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "names no host");
    REFUSED("GET / HTTP/1.1\r\nHost: []\r\n\r\n", 400, "names no host");
    REFUSED("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400, "names no host");
    assert_int_equal(READ("GET / HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n")->result, FRAME_DONE);
    assert_int_equal(READ("GET / HTTP/1.1\r\nHost: my-app_1.example\r\n\r\n")->result, FRAME_DONE);
}

static void chunks_that_are_none_are_refused(void **state) {
    (void)state;
    REFUSED(CHUNKED "x\r\n", 400, "hexadecimal");
    REFUSED(CHUNKED "\r\n", 400, "hexadecimal");
    REFUSED(CHUNKED "-1\r\n", 400, "hexadecimal");
    REFUSED(CHUNKED "0x3\r\nabc\r\n", 400, "hexadecimal");
    REFUSED(CHUNKED "3 \r\nabc\r\n", 400, "hexadecimal");
    REFUSED(CHUNKED " 3\r\nabc\r\n", 400, "hexadecimal");
    REFUSED(CHUNKED "3\nabc\r\n", 400, "CR LF");
    REFUSED(CHUNKED "3;a\0\r\nabc\r\n", 400, "control character");
    REFUSED(CHUNKED "3;a\nabc\r\n", 400, "CR LF");
    REFUSED(CHUNKED "3\r\nabcd\r\n", 400, "longer than");
    REFUSED(CHUNKED "3\r\nabc\n", 400, "CR LF");
    REFUSED(CHUNKED "0000000000000003\r\nabc\r\n", 400, "too long");
    REFUSED(CHUNKED "ffffffffffffffff\r\n", 400, "too long");
    REFUSED(CHUNKED "0\r\nbad\r\n\r\n", 400, "a name, a colon");
    REFUSED(CHUNKED "0\r\n folded: x\r\n\r\n", 400, "folded");
}

static void filled(char *text, size_t size, const char *begin, char with, size_t count,
                   const char *end) {
    size_t length = strlen(begin);
    assert_true(length + count + strlen(end) < size);
    memcpy(text, begin, length);
    memset(text + length, with, count);
    strcpy(text + length + count, end);
}

static void what_is_too_large_is_refused(void **state) {
    (void)state;
    static char text[8192];
    REFUSED(POST "Content-Length: 65\r\n\r\n", 413, "too large");
    REFUSED(CHUNKED "41\r\n", 413, "too large");
    REFUSED(CHUNKED "3\r\nabc\r\n3e\r\n", 413, "too large");
    REFUSED(CHUNKED "fffffffffffffff\r\n", 413, "too large");
    filled(text, sizeof text, "GET /", 'x', HEAD_MOST, " HTTP/1.1\r\nHost: a\r\n\r\n");
    refused(text, strlen(text), 431, "head");
    filled(text, sizeof text, GET "X: ", 'x', HEAD_MOST, "\r\n\r\n");
    refused(text, strlen(text), 431, "head");
    /* To the byte. */
    size_t rest = HEAD_MOST - strlen(GET "X: \r\n\r\n");
    filled(text, sizeof text, GET "X: ", 'x', rest, "\r\n\r\n");
    assert_int_equal(read_all_ways(text, strlen(text))->result, FRAME_DONE);
    filled(text, sizeof text, GET "X: ", 'x', rest + 1, "\r\n\r\n");
    refused(text, strlen(text), 431, "head");
    filled(text, sizeof text, CHUNKED "3;", 'x', 300, "\r\nabc\r\n0\r\n\r\n");
    refused(text, strlen(text), 400, "too long");
    filled(text, sizeof text, CHUNKED "0\r\nX: ", 'x', HEAD_MOST, "\r\n\r\n");
    refused(text, strlen(text), 431, "trailer");
    strcpy(text, GET);
    for (int i = 0; i < FRAME_FIELDS; i++) strcat(text, "a:\r\n");
    strcat(text, "\r\n");
    refused(text, strlen(text), 431, "100 headers");
    REFUSED(POST "Expect: 200-ok\r\n\r\n", 417, "100-continue");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(methods_are_known_by_their_exact_names),
        cmocka_unit_test(the_connection_stays_as_the_version_and_the_header_say),
        cmocka_unit_test(chunks_become_a_plain_body),
        cmocka_unit_test(what_is_not_whole_is_waited_for),
        cmocka_unit_test(two_readings_of_the_length_are_refused),
        cmocka_unit_test(lines_that_end_or_begin_otherwise_are_refused),
        cmocka_unit_test(request_lines_that_are_none_are_refused),
        cmocka_unit_test(a_request_names_one_host),
        cmocka_unit_test(chunks_that_are_none_are_refused),
        cmocka_unit_test(what_is_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
