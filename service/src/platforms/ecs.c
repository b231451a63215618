/*
 * Amazon ECS: a service of a cluster is a process type, its tasks are the dynos. Each call is a
 * POST to https://ecs.REGION.amazonaws.com/ with X-Amz-Target, signed by libcurl with signature v4.
 *
 *     AmazonEC2ContainerServiceV20141113.DescribeServices  {"cluster", "services": ["web"]}
 *         services[0]: desiredCount, runningCount, pendingCount, deployments
 *     AmazonEC2ContainerServiceV20141113.UpdateService     {"cluster", "service", "desiredCount"}
 *
 * From https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html,
 * .../API_DescribeServices.html and .../CommonErrors.html. An error is a 400 whose `__type` names
 * it.
 *
 * BUSY: ThrottlingException and others of its kind. FAILED: ServerException, 5xx, no answer.
 * Nothing is a lock: a number may be set during a deployment, and what does not fit the cluster is
 * pending. REFUSED: a signature or access that is denied, a cluster or service that is not found or
 * drains, any other 400.
 *
 * Settings: `region`, needed; `cluster`, else "default"; `processes`, else the process type's name;
 * `api`, an endpoint of your own. Secret: "KEY_ID:SECRET", or with a session token behind a further
 * colon, of who may ecs:DescribeServices and ecs:UpdateService. Roles of instances are not used.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platforms/rest.h"

static bool ecs_check(const json_t *settings, const char *secret, char *error, size_t size) {
    static const char *const known[] = {"region", "cluster", "api", NULL};
    if (!rest_check(settings, known, error, size)) return false;
    if (!json_object_get(settings, "region")) {
        snprintf(error, size, "region: must be given, as eu-central-1");
        return false;
    }
    if (!rest_check_secret(secret, "KEY_ID:SECRET", error, size)) return false;
    const char *colon = strchr(secret, ':');
    if (colon && colon != secret && colon[1] && colon - secret < 200) return true;
    snprintf(error, size, "secret: must be KEY_ID:SECRET, or KEY_ID:SECRET:SESSION_TOKEN");
    return false;
}

/* ---- The call ---------------------------------------------------------------------------------
 */

struct place {
    const char *service;
    char url[REST_URL], what[320], signed_for[300], target[120];
    char key[1024], session[8192];
};

static void take_secret(struct place *place, const char *secret) {
    const char *first = strchr(secret, ':'), *second = first ? strchr(first + 1, ':') : NULL;
    size_t length = second ? (size_t)(second - secret) : strlen(secret);
    if (length >= sizeof place->key) length = sizeof place->key - 1;
    memcpy(place->key, secret, length);
    place->key[length] = '\0';
    if (second)
        snprintf(place->session, sizeof place->session, "X-Amz-Security-Token: %.8000s",
                 second + 1);
}

