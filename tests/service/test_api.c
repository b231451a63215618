/*
 * The API without HTTP: every route of the table, who may use it, what hostile input gives, and
 * that a refused call changes nothing.
 */
#define _GNU_SOURCE
#include "../core/support/suite.h"

#include <liboath/oath.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/input.h"
#include "false_clock.h"
#include "people/password.h"
#include "people/session.h"
#include "people/token.h"
#include "rules/tree.h"
#include "store/people.h"
#include "support/folder.h"

static const int64_t now_s = 1800000000; /* 2027-01-15T08:00:00Z, a Friday */

static struct {
    char *folder;
    struct store *store;
    struct vault *vault;
    struct keeper *keeper;
    struct api_call call;
    json_t *answer;
    int64_t later_s; /* that calls are made after now_s */
} test;

static int set_up(void **state) {
    (void)state;
    char error[512];
    test.folder = folder_make();
    test.later_s = 0;
    false_clock_set_wall(now_s * 1000000000);
    test.store = store_open(test.folder, STORE_CREATE, error, sizeof error);
    if (!test.store) fail_msg("%s", error);
    test.vault = vault_open(test.folder, error, sizeof error);
    if (!test.vault) fail_msg("%s", error);
    const struct keeper_settings keeper = {.folder = test.folder};
    test.keeper = keeper_here(&keeper, error, sizeof error);
    if (!test.keeper) fail_msg("%s", error);
    return 0;
}

static void forget(void) {
    api_call_free(&test.call);
    json_decref(test.answer);
    test.answer = NULL;
}

static int tear_down(void **state) {
    (void)state;
    forget();
    vault_free(test.vault);
    keeper_free(test.keeper);
    store_close(test.store);
    folder_remove(test.folder);
    return 0;
}

/* ---- What happens meanwhile -------------------------------------------------------------------
 */

/* Before the transaction of this number of a call: 0: none. */
static struct {
    int transaction;
    void (*happens)(void);
} meanwhile;

bool __real_store_begin(struct store *store);
bool __wrap_store_begin(struct store *store);
bool __wrap_store_begin(struct store *store) {
    if (meanwhile.transaction > 0 && --meanwhile.transaction == 0) {
        assert_true(__real_store_begin(test.store));
        meanwhile.happens();
        assert_true(store_commit(test.store));
    }
    return __real_store_begin(store);
}

/* ---- Calls ----------------------------------------------------------------------------------- */

struct sender {
    bool local;
    const char *token, *cookie, *csrf, *origin, *fetch_site, *address;
};
static const struct sender local = {.local = true}, nobody = {.address = "192.0.2.7"};

static int run(const struct sender *sender, enum http_method method, const char *target,
               const char *type, const char *body) {
    char path[2000], authorization[128];
    forget();
    size_t length = strcspn(target, "?");
    assert_true(length < sizeof path);
    memcpy(path, target, length);
    path[length] = '\0';
    test.call = (struct api_call){.store = test.store,
                                  .keeper = test.keeper,
                                  .public_url = "http://scale.test:8080",
                                  .now_s = now_s + test.later_s,
                                  .method = method,
                                  .query = target[length] ? target + length + 1 : "",
                                  .body = body,
                                  .body_length = body ? strlen(body) : 0,
                                  .content_type = type,
                                  .host = "scale.test:8080"};
    if (sender->local) test.call.who.role = API_LOCAL;
    if (sender->token) {
        snprintf(authorization, sizeof authorization, "Bearer %s", sender->token);
        test.call.authorization = authorization;
    }
    test.call.cookie = sender->cookie;
    test.call.csrf = sender->csrf;
    test.call.origin = sender->origin;
    test.call.fetch_site = sender->fetch_site;
    test.call.address = sender->address;
    api_run(&test.call, path);
    assert_false(test.call.answer.failed);
    if (test.call.answer.length > 0)
        test.answer = json_loadb(test.call.answer.bytes, test.call.answer.length, 0, NULL);
    return test.call.status;
}

static int json_call(const struct sender *sender, enum http_method method, const char *target,
                     const char *body) {
    return run(sender, method, target, body ? "application/json" : NULL, body);
}

static const char *text_of(const char *member) {
    const char *text = json_string_value(json_object_get(test.answer, member));
    return text ? text : "";
}

static void expect_status(int status, int expected) {
    if (status != expected)
        fail_msg("%d and not %d: %s", status, expected,
                 test.call.answer.bytes ? test.call.answer.bytes : "");
}

static void add_app(const char *name) {
    char body[100];
    snprintf(body, sizeof body, "{\"name\":\"%s\",\"zone\":\"Europe/Berlin\"}", name);
    expect_status(json_call(&local, HTTP_POST, "/api/v1/apps", body), 201);
}

static void add_token(char token[TOKEN_SIZE], const char *scope, const char *app) {
    char body[200];
    int used = snprintf(body, sizeof body, "{\"name\":\"t\",\"scope\":\"%s\"", scope);
    if (app) used += snprintf(body + used, sizeof body - (size_t)used, ",\"app\":\"%s\"", app);
    snprintf(body + used, sizeof body - (size_t)used, "}");
    expect_status(json_call(&local, HTTP_POST, "/api/v1/tokens", body), 201);
    strcpy(token, text_of("token"));
}

/* A path of a route with its places filled. */
static void fill(char path[500], const char *pattern, const char *app) {
    char *to = path;
    while (*pattern) {
        if (*pattern != '{') {
            *to++ = *pattern++;
            continue;
        }
        const char *value = strncmp(pattern, "{app}", 5) == 0       ? app
                            : strncmp(pattern, "{process}", 9) == 0 ? "web"
                            : strncmp(pattern, "{session}", 9) == 0 ? "others"
                            : strncmp(pattern, "{token}", 7) == 0   ? "999"
                                                                    : "anna";
        strcpy(to, value);
        to += strlen(value);
        pattern = strchr(pattern, '}') + 1;
    }
    *to = '\0';
}

/* ---- Who may --------------------------------------------------------------------------------- */

static void every_route_refuses_who_may_less(void **state) {
    (void)state;
    static const struct {
        const char *scope;
        enum api_role role;
    } scopes[] = {{NULL, API_NOBODY},
                  {"read", API_READ},
                  {"operate", API_OPERATE},
                  {"write", API_WRITE},
                  {"admin", API_ADMIN}};
    char token[TOKEN_SIZE], path[500];
    add_app("shop");
    for (size_t s = 0; s < sizeof scopes / sizeof *scopes; s++) {
        struct sender sender = nobody;
        if (scopes[s].scope) {
            add_token(token, scopes[s].scope, NULL);
            sender.token = token;
        }
        for (size_t i = 0; i < api_route_count; i++) {
            const struct api_route *route = &api_routes[i];
            if (route->least <= scopes[s].role) continue;
            fill(path, route->path, "shop");
            int status = json_call(&sender, route->method, path, "{}");
            if (status != (scopes[s].scope ? 403 : 401))
                fail_msg("%s may use %s: %d", scopes[s].scope ? scopes[s].scope : "nobody", path,
                         status);
        }
    }
}

static void no_route_refuses_who_may(void **state) {
    (void)state;
    char path[500];
    add_app("shop");
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *route = &api_routes[i];
        bool removes =
            route->method == HTTP_DELETE && strcmp(route->path, "/api/v1/apps/{app}") == 0;
        fill(path, route->path, "shop");
        int status = json_call(&local, route->method, path, removes ? "{\"name\":\"x\"}" : NULL);
        bool persons_own = strstr(route->path, "/account/") != NULL;
        if (status == 401 || (status == 403 && !persons_own) || status >= 500)
            if (!strstr(route->path, "/wanted")) fail_msg("%s: %d", path, status);
    }
}

