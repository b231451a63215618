/* The HTTP engine through real sockets: a server on a thread of its own, a client here. */
#define _GNU_SOURCE /* poll's and sockets' constants under -std=c11 */
#include "../core/support/suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zlib.h>

#include "http/http.h"

enum { PATIENCE_MS = 60000 };

/* ---- The server ------------------------------------------------------------------------------ */

struct service {
    struct loop *loop;
    struct http_server *server;
    pthread_t thread;
    int port;
    struct http_request *held; /* what "/hold" was asked */
    struct http_stream *stream;
    sem_t happened; /* a request is held, a stream is open or closed, the drain is over */
    sem_t arrived;
    int refused_events;
    struct http_counts counts;
};

static void stream_is_closed(void *context) {
    struct service *service = context;
    service->stream = NULL;
    sem_post(&service->happened);
}

static void is_drained(void *context) {
    struct service *service = context;
    sem_post(&service->happened);
}

/* What the request was, as a text. */
static void echo(struct http_request *request) {
    struct text text = TEXT_EMPTY;
    size_t length;
    const char *body = http_body(request, &length), *dyno = http_header(request, "x_dyno");
    text_format(&text, "%d %s ?%s from %s %d [%s] ", http_method(request), http_path(request),
                http_query(request), http_address(request), http_peer(request), dyno ? dyno : "-");
    text_add(&text, body, length);
    http_answer(request, 200, "text/plain", "X-Echo: yes\r\n", text.bytes, text.length);
    text_free(&text);
}

static void big(struct http_request *request, size_t length) {
    char *body = malloc(length);
    memset(body, 'b', length);
    http_answer(request, 200, "text/plain", NULL, body, length);
    free(body);
}

static void handle(void *context, struct http_request *request) {
    struct service *service = context;
    const char *path = http_path(request);
    if (strcmp(path, "/hold") == 0) {
        service->held = request;
        sem_post(&service->happened);
    } else if (strcmp(path, "/stream") == 0) {
        service->stream = http_stream_open(request, stream_is_closed, service);
        sem_post(&service->happened);
    } else if (strcmp(path, "/big") == 0) {
        big(request, 8 << 20);
    } else if (strcmp(path, "/nothing") == 0) {
        http_answer(request, 204, NULL, "Cache-Control: max-age=5\r\n", NULL, 0);
    } else {
        echo(request);
    }
}

static void *serve(void *context) {
    struct service *service = context;
    loop_run(service->loop);
    return NULL;
}

static struct http_limits limits;

static void begin(struct service *service) {
    char error[200] = "";
    *service = (struct service){.loop = loop_new()};
    sem_init(&service->happened, 0, 0);
    sem_init(&service->arrived, 0, 0);
    service->server = http_server_new(service->loop, &limits, handle, service, error, sizeof error);
    assert_string_equal(error, "");
    assert_true(
        http_listen(service->server, "127.0.0.1:0", HTTP_PEER_NETWORK, error, sizeof error));
    service->port = http_port(service->server);
}

static void run(struct service *service) {
    assert_int_equal(pthread_create(&service->thread, NULL, serve, service), 0);
}

static void end(struct service *service) {
    loop_stop(service->loop);
    pthread_join(service->thread, NULL);
    http_server_free(service->server);
    loop_run_posts(service->loop);
    loop_free(service->loop);
    sem_destroy(&service->happened);
    sem_destroy(&service->arrived);
}

static int usual(void **state) {
    static struct service service;
    limits = http_usual_limits;
    begin(&service);
    run(&service);
    *state = &service;
    return 0;
}

static int stop(void **state) {
    end(*state);
    return 0;
}

/* Runs a function on the loop's thread, and waits for it. */
struct call {
    struct loop_post post;
    void (*run)(struct service *service);
    struct service *service;
    sem_t done;
};

static void run_call(void *context) {
    struct call *call = context;
    call->run(call->service);
    sem_post(&call->done);
}

static void on_loop(struct service *service, void (*run)(struct service *service)) {
    struct call call = {.run = run, .service = service};
    call.post.run = run_call;
    call.post.context = &call;
    sem_init(&call.done, 0, 0);
    loop_post(service->loop, &call.post);
    sem_wait(&call.done);
    sem_destroy(&call.done);
}

