/* Signing in and out, one's own sessions and password, one-time links, and the people. */
#define _GNU_SOURCE /* strdup */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/resources.h"
#include "dynoscale.h"
#include "log.h"
#include "people/password.h"
#include "people/session.h"
#include "store/addon.h"
#include "store/people.h"

enum {
    FIRST_LINK_S = 7 * 86400,
    LINK_S = 3 * 86400,
    PASSWORD_MOST = PASSWORD_LONGEST,
    CODE_MOST = 60
};

/* ---- Who one is ------------------------------------------------------------------------------ */

/* For the page to sign in: whether the first person is still to come. */
void setup_show(struct api_call *call) {
    if (!input_query(call, NULL, 0)) return;
    int64_t count = person_count(call->store);
    if (count < 0) api_store_failed(call);
    else
        text_format(&call->answer, "{\"first_run\":%s,\"version\":\"%s\"}",
                    count == 0 ? "true" : "false", DYNOSCALE_VERSION);
}

static void put_who(struct api_call *call) {
    struct text *text = &call->answer;
    struct app app;
    bool person = call->who.user != 0, token = call->who.token != 0;
    text_put(text, "{\"name\":");
    text_json(text, call->who.name);
    text_format(text, ",\"kind\":\"%s\",\"role\":\"%s\",\"app\":",
                person  ? "person"
                : token ? "token"
                        : "local",
                person                        ? role_person_name(call->who.role)
                : call->who.role == API_LOCAL ? "admin"
                                              : role_scope_name(call->who.role));
    text_json(text, call->who.app && app_by_id(call->store, call->who.app, &app) ? app.name : NULL);
    struct addon_resource resource;
    text_put(text, ",\"heroku_app\":");
    bool heroku = call->who.session && addon_of_app(call->store, call->who.app, &resource);
    text_json(text, heroku ? resource.heroku_app : NULL);
    text_format(text, ",\"lacks_factor\":%s", call->who.lacks_factor ? "true" : "false");
    text_put(text, ",\"csrf\":");
    if (call->session_token[0]) {
        char csrf[CSRF_SIZE];
        session_csrf(csrf, call->session_token);
        text_json(text, csrf);
    } else {
        text_put(text, "null");
    }
    text_char(text, '}');
}

void session_show(struct api_call *call) {
    if (input_query(call, NULL, 0)) put_who(call);
}

static void put_cookie(struct api_call *call, const char *token) {
    char line[256];
    session_cookie(line, sizeof line, call->public_url, token);
    text_put(&call->headers, line);
}

/* The answer to signing in, by a password or by a link. */
static void put_signed_in(struct api_call *call, const struct person *person, const char *token) {
    call->who =
        (struct api_who){.role = person->role,
                         .user = person->id,
                         .lacks_factor = !person->has_factor && factor_is_required(call->store)};
    snprintf(call->who.name, sizeof call->who.name, "%s", person->name);
    snprintf(call->session_token, sizeof call->session_token, "%s", token);
    put_cookie(call, token);
    put_who(call);
}

void answer_later(struct api_call *call, int64_t wait_s) {
    api_problem(call, 429, "too many tries; try again in %" PRId64 " s", wait_s);
    text_format(&call->headers, "Retry-After: %" PRId64 "\r\n", wait_s);
}

/* Of who signs in while still signed in. */
static void end_older(struct api_call *call) {
    if (!call->who.session || !store_begin(call->store)) return;
    if (!session_remove(call->store, call->who.session, call->who.user) ||
        !store_commit(call->store))
        store_rollback(call->store);
}

struct code_of_call {
    struct api_call *call;
    const char *code;
};

static enum sign_in check_code(void *context, const struct person *person, int64_t *wait_s) {
    const struct code_of_call *of = context;
    return factor_check(of->call, person, of->code, wait_s);
}

