/* The service's situation of a job system, and its own decide(). */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../options.h"
#include "decide/decide.h"
#include "ingest/jobs.h"
#include "method.h"

enum { FIRST_S = 1800000000, TICK_S = 10, WINDOW_S = 60, LONG_AGO = 100000 };

static struct rule rule;
static struct memory memory;
static struct decision decision;
static long decisions;
static double cost_s;
static FILE *stored;         /* store=FILE: each tick */
static bool counted, worked; /* whether agents report how many jobs wait, how many are worked on */

static int word_of(const char *word, const char *const *words, int count) {
    for (int i = 0; i < count; i++)
        if (strcmp(word, words[i]) == 0) return i;
    fprintf(stderr, "no method, care or kind of signals is called %s\n", word);
    exit(1);
}

void service_begin(void) {
    static const char *const methods[] = {"steps", "automatic"};
    static const char *const cares[] = {"lean", "balanced", "strict"};
    static const char *const signals[] = {"age", "depth", "all"};
    rule_defaults(&rule);
    snprintf(rule.name, sizeof rule.name, "default");
    rule.min = option_int("min", 0);
    rule.max = option_int("max", 40);
    rule.method = (enum rule_method)word_of(option("method", "automatic"), methods, 2);
    rule.care = (enum rule_care)word_of(option("care", "balanced"), cares, 3);
    rule.goal_ms = (int64_t)(option_number("goal", 30) * 1000);
    rule.up.threshold_ms = (int64_t)(option_number("up", 10) * 1000);
    rule.down.threshold_ms = (int64_t)(option_number("down", 1) * 1000);
    rule.hold_while_jobs_run = option_int("hold", 0);
    int kind = word_of(option("signals", "all"), signals, 3);
    counted = kind >= 1;
    worked = kind == 2;
    memory_clear(&memory);
    if (option("store", NULL)) stored = fopen(option("store", NULL), "w");
}

/* The worst p95 of a minute: of six readings the largest. */
static int64_t worst_ms(void) {
    int64_t worst = -1;
    for (int i = 0; i < WINDOW_S / TICK_S; i++) {
        const struct reading *reading = newest_reading(i);
        int64_t age_ms = reading ? (int64_t)(reading->oldest_s * 1000) : -1;
        if (age_ms > worst) worst = age_ms;
    }
    return worst;
}

static void add_flow(struct situation *situation) {
    struct jobs_reading readings[JOBS_CURVE_S / TICK_S];
    size_t count = 0;
    for (int i = JOBS_CURVE_S / TICK_S - 1; i >= 0; i--) {
        const struct reading *reading = newest_reading(i);
        if (reading)
            readings[count++] = (struct jobs_reading){reading->second, reading->waiting,
                                                      (int64_t)(reading->oldest_s * 1000)};
    }
    struct jobs_flow flow = jobs_flow(readings, count);
    situation->jobs_arrive = flow.arrive;
    situation->jobs_start = flow.start;
}

static void add_readings(struct situation *situation, int now) {
    const struct reading *newest = newest_reading(0), *before = newest_reading(1);
    situation->jobs = 1;
    snprintf(situation->queue, sizeof situation->queue, "sidekiq:default");
    if (!newest) return;
    situation->heard_age = now - newest->second;
    situation->value_ms = worst_ms();
    situation->samples = situation->samples_above = 6;
    situation->oldest_ms = (int64_t)(newest->oldest_s * 1000);
    if (before) {
        situation->oldest_past_ms = (int64_t)(before->oldest_s * 1000);
        situation->oldest_apart_s = newest->second - before->second;
    }
    if (worked) situation->jobs_running = newest->working;
    if (counted) situation->jobs_waiting = newest->waiting;
    if (counted) add_flow(situation);
}

static void add_formation(struct situation *situation, int now, int ordered, int up) {
    situation->ordered = ordered;
    situation->up = up;
    situation->booting = ordered - up;
    situation->stopping = 0;
    situation->formation_age = 2;
    situation->boot_s = system_boot_count ? (int64_t)(system_boot_mean() + .5) : -1;
    situation->boot_mean_ms = (int64_t)(system_boot_mean() * 1000);
    if (system_release >= 0) situation->release_age = now - system_release;
}

/* What a trial of rules reads of the ledger: try_jobs.c reads the same line. */
static void store(const struct situation *now) {
    const long long values[] = {
        now->now,          now->value_ms,     now->oldest_ms,    now->oldest_apart_s,
        now->jobs_waiting, now->jobs_running, now->jobs_start,   now->ordered,
        now->up,           now->release_age,  now->boot_mean_ms, decision.action};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        fprintf(stored, i ? " %lld" : "%lld", values[i]);
    putc('\n', stored);
}

static double cpu_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int method_service(int now, int ordered, int up) {
    if (now % TICK_S) return ordered;
    struct situation situation;
    situation_clear(&situation);
    situation.now = FIRST_S + now;
    situation.tick_s = situation.report_s = TICK_S;
    situation.scaling = 1;
    situation.started_age = situation.rule_age = LONG_AGO;
    situation.dynos_heard = up;
    add_readings(&situation, now);
    add_formation(&situation, now, ordered, up);
    double before = cpu_s();
    decide(&situation, &rule, &memory, &decision);
    cost_s += cpu_s() - before;
    decisions++;
    if (stored) store(&situation);
    return decision.to >= 0 ? decision.to : ordered;
}

const char *service_sentence(void) { return decision.sentence; }

void service_cost(long *count, double *seconds) {
    *count = decisions;
    *seconds = cost_s;
}
