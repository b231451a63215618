/*
 * request_path: passes each kind of request through the core, for callgrind to count. The clock
 * stands still: reading the system's takes other instructions on other machines.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "buffer.h"
#include "clock.h"
#include "collect.h"
#include "dynoscale.h"
#include "report.h"

/* All of them together fit the buffer. */
enum { REQUESTS = 1000 };

#define NOW_MS 1700000000123

int64_t ds_clock_wall_ns(void) { return NOW_MS * 1000000 + 456789; }

int64_t ds_clock_process_age_ms(void) { return -1; }
int64_t ds_clock_monotonic_ms(void) { return 1000000; }

/* ---- A service that asks for the time that requests take, without a network ---------------- */

static ds_answer asks = {
    .status = 200,
    .body_whole = true,
    .body = "{\"config\": {\"publish_frequency\": 3600, \"signals\": [\"busy\", \"unstamped\"]}}",
};

static void *open_connection(const ds_settings *settings, char *reason) {
    (void)settings, (void)reason;
    asks.body_length = strlen(asks.body);
    return &asks;
}

static bool start(void *connection, const ds_request *request, char *reason) {
    (void)connection, (void)request, (void)reason;
    return true;
}

static const ds_answer *answer(void *connection) { return connection; }
static void wait(void *connection, int64_t ms) { (void)connection, (void)ms; }
static void close_connection(void *connection) { (void)connection; }

static const ds_transport asking = {
    .open = open_connection,
    .start = start,
    .poll = answer,
    .wait = wait,
    .close = close_connection,
};

/* ---- The paths through the core ------------------------------------------------------------ */

static dynoscale_agent *agent;
static ds_buffer buffer;
static uint64_t words[DS_BUFFER_SLOTS];
static char csv[REQUESTS * DS_REPORT_ROW_SIZE];
static volatile int64_t sink;

static void pass(dynoscale_agent *to, const char *start, const char *queue_start, double wait_ms) {
    size_t start_length = start ? strlen(start) : 0;
    size_t queue_start_length = queue_start ? strlen(queue_start) : 0;
    CALLGRIND_TOGGLE_COLLECT;
    for (int i = 0; i < REQUESTS; i++)
        sink = dynoscale_agent_request(to, start, start_length, queue_start, queue_start_length,
                                       wait_ms);
    CALLGRIND_TOGGLE_COLLECT;
}

static void pass_start(const char *start) {
    size_t length = strlen(start);
    CALLGRIND_TOGGLE_COLLECT;
    for (int i = 0; i < REQUESTS; i++)
        sink = dynoscale_agent_request_start(agent, start, length, 0);
    CALLGRIND_TOGGLE_COLLECT;
}

static void pass_through_app(dynoscale_agent *to, const char *stamp) {
    size_t length = strlen(stamp);
    CALLGRIND_TOGGLE_COLLECT;
    for (int i = 0; i < REQUESTS; i++) {
        int64_t entered_ns = dynoscale_busy_asked() ? dynoscale_agent_enter(to) : -1;
        sink = dynoscale_agent_request_start_at(to, entered_ns, stamp, length, 0);
        dynoscale_agent_leave(to, entered_ns);
    }
    CALLGRIND_TOGGLE_COLLECT;
}

/* An agent that knows what the service asks for; NULL if it does not. */
static dynoscale_agent *open_asked(const dynoscale_options *options) {
    dynoscale_agent *asked;
    if (ds_agent_open(options, "bench", &asking, &asked) != DYNOSCALE_OK) return NULL;
    dynoscale_agent_request(asked, "1700000000103", 13, NULL, 0, 0);
    dynoscale_agent_flush(asked, 60000, NULL, NULL);
    return dynoscale_busy_asked() ? asked : NULL;
}

static void drain(void) {
    size_t position = 0, n;
    for (int i = 0; i < REQUESTS; i++) ds_buffer_push(&buffer, ds_sample(1700000000, i));
    CALLGRIND_TOGGLE_COLLECT;
    while ((n = ds_buffer_drain(&buffer, &position, words, 512)) > 0) sink = (int64_t)n;
    CALLGRIND_TOGGLE_COLLECT;
}

static void encode(void) {
    for (int i = 0; i < REQUESTS; i++) words[i] = ds_sample(1700000000, i);
    CALLGRIND_TOGGLE_COLLECT;
    sink = (int64_t)ds_report_rows(csv, words, REQUESTS);
    CALLGRIND_TOGGLE_COLLECT;
}

/* Writes the count since the last one, under a name, to callgrind's file. */
#define COUNT(name, code)              \
    do {                               \
        CALLGRIND_ZERO_STATS;          \
        code;                          \
        CALLGRIND_DUMP_STATS_AT(name); \
    } while (0)

int main(void) {
    dynoscale_options *options = dynoscale_options_new();
    const char *url = "http://127.0.0.1:9/nobody";
    dynoscale_options_set(options, DYNOSCALE_SETTING_URL, url, strlen(url), DYNOSCALE_SOURCE_CODE);
    dynoscale_options_set(options, DYNOSCALE_SETTING_DYNO, "web.1", 5, DYNOSCALE_SOURCE_CODE);
    if (dynoscale_agent_open(options, "bench", &agent) != DYNOSCALE_OK) return 1;
    dynoscale_agent_request(agent, "1700000000103", 13, NULL, 0, 0); /* starts the thread */

    COUNT("13 digits, X-Request-Start alone", pass_start("1700000000103"));
    COUNT("t=10.3 digits, X-Request-Start alone", pass_start("t=1700000000.103"));
    COUNT("13 digits", pass(agent, "1700000000103", NULL, 0));
    COUNT("t=10.3 digits", pass(agent, "t=1700000000.103", NULL, 0));
    COUNT("t=16 digits", pass(agent, "t=1700000000103456", NULL, 0));
    COUNT("19 digits", pass(agent, "1700000000103456789", NULL, 0));
    COUNT("both headers, body wait", pass(agent, "1700000000103", "t=1700000000.102", 5));
    COUNT("a list of two", pass(agent, "1700000000103, 1700000000102", NULL, 0));
    COUNT("no stamp", pass(agent, NULL, NULL, 0));
    COUNT("malformed", pass(agent, "1700000000103 or so", NULL, 0));
    COUNT("agent off", pass(NULL, "1700000000103", NULL, 0));
    COUNT("drain, a sample", drain());
    COUNT("CSV, a row", encode());

    COUNT("through the app, not asked", pass_through_app(agent, "1700000000103"));
    const char *other = "http://127.0.0.1:9/another";
    dynoscale_options_set(options, DYNOSCALE_SETTING_URL, other, strlen(other),
                          DYNOSCALE_SOURCE_CODE);
    dynoscale_agent *asked = open_asked(options);
    if (!asked) return 1;
    COUNT("through the app, asked", pass_through_app(asked, "1700000000103"));

    dynoscale_options_free(options);
    dynoscale_agent_stop(agent, 0, NULL, NULL);
    dynoscale_agent_stop(asked, 0, NULL, NULL);
    return 0;
}
