/* The thread that decides: when it wakes up, and what it then does. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strdup, pthread_setname_np */
#endif
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "control/state.h"
#include "log.h"
#include "random.h"

enum {
    LATE_S = 3,            /* a tick that begins later than this is counted as late */
    JUMP_MS = 2000,        /* between the two clocks: the wall clock was set */
    LEAST_PAUSE_MS = 100,  /* before trying again to begin calls that found no room */
    MOST_PAUSE_MS = 10000, /* the longest pause before checking again */
    SHARED_PAUSE_MS = 1000,
    CLOCKS_MS = 30000,
    MOST_CALLS = 100000,
};

int64_t control_now_s(void) { return store_wall_ns() / 1000000000; }

/* xorshift64*: good enough for jitter. */
int64_t control_jitter(struct control *control, int64_t below) {
    uint64_t x = control->random;
    x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
    control->random = x;
    return below > 0 ? (int64_t)((x * 0x2545F4914F6CDD1Du >> 33) % (uint64_t)below) : 0;
}

/* ---- What comes in -------------------------------------------------------------------------- */

/* If the call renewed the app's credential, the app has the new one from now on, unless it was set
 * again in the meantime. */
static void take_renewed(struct app_state *app, struct call *call) {
    bool same = app->sealed && call->renewed && app->sealed_length == call->sealed_length &&
                memcmp(app->sealed, call->sealed, call->sealed_length) == 0;
    if (!same) return;
    free(app->sealed);
    app->sealed = call->renewed;
    app->sealed_length = call->renewed_length;
    call->renewed = NULL;
}

static void take_call(struct control *control, struct call *call) {
    call->app->busy = false;
    call->app->slow = call->slow;
    take_renewed(call->app, call);
    if (call->verb == CALL_READ) act_read(control, call->process, call);
    else if (call->answer.lost) lease_hold_app(control, call->app);
    for (struct call *one = call; one && one->verb == CALL_SET; one = one->also)
        act_called(control, one->process, one);
    act_begin_one(control, call->app);
    call_free(call);
}

static void take_inbox(struct control *control) {
    pthread_mutex_lock(&control->lock_inbox);
    struct call *call = control->inbox;
    control->inbox = NULL;
    pthread_mutex_unlock(&control->lock_inbox);
    while (call) {
        struct call *next = call->next;
        take_call(control, call);
        call = next;
    }
}

/* Handles apps whose platforms announced a change. */
static void take_told(struct control *control) {
    int64_t apps[64];
    int count;
    do {
        pthread_mutex_lock(&control->lock_inbox);
        count = control->told_count < 64 ? control->told_count : 64;
        control->told_count -= count;
        for (int i = 0; i < count; i++) apps[i] = control->told[control->told_count + i];
        pthread_mutex_unlock(&control->lock_inbox);
        for (int i = 0; i < count; i++) act_read_soon(control, apps[i]);
        if (count > 0) control->next_scan_ms = 0;
    } while (count == 64);
}

static bool take_changed(struct control *control) {
    pthread_mutex_lock(&control->lock_inbox);
    bool changed = control->config_changed;
    control->config_changed = false;
    pthread_mutex_unlock(&control->lock_inbox);
    return changed || store_config_version(control->store) != control->config_version;
}

/* ---- The clocks ----------------------------------------------------------------------------- */

static int64_t tick_after(const struct control *control, int64_t now_s) {
    int64_t tick_s = control->settings.tick_s;
    return (now_s / tick_s + 1) * tick_s;
}

static void look_at_clocks(struct control *control) {
    int64_t wall_ms = store_wall_ns() / 1000000, monotonic_ms = ds_clock_monotonic_ms();
    int64_t jump_ms = (wall_ms - control->wall_ms) - (monotonic_ms - control->monotonic_ms);
    if (control->wall_ms && (jump_ms >= JUMP_MS || jump_ms <= -JUMP_MS)) {
        control->clock_jump_s += jump_ms / 1000;
        control->next_tick_s = tick_after(control, wall_ms / 1000);
        log_line(LOG_WARN, "control", "the clock was set by %lld s", (long long)(jump_ms / 1000));
    }
    control->wall_ms = wall_ms;
    control->monotonic_ms = monotonic_ms;
}

/* The database's clock: after a failover it may be another machine's. */
static void compare_clocks_if_due(struct control *control) {
    int64_t now_ms = ds_clock_monotonic_ms();
    if (!control->follow || now_ms < control->next_clocks_ms) return;
    control->next_clocks_ms = now_ms + CLOCKS_MS;
    store_compare_clocks(control->store);
}

/* ---- The steps ------------------------------------------------------------------------------ */

