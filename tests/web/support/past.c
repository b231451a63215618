/*
 * A data folder with a past, for tests and screenshots of the pages: hours of simulated traffic,
 * decided, scaled and written down by the service's own code under a clock that runs as fast as
 * the machine can. The numbers are made up; that they agree with each other is not.
 *
 *     past FOLDER HOURS [MORE_APPS]
 *
 * Apps: shop-production (web, and worker with four queues), blog, and MORE_APPS small ones. Only an
 * empty folder is filled.
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "control/state.h"
#include "ingest/live.h"
#include "log.h"
#include "series/part.h"
#include "series/query.h"
#include "store/ledger.h"
#include "store/series.h"

enum { TICK_S = 10, MOST_APPS = 64, BOOT_S = 40, QUEUES = 4, THREADS = 5 };
enum { FOLD_S = 2 * 3600, MINUTES = 60 }; /* samples are folded so often */

/* ---- A clock of its own, in place of core/src/clock.c ---------------------------------------- */

static int64_t wall_s, end_s, passed_s = 1000;

int64_t ds_clock_wall_ns(void) { return wall_s * 1000000000; }
int64_t ds_clock_process_age_ms(void) { return -1; }
int64_t ds_clock_monotonic_ms(void) { return passed_s * 1000; }

static void pass(int seconds) {
    wall_s += seconds;
    passed_s += seconds;
}

/* ---- In less time -----------------------------------------------------------------------------
 */

/* A folder of tests need not outlive a power cut. */
int fdatasync(int file) { return file < 0; }
int fsync(int file) { return file < 0; }

/* ---- Random numbers, the same in each run ---------------------------------------------------- */

static uint64_t seed = 88172645463325252ULL;

static double chance(void) {
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (double)((seed * 0x2545F4914F6CDD1DULL) >> 11) / 9007199254740992.0;
}

/* ---- The apps -------------------------------------------------------------------------------- */

struct fleet {
    const char *process;
    int ordered, up;      /* as the platform has them */
    int64_t boot_until_s; /* when those ordered are up */
    double backlog_s;     /* of work that waits */
};

struct made_app {
    struct app app;
    double peak, dyno_rate; /* requests a second at the busiest hour; that one dyno answers */
    bool has_worker, silent;
    struct fleet web, worker;
    int64_t release_s;
};

static struct made_app apps[MOST_APPS];
static int app_count;
static struct store *store;
static struct live *live;
static int64_t receiver, part_number;

static void must(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "past: %s: %s\n", what, store ? store_error(store) : "");
    exit(1);
}

static struct fleet *fleet_of(const char *app, const char *process, struct made_app **owner) {
    for (int i = 0; i < app_count; i++) {
        if (strcmp(apps[i].app.name, app) != 0) continue;
        if (owner) *owner = &apps[i];
        return strcmp(process, "web") == 0 ? &apps[i].web : &apps[i].worker;
    }
    return NULL;
}

/* ---- The platform, in place of the one that runs a program ------------------------------------
 */

static bool check(const json_t *settings, const char *secret, char *error, size_t size) {
    (void)settings, (void)secret, (void)error, (void)size;
    return true;
}

static struct platform_answer read_fleet(const struct platform_app *app, const char *process,
                                         struct platform_formation *formation) {
    struct made_app *owner = NULL;
    const struct fleet *fleet = fleet_of(app->app, process, &owner);
    *formation = platform_unknown;
    formation->ordered = fleet->ordered;
    formation->up = fleet->up;
    formation->booting = fleet->ordered > fleet->up ? fleet->ordered - fleet->up : 0;
    formation->stopping = 0;
    formation->releasing = wall_s - owner->release_s < 30;
    formation->release_s = owner->release_s;
    return platform_ok();
}

static struct platform_answer set_fleet(const struct platform_app *app, const char *process,
                                        int dynos, const char *reason) {
    (void)reason;
    struct fleet *fleet = fleet_of(app->app, process, NULL);
    if (dynos > fleet->ordered) fleet->boot_until_s = wall_s + BOOT_S;
    fleet->ordered = dynos;
    if (fleet->up > dynos) fleet->up = dynos;
    return platform_ok();
}

