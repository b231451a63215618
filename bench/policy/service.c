#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "decide/decide.h"
#include "dyno.h"
#include "ingest/seconds.h"
#include "options.h"

enum { FIRST_S = 1800000000, TICK_S = 10, WINDOW_S = 60, LONG_AGO = 100000, READ_BEFORE_S = 3 };

static struct rule rule;
static struct memory memory;
static struct decision decision;
static struct seconds seconds;
static struct seconds_dyno dynos[MOST_DYNOS];
static int started;
static long decisions;
static double cost_s;

static int word_of(const char *word, const char *const *words, int count) {
    for (int i = 0; i < count; i++)
        if (strcmp(word, words[i]) == 0) return i;
    fprintf(stderr, "no method or care is called %s\n", word);
    exit(1);
}

void service_begin(void) {
    static const char *const methods[] = {"steps", "automatic"};
    static const char *const cares[] = {"lean", "balanced", "strict"};
    rule_defaults(&rule);
    snprintf(rule.name, sizeof rule.name, "default");
    rule.min = option_int("min", 2);
    rule.max = option_int("max", 60);
    rule.method = (enum rule_method)word_of(option("method", "automatic"), methods, 2);
    rule.care = (enum rule_care)word_of(option("care", "balanced"), cares, 3);
    rule.up.step = option_int("by", 1);
    rule.up.wait_s = option_int("upwait", 60);
    rule.down.wait_s = option_int("downwait", 300);
    rule.up.threshold_ms = (int64_t)(option_number("up", .1) * 1000);
    rule.down.threshold_ms = (int64_t)(option_number("down", .05) * 1000);
    memory_clear(&memory);
}

/* What an agent's rows say, as the service pools it. */
static struct seconds_row pooled_row(const struct row *row) {
    struct seconds_row pooled = {.requests = (uint32_t)row->requests, .slow = (uint32_t)row->slow};
    for (int i = 0; i < SEEN_BUCKETS; i++) {
        int low_ms = i ? (int)(wait_bucket_limit(i - 1) * 1000) : 0;
        if (low_ms < SECONDS_QUICK_MS) pooled.quick += (uint32_t)row->histogram[i];
        if (low_ms < SECONDS_LATE_MS) continue;
        pooled.late += (uint32_t)row->histogram[i];
        pooled.late_ms += (uint64_t)(row->histogram[i] * low_ms);
    }
    pooled.wait_ms = (uint64_t)(row->wait_sum * 1000);
    pooled.busy_ms = (uint64_t)(row->busy * 1000);
    return pooled;
}

void service_report(int now, int dyno, int from, int to, const struct row *rows) {
    (void)now;
    for (int second = to - ROWS_KEPT < 0 ? 0 : to - ROWS_KEPT; second < to; second++) {
        const struct row *row = &rows[second % ROWS_KEPT];
        if (second >= from)
            seconds_add(&seconds, &dynos[dyno], FIRST_S + second, pooled_row(row), true);
        seconds_arrived(&seconds, &dynos[dyno], FIRST_S + second, (uint32_t)row->arrived);
    }
}

static void add_signals(struct situation *situation, int now) {
    int heard = seen_last_report < 0 ? -1 : now - seen_last_report;
    int until = heard >= 0 && heard < 3 * situation->report_s ? now - heard + 1 : now;
    if (until > now) until = now;
    struct window window = seen_window(until - WINDOW_S, until);
    situation->heard_age = heard;
    situation->samples = (int64_t)window.requests;
    situation->samples_above = (int64_t)window.slow;
    if (window.requests > 0)
        situation->value_ms = (int64_t)(window_quantile(&window, .95) * 1000 + .5);
}

/* As the service does: the platform is read shortly before a tick, and a second after an order.
 * That all which were ordered are up is what tells how long they took. */
static struct {
    int ordered, up, second;
    int before, starting, ordered_at; /* before: dynos at the second before; starting: 0: none */
} formation;

static void read_platform(int now, int ordered, int up) {
    if (ordered != formation.before) {
        formation.starting = ordered > formation.before && formation.before > 0 ? ordered : 0;
        formation.ordered_at = now;
    }
    formation.before = ordered;
    bool due = now % TICK_S == TICK_S - READ_BEFORE_S || now == formation.ordered_at + 1;
    if (!due) return;
    formation.ordered = ordered;
    formation.up = up;
    formation.second = now;
    if (formation.starting == 0 || up < formation.starting) return;
    seen_boot(now - formation.ordered_at);
    formation.starting = 0;
}

static void add_formation(struct situation *situation, int now, int ordered) {
    situation->ordered = ordered;
    situation->up = formation.up < ordered ? formation.up : ordered;
    situation->booting = ordered - (int)situation->up;
    situation->stopping = 0;
    situation->formation_age = now - formation.second;
    situation->boot_s = seen_boot_count ? (int64_t)(seen_boot_mean() + .5) : -1;
    situation->boot_mean_ms = (int64_t)(seen_boot_mean() * 1000);
    if (seen_release >= 0) situation->release_age = now - seen_release;
}

static double cpu_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int method_service(int now, int ordered, int up) {
    read_platform(now, ordered, up);
    if (now % TICK_S) return ordered;
    up = formation.up < ordered ? formation.up : ordered;
    seconds_formation(&seconds, FIRST_S + now - TICK_S, FIRST_S + now, up);
    struct situation situation;
    situation_clear(&situation);
    situation.now = FIRST_S + now;
    situation.tick_s = TICK_S;
    situation.report_s = option_int("report", 10);
    situation.scaling = 1;
    situation.started_age = now - started;
    situation.rule_age = LONG_AGO;
    situation.dynos_heard = up;
    add_signals(&situation, now);
    add_formation(&situation, now, ordered);
    seconds_screen(&seconds, dynos, MOST_DYNOS, sizeof *dynos, situation.now, up);
    seconds_measure(&seconds, situation.now, 0, &situation);
    double before = cpu_s();
    decide(&situation, &rule, &memory, &decision);
    cost_s += cpu_s() - before;
    decisions++;
    return decision.to >= 0 ? decision.to : ordered;
}

void service_forget(bool keep_memory) {
    uint8_t bytes[MEMORY_STORED];
    size_t length = memory_encode(bytes, &memory);
    if (!keep_memory) memory_clear(&memory);
    else if (!memory_decode(&memory, bytes, length)) abort();
    memset(&seconds, 0, sizeof seconds);
    memset(dynos, 0, sizeof dynos);
    seen_forget();
}

const char *service_sentence(void) { return decision.sentence; }

void service_cost(long *count, double *seconds) {
    *count = decisions;
    *seconds = cost_s;
}
