/*
 * Railway: a service in an environment is a process type, its replicas are the dynos. GraphQL, POST
 * to https://backboard.railway.com/graphql/v2 with a project's token:
 *
 *     query    serviceInstance(serviceId, environmentId) { numReplicas }
 *     mutation serviceInstanceUpdate(serviceId, environmentId, input: {numReplicas: 3})
 *
 * From https://docs.railway.com/guides/public-api and .../reference/scaling. An error is a list
 * `errors` in an answer of 200 or 400, known by its words (inferred): "Not Authorized" and "not
 * found" are REFUSED, "rate limit" is BUSY, "Problem processing request" FAILED, others REFUSED.
 * 429: BUSY. 409: LOCKED. 5xx, no answer: FAILED. LIMITED: above 50 replicas, known before it is
 * asked. A service whose replicas are set for each region (multiRegionConfig) may ignore
 * numReplicas: the order is then seen not to be followed.
 *
 * Settings: `environment` (an ID) and processes {"web": "SERVICE_ID"}, needed; `api` in place of
 * https://backboard.railway.com. Secret: a project token.
 */
#define _GNU_SOURCE /* strcasestr */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platforms/rest.h"

enum { MOST = 50, TOKEN = 1024 };

static bool railway_check(const json_t *settings, const char *secret, char *error, size_t size) {
    static const char *const known[] = {"environment", "api", NULL};
    if (!json_object_get(settings, "environment")) {
        snprintf(error, size, "environment: must be given, its ID");
        return false;
    }
    if (json_object_size(json_object_get(settings, "processes")) == 0) {
        snprintf(error, size, "processes: must say which service is which process type, by its ID");
        return false;
    }
    if (!rest_check(settings, known, error, size)) return false;
    if (secret && strlen(secret) >= TOKEN - 40) secret = "";
    return rest_check_secret(secret, "a project token of Railway", error, size);
}

static void explain(const struct rest_call *call, struct rest_answer *got) {
    if (!json_object_get(got->json, "errors")) return;
    if (got->status == 429 || got->status == 409 || got->status >= 500) return;
    const char *words = got->words;
    if (strcasestr(words, "not authorized") || strcasestr(words, "unauthorized"))
        got->answer = platform_trouble(PLATFORM_REFUSED,
                                       "Railway refuses the credential, or it may not do this to "
                                       "%s: %s",
                                       call->what, words);
    else if (strcasestr(words, "rate limit"))
        got->answer = platform_trouble(PLATFORM_BUSY, "Railway's rate limit is used up: %s", words);
    else if (strcasestr(words, "problem processing"))
        got->answer =
            platform_trouble(PLATFORM_FAILED, "Railway has trouble of its own: %s", words);
    else
        got->answer = platform_trouble(PLATFORM_REFUSED, "Railway refuses this for %s: %s",
                                       call->what, words);
}

/* Sends one operation about a process's service; rest_free releases the answer. */
static void ask(const struct platform_app *app, const char *process, const char *query, int dynos,
                struct rest_answer *got) {
    const char *service = rest_process(app, process, NULL);
    char url[REST_URL], what[320], token[TOKEN];
    struct rest_call call = rest_begin(app, "Railway");
    *got = (struct rest_answer){.answer = rest_no_process(app, process, "the service")};
    if (!service || !rest_is_name(service)) return;
    json_t *body = json_pack("{s:s, s:{s:s, s:s}}", "query", query, "variables", "s", service, "e",
                             rest_setting(app, "environment", ""));
    if (dynos >= 0)
        json_object_set_new(json_object_get(body, "variables"), "n", json_integer(dynos));
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    got->answer = platform_trouble(PLATFORM_FAILED, "no memory to ask Railway");
    if (!text) return;
    snprintf(url, sizeof url, "%s/graphql/v2",
             rest_setting(app, "api", "https://backboard.railway.com"));
    snprintf(what, sizeof what, "service %.120s", service);
    snprintf(token, sizeof token, "Project-Access-Token: %s", app->secret ? app->secret : "");
    call.what = what, call.method = "POST", call.url = url, call.body = text;
    call.headers[0] = token;
    rest_call(&call, got);
    explain(&call, got);
    sodium_memzero(token, sizeof token);
    free(text);
}

static struct platform_answer railway_read(const struct platform_app *app, const char *process,
                                           struct platform_formation *formation) {
    struct rest_answer got;
    *formation = platform_unknown;
    ask(app, process,
        "query($s:String!,$e:String!){serviceInstance(serviceId:$s,environmentId:$e){numReplicas}}",
        -1, &got);
    struct platform_answer answer = got.answer;
    if (answer.result == PLATFORM_OK) {
        const json_t *instance =
            json_object_get(json_object_get(got.json, "data"), "serviceInstance");
        const json_t *replicas = json_object_get(instance, "numReplicas");
        /* The number was never set: then Railway runs one. */
        formation->ordered = instance && json_is_null(replicas) ? 1 : rest_count(replicas);
        if (formation->ordered < 0)
            answer = platform_trouble(PLATFORM_FAILED,
                                      "Railway's answer does not say how many replicas there are");
    }
    answer.limit = answer.result == PLATFORM_OK ? MOST : -1;
    rest_free(&got);
    return answer;
}

static struct platform_answer railway_set(const struct platform_app *app, const char *process,
                                          int dynos, const char *reason) {
    struct rest_answer got;
    (void)reason;
    if (dynos == 0)
        return platform_trouble(PLATFORM_REFUSED,
                                "Railway runs at least 1 replica: let the rules of %s have min: 1",
                                process);
    if (dynos > MOST) {
        struct platform_answer limited =
            platform_trouble(PLATFORM_LIMITED, "Railway runs at most %d replicas", MOST);
        limited.limit = MOST;
        return limited;
    }
    ask(app, process,
        "mutation($s:String!,$e:String!,$n:Int!){serviceInstanceUpdate(serviceId:$s,"
        "environmentId:$e,input:{numReplicas:$n})}",
        dynos, &got);
    if (got.answer.result == PLATFORM_OK &&
        !json_is_true(json_object_get(json_object_get(got.json, "data"), "serviceInstanceUpdate")))
        got.answer = platform_trouble(PLATFORM_FAILED,
                                      "Railway's answer does not say that it set the number");
    rest_free(&got);
    return got.answer;
}

const struct platform platform_railway = {.kind = "railway",
                                          .local_only = false,
                                          .read_every_s = 10,
                                          .check = railway_check,
                                          .read = railway_read,
                                          .set = railway_set};