extern const struct platform platform_command;
const struct platform platform_command = {.kind = "command",
                                          .local_only = true,
                                          .read_every_s = 10,
                                          .check = check,
                                          .read = read_fleet,
                                          .set = set_fleet};

/* ---- Traffic ----------------------------------------------------------------------------------
 */

/* Counted from the end, so that the last four hours have scalings far apart from each other,
 * whatever the hour at which the past ends and the rule that counts then. */
static bool in_burst(void) {
    int64_t left_s = end_s - wall_s;
    return left_s < 4 * 3600 ? left_s % 6300 >= 300 && left_s % 6300 < 1200 : left_s % 20000 < 900;
}

/* Of the hour of the day in the app's own time (that of Berlin in winter is near enough), the day
 * of the week, and of bursts. */
static double demand(const struct made_app *made) {
    double hour = fmod((double)(wall_s + 3600) / 3600.0, 24.0);
    int day = (int)((wall_s + 3600) / 86400 % 7); /* 0: a Thursday */
    double daily =
        0.18 + 0.82 * exp(-pow((hour - 13.5) / 4.6, 2)) + 0.35 * exp(-pow((hour - 20.0) / 1.6, 2));
    double wave = 1.0 + 0.09 * sin((double)wall_s / 731.0) + 0.06 * sin((double)wall_s / 197.0);
    return made->peak *
           (daily * wave * (day == 2 || day == 3 ? 0.55 : 1.0) + (in_burst() ? 0.55 : 0));
}

static void put(struct made_app *made, const char *source, const char *signal, struct part *part) {
    static struct tally *tally;
    if (!tally) tally = tally_new();
    int64_t series = series_number(store, made->app.id, source, signal);
    must(series > 0 && tally && part_store(part, tally), "a series");
    must(series_add_part(store, made->app.id, series, part->start_s, receiver << 24 | part_number++,
                         part->stored, part->stored_length),
         "a part");
    live_add(live, made->app.id, source, signal, part);
}

static void hear(struct made_app *made, const struct fleet *fleet) {
    for (int i = 1; i <= fleet->up; i++) {
        char dyno[96];
        snprintf(dyno, sizeof dyno, "%s.%d", fleet->process, i);
        live_heard(live, made->app.id, dyno, wall_s);
        if (wall_s % 30) continue;
        uint8_t key[SERIES_KEY_SIZE];
        for (size_t k = 0; k < sizeof key; k++) key[k] = (uint8_t)(chance() * 256);
        int64_t noted = series_add_report(store, made->app.id, key, wall_s, dyno, 0);
        must(series_report_added(store, noted) == REPORT_ADDED, "a report");
    }
}

/* Ten seconds of queue times of one source: `rate` samples a second that wait `ms` on average. */
static void samples(struct made_app *made, const char *source, double rate, double ms) {
    struct part part = PART_EMPTY(part_start(wall_s));
    for (int second = 0; second < PART_SECONDS; second++) {
        int count = (int)rate + (chance() < rate - floor(rate));
        for (int i = 0; i < count; i++)
            part_add(&part, second, (uint32_t)(-ms * log(1.0 - 0.999 * chance())));
    }
    if (part.length) put(made, source, "wait", &part);
    part_free(&part);
}

/* The part of its time for which a fleet that answers `rate` of `room` a second works. */
static double share_of(double rate, double room) { return fmin(1.0, rate / room * 0.8); }

/* What agents tell beside queue times: how long the threads of each second worked, and with each
 * report, of which 8 come in 70 seconds, how many there are. */
static void threads(struct made_app *made, double rate) {
    double room = made->dyno_rate * (made->web.up > 0 ? made->web.up : 0.2);
    double share = share_of(rate, room);
    struct part busy = PART_EMPTY(part_start(wall_s)), slots = PART_EMPTY(part_start(wall_s));
    for (int dyno = 0; dyno < made->web.up; dyno++) {
        for (int second = 0; second < PART_SECONDS; second++)
            part_add(&busy, second,
                     (uint32_t)(1000 * THREADS * fmin(1.0, share * (0.85 + 0.3 * chance()))));
        for (int report = 0; report < 1 + (chance() < 1.0 / 7); report++)
            part_add(&slots, 0, THREADS);
    }
    if (busy.length) put(made, "web", "busy", &busy);
    if (slots.length) put(made, "web", "slots", &slots);
    part_free(&busy);
    part_free(&slots);
}

