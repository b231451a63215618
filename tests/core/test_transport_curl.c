/* The transport over libcurl, with answers that are written byte by byte to a real socket. */
#define _GNU_SOURCE
#include "support/suite.h"

#include <arpa/inet.h>
#define CURL_DISABLE_DEPRECATION
#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fork.h"
#include "support/child.h"
#include "support/false_clock.h"
#include "support/faults.h"
#include "transport.h"

static const ds_transport *const transport = &ds_transport_curl;

/* ---- A server of one connection, or of two ------------------------------------------------- */

static struct {
    int listener;
    int port;
    const char *answer;      /* sent after a whole request; NULL: the connection is closed */
    bool whole_without_body; /* without waiting for a whole request */
    const char *then;        /* for a second connection; NULL: none */
    int64_t takes_ms;        /* to answer, by the core's clock */
    char request[64 * 1024];
    pthread_t thread;
} server;

static bool whole(const char *request) {
    if (server.whole_without_body) return *request;
    const char *end = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "Content-Length:");
    return end && length && strlen(end + 4) >= strtoul(length + 15, NULL, 10);
}

static void send_all(int connection, const char *text, size_t length) {
    while (length > 0) {
        ssize_t n = send(connection, text, length, MSG_NOSIGNAL);
        if (n <= 0) return;
        text += n;
        length -= (size_t)n;
    }
}

static void serve_one(const char *answer) {
    int connection = accept(server.listener, NULL, NULL);
    size_t length = 0;
    memset(server.request, 0, sizeof server.request);
    while (!whole(server.request)) {
        ssize_t n =
            recv(connection, server.request + length, sizeof server.request - length - 1, 0);
        if (n <= 0) break;
        length += (size_t)n;
    }
    if (server.takes_ms > 0) false_clock_advance_ms(server.takes_ms);
    if (answer) send_all(connection, answer, strlen(answer));
    close(connection);
}

static void *serve(void *context) {
    (void)context;
    serve_one(server.answer);
    if (server.then) serve_one(server.then);
    return NULL;
}

static void listen_somewhere(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server.listener, 4), 0);
    getsockname(server.listener, (struct sockaddr *)&address, &size);
    server.port = ntohs(address.sin_port);
}

/* ---- One exchange -------------------------------------------------------------------------- */

static ds_settings *settings_for(const char *url) {
    dynoscale_options *o = dynoscale_options_new();
    dynoscale_options_set(o, DYNOSCALE_SETTING_URL, url, strlen(url), DYNOSCALE_SOURCE_CODE);
    dynoscale_options_set(o, DYNOSCALE_SETTING_DYNO, "web.1", 5, DYNOSCALE_SOURCE_CODE);
    ds_settings *settings = ds_settings_new(o, "c");
    dynoscale_options_free(o);
    return settings;
}

static char rows[] = "1700000000,12,web,\r\n";
static ds_request report = {.body = rows,
                            .body_length = sizeof rows - 1,
                            .headers = {"Content-Type: text/csv", "X_DYNO: web.1"},
                            .header_count = 2};

static void send_request(const ds_settings *settings, const ds_request *request,
                         ds_answer *answer) {
    char reason[DS_ANSWER_REASON_SIZE] = "";
    void *connection = transport->open(settings, reason);
    if (!connection) fail_msg("%s", reason);
    assert_true(transport->start(connection, request, reason));
    const ds_answer *there;
    while (!(there = transport->poll(connection))) transport->wait(connection, 1000);
    *answer = *there;
    transport->close(connection);
}

static void send_report(const ds_settings *settings, ds_answer *answer) {
    send_request(settings, &report, answer);
}

/* How the transport reads an answer. */
static ds_answer *exchange_for(const ds_request *request, const char *text) {
    static ds_answer answer;
    char url[64];
    listen_somewhere();
    snprintf(url, sizeof url, "http://127.0.0.1:%d/token", server.port);
    server.answer = text;
    assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
    ds_settings *settings = settings_for(url);
    send_request(settings, request, &answer);
    ds_settings_release(settings);
    pthread_join(server.thread, NULL);
    close(server.listener);
    return &answer;
}

static ds_answer *exchange(const char *text) { return exchange_for(&report, text); }

