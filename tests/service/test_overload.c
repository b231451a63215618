/*
 * More reports than can be taken, through real sockets: the whole way from the HTTP engine to the
 * store. The store's writers take turns, so a transaction of the test's own holds up the commits
 * for as long as the test wants: nothing here depends on how fast anything is.
 */
#define _GNU_SOURCE /* sockets under -std=c11 */
#include "../core/support/suite.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/http.h"
#include "ingest/ingest.h"
#include "people/token.h"
#include "series/part.h"
#include "series/sketch.h"
#include "store/apps.h"
#include "store/series.h"
#include "support/folder.h"

enum {
    FLOOD = 40,
    ROW_SIZE = 21,
    BODY_SIZE = 20000 / ROW_SIZE * ROW_SIZE,
    SAMPLES = BODY_SIZE / ROW_SIZE,
    WAITING_BYTES = 400000,
    UNKNOWN_BYTES = 100000
};

struct world {
    char *folder;
    struct store *store;
    struct loop *loop;
    struct live *live;
    struct http_server *server;
    struct ingest *ingest;
    pthread_t thread;
};

static struct world world;

static void handle(void *context, struct http_request *request) {
    (void)context;
    ingest_report(world.ingest, request, strrchr(http_path(request), '/') + 1);
}

static void *serve(void *context) {
    loop_run(context);
    return NULL;
}

static void add_app(const char *name) {
    struct app app = {0};
    uint8_t hash[TOKEN_HASH_SIZE];
    snprintf(app.name, sizeof app.name, "%s", name);
    snprintf(app.zone, sizeof app.zone, "UTC");
    token_hash(hash, name, strlen(name));
    assert_true(app_add(world.store, &app));
    assert_true(report_token_add(world.store, app.id, hash, "", 0));
}

static int begin(void **state) {
    (void)state;
    char error[300] = "";
    struct ingest_settings settings = {.commit_ms = 1,
                                       .waiting_bytes = WAITING_BYTES,
                                       .unknown_bytes = UNKNOWN_BYTES,
                                       .publish_s = 10};
    settings.folder = world.folder = folder_make();
    world.store = store_open(world.folder, STORE_CREATE, error, sizeof error);
    assert_non_null(world.store);
    add_app("flooder");
    add_app("other");
    world.loop = loop_new();
    world.live = live_new();
    world.ingest = ingest_new(world.loop, world.live, &settings, error, sizeof error);
    world.server =
        http_server_new(world.loop, &http_usual_limits, handle, NULL, error, sizeof error);
    assert_true(http_listen(world.server, "127.0.0.1:0", HTTP_PEER_NETWORK, error, sizeof error));
    assert_int_equal(pthread_create(&world.thread, NULL, serve, world.loop), 0);
    return 0;
}

static int end(void **state) {
    (void)state;
    store_rollback(world.store); /* where it failed in the middle */
    loop_stop(world.loop);
    pthread_join(world.thread, NULL);
    ingest_free(world.ingest);
    http_server_free(world.server);
    loop_run_posts(world.loop);
    live_free(world.live);
    loop_free(world.loop);
    store_close(world.store);
    folder_remove(world.folder);
    return 0;
}

/* ---- A client ------------------------------------------------------------------------------- */