static void a_token_of_one_app_sees_nothing_of_another(void **state) {
    (void)state;
    char token[TOKEN_SIZE], path[500];
    add_app("mine");
    add_app("other");
    add_token(token, "admin", "mine");
    const struct sender sender = {.token = token, .address = "192.0.2.7"};
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *route = &api_routes[i];
        if (route->least == API_NOBODY || route->least == API_LOCAL) continue;
        fill(path, route->path, "other");
        int status = json_call(&sender, route->method, path, NULL);
        bool of_app = strstr(route->path, "{app}") != NULL;
        if (of_app) expect_status(status, 404);
        else if (!route->of_one_app) expect_status(status, 403);
        if (test.call.answer.bytes && strstr(test.call.answer.bytes, "other") && !of_app)
            fail_msg("%s tells of the other app: %s", path, test.call.answer.bytes);
    }
    expect_status(json_call(&sender, HTTP_GET, "/api/v1/events?app=other", NULL), 404);
    expect_status(json_call(&sender, HTTP_GET, "/api/v1/apps", NULL), 200);
    assert_int_equal(json_array_size(json_object_get(test.answer, "apps")), 1);
    expect_status(json_call(&sender, HTTP_GET, "/api/v1/events", NULL), 200);
    assert_true(test.call.stream);
    assert_int_not_equal(test.call.stream_app, 0);
}

static void a_token_that_was_removed_or_expired_is_unknown(void **state) {
    (void)state;
    char token[TOKEN_SIZE];
    add_token(token, "read", NULL);
    const struct sender sender = {.token = token};
    expect_status(json_call(&sender, HTTP_GET, "/api/v1/session", NULL), 200);
    expect_status(json_call(&local, HTTP_DELETE, "/api/v1/tokens/1", NULL), 204);
    expect_status(json_call(&sender, HTTP_GET, "/api/v1/session", NULL), 401);
    expect_status(json_call(&local, HTTP_POST, "/api/v1/tokens",
                            "{\"name\":\"t\",\"scope\":\"read\",\"expires\":1800000010}"),
                  201);
    strcpy(token, text_of("token"));
    expect_status(json_call(&sender, HTTP_GET, "/api/v1/session", NULL), 200);
    struct api_token found;
    assert_true(api_token_by_id(test.store, 2, &found));
    assert_int_equal(found.used_s, now_s);
    forget();
    test.call = (struct api_call){.store = test.store,
                                  .keeper = test.keeper,
                                  .now_s = now_s + 10,
                                  .method = HTTP_GET,
                                  .authorization = "Bearer x"};
    char authorization[100];
    snprintf(authorization, sizeof authorization, "bearer  %s", token);
    test.call.authorization = authorization;
    api_run(&test.call, "/api/v1/session");
    expect_status(test.call.status, 401);
}

/* ---- People ---------------------------------------------------------------------------------- */

struct signed_in {
    char cookie[200], csrf[64];
};

static void take_session(struct signed_in *in) {
    const char *line = strstr(test.call.headers.bytes, "Set-Cookie: ");
    assert_non_null(line);
    line += strlen("Set-Cookie: ");
    size_t length = strcspn(line, ";");
    memcpy(in->cookie, line, length);
    in->cookie[length] = '\0';
    snprintf(in->csrf, sizeof in->csrf, "%s", text_of("csrf"));
    assert_true(in->csrf[0] != '\0');
}

/* The first person, made by the link that `serve` prints. */
static void make_first(struct signed_in *in) {
    char link[300], error[300], body[400];
    assert_true(api_first_link(test.store, "http://scale.test:8080", now_s, link, sizeof link,
                               error, sizeof error));
    const char *secret = strstr(link, "#link=");
    assert_non_null(secret);
    snprintf(body, sizeof body,
             "{\"link\":\"%s\",\"name\":\"anna\",\"password\":\"a good long password\"}",
             secret + 6);
    expect_status(json_call(&nobody, HTTP_POST, "/api/v1/links/use", body), 201);
    take_session(in);
    /* Once. */
    expect_status(json_call(&nobody, HTTP_POST, "/api/v1/links/use", body), 404);
    assert_false(api_first_link(test.store, "http://scale.test:8080", now_s, link, sizeof link,
                                error, sizeof error));
    assert_string_equal(link, "");
}

static void the_first_person_comes_by_the_link_and_is_an_admin(void **state) {
    (void)state;
    struct signed_in in;
    expect_status(json_call(&nobody, HTTP_GET, "/api/v1/setup", NULL), 200);
    assert_true(json_is_true(json_object_get(test.answer, "first_run")));
    make_first(&in);
    const struct sender sender = {.cookie = in.cookie};
    expect_status(json_call(&sender, HTTP_GET, "/api/v1/session", NULL), 200);
    assert_string_equal(text_of("name"), "anna");
    assert_string_equal(text_of("role"), "admin");
    expect_status(json_call(&nobody, HTTP_GET, "/api/v1/setup", NULL), 200);
    assert_true(json_is_false(json_object_get(test.answer, "first_run")));
}

static void a_newer_first_link_ends_the_older_one(void **state) {
    (void)state;
    char first[300], second[300], error[300], body[400];
    assert_true(api_first_link(test.store, NULL, now_s, first, sizeof first, error, sizeof error));
    assert_true(
        api_first_link(test.store, NULL, now_s, second, sizeof second, error, sizeof error));
    snprintf(body, sizeof body, "{\"link\":\"%s\"}", strstr(first, "#link=") + 6);
    expect_status(json_call(&nobody, HTTP_POST, "/api/v1/links/check", body), 404);
    snprintf(body, sizeof body, "{\"link\":\"%s\"}", strstr(second, "#link=") + 6);
    expect_status(json_call(&nobody, HTTP_POST, "/api/v1/links/check", body), 200);
}

static void another_sites_page_can_not_write_with_the_cookie(void **state) {
    (void)state;
    static const char body[] = "{\"name\":\"shop\"}";
    struct signed_in in;
    make_first(&in);
    struct sender sender = {.cookie = in.cookie};
    expect_status(json_call(&sender, HTTP_POST, "/api/v1/apps", body), 403);
    sender.csrf = "wrong";
    expect_status(json_call(&sender, HTTP_POST, "/api/v1/apps", body), 403);
    sender.csrf = in.csrf;
    sender.origin = "https://evil.example";
    expect_status(json_call(&sender, HTTP_POST, "/api/v1/apps", body), 403);
    sender.origin = "http://scale.test:8080.evil.example";
    expect_status(json_call(&sender, HTTP_POST, "/api/v1/apps", body), 403);
    sender.origin = "null";
    expect_status(json_call(&sender, HTTP_POST, "/api/v1/apps", body), 403);
    sender.origin = NULL;
    sender.fetch_site = "cross-site";
    expect_status(json_call(&sender, HTTP_POST, "/api/v1/apps", body), 403);
    sender.fetch_site = "same-site";
    expect_status(json_call(&sender, HTTP_POST, "/api/v1/apps", body), 403);
    sender.fetch_site = "same-origin";
    sender.origin = "http://scale.test:8080";
    expect_status(json_call(&sender, HTTP_POST, "/api/v1/apps", body), 201);
}

static void another_sites_page_can_not_sign_anybody_in(void **state) {
    (void)state;
    struct sender sender = nobody;
    sender.origin = "https://evil.example";
    expect_status(
        json_call(&sender, HTTP_POST, "/api/v1/session", "{\"name\":\"a\",\"password\":\"b\"}"),
        403);
    sender.origin = NULL;
    expect_status(run(&sender, HTTP_POST, "/api/v1/session", "text/plain",
                      "{\"name\":\"a\",\"password\":\"b\"}"),
                  415);
}