void session_sign_in(struct api_call *call) {
    const char *name = NULL, *password = NULL, *code = NULL;
    char token[TOKEN_SIZE];
    struct person person;
    int64_t wait_s = 0;
    const struct field fields[] = {
        {.name = "name",
         .kind = FIELD_TEXT,
         .needed = true,
         .most = PERSON_NAME_SIZE - 1,
         .to = &name},
        {.name = "password",
         .kind = FIELD_TEXT,
         .needed = true,
         .most = PASSWORD_MOST,
         .to = &password},
        {.name = "code", .kind = FIELD_TEXT, .most = CODE_MOST, .to = &code},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields))) return;
    struct code_of_call of_call = {call, code};
    const struct sign_in_factor factor = {check_code, &of_call};
    const char *from = call->address ? call->address : "this machine";
    enum sign_in said = sign_in(call->store, name, password, &factor, call->address,
                                call->user_agent, call->now_s, token, &person, &wait_s);
    switch (said) {
    case SIGN_IN_DONE:
        end_older(call);
        log_line(LOG_INFO, "people", "%s signed in from %s", person.name, from);
        put_signed_in(call, &person, token);
        break;
    case SIGN_IN_WRONG: /* the name that was typed may be the password */
        log_line(LOG_WARN, "people", "a sign-in from %s was refused", from);
        api_problem(call, 401, "the name or the password is wrong");
        break;
    case SIGN_IN_LATER:
        log_line(LOG_WARN, "people", "sign-in from %s: too many tries", from);
        answer_later(call, wait_s);
        break;
    case SIGN_IN_CODE:
        factor_answer(call, said, wait_s);
        break;
    case SIGN_IN_CODE_WRONG: /* who tries has the password */
        log_line(LOG_WARN, "people", "a sign-in of %s from %s was refused: a wrong code",
                 person.name, from);
        factor_answer(call, said, wait_s);
        break;
    case SIGN_IN_FAILED:
        api_store_failed(call);
    }
}

void session_sign_out(struct api_call *call) {
    if (!input_body(call, NULL, 0)) return;
    if (call->who.session && !session_remove(call->store, call->who.session, call->who.user)) {
        api_store_failed(call);
        return;
    }
    put_cookie(call, NULL);
    text_put(&call->headers, "Clear-Site-Data: \"cache\", \"cookies\", \"storage\"\r\n");
    call->status = 204;
}

/* ---- One's own sessions and password --------------------------------------------------------- */

bool account_is_person(struct api_call *call) {
    if (call->who.user) return true;
    api_problem(call, 403, "this is for people who have signed in; %s is none", call->who.name);
    return false;
}

static void put_session(void *context, const struct session *session) {
    struct api_call *call = context;
    struct text *text = &call->answer;
    if (call->now_s - session->seen_s > SESSION_IDLE_S ||
        call->now_s - session->created_s > SESSION_LONGEST_S)
        return;
    if (text_last(text) != '[') text_char(text, ',');
    text_format(text,
                "{\"id\":%" PRId64 ",\"created\":%" PRId64 ",\"seen\":%" PRId64
                ",\"this\":%s,\"address\":",
                session->id, session->created_s, session->seen_s,
                session->id == call->who.session ? "true" : "false");
    text_json(text, session->address);
    text_put(text, ",\"browser\":");
    text_json(text, session->agent);
    text_char(text, '}');
}

void sessions_list(struct api_call *call) {
    if (!account_is_person(call) || !input_query(call, NULL, 0)) return;
    text_put(&call->answer, "{\"sessions\":[");
    if (!session_each(call->store, call->who.user, put_session, call)) api_store_failed(call);
    else text_put(&call->answer, "]}");
}

/* With the password, so that who has but the browser can't end what its owner is signed in by. */
void sessions_end(struct api_call *call) {
    char *end;
    const char *current = NULL;
    const struct field fields[] = {
        {.name = "current",
         .kind = FIELD_TEXT,
         .needed = true,
         .most = PASSWORD_MOST,
         .to = &current},
    };
    if (!account_is_person(call) || !input_body(call, fields, INPUT_COUNT(fields))) return;
    if (!account_password_is(call, current) || !api_begin(call)) return;
    int64_t id = strtoll(call->parameters[0], &end, 10);
    bool others = strcmp(call->parameters[0], "others") == 0;
    bool done = others ? session_remove_others(call->store, call->who.user, call->who.session)
                       : !*end && session_remove(call->store, id, call->who.user) &&
                             store_changed(call->store) == 1;
    if (!done) api_problem(call, 404, "there is no session %.20s of yours", call->parameters[0]);
    else call->status = 204;
    api_end(call);
}