/* The caller wipes *place. */
static struct platform_answer begin(struct rest_call *call, struct place *place,
                                    const struct platform_app *app, const char *process) {
    const char *region = rest_setting(app, "region", ""), *api = rest_setting(app, "api", NULL);
    *place = (struct place){.service = rest_process(app, process, process)};
    *call = rest_begin(app, "ECS");
    if (!place->service || !rest_is_name(place->service))
        return rest_no_process(app, process, "the service");
    if (api) snprintf(place->url, sizeof place->url, "%s/", api);
    else
        snprintf(place->url, sizeof place->url, "https://ecs.%.60s.amazonaws.com%s/", region,
                 strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
    snprintf(place->what, sizeof place->what, "service %.100s of cluster %.100s", place->service,
             rest_setting(app, "cluster", "default"));
    snprintf(place->signed_for, sizeof place->signed_for, "aws:amz:%.60s:ecs", region);
    take_secret(place, app->secret ? app->secret : "");
    call->method = "POST", call->url = place->url, call->what = place->what;
    call->media_type = "application/x-amz-json-1.1";
    call->signed_for = place->signed_for, call->key = place->key;
    call->headers[0] = place->target;
    if (*place->session) call->headers[1] = place->session;
    return platform_ok();
}

static bool is_one_of(const char *type, const char *const *names) {
    for (; *names; names++)
        if (strcmp(type, *names) == 0) return true;
    return false;
}

/* Translates the error's name; if it says nothing, the status decides. */
static void explain(const struct rest_call *call, struct rest_answer *got) {
    static const char *const throttled[] = {"ThrottlingException", "Throttling",
                                            "RequestLimitExceeded", "TooManyRequestsException",
                                            NULL};
    static const char *const credential[] = {"UnrecognizedClientException",
                                             "InvalidSignatureException",
                                             "ExpiredTokenException",
                                             "InvalidClientTokenId",
                                             "MissingAuthenticationTokenException",
                                             "IncompleteSignature",
                                             NULL};
    static const char *const denied[] = {"AccessDeniedException", "OptInRequired",
                                         "BlockedException", NULL};
    static const char *const missing[] = {"ServiceNotFoundException", "ClusterNotFoundException",
                                          NULL};
    const char *type = json_string_value(json_object_get(got->json, "__type"));
    const char *hash = type ? strrchr(type, '#') : NULL;
    if (hash) type = hash + 1;
    if (!type || got->answer.result == PLATFORM_OK) return;
    if (is_one_of(type, throttled))
        got->answer = platform_trouble(PLATFORM_BUSY, "ECS's rate limit is used up (%s)", type);
    else if (is_one_of(type, credential))
        got->answer = platform_trouble(PLATFORM_REFUSED, "ECS refuses the credential (%s): %s",
                                       type, got->words);
    else if (is_one_of(type, denied))
        got->answer =
            platform_trouble(PLATFORM_REFUSED, "the credential may not do this to %s (%s): %s",
                             call->what, type, got->words);
    else if (is_one_of(type, missing))
        got->answer =
            platform_trouble(PLATFORM_REFUSED, "ECS does not find %s (%s)", call->what, type);
    else if (strcmp(type, "ServerException") == 0)
        got->answer = platform_trouble(PLATFORM_FAILED, "ECS has trouble of its own (%s)", type);
}

/* Takes `body` over. rest_free releases the answer. */
static void ask(struct rest_call *call, struct place *place, const char *action, json_t *body,
                struct rest_answer *got) {
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    *got =
        (struct rest_answer){.answer = platform_trouble(PLATFORM_FAILED, "no memory to ask ECS")};
    if (!text) return;
    snprintf(place->target, sizeof place->target,
             "X-Amz-Target: AmazonEC2ContainerServiceV20141113.%s", action);
    call->body = text;
    rest_call(call, got);
    call->body = NULL;
    explain(call, got);
    free(text);
}

/* ---- Reading and setting -----------------------------------------------------------------------
 */

static struct platform_answer take_service(const struct rest_call *call, const json_t *json,
                                           struct platform_formation *formation) {
    const json_t *service = json_array_get(json_object_get(json, "services"), 0);
    const json_t *failure = json_array_get(json_object_get(json, "failures"), 0);
    const char *status = json_string_value(json_object_get(service, "status"));
    if (!service && failure)
        return platform_trouble(PLATFORM_REFUSED, "ECS does not find %s (%.40s)", call->what,
                                json_string_value(json_object_get(failure, "reason"))
                                    ? json_string_value(json_object_get(failure, "reason"))
                                    : "a failure");
    if (status && strcmp(status, "ACTIVE") != 0)
        return platform_trouble(PLATFORM_REFUSED, "%s is not active (%.20s)", call->what, status);
    formation->ordered = rest_count(json_object_get(service, "desiredCount"));
    formation->up = rest_count(json_object_get(service, "runningCount"));
    formation->booting = rest_count(json_object_get(service, "pendingCount"));
    formation->releasing = json_array_size(json_object_get(service, "deployments")) > 1;
    return formation->ordered < 0 ? rest_not_understood(call) : platform_ok();
}

static struct platform_answer ecs_read(const struct platform_app *app, const char *process,
                                       struct platform_formation *formation) {
    struct rest_call call;
    struct place place;
    *formation = platform_unknown;
    struct platform_answer answer = begin(&call, &place, app, process);
    if (answer.result == PLATFORM_OK) {
        struct rest_answer got;
        ask(&call, &place, "DescribeServices",
            json_pack("{s:s, s:[s]}", "cluster", rest_setting(app, "cluster", "default"),
                      "services", place.service),
            &got);
        answer = got.answer;
        if (answer.result == PLATFORM_OK) answer = take_service(&call, got.json, formation);
        rest_free(&got);
    }
    sodium_memzero(&place, sizeof place);
    return answer;
}

static struct platform_answer ecs_set(const struct platform_app *app, const char *process,
                                      int dynos, const char *reason) {
    struct rest_call call;
    struct place place;
    (void)reason;
    struct platform_answer answer = begin(&call, &place, app, process);
    if (answer.result == PLATFORM_OK) {
        struct rest_answer got;
        ask(&call, &place, "UpdateService",
            json_pack("{s:s, s:s, s:i}", "cluster", rest_setting(app, "cluster", "default"),
                      "service", place.service, "desiredCount", dynos),
            &got);
        answer = got.answer;
        if (answer.result == PLATFORM_OK) {
            const json_t *service = json_object_get(got.json, "service");
            int told = rest_count(json_object_get(service, "desiredCount"));
            answer = rest_confirm(&call, told, dynos);
        }
        rest_free(&got);
    }
    sodium_memzero(&place, sizeof place);
    return answer;
}

const struct platform platform_ecs = {.kind = "ecs",
                                      .local_only = false,
                                      .read_every_s = 10,
                                      .check = ecs_check,
                                      .read = ecs_read,
                                      .set = ecs_set};
