/* What takes seconds: works through real sockets, with a work that goes on until it is told to end.
 */
#define _GNU_SOURCE /* sockets' constants under -std=c11 */
#include "../core/support/suite.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "serve/serve.h"
#include "support/folder.h"

enum { PATIENCE_MS = 60000, LONG_ANSWER = 1 << 20 };

static struct service service;
static pthread_t thread;
static char *folder;
static atomic_int running, stopped, freed, let_end;

/* ---- The work -------------------------------------------------------------------------------- */

static void pause_ms(int ms) { nanosleep(&(struct timespec){0, ms * 1000000L}, NULL); }

/* Ends when it may, or is told to. */
static void run_work(struct api_work *work, struct api_call *call) {
    running++;
    double done = 0;
    bool goes_on = true;
    while (goes_on && !let_end) {
        pause_ms(1);
        done = done < .9 ? done + .01 : done;
        goes_on = work->progress(work->context, done);
    }
    if (!goes_on) {
        stopped++;
        api_problem(call, 503, "stopped");
        return;
    }
    text_char(&call->answer, '"');
    for (int i = 0; i < LONG_ANSWER; i++) text_char(&call->answer, 'x');
    text_char(&call->answer, '"');
}

static void free_work(struct api_work *work) {
    freed++;
    free(work);
}

/* "/APP/CALLER" or "/APP/CALLER/stream" */
static void handle(void *context, struct http_request *request) {
    (void)context;
    int app = 0;
    char caller[40] = "", how[20] = "";
    sscanf(http_path(request), "/%d/%39[^/]/%19s", &app, caller, how);
    struct api_work *work = calloc(1, sizeof *work);
    *work = (struct api_work){
        .run = run_work, .free = free_work, .streams = how[0] != '\0', .app = app};
    snprintf(work->who, sizeof work->who, "%s", caller);
    works_begin(service.works, request, work);
}

/* ---- The service and its client ---------------------------------------------------------------
 */

static void *run_loop(void *context) {
    (void)context;
    loop_run(service.loop);
    return NULL;
}

static int begin(void **state) {
    (void)state;
    char error[400] = "";
    running = stopped = freed = let_end = 0;
    memset(&service, 0, sizeof service);
    snprintf(service.settings.data, sizeof service.settings.data, "%s", folder = folder_make());
    struct store *store = store_open(service.settings.data, STORE_CREATE, error, sizeof error);
    assert_non_null(store);
    store_close(store);
    service.loop = loop_new();
    service.works = works_new(&service, error, sizeof error);
    assert_non_null(service.works);
    service.http =
        http_server_new(service.loop, &http_usual_limits, handle, NULL, error, sizeof error);
    assert_true(http_listen(service.http, "127.0.0.1:0", HTTP_PEER_NETWORK, error, sizeof error));
    return pthread_create(&thread, NULL, run_loop, NULL);
}

/* In the order of serve.c. */
static int end(void **state) {
    (void)state;
    loop_stop(service.loop);
    pthread_join(thread, NULL);
    works_stop(service.works);
    loop_run_posts(service.loop);
    http_server_free(service.http);
    loop_run_posts(service.loop);
    works_free(service.works);
    loop_free(service.loop);
    folder_remove(folder);
    return 0;
}

static int ask(const char *path) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_port(service.http)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char request[200];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", path);
    assert_int_equal(send(fd, request, (size_t)length, MSG_NOSIGNAL), length);
    return fd;
}

/* Reads on until the text has `word` in it, or (NULL) to the end. */
static void read_until(int fd, struct text *text, const char *word) {
    char bytes[65536];
    while (!word || !text->bytes || !strstr(text->bytes, word)) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
        ssize_t count = recv(fd, bytes, sizeof bytes, 0);
        if (count == 0 && !word) return;
        assert_true(count > 0);
        text_add(text, bytes, (size_t)count);
    }
}

