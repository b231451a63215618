/*
 * A whole life of the agent, through the public header alone: settings from the environment, two
 * users of one agent, requests of several threads, readings of job queues, flush, events, a child
 * with a life of its own if asked for (`life fork`), stop, free. Run by check.py under valgrind;
 * exits 0 if all that was recorded was sent.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dynoscale.h"

enum { THREADS = 4, REQUESTS = 200, PATIENCE_MS = 60 * 1000 };

static void require(bool well, const char *what) {
    if (well) return;
    fprintf(stderr, "life: %s\n", what);
    exit(1);
}

static dynoscale_agent *opened(void) {
    dynoscale_agent *agent = NULL;
    dynoscale_options *options = dynoscale_options_new();
    require(options, "no options");
    dynoscale_options_set(options, DYNOSCALE_SETTING_LOG_LEVEL, "loud", 4, DYNOSCALE_SOURCE_CODE);
    require(dynoscale_options_warning(options, 0), "no warning of a wrong value");
    require(dynoscale_options_read_environment(options) == DYNOSCALE_OK, "no environment");
    require(dynoscale_options_show(options, DYNOSCALE_SETTING_URL), "no URL");
    require(dynoscale_agent_open(options, "ruby", &agent) == DYNOSCALE_OK, "no agent");
    dynoscale_options_free(options);
    return agent;
}

static void *make_requests(void *agent) {
    for (int i = 0; i < REQUESTS; i++) {
        char stamp[64];
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        int length = snprintf(stamp, sizeof stamp, "t=%lld.%03ld, soon", (long long)now.tv_sec,
                              now.tv_nsec / 1000000);
        require(dynoscale_agent_request(agent, stamp, (size_t)length, NULL, 0, 0.5) >= 0, stamp);
        dynoscale_agent_request(agent, NULL, 0, "never", 5, 0);
    }
    return NULL;
}

static void record(dynoscale_agent *agent) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, make_requests, agent) == 0, "no thread");
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    require(dynoscale_agent_job_queue_time(agent, "rq", 2, "low,slow", 8, 95) == DYNOSCALE_OK,
            "no reading");
}

static void flush(dynoscale_agent *agent) {
    require(dynoscale_agent_flush(agent, PATIENCE_MS, NULL, NULL) == DYNOSCALE_OK, "no flush");
}

static void read_events(dynoscale_agent *agent) {
    dynoscale_level level;
    char text[DYNOSCALE_EVENT_SIZE];
    require(dynoscale_agent_has_event(agent), "no event");
    while (dynoscale_agent_next_event(agent, &level, text)) require(strlen(text) > 0, "no text");
}

static void finish(dynoscale_agent *agent) {
    int64_t values[DYNOSCALE_COUNTER_COUNT];
    require(dynoscale_agent_stop(agent, PATIENCE_MS, NULL, NULL) == DYNOSCALE_OK, "no stop");
    dynoscale_agent_counters(agent, values);
    require(values[DYNOSCALE_COUNTER_RECORDED] == values[DYNOSCALE_COUNTER_SENT], "not all sent");
    dynoscale_agent_free(agent);
}

/* Forks while the parent has unsent samples and its thread, very likely, a report under way. */
static void have_a_child(dynoscale_agent *agent) {
    int status;
    dynoscale_agent_flush(agent, 100, NULL, NULL);
    record(agent);
    pid_t child = fork();
    if (child == 0) {
        record(agent);
        flush(agent);
        finish(agent);
        dynoscale_agent_free(agent); /* its second user */
        exit(0);
    }
    require(waitpid(child, &status, 0) == child && status == 0, "the child failed");
}

int main(int count, char **arguments) {
    dynoscale_agent *agent = opened(), *same = opened();
    require(agent == same, "two agents");
    record(agent);
    flush(agent);
    record(agent);
    if (count > 1 && strcmp(arguments[1], "fork") == 0) have_a_child(agent);
    flush(agent);
    read_events(agent);
    record(agent);
    finish(agent);
    dynoscale_agent_free(same);
    return 0;
}
