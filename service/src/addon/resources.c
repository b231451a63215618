/*
 * The life of a resource: provisioned, its plan changed, removed. Heroku delivers each request at
 * least once and in any order, so the same request may come again at any time. The uuid identifies
 * the resource; what was already done is answered and not repeated.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addon/inside.h"
#include "json_read.h"
#include "log.h"
#include "people/token.h"
#include "store/driver.h"
#include "store/people.h"

static const char first_rules[] = "processes:\n"
                                  "  web:\n"
                                  "    scaling: off\n"
                                  "    rules:\n"
                                  "      - name: default\n"
                                  "        dynos: {min: 1, max: 2}\n";

/* ---- Small parts ---------------------------------------------------------------------------- */

static void store_failed(struct api_call *call) {
    addon_answer(call, 503, "the data could not be written; nothing was changed");
    log_line(LOG_ERROR, "heroku", "the add-on: %s", store_error(call->store));
}

/* Begins a transaction; its end commits only a successful answer. */
static bool begin(struct api_call *call) {
    if (store_begin(call->store)) return true;
    store_failed(call);
    return false;
}

static void end(struct api_call *call, bool ok) {
    if (ok && api_was_read(call) && store_commit(call->store)) return;
    if (ok || call->status < 400) store_failed(call);
    store_rollback(call->store);
    call->config_changed = call->tokens_changed = false;
}

bool resource_token(const struct keeper *keeper, int key, const char *uuid, char *token,
                    size_t size) {
    char purpose[80], derived[VAULT_DERIVED_SIZE];
    snprintf(purpose, sizeof purpose, "report token of %s", uuid);
    if (!keeper_derive(keeper, key, purpose, derived)) return false;
    snprintf(token, size, "rt_%s", derived);
    return true;
}

json_t *resource_config(const struct keeper *keeper, const char *public_url, const char *uuid) {
    char token[TOKEN_SIZE], url[1200];
    if (!resource_token(keeper, 0, uuid, token, sizeof token)) return NULL;
    snprintf(url, sizeof url, "%.1000s/api/v1/report/%s", public_url, token);
    return json_pack("{s:s, s:s}", "DYNOSCALE_DYNOS", "all", "DYNOSCALE_URL", url);
}

/* ---- What a request says -------------------------------------------------------------------- */

/* A text field of the body; other fields are ignored. NULL: missing or too long. */
static const char *text_of(const json_t *body, const char *name, size_t most) {
    const char *text = json_string_value(json_object_get(body, name));
    return text && *text && strlen(text) < most ? text : NULL;
}

static json_t *read_body(struct api_call *call) {
    json_t *body = json_read(call->body, call->body_length, 0, NULL);
    if (json_is_object(body)) return body;
    json_decref(body);
    addon_answer(call, 400, "the body must be a JSON object");
    return NULL;
}

/* The plan, which may come as "dynoscale:free". NULL: the call is answered. */
static const struct addon_plan *plan_of(struct api_call *call, const json_t *body) {
    const char *name = text_of(body, "plan", ADDON_NAME_SIZE);
    const char *colon = name ? strchr(name, ':') : NULL;
    const struct addon_plan *plan = name ? addon_plan(colon ? colon + 1 : name) : NULL;
    if (plan) return plan;
    struct text plans = TEXT_EMPTY;
    const struct addon_settings *settings = addon_settings();
    for (int i = 0; i < settings->plan_count; i++)
        text_format(&plans, "%s%s", i > 0 ? ", " : "", settings->plans[i].name);
    addon_answer(call, 422, "There is no plan “%.40s”. The plans are %s.", name ? name : "",
                 plans.bytes ? plans.bytes : "");
    text_free(&plans);
    return NULL;
}

/* ---- Provision ------------------------------------------------------------------------------ */

/* A name for the app: the add-on's own name, which is unique at Heroku, else one made of its
 * uuid. */
static void name_app(struct store *store, struct app *app, const char *name, const char *uuid) {
    struct app other;
    size_t length = name ? strlen(name) : 0;
    bool usable = length > 0 && length < 50 &&
                  strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length && *name != '-';
    snprintf(app->name, sizeof app->name, "%s", usable ? name : "heroku");
    if (!usable || app_by_name(store, app->name, &other))
        snprintf(app->name, sizeof app->name, "%.49s-%.12s", usable ? name : "heroku", uuid + 24);
}

