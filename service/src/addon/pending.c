/*
 * What follows the answer to a provisioning request. The grant's code is exchanged within its five
 * minutes. The app's name is read, and Heroku becomes its platform. Where we answered 202, the
 * config vars are set and Heroku is told that the resource is ready. Each step can be repeated, so
 * after a failure or a lost answer all steps run again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addon/inside.h"
#include "log.h"
#include "store/driver.h"

enum { CLAIM_S = 60, MOST_PAUSE_S = 60, TRIES = 1000 };

struct work {
    struct store *store;
    const struct keeper *keeper;
    const char *public_url;
    int64_t now_s;
    struct addon_resource resource;
    void *sealed; /* the grant; NULL: none */
    size_t sealed_length;
    bool exchanged;                /* Heroku accepted the grant's code */
    struct platform_answer answer; /* of the last step */
};

static struct keeper_grant grant_of(const struct work *work) {
    return (struct keeper_grant){work->resource.uuid, work->sealed, work->sealed_length};
}

/* ---- Steps ---------------------------------------------------------------------------------- */

static bool keep(struct work *work) {
    bool kept = store_begin(work->store) &&
                addon_seal(work->store, work->resource.uuid, work->sealed, work->sealed_length) &&
                store_commit(work->store);
    if (!kept) store_rollback(work->store);
    return kept;
}

/* Exchanges the code for tokens and stores them at once: a code works only once. */
static bool exchange(struct work *work) {
    void *renewed;
    size_t length = 0;
    struct keeper_grant grant = grant_of(work);
    work->answer = keeper_grant_renew(work->keeper, &grant, work->now_s, &renewed, &length);
    if (renewed) {
        free(work->sealed);
        work->sealed = renewed;
        work->sealed_length = length;
        if (!keep(work))
            work->answer = platform_trouble(PLATFORM_FAILED, "the grant could not be kept");
    }
    work->exchanged = renewed || work->answer.result == PLATFORM_OK;
    return work->answer.result == PLATFORM_OK;
}

static bool find_app(struct work *work) {
    char name[sizeof work->resource.heroku_app];
    struct keeper_grant grant = grant_of(work);
    work->answer = keeper_grant_app(work->keeper, &grant, name, sizeof name);
    bool found = work->answer.result == PLATFORM_OK;
    if (found) memcpy(work->resource.heroku_app, name, sizeof name);
    return found;
}

static bool set_config(struct work *work) {
    struct keeper_grant grant = grant_of(work);
    json_t *config = resource_config(work->keeper, work->public_url, work->resource.uuid);
    char *text = config ? json_dumps(config, JSON_COMPACT) : NULL;
    work->answer = text ? keeper_grant_config(work->keeper, &grant, text)
                        : platform_trouble(PLATFORM_FAILED, "there is no address for reports");
    vault_wipe(text);
    json_decref(config);
    return work->answer.result == PLATFORM_OK;
}

static bool say_ready(struct work *work) {
    struct keeper_grant grant = grant_of(work);
    work->answer = keeper_grant_ready(work->keeper, &grant);
    return work->answer.result == PLATFORM_OK;
}

/* ---- The end of a try ----------------------------------------------------------------------- */

/* Makes Heroku the app's platform, unless a person has set another one. */
static bool set_platform(struct work *work, const struct app *app) {
    char *kind, *settings, own[200];
    void *sealed;
    size_t length = 0;
    if (platform_get(work->store, app->id, &kind, &settings, &sealed, &length)) {
        free(kind);
        free(settings);
        free(sealed);
        return true;
    }
    snprintf(own, sizeof own, "{\"app\":\"%s\",\"addon\":\"%s\"}", work->resource.heroku_app,
             work->resource.uuid);
    const struct keeper_grant grant = grant_of(work);
    const struct keeper_app on_heroku = {.app = app->name, .kind = "heroku", .settings = own};
    sealed = keeper_grant_credential(work->keeper, &grant, &on_heroku, &length);
    bool set = sealed && platform_put(work->store, app->id, "heroku", own, sealed, length);
    free(sealed);
    return set;
}

/* In one transaction, and only if the resource was not removed in the meantime. */
static bool write_done(struct work *work) {
    struct addon_resource now;
    struct app app;
    if (!store_begin(work->store)) return false;
    bool there = addon_by_uuid(work->store, work->resource.uuid, &now) && now.app &&
                 app_by_id(work->store, now.app, &app);
    if (there) {
        snprintf(now.heroku_app, sizeof now.heroku_app, "%s", work->resource.heroku_app);
        memcpy(now.state, "ready", 6);
        now.trouble[0] = '\0';
        now.next_s = 0;
    }
    bool ok = !there || (set_platform(work, &app) && addon_update(work->store, &now) &&
                         addon_seal(work->store, now.uuid, NULL, 0));
    if (ok && store_commit(work->store)) {
        if (there) log_line(LOG_INFO, "heroku", "%s: the add-on is set up", app.name);
        return true;
    }
    store_rollback(work->store);
    return false;
}

static void write_failed(struct work *work) {
    struct addon_resource now;
    bool refused = work->answer.result == PLATFORM_REFUSED;
    log_line(refused ? LOG_ERROR : LOG_WARN, "heroku", "the add-on %s is not set up yet: %s",
             work->resource.uuid, work->answer.trouble);
    if (!store_begin(work->store)) return;
    if (addon_by_uuid(work->store, work->resource.uuid, &now) && now.app) {
        int64_t pause_s = now.tries < 5 ? 2LL << now.tries : MOST_PAUSE_S;
        now.tries++;
        snprintf(now.trouble, sizeof now.trouble, "%s", work->answer.trouble);
        if (work->answer.wait_s > pause_s) pause_s = work->answer.wait_s;
        if (refused) pause_s = MOST_PAUSE_S * 10LL;
        now.next_s = now.tries < TRIES ? work->now_s + pause_s : 0;
        /* A code that Heroku refuses never works later, so there is nothing left to try. */
        if (refused && !work->exchanged) now.next_s = 0;
        if (addon_update(work->store, &now) && store_commit(work->store)) return;
    }
    store_rollback(work->store);
}

/* Takes one resource that is due and postpones it for as long as the work may take: so only one of
 * several services works on it, and if that one dies, the work is done again. */
static bool claim(struct store *store, int64_t now_s, struct addon_resource *resource) {
    if (!addon_due(store, now_s, resource) || !store_begin(store)) return false;
    bool claimed = addon_due(store, now_s, resource);
    resource->next_s = now_s + CLAIM_S;
    if (claimed && addon_update(store, resource) && store_commit(store)) return true;
    store_rollback(store);
    return false;
}

bool addon_work(struct store *store, const struct keeper *keeper, const char *public_url,
                int64_t now_s) {
    struct work work = {.store = store,
                        .keeper = keeper,
                        .public_url = public_url,
                        .now_s = now_s,
                        .answer = {.result = PLATFORM_FAILED, .limit = -1, .wait_s = -1}};
    if (!claim(store, now_s, &work.resource)) return false;
    bool pending = strcmp(work.resource.state, "pending") == 0;
    work.sealed = addon_sealed(store, work.resource.uuid, &work.sealed_length);
    if (!work.sealed) work.answer = platform_trouble(PLATFORM_REFUSED, "its grant is not there");
    bool done = work.sealed && exchange(&work) && find_app(&work) &&
                (!pending || (set_config(&work) && say_ready(&work)));
    if (done && !write_done(&work)) {
        snprintf(work.answer.trouble, sizeof work.answer.trouble, "the data can't be written");
        done = false;
    }
    if (!done) write_failed(&work);
    free(work.sealed);
    return done;
}
