/*
 * What the automatic method has learned of one process type: part of the memory that each tick is
 * given. No pointers, no padding, so that equal ones are equal bytes.
 */
#ifndef LEARNED_H
#define LEARNED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LEARNED_LOADS = 432,   /* ticks of traffic: an hour, the longest boot, and what comes before */
    LEARNED_OUTCOMES = 32, /* quantiles kept of what came after the last hour's forecasts */
    LEARNED_EXPONENTS = 8,
};

/* Whole numbers: name, meaning. Moments are epoch seconds; 0: never, or none. */
#define LEARNED_NUMBERS(X)                                                            \
    X(ticks, "loads that were seen; the newest is load[(ticks - 1) % LEARNED_LOADS]") \
    X(load_at, "when the newest was added")                                           \
    X(windows, "of 30 s, from which the capacity was learned; 0: it is not known")    \
    X(goal_ms, "the goal that it was learned for")                                    \
    X(chosen, "the forecast that needs the least capacity")                           \
    X(has_outcomes, "1: what came after forecasts is known")                          \
    X(restart_at, "when a dyno was last seen to restart")                             \
    X(last_up, "dynos that were up at the tick before")                               \
    X(trouble_at, "when requests last waited although dynos were there")              \
    X(trial_up, "dynos up when a trial began, of whether more dynos help")            \
    X(trial_grown_at, "since when 40 % more are up")                                  \
    X(ceiling, "dynos above which more did not help")                                 \
    X(ceiling_until, "until when none are added because of that")                     \
    X(floor, "the most dynos that were needed since there is a surplus")              \
    X(surplus_since, "since when there is one")

/* Doubles: name, meaning. */
#define LEARNED_DOUBLES(X)                                                      \
    X(slow, "slow requests, fading, in independent ones")                       \
    X(slow_log_load, "the same, each times the logarithm of a dyno's load")     \
    X(capacity, "load of a dyno at which the goal is just met")                 \
    X(exponent, "share of slow requests = goal (load / capacity)^exponent")     \
    X(flat_out, "requests a second that a dyno serves while requests wait")     \
    X(recent_slow, "slow requests of the last minutes")                         \
    X(recent_expected, "those that the capacity made expect")                   \
    X(service_busy, "busy time of the last minutes, seconds")                   \
    X(service_requests, "requests in it")                                       \
    X(usual_service, "busy time of a request, as it usually is")                \
    X(high_outcome, "what came was at most so many times the forecast, mostly") \
    X(trial_served, "the most requests a second served before more dynos came") \
    X(trial_share, "the largest share of slow requests then")                   \
    X(trial_service, "the longest busy time of a request then")                 \
    X(surplus, "dyno-seconds that were ordered and not needed")

struct learned {
#define X(name, meaning) int64_t name;
    LEARNED_NUMBERS(X)
#undef X
#define X(name, meaning) double name;
    LEARNED_DOUBLES(X)
#undef X
    double power[LEARNED_EXPONENTS];       /* requests times load to each exponent, fading */
    int32_t log_outcome[LEARNED_OUTCOMES]; /* in millionths, rising */
    uint32_t load[LEARNED_LOADS];          /* requests in 1000 s */
};

bool learned_is_empty(const struct learned *learned);

/* The stored form. encode: returns the bytes written, at most LEARNED_STORED, 0 for an empty one.
 * decode: false for what encode can't have written. */
enum { LEARNED_STORED = 1 + 15 * 10 + 15 * 8 + 8 * 8 + 32 * 5 + 432 * 5 };
size_t learned_encode(uint8_t *bytes, const struct learned *learned);
bool learned_decode(struct learned *learned, const uint8_t *bytes, size_t length);

/* Brings what was stored within bounds, and moments to a clock that stepped. */
void learned_bound(struct learned *learned);
void learned_move(struct learned *learned, int64_t by, int64_t now);

#endif