static void put_resource(struct api_call *call, const struct addon_resource *resource,
                         const char *message) {
    json_t *config = strcmp(resource->state, "pending") == 0
                         ? NULL
                         : resource_config(call->keeper, call->public_url, resource->uuid);
    json_t *answer = json_pack("{s:s, s:s}", "id", resource->uuid, "message", message);
    if (config) json_object_set_new(answer, "config", config);
    char *text = json_dumps(answer, JSON_COMPACT);
    if (!text) api_no_memory();
    text_clear(&call->answer);
    text_put(&call->answer, text ? text : "{}");
    free(text);
    json_decref(answer);
    call->status = strcmp(resource->state, "pending") == 0 ? 202 : 200;
}

static const char made[] = "Add the agent to your app (gem dynoscale_ruby, or package dynoscale), "
                           "deploy, and open the add-on to set its rules.";

/* Makes the app, its rules and its address for reports. */
static bool add_app(struct api_call *call, struct app *app, const struct addon_plan *plan,
                    const char *uuid) {
    char token[TOKEN_SIZE];
    uint8_t hash[TOKEN_HASH_SIZE];
    if (!resource_token(call->keeper, 0, uuid, token, sizeof token)) return false;
    token_hash(hash, token, strlen(token));
    return app_add(call->store, app) &&
           (plan->history_days >= 30 ||
            app_set_kept_days(call->store, app->id, plan->history_days)) &&
           rules_put(call->store, app->id, first_rules, "Heroku", call->now_s) >= 0 &&
           report_token_add(call->store, app->id, hash,
                            token + strlen(token) - (TOKEN_HINT_SIZE - 1), call->now_s);
}

static bool add_resource(struct api_call *call, const struct addon_resource *resource,
                         const char *code) {
    size_t length = 0;
    void *sealed = code ? keeper_seal_grant(call->keeper, resource->uuid, code, &length) : NULL;
    bool added = (!code || sealed) && addon_add(call->store, resource, sealed, length);
    free(sealed);
    return added;
}

/* Heroku asks again if the first grant did not work, so a code in the repeat is tried. A resource
 * that is already set up, or being set up, is left alone. */
static bool take_grant(struct api_call *call, const json_t *body, struct addon_resource *resource) {
    const char *code = text_of(json_object_get(body, "oauth_grant"), "code", 400);
    size_t length = 0;
    if (!code || resource->next_s != 0 || !resource->trouble[0]) return true;
    void *sealed = keeper_seal_grant(call->keeper, resource->uuid, code, &length);
    resource->next_s = call->now_s;
    resource->tries = 0;
    bool taken = sealed && addon_seal(call->store, resource->uuid, sealed, length) &&
                 addon_update(call->store, resource);
    free(sealed);
    return taken;
}

static bool provision(struct api_call *call, const json_t *body, const char *uuid,
                      const struct addon_plan *plan) {
    const struct addon_settings *settings = addon_settings();
    const char *code = text_of(json_object_get(body, "oauth_grant"), "code", 400);
    struct app app = {.created_s = call->now_s};
    struct addon_resource resource = {.created_s = call->now_s, .dynos = plan->dynos};
    const char *name = text_of(body, "name", ADDON_NAME_SIZE);
    bool works = code && settings->exchanges;
    name_app(call->store, &app, name, uuid);
    memcpy(app.zone, "UTC", 4);
    if (!add_app(call, &app, plan, uuid)) return false;
    resource.app = app.id;
    resource.next_s = works ? call->now_s : 0;
    snprintf(resource.uuid, sizeof resource.uuid, "%s", uuid);
    snprintf(resource.plan, sizeof resource.plan, "%s", plan->name);
    snprintf(resource.name, sizeof resource.name, "%s", name ? name : "");
    snprintf(resource.state, sizeof resource.state, "%s",
             settings->asynchronous && works ? "pending" : "ready");
    if (!add_resource(call, &resource, works ? code : NULL)) return false;
    if (!audit_add(call->store, call->now_s, "Heroku", app.id, "provisioned the add-on",
                   plan->name))
        return false;
    put_resource(call, &resource, made);
    call->app = app;
    call->config_changed = call->tokens_changed = true;
    log_line(LOG_INFO, "heroku", "provisioned %s as %s, plan %s", uuid, app.name, plan->name);
    return true;
}