static void read_as(struct made_app *made, const char *queue, const char *signal, double value) {
    struct part part = PART_EMPTY(part_start(wall_s));
    part_add(&part, 0, (uint32_t)value);
    put(made, queue, signal, &part);
    part_free(&part);
}

/* A reading of a job queue: how long its oldest job has waited, ready jobs, jobs being worked on.
 */
static void reading(struct made_app *made, const char *queue, double ms, double working) {
    double ready = floor(ms / 90);
    read_as(made, queue, "wait", ready > 0 ? ms * (0.7 + 0.6 * chance()) : 0);
    read_as(made, queue, "depth", ready);
    read_as(made, queue, "working", working);
}

/* A dyno answers so many a second; what is more waits, and is worked off later. */
static double wait_of(struct fleet *fleet, double work, double dyno_rate) {
    double room = dyno_rate * (fleet->up > 0 ? fleet->up : 0.2), load = work / room;
    fleet->backlog_s += (load - 0.97) * TICK_S;
    if (fleet->backlog_s < 0) fleet->backlog_s = 0;
    if (fleet->backlog_s > 30) fleet->backlog_s = 30;
    return 2.2 / pow(1.05 - fmin(load, 0.97), 1.3) + fleet->backlog_s * 60.0;
}

static void web(struct made_app *made) {
    double rate = demand(made);
    samples(made, "web", rate, wait_of(&made->web, rate, made->dyno_rate));
    if (made->has_worker) threads(made, rate);
    hear(made, &made->web);
}

static void worker(struct made_app *made) {
    static const char *const names[QUEUES] = {"sidekiq:default", "sidekiq:mailers",
                                              "sidekiq:reports", "sidekiq:low"};
    static const double share[QUEUES] = {1.0, 0.6, 2.5, 6.0};
    double work = demand(made) * 0.5 * (wall_s % 3600 < 420 ? 2.2 : 1.0);
    double ms = 20.0 * wait_of(&made->worker, work, made->dyno_rate);
    for (int i = 0; i < QUEUES; i++)
        reading(made, names[i], ms * share[i],
                fmin(5.0 * made->worker.up, 1 + ms * share[i] / 120));
    hear(made, &made->worker);
}

static void boot(struct fleet *fleet) {
    if (fleet->up < fleet->ordered && wall_s >= fleet->boot_until_s) fleet->up = fleet->ordered;
}

/* ---- What people did ----------------------------------------------------------------------------
 */

static void set_rules(struct made_app *made, const char *who, const char *text,
                      const char *difference) {
    char what[160];
    must(store_begin(store) && rules_put(store, made->app.id, text, who, wall_s) > 0, "rules");
    snprintf(what, sizeof what, "changed the rules of %s", made->app.name);
    must(audit_add(store, wall_s, who, made->app.id, what, difference), "audit");
    must(store_touch_config(store) && store_commit(store), "rules");
}

static void pause_down(struct made_app *made, const char *who, int seconds) {
    struct process_orders orders = {.paused = 1, .paused_until_s = wall_s + seconds, .boost = -1};
    char what[160];
    snprintf(orders.paused_by, sizeof orders.paused_by, "%s", who);
    snprintf(what, sizeof what, "paused scaling down of web of %s", made->app.name);
    must(store_begin(store) && orders_put(store, made->app.id, "web", &orders), "a pause");
    must(audit_add(store, wall_s, who, made->app.id, what, ""), "audit");
    must(store_touch_config(store) && store_commit(store), "a pause");
}