static int connected(void) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_port(world.server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* A row for each sample. */
static void send_report(int fd, const char *token, int number) {
    static char report[BODY_SIZE + 300];
    int length = snprintf(report, sizeof report,
                          "POST /report/%s HTTP/1.1\r\nHost: a\r\nX_DYNO: web.1\r\n"
                          "Idempotency-Key: %032d\r\nContent-Length: %d\r\n\r\n",
                          token, number, BODY_SIZE);
    char *at = report + length;
    for (int i = 0; i < SAMPLES; i++) at += sprintf(at, "1700000000,%03d,web,\r\n", i % 1000);
    for (const char *from = report; from < at;) {
        ssize_t sent = send(fd, from, (size_t)(at - from), MSG_NOSIGNAL);
        assert_true(sent > 0);
        from += sent;
    }
}

/* The status of an answer; waits for it. */
static int receive(int fd, bool *retry_after) {
    char answer[2000];
    size_t length = 0;
    int body = -1;
    for (const char *head_end = NULL; !head_end || strlen(head_end + 4) < (size_t)body;) {
        ssize_t count = recv(fd, answer + length, sizeof answer - 1 - length, 0);
        assert_true(count > 0);
        length += (size_t)count;
        answer[length] = '\0';
        head_end = strstr(answer, "\r\n\r\n");
        if (head_end) body = atoi(strstr(answer, "Content-Length: ") + 16);
    }
    if (retry_after) *retry_after = strstr(answer, "\r\nRetry-After: ") != NULL;
    return atoi(answer + 9);
}

static bool answered(int fd) {
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

/* ---- What the service knows ----------------------------------------------------------------- */

struct counting {
    struct loop_post post;
    struct ingest_counts counts;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
};

static void take_counts(void *context) {
    struct counting *counting = context;
    pthread_mutex_lock(&counting->lock);
    counting->counts = ingest_counts(world.ingest);
    counting->is_done = true;
    pthread_cond_signal(&counting->done);
    pthread_mutex_unlock(&counting->lock);
}

/* On the loop's thread. */
static struct ingest_counts counts(void) {
    struct counting counting = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                .done = PTHREAD_COND_INITIALIZER};
    counting.post = (struct loop_post){.run = take_counts, .context = &counting};
    loop_post(world.loop, &counting.post);
    pthread_mutex_lock(&counting.lock);
    while (!counting.is_done) pthread_cond_wait(&counting.done, &counting.lock);
    pthread_mutex_unlock(&counting.lock);
    return counting.counts;
}

static bool count_samples(void *context, const struct series_part *part) {
    struct sketch sketch = {0};
    assert_true(part_into_sketch(&sketch, part->data, part->length, 0, PART_SECONDS));
    *(int64_t *)context += (int64_t)sketch.count;
    return true;
}

static int64_t samples(void) {
    int64_t count = 0;
    assert_true(series_each_part(world.store, 0, count_samples, &count));
    return count;
}

/* ---- The tests ------------------------------------------------------------------------------ */

/* How many reports of the flood have been answered with 200 when this is called. */
static int taken(const int *flood, const bool *waits) {
    int found = 0;
    for (int i = 0; i < FLOOD; i++) found += waits[i] && answered(flood[i]);
    return found;
}

static void a_flood_is_put_off_and_another_app_is_not(void **unused) {
    (void)unused;
    int flood[FLOOD], other = connected(), refused = 0, waiting = 0;
    bool waits[FLOOD], retry_after;
    if (folder_is_database()) skip(); /* there, reports are appended without a turn */
    assert_true(store_begin(world.store));
    for (int i = 0; i < FLOOD; i++) {
        flood[i] = connected();
        size_t before = counts().waiting_bytes;
        send_report(flood[i], "flooder", i);
        /* Either it waits, or it is answered. */
        while (!answered(flood[i]) && counts().waiting_bytes == before) usleep(1000);
        waits[i] = !answered(flood[i]);
        waiting += waits[i];
        if (waits[i]) continue;
        assert_int_equal(receive(flood[i], &retry_after), 503);
        assert_true(retry_after);
        refused++;
    }
    /* The half of what may wait, since as much is left free. */
    size_t bytes = counts().waiting_bytes;
    assert_true(bytes <= WAITING_BYTES / 2 && bytes >= WAITING_BYTES / 2 - 2 * BODY_SIZE);
    assert_true(waiting >= 5 && refused >= 20);
    assert_int_equal(counts().overloaded, refused);
    send_report(other, "other", 0);
    while (counts().waiting_bytes == bytes) usleep(1000);
    assert_false(answered(other));
    assert_int_equal(taken(flood, waits), 0);
    store_rollback(world.store);
    assert_int_equal(receive(other, NULL), 200);
    for (int i = 0; i < FLOOD; i++)
        if (waits[i]) assert_int_equal(receive(flood[i], NULL), 200);
    /* Those that were put off are sent again, and again. */
    for (int i = 0; i < FLOOD; i++) {
        if (waits[i]) continue;
        do send_report(flood[i], "flooder", i);
        while (receive(flood[i], NULL) == 503);
    }
    assert_int_equal(samples(), (FLOOD + 1) * SAMPLES);
    for (int i = 0; i < FLOOD; i++) close(flood[i]);
    close(other);
}

/* While nothing can be committed, tokens are not looked up either. */
static void strangers_leave_room_for_apps(void **unused) {
    (void)unused;
    int strangers[FLOOD], first = connected(), app = connected(), refused = 0;
    bool waits[FLOOD], retry_after;
    if (folder_is_database()) skip(); /* there, reports are appended without a turn */
    assert_true(store_begin(world.store));
    send_report(first, "other", 0);
    while (counts().waiting_bytes == 0) usleep(1000);
    for (int i = 0; i < FLOOD; i++) {
        strangers[i] = connected();
        size_t before = counts().unknown_bytes;
        send_report(strangers[i], "nobody's", i);
        while (!answered(strangers[i]) && counts().unknown_bytes == before) usleep(1000);
        waits[i] = !answered(strangers[i]);
        if (waits[i]) continue;
        int status = receive(strangers[i], &retry_after);
        assert_true(status == 401 || (status == 503 && retry_after));
        refused += status == 503;
    }
    assert_true(refused >= 20);
    assert_true(counts().unknown_bytes <= UNKNOWN_BYTES);
    size_t bytes = counts().waiting_bytes;
    send_report(app, "other", 1);
    while (counts().waiting_bytes == bytes) usleep(1000);
    store_rollback(world.store);
    assert_int_equal(receive(first, NULL), 200);
    assert_int_equal(receive(app, NULL), 200);
    for (int i = 0; i < FLOOD; i++) {
        if (waits[i]) assert_int_equal(receive(strangers[i], NULL), 401);
        close(strangers[i]);
    }
    assert_int_equal(counts().unknown_bytes, 0);
    close(first);
    close(app);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_flood_is_put_off_and_another_app_is_not, begin, end),
        cmocka_unit_test_setup_teardown(strangers_leave_room_for_apps, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