static void count_tick(struct control *control, int64_t now_s, int64_t began_ns) {
    int processes = 0;
    for (int i = 0; i < control->app_count; i++) processes += control->apps[i]->process_count;
    pthread_mutex_lock(&control->lock_inbox);
    control->counts.ticks++;
    control->counts.last_tick_s = now_s;
    control->counts.last_tick_us = (ds_clock_wall_ns() - began_ns) / 1000;
    control->counts.apps = control->app_count;
    control->counts.processes = processes;
    control->published = control->counts;
    pthread_mutex_unlock(&control->lock_inbox);
}

/* `soon`: the configuration changed: ticks between the regular ones, at most one a second. Where
 * first answers of platforms came, such a tick is only for their processes. */
static void tick_if_due(struct control *control, bool soon) {
    int64_t now_s = control_now_s(), began_ns = ds_clock_wall_ns();
    bool due = now_s >= control->next_tick_s;
    control->tick_soon = control->tick_soon || soon;
    if (!due && now_s <= control->last_tick_s) return;
    if (!due && !control->tick_soon) {
        if (!control->answered) return;
        tick_answered(control, now_s);
        control->last_tick_s = now_s;
        control->next_scan_ms = 0;
        return;
    }
    if (due && now_s >= control->next_tick_s + LATE_S) control->counts.late_ticks++;
    control->tick_soon = false;
    control->next_tick_s = tick_after(control, now_s);
    tick_all(control, now_s);
    control->last_tick_s = now_s;
    control->clock_jump_s = 0;
    control->next_scan_ms = 0;
    count_tick(control, now_s, began_ns);
}

void control_step(struct control *control) {
    compare_clocks_if_due(control);
    look_at_clocks(control);
    take_inbox(control);
    take_told(control);
    bool changed = take_changed(control);
    lease_keep(control);
    bool failed = changed && !config_read(control);
    /* After reading: changes from here on have a later version than the one just read. */
    if (changed && control->changed) control->changed(control->changed_context);
    const char *why = store_error(control->store);
    if (failed && !control->config_failing) /* logged once, not every second */
        log_line(LOG_ERROR, "control", "the configuration can't be read: %s",
                 *why ? why : "out of memory");
    control->config_failing = failed;
    if (failed) changed = false;
    if (changed) control->next_scan_ms = 0;
    tick_if_due(control, changed);
    if (ds_clock_monotonic_ms() >= control->next_scan_ms) act_begin_all(control);
    compact_if_due(control);
}

int64_t control_wait(const struct control *control) {
    int64_t wall_ms = store_wall_ns() / 1000000;
    int64_t wait_ms = control->next_tick_s * 1000 - wall_ms;
    int64_t scan_ms = control->next_scan_ms == INT64_MAX
                          ? wait_ms
                          : control->next_scan_ms - ds_clock_monotonic_ms();
    if (scan_ms < LEAST_PAUSE_MS) scan_ms = LEAST_PAUSE_MS;
    if (scan_ms < wait_ms) wait_ms = scan_ms;
    bool soon = control->tick_soon || control->answered;
    if (soon && wait_ms > 1000 - wall_ms % 1000) wait_ms = 1000 - wall_ms % 1000;
    /* Between ticks, looks for changes by other services and renews the lease. */
    int64_t most_ms = control->follow ? SHARED_PAUSE_MS : MOST_PAUSE_MS;
    if (wait_ms > most_ms) wait_ms = most_ms;
    return wait_ms > 0 ? wait_ms : 0;
}

/* ---- The thread ----------------------------------------------------------------------------- */

/* Sleeps until the time has passed or something comes in. False: control is to end. */
static bool pause_for(struct control *control, int64_t ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&control->lock_inbox);
    while (!control->ending && !control->inbox && !control->config_changed &&
           control->told_count == 0)
        if (pthread_cond_timedwait(&control->changed_inbox, &control->lock_inbox, &until) ==
            ETIMEDOUT)
            break;
    bool going_on = !control->ending;
    pthread_mutex_unlock(&control->lock_inbox);
    return going_on;
}

static void *work(void *context) {
    struct control *control = context;
    pthread_setname_np(pthread_self(), "control");
    do control_step(control);
    while (pause_for(control, control_wait(control)));
    return NULL;
}

static void wake(struct control *control) {
    pthread_cond_broadcast(&control->changed_inbox);
    pthread_mutex_unlock(&control->lock_inbox);
}

void control_changed(struct control *control) {
    pthread_mutex_lock(&control->lock_inbox);
    control->config_changed = true;
    wake(control);
}

void control_told(struct control *control, int64_t app) {
    pthread_mutex_lock(&control->lock_inbox);
    bool there = false;
    for (int i = 0; i < control->told_count; i++) there = there || control->told[i] == app;
    if (!there && control->told_count == control->told_room) {
        int room = control->told_room ? control->told_room * 2 : 16;
        int64_t *told = realloc(control->told, (size_t)room * sizeof *told);
        if (told) control->told = told;
        if (told) control->told_room = room;
    }
    /* Without memory the next regular reading finds it. */
    if (!there && control->told_count < control->told_room)
        control->told[control->told_count++] = app;
    wake(control);
}

