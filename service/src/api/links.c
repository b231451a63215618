/* One-time links: for the first person, for invited people, and for forgotten passwords. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/account.h"
#include "store/people.h"

enum { FIRST_LINK_S = 7 * 86400, LINK_S = 3 * 86400 };

#define LINK_FIELD(text) \
    { .name = "link", .kind = FIELD_TEXT, .needed = true, .most = 100, .to = (text) }

/* Makes a link for a person (0: the first one) and ends earlier ones; in a transaction. */
static bool make_link(struct store *store, const char *kind, int64_t person, int64_t now_s,
                      int64_t lasts_s, char token[TOKEN_SIZE]) {
    uint8_t hash[TOKEN_HASH_SIZE];
    struct link link = {.person = person, .created_s = now_s, .expires_s = now_s + lasts_s};
    snprintf(link.kind, sizeof link.kind, "%s", kind);
    token_make(token, "li_");
    token_hash(hash, token, strlen(token));
    return link_remove_all(store, kind, person) && link_add(store, hash, &link);
}

/* The secret stands behind the #, which browsers never send to a server. */
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

/* Called by the command line, if the link that `serve` printed is lost. */
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

/* Finds the link that a call brings, if it still works. Tries are limited like those of
 * passwords. */
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
        LINK_FIELD(&text),
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

static bool is_first(const struct link *link) { return strcmp(link->kind, "first") == 0; }

/* Only the first person chooses a name by the link: others have one already. */
static bool check_link_name(struct api_call *call, const struct link *link,
                            const struct person *person, const char *name) {
    if (is_first(link)) {
        if (name) return people_check_name(call, name);
        api_problem(call, 400, "the field “name” is missing: how you will sign in");
        return false;
    }
    if (!name || strcmp(name, person->name) == 0) return true;
    api_problem(call, 400, "the field “name” must be left out: this link is for %s", person->name);
    return false;
}

/* A link stands for the password alone: a lost second factor is reset by an admin. */
static bool check_second_factor(struct api_call *call, const struct person *person,
                                const char *code) {
    int64_t wait_s = 0;
    if (!person->has_factor) return true;
    enum sign_in said = factor_check(call, person, code, &wait_s);
    if (said != SIGN_IN_DONE) factor_answer(call, said, wait_s);
    return said == SIGN_IN_DONE;
}

static bool add_first_person(struct api_call *call, struct person *person, const char *name) {
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

/* In a transaction: sets the password, ends the link and the sessions before, begins a new one. */
static bool use_up(struct api_call *call, const char *text, struct person *person, const char *name,
                   const char *hash, char token[TOKEN_SIZE]) {
    uint8_t link_hash[TOKEN_HASH_SIZE];
    struct link link;
    token_hash(link_hash, text, strlen(text));
    /* Looked up again, now in the transaction: of two that use a link at once, one finds it. */
    if (!link_by_hash(call->store, link_hash, &link)) {
        api_problem(call, 404, "this link was used meanwhile");
        return false;
    }
    struct person now;
    if (!is_first(&link) &&
        (!person_by_id(call->store, person->id, &now) || now.has_factor != person->has_factor)) {
        api_problem(call, 409, "%s was changed meanwhile; try again", person->name);
        return false;
    }
    if (is_first(&link) && !add_first_person(call, person, name)) return false;
    snprintf(call->who.name, sizeof call->who.name, "%s", person->name);
    if (!person_set_password(call->store, person->id, hash) ||
        !link_remove_all(call->store, link.kind, link.person) ||
        !session_remove_others(call->store, person->id, 0) ||
        !session_begin(call->store, person->id, call->address, call->user_agent, call->now_s,
                       token)) {
        api_store_failed(call);
        return false;
    }
    api_audit(call, 0, NULL, "%s",
              is_first(&link) ? "became the first person, as admin" : "set a password by a link");
    call->status = api_failed(call) ? call->status : is_first(&link) ? 201 : 200;
    return !api_failed(call);
}

void link_use(struct api_call *call) {
    const char *text = NULL, *name = NULL, *password = NULL, *code = NULL;
    char hash[PASSWORD_HASH_SIZE], token[TOKEN_SIZE];
    struct link link;
    struct person person = {.name = ""};
    const struct field fields[] = {
        LINK_FIELD(&text),
        {.name = "name", .kind = FIELD_NAME, .least = 1, .most = PERSON_NAME_SIZE - 1, .to = &name},
        PASSWORD_FIELD("password", &password),
        CODE_FIELD(&code),
    };
    if (!input_body(call, fields, INPUT_COUNT(fields))) return;
    if (!find_link(call, text, &link, &person) || !check_link_name(call, &link, &person, name))
        return;
    if (!account_hash_password(call, password, is_first(&link) ? name : person.name, hash)) return;
    if (!check_second_factor(call, &person, code) || !api_begin(call)) return;
    if (use_up(call, text, &person, name, hash, token)) account_signed_in(call, &person, token);
    api_end(call);
}

/* Writes the link as the last part of the answer. */
bool link_answer(struct api_call *call, const struct person *person) {
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