static void wait_for(atomic_int *number, int least) {
    for (int i = 0; *number < least; i++) {
        assert_true(i < PATIENCE_MS);
        pause_ms(1);
    }
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void an_answer_comes_when_the_work_is_done(void **state) {
    (void)state;
    struct text text = TEXT_EMPTY;
    int fd = ask("/1/anna");
    wait_for(&running, 1);
    let_end = 1;
    read_until(fd, &text, NULL);
    assert_non_null(strstr(text.bytes, "HTTP/1.1 200 "));
    assert_non_null(strstr(text.bytes, "Cache-Control: no-store\r\n"));
    assert_true(text.length > LONG_ANSWER);
    wait_for(&freed, 1);
    text_free(&text);
    close(fd);
}

static void a_stream_tells_how_far_it_is_and_ends_with_a_result_of_any_length(void **state) {
    (void)state;
    struct text text = TEXT_EMPTY;
    int fd = ask("/1/anna/stream");
    read_until(fd, &text, "event: progress\ndata: {\"done\":0.");
    assert_null(strstr(text.bytes, "event: result"));
    let_end = 1;
    read_until(fd, &text, NULL);
    const char *result = strstr(text.bytes, "event: result\ndata: \"xxx");
    assert_non_null(result);
    assert_int_equal(strspn(strchr(result, '"') + 1, "x"), LONG_ANSWER);
    assert_string_equal(text.bytes + text.length - 3, "\"\n\n");
    text_free(&text);
    close(fd);
    wait_for(&freed, 1);
}

static void it_stops_when_the_client_of_a_stream_has_left(void **state) {
    (void)state;
    struct text text = TEXT_EMPTY;
    int fd = ask("/1/anna/stream");
    read_until(fd, &text, "event: progress");
    text_free(&text);
    close(fd);
    wait_for(&stopped, 1);
    wait_for(&freed, 1);
}

static void assert_refused(const char *path, const char *status, const char *says) {
    struct text text = TEXT_EMPTY;
    int fd = ask(path);
    read_until(fd, &text, NULL);
    assert_non_null(strstr(text.bytes, status));
    assert_non_null(strstr(text.bytes, "\r\nRetry-After: "));
    assert_non_null(strstr(text.bytes, says));
    text_free(&text);
    close(fd);
}

static void a_few_run_or_wait_of_one_app_of_one_caller_and_in_all(void **state) {
    (void)state;
    static const char *const paths[] = {"/1/anna/stream", "/1/ben/stream",  "/2/anna/stream",
                                        "/3/carl/stream", "/4/dora/stream", "/5/emil/stream",
                                        "/6/fay/stream",  "/7/gus/stream"};
    int open[8];
    for (int i = 0; i < 8; i++) {
        struct text text = TEXT_EMPTY;
        open[i] = ask(paths[i]);
        read_until(open[i], &text, "text/event-stream"); /* it was taken */
        text_free(&text);
        if (i == 1) assert_refused("/1/cleo", "HTTP/1.1 429 ", "of this app");
        if (i == 2) assert_refused("/3/anna", "HTTP/1.1 429 ", "You have two");
    }
    assert_refused("/30/zoe", "HTTP/1.1 503 ", "Too many");
    let_end = 1;
    wait_for(&freed, 3 + 8); /* with those refused */
    for (int i = 0; i < 8; i++) close(open[i]);
}

static void when_the_service_ends_it_stops_what_runs(void **state) {
    (void)state;
    int fd = ask("/1/anna");
    wait_for(&running, 1);
    /* end() stops it, or would wait for ever. */
    (void)fd;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_answer_comes_when_the_work_is_done, begin, end),
        cmocka_unit_test_setup_teardown(
            a_stream_tells_how_far_it_is_and_ends_with_a_result_of_any_length, begin, end),
        cmocka_unit_test_setup_teardown(it_stops_when_the_client_of_a_stream_has_left, begin, end),
        cmocka_unit_test_setup_teardown(a_few_run_or_wait_of_one_app_of_one_caller_and_in_all,
                                        begin, end),
        cmocka_unit_test_setup_teardown(when_the_service_ends_it_stops_what_runs, begin, end),
    };
    return cmocka_run_group_tests_name("works", tests, NULL, NULL);
}
