/* The second factor: one's own, other people's, and whether it is required. */
#include "people/factor.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/account.h"
#include "log.h"
#include "store/people.h"

enum { URI_SIZE = 1200 };

/* ---- Whether it is required ------------------------------------------------------------------ */

static const char meta_name[] = "second_factor", required[] = "required";

bool factor_is_required(struct store *store) {
    char *value = store_meta(store, meta_name);
    bool is = value && strcmp(value, required) == 0;
    free(value);
    return is;
}

static void put_required(struct api_call *call, bool is) {
    text_format(&call->answer, "{\"factor_required\":%s}", is ? "true" : "false");
}

void sign_in_show(struct api_call *call) {
    if (input_query(call, NULL, 0)) put_required(call, factor_is_required(call->store));
}

void sign_in_change(struct api_call *call) {
    bool wanted = false;
    struct person person;
    const struct field fields[] = {
        {.name = "factor_required", .kind = FIELD_BOOL, .needed = true, .to = &wanted},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields))) return;
    bool is = factor_is_required(call->store);
    /* The caller's own factor shows that factors work, and leaves somebody who can reset the
     * others. */
    if (wanted && call->who.user && person_by_id(call->store, call->who.user, &person) &&
        !person.has_factor) {
        api_problem(call, 409, "set up a second factor of your own first, on the page /account");
        return;
    }
    if (!store_set_meta(call->store, meta_name, wanted ? required : "optional")) {
        api_store_failed(call);
        return;
    }
    put_required(call, wanted);
    if (is != wanted)
        api_audit(call, 0, NULL, "made the second factor %s",
                  wanted ? "required for everybody who signs in by a password" : "optional");
}

/* ---- Trying a code --------------------------------------------------------------------------- */

static enum sign_in use_recovery(struct api_call *call, int64_t person, const char *text) {
    char code[FACTOR_RECOVERY_SIZE];
    uint8_t hash[TOKEN_HASH_SIZE];
    if (!factor_read_recovery(code, text)) return SIGN_IN_CODE_WRONG;
    token_hash(hash, code, strlen(code));
    sodium_memzero(code, sizeof code);
    return recovery_use(call->store, person, hash) ? SIGN_IN_DONE : SIGN_IN_CODE_WRONG;
}

/* Outside of a transaction, since the keeper is asked. */
static enum sign_in find_step(struct api_call *call, int64_t person, const char *code,
                              int64_t *step) {
    bool confirmed, opens = true;
    size_t length;
    void *sealed = factor_get(call->store, person, &length, &confirmed);
    bool asked = sealed && keeper_factor_step(call->keeper, person, sealed, length, code,
                                              call->now_s, &opens, step);
    free(sealed);
    if (asked && !opens)
        log_line(LOG_ERROR, "people",
                 "the second factor of person %" PRId64 " can't be opened with this service's key: "
                 "reset it",
                 person);
    if (!asked) return SIGN_IN_FAILED;
    return *step > 0 ? SIGN_IN_DONE : SIGN_IN_CODE_WRONG;
}

/* Counts the try before checking the code, so that parallel tries are counted as well. */
static bool take_try(struct api_call *call, int64_t person, int64_t *wait_s) {
    *wait_s = 0;
    if (!store_begin(call->store)) return false;
    if (factor_may_try(call->store, person, call->now_s, wait_s) && store_commit(call->store))
        return true;
    store_rollback(call->store);
    return false;
}

static enum sign_in use(struct api_call *call, int64_t person, const char *code, int64_t step) {
    if (!store_begin(call->store)) return SIGN_IN_FAILED;
    uint64_t failures = store_failures(call->store);
    enum sign_in said = SIGN_IN_DONE;
    if (step <= 0) said = use_recovery(call, person, code);
    else if (!factor_use_step(call->store, person, step)) said = SIGN_IN_CODE_WRONG;
    if (said == SIGN_IN_DONE && factor_was_right(call->store, person) && store_commit(call->store))
        return SIGN_IN_DONE;
    store_rollback(call->store);
    return store_failures(call->store) != failures ? SIGN_IN_FAILED : SIGN_IN_CODE_WRONG;
}

