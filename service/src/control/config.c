/*
 * What is set: apps, their rules, platforms and orders by people. Read at the start and whenever
 * the config's version has changed; what is known of an app and a process beside that stays.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strdup */
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "control/state.h"
#include "log.h"
#include "store/addon.h"

static const int64_t REFUSED_LEAST_MS = 5000; /* between two tries of what was refused */

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

static struct process *find_process(const struct app_state *app, const char *name) {
    for (int i = 0; i < app->process_count; i++)
        if (strcmp(app->processes[i]->name, name) == 0) return app->processes[i];
    return NULL;
}

/* What it was the tick before this service started: boot time, rule, known dynos. */
static bool load_last_tick(struct control *control, struct process *process, int64_t *last_tick_s) {
    struct ledger_tick last;
    int64_t now_s = control_now_s();
    if (!ledger_last(control->store, process->app->id, process->name, INT64_MAX, &last))
        return !*store_error(control->store);
    const struct situation *then = &last.situation;
    *last_tick_s = then->now;
    process->known = (int)then->ordered;
    process->rules_version = last.rules_version;
    process->rule_number = last.rule_number;
    process->rule_since_s = then->now - (then->rule_age > 0 ? then->rule_age : 0);
    if (then->boot_s >= 0) process->boots_s[process->boot_count++] = then->boot_s;
    if (then->person_age >= 0) process->person_s = then->now - then->person_age;
    int64_t since_s = now_s > then->now ? now_s - then->now : 0;
    if (then->outside_age >= 0)
        process->outside_ms[0] = ds_clock_monotonic_ms() - (since_s + then->outside_age) * 1000;
    return true;
}

/* An order that was done after the last tick is what runs now, and may not show yet. */
static void load_done(struct process *process, int64_t last_tick_s) {
    const struct act *act = &process->act;
    if (act->state != ACT_DONE || act->ended_s < last_tick_s - SETTLE_LEAST_MS / 1000) return;
    if (act->ended_s >= last_tick_s) process->known = act->to;
    if (process->known != act->to) return;
    process->phase = PHASE_SETTLING;
    process->next_ms = ds_clock_monotonic_ms() + SETTLE_LEAST_MS;
}

/* An order that had not ended: whether the platform took it is asked before anything else. */
static bool load_act(struct control *control, struct process *process, int64_t last_tick_s) {
    if (!act_last(control->store, process->app->id, process->name, &process->act))
        return !*store_error(control->store);
    int64_t age_s = control_now_s() - process->act.ordered_s;
    process->act_ms = ds_clock_monotonic_ms() - (age_s > 0 ? age_s : 0) * 1000;
    if (process->act.ended_s) load_done(process, last_tick_s);
    if (process->act.ended_s) return true;
    process->phase = PHASE_CHECK;
    lease_note_open(control, process);
    process->known = process->act.from;
    return true;
}

bool process_load(struct control *control, struct process *process) {
    bool had_memory =
        ledger_memory(control->store, process->app->id, process->name, &process->memory);
    if (!had_memory && *store_error(control->store)) return false;
    process->boot_count = 0;
    process->phase = PHASE_NONE;
    int64_t last_tick_s = 0;
    process->loaded =
        load_last_tick(control, process, &last_tick_s) && load_act(control, process, last_tick_s);
    return process->loaded;
}

/* Notes when a person ended a pause, which decisions go by. */
static bool take_orders(struct control *control, struct process *process) {
    struct process_orders orders;
    if (!orders_get(control->store, process->app->id, process->name, &orders)) return false;
    int64_t now_s = control_now_s();
    bool was = process->orders.paused &&
               (process->orders.paused_until_s == 0 || process->orders.paused_until_s > now_s);
    if (was && !orders.paused) process->person_s = now_s;
    process->orders = orders;
    return true;
}

/* ---- Apps ----------------------------------------------------------------------------------- */

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

