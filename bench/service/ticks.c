/*
 * What a tick costs: processes of many apps, each with a minute of busy web traffic live, decided
 * for and written to a store on disk. No platform is called.
 *
 *     ticks FOLDER [TICKS]
 *
 * Prints a line for each number of processes: microseconds of CPU a tick, of that a process, and
 * the share of a CPU at a tick each ten seconds.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "control/state.h"
#include "ingest/live.h"
#include "series/part.h"

enum { SAMPLES_A_SECOND = 50, SECONDS = 60 };

static const char rules[] = "processes: {web: {rules: [{name: default, dynos: {min: 1, max: 5}}]},"
                            " worker: {rules: [{name: default, dynos: {min: 1, max: 5}}]}}";

static void fail(const char *what) {
    fprintf(stderr, "ticks: %s\n", what);
    exit(1);
}

static int64_t cpu_us(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

static void add_apps(struct store *store, int from, int to, int64_t now_s) {
    bool ok = store_begin(store);
    for (int i = from; i < to && ok; i++) {
        struct app app = {.zone = "Europe/Berlin", .created_s = now_s};
        snprintf(app.name, sizeof app.name, "app-%d", i);
        ok = app_add(store, &app) && rules_put(store, app.id, rules, "bench", now_s) > 0;
    }
    if (!ok || !store_touch_config(store) || !store_commit(store)) fail(store_error(store));
}

/* Waits around a quarter of a second, and jobs. */
static void add_traffic(struct live *live, const struct control *control, int64_t now_s) {
    static const char *const sources[] = {"web", "sidekiq:default", "sidekiq:mailers"};
    for (int i = 0; i < control->app_count; i++) {
        int64_t app = control->apps[i]->id;
        for (size_t s = 0; s < sizeof sources / sizeof *sources; s++) {
            struct part part = PART_EMPTY(part_start(now_s - 1));
            for (int n = 0; n < SAMPLES_A_SECOND; n++)
                part_add(&part, (int)(now_s - 1 - part.start_s), (uint32_t)(n * 37 % 500));
            live_add(live, app, sources[s], "wait", &part);
            part_free(&part);
        }
        live_heard(live, app, "web.1", now_s);
    }
}

static void measure(struct control *control, struct live *live, int ticks, int64_t *now_s) {
    int64_t used = 0;
    int processes = 0;
    for (int i = 0; i < control->app_count; i++) processes += control->apps[i]->process_count;
    for (int i = 0; i < SECONDS; i++) add_traffic(live, control, ++*now_s);
    for (int i = 0; i < ticks; i++) {
        for (int second = 0; second < 10; second++) add_traffic(live, control, ++*now_s);
        int64_t before = cpu_us();
        tick_all(control, *now_s);
        used += cpu_us() - before;
    }
    double each = (double)used / ticks;
    printf("%d %.0f %.2f %.4f\n", processes, each, each / processes, each / 1e7 * 100);
    fflush(stdout);
}

int main(int count, char **arguments) {
    static const int apps[] = {25, 50, 100, 200, 500};
    char error[512];
    if (count < 2) fail("usage: ticks FOLDER [TICKS]");
    int ticks = count > 2 ? atoi(arguments[2]) : 30, have = 0;
    struct store *store = store_open(arguments[1], STORE_CREATE, error, sizeof error);
    struct live *live = live_new();
    if (!store || !live) fail(error);
    const struct control_settings settings = {.folder = arguments[1]};
    struct control *control = control_new_stopped(live, &settings, error, sizeof error);
    if (!control) fail(error);
    int64_t now_s = control_now_s();
    puts("processes us_a_tick us_a_process percent_of_a_cpu");
    for (size_t i = 0; i < sizeof apps / sizeof *apps; i++) {
        add_apps(store, have, apps[i], now_s);
        have = apps[i];
        if (!config_read(control)) fail(store_error(store));
        measure(control, live, ticks, &now_s);
    }
    control_free(control);
    live_free(live);
    store_close(store);
    return 0;
}
