/*
 * Heroku, by its Platform API v3 (https://devcenter.heroku.com/articles/platform-api-reference):
 *
 *     GET   /apps/APP/formation            quantities and sizes of all process types
 *     PATCH /apps/APP/formation/TYPE       {"quantity": N}, absolute
 *     PATCH /apps/APP/formation            {"updates": [{"type", "quantity"} ...]}, several at once
 *     GET   /apps/APP/dynos                their states
 *     GET   /apps/APP/releases             the newest one
 *     GET   /dyno-sizes                    prices, once a day
 *     ...   /apps/APP/webhooks, /addons/ID/webhooks
 *
 * How often it asks: heroku_known.h. What refusals mean: heroku_api.c. Settings: {"app": "shop"},
 * and where they are wanted "addon" (the id of an add-on, whose credential is used), "webhooks":
 * false, and "limit": how many dynos of a type the account may run where that is not the usual.
 */
#define _GNU_SOURCE /* strptime, timegm */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "clock.h"
#include "json_read.h"
#include "log.h"
#include "platforms/heroku_known.h"

enum {
    REFUSED_MS = 60 * 1000,  /* how long a refused question is not repeated */
    TRUSTED_MS = 120 * 1000, /* between readings while the webhook reports changes */
    /* So many times less often: releases, and dynos while all are up; again while the webhook
     * reports changes. */
    SELDOM = 6,
    LOW_MS = 60 * 1000,         /* between first readings while hardly any requests are left */
    PROOF_MS = 60 * 1000,       /* within which the webhook must report an order of ours */
    LIMIT_MS = 6 * 3600 * 1000, /* how long a limit that Heroku named is believed */
    HOOK_AGAIN_MS = 600 * 1000,
    HOOK_REFUSED_MS = 6 * 3600 * 1000,
    RENEW_AGAIN_MS = 60 * 1000,
    LISTED = 1000, /* the most entries that we ask Heroku for at once; its default is 200 */
};

/* ---- Settings ------------------------------------------------------------------------------- */

static const char *name_of(const json_t *settings) {
    return json_string_value(json_object_get(settings, "app"));
}

static bool check_fields(const json_t *settings, char *error, size_t size) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)settings, name, value) {
        bool known = strcmp(name, "app") == 0 || strcmp(name, "addon") == 0;
        bool right = known ? json_is_string(value) && heroku_is_name(json_string_value(value))
                     : strcmp(name, "webhooks") == 0 ? json_is_boolean(value)
                                                     : json_is_integer(value);
        if (strcmp(name, "limit") == 0 && right)
            right = json_integer_value(value) >= 1 && json_integer_value(value) <= 1000;
        if (!known && strcmp(name, "webhooks") != 0 && strcmp(name, "limit") != 0) {
            snprintf(error, size, "%.40s: is not known; there are app, addon, webhooks and limit",
                     name);
            return false;
        }
        if (!right) {
            snprintf(error, size, "%s: must be %s", name,
                     known                        ? "a name or id at Heroku: a-z, 0-9 and -"
                     : strcmp(name, "limit") == 0 ? "from 1 to 1000"
                                                  : "true or false");
            return false;
        }
    }
    return true;
}

static bool heroku_check(const json_t *settings, const char *secret, char *error, size_t size) {
    struct heroku_credential credential;
    if (!check_fields(settings, error, size)) return false;
    if (!name_of(settings)) {
        snprintf(error, size, "app: must be given, the app's name at Heroku");
        return false;
    }
    bool right = heroku_read_credential(&credential, secret, error, size);
    sodium_memzero(&credential, sizeof credential);
    return right;
}

/* ---- One conversation ----------------------------------------------------------------------- */

/* What one call of the platform's functions knows and uses. */
struct talk {
    const struct platform_app *app;
    const char *name;
    char what[64];
    struct heroku_credential credential;
    struct heroku_known known;
    int64_t until_ms;
};