static void signing_in_out_and_with_a_new_password(void **state) {
    (void)state;
    struct signed_in first, second, third;
    make_first(&first);
    expect_status(json_call(&nobody, HTTP_POST, "/api/v1/session",
                            "{\"name\":\"ANNA\",\"password\":\"a good long password\"}"),
                  200);
    take_session(&second);
    const struct sender one = {.cookie = first.cookie, .csrf = first.csrf},
                        two = {.cookie = second.cookie, .csrf = second.csrf};
    expect_status(json_call(&two, HTTP_GET, "/api/v1/account/sessions", NULL), 200);
    assert_int_equal(json_array_size(json_object_get(test.answer, "sessions")), 2);
    expect_status(json_call(&two, HTTP_PUT, "/api/v1/account/password",
                            "{\"current\":\"wrong\",\"password\":\"another long password\"}"),
                  403);
    expect_status(json_call(&two, HTTP_PUT, "/api/v1/account/password",
                            "{\"current\":\"a good long password\",\"password\":\"short\"}"),
                  400);
    expect_status(
        json_call(&two, HTTP_PUT, "/api/v1/account/password",
                  "{\"current\":\"a good long password\",\"password\":\"another long password\"}"),
        204);
    expect_status(json_call(&one, HTTP_GET, "/api/v1/session", NULL), 401);
    expect_status(json_call(&two, HTTP_GET, "/api/v1/session", NULL), 200);
    /* Ending sessions takes the password, too. */
    expect_status(json_call(&two, HTTP_DELETE, "/api/v1/account/sessions/others", "{}"), 400);
    expect_status(json_call(&two, HTTP_DELETE, "/api/v1/account/sessions/others",
                            "{\"current\":\"a wrong password\"}"),
                  403);
    expect_status(json_call(&two, HTTP_DELETE, "/api/v1/account/sessions/others",
                            "{\"current\":\"another long password\"}"),
                  204);
    /* Who signs in again leaves no session behind. */
    expect_status(json_call(&two, HTTP_POST, "/api/v1/session",
                            "{\"name\":\"anna\",\"password\":\"another long password\"}"),
                  200);
    take_session(&third);
    const struct sender three = {.cookie = third.cookie, .csrf = third.csrf};
    expect_status(json_call(&two, HTTP_GET, "/api/v1/session", NULL), 401);
    expect_status(json_call(&three, HTTP_DELETE, "/api/v1/session", NULL), 204);
    expect_status(json_call(&three, HTTP_GET, "/api/v1/session", NULL), 401);
    expect_status(json_call(&nobody, HTTP_POST, "/api/v1/session",
                            "{\"name\":\"anna\",\"password\":\"a good long password\"}"),
                  401);
}

static void an_invited_person_gets_the_role_and_no_more(void **state) {
    (void)state;
    struct signed_in admin, guest;
    char body[300];
    make_first(&admin);
    const struct sender anna = {.cookie = admin.cookie, .csrf = admin.csrf};
    expect_status(
        json_call(&anna, HTTP_POST, "/api/v1/people", "{\"name\":\"tom\",\"role\":\"read\"}"), 201);
    const char *link = strstr(text_of("link"), "#link=") + 6;
    /* The name is given already. */
    snprintf(body, sizeof body,
             "{\"link\":\"%s\",\"name\":\"thomas\",\"password\":\"toms own long password\"}", link);
    char kept[100];
    snprintf(kept, sizeof kept, "%s", link);
    link = kept;
    expect_status(json_call(&nobody, HTTP_POST, "/api/v1/links/use", body), 400);
    snprintf(body, sizeof body, "{\"link\":\"%s\",\"password\":\"toms own long password\"}", link);
    expect_status(json_call(&nobody, HTTP_POST, "/api/v1/links/use", body), 200);
    take_session(&guest);
    const struct sender tom = {.cookie = guest.cookie, .csrf = guest.csrf};
    expect_status(json_call(&tom, HTTP_GET, "/api/v1/apps", NULL), 200);
    expect_status(json_call(&tom, HTTP_GET, "/api/v1/people", NULL), 403);
    expect_status(json_call(&tom, HTTP_POST, "/api/v1/apps", "{\"name\":\"shop\"}"), 403);
    expect_status(json_call(&anna, HTTP_PATCH, "/api/v1/people/tom", "{\"role\":\"admin\"}"), 200);
    expect_status(json_call(&tom, HTTP_GET, "/api/v1/people", NULL), 200);
    /* An admin ends the sessions of others. */
    expect_status(json_call(&anna, HTTP_DELETE, "/api/v1/people/tom/sessions", NULL), 204);
    expect_status(json_call(&tom, HTTP_GET, "/api/v1/session", NULL), 401);
    expect_status(json_call(&anna, HTTP_GET, "/api/v1/session", NULL), 200);
    expect_status(json_call(&nobody, HTTP_POST, "/api/v1/session",
                            "{\"name\":\"tom\",\"password\":\"toms own long password\"}"),
                  200);
    take_session(&guest);
    /* Less than before: sessions end. */
    expect_status(json_call(&anna, HTTP_PATCH, "/api/v1/people/tom", "{\"role\":\"operate\"}"),
                  200);
    expect_status(json_call(&tom, HTTP_GET, "/api/v1/session", NULL), 401);
    expect_status(json_call(&anna, HTTP_DELETE, "/api/v1/people/tom", NULL), 204);
}

/* ---- The second factor ----------------------------------------------------------------------- */

/* What an authenticator app shows at the time of the next call. */
static const char *code_of(const char *secret) {
    static char code[7];
    char *bytes = NULL;
    size_t count = 0;
    assert_int_equal(oath_base32_decode(secret, strlen(secret), &bytes, &count), OATH_OK);
    assert_int_equal(
        oath_totp_generate(bytes, count, (time_t)(now_s + test.later_s), 30, 0, 6, code), OATH_OK);
    free(bytes);
    return code;
}

static int send_code(const struct sender *sender, const char *path, const char *code) {
    char body[200];
    snprintf(body, sizeof body, "{\"current\":\"a good long password\",\"code\":\"%s\"}", code);
    bool confirms = strstr(path, "confirm") != NULL;
    if (confirms) snprintf(body, sizeof body, "{\"code\":\"%s\"}", code);
    return json_call(sender, HTTP_POST, path, body);
}

static int sign_in_with(const char *code) {
    char body[300];
    int used = snprintf(body, sizeof body, "{\"name\":\"anna\",\"password\":\"%s\"",
                        "a good long password");
    if (code) used += snprintf(body + used, sizeof body - (size_t)used, ",\"code\":\"%s\"", code);
    snprintf(body + used, sizeof body - (size_t)used, "}");
    return json_call(&nobody, HTTP_POST, "/api/v1/session", body);
}

static void switch_on(const struct sender *sender, char secret[64], char recovery[64]) {
    expect_status(json_call(sender, HTTP_POST, "/api/v1/account/factor",
                            "{\"current\":\"a good long password\"}"),
                  201);
    snprintf(secret, 64, "%s", text_of("secret"));
    assert_non_null(strstr(text_of("uri"), secret));
    expect_status(send_code(sender, "/api/v1/account/factor/confirm", code_of(secret)), 200);
    const json_t *codes = json_object_get(test.answer, "recovery");
    assert_int_equal(json_array_size(codes), 10);
    snprintf(recovery, 64, "%s", json_string_value(json_array_get(codes, 3)));
}

