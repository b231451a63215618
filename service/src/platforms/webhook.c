/*
 * A receiver of the user's own, by HTTP. Each request is signed with the secret that was given with
 * the URL:
 *
 *     Dynoscale-Timestamp: 1700000000
 *     Dynoscale-Signature: v1=HEX
 *
 * HEX is the HMAC-SHA256, keyed with the secret, of the timestamp, a full stop, and the body of a
 * POST or the query of a GET as they are sent. A receiver compares it in constant time and refuses
 * timestamps more than five minutes off.
 *
 *     POST URL {"app":"shop","process":"web","wanted":3,"reason":"up 2 → 3: ..."}
 *         has 3 dynos run; `wanted` is absolute, so it may come again.
 *     GET URL?app=shop&process=web
 *         answers with a whole number, or JSON as a command prints it (answer.c).
 *
 * 2xx: done. 409, 423: locked by a release, tried again. 422 with {"limit": 10}: more than allowed.
 * 429: tried again after Retry-After. 408, 5xx: failed, tried again. Any other 4xx, and a redirect,
 * which is not followed: needs a person. Settings: {"url": "https://..."}.
 */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "json_read.h"
#include "platforms/client.h"
#include "platforms/platform.h"

enum { LONGEST_ANSWER = 16 * 1024, LEAST_SECRET = 16, LONGEST_SECRET = 1024 };

static bool webhook_check(const json_t *settings, const char *secret, char *error, size_t size) {
    const json_t *url = json_object_get(settings, "url");
    if (!json_is_string(url)) {
        snprintf(error, size, "url: must be given");
        return false;
    }
    char why[120];
    if (!client_check_url(json_string_value(url), why, sizeof why)) {
        snprintf(error, size, "url: %s", why);
        return false;
    }
    if (strchr(json_string_value(url), '#')) {
        snprintf(error, size, "url: must not have a fragment (#)");
        return false;
    }
    if (!secret || strlen(secret) < LEAST_SECRET || strlen(secret) > LONGEST_SECRET) {
        snprintf(error, size, "secret: must be given, %d to %d bytes, to sign requests with",
                 LEAST_SECRET, LONGEST_SECRET);
        return false;
    }
    return true;
}

/* `signed_text`: the body or the query. */
static void call(const struct platform_app *app, const char *method, const char *url,
                 const char *signed_text, size_t length, const char *body,
                 struct client_answer *answer) {
    struct client_signature signature = {0};
    client_sign(&signature, app->secret ? app->secret : "", ds_clock_wall_ns() / 1000000000,
                signed_text, length);
    const char *const headers[] = {signature.timestamp, signature.value, "Accept: application/json",
                                   body ? "Content-Type: application/json" : NULL, NULL};
    struct client_request request = {.method = method,
                                     .url = url,
                                     .headers = headers,
                                     .body = body,
                                     .body_length = body ? length : 0,
                                     .deadline_ms = app->deadline_ms,
                                     .private_addresses = app->private_addresses,
                                     .longest = LONGEST_ANSWER};
    client_call(&request, answer);
}

/* Reads the limit from a 422. */
static struct platform_answer limited(const struct client_answer *answer, const char *method) {
    json_t *object =
        json_read(answer->body.bytes, answer->body.length, JSON_REJECT_DUPLICATES, NULL);
    json_t *limit = json_object_get(object, "limit");
    struct platform_answer result =
        platform_trouble(PLATFORM_REFUSED, "the webhook's receiver answered %s with 422", method);
    if (json_is_integer(limit) && json_integer_value(limit) >= 0 &&
        json_integer_value(limit) <= PLATFORM_DYNOS) {
        result =
            platform_trouble(PLATFORM_LIMITED, "the webhook's receiver allows at most %d dynos",
                             (int)json_integer_value(limit));
        result.limit = (int)json_integer_value(limit);
    }
    json_decref(object);
    return result;
}

