#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "false_transport.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "suite.h"

enum { MOST_ATTEMPTS = 256 };

typedef struct attempt {
    char *body;
    char headers[DS_REPORT_HEADERS][DS_REPORT_HEADER_SIZE];
    size_t header_count;
    bool posted;
} attempt;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    attempt attempts[MOST_ATTEMPTS];
    size_t count, accepted, rows, open, cancelled;
    bool stalled, refuses_open, refuses_start, refuses_load;
    ds_answer answer;
} service;

typedef struct connection {
    bool in_flight;
    size_t rows;
    ds_answer answer;
} connection;

static size_t lines_in(const char *text) {
    size_t n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

static void *open_connection(const ds_settings *settings, char reason[DS_ANSWER_REASON_SIZE]) {
    (void)settings;
    pthread_mutex_lock(&lock);
    connection *c = service.refuses_open ? NULL : calloc(1, sizeof *c);
    if (c) service.open++;
    pthread_mutex_unlock(&lock);
    if (!c) strcpy(reason, "no connection to be had");
    return c;
}

static bool start(void *opened, const ds_request *request, char reason[DS_ANSWER_REASON_SIZE]) {
    connection *c = opened;
    pthread_mutex_lock(&lock);
    char *body = service.refuses_start ? NULL : malloc(request->body_length + 1);
    bool taken = body != NULL;
    if (taken) {
        attempt *a = &service.attempts[service.count++ % MOST_ATTEMPTS];
        free(a->body);
        a->body = body;
        if (request->body_length > 0) memcpy(a->body, request->body, request->body_length);
        a->posted = request->body != NULL;
        a->body[request->body_length] = '\0';
        memcpy(a->headers, request->headers, sizeof a->headers);
        a->header_count = request->header_count;
        c->rows = lines_in(a->body);
        c->in_flight = true;
    }
    pthread_mutex_unlock(&lock);
    if (!taken) strcpy(reason, "no request to be had");
    return taken;
}

static const ds_answer *poll_answer(void *opened) {
    connection *c = opened;
    pthread_mutex_lock(&lock);
    bool answered = c->in_flight && !service.stalled;
    if (answered) {
        c->in_flight = false;
        c->answer = service.answer;
        if (c->answer.status >= 200 && c->answer.status <= 299) {
            service.accepted++;
            service.rows += c->rows;
        }
    }
    pthread_mutex_unlock(&lock);
    return answered ? &c->answer : NULL;
}

/* The false clock stands still, but a thread that waits here must let others run. */
static void wait_a_moment(void *opened, int64_t ms) {
    (void)opened;
    (void)ms;
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

static void close_connection(void *opened) {
    connection *c = opened;
    pthread_mutex_lock(&lock);
    service.open--;
    service.cancelled += c->in_flight;
    pthread_mutex_unlock(&lock);
    free(c);
}

static bool describe(char text[DS_ANSWER_REASON_SIZE], char reason[DS_ANSWER_REASON_SIZE]) {
    strcpy(service.refuses_load ? reason : text,
           service.refuses_load ? "no library to be had" : "a false library");
    return !service.refuses_load;
}

const ds_transport false_transport = {open_connection,  start,   poll_answer, wait_a_moment,
                                      close_connection, describe};

void false_transport_reset(void) {
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < MOST_ATTEMPTS; i++) free(service.attempts[i].body);
    memset(&service, 0, sizeof service);
    pthread_mutex_unlock(&lock);
    false_transport_answer(200, "");
}

void false_transport_answer(int status, const char *text) {
    pthread_mutex_lock(&lock);
    service.stalled = false;
    memset(&service.answer, 0, sizeof service.answer);
    service.answer.status = status;
    service.answer.retry_after_ms = DS_ANSWER_NO_RETRY;
    service.answer.body_whole = true;
    service.answer.path = (ds_path){.reach = status > 0 ? DS_REACH_ANSWER : DS_REACH_NOTHING,
                                    .date_s = -1,
                                    .queue_time_ms = -1};
    if (status == 0) {
        strncpy(service.answer.reason, text, DS_ANSWER_REASON_SIZE - 1);
    } else {
        service.answer.body_length = strlen(text);
        memcpy(service.answer.body, text, strlen(text));
    }
    pthread_mutex_unlock(&lock);
}

void false_transport_retry_after(int64_t ms) {
    pthread_mutex_lock(&lock);
    service.answer.retry_after_ms = ms;
    pthread_mutex_unlock(&lock);
}

void false_transport_stall(void) {
    pthread_mutex_lock(&lock);
    service.stalled = true;
    pthread_mutex_unlock(&lock);
}

void false_transport_refuse_open(bool refuse) { service.refuses_open = refuse; }
void false_transport_refuse_start(bool refuse) { service.refuses_start = refuse; }
void false_transport_refuse_load(bool refuse) { service.refuses_load = refuse; }
void false_transport_path(const ds_path *path) { service.answer.path = *path; }

static size_t read_locked(const size_t *value) {
    pthread_mutex_lock(&lock);
    size_t n = *value;
    pthread_mutex_unlock(&lock);
    return n;
}

size_t false_transport_attempts(void) { return read_locked(&service.count); }
size_t false_transport_accepted(void) { return read_locked(&service.accepted); }
size_t false_transport_rows(void) { return read_locked(&service.rows); }
size_t false_transport_open(void) { return read_locked(&service.open); }
size_t false_transport_cancelled(void) { return read_locked(&service.cancelled); }

const char *false_transport_body(size_t i) {
    assert_true(i < false_transport_attempts());
    return service.attempts[i % MOST_ATTEMPTS].body;
}

bool false_transport_posted(size_t i) {
    assert_true(i < false_transport_attempts());
    return service.attempts[i % MOST_ATTEMPTS].posted;
}

const char *false_transport_header(size_t i, const char *name) {
    assert_true(i < false_transport_attempts());
    const attempt *a = &service.attempts[i % MOST_ATTEMPTS];
    size_t length = strlen(name);
    for (size_t h = 0; h < a->header_count; h++)
        if (strncmp(a->headers[h], name, length) == 0 && a->headers[h][length] == ':')
            return a->headers[h] + length + 2;
    return "";
}