static void answer_held(struct service *service) {
    http_answer(service->held, 200, "text/plain", NULL, "held", 4);
    service->held = NULL;
}

static void copy_counts(struct service *service) { service->counts = http_counts(service->server); }

static struct http_counts counted(struct service *service) {
    on_loop(service, copy_counts);
    return service->counts;
}

/* ---- The client ------------------------------------------------------------------------------ */

static int connected(const struct service *service) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)service->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_all(int fd, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0) return; /* it has refused us before all was sent */
        bytes += sent;
        length -= (size_t)sent;
    }
}

#define SEND(fd, text) send_all(fd, text, sizeof(text) - 1)

/* Reads until `until` is there (NULL: until the server closes). The text is the next call's. */
static const char *receive(int fd, const char *until) {
    static char *text;
    static size_t room;
    size_t length = 0;
    for (;;) {
        if (room - length < 70000) text = realloc(text, room += 1 << 20);
        text[length] = '\0';
        if (until && strstr(text, until)) return text;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, PATIENCE_MS) != 1) fail_msg("no more came after: %.300s", text);
        ssize_t count = recv(fd, text + length, 65536, 0);
        if (count <= 0) break;
        length += (size_t)count;
    }
    text[length] = '\0';
    if (until) fail_msg("it closed without \"%s\": %.300s", until, text);
    return text;
}

static const char *asked(struct service *service, const char *bytes, size_t length) {
    int fd = connected(service);
    send_all(fd, bytes, length);
    const char *answer = receive(fd, NULL);
    close(fd);
    return answer;
}

#define ASK(service, text) asked(service, text, sizeof(text) - 1)

