/*
 * Calls to platforms, on the threads of a pool: each has copies of all it needs, opens the secret
 * for its own time, and puts what came of it into control's inbox.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strdup */
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "control/state.h"

void call_free(struct call *call) {
    free(call->settings);
    free(call->sealed);
    free(call);
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

static void call_platform(struct call *call, const json_t *settings, const char *secret) {
    const struct control_settings *usual = &call->control->settings;
    struct platform_app app = {.app = call->app_name,
                               .settings = (json_t *)settings,
                               .secret = secret,
                               .deadline_ms = usual->act_timeout_s * 1000LL,
                               .private_addresses = usual->private_addresses};
    char error[160];
    if (!call->platform->check(settings, secret, error, sizeof error))
        call->answer =
            platform_trouble(PLATFORM_REFUSED, "the platform's settings can't be used: %s", error);
    else if (call->verb == CALL_READ)
        call->answer = call->platform->read(&app, call->process_name, &call->formation);
    else call->answer = call->platform->set(&app, call->process_name, call->dynos, call->reason);
}

/* The secret, NULL where there is none; false where there is one that can't be opened. */
static bool open_secret(struct call *call, char **secret) {
    const struct vault *vault = call->control->settings.vault;
    *secret = NULL;
    if (!call->sealed) return true;
    if (vault) *secret = vault_unseal(vault, call->app_name, call->sealed, call->sealed_length);
    return *secret != NULL;
}

static void run(struct pool_job *job, struct store *store) {
    struct call *call = (struct call *)job;
    (void)store;
    call->began_ms = ds_clock_monotonic_ms();
    /* A holder that was stopped for a while may have lost the lease before it comes to this. */
    call->void_lease = call->began_ms >= atomic_load(&call->control->lease_until_ms);
    if (!call->void_lease) {
        char *secret;
        json_t *settings = json_loads(call->settings, 0, NULL);
        if (!settings || !open_secret(call, &secret)) {
            call->answer = platform_trouble(
                PLATFORM_REFUSED,
                "the platform's credential can't be opened with this service's key: set it again");
        } else {
            call_platform(call, settings, secret);
            if (secret) vault_wipe(secret);
        }
        json_decref(settings);
    }
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

bool call_begin(struct control *control, struct process *process, enum call_verb verb) {
    const struct app_state *app = process->app;
    struct call *call = calloc(1, sizeof *call);
    if (!call) return false;
    call->job.run = run;
    call->control = control;
    call->app = process->app;
    call->process = process;
    call->verb = verb;
    call->platform = app->platform;
    call->settings = strdup(app->settings);
    call->act_id = process->act.id;
    call->dynos = process->act.to;
    call->formation = platform_unknown;
    memcpy(call->app_name, app->name, sizeof app->name);
    memcpy(call->process_name, process->name, sizeof process->name);
    snprintf(call->reason, sizeof call->reason, "%s", process->act_reason);
    pthread_mutex_lock(&control->lock_inbox);
    control->calls++;
    pthread_mutex_unlock(&control->lock_inbox);
    if (call->settings && copy_blob(call, app) && pool_add(control->pool, &call->job)) return true;
    pthread_mutex_lock(&control->lock_inbox);
    control->calls--;
    pthread_mutex_unlock(&control->lock_inbox);
    call_free(call);
    return false;
}
