/*
 * What a trial of rules over 30 days takes: of a process whose minutes, busy time and decisions are
 * stored as the service stores them, through the API.
 *
 *     trials DIR ROUNDS
 *
 * Prints a line for each round of each figure: name, seconds of CPU, 0, unit, with tabs.
 */
#define _GNU_SOURCE /* a whole POSIX */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/api.h"
#include "decide/decide.h"
#include "replay/queue.h"
#include "series/chunk.h"
#include "store/ledger.h"
#include "store/series.h"

#define BEGIN_S 1699999200 /* a border of chunks of minutes */

enum { DAY_S = 86400, DAYS = 30, SLOTS = 4 };
static const double SERVICE_S = .15;

static const char steps[] =
    "processes: {web: {rules: [{name: default, dynos: {min: 2, max: 20}}]}}";
static const char steps_tried[] =
    "processes: {web: {rules: [{name: default, dynos: {min: 3, max: 20},"
    " up: {threshold_ms: 100, step: 2, wait: 30}}]}}";
static const char automatic[] =
    "processes: {web: {rules: [{name: default, dynos: {min: 2, max: 20},"
    " method: automatic}]}}";

static void must(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "trials: %s failed\n", what);
    exit(1);
}

/* ---- The past -------------------------------------------------------------------------------- */

static double rate_at(int64_t second) {
    double day = (double)(second % DAY_S) / DAY_S, week = (double)(second / DAY_S % 7);
    double noise = (double)((uint64_t)second / 60 * 2654435761u % 1000) / 1000;
    return (week < 5 ? 60 : 25) * (1.1 + sin(6.2831853 * (day - .4))) * (.95 + .1 * noise);
}

static int dynos_at(int64_t second) { return 2 + (int)(rate_at(second - second % 1800) / 11); }

static void fill_sketch(struct sketch *sketch, const struct queue *queue, int64_t second) {
    double rate = rate_at(second), used = rate / dynos_at(second) * SERVICE_S / SLOTS;
    struct queue_wait wait = queue_stationary(queue, used, SERVICE_S);
    double before = 1;
    sketch_clear(sketch);
    for (uint32_t ms = 0; ms < 4000; ms = ms < 64 ? ms + 1 : ms + ms / 16) {
        uint32_t next = ms < 64 ? ms + 1 : ms + ms / 16;
        double longer = queue_longer(&wait, next / 1000.);
        uint64_t count = (uint64_t)(60 * rate * (before - longer));
        if (count > 0) sketch_add_bin(sketch, sketch_bin(ms), count);
        sketch->sum += count * ms;
        if (count > 0 && ms > sketch->max) sketch->max = ms;
        before = longer;
    }
}

/* A sample a second of each dyno. */
static void fill_busy(struct sketch *sketch, int64_t second) {
    int dynos = dynos_at(second);
    sketch_clear(sketch);
    for (int i = 0; i < 60 * dynos; i++)
        sketch_add(sketch, (uint32_t)(1000 * rate_at(second) * SERVICE_S / dynos));
}

static void put_chunk(struct store *store, int64_t series, const struct chunk *chunk) {
    struct chunk_stored stored;
    must(chunk_encode(chunk, &stored), "encoding a chunk");
    struct series_chunk row = {chunk->start_s, stored.points, stored.sketches, stored.points_length,
                               stored.sketches_length};
    must(series_put_chunk(store, 1, series, chunk->level, &row), "storing a chunk");
    free(stored.points);
}

static void fill_series(struct store *store, const char *signal, bool waits) {
    static struct queue queue;
    struct chunk *chunk = chunk_new();
    struct sketch sketch = {0};
    must(chunk && store_begin(store), "a transaction");
    int64_t series = series_number(store, 1, "web", signal);
    queue_begin(&queue, SLOTS, SERVICE_S, .8);
    chunk_clear(chunk, LEVEL_MINUTES, chunk_start(LEVEL_MINUTES, BEGIN_S));
    for (int64_t second = BEGIN_S; second < BEGIN_S + (int64_t)DAYS * DAY_S; second += 60) {
        if (chunk_start(LEVEL_MINUTES, second) != chunk->start_s) {
            put_chunk(store, series, chunk);
            chunk_clear(chunk, LEVEL_MINUTES, chunk_start(LEVEL_MINUTES, second));
        }
        if (waits) fill_sketch(&sketch, &queue, second);
        else fill_busy(&sketch, second);
        chunk_add(chunk, second, &sketch);
    }
    put_chunk(store, series, chunk);
    must(store_commit(store), "committing");
    chunk_free(chunk);
}