static void assert_has(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("no \"%s\" in: %.500s", part, text);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void a_request_comes_in_and_an_answer_goes_out(void **state) {
    const char *answer =
        ASK(*state, "POST /a/b?c=d HTTP/1.1\r\nHost: x\r\nX_DYNO: web.1\r\nConnection: close\r\n"
                    "Content-Length: 5\r\n\r\nhello");
    assert_has(answer, "HTTP/1.1 200 OK\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
                       "Content-Type: text/plain\r\nContent-Length: ");
    assert_has(answer, "\r\nConnection: close\r\n");
    assert_has(answer, "\r\nX-Echo: yes\r\n");
    assert_has(answer, "\r\n\r\n2 /a/b ?c=d from 127.0.0.1 0 [web.1] hello");
}

static void every_answer_has_the_security_headers(void **state) {
    static const char *const headers[] = {
        "\r\nX-Content-Type-Options: nosniff\r\n",
        "\r\nReferrer-Policy: no-referrer\r\n",
        "\r\nContent-Security-Policy: default-src 'none'; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'\r\n",
        "\r\nX-Frame-Options: DENY\r\n",
        "\r\nCache-Control: no-store\r\n",
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        assert_has(ASK(*state, "GET / HTTP/1.0\r\n\r\n"), headers[i]);
        assert_has(ASK(*state, "nonsense\r\n\r\n"), headers[i]);
    }
    const char *answer = ASK(*state, "GET /nothing HTTP/1.0\r\n\r\n");
    assert_has(answer, "204 No Content\r\n");
    assert_has(answer, "\r\nCache-Control: max-age=5\r\n");
    assert_null(strstr(answer, "no-store"));
    assert_null(strstr(answer, "Content-Length"));
}

static void a_refusal_says_why_and_ends_the_connection(void **state) {
    const char *answer = ASK(*state, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
                                     "Content-Length: 1\r\n\r\n");
    assert_has(answer, "HTTP/1.1 400 Bad Request\r\n");
    assert_has(answer, "\r\nConnection: close\r\n");
    assert_has(answer, "{\"title\":\"Bad Request\",\"status\":400,\"detail\":\"There are two "
                       "Content-Length headers.\"}");
}

static void a_refusal_arrives_though_the_client_still_sends(void **state) {
    int fd = connected(*state);
    SEND(fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n");
    char *junk = calloc(1, 1 << 20);
    send_all(fd, junk, 1 << 20);
    free(junk);
    assert_has(receive(fd, NULL), "HTTP/1.1 413 ");
    close(fd);
}

static void head_is_answered_without_a_body(void **state) {
    const char *answer = ASK(*state, "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_has(answer, "\r\nContent-Length: 27\r\n");
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

static void a_connection_is_used_again(void **state) {
    int fd = connected(*state);
    for (int i = 0; i < 3; i++) {
        SEND(fd, "GET /again HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_has(receive(fd, "/again ?"), "HTTP/1.1 200 OK");
    }
    SEND(fd, "GET /again HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    receive(fd, NULL);
    close(fd);
    fd = connected(*state);
    SEND(fd, "GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_has(receive(fd, "/old ?"), "\r\nConnection: keep-alive\r\n");
    SEND(fd, "GET /old2 HTTP/1.0\r\n\r\n");
    assert_has(receive(fd, NULL), "/old2");
    close(fd);
}

static void pipelined_requests_are_answered_in_their_order(void **state) {
    struct service *service = *state;
    int fd = connected(service);
    SEND(fd, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /hold HTTP/1.1\r\nHost: a\r\n\r\n"
             "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nabGET /4 HTTP/1.1\r\n");
    sem_wait(&service->happened);
    SEND(fd, "Host: a\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    on_loop(service, answer_held);
    const char *answers = receive(fd, NULL);
    const char *first = strstr(answers, "/1 ?"), *held = strstr(answers, "held");
    const char *third = strstr(answers, "/3 ?"), *fourth = strstr(answers, "/4 ?");
    assert_true(first && held && third && fourth);
    assert_true(first < held && held < third && third < fourth);
    assert_null(strstr(answers, "never"));
    close(fd);
}

static void a_client_that_waits_for_100_is_told_to_go_on(void **state) {
    int fd = connected(*state);
    SEND(fd, "POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n"
             "Connection: close\r\n\r\n");
    assert_string_equal(receive(fd, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    SEND(fd, "abc");
    assert_has(receive(fd, NULL), "[-] abc");
    close(fd);
    /* Not where what it has to say is refused anyway. */
    const char *answer = ASK(*state, "POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                                     "Content-Length: 9999999\r\n\r\n");
    assert_has(answer, "HTTP/1.1 413 ");
    assert_null(strstr(answer, "100 Continue"));
}

static void a_large_body_and_a_large_answer_pass_whole(void **state) {
    size_t length = limits.body_bytes;
    char *body = malloc(length);
    for (size_t i = 0; i < length; i++) body[i] = (char)('a' + i % 26);
    int fd = connected(*state);
    char head[200];
    snprintf(head, sizeof head,
             "POST /l HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
             length);
    send_all(fd, head, strlen(head));
    send_all(fd, body, length);
    const char *answer = receive(fd, NULL), *echoed = strstr(answer, "[-] ");
    assert_non_null(echoed);
    assert_memory_equal(echoed + 4, body, length);
    close(fd);
    free(body);
    answer = ASK(*state, "GET /big HTTP/1.0\r\n\r\n");
    assert_int_equal(strspn(strstr(answer, "\r\n\r\n") + 4, "b"), 8 << 20);
}

/* "POST / ... Content-Encoding: gzip" of `length` bytes of 'z', sent; what was answered. */
static const char *ask_with_gzip(struct service *service, size_t length, const char *encoding,
                                 size_t cut_off, size_t members) {
    char *plain = malloc(length);
    memset(plain, 'z', length);
    size_t room = length / 100 + 1000;
    char *packed = malloc(members * room), head[300];
    size_t packed_length = 0;
    for (size_t i = 0; i < members; i++) {
        z_stream stream = {.next_in = (Bytef *)plain, .avail_in = (uInt)length};
        assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 31, 8, 0), Z_OK);
        stream.next_out = (Bytef *)packed + packed_length;
        stream.avail_out = (uInt)room;
        assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
        packed_length += stream.total_out;
        deflateEnd(&stream);
    }
    packed_length -= cut_off;
    snprintf(head, sizeof head,
             "POST /g HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Encoding: %s\r\n"
             "Content-Length: %zu\r\n\r\n",
             encoding, packed_length);
    int fd = connected(service);
    send_all(fd, head, strlen(head));
    send_all(fd, packed, packed_length);
    free(plain);
    free(packed);
    const char *answer = receive(fd, NULL);
    close(fd);
    return answer;
}

static void gzip_is_undone_within_the_limit_of_a_plain_body(void **state) {
    assert_has(ask_with_gzip(*state, 5, "gzip", 0, 1), "[-] zzzzz");
    assert_has(ask_with_gzip(*state, 5, "GZIP", 0, 2), "[-] zzzzzzzzzz");
    assert_has(ask_with_gzip(*state, limits.body_bytes, "x-gzip", 0, 1), "200 OK");
    assert_has(ask_with_gzip(*state, limits.body_bytes + 1, "gzip", 0, 1), "HTTP/1.1 413 ");
    assert_has(ask_with_gzip(*state, 100 << 20, "gzip", 0, 1), "HTTP/1.1 413 ");
    assert_has(ask_with_gzip(*state, 5000, "gzip", 3, 1), "HTTP/1.1 400 ");
    assert_has(ask_with_gzip(*state, 5, "br", 0, 1), "HTTP/1.1 415 ");
    assert_has(ask_with_gzip(*state, 5, "gzip, gzip", 0, 1), "HTTP/1.1 415 ");
    assert_has(ASK(*state, "POST / HTTP/1.0\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n"
                           "none"),
               "HTTP/1.1 400 ");
    assert_has(ASK(*state, "POST / HTTP/1.0\r\nContent-Encoding: gzip\r\n\r\n"), "200 OK");
}

static void a_client_that_leaves_before_the_answer_does_no_harm(void **state) {
    struct service *service = *state;
    for (int i = 0; i < 3; i++) {
        int fd = connected(service);
        SEND(fd, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
        sem_wait(&service->happened);
        struct linger reset = {.l_onoff = 1};
        if (i == 1) setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        if (i == 2) SEND(fd, "GET /more HTTP/1.1\r\nHost: a\r\n\r\n");
        close(fd);
        on_loop(service, answer_held);
    }
    assert_has(ASK(service, "GET / HTTP/1.0\r\n\r\n"), "200 OK");
}

static void a_client_that_has_ended_its_side_still_gets_the_answer(void **state) {
    struct service *service = *state;
    int fd = connected(service);
    SEND(fd, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    shutdown(fd, SHUT_WR);
    sem_wait(&service->happened);
    on_loop(service, answer_held);
    assert_has(receive(fd, NULL), "held");
    close(fd);
}

static void send_event(struct service *service) {
    assert_true(http_stream_send(service->stream, "tick", "7", "{\"a\":1}"));
    assert_true(http_stream_send(service->stream, NULL, NULL, "plain"));
}

static void send_until_refused(struct service *service) {
    char *data = malloc(10001);
    memset(data, 'd', 10000);
    data[10000] = '\0';
    while (http_stream_send(service->stream, NULL, NULL, data)) continue;
    free(data);
    service->refused_events++;
}

static void close_stream(struct service *service) { http_stream_close(service->stream); }

static void events_are_streamed_until_one_side_closes(void **state) {
    struct service *service = *state;
    int fd = connected(service);
    SEND(fd, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    sem_wait(&service->happened);
    on_loop(service, send_event);
    const char *text = receive(fd, "data: plain\n\n");
    assert_has(text, "\r\nContent-Type: text/event-stream\r\n");
    assert_has(text, "\r\n\r\nevent: tick\nid: 7\ndata: {\"a\":1}\n\ndata: plain\n\n");
    on_loop(service, close_stream);
    receive(fd, NULL);
    sem_wait(&service->happened);
    close(fd);

    fd = connected(service);
    SEND(fd, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    sem_wait(&service->happened);
    close(fd);
    sem_wait(&service->happened); /* it is told that the client has left */
}

static void a_stream_that_is_not_read_refuses_events(void **state) {
    struct service *service = *state;
    int fd = connected(service);
    SEND(fd, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    sem_wait(&service->happened);
    on_loop(service, send_until_refused);
    assert_int_equal(service->refused_events, 1);
    on_loop(service, close_stream);
    sem_wait(&service->happened);
    close(fd);
}

static int with_short_deadlines(void **state) {
    static struct service service;
    limits = http_usual_limits;
    limits.head_ms = limits.body_ms = limits.idle_ms = limits.answer_ms = limits.stream_ms = 200;
    begin(&service);
    run(&service);
    *state = &service;
    return 0;
}

/* Sends `byte` again and again until the server has closed. */
static void drip(int fd, char byte) {
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    while (poll(&wait, 1, 20) == 0)
        if (send(fd, &byte, 1, MSG_NOSIGNAL) < 0) return;
}

static void each_deadline_is_absolute(void **state) {
    struct service *service = *state;
    int fd = connected(service); /* says nothing at all */
    assert_string_equal(receive(fd, NULL), "");
    close(fd);

    fd = connected(service); /* a head, byte by byte */
    SEND(fd, "GET / HTTP/1.1\r\nX: ");
    drip(fd, 'x');
    assert_has(receive(fd, NULL), "HTTP/1.1 408 ");
    close(fd);

    fd = connected(service); /* a body, byte by byte */
    SEND(fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    drip(fd, 'x');
    assert_has(receive(fd, NULL), "HTTP/1.1 408 ");
    close(fd);

    fd = connected(service); /* nothing after an answer */
    SEND(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_null(strstr(receive(fd, NULL), " 408 "));
    close(fd);

    fd = connected(service); /* an answer that is never read */
    SEND(fd, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    while (counted(service).timed_out < 4) poll(NULL, 0, 5);
    close(fd);

    fd = connected(service); /* a handler that does not answer */
    SEND(fd, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_string_equal(receive(fd, NULL), "");
    close(fd);
    on_loop(service, answer_held);

    fd = connected(service); /* a stream that is not read */
    SEND(fd, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    sem_wait(&service->happened);
    sem_wait(&service->happened);
    on_loop(service, send_until_refused);
    sem_wait(&service->happened);
    close(fd);
}

static void a_quiet_stream_is_kept_alive(void **state) {
    struct service *service = *state;
    int fd = connected(service);
    SEND(fd, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    receive(fd, ":\n\n");
    receive(fd, ":\n\n");
    close(fd);
    sem_wait(&service->happened);
    sem_wait(&service->happened);
}

static int with_few_connections(void **state) {
    static struct service service;
    limits = http_usual_limits;
    limits.connections = 5;
    limits.connections_a_peer = 3;
    limits.held_bytes = 10000;
    begin(&service);
    run(&service);
    *state = &service;
    return 0;
}

static void connections_of_a_peer_are_counted_and_limited(void **state) {
    struct service *service = *state;
    int fds[4];
    for (int i = 0; i < 3; i++) {
        fds[i] = connected(service);
        SEND(fds[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        receive(fds[i], "[-]");
    }
    fds[3] = connected(service);
    assert_string_equal(receive(fds[3], NULL), "");
    assert_int_equal(counted(service).refused_connections, 1);
    assert_int_equal(counted(service).open, 3);
    for (int i = 0; i < 4; i++) close(fds[i]);
    while (counted(service).open > 0) poll(NULL, 0, 5);
    assert_has(ASK(service, "GET / HTTP/1.0\r\n\r\n"), "200 OK");
}

static void requests_that_do_not_fit_into_memory_are_put_off(void **state) {
    struct service *service = *state;
    int fd = connected(service);
    SEND(fd, "POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n");
    char *body = malloc(20000);
    memset(body, 'x', 20000);
    send_all(fd, body, 20000);
    free(body);
    const char *answer = receive(fd, NULL);
    assert_has(answer, "HTTP/1.1 503 ");
    assert_has(answer, "\r\nRetry-After: ");
    close(fd);
    while (counted(service).open > 0) poll(NULL, 0, 5);
    assert_int_equal(counted(service).held_bytes, 0);
}

static void bodies_that_do_not_fit_once_they_are_unpacked_are_put_off(void **state) {
    assert_has(ask_with_gzip(*state, 100, "gzip", 0, 1), "200 OK");
    const char *answer = ask_with_gzip(*state, 5000, "gzip", 0, 1);
    assert_has(answer, "HTTP/1.1 503 ");
    assert_has(answer, "\r\nRetry-After: ");
    while (counted(*state).open > 0) poll(NULL, 0, 5);
    assert_int_equal(counted(*state).held_bytes, 0);
}

/* The client's sockets are made before; the server can't open any. */
static void connections_are_accepted_again_when_there_are_descriptors(void **state) {
    struct service *service = *state;
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int fds[2] = {socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_STREAM, 0)};
    none = before;
    none.rlim_cur = (rlim_t)fds[0]; /* the lowest that was free */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)service->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(connect(fds[i], (struct sockaddr *)&address, sizeof address), 0);
        SEND(fds[i], "GET / HTTP/1.0\r\n\r\n");
    }
    poll(NULL, 0, 250); /* for it to try, and to rest, more than once */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < 2; i++) {
        assert_has(receive(fds[i], NULL), "200 OK");
        close(fds[i]);
    }
}

static int behind_a_proxy(void **state) {
    static struct service service;
    limits = http_usual_limits;
    limits.trusted_proxies = "10.0.0.0/8, 127.0.0.1 2001:db8::/33";
    limits.https = true;
    begin(&service);
    run(&service);
    *state = &service;
    return 0;
}

static void a_trusted_proxy_says_whom_it_speaks_for(void **state) {
#define FROM(value) ASK(*state, "GET / HTTP/1.0\r\nX-Forwarded-For: " value "\r\n\r\n")
    assert_has(FROM("203.0.113.7"), "from 203.0.113.7 0");
    assert_has(FROM("6.6.6.6, 203.0.113.7"), "from 203.0.113.7 0");
    assert_has(FROM("6.6.6.6,203.0.113.7 , 10.1.2.3"), "from 203.0.113.7 0");
    assert_has(FROM("6.6.6.6\r\nX-Forwarded-For: 2001:db8:8000::1"), "from 2001:db8:8000::1 0");
    assert_has(FROM("2001:db8:9000::1, 2001:db8:7000::1"), "from 2001:db8:9000::1 0");
    assert_has(FROM("10.1.2.3"), "from 127.0.0.1 0");
    assert_has(FROM("6.6.6.6, nonsense"), "from 127.0.0.1 0");
    assert_has(FROM(""), "from 127.0.0.1 0");
    assert_has(FROM("6.6.6.6"), "\r\nStrict-Transport-Security: max-age=");
}

static void nobody_else_does(void **state) { assert_has(FROM("203.0.113.7"), "from 127.0.0.1 0"); }

static void start_drain(struct service *service) {
    http_drain(service->server, is_drained, service);
}

static void a_drain_answers_what_was_read_and_ends_the_rest(void **state) {
    struct service *service = *state;
    int idle = connected(service), held = connected(service), half = connected(service);
    int stream = connected(service), silent = connected(service);
    SEND(idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    receive(idle, "[-]");
    SEND(stream, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    sem_wait(&service->happened);
    SEND(held, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    sem_wait(&service->happened);
    SEND(half, "POST /h HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    receive(half, "100 Continue\r\n\r\n");

    on_loop(service, start_drain);
    assert_string_equal(receive(idle, NULL), "");
    assert_string_equal(receive(silent, NULL), "");
    receive(stream, NULL);
    sem_wait(&service->happened);
    assert_int_equal(counted(service).open, 2);
    SEND(half, "abcd");
    const char *answer = receive(half, NULL);
    assert_has(answer, "[-] abcd");
    assert_has(answer, "\r\nConnection: close\r\n");
    on_loop(service, answer_held);
    assert_has(receive(held, NULL), "held");
    sem_wait(&service->happened); /* it is drained */
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)service->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int late = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(late, (struct sockaddr *)&address, sizeof address), -1);
    const int fds[] = {idle, held, half, stream, silent, late};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) close(fds[i]);
}

/* What had arrived before the drain but was not read yet, since the loop was elsewhere. */
static void start_drain_late(struct service *service) {
    sem_post(&service->happened);
    sem_wait(&service->arrived);
    start_drain(service);
}

static void *drain_late(void *context) {
    on_loop(context, start_drain_late);
    return NULL;
}

static void a_drain_reads_what_has_arrived(void **state) {
    struct service *service = *state;
    int fd = connected(service);
    SEND(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    receive(fd, "[-]");
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, drain_late, service), 0);
    sem_wait(&service->happened); /* the loop is in start_drain_late */
    SEND(fd, "GET /late HTTP/1.1\r\nHost: a\r\n\r\n");
    sem_post(&service->arrived);
    assert_has(receive(fd, NULL), "/late ?");
    sem_wait(&service->happened); /* it is drained */
    pthread_join(thread, NULL);
    close(fd);
}

static void a_socket_file_is_for_its_owner_alone(void **state) {
    struct service *service = *state;
    char folder[] = "/tmp/test_http.XXXXXX", error[300] = "", address[200];
    assert_non_null(mkdtemp(folder));
    /* Longer than an address of a socket may be. */
    char deep[150];
    snprintf(deep, sizeof deep, "%s/%0100d", folder, 1);
    assert_int_equal(mkdir(deep, 0700), 0);
    const struct {
        const char *folder;
        enum http_peer peer;
        mode_t mode;
    } cases[] = {{folder, HTTP_PEER_LOCAL, 0600}, {deep, HTTP_PEER_NETWORK, 0660}};
    for (int i = 0; i < 2; i++) {
        snprintf(address, sizeof address, "unix:%s/s", cases[i].folder);
        struct service second;
        limits = http_usual_limits;
        begin(&second);
        assert_true(http_listen(second.server, address, cases[i].peer, error, sizeof error));
        assert_false(http_listen(service->server, address, cases[i].peer, error, sizeof error));
        assert_has(error, "Address already in use");
        run(&second);
        struct stat status;
        assert_int_equal(stat(address + 5, &status), 0);
        assert_int_equal(status.st_mode & 0777, cases[i].mode);
        assert_int_equal(chdir(cases[i].folder), 0);
        struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "s"};
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
        SEND(fd, "GET / HTTP/1.0\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n");
        assert_has(receive(fd, NULL), i == 0 ? "from local 1" : "from 203.0.113.7 0");
        close(fd);
        end(&second);
        assert_int_equal(stat(address + 5, &status), -1);
    }
    assert_int_equal(chdir("/"), 0);
    rmdir(deep);
    rmdir(folder);
}

static void a_socket_file_that_was_left_behind_is_replaced_and_nothing_else(void **state) {
    struct service *service = *state;
    char folder[] = "/tmp/test_http.XXXXXX", error[300] = "", address[200];
    assert_non_null(mkdtemp(folder));
    snprintf(address, sizeof address, "unix:%s/s", folder);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s/s", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    close(fd); /* and the file stays */
    struct service second;
    begin(&second);
    assert_true(http_listen(second.server, address, HTTP_PEER_LOCAL, error, sizeof error));
    run(&second);
    end(&second);
    FILE *file = fopen(name.sun_path, "w");
    fclose(file);
    assert_false(http_listen(service->server, address, HTTP_PEER_LOCAL, error, sizeof error));
    assert_has(error, "File exists");
    unlink(name.sun_path);
    rmdir(folder);
}

static void addresses_that_are_none_are_refused_with_a_sentence(void **state) {
    struct service *service = *state;
    static const char *const wrong[] = {
        "",        "8080", "127.0.0.1", "127.0.0.1:", "::1:8", "[::1]",
        "a:65536", "a:-1", ":80",       "a:b:80",     "a:1x",  "unix:/no/such/folder/s"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char error[300] = "";
        assert_false(
            http_listen(service->server, wrong[i], HTTP_PEER_NETWORK, error, sizeof error));
        assert_has(error, "listen on");
    }
    char error[300] = "", taken[40];
    snprintf(taken, sizeof taken, "127.0.0.1:%d", service->port);
    assert_false(http_listen(service->server, taken, HTTP_PEER_NETWORK, error, sizeof error));
    assert_has(error, "Address already in use");
}

static void proxies_that_are_no_addresses_are_refused_with_a_sentence(void **state) {
    (void)state;
    static const char *const wrong[] = {"proxy",      "10.0.0.0/33", "10.0.0.0/",
                                        "10.0.0.0/x", "::1/129",     "10.0.0.0/1000"};
    struct loop *loop = loop_new();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char error[300] = "";
        limits = http_usual_limits;
        limits.trusted_proxies = wrong[i];
        assert_null(http_server_new(loop, &limits, handle, NULL, error, sizeof error));
        assert_has(error, "is neither an address nor a network");
        assert_has(error, wrong[i]);
    }
    loop_free(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_comes_in_and_an_answer_goes_out, usual, stop),
        cmocka_unit_test_setup_teardown(every_answer_has_the_security_headers, usual, stop),
        cmocka_unit_test_setup_teardown(a_refusal_says_why_and_ends_the_connection, usual, stop),
        cmocka_unit_test_setup_teardown(a_refusal_arrives_though_the_client_still_sends, usual,
                                        stop),
        cmocka_unit_test_setup_teardown(head_is_answered_without_a_body, usual, stop),
        cmocka_unit_test_setup_teardown(a_connection_is_used_again, usual, stop),
        cmocka_unit_test_setup_teardown(pipelined_requests_are_answered_in_their_order, usual,
                                        stop),
        cmocka_unit_test_setup_teardown(a_client_that_waits_for_100_is_told_to_go_on, usual, stop),
        cmocka_unit_test_setup_teardown(a_large_body_and_a_large_answer_pass_whole, usual, stop),
        cmocka_unit_test_setup_teardown(gzip_is_undone_within_the_limit_of_a_plain_body, usual,
                                        stop),
        cmocka_unit_test_setup_teardown(a_client_that_leaves_before_the_answer_does_no_harm, usual,
                                        stop),
        cmocka_unit_test_setup_teardown(a_client_that_has_ended_its_side_still_gets_the_answer,
                                        usual, stop),
        cmocka_unit_test_setup_teardown(events_are_streamed_until_one_side_closes, usual, stop),
        cmocka_unit_test_setup_teardown(a_stream_that_is_not_read_refuses_events, usual, stop),
        cmocka_unit_test_setup_teardown(each_deadline_is_absolute, with_short_deadlines, stop),
        cmocka_unit_test_setup_teardown(a_quiet_stream_is_kept_alive, with_short_deadlines, stop),
        cmocka_unit_test_setup_teardown(connections_of_a_peer_are_counted_and_limited,
                                        with_few_connections, stop),
        cmocka_unit_test_setup_teardown(bodies_that_do_not_fit_once_they_are_unpacked_are_put_off,
                                        with_few_connections, stop),
        cmocka_unit_test_setup_teardown(requests_that_do_not_fit_into_memory_are_put_off,
                                        with_few_connections, stop),
        cmocka_unit_test_setup_teardown(connections_are_accepted_again_when_there_are_descriptors,
                                        usual, stop),
        cmocka_unit_test_setup_teardown(a_trusted_proxy_says_whom_it_speaks_for, behind_a_proxy,
                                        stop),
        cmocka_unit_test_setup_teardown(nobody_else_does, usual, stop),
        cmocka_unit_test_setup_teardown(a_drain_answers_what_was_read_and_ends_the_rest, usual,
                                        stop),
        cmocka_unit_test_setup_teardown(a_drain_reads_what_has_arrived, usual, stop),
        cmocka_unit_test_setup_teardown(a_socket_file_is_for_its_owner_alone, usual, stop),
        cmocka_unit_test_setup_teardown(
            a_socket_file_that_was_left_behind_is_replaced_and_nothing_else, usual, stop),
        cmocka_unit_test_setup_teardown(addresses_that_are_none_are_refused_with_a_sentence, usual,
                                        stop),
        cmocka_unit_test(proxies_that_are_no_addresses_are_refused_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