static void a_report_is_a_post_of_the_body_with_the_headers(void **state) {
    (void)state;
    ds_answer *answer = exchange("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_int_equal(answer->status, 200);
    assert_true(answer->body_whole);
    assert_int_equal(answer->body_length, 2);
    assert_memory_equal(answer->body, "ok", 2);
    assert_int_equal(answer->retry_after_ms, DS_ANSWER_NO_RETRY);
    assert_ptr_equal(strstr(server.request, "POST /token HTTP/1.1\r\n"), server.request);
    assert_non_null(strstr(server.request, "\r\nContent-Type: text/csv\r\n"));
    assert_non_null(strstr(server.request, "\r\nX_DYNO: web.1\r\n"));
    assert_null(strcasestr(server.request, "\r\nExpect:"));
    assert_null(strcasestr(server.request, "\r\nAccept-Encoding:"));
    assert_non_null(strstr(server.request, "\r\n\r\n1700000000,12,web,\r\n"));
}

static void retry_after_is_read_in_any_case_and_only_from_the_last_answer(void **state) {
    (void)state;
    ds_answer *answer =
        exchange("HTTP/1.1 429 Slow\r\nretry-AFTER: \t 7 \r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(answer->status, 429);
    assert_int_equal(answer->retry_after_ms, 7000);
    answer = exchange("HTTP/1.1 503 x\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(answer->retry_after_ms, DS_ANSWER_NO_RETRY);
}

static void a_longer_answer_than_is_kept_still_has_its_status(void **state) {
    (void)state;
    const size_t size = 1000000;
    char *text = malloc(size);
    memset(text, 'x', size);
    text[size - 1] = '\0';
    memcpy(text, "HTTP/1.1 200 OK\r\n\r\n", 19);
    ds_answer *answer = exchange(text);
    assert_int_equal(answer->status, 200);
    assert_false(answer->body_whole);
    free(text);
}

static void an_answer_broken_off_still_has_its_status(void **state) {
    (void)state;
    ds_answer *answer = exchange("HTTP/1.1 201 OK\r\nContent-Length: 100\r\n\r\n{\"config\"");
    assert_int_equal(answer->status, 201);
    assert_false(answer->body_whole);
}

static void no_answer_has_status_0_and_a_reason(void **state) {
    (void)state;
    const char *const answers[] = {NULL, "HTTP/1.1 1", "HTTP/1.1 100 Continue\r\n\r\n",
                                   "SSH-2.0-OpenSSH_9.2\r\n"};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        ds_answer *answer = exchange(answers[i]);
        assert_int_equal(answer->status, 0);
        assert_true(strlen(answer->reason) > 5);
        assert_null(strstr(answer->reason, "token"));
    }
}

static void a_redirect_over_http_is_not_followed(void **state) {
    (void)state;
    ds_answer *answer =
        exchange("HTTP/1.1 301 x\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(answer->status, 301);
}

static void a_refused_connection_and_an_unknown_host_have_reasons(void **state) {
    (void)state;
    ds_answer answer;
    ds_settings *settings = settings_for("http://127.0.0.1:1/token");
    send_report(settings, &answer);
    assert_int_equal(answer.status, 0);
    /* In older versions of libcurl, and in newer ones. */
    assert_true(strstr(answer.reason, "127.0.0.1 port 1") || strstr(answer.reason, "127.0.0.1:1"));
    ds_settings_release(settings);
    settings = settings_for("http://no-such-host.invalid/token");
    send_report(settings, &answer);
    assert_int_equal(answer.status, 0);
    assert_non_null(strstr(answer.reason, "no-such-host.invalid"));
    ds_settings_release(settings);
}

static void without_a_body_it_is_a_get(void **state) {
    (void)state;
    static const ds_request get = {.headers = {"X-Request-Start: 1"}, .header_count = 1};
    server.whole_without_body = true;
    ds_answer *answer = exchange_for(&get, "HTTP/1.1 204 x\r\n\r\n");
    server.whole_without_body = false;
    assert_int_equal(answer->status, 204);
    assert_ptr_equal(strstr(server.request, "GET /token HTTP/1.1\r\n"), server.request);
    assert_non_null(strstr(server.request, "\r\nX-Request-Start: 1\r\n"));
    assert_null(strcasestr(server.request, "Content-"));
}

static void an_empty_body_is_a_post_of_nothing(void **state) {
    (void)state;
    static const ds_request empty = {.body = rows, .body_length = 0};
    assert_int_equal(exchange_for(&empty, "HTTP/1.1 204 x\r\n\r\n")->status, 204);
    assert_ptr_equal(strstr(server.request, "POST /token HTTP/1.1\r\n"), server.request);
    assert_non_null(strstr(server.request, "\r\nContent-Length: 0\r\n"));
}

static void the_path_and_the_headers_of_the_answer_are_reported(void **state) {
    (void)state;
    char peer[DS_PEER_SIZE];
    ds_answer *answer = exchange("HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                 "Server-Timing: db;dur=3\r\nserver-timing: queue;dur=12\r\n"
                                 "Content-Length: 0\r\n\r\n");
    const ds_path *path = &answer->path;
    snprintf(peer, sizeof peer, "127.0.0.1 port %d", server.port);
    assert_string_equal(path->peer, peer);
    assert_int_equal(path->reach, DS_REACH_ANSWER);
    assert_int_equal(path->date_s, 784111777);
    assert_int_equal(path->queue_time_ms, 12);
    assert_true(path->name_ms >= 0 && path->connect_ms >= 0 && path->answer_ms >= 0);
    assert_int_equal(path->tls_ms, -1);
    answer = exchange("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(path->date_s, -1);
    assert_int_equal(path->queue_time_ms, -1);
}

static ds_path way_to(const char *url) {
    static ds_answer answer;
    ds_settings *settings = settings_for(url);
    send_report(settings, &answer);
    ds_settings_release(settings);
    return answer.path;
}

static void an_answer_says_how_far_the_request_got(void **state) {
    (void)state;
    assert_int_equal(way_to("http://no-such-host.invalid/token").reach, DS_REACH_NOTHING);
    assert_int_equal(way_to("http://127.0.0.1:1/token").reach, DS_REACH_ADDRESS);
    assert_int_equal(exchange(NULL)->path.reach, DS_REACH_PEER);
    char url[64];
    listen_somewhere();
    snprintf(url, sizeof url, "https://127.0.0.1:%d/token", server.port);
    server.answer = "this is no TLS\r\n\r\n";
    server.whole_without_body = true;
    assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
    assert_int_equal(way_to(url).reach, DS_REACH_PEER);
    server.whole_without_body = false;
    pthread_join(server.thread, NULL);
    close(server.listener);
}

static void a_time_out_says_where_it_happened(void **state) {
    (void)state;
    char url[64];
    ds_answer answer;
    listen_somewhere(); /* and never accepts: the system does */
    for (int tls = 0; tls < 2; tls++) {
        snprintf(url, sizeof url, "http%s://127.0.0.1:%d/token", tls ? "s" : "", server.port);
        ds_settings *settings = settings_for(url);
        settings->timeout_ms = 50;
        send_report(settings, &answer);
        ds_settings_release(settings);
        assert_int_equal(answer.status, 0);
        assert_int_equal(answer.path.reach, DS_REACH_PEER);
        /* libcurl's text depends on its version, and on where it was at the time-out. */
        assert_true(strstr(answer.reason, "timed out") || strstr(answer.reason, "timeout"));
    }
    close(server.listener);
}

static void an_unusable_proxy_is_not_shown(void **state) {
    (void)state;
    char longer_than_curls_text[320] = "http://user:secret@proxy:port/";
    memset(longer_than_curls_text + strlen(longer_than_curls_text), 'x', 280);
    const char *const proxies[] = {
        "http://user:secret@proxy:port",
        "nonsense://user:secret@proxy:1",
        "http://user:secret@no-such-host.invalid:1",
        longer_than_curls_text,
    };
    for (size_t i = 0; i < sizeof proxies / sizeof *proxies; i++) {
        ds_answer answer;
        setenv("http_proxy", proxies[i], 1);
        dynoscale_options *o = dynoscale_options_new();
        dynoscale_options_read_environment(o);
        unsetenv("http_proxy");
        dynoscale_options_set(o, DYNOSCALE_SETTING_URL, "http://service.example/token", 28,
                              DYNOSCALE_SOURCE_CODE);
        ds_settings *settings = ds_settings_new(o, "c");
        dynoscale_options_free(o);
        send_report(settings, &answer);
        ds_settings_release(settings);
        assert_int_equal(answer.status, 0);
        assert_null(strstr(answer.reason, "secret"));
        assert_true(strlen(answer.reason) > 5);
        if (i == 2) assert_true(answer.path.proxy_unresolved);
    }
}

static void it_tells_what_it_is_made_of(void **state) {
    (void)state;
    char text[DS_ANSWER_REASON_SIZE], reason[DS_ANSWER_REASON_SIZE];
    assert_true(transport->describe(text, reason));
    assert_ptr_equal(strstr(text, "libcurl "), text);
    assert_non_null(strstr(text, " with "));
}

static void closing_cancels_a_request_in_flight(void **state) {
    (void)state;
    char url[64], reason[DS_ANSWER_REASON_SIZE], body[] = "x";
    ds_request request = {.body = body, .body_length = 1};
    listen_somewhere(); /* and never accepts */
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", server.port);
    ds_settings *settings = settings_for(url);
    void *connection = transport->open(settings, reason);
    assert_true(transport->start(connection, &request, reason));
    assert_null(transport->poll(connection));
    transport->close(connection);
    ds_settings_release(settings);
    close(server.listener);
}

/* First of all tests, since libcurl is loaded once a process. */
static void *open_and_close(void *context) {
    char reason[DS_ANSWER_REASON_SIZE];
    void *connection = transport->open(context, reason);
    if (connection) transport->close(connection);
    return connection;
}

static void forget_nothing(void) {}

static int watch_forks(void **state) {
    (void)state;
    return ds_fork_watch(forget_nothing) ? 0 : -1;
}

static void assert_all_are_well(const pid_t *children, int count) {
    for (int i = 0; i < count; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
}

static void forks_while_it_is_loaded_leave_children_that_can_load_it(void **state) {
    (void)state;
    skip_under_sanitizers();
    enum { CHILDREN = 20 };
    pid_t children[CHILDREN];
    pthread_t thread;
    ds_settings *settings = settings_for("http://127.0.0.1:1/token");
    assert_int_equal(pthread_create(&thread, NULL, open_and_close, settings), 0);
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            bool opened = open_and_close(settings) != NULL;
            ds_settings_release(settings);
            leave_child(opened ? 0 : 1);
        }
    }
    assert_all_are_well(children, CHILDREN);
    pthread_join(thread, NULL);
    ds_settings_release(settings);
}

/* Stands for a signal handler: of handlers before a fork the first one registered runs last, so
 * this one runs while the fork is in progress. */
static _Atomic(int) forks_to_come;
static pid_t forked_meanwhile;

static void fork_meanwhile(void) {
    if (atomic_exchange(&forks_to_come, 0) > 0) forked_meanwhile = fork();
}

static void a_fork_inside_a_fork_leaves_libcurl_loadable(void **state) {
    (void)state;
    skip_under_sanitizers();
    ds_settings *settings = settings_for("http://127.0.0.1:1/token");
    pid_t first = fork(); /* libcurl must not be loaded here yet, and no handler registered */
    if (first == 0) {
        int status = 0, inner = 0;
        pthread_atfork(fork_meanwhile, NULL, NULL);
        ds_fork_watch(forget_nothing);
        atomic_store(&forks_to_come, 1);
        pid_t second = fork();
        bool opened = open_and_close(settings) != NULL;
        if (second > 0) waitpid(second, &status, 0);
        if (forked_meanwhile > 0) waitpid(forked_meanwhile, &inner, 0);
        ds_settings_release(settings);
        leave_child(opened && status == 0 && inner == 0 ? 0 : 1);
    }
    assert_all_are_well(&first, 1);
    ds_settings_release(settings);
}

/* Stands for a lock of the TLS library: held while libcurl works, for longer than there. */
static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(int) times_at_work;

static CURLMcode multi_perform_at_length(CURLM *multi, int *left) {
    CURLMcode (*real)(CURLM *, int *);
    *(void **)&real = faults_replaced_symbol("curl_multi_perform");
    pthread_mutex_lock(&library_lock);
    CURLMcode code = real(multi, left);
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    pthread_mutex_unlock(&library_lock);
    atomic_fetch_add(&times_at_work, 1);
    return code;
}

static _Atomic(bool) enough_reports;

static void *report_all_the_time(void *context) {
    char reason[DS_ANSWER_REASON_SIZE];
    while (!atomic_load(&enough_reports)) {
        void *connection = transport->open(context, reason);
        if (!connection || !transport->start(connection, &report, reason)) abort();
        while (!transport->poll(connection)) transport->wait(connection, 1000);
        transport->close(connection);
    }
    return NULL;
}

static void no_child_inherits_a_lock_that_is_held_inside_libcurl(void **state) {
    (void)state;
    skip_under_sanitizers();
    enum { CHILDREN = 100 };
    pid_t children[CHILDREN];
    pthread_t threads[2];
    ds_settings *settings = settings_for("http://localhost:1/token");
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, report_all_the_time, settings), 0);
    for (int i = 0; i < CHILDREN; i++) {
        for (int before = atomic_load(&times_at_work); atomic_load(&times_at_work) == before;)
            sched_yield();
        children[i] = fork();
        if (children[i] == 0) leave_child(pthread_mutex_trylock(&library_lock));
    }
    atomic_store(&enough_reports, true);
    assert_all_are_well(children, CHILDREN);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    ds_settings_release(settings);
}

static void a_fork_waits_a_second_at_most(void **state) {
    (void)state;
    skip_under_sanitizers();
    ds_fork_hold(); /* and does not release */
    pid_t child = fork();
    if (child == 0) {
        ds_fork_hold(); /* is nobody's in the child */
        ds_fork_release();
        leave_child(0);
    }
    ds_fork_release();
    assert_all_are_well(&child, 1);
}

static void a_fork_waits_for_a_name_to_be_looked_up_but_not_for_long(void **state) {
    (void)state;
    skip_under_sanitizers();
    ds_fork_lookup_begins(); /* which does not end */
    pid_t child = fork();
    if (child == 0) leave_child(0);
    ds_fork_lookup_ended();
    assert_all_are_well(&child, 1);
}

static CURLMcode multi_perform_in_vain(CURLM *multi, int *left) {
    (void)multi;
    *left = 1;
    return CURLM_OUT_OF_MEMORY;
}

static void a_failure_of_libcurl_as_a_whole_is_the_answer(void **state) {
    (void)state;
    int status;
    pid_t child = fork(); /* libcurl's functions are looked up once a process */
    if (child == 0) {
        ds_answer answer;
        faults_replace_symbol("curl_multi_perform", (void *)(intptr_t)multi_perform_in_vain);
        ds_settings *settings = settings_for("http://127.0.0.1:1/token");
        send_report(settings, &answer);
        ds_settings_release(settings);
        bool told =
            answer.status == 0 && strcmp(answer.reason, "libcurl failed: Out of memory") == 0;
        leave_child(told ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static int refuses_to_start(long flags) {
    (void)flags;
    return 2; /* CURLE_FAILED_INIT */
}

static bool refused_because(const ds_settings *settings, const char *expected) {
    char reason[DS_ANSWER_REASON_SIZE];
    void *connection = transport->open(settings, reason);
    if (connection) transport->close(connection);
    return !connection && strncmp(reason, expected, strlen(expected)) == 0;
}

/* 0, or the number of the obstacle with a wrong message. */
static int meet_obstacles(const ds_settings *settings) {
    faults_refuse_libraries(true);
    if (!refused_because(settings,
                         "libcurl can't be loaded (No such file or directory): is libcurl4 "))
        return 1;
    faults_refuse_libraries(false);
    faults_replace_symbol("curl_multi_poll", NULL);
    if (!refused_because(settings, "libcurl is too old: 7.66 or newer is needed (it lacks "
                                   "curl_multi_poll)"))
        return 2;
    faults_replace_symbol(NULL, NULL);
    faults_replace_symbol("curl_global_init", (void *)(intptr_t)refuses_to_start);
    if (!refused_because(settings, "libcurl can't be initialised")) return 3;
    faults_replace_symbol(NULL, NULL);
    return open_and_close((void *)(intptr_t)settings) ? 0 : 4;
}

static void an_obstacle_to_loading_libcurl_is_logged_and_may_be_temporary(void **state) {
    (void)state;
    int status;
    ds_settings *settings = settings_for("http://127.0.0.1:1/token");
    pid_t child = fork(); /* here it is not to be loaded yet */
    if (child == 0) {
        int obstacle = meet_obstacles(settings);
        ds_settings_release(settings);
        leave_child(obstacle);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    ds_settings_release(settings);
}

/* libcurl's own functions, except for a call that has to fail. */
static _Atomic(int) calls_left = -1;

static bool fails_now(void) {
    return atomic_load(&calls_left) >= 0 && atomic_fetch_sub(&calls_left, 1) == 0;
}

static void *multi_init(void) {
    void *(*real)(void);
    *(void **)&real = faults_replaced_symbol("curl_multi_init");
    return fails_now() ? NULL : real();
}

static void *slist_append(void *list, const char *line) {
    void *(*real)(void *, const char *);
    *(void **)&real = faults_replaced_symbol("curl_slist_append");
    return fails_now() ? NULL : real(list, line);
}

static int allocations_left = -1; /* the core's, for a report that is redirected */
static bool tls_left_out;         /* gives libcurl http for the transport's https */
static bool is_old;               /* libcurl does not know CURLOPT_PROTOCOLS_STR */
static _Atomic(long) protocols;   /* given by the older option */

static CURLcode set_text(CURLcode (*real)(CURL *, CURLoption, ...), CURL *easy, CURLoption option,
                         void *value) {
    char url[128];
    if (option == CURLOPT_PROTOCOLS_STR && is_old) return CURLE_UNKNOWN_OPTION;
    if (option != CURLOPT_URL || !tls_left_out) return real(easy, option, value);
    snprintf(url, sizeof url, "http%s", (char *)value + strlen("https"));
    return real(easy, option, url);
}

static CURLcode easy_setopt(CURL *easy, CURLoption option, ...) {
    CURLcode (*real)(CURL *, CURLoption, ...), result;
    *(void **)&real = faults_replaced_symbol("curl_easy_setopt");
    va_list values;
    va_start(values, option);
    if (option >= CURLOPTTYPE_OFF_T) {
        result = real(easy, option, va_arg(values, curl_off_t));
    } else if (option >= CURLOPTTYPE_OBJECTPOINT) {
        result = set_text(real, easy, option, va_arg(values, void *));
    } else {
        long value = va_arg(values, long);
        if (option == CURLOPT_PROTOCOLS) atomic_store(&protocols, value);
        result = real(easy, option, value);
    }
    va_end(values);
    return result;
}

static int put_failures_in(void **state) {
    (void)state;
    faults_replace_symbol("curl_easy_setopt", (void *)(intptr_t)easy_setopt);
    faults_replace_symbol("curl_multi_init", (void *)(intptr_t)multi_init);
    faults_replace_symbol("curl_slist_append", (void *)(intptr_t)slist_append);
    faults_replace_symbol("curl_multi_perform", (void *)(intptr_t)multi_perform_at_length);
    return watch_forks(state);
}

static void without_memory_there_is_no_request(void **state) {
    (void)state;
    char reason[DS_ANSWER_REASON_SIZE], body[] = "x";
    ds_request request = {.body = body, .body_length = 1, .headers = {"A: b"}, .header_count = 1};
    ds_settings *settings = settings_for("http://127.0.0.1:1/token");
    faults_fail_allocation_after(0);
    assert_true(refused_because(settings, "no memory for a connection"));
    faults_fail_allocation_after(-1);
    atomic_store(&calls_left, 0);
    assert_true(refused_because(settings, "no memory for a connection"));

    void *connection = transport->open(settings, reason);
    for (int calls = 0; calls < 2; calls++) {
        atomic_store(&calls_left, calls);
        assert_false(transport->start(connection, &request, reason));
        assert_string_equal(reason, "no memory for a request");
    }
    assert_true(transport->start(connection, &request, reason));
    transport->close(connection);
    ds_settings_release(settings);
}

/* The result of a redirect below the first address, over what the transport takes for https. */
static ds_answer *redirected(const char *then) {
    static ds_answer answer;
    char url[64], first[256];
    listen_somewhere();
    snprintf(url, sizeof url, "https://127.0.0.1:%d/token", server.port);
    snprintf(first, sizeof first,
             "HTTP/1.1 308 x\r\nLocation: %s/moved\r\nContent-Length: 0\r\n\r\n", url);
    server.answer = first;
    server.then = then;
    tls_left_out = true;
    assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
    ds_settings *settings = settings_for(url);
    faults_fail_allocation_after(allocations_left);
    send_report(settings, &answer);
    faults_fail_allocation_after(-1);
    ds_settings_release(settings);
    shutdown(server.listener, SHUT_RDWR); /* nobody else is coming */
    pthread_join(server.thread, NULL);
    close(server.listener);
    tls_left_out = false;
    server.then = NULL;
    return &answer;
}

static void a_redirect_over_tls_on_the_same_host_is_followed_with_the_report(void **state) {
    (void)state;
    ds_answer *answer = redirected("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_int_equal(answer->status, 200);
    assert_int_equal(answer->body_length, 2);
    assert_ptr_equal(strstr(server.request, "POST /token/moved HTTP/1.1\r\n"), server.request);
    assert_non_null(strstr(server.request, "\r\nX_DYNO: web.1\r\n"));
    assert_non_null(strstr(server.request, "\r\n\r\n1700000000,12,web,\r\n"));
}

static void redirects_have_no_more_time_than_the_whole_request(void **state) {
    (void)state;
    server.takes_ms = 16000;
    assert_int_equal(redirected("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")->status, 308);
    server.takes_ms = 0;
}

static void without_memory_a_redirect_is_the_answer(void **state) {
    (void)state;
    allocations_left = 1; /* the connection itself */
    assert_int_equal(redirected(NULL)->status, 308);
    allocations_left = -1;
}

static void an_older_libcurl_is_limited_to_the_same_protocols(void **state) {
    (void)state;
#if LIBCURL_VERSION_NUM >= 0x080000
    skip(); /* built with a newer one, it uses only the newer option */
#endif
    ds_settings *settings = settings_for("http://127.0.0.1:1/token");
    is_old = true;
    assert_non_null(open_and_close(settings));
    is_old = false;
    assert_int_equal(atomic_load(&protocols), CURLPROTO_HTTP | CURLPROTO_HTTPS);
    ds_settings_release(settings);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_obstacle_to_loading_libcurl_is_logged_and_may_be_temporary),
        cmocka_unit_test(a_fork_inside_a_fork_leaves_libcurl_loadable),
        cmocka_unit_test(a_failure_of_libcurl_as_a_whole_is_the_answer),
        cmocka_unit_test_setup(forks_while_it_is_loaded_leave_children_that_can_load_it,
                               put_failures_in),
        cmocka_unit_test(no_child_inherits_a_lock_that_is_held_inside_libcurl),
        cmocka_unit_test(a_fork_waits_a_second_at_most),
        cmocka_unit_test(a_fork_waits_for_a_name_to_be_looked_up_but_not_for_long),
        cmocka_unit_test(a_report_is_a_post_of_the_body_with_the_headers),
        cmocka_unit_test(retry_after_is_read_in_any_case_and_only_from_the_last_answer),
        cmocka_unit_test(a_longer_answer_than_is_kept_still_has_its_status),
        cmocka_unit_test(an_answer_broken_off_still_has_its_status),
        cmocka_unit_test(no_answer_has_status_0_and_a_reason),
        cmocka_unit_test(a_redirect_over_http_is_not_followed),
        cmocka_unit_test(a_refused_connection_and_an_unknown_host_have_reasons),
        cmocka_unit_test(without_a_body_it_is_a_get),
        cmocka_unit_test(an_empty_body_is_a_post_of_nothing),
        cmocka_unit_test(the_path_and_the_headers_of_the_answer_are_reported),
        cmocka_unit_test(an_answer_says_how_far_the_request_got),
        cmocka_unit_test(a_time_out_says_where_it_happened),
        cmocka_unit_test(an_unusable_proxy_is_not_shown),
        cmocka_unit_test(it_tells_what_it_is_made_of),
        cmocka_unit_test(closing_cancels_a_request_in_flight),
        cmocka_unit_test(without_memory_there_is_no_request),
        cmocka_unit_test(a_redirect_over_tls_on_the_same_host_is_followed_with_the_report),
        cmocka_unit_test(redirects_have_no_more_time_than_the_whole_request),
        cmocka_unit_test(without_memory_a_redirect_is_the_answer),
        cmocka_unit_test(an_older_libcurl_is_limited_to_the_same_protocols),
    };
    return cmocka_run_group_tests_name("transport_curl", tests, NULL, NULL);
}