static void a_second_factor_is_asked_for_once_it_is_confirmed(void **state) {
    (void)state;
    struct signed_in in, other;
    char secret[64], recovery[64], code[8];
    make_first(&in);
    const struct sender anna = {.cookie = in.cookie, .csrf = in.csrf};
    expect_status(sign_in_with(NULL), 200);
    take_session(&other);
    expect_status(
        json_call(&anna, HTTP_POST, "/api/v1/account/factor", "{\"current\":\"not the password\"}"),
        403);
    expect_status(send_code(&anna, "/api/v1/account/factor/confirm", "123456"), 409);
    /* One that was begun only is none yet. */
    expect_status(json_call(&anna, HTTP_POST, "/api/v1/account/factor",
                            "{\"current\":\"a good long password\"}"),
                  201);
    expect_status(send_code(&anna, "/api/v1/account/factor/confirm", "no code"), 422);
    expect_status(sign_in_with(NULL), 200);
    switch_on(&anna, secret, recovery);
    /* Other sessions have ended. */
    const struct sender two = {.cookie = other.cookie};
    expect_status(json_call(&two, HTTP_GET, "/api/v1/session", NULL), 401);
    expect_status(json_call(&anna, HTTP_GET, "/api/v1/account/factor", NULL), 200);
    assert_true(json_is_true(json_object_get(test.answer, "active")));
    assert_int_equal(json_integer_value(json_object_get(test.answer, "recovery_left")), 10);

    expect_status(sign_in_with(NULL), 422);
    assert_null(test.call.headers.bytes ? strstr(test.call.headers.bytes, "Set-Cookie") : NULL);
    strcpy(code, code_of(secret));
    expect_status(sign_in_with(code), 422); /* it switched the factor on, and works once */
    test.later_s += 30;
    strcpy(code, code_of(secret));
    expect_status(sign_in_with(code), 200);
    expect_status(sign_in_with(code), 422);
    test.later_s += 30;
    expect_status(sign_in_with(code), 422); /* nor in the step after it */
    /* A recovery code works once, and a wrong password says nothing about a code. */
    expect_status(sign_in_with(recovery), 200);
    expect_status(sign_in_with(recovery), 422);
    expect_status(json_call(&nobody, HTTP_POST, "/api/v1/session",
                            "{\"name\":\"anna\",\"password\":\"a wrong password\"}"),
                  401);
    /* Off by the password and a code. */
    test.later_s += 60;
    expect_status(send_code(&anna, "/api/v1/account/factor/off", "000000"), 422);
    expect_status(send_code(&anna, "/api/v1/account/factor/off", code_of(secret)), 204);
    expect_status(sign_in_with(NULL), 200);
    expect_status(json_call(&local, HTTP_GET, "/api/v1/audit", NULL), 200);
    assert_non_null(strstr(test.call.answer.bytes, "switched the own second factor off"));
    assert_null(strstr(test.call.answer.bytes, secret));
}

static void codes_are_tried_a_few_times_from_all_addresses(void **state) {
    (void)state;
    struct signed_in in;
    char secret[64], recovery[64];
    make_first(&in);
    const struct sender anna = {.cookie = in.cookie, .csrf = in.csrf};
    switch_on(&anna, secret, recovery);
    test.later_s += 60;
    int tries = 0;
    while (tries < 20 && sign_in_with("000000") == 422) tries++;
    expect_status(test.call.status, 429);
    assert_int_equal(tries, 5);
    assert_non_null(strstr(test.call.headers.bytes, "Retry-After: "));
    expect_status(sign_in_with(code_of(secret)), 429); /* the right one, too */
    test.later_s += 600;
    expect_status(sign_in_with(code_of(secret)), 200);
}

static void a_link_for_a_password_is_no_way_around_the_second_factor(void **state) {
    (void)state;
    struct signed_in in;
    char secret[64], recovery[64], link[300], body[500];
    make_first(&in);
    const struct sender anna = {.cookie = in.cookie, .csrf = in.csrf};
    switch_on(&anna, secret, recovery);
    expect_status(json_call(&local, HTTP_POST, "/api/v1/people/anna/link", NULL), 201);
    snprintf(link, sizeof link, "%s", strstr(text_of("link"), "#link=") + 6);
    snprintf(body, sizeof body, "{\"link\":\"%s\"}", link);
    expect_status(json_call(&nobody, HTTP_POST, "/api/v1/links/check", body), 200);
    assert_true(json_is_true(json_object_get(test.answer, "factor")));
    snprintf(body, sizeof body, "{\"link\":\"%s\",\"password\":\"another long password\"}", link);
    expect_status(json_call(&nobody, HTTP_POST, "/api/v1/links/use", body), 422);
    expect_status(json_call(&anna, HTTP_GET, "/api/v1/session", NULL), 200);
    snprintf(body, sizeof body,
             "{\"link\":\"%s\",\"password\":\"another long password\",\"code\":\"%s\"}", link,
             recovery);
    expect_status(json_call(&nobody, HTTP_POST, "/api/v1/links/use", body), 200);
}

static void where_a_second_factor_is_required_nothing_is_shown_without_one(void **state) {
    (void)state;
    struct signed_in in;
    char secret[64], recovery[64], path[500], token[TOKEN_SIZE];
    make_first(&in);
    add_app("shop");
    const struct sender anna = {.cookie = in.cookie, .csrf = in.csrf};
    /* Not before the own one works. */
    expect_status(json_call(&anna, HTTP_PUT, "/api/v1/sign-in", "{\"factor_required\":true}"), 409);
    expect_status(json_call(&local, HTTP_PUT, "/api/v1/sign-in", "{\"factor_required\":true}"),
                  200);
    expect_status(json_call(&anna, HTTP_GET, "/api/v1/session", NULL), 200);
    assert_true(json_is_true(json_object_get(test.answer, "lacks_factor")));
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *route = &api_routes[i];
        bool own = strstr(route->path, "/session") || strstr(route->path, "/account/");
        if (own || route->least == API_NOBODY || route->least == API_LOCAL) continue;
        fill(path, route->path, "shop");
        if (json_call(&anna, route->method, path, NULL) != 403)
            fail_msg("%s: %d", path, test.call.status);
    }
    add_token(token, "read", NULL);
    const struct sender program = {.token = token, .address = "192.0.2.7"};
    expect_status(json_call(&program, HTTP_GET, "/api/v1/apps", NULL), 200);
    switch_on(&anna, secret, recovery);
    expect_status(json_call(&anna, HTTP_GET, "/api/v1/apps", NULL), 200);
    expect_status(json_call(&anna, HTTP_PUT, "/api/v1/sign-in", "{\"factor_required\":false}"),
                  200);
}

static void an_admin_resets_the_second_factor_of_somebody_who_lost_it(void **state) {
    (void)state;
    struct signed_in in, again;
    char secret[64], recovery[64], token[TOKEN_SIZE];
    make_first(&in);
    const struct sender anna = {.cookie = in.cookie, .csrf = in.csrf};
    switch_on(&anna, secret, recovery);
    expect_status(json_call(&anna, HTTP_DELETE, "/api/v1/people/anna/factor", NULL), 409);
    add_token(token, "admin", NULL);
    const struct sender admin = {.token = token, .address = "192.0.2.7"};
    expect_status(json_call(&admin, HTTP_DELETE, "/api/v1/people/anna/factor", NULL), 204);
    expect_status(json_call(&anna, HTTP_GET, "/api/v1/session", NULL), 401);
    expect_status(sign_in_with(NULL), 200);
    take_session(&again);
    expect_status(json_call(&local, HTTP_GET, "/api/v1/audit", NULL), 200);
    assert_non_null(strstr(test.call.answer.bytes, "reset the second factor of anna"));
    /* What was before does not come back with it. */
    const struct sender now = {.cookie = again.cookie, .csrf = again.csrf};
    test.later_s += 60;
    expect_status(send_code(&now, "/api/v1/account/factor/off", recovery), 409);
}

/* ---- Who may less by the time that the call's transaction begins -------------------------------
 */

static void role_is_lowered(void) { assert_true(person_set_role(test.store, 1, API_READ)); }
static void sessions_are_ended(void) { assert_true(session_remove_others(test.store, 1, 0)); }
static void person_is_removed(void) { assert_true(person_remove(test.store, 1)); }
static void token_is_removed(void) { assert_true(api_token_remove(test.store, 1)); }
static void app_is_removed(void) { assert_true(app_remove(test.store, 1)); }
static void factor_is_required_now(void) {
    assert_true(store_set_meta(test.store, "second_factor", "required"));
}