void control_set_public_url(struct control *control, const char *public_url) {
    char *copy = strdup(public_url);
    pthread_mutex_lock(&control->lock_inbox);
    free(control->public_url);
    control->public_url = copy;
    pthread_mutex_unlock(&control->lock_inbox);
}

void control_on_tick(struct control *control, void (*tell)(void *context, int64_t app),
                     void *context) {
    pthread_mutex_lock(&control->lock_inbox);
    control->tell = tell;
    control->tell_context = context;
    pthread_mutex_unlock(&control->lock_inbox);
}

void control_on_change(struct control *control, void (*changed)(void *context), void *context) {
    pthread_mutex_lock(&control->lock_inbox);
    control->changed_context = context;
    control->changed = changed;
    pthread_mutex_unlock(&control->lock_inbox);
}

struct control_counts control_counts(const struct control *control) {
    struct control *locked = (struct control *)control;
    pthread_mutex_lock(&locked->lock_inbox);
    struct control_counts counts = locked->published;
    pthread_mutex_unlock(&locked->lock_inbox);
    return counts;
}

void control_wait_for_calls(struct control *control) {
    pthread_mutex_lock(&control->lock_inbox);
    while (control->calls > 0) pthread_cond_wait(&control->changed_inbox, &control->lock_inbox);
    pthread_mutex_unlock(&control->lock_inbox);
}

/* ---- Beginning and ending ------------------------------------------------------------------- */

static void set_defaults(struct control *control, const struct control_settings *settings) {
    control->settings = *settings;
    if (settings->tick_s <= 0) control->settings.tick_s = 10;
    if (settings->act_threads <= 0) control->settings.act_threads = 4;
    if (settings->act_timeout_s <= 0) control->settings.act_timeout_s = 30;
    if (settings->report_s <= 0) control->settings.report_s = 10;
    control->lock = -1;
    control->random = ds_random() | 1;
    control->config_version = -1;
    control->started_ms = ds_clock_monotonic_ms();
    /* Not in this second: a service that ended in it may have written a tick for it, which would be
     * overwritten. */
    control->last_tick_s = control_now_s();
    control->next_tick_s = tick_after(control, control->last_tick_s);
}

static void init_inbox(struct control *control) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&control->lock_inbox, NULL);
    pthread_cond_init(&control->changed_inbox, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

struct control *control_new_stopped(struct live *live, const struct control_settings *settings,
                                    char *error, size_t size) {
    struct control *control = calloc(1, sizeof *control);
    if (!control) {
        snprintf(error, size, "out of memory");
        return NULL;
    }
    set_defaults(control, settings);
    init_inbox(control);
    control->live = live;
    control->folder = strdup(settings->folder);
    const char *place = settings->place ? settings->place : settings->folder;
    control->store = store_open(place, STORE_EXISTING, error, size);
    bool shared = control->store && store_is_shared(control->store);
    if (shared) control->follow = follow_new(live);
    bool ok = control->store && control->folder && shared == (control->follow != NULL) &&
              lease_begin(control, error, size);
    if (ok)
        control->pool =
            pool_new("act", control->settings.act_threads, MOST_CALLS, place, error, size);
    if (control->pool) return control;
    control_free(control);
    return NULL;
}

/* With every signal blocked: they are for the main thread. */
static bool start(struct control *control, char *error, size_t size) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&control->thread, NULL, work, control);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    control->has_thread = failure == 0;
    if (failure) snprintf(error, size, "a thread can't be started: %s", strerror(failure));
    return failure == 0;
}

struct control *control_new(struct live *live, const struct control_settings *settings, char *error,
                            size_t size) {
    struct control *control = control_new_stopped(live, settings, error, size);
    if (!control || (compact_begin(control, error, size) && start(control, error, size)))
        return control;
    control_free(control);
    return NULL;
}

void control_stop(struct control *control) {
    pthread_mutex_lock(&control->lock_inbox);
    control->ending = true;
    wake(control);
    if (control->has_thread) pthread_join(control->thread, NULL);
    control->has_thread = false;
    compact_end(control);
}

void control_free(struct control *control) {
    if (!control) return;
    control_stop(control);
    /* No new calls begin, waiting ones are dropped, and the outcomes of calls under way are
     * stored. */
    atomic_store(&control->lease_until_ms, 0);
    control->standing_by = true;
    if (control->pool) pool_free(control->pool);
    if (control->store) {
        take_inbox(control);
        lease_end(control);
    }
    for (struct call *call = control->inbox, *next; call; call = next) {
        next = call->next;
        call_free(call);
    }
    config_free(control);
    follow_free(control->follow);
    store_close(control->store);
    pthread_cond_destroy(&control->changed_inbox);
    pthread_mutex_destroy(&control->lock_inbox);
    free(control->folder);
    free(control->public_url);
    free(control->told);
    free(control);
}
