/* The caller's identity, signing in and out, and the caller's own sessions and password. */
#include "api/account.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dynoscale.h"
#include "log.h"
#include "store/addon.h"
#include "store/people.h"

/* ---- Who one is ------------------------------------------------------------------------------ */

/* For the sign-in page: whether the first person still has to be created. */
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

/* The answer to signing in, with a password or with a link. */
void account_signed_in(struct api_call *call, const struct person *person, const char *token) {
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

/* Ends the caller's previous session, if the caller was still signed in. */
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
        PASSWORD_FIELD("password", &password),
        CODE_FIELD(&code),
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
        account_signed_in(call, &person, token);
        break;
    case SIGN_IN_WRONG: /* not the name: people type passwords into that field */
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
    case SIGN_IN_CODE_WRONG: /* with the name: whoever tries it has the password */
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

/* Asks for the password, so that somebody who only has the browser can't end the owner's other
 * sessions. */
void sessions_end(struct api_call *call) {
    char *end;
    const char *current = NULL;
    const struct field fields[] = {
        PASSWORD_FIELD("current", &current),
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

/* Checks and hashes a new password. Not in a transaction: it takes long. */
bool account_hash_password(struct api_call *call, const char *password, const char *person,
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
    struct person person;
    int64_t wait_s = 0;
    enum sign_in said = SIGN_IN_WRONG;
    if (person_by_id(call->store, call->who.user, &person))
        said = sign_in_again(call->store, &person, password, call->address, call->now_s, &wait_s);
    if (said == SIGN_IN_LATER) answer_later(call, wait_s);
    else if (said == SIGN_IN_FAILED) api_store_failed(call);
    else if (said != SIGN_IN_DONE)
        api_problem(call, 403, "the field “current” is not your password");
    return said == SIGN_IN_DONE;
}

void account_set_password(struct api_call *call) {
    const char *current = NULL, *password = NULL;
    char hash[PASSWORD_HASH_SIZE];
    const struct field fields[] = {
        PASSWORD_FIELD("current", &current),
        PASSWORD_FIELD("password", &password),
    };
    if (!account_is_person(call) || !input_body(call, fields, INPUT_COUNT(fields))) return;
    if (!account_password_is(call, current)) return;
    if (!account_hash_password(call, password, call->who.name, hash) || !api_begin(call)) return;
    if (!person_set_password(call->store, call->who.user, hash) ||
        !session_remove_others(call->store, call->who.user, call->who.session) ||
        !link_remove_all(call->store, "password", call->who.user))
        api_store_failed(call);
    else api_audit(call, 0, NULL, "changed the own password; other sessions ended");
    if (!api_failed(call)) call->status = 204;
    api_end(call);
}
