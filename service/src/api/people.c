/* The people who may sign in, as an admin sees and changes them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/account.h"
#include "store/people.h"

static bool is_number(const char *text) { return *text && !text[strspn(text, "0123456789")]; }

/* Whether the audit log uses the name for a caller who is no person, or came by single sign-on. */
static bool is_of_others(const char *name) {
    static const char heroku[] = "(Heroku)";
    size_t length = strlen(name), end = sizeof heroku - 1;
    return strcasecmp(name, "command line") == 0 || strcasecmp(name, "nobody") == 0 ||
           strncasecmp(name, "token ", 6) == 0 ||
           (length >= end && strcasecmp(name + length - end, heroku) == 0);
}

/* A name must not consist of digits alone, so that a path can hold a name or an id. */
bool people_check_name(struct api_call *call, const char *name) {
    bool number = is_number(name);
    if (number) api_problem(call, 400, "the field “name” must not be a number alone");
    else if (is_of_others(name))
        api_problem(call, 400,
                    "the field “name”: “%s” would be taken for somebody else in the audit log",
                    name);
    return !api_failed(call);
}

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
    if (!people_check_name(call, name) || !read_role(call, role, &person.role)) return;
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
    if (link_answer(call, &person))
        api_audit(call, 0, NULL, "invited %s with the role %s", name, role);
}

/* Whether an admin remains without this person. The command line may remove the last one. */
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
    if (link_answer(call, &person))
        api_audit(call, 0, NULL, "made a link for %s to set a password", person.name);
}

/* Called by the command line on the service's machine, whose user owns the data anyway. */
void people_set_password(struct api_call *call) {
    const char *password = NULL;
    struct person person;
    char hash[PASSWORD_HASH_SIZE];
    const struct field fields[] = {
        PASSWORD_FIELD("password", &password),
    };
    if (!input_body(call, fields, INPUT_COUNT(fields)) || !people_find(call, &person)) return;
    if (!account_hash_password(call, password, person.name, hash) || !api_begin(call)) return;
    if (!person_set_password(call->store, person.id, hash) ||
        !session_remove_others(call->store, person.id, 0) ||
        !link_remove_all(call->store, "password", person.id))
        api_store_failed(call);
    else api_audit(call, 0, NULL, "set the password of %s", person.name);
    if (!api_failed(call)) call->status = 204;
    api_end(call);
}