/* Checks and hashes a new password: neither may happen in a transaction, for they take long. */
static bool hash_new(struct api_call *call, const char *password, const char *person,
                     char hash[PASSWORD_HASH_SIZE]) {
    char error[200];
    if (!password_allowed(password, person, error, sizeof error)) {
        api_problem(call, 400, "the field “password”: %s", error);
        return false;
    }
    if (password_hash(hash, password)) return true;
    api_problem(call, 503, "there is no memory left to keep the password safely");
    return false;
}

bool account_password_is(struct api_call *call, const char *password) {
    char hash[PASSWORD_HASH_SIZE];
    bool outdated;
    int64_t wait_s;
    if (!sign_in_may_try(call->store, call->address, call->now_s, &wait_s)) {
        answer_later(call, wait_s);
        return false;
    }
    bool has = person_password(call->store, call->who.user, hash);
    if (password_right(has ? hash : NULL, password, &outdated)) return true;
    if (errno == ENOMEM) api_no_memory();
    api_problem(call, 403, "the field “current” is not your password");
    return false;
}

void account_set_password(struct api_call *call) {
    const char *current = NULL, *password = NULL;
    char hash[PASSWORD_HASH_SIZE];
    const struct field fields[] = {
        {.name = "current",
         .kind = FIELD_TEXT,
         .needed = true,
         .most = PASSWORD_MOST,
         .to = &current},
        {.name = "password",
         .kind = FIELD_TEXT,
         .needed = true,
         .most = PASSWORD_MOST,
         .to = &password},
    };
    if (!account_is_person(call) || !input_body(call, fields, INPUT_COUNT(fields))) return;
    if (!account_password_is(call, current)) return;
    if (!hash_new(call, password, call->who.name, hash) || !api_begin(call)) return;
    if (!person_set_password(call->store, call->who.user, hash) ||
        !session_remove_others(call->store, call->who.user, call->who.session) ||
        !link_remove_all(call->store, "password", call->who.user))
        api_store_failed(call);
    else api_audit(call, 0, NULL, "changed the own password; other sessions ended");
    if (!api_failed(call)) call->status = 204;
    api_end(call);
}

static bool is_number(const char *text) { return *text && !text[strspn(text, "0123456789")]; }

/* Whether the audit log names who is no person so, or who came by single sign-on. */
static bool is_of_others(const char *name) {
    static const char heroku[] = "(Heroku)";
    size_t length = strlen(name), end = sizeof heroku - 1;
    return strcasecmp(name, "command line") == 0 || strcasecmp(name, "nobody") == 0 ||
           strncasecmp(name, "token ", 6) == 0 ||
           (length >= end && strcasecmp(name + length - end, heroku) == 0);
}

/* A name is no number alone, so that a path can hold a name or an id. */
static bool check_name(struct api_call *call, const char *name) {
    bool number = is_number(name);
    if (number) api_problem(call, 400, "the field “name” must not be a number alone");
    else if (is_of_others(name))
        api_problem(call, 400,
                    "the field “name”: “%s” would be taken for somebody else in the audit log",
                    name);
    return !api_failed(call);
}

/* ---- Links ----------------------------------------------------------------------------------- */

/* A new link for a person (0: the first one), which ends earlier ones; in a transaction. */
static bool make_link(struct store *store, const char *kind, int64_t person, int64_t now_s,
                      int64_t lasts_s, char token[TOKEN_SIZE]) {
    uint8_t hash[TOKEN_HASH_SIZE];
    struct link link = {.person = person, .created_s = now_s, .expires_s = now_s + lasts_s};
    snprintf(link.kind, sizeof link.kind, "%s", kind);
    token_make(token, "li_");
    token_hash(hash, token, strlen(token));
    return link_remove_all(store, kind, person) && link_add(store, hash, &link);
}

/* The secret stands behind the #, which browsers send to nobody. */
static void put_link(char *text, size_t size, const char *public_url, const char *token) {
    const char *url = public_url ? public_url : "http://127.0.0.1:8080";
    size_t length = strlen(url);
    while (length > 0 && url[length - 1] == '/') length--;
    snprintf(text, size, "%.*s/signin#link=%s", (int)length, url, token);
}

