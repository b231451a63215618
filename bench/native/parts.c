/*
 * parts URL [ROUNDS]: ns of each part of the core that a request passes, and of what the thread
 * does with it later, beside one reading of the clock in the same round. A round is the median of
 * its blocks, which are interleaved.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* clocks */
#endif
#include <string.h>

#include "agents.h"
#include "buffer.h"
#include "clock.h"
#include "queue_time.h"
#include "report.h"

/* Half of the buffer: what the thread may find after a busy second. */
enum { CALLS = DS_BUFFER_SLOTS / 2, BLOCKS = 25 };

static ds_buffer buffer;
static uint64_t words[DS_BUFFER_SLOTS];
static char csv[DS_BUFFER_SLOTS * DS_REPORT_ROW_SIZE], copy[sizeof csv];
static size_t csv_length;
static dynoscale_agent *agent;
static volatile int64_t sink;

static void read_clock(void) {
    for (int i = 0; i < CALLS; i++) sink = ds_clock_wall_ns();
}

static void read_text(const char *text, size_t length) {
    for (int i = 0; i < CALLS; i++)
        sink = ds_queue_time_ms(text, length, NULL, 0, 0, 1700000000223456789 + i);
}

#define READ(name, text) \
    static void name(void) { read_text(text, sizeof text - 1); }
READ(read_ms, "1700000000123")
READ(read_nginx, "t=1700000000.123")
READ(read_us, "t=1700000000123456")
READ(read_ns, "1700000000123456789")
READ(read_list, "1700000000123, 1700000000124")

static void push(void) {
    for (int i = 0; i < CALLS; i++) sink = ds_buffer_push(&buffer, ds_sample(1700000000, i & 1023));
}

static void drain(void) {
    size_t position = 0, total = 0, n;
    while ((n = ds_buffer_drain(&buffer, &position, words + total, DS_BUFFER_SLOTS - total)) > 0)
        total += n;
    if (total != CALLS) fail("the buffer did not hold what was pushed");
}

static void encode(void) { csv_length = ds_report_rows(csv, words, CALLS); }

static void copy_rows(void) {
    memcpy(copy, csv, csv_length);
    __asm__ volatile("" : : "r"(copy) : "memory");
}

static void request(void) {
    char stamp[STAMP_SIZE];
    size_t length = write_stamp(stamp);
    for (int i = 0; i < CALLS; i++)
        sink = dynoscale_agent_request(agent, stamp, length, NULL, 0, 0);
}

static void request_off(void) {
    for (int i = 0; i < CALLS; i++)
        sink = dynoscale_agent_request(NULL, "1700000000123", 13, NULL, 0, 0);
}

static void empty_buffer(void) { dynoscale_agent_flush(agent, 0, NULL, NULL); }

static const struct part {
    const char *name;
    void (*run)(void);
    void (*after)(void); /* untimed */
} parts[] = {
    {"clock", read_clock, NULL},
    {"parse ms", read_ms, NULL},
    {"parse nginx", read_nginx, NULL},
    {"parse us", read_us, NULL},
    {"parse ns", read_ns, NULL},
    {"parse list", read_list, NULL},
    {"push", push, NULL},
    {"drain", drain, NULL},
    {"csv", encode, NULL},
    {"memcpy", copy_rows, NULL},
    {"request", request, empty_buffer},
    {"request off", request_off, NULL},
};
enum { PARTS = sizeof parts / sizeof parts[0] };

int main(int count, char **arguments) {
    if (count < 2) fail("parts URL [ROUNDS]");
    long rounds = number_argument(count, arguments, 2, 15);
    agent = open_agent(arguments[1]);
    static double seconds[PARTS][BLOCKS];
    for (long round = -1; round < rounds; round++) { /* the first one warms up */
        for (int block = 0; block < BLOCKS; block++)
            for (size_t p = 0; p < PARTS; p++) {
                double start = seconds_of(CLOCK_MONOTONIC);
                parts[p].run();
                seconds[p][block] = seconds_of(CLOCK_MONOTONIC) - start;
                if (parts[p].after) parts[p].after();
            }
        for (size_t p = 0; p < PARTS && round >= 0; p++)
            print_value(parts[p].name, median(seconds[p], BLOCKS) * 1e9 / CALLS);
    }
    dynoscale_agent_stop(agent, 0, NULL, NULL);
    return 0;
}