static struct platform_answer answer_of(const struct client_answer *answer, const char *method) {
    int status = answer->status;
    if (status == 0)
        return platform_trouble(answer->address_refused ? PLATFORM_REFUSED : PLATFORM_FAILED,
                                "the webhook's receiver could not be asked: %s", answer->reason);
    if (status >= 200 && status < 300) return platform_ok();
    if (status == 422) return limited(answer, method);
    if (status == 429) {
        struct platform_answer busy = platform_trouble(
            PLATFORM_BUSY, "the webhook's receiver answered %s with 429: too often", method);
        busy.wait_s = answer->retry_after_s;
        return busy;
    }
    if (status < 400)
        return platform_trouble(
            PLATFORM_REFUSED,
            "the webhook's receiver answered %s with %d; redirects are not followed", method,
            status);
    return platform_trouble(status == 409 || status == 423   ? PLATFORM_LOCKED
                            : status == 408 || status >= 500 ? PLATFORM_FAILED
                                                             : PLATFORM_REFUSED,
                            "the webhook's receiver answered %s with %d", method, status);
}

static void add_parameter(struct text *query, const char *name, const char *value) {
    text_format(query, "%s%s=", query->length ? "&" : "", name);
    for (const unsigned char *at = (const unsigned char *)value; *at; at++) {
        bool plain = (*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') ||
                     (*at >= 'A' && *at <= 'Z') || strchr("-_.~", *at);
        if (plain) text_char(query, (char)*at);
        else text_format(query, "%%%02X", *at);
    }
}

static struct platform_answer webhook_read(const struct platform_app *app, const char *process,
                                           struct platform_formation *formation) {
    *formation = platform_unknown;
    const char *base = json_string_value(json_object_get(app->settings, "url"));
    const char *own = strchr(base, '?');
    struct text query = TEXT_EMPTY, url = TEXT_EMPTY;
    if (own) text_put(&query, own + 1);
    add_parameter(&query, "app", app->app);
    add_parameter(&query, "process", process);
    text_add(&url, base, own ? (size_t)(own - base) : strlen(base));
    text_char(&url, '?');
    text_add(&url, query.bytes, query.length);
    struct platform_answer result =
        platform_trouble(PLATFORM_FAILED, "no memory to ask the webhook's receiver");
    if (!query.failed && !url.failed) {
        struct client_answer answer;
        call(app, "GET", url.bytes, query.bytes, query.length, NULL, &answer);
        result = answer_of(&answer, "GET");
        if (result.result == PLATFORM_OK)
            result = platform_read_answer(formation, answer.body.bytes ? answer.body.bytes : "",
                                          answer.body.length, "the webhook's receiver");
        client_answer_free(&answer);
    }
    text_free(&query);
    text_free(&url);
    return result;
}

static struct platform_answer webhook_set(const struct platform_app *app, const char *process,
                                          int dynos, const char *reason) {
    struct text body = TEXT_EMPTY;
    text_put(&body, "{\"app\":");
    text_json(&body, app->app);
    text_put(&body, ",\"process\":");
    text_json(&body, process);
    text_format(&body, ",\"wanted\":%d,\"reason\":", dynos);
    text_json(&body, reason);
    text_char(&body, '}');
    struct platform_answer result =
        platform_trouble(PLATFORM_FAILED, "no memory to call the webhook's receiver");
    if (!body.failed) {
        struct client_answer answer;
        call(app, "POST", json_string_value(json_object_get(app->settings, "url")), body.bytes,
             body.length, body.bytes, &answer);
        result = answer_of(&answer, "POST");
        client_answer_free(&answer);
    }
    text_free(&body);
    return result;
}

const struct platform platform_webhook = {.kind = "webhook",
                                          .local_only = false,
                                          .read_every_s = 10,
                                          .check = webhook_check,
                                          .read = webhook_read,
                                          .set = webhook_set};