static void factor_is_confirmed(void) {
    assert_true(factor_set(test.store, 1, "sealed", 6, now_s) && factor_confirm(test.store, 1));
}

static void password_is_set(void) {
    assert_true(person_set_password(test.store, 1, "another one's hash") &&
                session_remove_others(test.store, 1, 0));
}

static int call_meanwhile(int transaction, void (*happens)(void), const struct sender *sender,
                          enum http_method method, const char *path, const char *body) {
    meanwhile.transaction = transaction;
    meanwhile.happens = happens;
    int status = json_call(sender, method, path, body);
    assert_int_equal(meanwhile.transaction, 0);
    return status;
}

static void what_one_may_is_asked_in_the_transaction(void **state) {
    (void)state;
    static const char made[] = "{\"name\":\"blog\"}";
    static const char hook[] =
        "{\"kind\":\"webhook\",\"settings\":{\"url\":\"https://ops.example/\"}}";
    static const char apps[] = "/api/v1/apps", platform[] = "/api/v1/apps/shop/platform";
    char token[TOKEN_SIZE];
    struct signed_in in;
    add_app("shop");
    add_token(token, "admin", NULL);
    make_first(&in);
    const struct sender anna = {.cookie = in.cookie, .csrf = in.csrf}, ci = {.token = token};
    expect_status(json_call(&ci, HTTP_GET, apps, NULL), 200); /* its use is noted */
    expect_status(call_meanwhile(1, role_is_lowered, &anna, HTTP_POST, apps, made), 403);
    assert_true(store_begin(test.store) && person_set_role(test.store, 1, API_ADMIN) &&
                store_commit(test.store));
    expect_status(call_meanwhile(1, role_is_lowered, &anna, HTTP_PUT, platform, hook), 403);
    assert_true(store_begin(test.store) && person_set_role(test.store, 1, API_ADMIN) &&
                store_commit(test.store));
    expect_status(call_meanwhile(1, factor_is_required_now, &anna, HTTP_POST, apps, made), 403);
    assert_true(store_begin(test.store) && store_set_meta(test.store, "second_factor", "") &&
                store_commit(test.store));
    expect_status(call_meanwhile(1, sessions_are_ended, &anna, HTTP_POST, apps, made), 401);
    expect_status(call_meanwhile(1, token_is_removed, &ci, HTTP_POST, apps, made), 401);
    expect_status(call_meanwhile(1, app_is_removed, &local, HTTP_PUT, platform, hook), 404);
    expect_status(json_call(&local, HTTP_GET, apps, NULL), 200);
    assert_int_equal(json_array_size(json_object_get(test.answer, "apps")), 0);
}

/* Passwords take long to check, and are checked before a transaction. */
static void what_a_password_opened_is_closed_by_a_newer_one(void **state) {
    (void)state;
    static const char again[] = "{\"current\":\"a good long password\","
                                "\"password\":\"another long password\"}";
    static const char sign_in[] = "{\"name\":\"anna\",\"password\":\"a good long password\"}";
    char hash[PASSWORD_HASH_SIZE];
    void (*const happen[])(void) = {password_is_set, factor_is_confirmed, person_is_removed};
    for (size_t i = 0; i < sizeof happen / sizeof *happen; i++) {
        struct signed_in in;
        if (i > 0) tear_down(state), set_up(state);
        make_first(&in);
        /* By address, by account, the session's. */
        expect_status(call_meanwhile(3, happen[i], &nobody, HTTP_POST, "/api/v1/session", sign_in),
                      401);
        assert_true(!test.call.headers.bytes || !strstr(test.call.headers.bytes, "Set-Cookie"));
    }
    tear_down(state), set_up(state);
    struct signed_in in;
    make_first(&in);
    const struct sender anna = {.cookie = in.cookie, .csrf = in.csrf, .address = "192.0.2.7"};
    /* By address, by account, these given back, the change. */
    expect_status(
        call_meanwhile(4, password_is_set, &anna, HTTP_PUT, "/api/v1/account/password", again),
        401);
    assert_true(person_password(test.store, 1, hash));
    assert_string_equal(hash, "another one's hash");
}

static void a_link_that_was_looked_at_is_no_way_around_a_newer_factor(void **state) {
    (void)state;
    struct signed_in in;
    char body[300];
    make_first(&in);
    expect_status(json_call(&local, HTTP_POST, "/api/v1/people/anna/link", "{}"), 201);
    snprintf(body, sizeof body, "{\"link\":\"%s\",\"password\":\"another long password\"}",
             strstr(text_of("link"), "#link=") + 6);
    expect_status(
        call_meanwhile(2, factor_is_confirmed, &nobody, HTTP_POST, "/api/v1/links/use", body), 409);
    assert_true(!test.call.headers.bytes || !strstr(test.call.headers.bytes, "Set-Cookie"));
}

/* As at the sign-in: who has a session's cookie may not try the password from many addresses. */
static void tries_of_the_own_password_are_limited_by_account(void **state) {
    (void)state;
    struct signed_in in;
    char address[32];
    make_first(&in);
    int tries = 0, status = 403;
    for (; status == 403 && tries < 40; tries++) {
        snprintf(address, sizeof address, "198.51.100.%d", tries);
        const struct sender thief = {.cookie = in.cookie, .csrf = in.csrf, .address = address};
        status = json_call(&thief, HTTP_POST, "/api/v1/account/factor", "{\"current\":\"guess\"}");
    }
    assert_int_equal(status, 429);
    assert_int_equal(tries, 11);
    /* Who signed in from an address has an allowance of their own there. */
    const struct sender anna = {.cookie = in.cookie, .csrf = in.csrf, .address = nobody.address};
    for (int i = 0; i < 12; i++)
        expect_status(json_call(&anna, HTTP_POST, "/api/v1/account/factor",
                                "{\"current\":\"a good long password\"}"),
                      201);
}

static void the_last_admin_stays(void **state) {
    (void)state;
    struct signed_in in;
    make_first(&in);
    const struct sender anna = {.cookie = in.cookie, .csrf = in.csrf};
    expect_status(json_call(&anna, HTTP_DELETE, "/api/v1/people/anna", NULL), 409);
    expect_status(json_call(&anna, HTTP_PATCH, "/api/v1/people/1", "{\"role\":\"read\"}"), 409);
    expect_status(json_call(&local, HTTP_DELETE, "/api/v1/people/anna", NULL), 204);
}

/* ---- Rules and orders ------------------------------------------------------------------------ */

static const char good_rules[] = "processes:\n  web:\n    scaling: on\n    rules:\n"
                                 "      - {name: default, dynos: {min: 1, max: 4}}\n";

static void rules_with_a_mistake_change_nothing(void **state) {
    (void)state;
    add_app("shop");
    expect_status(
        run(&local, HTTP_PUT, "/api/v1/apps/shop/rules", "application/yaml",
            "processes:\n  web:\n    rules:\n      - {name: default, dynos: {min: 9, max: "
            "4}}\n"),
        400);
    assert_non_null(strstr(text_of("detail"), "4"));
    expect_status(json_call(&local, HTTP_GET, "/api/v1/apps/shop", NULL), 200);
    assert_int_equal(json_integer_value(json_object_get(test.answer, "rules_version")), 1);
}

static void rules_of_any_size_get_a_sentence(void **state) {
    (void)state;
    struct text body = TEXT_EMPTY;
    add_app("shop");
    for (int i = 0; i < 300; i++) text_format(&body, "#%1000d\n", i);
    expect_status(run(&local, HTTP_PUT, "/api/v1/apps/shop/rules", "application/yaml", body.bytes),
                  413);
    expect_status(run(&local, HTTP_POST, "/api/v1/rules/check", NULL, body.bytes), 413);
    expect_status(run(&local, HTTP_PUT, "/api/v1/apps/shop/rules", "application/yaml", ""), 400);
    text_free(&body);
}

