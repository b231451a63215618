/* Tokens of the API: made, listed by the names that people gave them, removed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/resources.h"
#include "people/token.h"
#include "store/people.h"

enum { LONGEST_S = 3660 * 86400 };

static void put_token(void *context, const struct api_token *token) {
    struct api_call *call = context;
    struct text *text = &call->answer;
    struct app app;
    if (text_last(text) != '[') text_char(text, ',');
    text_format(text, "{\"id\":%" PRId64 ",\"name\":", token->id);
    text_json(text, token->name);
    text_put(text, ",\"prefix\":");
    text_json(text, token->prefix);
    text_format(text, ",\"scope\":\"%s\",\"app\":", role_scope_name(token->scope));
    text_json(text, token->app && app_by_id(call->store, token->app, &app) ? app.name : NULL);
    text_put(text, ",\"made_by\":");
    text_json(text, token->made_by);
    text_format(text, ",\"created\":%" PRId64 ",\"expires\":", token->created_s);
    api_put_time(text, token->expires_s);
    text_put(text, ",\"used\":");
    api_put_time(text, token->used_s);
    text_char(text, '}');
}

void tokens_list(struct api_call *call) {
    if (!input_query(call, NULL, 0)) return;
    text_put(&call->answer, "{\"tokens\":[");
    if (!api_token_each(call->store, put_token, call)) api_store_failed(call);
    else text_put(&call->answer, "]}");
}

/* The app that a token is for; *id 0: all apps. */
static bool find_app(struct api_call *call, const char *name, int64_t *id) {
    struct app app;
    *id = 0;
    if (!name) return true;
    if (!app_by_name(call->store, name, &app)) {
        api_problem(call, 400, "the field “app”: there is no app “%.64s”", name);
        return false;
    }
    *id = app.id;
    return true;
}

void tokens_add(struct api_call *call) {
    const char *name = NULL, *scope = NULL, *app = NULL;
    int64_t expires_s = 0;
    struct api_token token = {.created_s = call->now_s};
    const struct field fields[] = {
        {.name = "name",
         .kind = FIELD_NAME,
         .needed = true,
         .least = 1,
         .most = TOKEN_NAME_SIZE - 1,
         .to = &name},
        {.name = "scope", .kind = FIELD_TEXT, .needed = true, .to = &scope},
        {.name = "app", .kind = FIELD_TEXT, .to = &app},
        {.name = "expires", .kind = FIELD_TIME, .to = &expires_s, .ahead = true},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields))) return;
    if (!role_of_scope(scope, &token.scope)) {
        api_problem(call, 400, "the field “scope” must be read, operate, write or admin");
        return;
    }
    if (expires_s && (expires_s <= call->now_s || expires_s > call->now_s + LONGEST_S)) {
        api_problem(call, 400,
                    "the field “expires” must be in the future, at most ten years ahead");
        return;
    }
    if (!find_app(call, app, &token.app)) return;
    char secret[TOKEN_SIZE];
    uint8_t hash[TOKEN_HASH_SIZE];
    token_make(secret, "ds_");
    token_hash(hash, secret, strlen(secret));
    token.expires_s = expires_s;
    snprintf(token.name, sizeof token.name, "%s", name);
    snprintf(token.made_by, sizeof token.made_by, "%s", call->who.name);
    memcpy(token.prefix, secret, TOKEN_PREFIX_SIZE - 1);
    if (!api_token_add(call->store, hash, &token)) {
        api_store_failed(call);
        return;
    }
    text_format(&call->answer, "{\"id\":%" PRId64 ",\"token\":\"%s\"}", token.id, secret);
    call->status = 201;
    api_audit(call, token.app, NULL, "made the token %" PRId64 " (%s) with the scope %s for %s",
              token.id, name, scope, app ? app : "all apps");
}

void tokens_remove(struct api_call *call) {
    struct api_token token;
    int64_t id = 0;
    char *end;
    if (!input_body(call, NULL, 0)) return;
    id = strtoll(call->parameters[0], &end, 10);
    if (*end || id <= 0 || !api_token_by_id(call->store, id, &token)) {
        api_problem(call, 404, "there is no token %.20s", call->parameters[0]);
        return;
    }
    if (!api_token_remove(call->store, id)) {
        api_store_failed(call);
        return;
    }
    call->status = 204;
    api_audit(call, token.app, NULL, "removed the token %" PRId64 " (%s)", id, token.name);
}
