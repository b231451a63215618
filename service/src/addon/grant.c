#include "addon/grant.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_read.h"
#include "people/vault.h"
#include "platforms/heroku_api.h"

enum { DEADLINE_MS = 10000 };

char *grant_of_code(const char *code) { return heroku_code_credential(code); }

struct platform_answer grant_renew(const struct grant *grant, int64_t now_s, char **secret) {
    const struct platform_app app = {.app = grant->uuid,
                                     .secret = grant->secret,
                                     .deadline_ms = DEADLINE_MS,
                                     .private_addresses = grant->private_addresses};
    return heroku_renew(&app, now_s, false, secret);
}

static struct platform_answer call_heroku(const struct grant *grant, const char *method,
                                          const char *path, const char *body, json_t **json) {
    char whole[160], error[160];
    struct heroku_credential credential;
    struct heroku_reply reply;
    if (json) *json = NULL;
    if (!heroku_read_credential(&credential, grant->secret, error, sizeof error))
        return platform_trouble(PLATFORM_REFUSED, "%s", error);
    snprintf(whole, sizeof whole, "/addons/%.64s%s", grant->uuid, path);
    const struct heroku_call call = {.method = method,
                                     .path = whole,
                                     .body = body,
                                     .token = credential.token,
                                     .what = "the add-on",
                                     .deadline_ms = DEADLINE_MS,
                                     .private_addresses = grant->private_addresses};
    heroku_api(&call, &reply);
    sodium_memzero(&credential, sizeof credential);
    if (json) *json = json_incref(reply.json);
    heroku_reply_free(&reply);
    return reply.answer;
}

struct platform_answer grant_find_app(const struct grant *grant, char *name, size_t size) {
    json_t *json;
    struct platform_answer answer = call_heroku(grant, "GET", "", NULL, &json);
    const char *told = json_string_value(json_object_get(json_object_get(json, "app"), "name"));
    bool right = told && heroku_is_name(told) && strlen(told) < size;
    if (answer.result == PLATFORM_OK && !right)
        answer = platform_trouble(PLATFORM_FAILED, "Heroku did not tell the app's name");
    snprintf(name, size, "%s", right ? told : "");
    json_decref(json);
    return answer;
}

struct platform_answer grant_set_config(const struct grant *grant, const char *config) {
    json_t *list = json_array(), *body = json_pack("{s:o}", "config", list);
    json_t *object = json_read_string(config, 0, NULL), *value;
    const char *name;
    json_object_foreach(object, name, value) {
        json_array_append_new(list, json_pack("{s:s, s:O}", "name", name, "value", value));
    }
    char *text = object && body ? json_dumps(body, JSON_COMPACT) : NULL;
    struct platform_answer answer =
        text ? call_heroku(grant, "PATCH", "/config", text, NULL)
             : platform_trouble(PLATFORM_FAILED, "there is no memory to set config vars");
    vault_wipe(text);
    json_decref(body);
    json_decref(object);
    return answer;
}

struct platform_answer grant_say_ready(const struct grant *grant) {
    return call_heroku(grant, "POST", "/actions/provision", NULL, NULL);
}