/* A platform that was set anew is read at once, and what failed before is tried again. */
static void platform_changed(struct app_state *app) {
    for (int i = 0; i < app->process_count; i++) {
        struct process *process = app->processes[i];
        process->next_read_ms = 0;
        process->limit = -1;
        if (process->phase == PHASE_DUE) process->next_ms = 0;
    }
}

/* What was refused may be tried again once a person did something, if only set the same anew. */
static void reconsider_refused(struct app_state *app) {
    for (int i = 0; i < app->process_count; i++) {
        struct process *process = app->processes[i];
        bool refused = process->phase == PHASE_ASK && process->act.state == ACT_REFUSED;
        if (refused && ds_clock_monotonic_ms() - process->act_ms >= REFUSED_LEAST_MS)
            process->act.state = ACT_FAILED;
    }
}

static bool read_platform(struct control *control, struct app_state *app) {
    char *kind, *settings;
    void *sealed;
    size_t length;
    if (!platform_get(control->store, app->id, &kind, &settings, &sealed, &length) &&
        *store_error(control->store))
        return false;
    bool same = same_text(kind, app->platform_kind) && same_text(settings, app->settings) &&
                length == app->sealed_length &&
                (length == 0 || memcmp(sealed, app->sealed, length) == 0);
    if (same) {
        free(kind);
        free(settings);
        free(sealed);
        return true;
    }
    free_platform(app);
    app->platform = kind ? platform_find(kind) : NULL;
    app->platform_kind = kind;
    app->settings = settings;
    app->sealed = sealed;
    app->sealed_length = length;
    platform_changed(app);
    return true;
}

static bool note_time(void *context, int64_t version, int64_t at_s, const char *who,
                      const char *text) {
    (void)version, (void)who, (void)text;
    *(int64_t *)context = at_s;
    return false;
}

/* Processes of the rules are there; others go once nothing is under way for them. */
static bool match_processes(struct app_state *app) {
    int wanted = app->rules ? app->rules->process_count : 0;
    struct process **processes =
        calloc((size_t)(app->process_count + wanted + 1), sizeof(struct process *));
    if (!processes) return false;
    int count = 0;
    for (int i = 0; i < wanted; i++) {
        const struct rule_process *rules = &app->rules->processes[i];
        struct process *process = find_process(app, rules->name);
        if (!process) process = process_new(app, rules->name);
        if (!process) break;
        process->rules = rules;
        processes[count++] = process;
    }
    for (int i = 0; i < app->process_count; i++) {
        struct process *process = app->processes[i];
        bool kept = false;
        for (int j = 0; j < count; j++) kept = kept || processes[j] == process;
        if (kept) continue;
        process->rules = NULL;
        if (app->busy) processes[count++] = process;
        else free(process);
    }
    free(app->processes);
    app->processes = processes;
    app->process_count = count;
    return true;
}

/* Rules that can't be read, which nothing stores, leave those before in force. */
static bool read_rules(struct control *control, struct app_state *app) {
    int64_t version = 0;
    char error[256] = "", *text = rules_get(control->store, app->id, 0, &version);
    if (!text && *store_error(control->store)) return false;
    if (text && version != app->rules_version) {
        struct rule_set *rules = rule_read(text, strlen(text), app->zone, error, sizeof error);
        if (rules) {
            struct rule_set *before = app->rules;
            app->rules = rules;
            app->rules_version = version;
            rules_each(control->store, app->id, note_time, &app->rules_s);
            if (!match_processes(app))
                log_line(LOG_ERROR, "control", "%s: no memory for its processes", app->name);
            rule_free(before);
        } else {
            log_line(LOG_ERROR, "control", "%s: its rules of version %lld can't be read: %s",
                     app->name, (long long)version, error);
        }
    }
    free(text);
    return true;
}

