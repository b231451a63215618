#define _GNU_SOURCE /* strcasestr */
#include "platforms/heroku_api.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_read.h"
#include "log.h"
#include "platforms/client.h"

enum { LONGEST_ANSWER = 4 << 20, AHEAD_S = 600, BUSY_WAIT_S = 60, SHOWN = 110 };

bool heroku_is_name(const char *text) {
    size_t length = strlen(text);
    return length > 0 && length <= 40 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

/* ---- What a refusal means ------------------------------------------------------------------- */

/* Heroku's own message, printable and short, or "". */
static void own_words(char words[SHOWN + 4], const json_t *json) {
    const char *message = json_string_value(json_object_get(json, "message"));
    size_t length = 0;
    for (; message && message[length] && length < SHOWN; length++) {
        unsigned char c = (unsigned char)message[length];
        words[length] = c >= 0x20 && c < 0x7F ? (char)c : '?';
    }
    memcpy(words + length, message && message[length] ? "..." : "",
           message && message[length] ? 4 : 1);
}

static bool is_id(const json_t *json, const char *id) {
    const char *given = json_string_value(json_object_get(json, "id"));
    return given && strcmp(given, id) == 0;
}

/* Whether a release, its preboot or another change holds the formation: that ends by itself. */
static bool speaks_of_a_lock(const char *words) {
    static const char *const signs[] = {"preboot", "release phase", "release is",
                                        "locked",  "in progress",   "under way"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (strcasestr(words, signs[i])) return true;
    return false;
}

static struct platform_answer unprocessable(const json_t *json, const char *words) {
    const json_t *limit = json_object_get(json, "limit");
    if (json_is_integer(limit) && json_integer_value(limit) >= 0 &&
        json_integer_value(limit) <= PLATFORM_DYNOS) {
        int most = (int)json_integer_value(limit);
        struct platform_answer answer =
            platform_trouble(PLATFORM_LIMITED, "Heroku allows at most %d dynos here: %s", most,
                             *words ? words : "its limit");
        answer.limit = most;
        return answer;
    }
    if (is_id(json, "verification_needed"))
        return platform_trouble(PLATFORM_REFUSED,
                                "Heroku wants the account to be verified first: add a payment "
                                "method at https://heroku.com/verify");
    if (speaks_of_a_lock(words))
        return platform_trouble(PLATFORM_LOCKED, "a release holds the formation: %s", words);
    return platform_trouble(PLATFORM_REFUSED, "Heroku refuses this (422): %s", words);
}

static struct platform_answer busy(const struct client_answer *answer) {
    struct platform_answer result = platform_trouble(
        PLATFORM_BUSY, "Heroku's rate limit is used up (429): the account makes too many requests");
    result.wait_s = answer->retry_after_s >= 0 ? answer->retry_after_s : BUSY_WAIT_S;
    return result;
}

static struct platform_answer explain(const struct heroku_call *call,
                                      const struct client_answer *answer, const json_t *json) {
    char words[SHOWN + 4];
    own_words(words, json);
    switch (answer->status) {
    case 0:
        return platform_trouble(answer->address_refused ? PLATFORM_REFUSED : PLATFORM_FAILED,
                                "Heroku could not be asked: %s", answer->reason);
    case 401:
        return platform_trouble(PLATFORM_REFUSED,
                                "Heroku refuses the credential (401): it was revoked or is over; "
                                "set a new one");
    case 402:
        return platform_trouble(PLATFORM_REFUSED,
                                "Heroku refuses because the account has an unpaid balance (402): "
                                "pay it at https://dashboard.heroku.com/account/billing");
    case 403:
        if (is_id(json, "suspended"))
            return platform_trouble(PLATFORM_REFUSED,
                                    "Heroku has suspended the account (403): ask its support");
        return platform_trouble(PLATFORM_REFUSED,
                                "the credential may not do this to %s (403): one of a person who "
                                "may operate it is needed",
                                call->what);
    case 404:
        return platform_trouble(PLATFORM_REFUSED,
                                "Heroku does not find %s (404), or the credential may not see it",
                                call->what);
    case 409:
    case 423:
        return platform_trouble(PLATFORM_LOCKED, "another change holds %s (%d): %s", call->what,
                                answer->status, words);
    case 422:
        return unprocessable(json, words);
    case 429:
        return busy(answer);
    default:
        break;
    }
    if (answer->status >= 300 && answer->status < 400)
        return platform_trouble(PLATFORM_REFUSED,
                                "Heroku answered %s with a redirect (%d), which is not followed: "
                                "is the address of its API right?",
                                call->method, answer->status);
    if (answer->status >= 500 || answer->status == 408)
        return platform_trouble(PLATFORM_FAILED, "Heroku has trouble of its own (%d)",
                                answer->status);
    return platform_trouble(PLATFORM_REFUSED, "Heroku answered %s with %d: %s", call->method,
                            answer->status, words);
}

/* ---- A call --------------------------------------------------------------------------------- */

void heroku_reply_free(struct heroku_reply *reply) {
    json_decref(reply->json);
    reply->json = NULL;
}

static void take_answer(const struct heroku_call *call, const struct client_answer *answer,
                        struct heroku_reply *reply) {
    json_t *json = json_read(answer->body.bytes, answer->body.length, 0, NULL);
    char *end;
    long remaining = strtol(answer->header, &end, 10);
    reply->status = answer->status;
    reply->remaining =
        end != answer->header && remaining >= 0 && remaining < 1000000 ? (int)remaining : -1;
    if (answer->status >= 200 && answer->status < 300) {
        bool read = json || answer->body.length == 0;
        reply->answer = read ? platform_ok()
                             : platform_trouble(PLATFORM_FAILED,
                                                "Heroku's answer about %s is no "
                                                "JSON: a proxy may have given it",
                                                call->what);
        reply->json = json;
        return;
    }
    reply->answer = explain(call, answer, json);
    json_decref(json);
}

void heroku_api(const struct heroku_call *call, struct heroku_reply *reply) {
    char authorization[600], range[80];
    struct text url = TEXT_EMPTY;
    *reply = (struct heroku_reply){.remaining = -1};
    snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", call->token);
    snprintf(range, sizeof range, "Range: %s", call->range ? call->range : "");
    const char *headers[5] = {"Accept: application/vnd.heroku+json; version=3", authorization};
    int count = 2;
    if (call->body) headers[count++] = "Content-Type: application/json";
    if (call->range) headers[count++] = range;
    text_format(&url, "%s%s", platform_operator.heroku_api, call->path);
    if (url.failed) {
        reply->answer = platform_trouble(PLATFORM_FAILED, "no memory to ask Heroku");
    } else {
        struct client_answer answer;
        struct client_request request = {.method = call->method,
                                         .url = url.bytes,
                                         .headers = headers,
                                         .body = call->body,
                                         .body_length = call->body ? strlen(call->body) : 0,
                                         .deadline_ms = call->deadline_ms,
                                         .private_addresses = call->private_addresses,
                                         .longest = LONGEST_ANSWER,
                                         .header = "ratelimit-remaining:"};
        client_call(&request, &answer);
        take_answer(call, &answer, reply);
        client_answer_free(&answer);
    }
    sodium_memzero(authorization, sizeof authorization);
    text_free(&url);
}

/* ---- Credentials ---------------------------------------------------------------------------- */

/* Characters that a header may hold: no blanks, no line ends. */
static bool is_token(const char *text, size_t length) {
    if (length < 8 || length >= sizeof((struct heroku_credential *)0)->token) return false;
    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~') return false;
    return true;
}

static bool copy_member(char *to, const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    if (!value) return true;
    const char *text = json_string_value(value);
    if (!text || !is_token(text, strlen(text))) return false;
    memcpy(to, text, strlen(text) + 1);
    return true;
}

static bool read_oauth(struct heroku_credential *credential, const char *secret) {
    json_t *json = json_read_string(secret, JSON_REJECT_DUPLICATES, NULL);
    bool right = json && copy_member(credential->token, json, "access_token") &&
                 copy_member(credential->refresh, json, "refresh_token") &&
                 copy_member(credential->code, json, "code");
    credential->expires_s = json_integer_value(json_object_get(json, "expires_s"));
    json_decref(json);
    return right && (*credential->token || *credential->code);
}

bool heroku_read_credential(struct heroku_credential *credential, const char *secret, char *error,
                            size_t size) {
    memset(credential, 0, sizeof *credential);
    if (!secret || !*secret) {
        snprintf(error, size,
                 "secret: must be given: an API key, as `heroku auth:token` or "
                 "`heroku authorizations:create` prints it");
        return false;
    }
    if (*secret == '{') {
        if (read_oauth(credential, secret)) return true;
        snprintf(error, size,
                 "secret: must be an API key, or JSON with access_token, "
                 "refresh_token and expires_s, or with code");
        return false;
    }
    if (!is_token(secret, strlen(secret))) {
        snprintf(error, size, "secret: must be an API key, without blanks");
        return false;
    }
    memcpy(credential->token, secret, strlen(secret) + 1);
    return true;
}

char *heroku_code_credential(const char *code) {
    json_t *json = json_pack("{s:s}", "code", code);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

/* ---- OAuth ---------------------------------------------------------------------------------- */

static void put_field(struct text *form, const char *name, const char *value) {
    text_format(form, "%s%s=", form->length ? "&" : "", name);
    for (const unsigned char *at = (const unsigned char *)value; *at; at++) {
        bool plain = (*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') ||
                     (*at >= 'A' && *at <= 'Z') || strchr("-_.~", *at);
        if (plain) text_char(form, (char)*at);
        else text_format(form, "%%%02X", *at);
    }
}

/* The new credential in a token endpoint's answer; NULL: it is malformed. Fields that are missing
 * keep their values. */
static char *credential_of(const json_t *json, const struct heroku_credential *before,
                           int64_t now_s) {
    const char *token = json_string_value(json_object_get(json, "access_token"));
    const char *refresh = json_string_value(json_object_get(json, "refresh_token"));
    json_int_t lives_s = json_integer_value(json_object_get(json, "expires_in"));
    if (!token || !is_token(token, strlen(token))) return NULL;
    if (!refresh || !is_token(refresh, strlen(refresh))) refresh = before->refresh;
    if (lives_s <= 0 || lives_s > 10LL * 366 * 86400) lives_s = 8 * 3600;
    json_t *made =
        json_pack("{s:s, s:I}", "access_token", token, "expires_s", (json_int_t)(now_s + lives_s));
    if (made && *refresh) json_object_set_new(made, "refresh_token", json_string(refresh));
    char *text = made ? json_dumps(made, JSON_COMPACT) : NULL;
    json_decref(made);
    return text;
}

static struct platform_answer told_by_id(const struct client_answer *answer, bool code) {
    if (answer->status == 0)
        return platform_trouble(answer->address_refused ? PLATFORM_REFUSED : PLATFORM_FAILED,
                                "Heroku's identity service could not be asked: %s", answer->reason);
    if (answer->status >= 500 || answer->status == 408 || answer->status == 429)
        return platform_trouble(PLATFORM_FAILED,
                                "Heroku's identity service has trouble of its own (%d)",
                                answer->status);
    return platform_trouble(
        PLATFORM_REFUSED,
        code ? "Heroku does not take the grant's code (%d): it is used up or older than five "
               "minutes; set a credential anew"
             : "Heroku does not renew the access (%d): it was revoked; set a credential anew",
        answer->status);
}

static struct platform_answer ask_for_token(const struct platform_app *app,
                                            const struct heroku_credential *credential,
                                            int64_t now_s, char **secret) {
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded",
                                          "Accept: application/json", NULL};
    bool code = *credential->code && !*credential->refresh;
    struct text form = TEXT_EMPTY, url = TEXT_EMPTY;
    struct platform_answer result =
        platform_trouble(PLATFORM_FAILED, "no memory to ask Heroku's identity service");
    put_field(&form, "grant_type", code ? "authorization_code" : "refresh_token");
    put_field(&form, code ? "code" : "refresh_token",
              code ? credential->code : credential->refresh);
    put_field(&form, "client_secret", platform_operator.heroku_client_secret);
    text_format(&url, "%s/oauth/token", platform_operator.heroku_id);
    if (!form.failed && !url.failed) {
        struct client_answer answer;
        struct client_request request = {.method = "POST",
                                         .url = url.bytes,
                                         .headers = headers,
                                         .body = form.bytes,
                                         .body_length = form.length,
                                         .deadline_ms = app->deadline_ms,
                                         .private_addresses = app->private_addresses,
                                         .longest = 64 * 1024};
        client_call(&request, &answer);
        json_t *json = json_read(answer.body.bytes, answer.body.length, 0, NULL);
        bool right = answer.status >= 200 && answer.status < 300;
        if (right) *secret = credential_of(json, credential, now_s);
        result = *secret ? platform_ok()
                 : right
                     ? platform_trouble(PLATFORM_FAILED, "Heroku's identity service gave no token")
                     : told_by_id(&answer, code);
        json_decref(json);
        if (answer.body.bytes) sodium_memzero(answer.body.bytes, answer.body.length);
        client_answer_free(&answer);
    }
    if (form.bytes) sodium_memzero(form.bytes, form.length);
    text_free(&form);
    text_free(&url);
    return result;
}

struct platform_answer heroku_renew(const struct platform_app *app, int64_t now_s, bool now,
                                    char **secret) {
    struct heroku_credential credential;
    char error[160];
    struct platform_answer answer = platform_ok();
    *secret = NULL;
    if (!heroku_read_credential(&credential, app->secret, error, sizeof error))
        return platform_trouble(PLATFORM_REFUSED, "%s", error);
    bool alive = *credential.token && (credential.expires_s == 0 || credential.expires_s > now_s);
    bool code = *credential.code && !*credential.token;
    bool due = code || (*credential.refresh && (now || credential.expires_s - now_s < AHEAD_S));
    if (due && !platform_operator.heroku_client_secret)
        answer = platform_trouble(PLATFORM_REFUSED, "the access can't be renewed: this service has "
                                                    "no client_secret of an OAuth client");
    else if (due) answer = ask_for_token(app, &credential, now_s, secret);
    else if (!alive)
        answer = platform_trouble(PLATFORM_REFUSED, "the access to Heroku is over, and there is "
                                                    "nothing to renew it with");
    sodium_memzero(&credential, sizeof credential);
    /* Tokens are renewed early: if that fails, the old one serves as long as it is valid. */
    if (answer.result != PLATFORM_OK && alive) {
        log_line(LOG_WARN, "heroku", "%s: %s", app->app, answer.trouble);
        return platform_ok();
    }
    return answer;
}
