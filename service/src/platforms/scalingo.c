/*
 * Scalingo: a container type of an app is a process type.
 *
 *     POST https://auth.scalingo.com/v1/tokens/exchange   basic, without a name: the API token
 *         {"token": "..."}, a bearer token for an hour
 *     GET  /v1/apps/APP/containers                        {"containers": [{"name", "amount",
 * "size"}]} POST /v1/apps/APP/scale  {"containers": [{"name": "web", "amount": 3}]}    202
 *
 * From https://developers.scalingo.com/apps#scale-an-application, .../index#authentication and
 * .../index#errors. The bearer token is kept with the credential, sealed, and exchanged anew 10
 * minutes before its end. Container types that are not named are left as they are.
 *
 * FAILED: 408, 5xx, no answer. BUSY: 429. LOCKED: 409, 423, and a 422 or 400 that speaks of a
 * deployment or another operation (inferred: another scale or a restart is under way). REFUSED:
 * 401, 402 (billing), 403, 404 and any other 4xx, as a number above the account's limit, which
 * Scalingo tells in words alone.
 *
 * Settings: `app` at Scalingo, else the name here; `region`, else osc-fr1; `processes`, else the
 * process type's name; `api` and `auth`, addresses in place of those of the region. Secret: an API
 * token (tk-us-...).
 */
#define _GNU_SOURCE /* strcasestr */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_read.h"
#include "platforms/rest.h"

enum { TOKEN = 400, HOUR_S = 3600, AHEAD_S = 600 };

/* The API token, or as stored after a renewal: {"token": "tk-...", "bearer": "...", "until":
 * 1700000000}. The caller releases it; NULL: it is malformed. */
static json_t *read_secret(const char *secret) {
    json_t *json = secret && *secret == '{' ? json_read_string(secret, 0, NULL)
                   : secret                 ? json_pack("{s:s}", "token", secret)
                                            : NULL;
    if (json_is_string(json_object_get(json, "token"))) return json;
    json_decref(json);
    return NULL;
}

static bool scalingo_check(const json_t *settings, const char *secret, char *error, size_t size) {
    static const char *const known[] = {"app", "region", "api", "auth", NULL};
    if (!rest_check(settings, known, error, size)) return false;
    json_t *json = read_secret(secret);
    const char *token = json_string_value(json_object_get(json, "token"));
    if (token && strlen(token) >= TOKEN) token = NULL;
    bool right = rest_check_secret(token, "an API token of Scalingo", error, size);
    json_decref(json);
    return right;
}

/* ---- The bearer token -------------------------------------------------------------------------
 */

static struct platform_answer exchange(const struct platform_app *app, const char *token,
                                       int64_t now_s, char **secret) {
    char pair[TOKEN + 2], basic[2 * TOKEN], header[2 * TOKEN + 32], url[REST_URL];
    struct rest_call call = rest_begin(app, "Scalingo");
    struct rest_answer got;
    snprintf(pair, sizeof pair, ":%s", token);
    sodium_bin2base64(basic, sizeof basic, (const unsigned char *)pair, strlen(pair),
                      sodium_base64_VARIANT_ORIGINAL);
    snprintf(header, sizeof header, "Authorization: Basic %s", basic);
    snprintf(url, sizeof url, "%s/v1/tokens/exchange",
             rest_setting(app, "auth", "https://auth.scalingo.com"));
    call.what = "the API token", call.method = "POST", call.url = url, call.body = "{}";
    call.headers[0] = header;
    rest_call(&call, &got);
    const char *bearer = json_string_value(json_object_get(got.json, "token"));
    if (got.answer.result == PLATFORM_OK && !bearer)
        got.answer = platform_trouble(PLATFORM_FAILED, "Scalingo gave no token");
    if (got.answer.result == PLATFORM_OK) {
        json_t *made = json_pack("{s:s, s:s, s:I}", "token", token, "bearer", bearer, "until",
                                 (json_int_t)(now_s + HOUR_S));
        *secret = made ? json_dumps(made, JSON_COMPACT) : NULL;
        json_decref(made);
    }
    rest_free(&got);
    sodium_memzero(pair, sizeof pair);
    sodium_memzero(basic, sizeof basic);
    sodium_memzero(header, sizeof header);
    return got.answer;
}