bool api_first_link(struct store *store, const char *public_url, int64_t now_s, char *link,
                    size_t link_size, char *error, size_t size) {
    char token[TOKEN_SIZE];
    link[0] = error[0] = '\0';
    int64_t count = person_count(store);
    if (count > 0) return false;
    if (count == 0 && store_begin(store)) {
        if (make_link(store, "first", 0, now_s, FIRST_LINK_S, token) && store_commit(store)) {
            put_link(link, link_size, public_url, token);
            return true;
        }
        store_rollback(store);
    }
    snprintf(error, size, "the link for the first person could not be made: %s",
             store_error(store));
    return false;
}

/* By the command line, where the one that `serve` printed is lost. */
void setup_link(struct api_call *call) {
    char link[1024], error[300];
    if (!input_body(call, NULL, 0)) return;
    if (api_first_link(call->store, call->public_url, call->now_s, link, sizeof link, error,
                       sizeof error)) {
        text_put(&call->answer, "{\"link\":");
        text_json(&call->answer, link);
        text_char(&call->answer, '}');
        call->status = 201;
    } else if (error[0]) {
        api_problem(call, 503, "%s", error);
    } else {
        api_problem(call, 409, "there is a person already: dynoscaled user link NAME");
    }
}

/* The link that a call brings, if it still works. Tries are limited as those of passwords are. */
static bool find_link(struct api_call *call, const char *text, struct link *link,
                      struct person *person) {
    uint8_t hash[TOKEN_HASH_SIZE];
    int64_t wait_s;
    if (!sign_in_may_try(call->store, call->address, call->now_s, &wait_s)) {
        answer_later(call, wait_s);
        return false;
    }
    token_hash(hash, text, strlen(text));
    bool works = link_by_hash(call->store, hash, link) && call->now_s < link->expires_s;
    bool first = works && strcmp(link->kind, "first") == 0;
    if (first && person_count(call->store) != 0) works = false;
    if (works && !first && !person_by_id(call->store, link->person, person)) works = false;
    if (!works)
        api_problem(call, 404, "this link was used, has expired, or never was; ask for a new one");
    return works;
}

void link_check(struct api_call *call) {
    const char *text = NULL;
    struct link link;
    struct person person = {.name = "", .role = API_ADMIN};
    const struct field fields[] = {
        {.name = "link", .kind = FIELD_TEXT, .needed = true, .most = 100, .to = &text},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields))) return;
    if (!find_link(call, text, &link, &person)) return;
    bool invited = strcmp(link.kind, "password") == 0 && !person.has_password;
    text_format(&call->answer, "{\"kind\":\"%s\",\"name\":", invited ? "invite" : link.kind);
    text_json(&call->answer, person.name[0] ? person.name : NULL);
    text_format(&call->answer, ",\"role\":\"%s\",\"factor\":%s,\"expires\":%" PRId64 "}",
                role_person_name(person.role), person.has_factor ? "true" : "false",
                link.expires_s);
}

/* In a transaction: the first person is made, if the link is for that. */
static bool take_first(struct api_call *call, struct person *person, const char *name) {
    if (person_count(call->store) != 0) {
        api_problem(call, 409, "somebody else was the first meanwhile");
        return false;
    }
    *person = (struct person){.role = API_ADMIN, .created_s = call->now_s};
    snprintf(person->name, sizeof person->name, "%s", name);
    if (person_add(call->store, person)) return true;
    api_store_failed(call);
    return false;
}