static bool talk_begin(struct talk *talk, const struct platform_app *app, char *error,
                       size_t size) {
    memset(talk, 0, sizeof *talk);
    talk->app = app;
    talk->name = name_of(app->settings);
    if (!talk->name) {
        snprintf(error, size, "the app's name at Heroku is not known yet");
        return false;
    }
    snprintf(talk->what, sizeof talk->what, "the app %.44s", talk->name);
    talk->until_ms = ds_clock_monotonic_ms() + app->deadline_ms;
    if (!heroku_read_credential(&talk->credential, app->secret, error, size)) return false;
    /* The refresh token identifies the account, since access tokens change. */
    const char *account = *talk->credential.refresh ? talk->credential.refresh
                          : *talk->credential.token ? talk->credential.token
                                                    : talk->credential.code;
    known_take(&talk->known, app->number, talk->name, account);
    return true;
}

static void talk_end(struct talk *talk) {
    known_put(&talk->known);
    sodium_memzero(&talk->credential, sizeof talk->credential);
}

/* `path` is appended to "/apps/NAME", or stands alone if it begins with two slashes. */
static void ask(struct talk *talk, const char *method, const char *path, const char *body,
                const char *range, struct heroku_reply *reply) {
    char whole[256];
    int64_t now_ms = ds_clock_monotonic_ms(), left_ms = talk->until_ms - now_ms;
    if (path[0] == '/' && path[1] == '/') snprintf(whole, sizeof whole, "%s", path + 1);
    else snprintf(whole, sizeof whole, "/apps/%s%s", talk->name, path);
    const struct heroku_call call = {.method = method,
                                     .path = whole,
                                     .body = body,
                                     .range = range,
                                     .token = talk->credential.token,
                                     .what = talk->what,
                                     .deadline_ms = left_ms > 1 ? left_ms : 1,
                                     .private_addresses = talk->app->private_addresses};
    heroku_api(&call, reply);
    if (reply->status) known_spent(talk->known.account, reply->remaining, now_ms);
    if (reply->status == 401 && *talk->credential.refresh) talk->known.renew = true;
}

/* ---- Reading -------------------------------------------------------------------------------- */

static void take_formation(struct heroku_known *known, const json_t *list) {
    struct heroku_type before[HEROKU_TYPES];
    int count = known->count;
    size_t i;
    const json_t *one;
    memcpy(before, known->types, sizeof before);
    known->count = 0;
    json_array_foreach(list, i, one) {
        const char *name = json_string_value(json_object_get(one, "type"));
        const char *size = json_string_value(json_object_get(one, "size"));
        const json_t *quantity = json_object_get(one, "quantity");
        if (!size)
            size = json_string_value(json_object_get(json_object_get(one, "dyno_size"), "name"));
        json_int_t number = json_is_integer(quantity) ? json_integer_value(quantity) : -1;
        if (!name || strlen(name) >= HEROKU_TYPE_SIZE || number < 0 || number > PLATFORM_DYNOS ||
            known->count == HEROKU_TYPES)
            continue;
        struct heroku_type *type = &known->types[known->count++];
        *type = (struct heroku_type){.up = -1, .booting = -1, .told_limit = -1};
        for (int j = 0; j < count; j++)
            if (strcmp(before[j].name, name) == 0) *type = before[j];
        /* Another size has another limit; another quantity has other dynos. */
        if (size && strcmp(type->size, size) != 0) type->told_limit = -1;
        if (type->quantity != (int)number) known->dynos_ms = -1;
        snprintf(type->name, sizeof type->name, "%s", name);
        snprintf(type->size, sizeof type->size, "%s", size ? size : "");
        type->quantity = (int)number;
    }
}

/* NULL: there are more than Heroku lists at once, so how many are up is unknown. */
static void take_dynos(struct heroku_known *known, const json_t *list) {
    size_t i;
    const json_t *dyno;
    for (int j = 0; j < known->count; j++)
        known->types[j].up = known->types[j].booting = list ? 0 : -1;
    json_array_foreach(list, i, dyno) {
        const char *name = json_string_value(json_object_get(dyno, "type"));
        const char *state = json_string_value(json_object_get(dyno, "state"));
        struct heroku_type *type = name ? known_type(known, name) : NULL;
        if (!type || !state) continue;
        if (strcmp(state, "up") == 0 || strcmp(state, "idle") == 0) type->up++;
        else if (strcmp(state, "starting") == 0 || strcmp(state, "provisioning") == 0)
            type->booting++;
    }
}