static void fill_situation(struct situation *now, int64_t second) {
    situation_clear(now);
    now->now = second;
    now->tick_s = now->report_s = 10;
    now->scaling = 1;
    now->started_age = second - BEGIN_S + DAY_S;
    now->ordered = now->up = now->dynos_heard = dynos_at(second);
    now->booting = 0;
    now->value_ms = 40 + (int64_t)(rate_at(second) / (double)now->ordered);
    now->samples = (int64_t)(60 * rate_at(second));
    now->heard_age = 1;
    now->formation_age = (second / 10 % 3) * 10 + 1;
    now->boot_s = 30;
    now->boot_mean_ms = 28000;
}

static void fill_ledger(struct store *store) {
    struct rule rule;
    struct ledger_tick tick = {.app = 1, .process = "web", .rules_version = 1};
    struct memory after;
    rule_defaults(&rule);
    rule.max = 20;
    memory_clear(&after);
    for (int64_t hour = BEGIN_S; hour < BEGIN_S + (int64_t)DAYS * DAY_S; hour += 3600) {
        must(store_begin(store), "a transaction");
        for (int64_t second = hour; second < hour + 3600; second += 10) {
            tick.memory = after;
            fill_situation(&tick.situation, second);
            decide(&tick.situation, &rule, &after, &tick.decision);
            must(ledger_add(store, &tick) && ledger_remember(store, &tick, &after),
                 "adding a tick");
        }
        must(store_commit(store), "committing");
        must(ledger_compact(store, hour + 3600, NULL), "packing");
    }
}

static struct store *fill(const char *folder) {
    char error[400];
    struct store *store = store_open(folder, STORE_CREATE, error, sizeof error);
    must(store != NULL, "opening the data");
    struct app app = {.name = "shop", .zone = "Europe/Berlin", .created_s = BEGIN_S};
    must(store_begin(store) && app_add(store, &app) &&
             rules_put(store, app.id, steps, "bench", BEGIN_S) > 0 && store_commit(store),
         "adding an app");
    fill_series(store, "wait", true);
    fill_series(store, "busy", false);
    fill_ledger(store);
    return store;
}

/* ---- The trials ------------------------------------------------------------------------------ */

static double cpu_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void try(struct store *store, const char *name, const char *rules, int days) {
    struct text body = TEXT_EMPTY;
    text_put(&body, "{\"rules\":");
    text_json(&body, rules);
    text_format(&body, ",\"days\":%d}", days);
    struct api_call call = {.store = store,
                            .now_s = BEGIN_S + (int64_t)DAYS * DAY_S,
                            .who = {.role = API_LOCAL},
                            .method = HTTP_POST,
                            .body = body.bytes,
                            .body_length = body.length};
    double before = cpu_s();
    api_run(&call, "/api/v1/apps/shop/processes/web/trial");
    api_work_here(&call);
    double after = cpu_s();
    if (call.status != 200) fprintf(stderr, "%s\n", call.answer.bytes);
    must(call.status == 200, "a trial");
    printf("%s\t%.4f\t0\ts\n", name, after - before);
    api_call_free(&call);
    text_free(&body);
}

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "usage: trials DIR ROUNDS\n");
        return 2;
    }
    struct store *store = fill(arguments[1]);
    for (int i = 0; i < atoi(arguments[2]); i++) {
        try(store, "30 days, steps beside steps", steps_tried, 30);
        try(store, "30 days, automatic beside steps", automatic, 30);
        try(store, "7 days, automatic beside steps", automatic, 7);
    }
    store_close(store);
    return 0;
}
