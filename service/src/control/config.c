/*
 * The configuration: apps, their rules, platforms, and orders by people. Read at the start and
 * whenever its version has changed. Everything else that is known of an app or a process stays.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strdup */
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "clock.h"
#include "control/state.h"
#include "log.h"
#include "store/addon.h"

/* ---- Processes ------------------------------------------------------------------------------ */

static struct process *process_new(struct app_state *app, const char *name) {
    struct process *process = calloc(1, sizeof *process);
    if (!process) return NULL;
    process->app = app;
    snprintf(process->name, sizeof process->name, "%s", name);
    memory_clear(&process->memory);
    process->orders.boost = -1;
    process->formation = platform_unknown;
    process->formation_ms = process->read_ms = -1;
    process->next_read_ms = 0;
    process->known = process->limit = -1;
    process->told_cents = -1;
    process->rule_number = -1;
    for (int i = 0; i < OUTSIDE; i++) process->outside_ms[i] = -1;
    return process;
}

struct process *process_find(const struct app_state *app, const char *name) {
    for (int i = 0; i < app->process_count; i++)
        if (strcmp(app->processes[i]->name, name) == 0) return app->processes[i];
    return NULL;
}

/* ---- Apps ----------------------------------------------------------------------------------- */

static int app_by_number(const void *number, const void *other) {
    int64_t id = *(const int64_t *)number, its = (*(struct app_state *const *)other)->id;
    return (id > its) - (id < its);
}

struct app_state *app_find(const struct control *control, int64_t id) {
    struct app_state **found = control->app_count == 0
                                   ? NULL
                                   : bsearch(&id, control->apps, (size_t)control->app_count,
                                             sizeof *control->apps, app_by_number);
    return found ? *found : NULL;
}

static void free_platform(struct app_state *app) {
    free(app->platform_kind);
    free(app->settings);
    free(app->sealed);
    app->platform_kind = app->settings = NULL;
    app->sealed = NULL;
    app->platform = NULL;
}

static void app_free(struct app_state *app) {
    for (int i = 0; i < app->process_count; i++) free(app->processes[i]);
    free(app->processes);
    free_platform(app);
    rule_free(app->rules);
    free(app);
}

static bool same_text(const char *one, const char *other) {
    return one == other || (one && other && strcmp(one, other) == 0);
}

/* After a platform was set: reads it at once, and tries again what failed before. */
static void platform_changed(struct app_state *app) {
    app->changes++;
    app->limited_ms = 0;
    for (int i = 0; i < app->process_count; i++) {
        struct process *process = app->processes[i];
        process->next_read_ms = 0;
        process->limit = -1;
        if (process->phase == PHASE_DUE) process->next_ms = 0;
    }
}

/* A refusal may be retried after the app was changed, or its platform set again. */
static void reconsider_refused(struct app_state *app) {
    for (int i = 0; i < app->process_count; i++) {
        struct process *process = app->processes[i];
        bool refused = process->phase == PHASE_ASK && process->act.state == ACT_REFUSED;
        if (refused) process->act.state = ACT_FAILED;
    }
}

static bool is_one_of(struct process *const *processes, int count, const struct process *process) {
    for (int i = 0; i < count; i++)
        if (processes[i] == process) return true;
    return false;
}

/* Finds the processes that the rules name, and makes new ones. False without memory. */
static bool find_processes(struct app_state *app, const struct rule_set *rules,
                           struct process **processes) {
    for (int i = 0; i < rules->process_count; i++) {
        const char *name = rules->processes[i].name;
        processes[i] = process_find(app, name);
        if (!processes[i]) processes[i] = process_new(app, name);
        if (processes[i]) continue;
        while (i-- > 0)
            if (!is_one_of(app->processes, app->process_count, processes[i])) free(processes[i]);
        return false;
    }
    return true;
}

/* Keeps the processes that the rules name; others go once no call for them is under way. Without
 * memory everything stays as it was. */
static bool match_processes(struct app_state *app, const struct rule_set *rules) {
    int count = rules->process_count;
    struct process **processes =
        calloc((size_t)(app->process_count + count + 1), sizeof(struct process *));
    if (!processes || !find_processes(app, rules, processes)) {
        free(processes);
        return false;
    }
    for (int i = 0; i < count; i++) processes[i]->rules = &rules->processes[i];
    for (int i = 0; i < app->process_count; i++) {
        struct process *process = app->processes[i];
        if (is_one_of(processes, rules->process_count, process)) continue;
        process->rules = NULL;
        if (app->busy) processes[count++] = process;
        else free(process);
    }
    free(app->processes);
    app->processes = processes;
    app->process_count = count;
    return true;
}

/* ---- What is found ----------------------------------------------------------------------------
 */

struct found_orders {
    char process[RULE_PROCESS_SIZE];
    struct process_orders orders;
};