static struct platform_answer scalingo_renew(const struct platform_app *app, int64_t now_s,
                                             char **secret) {
    json_t *json = read_secret(app->secret);
    const char *token = json_string_value(json_object_get(json, "token"));
    int64_t until_s = json_integer_value(json_object_get(json, "until"));
    struct platform_answer answer = platform_ok();
    *secret = NULL;
    if (!token || strlen(token) >= TOKEN)
        answer = platform_trouble(PLATFORM_REFUSED, "there is no API token of Scalingo: set one");
    else if (until_s - now_s < AHEAD_S || until_s - now_s > HOUR_S) {
        answer = exchange(app, token, now_s, secret);
        /* Renewed early: if that fails, the old token serves until it ends. */
        if (answer.result == PLATFORM_FAILED && until_s > now_s) answer = platform_ok();
    }
    json_decref(json);
    return answer;
}

/* ---- Containers -------------------------------------------------------------------------------
 */

/* Whether the error says that an operation holds the app, which ends by itself. */
static bool speaks_of_a_lock(const char *words) {
    static const char *const signs[] = {"deploying", "deployment",  "restarting", "scaling",
                                        "operation", "in progress", "under way"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (strcasestr(words, signs[i])) return true;
    return false;
}

/* Makes one call about the app; `body` may be NULL. rest_free releases the answer. */
static void ask(const struct platform_app *app, const char *process, const char *method,
                const char *path, const char *body, struct rest_answer *got) {
    char url[REST_URL], what[320], region[400];
    const char *name = rest_setting(app, "app", app->app);
    const char *type = rest_process(app, process, process);
    struct rest_call call = rest_begin(app, "Scalingo");
    *got = (struct rest_answer){.answer = rest_no_process(app, process, "the container type")};
    if (!type || !rest_is_name(name)) return;
    snprintf(region, sizeof region, "https://api.%.60s.scalingo.com",
             rest_setting(app, "region", "osc-fr1"));
    snprintf(url, sizeof url, "%s/v1/apps/%s/%s", rest_setting(app, "api", region), name, path);
    snprintf(what, sizeof what, "%.100s of %.100s", type, name);
    json_t *secret = read_secret(app->secret);
    call.what = what, call.method = method, call.url = url, call.body = body;
    call.bearer = json_string_value(json_object_get(secret, "bearer"));
    rest_call(&call, got);
    if ((got->status == 422 || got->status == 400) && speaks_of_a_lock(got->words))
        got->answer =
            platform_trouble(PLATFORM_LOCKED, "another change holds %s: %s", what, got->words);
    json_decref(secret);
}

/* How many containers of a type the answer names; -1: none. */
static int amount_of(const json_t *json, const char *type) {
    int amount = -1;
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(json, "containers"), i, one) {
        const char *name = json_string_value(json_object_get(one, "name"));
        if (name && type && strcmp(name, type) == 0)
            amount = rest_count(json_object_get(one, "amount"));
    }
    return amount;
}

static struct platform_answer scalingo_read(const struct platform_app *app, const char *process,
                                            struct platform_formation *formation) {
    struct rest_answer got;
    const char *type = rest_process(app, process, process);
    *formation = platform_unknown;
    ask(app, process, "GET", "containers", NULL, &got);
    struct platform_answer answer = got.answer;
    if (answer.result == PLATFORM_OK && !json_is_array(json_object_get(got.json, "containers")))
        answer = platform_trouble(PLATFORM_FAILED,
                                  "Scalingo's answer does not say which containers there are");
    else if (answer.result == PLATFORM_OK) formation->ordered = amount_of(got.json, type);
    if (answer.result == PLATFORM_OK && formation->ordered < 0)
        answer = platform_trouble(PLATFORM_REFUSED,
                                  "Scalingo has no containers of the type %.60s: name it with "
                                  "%.60s=TYPE",
                                  type ? type : process, process);
    rest_free(&got);
    return answer;
}

static struct platform_answer scalingo_set(const struct platform_app *app, const char *process,
                                           int dynos, const char *reason) {
    struct rest_answer got;
    const char *type = rest_process(app, process, process);
    (void)reason;
    json_t *body =
        json_pack("{s:[{s:s, s:i}]}", "containers", "name", type ? type : "", "amount", dynos);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (!text) return platform_trouble(PLATFORM_FAILED, "no memory to ask Scalingo");
    ask(app, process, "POST", "scale", text, &got);
    int told = amount_of(got.json, type);
    if (got.answer.result == PLATFORM_OK && told >= 0 && told != dynos)
        got.answer = platform_trouble(PLATFORM_FAILED,
                                      "Scalingo was asked for %d containers, and answers that "
                                      "there are %d",
                                      dynos, told);
    rest_free(&got);
    free(text);
    return got.answer;
}

const struct platform platform_scalingo = {.kind = "scalingo",
                                           .local_only = false,
                                           .read_every_s = 10,
                                           .check = scalingo_check,
                                           .read = scalingo_read,
                                           .set = scalingo_set,
                                           .renew = scalingo_renew};