void resource_provision(struct api_call *call) {
    struct addon_resource resource;
    json_t *body = read_body(call);
    const char *uuid = body ? text_of(body, "uuid", ADDON_UUID_SIZE) : NULL;
    if (body && (!uuid || !addon_is_uuid(uuid))) {
        addon_answer(call, 422, "The request has no uuid of the resource.");
    } else if (body && !text_of(body, "plan", ADDON_NAME_SIZE)) {
        addon_answer(call, 422, "The request has no plan.");
    } else if (body && begin(call)) {
        bool ok = true;
        if (!addon_by_uuid(call->store, uuid, &resource)) {
            const struct addon_plan *plan = plan_of(call, body);
            ok = plan && provision(call, body, uuid, plan);
        } else if (strcmp(resource.state, "gone") == 0) {
            addon_answer(call, 410, "This resource was removed, and does not come back.");
            ok = false;
        } else {
            put_resource(call, &resource, made); /* it was asked for before */
            ok = take_grant(call, body, &resource);
        }
        end(call, ok);
    }
    json_decref(body);
}

/* ---- Another plan --------------------------------------------------------------------------- */

static bool change_plan(struct api_call *call, struct addon_resource *resource,
                        const struct addon_plan *plan) {
    char difference[160];
    snprintf(difference, sizeof difference, "plan %s → %s", resource->plan, plan->name);
    bool same = strcmp(resource->plan, plan->name) == 0;
    snprintf(resource->plan, sizeof resource->plan, "%s", plan->name);
    resource->dynos = plan->dynos;
    call->config_changed = true;
    return addon_update(call->store, resource) &&
           app_set_kept_days(call->store, resource->app, plan->history_days) &&
           (same || audit_add(call->store, call->now_s, "Heroku", resource->app, "changed the plan",
                              difference));
}

void resource_change(struct api_call *call, const char *uuid) {
    struct addon_resource resource;
    json_t *body = read_body(call);
    if (body && begin(call)) {
        bool ok = false;
        if (!addon_by_uuid(call->store, uuid, &resource))
            addon_answer(call, 404, "There is no such resource.");
        else if (strcmp(resource.state, "gone") == 0)
            addon_answer(call, 410, "This resource was removed.");
        else {
            const struct addon_plan *plan = plan_of(call, body);
            ok = plan && change_plan(call, &resource, plan);
            char message[200];
            if (ok && plan->dynos > 0)
                snprintf(message, sizeof message,
                         "The plan is %s now: at most %" PRId64
                         " dynos of a process type, history of %" PRId64 " days.",
                         plan->name, plan->dynos, plan->history_days);
            else if (ok)
                snprintf(message, sizeof message,
                         "The plan is %s now: history of %" PRId64 " days.", plan->name,
                         plan->history_days);
            if (ok) put_resource(call, &resource, message);
            if (ok) call->status = 200;
        }
        end(call, ok);
    }
    json_decref(body);
}

/* ---- The end -------------------------------------------------------------------------------- */

/* Records that an unknown resource was removed: the request that creates it may still arrive. */
static bool note_gone(struct api_call *call, const char *uuid) {
    struct addon_resource resource = {.created_s = call->now_s, .ended_s = call->now_s};
    snprintf(resource.uuid, sizeof resource.uuid, "%s", uuid);
    memcpy(resource.state, "gone", 5);
    return addon_add(call->store, &resource, NULL, 0);
}

static bool remove_all(struct api_call *call, struct addon_resource *resource) {
    char what[120];
    int64_t app = resource->app;
    bool ok = addon_seal(call->store, resource->uuid, NULL, 0);
    memcpy(resource->state, "gone", 5);
    resource->ended_s = call->now_s;
    resource->next_s = 0;
    resource->name[0] = resource->heroku_app[0] = resource->trouble[0] = '\0';
    snprintf(what, sizeof what, "destroyed all data of the resource %s", resource->uuid);
    call->config_changed = call->tokens_changed = true;
    if (app) ok = ok && addon_people_remove(call->store, app) && app_remove(call->store, app);
    resource->app = 0;
    return ok && addon_update(call->store, resource) &&
           audit_add(call->store, call->now_s, "Heroku", 0, what, "");
}

void resource_remove(struct api_call *call, const char *uuid) {
    struct addon_resource resource;
    if (!begin(call)) return;
    bool there = addon_by_uuid(call->store, uuid, &resource);
    bool gone = there && strcmp(resource.state, "gone") == 0, ok = true;
    if (!there) {
        ok = note_gone(call, uuid);
        addon_answer(call, 410, "There is no such resource, and there will be none.");
    } else {
        if (!gone) ok = remove_all(call, &resource);
        call->status = 204;
    }
    if (!ok) call->status = 0;
    end(call, ok);
    if (ok && there && !gone && call->status == 204)
        log_line(LOG_INFO, "heroku", "removed %s with all its data", uuid);
}