static void rules_changed_meanwhile_are_not_overwritten(void **state) {
    (void)state;
    add_app("shop");
    expect_status(run(&local, HTTP_PUT, "/api/v1/apps/shop/rules", "application/yaml", good_rules),
                  200);
    assert_non_null(strstr(test.call.headers.bytes, "ETag: \"2\""));
    forget();
    test.call = (struct api_call){.store = test.store,
                                  .keeper = test.keeper,
                                  .now_s = now_s,
                                  .who = {.role = API_LOCAL},
                                  .method = HTTP_PUT,
                                  .body = "processes: {}",
                                  .body_length = 13,
                                  .if_match = "\"1\""};
    api_run(&test.call, "/api/v1/apps/shop/rules");
    expect_status(test.call.status, 412);
}

static void the_same_rules_again_are_no_new_version(void **state) {
    (void)state;
    add_app("shop");
    for (int i = 0; i < 2; i++)
        expect_status(
            run(&local, HTTP_PUT, "/api/v1/apps/shop/rules", "application/yaml", good_rules), 200);
    assert_int_equal(json_integer_value(json_object_get(test.answer, "version")), 2);
}

static void a_roll_back_is_a_new_version_and_the_history_tells_both(void **state) {
    (void)state;
    add_app("shop");
    expect_status(run(&local, HTTP_PUT, "/api/v1/apps/shop/rules", "application/yaml", good_rules),
                  200);
    expect_status(
        json_call(&local, HTTP_POST, "/api/v1/apps/shop/rules/rollback", "{\"version\":1}"), 200);
    assert_int_equal(json_integer_value(json_object_get(test.answer, "version")), 3);
    expect_status(json_call(&local, HTTP_GET, "/api/v1/apps/shop/rules/history", NULL), 200);
    json_t *versions = json_object_get(test.answer, "versions");
    assert_int_equal(json_array_size(versions), 3);
    json_t *second = json_array_get(versions, 1);
    assert_non_null(strstr(json_string_value(json_array_get(json_object_get(second, "changes"), 0)),
                           "off → on"));
    expect_status(json_call(&local, HTTP_GET, "/api/v1/apps/shop/rules/history?limit=1", NULL),
                  200);
    json_t *newest = json_array_get(json_object_get(test.answer, "versions"), 0);
    assert_non_null(strstr(json_string_value(json_array_get(json_object_get(newest, "changes"), 0)),
                           "on → off"));
}

static void the_switch_is_a_version_of_the_rules(void **state) {
    (void)state;
    add_app("shop");
    expect_status(
        json_call(&local, HTTP_PUT, "/api/v1/apps/shop/processes/web/switch", "{\"scaling\":true}"),
        200);
    expect_status(json_call(&local, HTTP_GET, "/api/v1/apps/shop/audit", NULL), 200);
    json_t *newest = json_array_get(json_object_get(test.answer, "entries"), 0);
    assert_string_equal(json_string_value(json_object_get(newest, "what")),
                        "switched scaling of web of shop on: version 2");
    expect_status(json_call(&local, HTTP_PUT, "/api/v1/apps/shop/processes/nope/switch",
                            "{\"scaling\":true}"),
                  404);
}

/* Switches web off and worker on. */
static void expect_switched(const char *before, const char *after) {
    expect_status(run(&local, HTTP_PUT, "/api/v1/apps/shop/rules", "application/yaml", before),
                  200);
    expect_status(json_call(&local, HTTP_PUT, "/api/v1/apps/shop/processes/web/switch",
                            "{\"scaling\":false}"),
                  200);
    expect_status(json_call(&local, HTTP_PUT, "/api/v1/apps/shop/processes/worker/switch",
                            "{\"scaling\":true}"),
                  200);
    forget();
    test.call = (struct api_call){.store = test.store,
                                  .keeper = test.keeper,
                                  .now_s = now_s,
                                  .who = {.role = API_LOCAL},
                                  .method = HTTP_GET,
                                  .accept = "application/yaml"};
    api_run(&test.call, "/api/v1/apps/shop/rules");
    if (after) assert_string_equal(test.call.answer.bytes, after);
    expect_status(json_call(&local, HTTP_GET, "/api/v1/apps/shop/rules", NULL), 200);
    json_t *processes = json_object_get(test.answer, "processes");
    assert_true(json_is_false(json_object_get(json_object_get(processes, "web"), "scaling")));
    assert_true(json_is_true(json_object_get(json_object_get(processes, "worker"), "scaling")));
}

static void a_switch_leaves_comments_and_order_as_they_are(void **state) {
    (void)state;
    add_app("shop");
    expect_switched(
        "# why\nprocesses:\n  # scaling: of old\n  \"web\":\n    rules:  # one\n      - "
        "name: default  # scaling: no\n\n  worker:\n      scaling:  off   # not yet\n"
        "      rules: [{name: default, dynos: {max: 3}}]\nzone: Europe/Berlin\n",
        "# why\nprocesses:\n  # scaling: of old\n  \"web\":\n    scaling: off\n    rules:  "
        "# one\n      - name: default  # scaling: no\n\n  worker:\n      scaling:  on   # "
        "not yet\n      rules: [{name: default, dynos: {max: 3}}]\nzone: "
        "Europe/Berlin\n");
    /* Forms that are not understood are written anew, with the same rules. */
    expect_switched("{processes: {web: {scaling: off, rules: [{name: default}]}, worker: {rules: "
                    "[{name: default}]}}}",
                    NULL);
    expect_switched("processes:\n  web: {rules: [{name: default}]}\n  worker:\n    rules:\n    - "
                    "name: default\n",
                    NULL);
    expect_switched(
        "processes:\n  web:\n    rules:\n    - {name: default, queues: [\"\n    scaling: "
        "off\"]}\n  worker:\n    rules:\n    - name: default",
        NULL);
}

static void orders_have_an_end(void **state) {
    (void)state;
    static const char pause[] = "/api/v1/apps/shop/processes/web/pause";
    add_app("shop");
    expect_status(json_call(&local, HTTP_POST, pause, NULL), 200);
    assert_int_equal(json_integer_value(json_object_get(test.answer, "until")), now_s + 3600);
    /* 08:00 UTC is 09:00 in Berlin: the next 08:30 there is tomorrow's. */
    expect_status(json_call(&local, HTTP_POST, pause, "{\"until\":\"08:30\"}"), 200);
    assert_int_equal(json_integer_value(json_object_get(test.answer, "until")),
                     now_s + 23 * 3600 + 1800);
    expect_status(json_call(&local, HTTP_POST, pause, "{\"until\":\"-1h\"}"), 400);
    expect_status(json_call(&local, HTTP_POST, pause, "{\"until\":\"+91d\"}"), 400);
    expect_status(json_call(&local, HTTP_POST, pause, "{\"direction\":\"up\"}"), 400);
    expect_status(
        json_call(&local, HTTP_POST, "/api/v1/apps/shop/processes/web/boost", "{\"dynos\":0}"),
        400);
    expect_status(json_call(&local, HTTP_DELETE, pause, NULL), 204);
}

static void a_new_zone_moves_the_rules_that_name_one(void **state) {
    (void)state;
    add_app("shop");
    expect_status(run(&local, HTTP_PUT, "/api/v1/apps/shop/rules", "application/yaml",
                      "zone: America/New_York\nprocesses:\n  web:\n    rules:\n      - {name: "
                      "default}\n"),
                  200);
    expect_status(json_call(&local, HTTP_GET, "/api/v1/apps/shop", NULL), 200);
    assert_string_equal(text_of("zone"), "America/New_York");
    expect_status(json_call(&local, HTTP_PATCH, "/api/v1/apps/shop", "{\"zone\":\"Asia/Kolkata\"}"),
                  200);
    expect_status(json_call(&local, HTTP_GET, "/api/v1/apps/shop/rules", NULL), 200);
    assert_string_equal(text_of("zone"), "Asia/Kolkata");
}