/* The configuration of one app. */
struct found_app {
    struct app app;
    struct app_state *state; /* what is known of it already; NULL: it is new */
    int64_t rules_version, rules_s;
    char *rules; /* NULL: there are none, or they have not changed */
    char *kind, *settings;
    void *sealed;
    size_t sealed_length;
    int64_t times_set;
    int plan_dynos; /* -1: no limit */
    struct found_orders *orders;
    size_t order_count;
};

struct found {
    struct found_app *apps; /* in the order of their ids */
    size_t count, room;
    bool failed; /* without memory */
};

static void found_free(struct found *found) {
    for (size_t i = 0; i < found->count; i++) {
        struct found_app *one = &found->apps[i];
        free(one->rules);
        free(one->kind);
        free(one->settings);
        free(one->sealed);
        free(one->orders);
    }
    free(found->apps);
}

static bool note_app(void *context, const struct app *app) {
    struct found *found = context;
    void *array = array_grown(found->apps, &found->room, found->count + 1, sizeof *found->apps);
    found->failed = !array;
    if (!array) return false;
    found->apps = array;
    found->apps[found->count++] = (struct found_app){.app = *app, .plan_dynos = -1};
    return true;
}

static int by_id(const void *one, const void *other) {
    int64_t a = ((const struct found_app *)one)->app.id,
            b = ((const struct found_app *)other)->app.id;
    return (a > b) - (a < b);
}

static struct found_app *find_found(struct found *found, int64_t id) {
    struct found_app wanted = {.app.id = id};
    if (found->count == 0) return NULL;
    return bsearch(&wanted, found->apps, found->count, sizeof *found->apps, by_id);
}

static bool note_rules(void *context, int64_t app, int64_t version, int64_t at_s,
                       const char *text) {
    struct found *found = context;
    struct found_app *one = find_found(found, app);
    if (!one) return true;
    one->rules_version = version;
    one->rules_s = at_s;
    bool known = one->state && !one->state->rules_stale && one->state->rules_version == version &&
                 strcmp(one->state->zone, one->app.zone) == 0;
    if (!known) one->rules = strdup(text);
    found->failed = found->failed || (!known && !one->rules);
    return !found->failed;
}

static bool note_platform(void *context, int64_t app, const char *kind, const char *settings,
                          const void *sealed, size_t sealed_length, int64_t times_set) {
    struct found *found = context;
    struct found_app *one = find_found(found, app);
    if (!one) return true;
    one->kind = strdup(kind);
    one->settings = strdup(settings);
    one->sealed = sealed ? malloc(sealed_length + 1) : NULL;
    one->sealed_length = sealed_length;
    one->times_set = times_set;
    if (one->sealed) memcpy(one->sealed, sealed, sealed_length);
    found->failed = found->failed || !one->kind || !one->settings || (sealed && !one->sealed);
    return !found->failed;
}

static bool note_plan(void *context, int64_t app, int64_t dynos) {
    struct found_app *one = find_found(context, app);
    if (one) one->plan_dynos = (int)dynos;
    return true;
}

static bool note_orders(void *context, int64_t app, const char *process,
                        const struct process_orders *orders) {
    struct found *found = context;
    struct found_app *one = find_found(found, app);
    if (!one) return true;
    struct found_orders *all = realloc(one->orders, (one->order_count + 1) * sizeof *all);
    found->failed = found->failed || !all;
    if (!all) return false;
    one->orders = all;
    all += one->order_count++;
    snprintf(all->process, sizeof all->process, "%s", process);
    all->orders = *orders;
    return true;
}

/* One query per table instead of per app: thousands of queries would each take a round trip. */
static bool find_all(struct control *control, struct found *found) {
    struct store *store = control->store;
    if (!app_each(store, note_app, found) || found->failed) return false;
    if (found->count > 0) qsort(found->apps, found->count, sizeof *found->apps, by_id);
    for (size_t i = 0; i < found->count; i++)
        found->apps[i].state = app_find(control, found->apps[i].app.id);
    return rules_each_newest(store, note_rules, found) &&
           platform_each(store, note_platform, found) && addon_each_plan(store, note_plan, found) &&
           orders_each(store, note_orders, found) && !found->failed;
}

/* ---- What was found is in force -----------------------------------------------------------------
 */

/* If rules can't be read (none such are ever stored) the previous ones stay in force. False without
 * memory: they must then be read again. */
static bool take_rules(struct app_state *app, const struct found_app *found) {
    char error[256] = "";
    if (!found->rules) return true;
    struct rule_set *rules =
        rule_read(found->rules, strlen(found->rules), app->zone, error, sizeof error);
    if (rules && match_processes(app, rules)) {
        rule_free(app->rules);
        app->rules = rules;
        app->rules_version = found->rules_version;
        app->rules_s = found->rules_s;
        app->rules_stale = false;
        app->changes++;
        return true;
    }
    bool no_memory = rules || strcmp(error, rule_no_memory) == 0;
    rule_free(rules);
    app->rules_stale = no_memory;
    if (!no_memory)
        log_line(LOG_ERROR, "control", "%s: its rules of version %lld can't be read: %s", app->name,
                 (long long)found->rules_version, error);
    return !no_memory;
}