enum sign_in factor_check(struct api_call *call, const struct person *person, const char *code,
                          int64_t *wait_s) {
    int64_t step = -1;
    if (!code || !*code) return SIGN_IN_CODE;
    if (!take_try(call, person->id, wait_s)) return *wait_s > 0 ? SIGN_IN_LATER : SIGN_IN_FAILED;
    if (factor_is_code(code)) {
        enum sign_in found = find_step(call, person->id, code, &step);
        if (found != SIGN_IN_DONE) return found;
    }
    enum sign_in said = use(call, person->id, code, step);
    if (said == SIGN_IN_DONE && step <= 0)
        log_line(LOG_WARN, "people", "%s used a recovery code", person->name);
    return said;
}

void factor_answer(struct api_call *call, enum sign_in said, int64_t wait_s) {
    if (said == SIGN_IN_LATER) answer_later(call, wait_s);
    else if (said == SIGN_IN_CODE)
        api_problem(call, 422,
                    "the field “code” is missing: the code of your authenticator app, "
                    "or a recovery code");
    else if (said == SIGN_IN_CODE_WRONG)
        api_problem(call, 422, "the field “code” is wrong, or was used: each code works once");
    else api_problem(call, 503, "the code could not be checked; nothing was changed");
}

/* ---- One's own ------------------------------------------------------------------------------- */

static bool find_self(struct api_call *call, struct person *person) {
    if (!account_is_person(call)) return false;
    if (person_by_id(call->store, call->who.user, person)) return true;
    api_problem(call, 404, "this person was removed meanwhile");
    return false;
}

static bool read_current(struct api_call *call, struct person *person, const char **code) {
    const char *current = NULL;
    const struct field fields[] = {
        PASSWORD_FIELD("current", &current),
        {.name = "code", .kind = FIELD_TEXT, .needed = code != NULL, .most = CODE_MOST, .to = code},
    };
    return find_self(call, person) && input_body(call, fields, code ? 2 : 1) &&
           account_password_is(call, current);
}

void factor_show(struct api_call *call) {
    struct person person;
    if (!find_self(call, &person) || !input_query(call, NULL, 0)) return;
    int64_t left = recovery_count(call->store, person.id);
    text_format(&call->answer, "{\"active\":%s,\"required\":%s,\"recovery_left\":%" PRId64 "}",
                person.has_factor ? "true" : "false",
                factor_is_required(call->store) ? "true" : "false", left < 0 ? 0 : left);
}

/* The secret, also as a link and as a QR code. Shown only once. */
static void put_secret(struct api_call *call, const struct person *person, const char *secret) {
    char service[200], uri[URI_SIZE];
    const char *host = call->public_url ? strstr(call->public_url, "://") : NULL;
    size_t length = host ? strcspn(host + 3, "/:") : 0;
    snprintf(service, sizeof service, "Dynoscale%s%.*s", length ? " " : "",
             length < 150 ? (int)length : 150, host ? host + 3 : "");
    int width = 0;
    bool fits = factor_uri(uri, sizeof uri, secret, service, person->name);
    char *picture = fits ? factor_picture(uri, &width) : NULL;
    if (!picture) {
        api_no_memory();
        return;
    }
    text_format(&call->answer, "{\"secret\":\"%s\",\"uri\":", secret);
    text_json(&call->answer, uri);
    text_format(&call->answer, ",\"picture\":{\"width\":%d,\"path\":\"%s\"}}", width, picture);
    call->status = 201;
    sodium_memzero(uri, sizeof uri);
    free(picture);
}

void factor_begin(struct api_call *call) {
    struct person person;
    char secret[FACTOR_SECRET_SIZE] = "";
    size_t length;
    if (!read_current(call, &person, NULL)) return;
    if (person.has_factor) {
        api_problem(call, 409, "there is a second factor already: switch it off first");
        return;
    }
    void *sealed = keeper_factor_make(call->keeper, person.id, secret, &length);
    if (!sealed) {
        api_problem(call, 503, "the secret could not be kept safely; nothing was changed");
    } else if (api_begin(call)) {
        if (factor_set(call->store, person.id, sealed, length, call->now_s))
            put_secret(call, &person, secret);
        else api_store_failed(call);
        api_end(call);
    }
    sodium_memzero(secret, sizeof secret);
    free(sealed);
}