void link_use(struct api_call *call) {
    const char *text = NULL, *name = NULL, *password = NULL, *code = NULL;
    int64_t wait_s = 0;
    char hash[PASSWORD_HASH_SIZE], token[TOKEN_SIZE];
    uint8_t link_hash[TOKEN_HASH_SIZE];
    struct link link;
    struct person person = {.name = ""};
    const struct field fields[] = {
        {.name = "link", .kind = FIELD_TEXT, .needed = true, .most = 100, .to = &text},
        {.name = "name", .kind = FIELD_NAME, .least = 1, .most = PERSON_NAME_SIZE - 1, .to = &name},
        {.name = "password",
         .kind = FIELD_TEXT,
         .needed = true,
         .most = PASSWORD_MOST,
         .to = &password},
        {.name = "code", .kind = FIELD_TEXT, .most = CODE_MOST, .to = &code},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields))) return;
    if (!find_link(call, text, &link, &person)) return;
    bool first = strcmp(link.kind, "first") == 0;
    if (first && !name) {
        api_problem(call, 400, "the field “name” is missing: how you will sign in");
        return;
    }
    if (!first && name && strcmp(name, person.name) != 0) {
        api_problem(call, 400, "the field “name” must be left out: this link is for %s",
                    person.name);
        return;
    }
    if (first && !check_name(call, name)) return;
    if (!hash_new(call, password, first ? name : person.name, hash)) return;
    /* A link is one factor. Who has lost the other one has it reset. */
    enum sign_in second =
        person.has_factor ? factor_check(call, &person, code, &wait_s) : SIGN_IN_DONE;
    if (second != SIGN_IN_DONE) {
        factor_answer(call, second, wait_s);
        return;
    }
    if (!api_begin(call)) return;
    token_hash(link_hash, text, strlen(text));
    /* Looked up again: of two that use a link at once, one finds it. */
    if (!link_by_hash(call->store, link_hash, &link)) {
        api_problem(call, 404, "this link was used meanwhile");
    } else if (!first || take_first(call, &person, name)) {
        snprintf(call->who.name, sizeof call->who.name, "%s", person.name);
        if (!person_set_password(call->store, person.id, hash) ||
            !link_remove_all(call->store, link.kind, link.person) ||
            !session_remove_others(call->store, person.id, 0) ||
            !session_begin(call->store, person.id, call->address, call->user_agent, call->now_s,
                           token))
            api_store_failed(call);
        else
            api_audit(call, 0, NULL, "%s",
                      first ? "became the first person, as admin" : "set a password by a link");
    }
    if (!api_failed(call)) {
        put_signed_in(call, &person, token);
        call->status = first ? 201 : 200;
    }
    api_end(call);
}

/* ---- The people ------------------------------------------------------------------------------ */

static void put_person(void *context, const struct person *person) {
    struct api_call *call = context;
    struct text *text = &call->answer;
    if (text_last(text) == '}') text_char(text, ',');
    text_format(text, "{\"id\":%" PRId64 ",\"name\":", person->id);
    text_json(text, person->name);
    text_format(text,
                ",\"role\":\"%s\",\"you\":%s,\"invited\":%s,\"factor\":%s,\"created\":%" PRId64
                ",\"seen\":",
                role_person_name(person->role), person->id == call->who.user ? "true" : "false",
                person->has_password ? "false" : "true", person->has_factor ? "true" : "false",
                person->created_s);
    api_put_time(text, person->seen_s);
    text_char(text, '}');
}

void people_list(struct api_call *call) {
    if (!input_query(call, NULL, 0)) return;
    text_put(&call->answer, "{\"people\":[");
    if (!person_each(call->store, put_person, call)) api_store_failed(call);
    else text_put(&call->answer, "]}");
}

static bool read_role(struct api_call *call, const char *name, enum api_role *role) {
    if (role_of_person(name, role)) return true;
    api_problem(call, 400, "the field “role” must be read, operate or admin");
    return false;
}

bool people_find(struct api_call *call, struct person *person) {
    const char *text = call->parameters[0];
    if (is_number(text) ? person_by_id(call->store, strtoll(text, NULL, 10), person)
                        : person_by_name(call->store, text, person))
        return true;
    api_problem(call, 404, "there is nobody called “%.100s”", call->parameters[0]);
    return false;
}

/* Writes the link as the answer's last part. */
static bool answer_link(struct api_call *call, const struct person *person) {
    char token[TOKEN_SIZE], link[1024];
    if (!make_link(call->store, "password", person->id, call->now_s, LINK_S, token)) {
        api_store_failed(call);
        return false;
    }
    put_link(link, sizeof link, call->public_url, token);
    text_put(&call->answer, "{\"name\":");
    text_json(&call->answer, person->name);
    text_put(&call->answer, ",\"link\":");
    text_json(&call->answer, link);
    text_format(&call->answer, ",\"expires\":%" PRId64 "}", call->now_s + LINK_S);
    call->status = 201;
    return true;
}

