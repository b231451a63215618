/* Which requests come from Heroku, and which function answers them. */
#define _GNU_SOURCE /* strncasecmp */
#include "addon/addon.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "addon/inside.h"
#include "log.h"

static const char base[] = "/heroku/", resources[] = "/heroku/resources", sso[] = "/heroku/sso",
                  hooks[] = "/heroku/webhooks/";

bool addon_has(const char *path) { return strncmp(path, base, sizeof base - 1) == 0; }

void addon_answer(struct api_call *call, int status, const char *format, ...) {
    char message[600];
    va_list values;
    va_start(values, format);
    vsnprintf(message, sizeof message, format, values);
    va_end(values);
    call->status = status;
    text_clear(&call->answer);
    text_put(&call->answer, "{\"message\":");
    text_json(&call->answer, message);
    text_char(&call->answer, '}');
    if (status == 503) text_put(&call->headers, "Retry-After: 5\r\n");
    if (status == 401) text_put(&call->headers, "WWW-Authenticate: Basic realm=\"Heroku\"\r\n");
}

bool addon_is_uuid(const char *text) {
    if (strlen(text) != 36) return false;
    for (int i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !strchr("0123456789abcdef", text[i])) return false;
    }
    return true;
}

/* ---- Heroku's password ---------------------------------------------------------------------- */

/* In constant time, so that the time does not tell how much of the password is right. */
static bool is_heroku(const char *authorization) {
    const struct addon_settings *settings = addon_settings();
    char right[ADDON_PLAN_SIZE + ADDON_SECRET_SIZE + 1], given[1024];
    unsigned char hash_right[32], hash_given[32];
    size_t length = 0;
    if (!authorization || strncasecmp(authorization, "Basic ", 6) != 0) return false;
    authorization += 6;
    if (sodium_base642bin((unsigned char *)given, sizeof given, authorization,
                          strlen(authorization), NULL, &length, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return false;
    snprintf(right, sizeof right, "%s:%s", settings->id, settings->password);
    crypto_generichash(hash_right, 32, (const unsigned char *)right, strlen(right), NULL, 0);
    crypto_generichash(hash_given, 32, (const unsigned char *)given, length, NULL, 0);
    sodium_memzero(given, sizeof given);
    sodium_memzero(right, sizeof right);
    return sodium_memcmp(hash_right, hash_given, 32) == 0;
}

/* ---- Routes --------------------------------------------------------------------------------- */

static void only(struct api_call *call, const char *methods) {
    addon_answer(call, 405, "this address takes %s", methods);
    text_format(&call->headers, "Allow: %s\r\n", methods);
}

static void run_resources(struct api_call *call, const char *rest) {
    if (!is_heroku(call->authorization)) {
        log_refusal(LOG_ACCESS, "heroku", "a call of the add-on's API from %s was refused",
                    call->address ? call->address : "this machine");
        addon_answer(call, 401, "the id and the password of the add-on's manifest are needed");
        return;
    }
    if (*rest == '\0') {
        if (call->method == HTTP_POST) resource_provision(call);
        else only(call, "POST");
        return;
    }
    const char *uuid = rest + 1;
    if (*rest != '/' || !addon_is_uuid(uuid)) addon_answer(call, 404, "there is no such resource");
    else if (call->method == HTTP_PUT) resource_change(call, uuid);
    else if (call->method == HTTP_DELETE) resource_remove(call, uuid);
    else only(call, "PUT, DELETE");
}

static char *copy_body(const struct api_call *call) {
    char *body = malloc(call->body_length + 1);
    if (!body) return NULL;
    if (call->body_length > 0) memcpy(body, call->body, call->body_length);
    body[call->body_length] = '\0';
    return body;
}

void addon_run(struct api_call *call, const char *path) {
    const char *given = call->body;
    char *body = copy_body(call);
    size_t length = sizeof resources - 1;
    call->who = (struct api_who){.role = API_NOBODY, .name = "Heroku"};
    call->body = body;
    api_watch(call);
    if (!body) addon_answer(call, 503, "there is no memory left");
    else if (strncmp(path, hooks, sizeof hooks - 1) == 0) {
        if (call->method == HTTP_POST) hook_take(call, path + sizeof hooks - 1);
        else only(call, "POST");
    } else if (!*addon_settings()->id) {
        addon_answer(call, 404, "this service is no add-on of Heroku: see --heroku-addon");
    } else if (strncmp(path, resources, length) == 0 && (!path[length] || path[length] == '/')) {
        run_resources(call, path + length);
    } else if (strcmp(path, sso) == 0) {
        if (call->method == HTTP_POST) sso_sign_in(call);
        else only(call, "POST");
    } else {
        addon_answer(call, 404, "there is no such address");
    }
    call->body = given;
    free(body);
    if (call->status != 503 && !api_was_read(call))
        addon_answer(call, 503, "there is no memory left");
    if (strcmp(path, sso) == 0) sso_show(call);
    if (call->status == 0) call->status = 200;
    if (!call->type) call->type = "application/json";
    text_put(&call->headers, "Cache-Control: no-store\r\n");
}