/* ---- Platforms ------------------------------------------------------------------------------- */

static void what_runs_a_program_is_set_on_the_machine_alone(void **state) {
    (void)state;
    static const char body[] = "{\"kind\":\"command\",\"settings\":{\"command\":[\"/bin/true\"]}}";
    char token[TOKEN_SIZE];
    add_app("shop");
    add_token(token, "admin", NULL);
    const struct sender admin = {.token = token};
    expect_status(json_call(&admin, HTTP_PUT, "/api/v1/apps/shop/platform", body), 403);
    expect_status(json_call(&admin, HTTP_GET, "/api/v1/apps/shop/platform", NULL), 404);
}

static void a_credential_is_sealed_and_never_shown(void **state) {
    (void)state;
    static const char secret[] = "the-webhooks-own-secret";
    char body[300];
    char *kind, *settings;
    void *sealed;
    size_t length;
    struct app app;
    add_app("shop");
    snprintf(body, sizeof body,
             "{\"kind\":\"webhook\",\"settings\":{\"url\":\"https://192.0.2.1:1/"
             "x\"},\"secret\":\"%s\",\"force\":true}",
             secret);
    /* 192.0.2.0/24 is nobody's: the call ends at once, since such addresses are refused. */
    expect_status(json_call(&local, HTTP_PUT, "/api/v1/apps/shop/platform", body), 200);
    assert_null(strstr(test.call.answer.bytes, secret));
    assert_true(app_by_name(test.store, "shop", &app));
    assert_true(platform_get(test.store, app.id, &kind, &settings, &sealed, &length));
    assert_null(memmem(sealed, length, secret, strlen(secret)));
    char *opened = vault_unseal(test.vault, "shop\nwebhook", sealed, length);
    assert_string_equal(opened, secret);
    vault_wipe(opened);
    free(kind);
    free(settings);
    free(sealed);
    static const char *const shown[] = {"/api/v1/apps/shop/platform", "/api/v1/apps/shop/export",
                                        "/api/v1/apps/shop", "/api/v1/audit"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        expect_status(json_call(&local, HTTP_GET, shown[i], NULL), 200);
        assert_null(strstr(test.call.answer.bytes, secret));
    }
}

/* ---- Input ----------------------------------------------------------------------------------- */

static void what_is_no_address_is_not_found(void **state) {
    (void)state;
    static const char *const paths[] = {"/",
                                        "",
                                        "/api/v1",
                                        "/api/v1/",
                                        "/api/v1/apps/",
                                        "/api/v1/apps//rules",
                                        "/api/v1/apps/shop/rules/",
                                        "/api/v1/apps/%00/rules",
                                        "/api/v1/apps/%zz",
                                        "/api/v1/apps/shop%2frules",
                                        "/api/v1/apps/%ff%fe",
                                        "/api/v1/apps/../apps",
                                        "/1/2/3/4/5/6/7/8/9/10/11/12/13/14"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        expect_status(json_call(&local, HTTP_GET, paths[i], NULL), 404);
    expect_status(json_call(&local, HTTP_OTHER, "/api/v1/apps", NULL), 405);
    assert_non_null(strstr(test.call.headers.bytes, "Allow: GET, POST"));
}

/* One that a terminal can show: it may quote what was sent. */
static void expect_sentence(void) {
    const char *detail = text_of("detail");
    assert_true(strlen(detail) > 10);
    if (!tree_is_printable(detail, strlen(detail)))
        fail_msg("it does not print: %s", test.call.answer.bytes);
}

static void hostile_bodies_and_queries_get_a_sentence(void **state) {
    (void)state;
    static const char *const bodies[] = {"{",
                                         "[]",
                                         "null",
                                         "1",
                                         "\"x\"",
                                         "{}{}",
                                         "{\"name\":",
                                         "{\"x\":1}",
                                         "{\"name\":1}",
                                         "{\"name\":null}",
                                         "{\"name\":\"a\",\"name\":\"b\"}",
                                         "{\"name\":\"\\u0000\"}",
                                         "{\"name\":\"\xff\"}",
                                         "{\"name\":{\"name\":{}}}",
                                         "{\"scaling\":\"on\"}",
                                         "{\"dynos\":1e999}",
                                         "{\"dynos\":99999999999999999999}",
                                         "{\"until\":true}",
                                         "{\"version\":-1}",
                                         "{\"link\":[]}",
                                         "{\"password\":{}}",
                                         "{\"\":\"\"}",
                                         "{\"a\\u001b[31m\":1}",
                                         "{\"a\"\x1b\x1b",
                                         "{\"\u202e\u2028\":1}"};
    static const char *const queries[] = {"?from=x",
                                          "?from=1&from=2",
                                          "?%",
                                          "?x=%00",
                                          "?x=1",
                                          "?to=-1",
                                          "?from=9&to=1",
                                          "?limit=0",
                                          "?limit=99999999999999999999",
                                          "?version=x",
                                          "?from=%ff",
                                          "?=1",
                                          "?step=7&source=web",
                                          "?from=0&to=253402300799"};
    char path[600];
    add_app("shop");
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *route = &api_routes[i];
        fill(path, route->path, "shop");
        for (size_t b = 0; b < sizeof bodies / sizeof *bodies && route->method != HTTP_GET; b++) {
            int status = json_call(&local, route->method, path, bodies[b]);
            if (status < 400 || status >= 500) fail_msg("%s %s: %d", path, bodies[b], status);
            expect_sentence();
        }
        size_t end = strlen(path);
        for (size_t q = 0; q < sizeof queries / sizeof *queries && route->method == HTTP_GET; q++) {
            strcpy(path + end, queries[q]);
            int status = json_call(&local, HTTP_GET, path, NULL);
            bool allowed = strcmp(queries[q], "?x=%00") != 0 && strcmp(queries[q], "?%") != 0;
            if (status >= 500 || (status < 400 && !allowed)) fail_msg("%s: %d", path, status);
            if (status >= 400) expect_sentence();
        }
    }
}

static void names_of_apps_are_plain(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "A",
                                      "-a",
                                      ".",
                                      "..",
                                      "a b",
                                      "a/b",
                                      "ä",
                                      "a\\n",
                                      "<b>",
                                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                      "aaaaaaaaaaaaaaaa"};
    char body[200];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(body, sizeof body, "{\"name\":\"%s\"}", bad[i]);
        expect_status(json_call(&local, HTTP_POST, "/api/v1/apps", body), 400);
        assert_non_null(strstr(text_of("detail"), "name"));
    }
    expect_status(
        json_call(&local, HTTP_POST, "/api/v1/apps", "{\"name\":\"a\",\"zone\":\"Mars/Olympus\"}"),
        400);
}

/* Of people, tokens, rules: what another name could look like. */
static void names_have_no_characters_that_are_not_seen(void **state) {
    (void)state;
    static const struct {
        enum http_method method;
        const char *path, *body;
    } calls[] = {
        {HTTP_POST, "/api/v1/people", "{\"name\":\"an%sna\",\"role\":\"read\"}"},
        {HTTP_POST, "/api/v1/tokens", "{\"name\":\"an%sna\",\"scope\":\"read\"}"},
        {HTTP_PUT, "/api/v1/apps/shop/rules",
         "{\"processes\":{\"web\":{\"rules\":[{\"name\":\"an%sna\",\"dynos\":{\"min\":1,\"max\":1}}"
         "]"
         "}}}"},
    };
    static const char *const unseen[] = {"\u202e",  "\u2066",  "\u200b",  "\u200d",
                                         "\ufeff",  "\u00ad",  "\u3164",  "\\u202e",
                                         "\\u200b", "\\u0007", "\\u009b", "\\udb40\\udc41"};
    char body[400];
    add_app("shop");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        for (size_t j = 0; j < sizeof unseen / sizeof *unseen; j++) {
            snprintf(body, sizeof body, calls[i].body, unseen[j]);
            expect_status(json_call(&local, calls[i].method, calls[i].path, body), 400);
            assert_non_null(strstr(text_of("detail"), "name"));
        }
        snprintf(body, sizeof body, calls[i].body, "é 😀 نا");
        assert_true(json_call(&local, calls[i].method, calls[i].path, body) < 300);
    }
}

