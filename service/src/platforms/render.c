/*
 * Render: a service is a process type, its instances are the dynos.
 *
 *     GET  /v1/services/ID                                    serviceDetails.numInstances
 *     POST /v1/services/ID/scale  {"numInstances": 3}         202
 *
 * From https://api-docs.render.com/reference/scale-service, .../retrieve-service and
 * .../rate-limiting, and https://render.com/docs/scaling. Render ignores the number while its own
 * autoscaling is on, without an error: so the service is read before an order, which is then
 * REFUSED. A service that a person suspended has 0 instances ordered.
 *
 * FAILED: 408, 5xx, no answer. BUSY: 429. LOCKED: 409, 423 (inferred). LIMITED: above 100
 * instances, known before it is asked. REFUSED: 401, 402, 403, 404, 400 and any other 4xx; and 0
 * instances, which Render does not run.
 *
 * Settings: processes {"web": "srv-..."}, needed for each process type; `api` in place of
 * https://api.render.com. Secret: an API key.
 */
#include <stdio.h>
#include <string.h>

#include "platforms/rest.h"

enum { MOST = 100 };

static bool render_check(const json_t *settings, const char *secret, char *error, size_t size) {
    static const char *const known[] = {"api", NULL};
    if (json_object_size(json_object_get(settings, "processes")) == 0) {
        snprintf(error, size,
                 "processes: must say which service is which process type: "
                 "{\"web\": \"srv-...\"}");
        return false;
    }
    return rest_check(settings, known, error, size) &&
           rest_check_secret(secret, "an API key of Render", error, size);
}

struct place {
    char url[REST_URL], what[320];
};

static struct platform_answer begin(struct rest_call *call, struct place *place,
                                    const struct platform_app *app, const char *process) {
    const char *service = rest_process(app, process, NULL);
    *call = rest_begin(app, "Render");
    if (!service || !rest_is_name(service)) return rest_no_process(app, process, "the service");
    snprintf(place->url, sizeof place->url, "%s/v1/services/%s",
             rest_setting(app, "api", "https://api.render.com"), service);
    snprintf(place->what, sizeof place->what, "service %.120s", service);
    call->url = place->url, call->what = place->what, call->bearer = app->secret;
    return platform_ok();
}

/* *autoscaled: Render scales the service itself. */
static struct platform_answer read_service(struct rest_call *call, int *ordered, bool *autoscaled) {
    struct rest_answer got;
    call->method = "GET";
    rest_call(call, &got);
    struct platform_answer answer = got.answer;
    const json_t *details = json_object_get(got.json, "serviceDetails");
    const char *suspended = json_string_value(json_object_get(got.json, "suspended"));
    *ordered = rest_count(json_object_get(details, "numInstances"));
    if (suspended && strcmp(suspended, "suspended") == 0) *ordered = 0;
    *autoscaled = json_is_true(json_object_get(json_object_get(details, "autoscaling"), "enabled"));
    if (answer.result == PLATFORM_OK && *ordered < 0) answer = rest_not_understood(call);
    rest_free(&got);
    return answer;
}

static struct platform_answer render_read(const struct platform_app *app, const char *process,
                                          struct platform_formation *formation) {
    struct rest_call call;
    struct place place;
    bool autoscaled;
    *formation = platform_unknown;
    struct platform_answer answer = begin(&call, &place, app, process);
    if (answer.result == PLATFORM_OK)
        answer = read_service(&call, &formation->ordered, &autoscaled);
    answer.limit = MOST;
    return answer;
}

static struct platform_answer order(struct rest_call *call, struct place *place, int dynos) {
    struct rest_answer got;
    char body[64];
    size_t length = strlen(place->url);
    snprintf(place->url + length, sizeof place->url - length, "/scale");
    snprintf(body, sizeof body, "{\"numInstances\":%d}", dynos);
    call->method = "POST", call->body = body;
    rest_call(call, &got);
    call->body = NULL;
    rest_free(&got);
    return got.answer;
}

static struct platform_answer render_set(const struct platform_app *app, const char *process,
                                         int dynos, const char *reason) {
    struct rest_call call;
    struct place place;
    int ordered = -1;
    bool autoscaled = false;
    (void)reason;
    struct platform_answer answer = begin(&call, &place, app, process);
    if (answer.result != PLATFORM_OK) return answer;
    if (dynos == 0)
        return platform_trouble(PLATFORM_REFUSED,
                                "Render runs at least 1 instance: let the rules of %s have min: 1",
                                process);
    if (dynos > MOST) {
        answer = platform_trouble(PLATFORM_LIMITED, "Render runs at most %d instances", MOST);
        answer.limit = MOST;
        return answer;
    }
    answer = read_service(&call, &ordered, &autoscaled);
    if (answer.result != PLATFORM_OK || ordered == dynos) return answer;
    if (autoscaled)
        return platform_trouble(PLATFORM_REFUSED,
                                "Render's own autoscaling of %s is on, and ignores orders: switch "
                                "it off in Render's dashboard",
                                call.what);
    return order(&call, &place, dynos);
}

const struct platform platform_render = {.kind = "render",
                                         .local_only = false,
                                         .read_every_s = 10,
                                         .check = render_check,
                                         .read = render_read,
                                         .set = render_set};