/* Seconds since the epoch of "2026-11-29T12:00:00Z"; 0 for anything else. */
static int64_t moment(const char *text) {
    struct tm date = {0};
    if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &date)) return 0;
    return timegm(&date);
}

static void take_release(struct heroku_known *known, const json_t *list) {
    const json_t *newest = json_array_get(list, 0);
    const char *status = json_string_value(json_object_get(newest, "status"));
    known->release_s = moment(json_string_value(json_object_get(newest, "created_at")));
    known->releasing = status ? strcmp(status, "pending") == 0 : -1;
}

static bool all_up(const struct heroku_known *known) {
    for (int i = 0; i < known->count; i++)
        if (known->types[i].up != known->types[i].quantity) return false;
    return true;
}

/* A quarter early counts as due: readings do not come exactly on time. */
static bool due(int64_t read_ms, int64_t every_ms, int64_t now_ms) {
    return read_ms < 0 || now_ms - read_ms >= every_ms - every_ms / 4;
}

/* Reads dynos, the newest release and prices. A reading is complete without them. */
static void read_more(struct talk *talk, int64_t pause_ms, int64_t now_ms) {
    struct heroku_known *known = &talk->known;
    int64_t seldom_ms = SELDOM * pause_ms * (known_trusted(known, now_ms) ? SELDOM : 1);
    struct heroku_reply reply;
    if (due(known->dynos_ms, seldom_ms, now_ms) ||
        (!all_up(known) && due(known->dynos_ms, pause_ms, now_ms))) {
        ask(talk, "GET", "/dynos", NULL, "id ..; max=1000", &reply);
        if (reply.json) take_dynos(known, json_array_size(reply.json) < LISTED ? reply.json : NULL);
        if (reply.json) known->dynos_ms = now_ms;
        heroku_reply_free(&reply);
    }
    if (due(known->releases_ms, seldom_ms, now_ms) ||
        (known->releasing == 1 && due(known->releases_ms, pause_ms, now_ms))) {
        ask(talk, "GET", "/releases", NULL, "version ..; order=desc,max=1", &reply);
        if (reply.json) take_release(known, reply.json);
        if (reply.json) known->releases_ms = now_ms;
        heroku_reply_free(&reply);
    }
    if (known_prices_old(now_ms)) {
        ask(talk, "GET", "//dyno-sizes", NULL, NULL, &reply);
        known_set_prices(reply.json, now_ms);
        heroku_reply_free(&reply);
    }
}

/* Stops relying on the webhook if it did not report an order of ours in time. */
static void check_webhook(struct talk *talk, int64_t now_ms) {
    struct heroku_known *known = &talk->known;
    if (!known->proof_ms || now_ms < known->proof_ms || known->heard_ms < 0) return;
    log_line(LOG_WARN, "heroku",
             "%s: its webhook did not report our own order, so its formation is read often again",
             talk->app->app);
    known->heard_ms = -1;
}

/* A refusal is remembered for a while, and is then the answer without asking again. */
static void remember_refusal(struct heroku_known *known, const struct platform_answer *answer,
                             int64_t now_ms) {
    known->refused_until_ms = 0;
    if (answer->result == PLATFORM_OK || answer->result == PLATFORM_FAILED) return;
    known->refused = *answer;
    known->refused_until_ms = now_ms + (answer->wait_s > 0 ? answer->wait_s * 1000LL : REFUSED_MS);
}

static struct platform_answer read_formation(struct talk *talk, int64_t now_ms) {
    struct heroku_known *known = &talk->known;
    struct heroku_reply reply;
    ask(talk, "GET", "/formation", NULL, NULL, &reply);
    struct platform_answer answer = reply.answer;
    if (answer.result == PLATFORM_OK && !json_is_array(reply.json))
        answer = platform_trouble(PLATFORM_FAILED, "Heroku gave a formation that can't be read");
    if (answer.result == PLATFORM_OK) {
        take_formation(known, reply.json);
        known->formation_ms = now_ms;
    }
    heroku_reply_free(&reply);
    remember_refusal(known, &answer, now_ms);
    return answer;
}