static const char *const shop_rules[] = {
    "zone: Europe/Berlin\n"
    "processes:\n"
    "  web:\n"
    "    scaling: on\n"
    "    rules:\n"
    "      - name: working hours\n"
    "        days: [mon, tue, wed, thu, fri]\n"
    "        from: \"08:00\"\n"
    "        to: \"19:00\"\n"
    "        dynos: {min: 2, max: 6}\n"
    "        up: {threshold_ms: 100, step: 1, wait: 60}\n"
    "        down: {threshold_ms: 20, step: 1, wait: 300}\n"
    "      - name: default\n"
    "        dynos: {min: 1, max: 4}\n"
    "        down: {threshold_ms: 20, step: 1, wait: 300}\n"
    "  worker:\n"
    "    scaling: on\n"
    "    rules:\n"
    "      - name: default\n"
    "        dynos: {min: 1, max: 4}\n"
    "        up: {threshold_ms: 5000, step: 1, wait: 60}\n"
    "        down: {threshold_ms: 1000, step: 1, wait: 300}\n"
    "        queues: [\"sidekiq:default\", \"sidekiq:mailers\"]\n",
    "zone: Europe/Berlin\n"
    "processes:\n"
    "  web:\n"
    "    scaling: on\n"
    "    rules:\n"
    "      - name: campaign\n"
    "        days: [tue, sun]\n"
    "        from: \"18:00\"\n"
    "        to: \"22:00\"\n"
    "        dynos: {min: 3, max: 8}\n"
    "        down: {threshold_ms: 20, step: 1, wait: 300}\n"
    "      - name: working hours\n"
    "        days: [mon, tue, wed, thu, fri]\n"
    "        from: \"08:00\"\n"
    "        to: \"19:00\"\n"
    "        dynos: {min: 2, max: 8}\n"
    "        up: {threshold_ms: 100, step: 1, wait: 60}\n"
    "        down: {threshold_ms: 20, step: 1, wait: 300}\n"
    "      - name: default\n"
    "        dynos: {min: 1, max: 4}\n"
    "        down: {threshold_ms: 20, step: 1, wait: 300}\n"
    "  worker:\n"
    "    scaling: on\n"
    "    rules:\n"
    "      - name: default\n"
    "        dynos: {min: 1, max: 4}\n"
    "        up: {threshold_ms: 5000, step: 1, wait: 60}\n"
    "        down: {threshold_ms: 1000, step: 1, wait: 300}\n"
    "        queues: [\"sidekiq:default\", \"sidekiq:mailers\"]\n"};

/* By the seconds that are left: so that each stands at the same place in any length of past. */
static void events(int64_t left_s) {
    struct made_app *shop = &apps[0];
    if (left_s == 9 * 3600)
        set_rules(shop, "anna", shop_rules[1],
                  "web, rule working hours: maximum 6 → 8\nweb, rule campaign: added at place 1");
    if (left_s == 5 * 3600) pause_down(shop, "ben", 3600);
    if (left_s % 86400 == 7 * 3600 || left_s % 86400 == 3 * 3600) shop->release_s = wall_s;
    if (left_s == 2 * 3600) shop->web.ordered = shop->web.up = shop->web.ordered == 6 ? 5 : 6;
    if (left_s <= 1200) apps[app_count - 1].silent = true; /* one went silent */
}

/* ---- What is old ---------------------------------------------------------------------------- */

/* Folds and packs as the service's own thread does, which a stopped control has not. The last hours
 * minute by minute, so that what a service begins with is as it would have left it; those before
 * all two hours, since each folding writes the chunk of a day anew. */
static void fold(void) {
    bool near = end_s - wall_s <= FOLD_S;
    if (wall_s % (near ? 60 : FOLD_S)) return;
    /* The newest first: it folds what it finds, and those before have the turns of the others. */
    for (int minute = 0; minute < (near ? 1 : MINUTES); minute++)
        must(series_compact(store, wall_s - minute * 60, NULL), "folding");
    must(ledger_compact(store, wall_s, NULL), "packing");
}

/* ---- One step ------------------------------------------------------------------------------- */

static void step(struct control *control) {
    must(store_begin(store), "the reports");
    for (int i = 0; i < app_count; i++) {
        boot(&apps[i].web);
        boot(&apps[i].worker);
        if (apps[i].silent) continue;
        web(&apps[i]);
        if (apps[i].has_worker) worker(&apps[i]);
    }
    must(store_commit(store), "the reports");
    fold();
    pass(TICK_S);
    for (int i = 0; i < 3; i++) {
        control_step(control);
        control_wait_for_calls(control);
    }
}