static bool read_app(struct control *control, struct app_state *app) {
    struct addon_resource resource;
    bool ok = read_rules(control, app) && read_platform(control, app);
    bool bought = addon_of_app(control->store, app->id, &resource) && resource.dynos > 0;
    app->plan_dynos = bought ? (int)resource.dynos : -1;
    for (int i = 0; i < app->process_count && ok; i++) ok = take_orders(control, app->processes[i]);
    reconsider_refused(app);
    return ok;
}

/* ---- All of it ------------------------------------------------------------------------------ */

struct found {
    struct app *apps;
    size_t count, room;
    bool failed;
};

static bool note_app(void *context, const struct app *app) {
    struct found *found = context;
    if (found->count == found->room) {
        size_t room = found->room ? found->room * 2 : 32;
        struct app *apps = realloc(found->apps, room * sizeof *apps);
        found->failed = !apps;
        if (!apps) return false;
        found->apps = apps;
        found->room = room;
    }
    found->apps[found->count++] = *app;
    return true;
}

static struct app_state *app_new(struct control *control, const struct app *app) {
    struct app_state *state = calloc(1, sizeof *state);
    if (!state) return NULL;
    state->control = control;
    state->id = app->id;
    return state;
}

/* A changed zone changes what the rules' times mean. */
static void name_app(struct app_state *state, const struct app *app) {
    if (strcmp(state->zone, app->zone) != 0) state->rules_version = 0;
    snprintf(state->name, sizeof state->name, "%s", app->name);
    snprintf(state->zone, sizeof state->zone, "%s", app->zone);
    state->gone = false;
}

static int by_id(const void *one, const void *other) {
    int64_t a = ((const struct app *)one)->id, b = ((const struct app *)other)->id;
    return (a > b) - (a < b);
}

/* One that was removed stays until what is under way for it has ended. */
static void drop_app(struct control *control, struct app_state *app) {
    app->gone = true;
    if (app->busy) {
        control->apps[control->app_count++] = app;
        return;
    }
    live_forget_app(control->live, app->id);
    app_free(app);
}

/* Whether an app could be taken that was there before (`app`) or is new (NULL). */
static bool take_app(struct control *control, const struct app *found, struct app_state *app) {
    if (!app) app = app_new(control, found);
    if (!app) return false;
    control->apps[control->app_count++] = app;
    name_app(app, found);
    return read_app(control, app);
}

/* Merges what is there with what was found, both by their ids. Where one can't be taken, the rest
 * of those before stay as they were. */
static bool take_apps(struct control *control, const struct found *found) {
    struct app_state **before = control->apps;
    int count = control->app_count, next = 0;
    struct app_state **apps = calloc((size_t)count + found->count + 1, sizeof *apps);
    if (!apps) return false;
    control->apps = apps;
    control->app_count = 0;
    bool ok = true;
    for (size_t i = 0; i < found->count && ok; i++) {
        int64_t id = found->apps[i].id;
        while (next < count && before[next]->id < id) drop_app(control, before[next++]);
        bool there = next < count && before[next]->id == id;
        ok = take_app(control, &found->apps[i], there ? before[next++] : NULL);
    }
    for (; next < count; next++) {
        if (ok) drop_app(control, before[next]);
        else control->apps[control->app_count++] = before[next];
    }
    free(before);
    return ok;
}

bool config_read(struct control *control) {
    int64_t version = store_config_version(control->store);
    if (version < 0) return false;
    struct found found = {0};
    bool ok = app_each(control->store, note_app, &found) && !found.failed;
    if (ok && found.count > 0) qsort(found.apps, found.count, sizeof *found.apps, by_id);
    ok = ok && take_apps(control, &found);
    free(found.apps);
    if (ok) control->config_version = version;
    return ok;
}

void config_free(struct control *control) {
    for (int i = 0; i < control->app_count; i++) app_free(control->apps[i]);
    free(control->apps);
    control->apps = NULL;
    control->app_count = 0;
}