/* Reads everything that is due. Not OK: the formation is unknown. */
static struct platform_answer refresh(struct talk *talk) {
    struct heroku_known *known = &talk->known;
    int64_t now_ms = ds_clock_monotonic_ms();
    check_webhook(talk, now_ms);
    if (talk->app->fresh) known->formation_ms = known->dynos_ms = known->releases_ms = -1;
    else if (now_ms < known->refused_until_ms) return known->refused;
    int64_t pause_ms = known_pause_ms(known->account, now_ms);
    if (pause_ms < 0 && known->formation_ms >= 0 && !talk->app->fresh) return platform_ok();
    if (pause_ms < 0) pause_ms = LOW_MS;
    int64_t every_ms = known_trusted(known, now_ms) ? TRUSTED_MS : pause_ms;
    if (due(known->formation_ms, every_ms, now_ms)) {
        struct platform_answer answer = read_formation(talk, now_ms);
        if (answer.result != PLATFORM_OK) return answer;
    }
    read_more(talk, pause_ms, now_ms);
    return platform_ok();
}

/* How many dynos of a size a process type may have, if the account has no special agreement
 * (https://devcenter.heroku.com/articles/dyno-scaling-and-process-limits); -1: unknown. */
static int usual_limit(const char *size) {
    static const struct {
        const char *begins;
        int limit;
    } limits[] = {{"eco", 1},       {"basic", 1},    {"standard-", 100}, {"performance-", 10},
                  {"private-", 10}, {"shield-", 10}, {"dyno-", 255}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (strncasecmp(size, limits[i].begins, strlen(limits[i].begins)) == 0)
            return limits[i].limit;
    return -1;
}

static int limit_of(const struct talk *talk, const struct heroku_type *type) {
    const json_t *set = json_object_get(talk->app->settings, "limit");
    int64_t now_ms = ds_clock_monotonic_ms();
    int limit = json_is_integer(set) ? (int)json_integer_value(set) : usual_limit(type->size);
    /* An account that has more already has a special agreement. */
    if (limit >= 0 && type->quantity > limit) limit = -1;
    bool told = type->told_limit >= 0 && now_ms - type->told_limit_ms < LIMIT_MS;
    return told && (limit < 0 || type->told_limit < limit) ? type->told_limit : limit;
}

static struct platform_answer no_such_type(const struct talk *talk, const char *process) {
    char types[120] = "";
    size_t length = 0;
    for (int i = 0; i < talk->known.count && length < sizeof types; i++)
        length += (size_t)snprintf(types + length, sizeof types - length, "%s%s", i > 0 ? ", " : "",
                                   talk->known.types[i].name);
    return platform_trouble(PLATFORM_REFUSED,
                            "the app %.44s has no process type “%.40s”: it has %s", talk->name,
                            process, *types ? types : "none yet");
}

static struct platform_answer show(struct talk *talk, const char *process,
                                   struct platform_formation *formation) {
    const struct heroku_known *known = &talk->known;
    const struct heroku_type *type = known_type(&talk->known, process);
    int64_t now_ms = ds_clock_monotonic_ms();
    if (!type) return no_such_type(talk, process);
    formation->ordered = type->quantity;
    if (known->dynos_ms >= 0) formation->up = type->up;
    if (known->dynos_ms >= 0) formation->booting = type->booting;
    formation->releasing = known->releasing;
    formation->release_s = known->release_s;
    formation->price_a_month = known_price(type->size);
    snprintf(formation->currency, sizeof formation->currency, "USD");
    if (!known_trusted(known, now_ms)) formation->age_ms = now_ms - known->formation_ms;
    struct platform_answer answer = platform_ok();
    answer.limit = limit_of(talk, type);
    return answer;
}

/* ---- The webhook ---------------------------------------------------------------------------- */

static void hook_path(const struct talk *talk, char path[128], const char *id) {
    const char *addon = json_string_value(json_object_get(talk->app->settings, "addon"));
    if (addon) snprintf(path, 128, "//addons/%s/webhooks%s%s", addon, *id ? "/" : "", id);
    else snprintf(path, 128, "/webhooks%s%s", *id ? "/" : "", id);
}

/* Finds the id of the webhook with our address; "": there is none. False: it can't be told. */
static bool find_hook(struct talk *talk, char id[48], struct platform_answer *answer) {
    struct heroku_reply reply;
    char path[128];
    size_t i;
    const json_t *hook;
    *id = '\0';
    hook_path(talk, path, "");
    ask(talk, "GET", path, NULL, NULL, &reply);
    *answer = reply.answer;
    json_array_foreach(reply.json, i, hook) {
        const char *url = json_string_value(json_object_get(hook, "url"));
        const char *given = json_string_value(json_object_get(hook, "id"));
        if (url && given && strcmp(url, talk->app->hook_url) == 0 && heroku_is_name(given))
            snprintf(id, 48, "%s", given);
    }
    heroku_reply_free(&reply);
    return answer->result == PLATFORM_OK;
}

/* Creates the webhook, or gives the existing one our secret. */
static void ask_for_hook(struct talk *talk) {
    struct heroku_known *known = &talk->known;
    int64_t now_ms = ds_clock_monotonic_ms();
    char id[48], path[128];
    struct platform_answer answer;
    if (find_hook(talk, id, &answer)) {
        struct heroku_reply reply;
        json_t *body = json_pack("{s:[s,s,s], s:s, s:s, s:s}", "include", "api:formation",
                                 "api:release", "dyno", "level", "sync", "url", talk->app->hook_url,
                                 "secret", talk->app->hook_secret);
        char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
        hook_path(talk, path, id);
        ask(talk, *id ? "PATCH" : "POST", path, text ? text : "{}", NULL, &reply);
        answer = reply.answer;
        heroku_reply_free(&reply);
        if (text) sodium_memzero(text, strlen(text));
        free(text);
        json_decref(body);
    }
    bool there = answer.result == PLATFORM_OK;
    bool refused = answer.result == PLATFORM_REFUSED;
    known->hook = there ? HOOK_THERE : HOOK_NOT_GIVEN;
    known->hook_next_ms = now_ms + (refused ? HOOK_REFUSED_MS : HOOK_AGAIN_MS);
    if (!there)
        log_line(LOG_INFO, "heroku", "%s: no webhook, so it is read often: %s", talk->app->app,
                 answer.trouble);
}

static bool wants_hook(const struct talk *talk) {
    const struct platform_app *app = talk->app;
    if (!app->hook_url || !app->hook_secret || talk->known.app == 0) return false;
    if (json_is_false(json_object_get(app->settings, "webhooks"))) return false;
    if (strncmp(app->hook_url, "https://", 8) != 0 && !app->private_addresses) return false;
    return talk->known.hook != HOOK_THERE && ds_clock_monotonic_ms() >= talk->known.hook_next_ms;
}

static bool heroku_hook_right(const char *secret, const char *signature, const char *body,
                              size_t length) {
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    char right[64];
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret, strlen(secret));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)body, length);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_bin2base64(right, sizeof right, mac, sizeof mac, sodium_base64_VARIANT_ORIGINAL);
    return strlen(signature) == strlen(right) &&
           sodium_memcmp(signature, right, strlen(right)) == 0;
}