static struct made_app *add(const char *name, double peak, int dynos, const char *folder,
                            const char *rules) {
    struct made_app *made = &apps[app_count++];
    char settings[512];
    *made = (struct made_app){.peak = peak,
                              .dyno_rate = 14,
                              .web = {.process = "web", .ordered = dynos, .up = dynos},
                              .worker = {.process = "worker", .ordered = 1, .up = 1}};
    made->app.created_s = wall_s;
    snprintf(made->app.name, sizeof made->app.name, "%s", name);
    snprintf(made->app.zone, sizeof made->app.zone, "Europe/Berlin");
    snprintf(settings, sizeof settings, "{\"command\":[\"./scale\",\"%s\"],\"directory\":\"%s\"}",
             name, folder);
    must(store_begin(store) && app_add(store, &made->app), name);
    must(platform_put(store, made->app.id, "command", settings, NULL, 0), name);
    must(store_commit(store), name);
    set_rules(made, "anna", rules, "web: added, with 1 rule");
    return made;
}

/* What runs at the end, for the program that the service calls as the platform. */
static void leave_platform(const char *folder) {
    char path[600];
    snprintf(path, sizeof path, "%s/scale", folder);
    FILE *file = fopen(path, "w");
    must(file != NULL, path);
    fputs("#!/bin/sh\n# scale APP read PROCESS | set PROCESS DYNOS\n"
          "if [ \"$2\" = set ]; then echo \"$4\" >\"runs-$1-$3\"; else cat \"runs-$1-$3\"; fi\n",
          file);
    fchmod(fileno(file), 0700);
    fclose(file);
    for (int i = 0; i < app_count; i++) {
        const struct fleet *fleets[] = {&apps[i].web, &apps[i].worker};
        for (int j = 0; j < 2; j++) {
            snprintf(path, sizeof path, "%s/runs-%s-%s", folder, apps[i].app.name,
                     fleets[j]->process);
            file = fopen(path, "w");
            must(file != NULL, path);
            fprintf(file, "%d\n", fleets[j]->ordered);
            fclose(file);
        }
    }
}

int main(int argc, char **argv) {
    char error[512] = "";
    int hours = argc > 2 ? atoi(argv[2]) : 0, more = argc > 3 ? atoi(argv[3]) : 0;
    if (argc < 3 || hours < 1 || hours > 30 * 24 || more < 0 || more > MOST_APPS - 3) {
        fprintf(stderr, "past FOLDER HOURS [MORE_APPS]\n");
        return 2;
    }
    const char *folder = argv[1];
    log_set_level(LOG_WARN);
    end_s = (int64_t)time(NULL) / TICK_S * TICK_S;
    wall_s = end_s - (int64_t)hours * 3600;
    store = store_open(folder, STORE_CREATE, error, sizeof error);
    live = live_new();
    if (!store || !live) {
        fprintf(stderr, "past: %s\n", error);
        return 1;
    }
    receiver = series_receiver(store);
    add("shop-production", 62, 2, folder, shop_rules[0])->has_worker = true;
    add("blog", 6, 1, folder,
        "processes: {web: {scaling: off, rules: [{name: default, dynos: {min: 1, max: 2}}]}}");
    for (int i = 0; i < more; i++) {
        char name[APP_NAME_SIZE];
        snprintf(name, sizeof name, "%s-%d", i % 3 ? i % 3 == 1 ? "api" : "admin" : "store", i + 1);
        add(name, 4 + i % 5 * 6, 1, folder,
            i == 1 ? "processes: {web: {rules: [{name: default, dynos: {min: 1, max: 30}}]}}"
                   : "processes: {web: {rules: [{name: default, dynos: {min: 1, max: 3}}]}}");
    }
    const struct keeper_settings at = {.folder = folder};
    struct keeper *keeper = keeper_here(&at, error, sizeof error);
    const struct control_settings settings = {.folder = folder,
                                              .keeper = keeper,
                                              .tick_s = TICK_S,
                                              .act_threads = 1,
                                              .act_timeout_s = 60,
                                              .report_s = 10};
    struct control *control =
        keeper ? control_new_stopped(live, &settings, error, sizeof error) : NULL;
    if (!control) {
        fprintf(stderr, "past: %s\n", error);
        return 1;
    }
    while (wall_s < end_s) {
        events(end_s - wall_s);
        step(control);
    }
    leave_platform(folder);
    control_free(control);
    keeper_free(keeper);
    live_free(live);
    store_close(store);
    return 0;
}