static void nobody_is_called_as_the_audit_log_names_others(void **state) {
    (void)state;
    static const char *const names[] = {"command line", "Nobody", "token 3 (ci)",
                                        "tom@shop.example (Heroku)", "12"};
    char body[200];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(body, sizeof body, "{\"name\":\"%s\",\"role\":\"read\"}", names[i]);
        expect_status(json_call(&local, HTTP_POST, "/api/v1/people", body), 400);
    }
    expect_status(
        json_call(&local, HTTP_POST, "/api/v1/people", "{\"name\":\"tokenia\",\"role\":\"read\"}"),
        201);
}

static void a_refused_call_leaves_nothing_behind(void **state) {
    (void)state;
    add_app("shop");
    int64_t version = store_config_version(test.store);
    expect_status(json_call(&local, HTTP_DELETE, "/api/v1/apps/shop", "{\"name\":\"other\"}"), 409);
    expect_status(json_call(&local, HTTP_POST, "/api/v1/apps", "{\"name\":\"shop\"}"), 409);
    expect_status(
        json_call(&local, HTTP_PATCH, "/api/v1/apps/shop", "{\"zone\":\"UTC\",\"kept_days\":99}"),
        400);
    assert_int_equal(store_config_version(test.store), version);
    expect_status(json_call(&local, HTTP_GET, "/api/v1/apps/shop", NULL), 200);
    assert_string_equal(text_of("zone"), "Europe/Berlin");
}

static void moments_are_read_as_people_write_them(void **state) {
    (void)state;
    /* Now is Friday 2027-01-15 08:00 UTC, 09:00 in Berlin, 13:30 in Kolkata. */
    static const struct {
        const char *text, *zone;
        bool ahead;
        int64_t expected; /* from now; INT64_MIN: refused */
    } cases[] = {
        {"now", "UTC", false, 0},
        {"1800000001", "UTC", false, 1},
        {"-2h", "UTC", false, -7200},
        {"+30m", "UTC", false, 1800},
        {"-1d", "UTC", false, -86400},
        {"+90s", "UTC", false, 90},
        {"08:00", "UTC", false, 0},
        {"08:01", "UTC", false, 60 - 86400},
        {"08:01", "UTC", true, 60},
        {"08:00", "UTC", true, 86400},
        {"09:00:01", "Europe/Berlin", true, 1},
        {"13:29", "Asia/Kolkata", false, -60},
        {"2027-01-15T08:00:00Z", "UTC", false, 0},
        {"2027-01-15t08:00:00z", "UTC", false, 0},
        {"2027-01-15T09:00:00+01:00", "UTC", false, 0},
        {"2027-01-15T02:30:00-05:30", "UTC", false, 0},
        {"2027-01-15 09:00", "Europe/Berlin", false, 0},
        {"2027-01-15T08:00:00.5Z", "UTC", false, 0},
        {"2027-01-15", "UTC", false, -8 * 3600},
        /* The hour that is skipped on 28 March 2027, and the one that is there twice. */
        {"2027-03-28 02:30", "Europe/Berlin", false, 72 * 86400 - 8 * 3600 + 5400},
        {"2026-10-25 02:30", "Europe/Berlin", false, -82 * 86400 - 8 * 3600 + 1800},
        {"", "UTC", false, INT64_MIN},
        {"-", "UTC", false, INT64_MIN},
        {"-2", "UTC", false, INT64_MIN},
        {"2h", "UTC", false, INT64_MIN},
        {"-2y", "UTC", false, INT64_MIN},
        {"24:00", "UTC", false, INT64_MIN},
        {"8:00", "UTC", false, INT64_MIN},
        {"08:60", "UTC", false, INT64_MIN},
        {"2027-02-29", "UTC", false, INT64_MIN},
        {"2027-13-01", "UTC", false, INT64_MIN},
        {"2027-01-15T08:00:00+1:00", "UTC", false, INT64_MIN},
        {"2027-01-15T08:00:00Zx", "UTC", false, INT64_MIN},
        {"1969-12-31T00:00:00Z", "UTC", false, INT64_MIN},
        {"9999999999999", "UTC", false, INT64_MIN},
        {"-999999999d", "UTC", false, INT64_MIN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t epoch_s = -7;
        bool read = input_time(cases[i].text, cases[i].zone, now_s, cases[i].ahead, &epoch_s);
        bool expected = cases[i].expected != INT64_MIN;
        if (read != expected) fail_msg("%s: %d", cases[i].text, read);
        if (read && epoch_s - now_s != cases[i].expected)
            fail_msg("%s: %lld", cases[i].text, (long long)(epoch_s - now_s));
        if (!read) assert_int_equal(epoch_s, -7);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(every_route_refuses_who_may_less),
        TEST(no_route_refuses_who_may),
        TEST(a_token_of_one_app_sees_nothing_of_another),
        TEST(a_token_that_was_removed_or_expired_is_unknown),
        TEST(the_first_person_comes_by_the_link_and_is_an_admin),
        TEST(a_newer_first_link_ends_the_older_one),
        TEST(another_sites_page_can_not_write_with_the_cookie),
        TEST(another_sites_page_can_not_sign_anybody_in),
        TEST(signing_in_out_and_with_a_new_password),
        TEST(an_invited_person_gets_the_role_and_no_more),
        TEST(a_second_factor_is_asked_for_once_it_is_confirmed),
        TEST(codes_are_tried_a_few_times_from_all_addresses),
        TEST(a_link_for_a_password_is_no_way_around_the_second_factor),
        TEST(where_a_second_factor_is_required_nothing_is_shown_without_one),
        TEST(an_admin_resets_the_second_factor_of_somebody_who_lost_it),
        TEST(what_one_may_is_asked_in_the_transaction),
        TEST(what_a_password_opened_is_closed_by_a_newer_one),
        TEST(a_link_that_was_looked_at_is_no_way_around_a_newer_factor),
        TEST(tries_of_the_own_password_are_limited_by_account),
        TEST(the_last_admin_stays),
        TEST(rules_with_a_mistake_change_nothing),
        TEST(rules_of_any_size_get_a_sentence),
        TEST(rules_changed_meanwhile_are_not_overwritten),
        TEST(the_same_rules_again_are_no_new_version),
        TEST(a_roll_back_is_a_new_version_and_the_history_tells_both),
        TEST(the_switch_is_a_version_of_the_rules),
        TEST(a_switch_leaves_comments_and_order_as_they_are),
        TEST(orders_have_an_end),
        TEST(a_new_zone_moves_the_rules_that_name_one),
        TEST(what_runs_a_program_is_set_on_the_machine_alone),
        TEST(a_credential_is_sealed_and_never_shown),
        TEST(what_is_no_address_is_not_found),
        TEST(hostile_bodies_and_queries_get_a_sentence),
        TEST(names_of_apps_are_plain),
        TEST(names_have_no_characters_that_are_not_seen),
        TEST(nobody_is_called_as_the_audit_log_names_others),
        TEST(a_refused_call_leaves_nothing_behind),
        TEST(moments_are_read_as_people_write_them),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
