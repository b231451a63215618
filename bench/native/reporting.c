/*
 * reporting URL SAMPLES [ROUNDS]: what the process spends from SAMPLES recorded requests to
 * reports that the service has accepted, beside a memcpy of as many bytes.
 *
 *     cpu ms, wall ms   of the whole: drain, batches, CSV, libcurl, the kernel's sockets
 *     record cpu ms     of that, the requests themselves
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* clocks */
#endif
#include <string.h>

#include "agents.h"
#include "buffer.h"
#include "report.h"

enum { BLOCK = DS_BUFFER_SLOTS };

static volatile int64_t sink;

static double copy_ms(size_t bytes) {
    char *from = malloc(bytes), *to = malloc(bytes);
    if (!from || !to) fail("no memory");
    memset(from, 'x', bytes);
    memset(to, 'y', bytes);
    double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    memcpy(to, from, bytes);
    __asm__ volatile("" : : "r"(to) : "memory");
    double ms = (seconds_of(CLOCK_THREAD_CPUTIME_ID) - start) * 1e3;
    free(from);
    free(to);
    return ms;
}

static void report(dynoscale_agent *agent, long samples, double *record_ms) {
    char stamp[STAMP_SIZE];
    for (long done = 0; done < samples; done += BLOCK) {
        long calls = samples - done < BLOCK ? samples - done : BLOCK;
        size_t length = write_stamp(stamp);
        double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        for (long i = 0; i < calls; i++)
            sink = dynoscale_agent_request(agent, stamp, length, NULL, 0, 0);
        *record_ms += (seconds_of(CLOCK_THREAD_CPUTIME_ID) - start) * 1e3;
        if (dynoscale_agent_flush(agent, 30000, NULL, NULL) != DYNOSCALE_OK)
            fail("the service did not accept a report");
    }
}

int main(int count, char **arguments) {
    if (count < 3) fail("reporting URL SAMPLES [ROUNDS]");
    long samples = atol(arguments[2]), rounds = number_argument(count, arguments, 3, 5);
    dynoscale_agent *agent = open_agent(arguments[1]);
    for (long round = -1; round < rounds; round++) { /* the first one loads libcurl */
        double record_ms = 0;
        double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID), wall = seconds_of(CLOCK_MONOTONIC);
        report(agent, samples, &record_ms);
        cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        wall = seconds_of(CLOCK_MONOTONIC) - wall;
        if (round < 0) continue;
        print_value("cpu ms", cpu * 1e3);
        print_value("wall ms", wall * 1e3);
        print_value("record cpu ms", record_ms);
        print_value("memcpy ms", copy_ms((size_t)samples * sizeof "1700000000,20,web,\r"));
    }
    dynoscale_agent_stop(agent, 0, NULL, NULL);
    return 0;
}
