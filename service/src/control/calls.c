/*
 * Calls to platforms, on the threads of a pool. Each call has copies of all it needs, lets the
 * keeper make it, and puts the outcome into control's inbox.
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

void call_free(struct call *call) {
    while (call) {
        struct call *also = call->also;
        free(call->settings);
        free(call->sealed);
        free(call->renewed);
        free(call);
        call = also;
    }
}

void control_hook_url(char url[CONTROL_HOOK_URL_SIZE], const char *public_url, int64_t app) {
    snprintf(url, CONTROL_HOOK_URL_SIZE, "%.1000s/heroku/webhooks/%lld", public_url,
             (long long)app);
}

void control_hook_purpose(char purpose[CONTROL_HOOK_PURPOSE_SIZE], int64_t app) {
    snprintf(purpose, CONTROL_HOOK_PURPOSE_SIZE, "webhook of app %lld", (long long)app);
}

static void put_into_inbox(struct call *call) {
    struct control *control = call->control;
    pthread_mutex_lock(&control->lock_inbox);
    struct call **last = &control->inbox;
    while (*last) last = &(*last)->next;
    call->next = NULL;
    *last = call;
    control->calls--;
    pthread_cond_broadcast(&control->changed_inbox);
    pthread_mutex_unlock(&control->lock_inbox);
}

static void answer_all(struct call *call, const struct platform_answer *answer) {
    for (struct call *one = call; one; one = one->also) one->answer = *answer;
}

/* Renews the credential if the platform requires it, and stores the new one at once: the old one
 * may no longer work. */
static bool renew(struct call *call, struct keeper_app *app, struct store *store) {
    if (!call->platform->renew) return true;
    struct platform_answer answer =
        keeper_renew(call->control->settings.keeper, app, control_now_s(), &call->renewed,
                     &call->renewed_length);
    if (call->renewed) {
        bool kept = store_begin(store) &&
                    platform_renew(store, call->app_id, call->sealed, call->sealed_length,
                                   call->renewed, call->renewed_length) &&
                    store_touch_config(store) && store_commit(store);
        if (!kept) {
            store_rollback(store);
            log_line(LOG_ERROR, "control", "%s: its renewed credential was not written: %s",
                     call->app_name, store_error(store));
        }
        app->sealed = call->renewed;
        app->sealed_length = call->renewed_length;
    }
    if (answer.result != PLATFORM_OK) answer_all(call, &answer);
    return answer.result == PLATFORM_OK;
}

/* Sends an order, together with those of other processes that go with it. */
static void set(struct call *call, const struct keeper_app *app) {
    struct platform_change changes[KEEPER_CHANGES];
    struct call *calls[KEEPER_CHANGES];
    int count = 0;
    for (struct call *one = call; one && count < KEEPER_CHANGES; one = one->also) {
        calls[count] = one;
        changes[count++] = (struct platform_change){
            .process = one->process_name, .dynos = one->dynos, .reason = one->reason};
    }
    keeper_set(call->control->settings.keeper, app, changes, count);
    for (int i = 0; i < count; i++) calls[i]->answer = changes[i].answer;
}

static void call_platform(struct call *call, struct store *store) {
    const struct control_settings *usual = &call->control->settings;
    struct keeper_app app = {.app = call->app_name,
                             .number = call->app_id,
                             .kind = call->platform->kind,
                             .settings = call->settings,
                             .sealed = call->sealed,
                             .sealed_length = call->sealed_length,
                             .deadline_ms = usual->act_timeout_s * 1000LL,
                             .until_ms = atomic_load(&call->control->lease_until_ms),
                             .hook_url = *call->hook_url ? call->hook_url : NULL};
    if (!renew(call, &app, store)) return;
    if (call->verb == CALL_READ)
        call->answer = keeper_read(usual->keeper, &app, call->process_name, &call->formation);
    else set(call, &app);
}

static void run(struct pool_job *job, struct store *store) {
    struct call *call = (struct call *)job;
    call->began_ms = ds_clock_monotonic_ms();
    /* A process that was stopped for a while may have lost the lease before it gets here. */
    bool void_lease = call->began_ms >= atomic_load(&call->control->lease_until_ms);
    for (struct call *one = call; one; one = one->also) one->void_lease = void_lease;
    if (!void_lease) call_platform(call, store);
    int64_t took_ms = ds_clock_monotonic_ms() - call->began_ms;
    call->slow = took_ms >= call->control->settings.act_timeout_s * 1000LL / 2;
    put_into_inbox(call);
}

static bool copy_blob(struct call *call, const struct app_state *app) {
    if (!app->sealed) return true;
    call->sealed = malloc(app->sealed_length);
    if (!call->sealed) return false;
    memcpy(call->sealed, app->sealed, app->sealed_length);
    call->sealed_length = app->sealed_length;
    return true;
}

/* The address for the platform's webhook; none while this service's own address is unknown. */
static void copy_hook(struct call *call) {
    struct control *control = call->control;
    pthread_mutex_lock(&control->lock_inbox);
    if (control->public_url) control_hook_url(call->hook_url, control->public_url, call->app_id);
    pthread_mutex_unlock(&control->lock_inbox);
}

struct call *call_new(struct control *control, struct process *process, enum call_verb verb) {
    const struct app_state *app = process->app;
    struct call *call = calloc(1, sizeof *call);
    if (!call) return NULL;
    call->job.run = run;
    call->control = control;
    call->app = process->app;
    call->app_id = app->id;
    call->process = process;
    call->verb = verb;
    call->platform = app->platform;
    call->settings = strdup(app->settings);
    call->act_id = process->act.id;
    call->changes = app->changes;
    call->dynos = process->act.to;
    call->formation = platform_unknown;
    memcpy(call->app_name, app->name, sizeof app->name);
    memcpy(call->process_name, process->name, sizeof process->name);
    snprintf(call->reason, sizeof call->reason, "%s", process->act_reason);
    copy_hook(call);
    if (call->settings && copy_blob(call, app)) return call;
    call_free(call);
    return NULL;
}

bool call_begin(struct call *call) {
    struct control *control = call->control;
    pthread_mutex_lock(&control->lock_inbox);
    control->calls++;
    pthread_mutex_unlock(&control->lock_inbox);
    /* Orders go ahead of readings, and calls to platforms that answer go ahead of those that hang:
     * else a few of these would keep all others from being read. */
    bool order = call->verb == CALL_SET;
    if (call->app->slow ? pool_add_slow(control->pool, &call->job, order)
                        : (order ? pool_add_ahead : pool_add)(control->pool, &call->job))
        return true;
    pthread_mutex_lock(&control->lock_inbox);
    control->calls--;
    pthread_mutex_unlock(&control->lock_inbox);
    call_free(call);
    return false;
}