void people_add(struct api_call *call) {
    const char *name = NULL, *role = NULL;
    struct person person = {.created_s = call->now_s};
    const struct field fields[] = {
        {.name = "name",
         .kind = FIELD_NAME,
         .needed = true,
         .least = 1,
         .most = PERSON_NAME_SIZE - 1,
         .to = &name},
        {.name = "role", .kind = FIELD_TEXT, .needed = true, .to = &role},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields))) return;
    if (!check_name(call, name) || !read_role(call, role, &person.role)) return;
    struct person other;
    if (person_by_name(call->store, name, &other)) {
        api_problem(call, 409, "there is somebody called “%s” already", name);
        return;
    }
    snprintf(person.name, sizeof person.name, "%s", name);
    if (!person_add(call->store, &person)) {
        api_store_failed(call);
        return;
    }
    if (answer_link(call, &person))
        api_audit(call, 0, NULL, "invited %s with the role %s", name, role);
}

/* Whether an admin would be left without this one; the command line may take the last. */
static bool leaves_admin(struct api_call *call, const struct person *person) {
    if (person->role != API_ADMIN || call->who.role == API_LOCAL) return true;
    int64_t others = person_other_admins(call->store, person->id);
    if (others > 0) return true;
    if (others < 0) api_store_failed(call);
    else
        api_problem(call, 409, "%s is the only admin who can sign in: make another one first",
                    person->name);
    return false;
}

void people_change(struct api_call *call) {
    const char *name = NULL;
    enum api_role role;
    struct person person;
    struct text difference = TEXT_EMPTY;
    const struct field fields[] = {
        {.name = "role", .kind = FIELD_TEXT, .needed = true, .to = &name},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields))) return;
    if (!read_role(call, name, &role) || !people_find(call, &person)) return;
    if (role != API_ADMIN && !leaves_admin(call, &person)) return;
    if (!person_set_role(call->store, person.id, role) ||
        (role < person.role && !session_remove_others(call->store, person.id, call->who.session))) {
        api_store_failed(call);
        return;
    }
    text_format(&difference, "role %s → %s", role_person_name(person.role), name);
    if (role != person.role)
        api_audit(call, 0, difference.bytes, "changed the role of %s", person.name);
    text_free(&difference);
    person.role = role;
    if (!api_failed(call)) put_person(call, &person);
}

void people_remove(struct api_call *call) {
    struct person person;
    if (!input_body(call, NULL, 0) || !people_find(call, &person)) return;
    if (!leaves_admin(call, &person)) return;
    if (!person_remove(call->store, person.id)) {
        api_store_failed(call);
        return;
    }
    call->status = 204;
    api_audit(call, 0, NULL, "removed %s (%s)", person.name, role_person_name(person.role));
}

void people_end_sessions(struct api_call *call) {
    struct person person;
    if (!input_body(call, NULL, 0) || !people_find(call, &person)) return;
    int64_t keep = person.id == call->who.user ? call->who.session : 0;
    if (!session_remove_others(call->store, person.id, keep)) {
        api_store_failed(call);
        return;
    }
    call->status = 204;
    api_audit(call, 0, NULL, "ended the sessions of %s", person.name);
}

void people_link(struct api_call *call) {
    struct person person;
    if (!input_body(call, NULL, 0) || !people_find(call, &person)) return;
    if (answer_link(call, &person))
        api_audit(call, 0, NULL, "made a link for %s to set a password", person.name);
}

/* By the command line on the service's machine, whose user owns the data anyway. */
void people_set_password(struct api_call *call) {
    const char *password = NULL;
    struct person person;
    char hash[PASSWORD_HASH_SIZE];
    const struct field fields[] = {
        {.name = "password",
         .kind = FIELD_TEXT,
         .needed = true,
         .most = PASSWORD_MOST,
         .to = &password},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields)) || !people_find(call, &person)) return;
    if (!hash_new(call, password, person.name, hash) || !api_begin(call)) return;
    if (!person_set_password(call->store, person.id, hash) ||
        !session_remove_others(call->store, person.id, 0) ||
        !link_remove_all(call->store, "password", person.id))
        api_store_failed(call);
    else api_audit(call, 0, NULL, "set the password of %s", person.name);
    if (!api_failed(call)) call->status = 204;
    api_end(call);
}