static void take_platform(struct app_state *app, struct found_app *found) {
    bool same = same_text(found->kind, app->platform_kind) &&
                same_text(found->settings, app->settings) && found->times_set == app->times_set &&
                found->sealed_length == app->sealed_length &&
                (found->sealed_length == 0 ||
                 memcmp(found->sealed, app->sealed, found->sealed_length) == 0);
    if (same) return;
    free_platform(app);
    app->platform = found->kind ? platform_find(found->kind) : NULL;
    app->platform_kind = found->kind;
    app->settings = found->settings;
    app->sealed = found->sealed;
    app->sealed_length = found->sealed_length;
    app->times_set = found->times_set;
    found->kind = found->settings = NULL;
    found->sealed = NULL;
    platform_changed(app);
}

static bool same_orders(const struct process_orders *one, const struct process_orders *other) {
    return one->paused == other->paused && one->paused_until_s == other->paused_until_s &&
           one->boost == other->boost && one->boost_until_s == other->boost_until_s &&
           strcmp(one->paused_by, other->paused_by) == 0 &&
           strcmp(one->boost_by, other->boost_by) == 0;
}

/* Notes when a person ended a pause, which decisions take into account. */
static void take_orders(struct process *process, const struct found_app *found) {
    struct process_orders orders = {.boost = -1};
    for (size_t i = 0; i < found->order_count; i++)
        if (strcmp(found->orders[i].process, process->name) == 0) orders = found->orders[i].orders;
    int64_t now_s = control_now_s();
    bool was = process->orders.paused &&
               (process->orders.paused_until_s == 0 || process->orders.paused_until_s > now_s);
    if (was && !orders.paused) process->person_s = now_s;
    if (!same_orders(&orders, &process->orders)) process->app->changes++;
    process->orders = orders;
}

/* Another time zone changes what the times in rules mean. */
static void name_app(struct app_state *state, const struct app *app) {
    snprintf(state->name, sizeof state->name, "%s", app->name);
    snprintf(state->zone, sizeof state->zone, "%s", app->zone);
    state->gone = false;
}

static bool take_app(struct app_state *app, struct found_app *found) {
    int64_t before = app->changes;
    name_app(app, &found->app);
    bool ok = take_rules(app, found);
    take_platform(app, found);
    if (found->plan_dynos != app->plan_dynos) app->changes++;
    app->plan_dynos = found->plan_dynos;
    for (int i = 0; i < app->process_count; i++) take_orders(app->processes[i], found);
    if (app->changes != before) reconsider_refused(app);
    return ok;
}

static struct app_state *app_new(struct control *control, const struct app *app) {
    struct app_state *state = calloc(1, sizeof *state);
    if (!state) return NULL;
    state->control = control;
    state->id = app->id;
    return state;
}

/* A removed app stays until its last call has returned. */
static void drop_app(struct control *control, struct app_state *app) {
    app->gone = true;
    if (app->busy) {
        control->apps[control->app_count++] = app;
        return;
    }
    live_forget_app(control->live, app->id);
    app_free(app);
}

/* Merges the known apps with those found, both ordered by id. Without memory new ones are left
 * out. */
static bool take_apps(struct control *control, struct found *found) {
    struct app_state **before = control->apps;
    int count = control->app_count, next = 0;
    struct app_state **apps = calloc((size_t)count + found->count + 1, sizeof *apps);
    if (!apps) return false;
    control->apps = apps;
    control->app_count = 0;
    bool ok = true;
    for (size_t i = 0; i < found->count; i++) {
        struct found_app *one = &found->apps[i];
        while (next < count && before[next]->id < one->app.id) drop_app(control, before[next++]);
        struct app_state *app = one->state ? before[next++] : app_new(control, &one->app);
        ok = ok && app;
        if (!app) continue;
        control->apps[control->app_count++] = app;
        ok = take_app(app, one) && ok;
    }
    while (next < count) drop_app(control, before[next++]);
    free(before);
    return ok;
}

bool config_read(struct control *control) {
    int64_t version = store_config_version(control->store);
    if (version < 0) return false;
    struct found found = {0};
    bool ok = find_all(control, &found) && take_apps(control, &found);
    found_free(&found);
    if (ok) control->config_version = version;
    return ok;
}

void config_free(struct control *control) {
    for (int i = 0; i < control->app_count; i++) app_free(control->apps[i]);
    free(control->apps);
    control->apps = NULL;
    control->app_count = 0;
}