/* Replaces the recovery codes and answers with the new ones; in a transaction. */
static bool put_recovery(struct api_call *call, int64_t person) {
    char code[FACTOR_RECOVERY_SIZE];
    uint8_t hash[TOKEN_HASH_SIZE];
    bool done = recovery_remove_all(call->store, person);
    text_put(&call->answer, "{\"recovery\":[");
    for (int i = 0; done && i < FACTOR_RECOVERY_CODES; i++) {
        if (!factor_make_recovery(code)) {
            api_no_memory();
            break;
        }
        token_hash(hash, code, strlen(code));
        done = recovery_add(call->store, person, hash);
        text_format(&call->answer, "%s\"%s\"", i ? "," : "", code);
    }
    text_put(&call->answer, "]}");
    sodium_memzero(code, sizeof code);
    if (!done) api_store_failed(call);
    return done;
}

void factor_confirm_own(struct api_call *call) {
    const char *code = NULL;
    int64_t step = -1, wait_s = 0;
    bool confirmed = false;
    size_t length;
    struct person person;
    const struct field fields[] = {
        {.name = "code", .kind = FIELD_TEXT, .needed = true, .most = CODE_MOST, .to = &code},
    };
    if (!find_self(call, &person) || !input_body(call, fields, INPUT_COUNT(fields))) return;
    void *sealed = factor_get(call->store, person.id, &length, &confirmed);
    bool there = sealed != NULL;
    free(sealed);
    if (!there || confirmed) {
        api_problem(call, 409, "%s",
                    there ? "the second factor is on already"
                          : "there is no second factor to confirm: begin again");
        return;
    }
    enum sign_in said = SIGN_IN_CODE_WRONG;
    if (!take_try(call, person.id, &wait_s)) said = wait_s > 0 ? SIGN_IN_LATER : SIGN_IN_FAILED;
    else if (factor_is_code(code)) said = find_step(call, person.id, code, &step);
    if (said != SIGN_IN_DONE) {
        factor_answer(call, said, wait_s);
        return;
    }
    if (!api_begin(call)) return;
    if (!factor_use_step(call->store, person.id, step) || !factor_confirm(call->store, person.id) ||
        !factor_was_right(call->store, person.id) ||
        !session_remove_others(call->store, person.id, call->who.session))
        api_store_failed(call);
    else if (put_recovery(call, person.id))
        api_audit(call, 0, NULL, "switched the own second factor on; other sessions ended");
    api_end(call);
}

void factor_renew_recovery(struct api_call *call) {
    struct person person;
    if (!read_current(call, &person, NULL)) return;
    if (!person.has_factor) {
        api_problem(call, 409, "there is no second factor: recovery codes come with it");
        return;
    }
    if (!api_begin(call)) return;
    if (put_recovery(call, person.id)) api_audit(call, 0, NULL, "made new recovery codes");
    api_end(call);
}

/* Removes the factor, in a transaction. Ends the person's sessions except the caller's own. */
static bool remove_factor(struct api_call *call, const struct person *person) {
    int64_t keep = person->id == call->who.user ? call->who.session : 0;
    if (factor_remove(call->store, person->id) && factor_was_right(call->store, person->id) &&
        session_remove_others(call->store, person->id, keep))
        return true;
    api_store_failed(call);
    return false;
}

void factor_off(struct api_call *call) {
    struct person person;
    const char *code = NULL;
    int64_t wait_s = 0;
    if (!read_current(call, &person, &code)) return;
    if (!person.has_factor) {
        api_problem(call, 409, "there is no second factor");
        return;
    }
    enum sign_in said = factor_check(call, &person, code, &wait_s);
    if (said != SIGN_IN_DONE) {
        factor_answer(call, said, wait_s);
        return;
    }
    if (!api_begin(call)) return;
    if (remove_factor(call, &person)) {
        api_audit(call, 0, NULL, "switched the own second factor off; other sessions ended");
        call->status = 204;
    }
    api_end(call);
}

/* ---- That of others -------------------------------------------------------------------------- */

void people_reset_factor(struct api_call *call) {
    struct person person;
    if (!input_body(call, NULL, 0) || !people_find(call, &person)) return;
    if (person.id == call->who.user) {
        api_problem(call, 409, "your own is switched off on the page /account, with a code");
        return;
    }
    if (!remove_factor(call, &person)) return;
    call->status = 204;
    if (person.has_factor)
        api_audit(call, 0, NULL, "reset the second factor of %s; the sessions ended", person.name);
}
