/*
 * What follows the answer to a provisioning: the grant's code is exchanged, within its five
 * minutes; the app's name is asked for, and Heroku becomes its platform; and where we answered 202,
 * the config vars are set and Heroku is told that the resource is there. Each step may be done
 * again, so one that failed, or whose answer was lost, is tried again as a whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addon/inside.h"
#include "log.h"
#include "platforms/heroku_api.h"
#include "store/driver.h"

enum { DEADLINE_MS = 10000, CLAIM_S = 60, MOST_PAUSE_S = 60, TRIES = 1000 };

struct work {
    struct store *store;
    const struct vault *vault;
    const char *public_url;
    bool private_addresses;
    int64_t now_s;
    struct addon_resource resource;
    char *secret; /* the credential */
    struct heroku_credential credential;
    struct platform_answer answer; /* of the last step */
};

/* ---- Steps ---------------------------------------------------------------------------------- */

static bool keep(struct work *work) {
    size_t length = 0;
    void *sealed = vault_seal(work->vault, work->resource.uuid, work->secret, &length);
    bool kept = sealed && store_begin(work->store) &&
                addon_seal(work->store, work->resource.uuid, sealed, length) &&
                store_commit(work->store);
    if (!kept) store_rollback(work->store);
    free(sealed);
    return kept;
}

/* A code becomes tokens, which are kept at once: a code is taken once. */
static bool exchange(struct work *work) {
    char *renewed = NULL;
    const struct platform_app app = {.app = work->resource.uuid,
                                     .secret = work->secret,
                                     .deadline_ms = DEADLINE_MS,
                                     .private_addresses = work->private_addresses};
    work->answer = heroku_renew(&app, work->now_s, false, &renewed);
    if (renewed) {
        vault_wipe(work->secret);
        work->secret = renewed;
        if (!keep(work))
            work->answer = platform_trouble(PLATFORM_FAILED, "the grant could not be kept");
    }
    char error[160];
    return work->answer.result == PLATFORM_OK &&
           heroku_read_credential(&work->credential, work->secret, error, sizeof error);
}

static bool call_heroku(struct work *work, const char *method, const char *path, const char *body,
                        struct heroku_reply *reply) {
    char whole[160];
    snprintf(whole, sizeof whole, "/addons/%s%s", work->resource.uuid, path);
    const struct heroku_call call = {.method = method,
                                     .path = whole,
                                     .body = body,
                                     .token = work->credential.token,
                                     .what = "the add-on",
                                     .deadline_ms = DEADLINE_MS,
                                     .private_addresses = work->private_addresses};
    heroku_api(&call, reply);
    work->answer = reply->answer;
    return reply->answer.result == PLATFORM_OK;
}

static bool find_app(struct work *work) {
    struct heroku_reply reply;
    bool found = call_heroku(work, "GET", "", NULL, &reply);
    const char *name =
        json_string_value(json_object_get(json_object_get(reply.json, "app"), "name"));
    if (found && (!name || !heroku_is_name(name))) {
        work->answer = platform_trouble(PLATFORM_FAILED, "Heroku did not tell the app's name");
        found = false;
    }
    if (found) snprintf(work->resource.heroku_app, sizeof work->resource.heroku_app, "%s", name);
    heroku_reply_free(&reply);
    return found;
}

static bool set_config(struct work *work) {
    struct heroku_reply reply;
    json_t *config = resource_config(work->vault, work->public_url, work->resource.uuid);
    json_t *list = json_array(), *body = json_pack("{s:o}", "config", list);
    const char *name;
    json_t *value;
    json_object_foreach(config, name, value) {
        json_array_append_new(list, json_pack("{s:s, s:O}", "name", name, "value", value));
    }
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    bool set = text && call_heroku(work, "PATCH", "/config", text, &reply);
    if (text) heroku_reply_free(&reply);
    vault_wipe(text);
    json_decref(body);
    json_decref(config);
    return set;
}

static bool say_ready(struct work *work) {
    struct heroku_reply reply;
    bool said = call_heroku(work, "POST", "/actions/provision", NULL, &reply);
    heroku_reply_free(&reply);
    return said;
}

/* ---- The end of a try ----------------------------------------------------------------------- */

/* Heroku is the app's platform from now on, unless a person has set another. */
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
    sealed = vault_seal(work->vault, app->name, work->secret, &length);
    bool set = sealed && platform_put(work->store, app->id, "heroku", own, sealed, length);
    free(sealed);
    return set;
}

/* In one transaction, and only where the resource was not removed meanwhile. */
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
        /* A code that is not taken is of no use, and there is nothing to go on with. */
        if (refused && !*work->credential.token) now.next_s = 0;
        if (addon_update(work->store, &now) && store_commit(work->store)) return;
    }
    store_rollback(work->store);
}

static bool open_secret(struct work *work) {
    size_t length;
    void *sealed = addon_sealed(work->store, work->resource.uuid, &length);
    if (sealed) work->secret = vault_unseal(work->vault, work->resource.uuid, sealed, length);
    free(sealed);
    if (!work->secret)
        work->answer = platform_trouble(PLATFORM_REFUSED, "its grant can't be opened with this "
                                                          "service's key");
    return work->secret != NULL;
}

/* One that is due, put off for the time of the work: of several services one alone does it, and one
 * that ends in the middle leaves it to be done again. */
static bool claim(struct store *store, int64_t now_s, struct addon_resource *resource) {
    if (!addon_due(store, now_s, resource) || !store_begin(store)) return false;
    bool claimed = addon_due(store, now_s, resource);
    resource->next_s = now_s + CLAIM_S;
    if (claimed && addon_update(store, resource) && store_commit(store)) return true;
    store_rollback(store);
    return false;
}

bool addon_work(struct store *store, const struct vault *vault, const char *public_url,
                bool private_addresses, int64_t now_s) {
    struct work work = {.store = store,
                        .vault = vault,
                        .public_url = public_url,
                        .private_addresses = private_addresses,
                        .now_s = now_s,
                        .answer = {.result = PLATFORM_FAILED, .limit = -1, .wait_s = -1}};
    if (!claim(store, now_s, &work.resource)) return false;
    bool pending = strcmp(work.resource.state, "pending") == 0;
    bool done = open_secret(&work) && exchange(&work) && find_app(&work) &&
                (!pending || (set_config(&work) && say_ready(&work)));
    if (done && !write_done(&work)) {
        snprintf(work.answer.trouble, sizeof work.answer.trouble, "the data can't be written");
        done = false;
    }
    if (!done) write_failed(&work);
    vault_wipe(work.secret);
    memset(&work.credential, 0, sizeof work.credential);
    return done;
}
