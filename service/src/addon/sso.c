/*
 * Single sign-on: Heroku's dashboard sends the person's browser here with a form whose token only
 * Heroku can make. The token is valid for five minutes and works once. The person gets a session
 * for this app alone, as its admin.
 */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addon/inside.h"
#include "addon/sha1.h"
#include "api/input.h"
#include "log.h"
#include "people/session.h"
#include "store/driver.h"
#include "store/people.h"

enum { AROUND_S = 300, LONGEST_FORM = 16384 };

struct form {
    const char *resource, *timestamp, *scoped, *token, *user, *email, *app;
};

/* Decodes the form in place. False: it is malformed. */
static bool read_form(char *text, struct form *form) {
    struct {
        const char *name;
        const char **to;
    } fields[] = {{"resource_id", &form->resource},
                  {"timestamp", &form->timestamp},
                  {"user_scoped_resource_token", &form->scoped},
                  {"resource_token", &form->token},
                  {"user_id", &form->user},
                  {"email", &form->email},
                  {"app", &form->app}};
    memset(form, 0, sizeof *form);
    while (*text) {
        char *end = text + strcspn(text, "&"), *next = *end ? end + 1 : end;
        *end = '\0';
        char *value = strchr(text, '=');
        if (value) {
            *value++ = '\0';
            if (!input_decode(text, true) || !input_decode(value, true)) return false;
            for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
                if (!*fields[i].to && strcmp(fields[i].name, text) == 0 && input_printable(value))
                    *fields[i].to = value;
        }
        text = next;
    }
    return form->resource && form->timestamp && (form->scoped || form->token);
}

/* ---- Whether it is Heroku ------------------------------------------------------------------- */

static bool same(const char *given, const unsigned char *hash, size_t bytes) {
    char right[65];
    sodium_bin2hex(right, sizeof right, hash, bytes);
    return strlen(given) == 2 * bytes && sodium_memcmp(given, right, 2 * bytes) == 0;
}

static bool is_of_heroku(const struct form *form) {
    const struct addon_settings *settings = addon_settings();
    unsigned char hash[crypto_hash_sha256_BYTES];
    struct text text = TEXT_EMPTY;
    bool right = false;
    text_format(&text, "%s:%s:%s", form->resource, settings->salt, form->timestamp);
    size_t old_length = text.length;
    if (form->user && form->email) text_format(&text, ":%s:%s", form->user, form->email);
    if (!text.failed && form->user && form->email) {
        crypto_hash_sha256(hash, (const unsigned char *)text.bytes, text.length);
        right = same(form->scoped ? form->scoped : form->token, hash, sizeof hash);
    }
    /* The older token, which does not cover the person, counts only if the newer one was not
     * sent. */
    if (!text.failed && !right && !form->scoped && settings->sso_sha1) {
        sha1(hash, text.bytes, old_length);
        right = same(form->token, hash, 20);
    }
    text_free(&text);
    return right;
}

static bool is_recent(const struct form *form, int64_t now_s) {
    char *end;
    int64_t at_s = strtoll(form->timestamp, &end, 10);
    bool digits = *form->timestamp >= '0' && *form->timestamp <= '9' && !*end;
    return digits && at_s >= now_s - AROUND_S && at_s <= now_s + AROUND_S;
}

/* ---- The person ----------------------------------------------------------------------------- */

/* Kept apart from people of the same name who sign in with a password: this person exists only in
 * sessions that begin here. */
static bool find_person(struct store *store, const char *email, int64_t now_s,
                        struct person *person) {
    char name[PERSON_NAME_SIZE];
    snprintf(name, sizeof name, "%.80s (Heroku)", email && *email ? email : "somebody");
    if (person_by_name(store, name, person)) return true;
    *person = (struct person){.role = API_READ, .created_s = now_s};
    memcpy(person->name, name, strlen(name) + 1);
    return person_add(store, person);
}