static bool heroku_hook_told(int64_t app, const char *body, size_t length) {
    json_t *json = json_read(body, length, 0, NULL);
    const json_t *data = json_object_get(json, "data");
    const char *resource = json_string_value(json_object_get(json, "resource"));
    bool changed = false;
    if (resource && strcmp(resource, "formation") == 0) {
        const char *type = json_string_value(json_object_get(data, "type"));
        const char *size = json_string_value(json_object_get(data, "size"));
        json_int_t quantity = json_integer_value(json_object_get(data, "quantity"));
        bool usable = type && quantity >= 0 && quantity <= PLATFORM_DYNOS;
        changed = known_tell_formation(app, usable ? type : "", size ? size : "",
                                       usable ? (int)quantity : -1);
    } else if (resource && strcmp(resource, "release") == 0) {
        known_tell_release(app);
    } else if (resource && strcmp(resource, "dyno") == 0) {
        known_tell_dynos(app);
    }
    json_decref(json);
    return changed;
}

/* ---- The table ------------------------------------------------------------------------------ */

static struct platform_answer heroku_read(const struct platform_app *app, const char *process,
                                          struct platform_formation *formation) {
    struct talk talk;
    char error[160];
    *formation = platform_unknown;
    if (!talk_begin(&talk, app, error, sizeof error))
        return platform_trouble(PLATFORM_REFUSED, "%s", error);
    struct platform_answer answer = refresh(&talk);
    if (answer.result == PLATFORM_OK) answer = show(&talk, process, formation);
    if (answer.result == PLATFORM_OK && wants_hook(&talk)) ask_for_hook(&talk);
    talk_end(&talk);
    return answer;
}

