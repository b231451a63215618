/* An open agent for the benchmarks in C, and a stamp as a router makes it. */
#ifndef BENCH_AGENTS_H
#define BENCH_AGENTS_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "dynoscale.h"
#include "rounds.h"

/* Reports to `url`. The buffer is the same whether the service answers or not. */
static inline dynoscale_agent *open_agent(const char *url) {
    dynoscale_agent *agent = NULL;
    dynoscale_options *options = dynoscale_options_new();
    dynoscale_options_set(options, DYNOSCALE_SETTING_URL, url, strlen(url), DYNOSCALE_SOURCE_CODE);
    dynoscale_options_set(options, DYNOSCALE_SETTING_DYNO, "web.1", 5, DYNOSCALE_SOURCE_CODE);
    if (dynoscale_agent_open(options, "bench", &agent) != DYNOSCALE_OK)
        fail("the agent could not be opened");
    dynoscale_options_free(options);
    return agent;
}

enum { STAMP_SIZE = 32 };

/* 13 digits, 20 ms ago: what Heroku's router sends. Returns the length. */
static inline size_t write_stamp(char stamp[STAMP_SIZE]) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    int64_t ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 - 20;
    return (size_t)snprintf(stamp, STAMP_SIZE, "%" PRId64, ms);
}

#endif