static bool begin_session(struct api_call *call, const struct form *form,
                          struct addon_resource *resource, char token[TOKEN_SIZE]) {
    struct person person;
    if (!resource->heroku_app[0] && form->app && strlen(form->app) < ADDON_NAME_SIZE) {
        snprintf(resource->heroku_app, sizeof resource->heroku_app, "%s", form->app);
        if (!addon_update(call->store, resource)) return false;
    }
    return find_person(call->store, form->email, call->now_s, &person) &&
           addon_person_add(call->store, resource->app, person.id) &&
           sign_in_tidy(call->store, call->now_s) &&
           session_begin_of_app(call->store, person.id, resource->app, call->address,
                                call->user_agent, call->now_s, token);
}

/* ---- The whole ------------------------------------------------------------------------------ */

static void refuse(struct api_call *call, const char *why) {
    log_line(LOG_WARN, "heroku", "a single sign-on from %s was refused: %s",
             call->address ? call->address : "this machine", why);
    addon_answer(call, 403,
                 "This sign-in is not valid, or not any more. Open the add-on again from Heroku.");
}

static void answer(struct api_call *call, const struct app *app, const char *token) {
    char cookie[256];
    session_cookie(cookie, sizeof cookie, call->public_url, token);
    text_put(&call->headers, cookie);
    text_format(&call->headers, "Location: /apps/%s\r\n", app->name);
    call->status = 303;
}

/* Records that a form's token was used. False: it was used before, or could not be recorded. The
 * form's older token is spent with it; it is only accurate to a second, so another form may have
 * brought the same one. */
static bool use_token(struct api_call *call, const struct form *form) {
    uint8_t hash[TOKEN_HASH_SIZE];
    const char *given = form->scoped ? form->scoped : form->token;
    int64_t until_s = call->now_s + 2 * AROUND_S;
    token_hash(hash, given, strlen(given));
    if (!addon_use(call->store, hash, call->now_s, until_s)) return false;
    if (form->scoped && form->token) {
        token_hash(hash, form->token, strlen(form->token));
        addon_use(call->store, hash, call->now_s, until_s);
    }
    return !*store_error(call->store);
}

/* In a transaction, so that the token works once even if two requests bring it at the same time. */
static void use(struct api_call *call, const struct form *form) {
    struct addon_resource resource;
    struct app app;
    char token[TOKEN_SIZE];
    if (!store_begin(call->store)) {
        addon_answer(call, 503, "the data can't be read now");
        return;
    }
    bool there = addon_by_uuid(call->store, form->resource, &resource) && resource.app &&
                 app_by_id(call->store, resource.app, &app);
    bool fresh = there && use_token(call, form);
    bool begun = fresh && begin_session(call, form, &resource, token);
    if (begun && store_commit(call->store)) {
        log_line(LOG_INFO, "heroku", "somebody came to %s by single sign-on", app.name);
        answer(call, &app, token);
        return;
    }
    store_rollback(call->store);
    if (!there) refuse(call, "there is no such resource");
    else if (!fresh) refuse(call, "its token was used already");
    else addon_answer(call, 503, "the data could not be written");
}

void sso_show(struct api_call *call) {
    bool person = call->accept && strstr(call->accept, "text/html");
    if (!person) return;
    if (call->status == 403 || call->status == 413) call->page = "heroku-refused.html";
    if (call->status == 503) call->page = "heroku-later.html";
}

void sso_sign_in(struct api_call *call) {
    struct form form;
    char *text = call->body_length <= LONGEST_FORM ? malloc(call->body_length + 1) : NULL;
    if (!text) {
        addon_answer(call, 413, "the form is too long");
        return;
    }
    memcpy(text, call->body, call->body_length + 1);
    if (!read_form(text, &form)) refuse(call, "its form is not whole");
    else if (!is_of_heroku(&form)) refuse(call, "its token is wrong");
    else if (!is_recent(&form, call->now_s)) refuse(call, "it is more than five minutes off");
    else use(call, &form);
    free(text);
}