/* Records what the answer to an order says. */
static void note_order(struct talk *talk, const char *process, int dynos,
                       const struct platform_answer *answer) {
    struct heroku_known *known = &talk->known;
    struct heroku_type *type = known_type(known, process);
    int64_t now_ms = ds_clock_monotonic_ms();
    if (answer->result == PLATFORM_OK) {
        if (type) type->quantity = dynos;
        known->dynos_ms = -1;
        if (known->hook == HOOK_THERE && !known->proof_ms) known->proof_ms = now_ms + PROOF_MS;
    } else if (answer->result == PLATFORM_LIMITED && type) {
        type->told_limit = answer->limit;
        type->told_limit_ms = now_ms;
    } else {
        known->formation_ms = -1; /* the order may have been carried out all the same */
    }
}

/* Whether the process type may stand in a path: Heroku allows no other names. */
static bool is_type(const char *process) {
    size_t length = strlen(process);
    return length > 0 && length < HEROKU_TYPE_SIZE &&
           strspn(process, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
               length;
}

/* Checks that the answer to an order names the number that was ordered. */
static struct platform_answer confirm(const json_t *formation, const char *process, int dynos) {
    const json_t *quantity = json_object_get(formation, "quantity");
    if (!json_is_integer(quantity))
        return platform_trouble(PLATFORM_FAILED,
                                "Heroku's answer does not say how many dynos of %.40s it runs now",
                                process);
    if (json_integer_value(quantity) == dynos) return platform_ok();
    return platform_trouble(PLATFORM_FAILED,
                            "Heroku was asked for %d dynos of %.40s, and answers that it runs %d",
                            dynos, process, (int)json_integer_value(quantity));
}

/* The same for several orders at once. */
static struct platform_answer confirm_one_of(const json_t *formations, const char *process,
                                             int dynos) {
    size_t i;
    const json_t *one;
    json_array_foreach(formations, i, one) {
        const char *type = json_string_value(json_object_get(one, "type"));
        if (type && strcmp(type, process) == 0) return confirm(one, process, dynos);
    }
    return confirm(NULL, process, dynos);
}

static struct platform_answer set_one(struct talk *talk, const char *process, int dynos) {
    struct heroku_reply reply;
    char path[128], body[48];
    if (!is_type(process))
        return platform_trouble(PLATFORM_REFUSED,
                                "Heroku has no process type of such a name: "
                                "“%.40s”",
                                process);
    snprintf(path, sizeof path, "/formation/%s", process);
    snprintf(body, sizeof body, "{\"quantity\":%d}", dynos);
    snprintf(talk->what, sizeof talk->what, "%.20s of the app %.30s", process, talk->name);
    ask(talk, "PATCH", path, body, NULL, &reply);
    if (reply.answer.result == PLATFORM_OK) reply.answer = confirm(reply.json, process, dynos);
    note_order(talk, process, dynos, &reply.answer);
    heroku_reply_free(&reply);
    return reply.answer;
}

static struct platform_answer heroku_set(const struct platform_app *app, const char *process,
                                         int dynos, const char *reason) {
    struct talk talk;
    char error[160];
    (void)reason; /* Heroku has no field for it */
    if (!talk_begin(&talk, app, error, sizeof error))
        return platform_trouble(PLATFORM_REFUSED, "%s", error);
    struct platform_answer answer = set_one(&talk, process, dynos);
    talk_end(&talk);
    return answer;
}

/* Sends all orders or none. If Heroku refuses them as a whole, each is sent alone, so that an
 * impossible one does not hold up the others. */
static void heroku_set_many(const struct platform_app *app, struct platform_change *changes,
                            int count) {
    struct talk talk;
    struct heroku_reply reply = {0};
    char error[160];
    bool began = talk_begin(&talk, app, error, sizeof error);
    json_t *updates = json_array(), *body = json_pack("{s:o}", "updates", updates);
    for (int i = 0; i < count && began; i++)
        json_array_append_new(updates, json_pack("{s:s, s:i}", "type", changes[i].process,
                                                 "quantity", changes[i].dynos));
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    struct platform_answer answer =
        platform_trouble(began ? PLATFORM_FAILED : PLATFORM_REFUSED, "%s",
                         began ? "no memory to ask Heroku" : error);
    if (began && text) {
        ask(&talk, "PATCH", "/formation", text, NULL, &reply);
        answer = reply.answer;
    }
    bool alone = began && (reply.status == 422 || reply.status == 404);
    for (int i = 0; i < count; i++) {
        struct platform_change *change = &changes[i];
        if (alone) {
            change->answer = set_one(&talk, change->process, change->dynos);
            continue;
        }
        change->answer = answer.result != PLATFORM_OK
                             ? answer
                             : confirm_one_of(reply.json, change->process, change->dynos);
        if (began) note_order(&talk, change->process, change->dynos, &change->answer);
    }
    heroku_reply_free(&reply);
    if (began) talk_end(&talk);
    free(text);
}

static struct platform_answer heroku_renew_if_due(const struct platform_app *app, int64_t now_s,
                                                  char **secret) {
    struct talk talk;
    char error[160];
    *secret = NULL;
    if (!talk_begin(&talk, app, error, sizeof error))
        return platform_trouble(PLATFORM_REFUSED, "%s", error);
    int64_t now_ms = ds_clock_monotonic_ms();
    bool soon = talk.known.renewed_ms >= 0 && now_ms - talk.known.renewed_ms < RENEW_AGAIN_MS;
    bool alive = *talk.credential.token && talk.credential.expires_s > now_s;
    struct platform_answer answer = platform_ok();
    bool asks = *talk.credential.refresh || !*talk.credential.token;
    if (soon && !alive && asks && talk.known.refused.result == PLATFORM_REFUSED) {
        answer = talk.known.refused; /* it was reported a moment ago */
    } else if (asks && !(soon && alive)) {
        answer = heroku_renew(app, now_s, talk.known.renew, secret);
        bool tried = *secret || answer.result != PLATFORM_OK || talk.known.renew;
        if (tried) talk.known.renewed_ms = now_ms;
        if (answer.result != PLATFORM_OK) talk.known.refused = answer;
        talk.known.renew = false;
    }
    talk_end(&talk);
    return answer;
}

/* Removes the webhook: otherwise Heroku goes on sending. */
static void heroku_forget(const struct platform_app *app) {
    struct talk talk;
    char error[160], id[48], path[128];
    struct platform_answer answer;
    if (!app->hook_url || !talk_begin(&talk, app, error, sizeof error)) return;
    if (find_hook(&talk, id, &answer) && *id) {
        struct heroku_reply reply;
        hook_path(&talk, path, id);
        ask(&talk, "DELETE", path, NULL, NULL, &reply);
        heroku_reply_free(&reply);
    }
    talk.known.hook = HOOK_NOT_ASKED;
    talk_end(&talk);
}

const struct platform platform_heroku = {.kind = "heroku",
                                         .local_only = false,
                                         .read_every_s = 10,
                                         .check = heroku_check,
                                         .read = heroku_read,
                                         .set = heroku_set,
                                         .set_many = heroku_set_many,
                                         .renew = heroku_renew_if_due,
                                         .hook_right = heroku_hook_right,
                                         .hook_told = heroku_hook_told,
                                         .forget = heroku_forget};
