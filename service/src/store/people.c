#include "store/people.h"

#include <stdlib.h>
#include <string.h>

#include "store/database.h"

static void copy(char *to, size_t size, const char *from) {
    size_t length = from ? strlen(from) : 0;
    if (length >= size) length = size - 1;
    if (length > 0) memcpy(to, from, length);
    to[length] = '\0';
}

static bool run_int(struct store *store, const char *sql, int64_t value) {
    struct query query = store_query(store, sql);
    query_int(&query, 1, value);
    return query_run(&query);
}

static bool run_ints(struct store *store, const char *sql, int64_t first, int64_t second) {
    struct query query = store_query(store, sql);
    query_int(&query, 1, first);
    query_int(&query, 2, second);
    return query_run(&query);
}

static int64_t number(struct query *query) {
    int64_t value = query_next(query) ? column_int(query, 0) : -1;
    return query_end(query) ? value : -1;
}

/* ---- People -------------------------------------------------------------------------------- */

#define PERSON_COLUMNS                                                        \
    "id, name, role, password IS NOT NULL, created_s, seen_s, (SELECT "       \
    "count(*) FROM second_factor WHERE second_factor.person = person.id AND " \
    "confirmed = 1)"

static void person_of(struct query *query, struct person *person) {
    person->id = column_int(query, 0);
    copy(person->name, sizeof person->name, column_text(query, 1));
    const char *role = column_text(query, 2);
    if (!role || !role_of_person(role, &person->role)) person->role = API_NOBODY;
    person->has_password = column_int(query, 3) != 0;
    person->created_s = column_int(query, 4);
    person->seen_s = column_int(query, 5);
    person->has_factor = column_int(query, 6) != 0;
}

static bool one_person(struct query *query, struct person *person) {
    bool found = query_next(query);
    if (found) person_of(query, person);
    return query_end(query) && found;
}

static void fold(char folded[PERSON_NAME_SIZE], const char *name) {
    copy(folded, PERSON_NAME_SIZE, name);
    for (char *at = folded; *at; at++)
        if (*at >= 'A' && *at <= 'Z') *at = (char)(*at - 'A' + 'a');
}

bool person_by_name(struct store *store, const char *name, struct person *person) {
    char folded[PERSON_NAME_SIZE];
    if (strlen(name) >= sizeof folded) return false;
    fold(folded, name);
    struct query query =
        store_query(store, "SELECT " PERSON_COLUMNS " FROM person WHERE folded = ?1");
    query_text(&query, 1, folded);
    return one_person(&query, person);
}

bool person_by_id(struct store *store, int64_t id, struct person *person) {
    struct query query = store_query(store, "SELECT " PERSON_COLUMNS " FROM person WHERE id = ?1");
    query_int(&query, 1, id);
    return one_person(&query, person);
}

bool person_each(struct store *store, void (*each)(void *context, const struct person *person),
                 void *context) {
    struct query query =
        store_query(store, "SELECT " PERSON_COLUMNS " FROM person ORDER BY folded");
    struct person person;
    while (query_next(&query)) {
        person_of(&query, &person);
        each(context, &person);
    }
    return query_end(&query);
}

bool person_add(struct store *store, struct person *person) {
    char folded[PERSON_NAME_SIZE];
    fold(folded, person->name);
    struct query query =
        store_query(store, "INSERT INTO person (name, folded, role, created_s) VALUES (?1, ?2, ?3, "
                           "?4) ON CONFLICT (folded) DO NOTHING RETURNING id");
    query_text(&query, 1, person->name);
    query_text(&query, 2, folded);
    query_text(&query, 3, role_person_name(person->role));
    query_int(&query, 4, person->created_s);
    person->id = query_next(&query) ? column_int(&query, 0) : 0;
    return query_end(&query) && person->id > 0;
}

bool person_set_role(struct store *store, int64_t id, enum api_role role) {
    struct query query = store_query(store, "UPDATE person SET role = ?2 WHERE id = ?1");
    query_int(&query, 1, id);
    query_text(&query, 2, role_person_name(role));
    return query_run(&query);
}

bool person_seen(struct store *store, int64_t id, int64_t now_s) {
    return run_ints(store, "UPDATE person SET seen_s = ?2 WHERE id = ?1", id, now_s);
}

bool person_remove(struct store *store, int64_t id) {
    return run_int(store, "DELETE FROM session WHERE person = ?1", id) &&
           run_int(store, "DELETE FROM link WHERE person = ?1", id) &&
           run_int(store, "DELETE FROM known_address WHERE person = ?1", id) &&
           factor_remove(store, id) && run_int(store, "DELETE FROM person WHERE id = ?1", id);
}

int64_t person_count(struct store *store) {
    struct query query = store_query(store, "SELECT count(*) FROM person");
    return number(&query);
}

int64_t person_other_admins(struct store *store, int64_t but) {
    struct query query =
        store_query(store, "SELECT count(*) FROM person WHERE role = 'admin' AND password IS NOT "
                           "NULL AND id <> ?1");
    query_int(&query, 1, but);
    return number(&query);
}

/* ---- The second factor --------------------------------------------------------------------- */

bool factor_set(struct store *store, int64_t person, const void *sealed, size_t length,
                int64_t now_s) {
    if (!factor_remove(store, person)) return false;
    struct query query =
        store_query(store, "INSERT INTO second_factor (person, sealed, confirmed, last_step, "
                           "created_s) VALUES (?1, ?2, 0, 0, ?3)");
    query_int(&query, 1, person);
    query_blob(&query, 2, sealed, length);
    query_int(&query, 3, now_s);
    return query_run(&query);
}

void *factor_get(struct store *store, int64_t person, size_t *length, bool *confirmed) {
    struct query query =
        store_query(store, "SELECT sealed, confirmed FROM second_factor WHERE person = ?1");
    query_int(&query, 1, person);
    void *sealed = NULL;
    if (query_next(&query)) {
        const void *bytes = column_blob(&query, 0, length);
        sealed = store_copy_bytes(store, bytes, *length);
        *confirmed = column_int(&query, 1) != 0;
    }
    if (query_end(&query)) return sealed;
    free(sealed);
    return NULL;
}

bool factor_use_step(struct store *store, int64_t person, int64_t step) {
    return run_ints(store,
                    "UPDATE second_factor SET last_step = ?2 WHERE person = ?1 AND last_step < ?2",
                    person, step) &&
           store_changed(store) == 1;
}

bool factor_confirm(struct store *store, int64_t person) {
    return run_int(store, "UPDATE second_factor SET confirmed = 1 WHERE person = ?1", person);
}

bool factor_remove(struct store *store, int64_t person) {
    return recovery_remove_all(store, person) &&
           run_int(store, "DELETE FROM second_factor WHERE person = ?1", person);
}

bool recovery_add(struct store *store, int64_t person, const uint8_t hash[TOKEN_HASH_SIZE]) {
    struct query query =
        store_query(store, "INSERT INTO recovery_code (hash, person) VALUES (?1, ?2)");
    query_blob(&query, 1, hash, TOKEN_HASH_SIZE);
    query_int(&query, 2, person);
    return query_run(&query);
}

bool recovery_use(struct store *store, int64_t person, const uint8_t hash[TOKEN_HASH_SIZE]) {
    struct query query =
        store_query(store, "DELETE FROM recovery_code WHERE hash = ?1 AND person = ?2");
    query_blob(&query, 1, hash, TOKEN_HASH_SIZE);
    query_int(&query, 2, person);
    return query_run(&query) && store_changed(store) == 1;
}

bool recovery_remove_all(struct store *store, int64_t person) {
    return run_int(store, "DELETE FROM recovery_code WHERE person = ?1", person);
}

int64_t recovery_count(struct store *store, int64_t person) {
    struct query query = store_query(store, "SELECT count(*) FROM recovery_code WHERE person = ?1");
    query_int(&query, 1, person);
    return number(&query);
}

/* ---- Passwords ----------------------------------------------------------------------------- */

bool person_password(struct store *store, int64_t id, char hash[PASSWORD_HASH_SIZE]) {
    struct query query = store_query(store, "SELECT password FROM person WHERE id = ?1");
    query_int(&query, 1, id);
    bool found = query_next(&query) && !column_is_null(&query, 0);
    if (found) copy(hash, PASSWORD_HASH_SIZE, column_text(&query, 0));
    return query_end(&query) && found;
}

bool person_set_password(struct store *store, int64_t id, const char *hash) {
    struct query query = store_query(store, "UPDATE person SET password = ?2 WHERE id = ?1");
    query_int(&query, 1, id);
    query_text(&query, 2, hash);
    return query_run(&query);
}

/* ---- Sessions ------------------------------------------------------------------------------ */

#define SESSION_COLUMNS "id, person, created_s, seen_s, address, agent, app"

static void session_of(struct query *query, struct session *session) {
    session->id = column_int(query, 0);
    session->person = column_int(query, 1);
    session->created_s = column_int(query, 2);
    session->seen_s = column_int(query, 3);
    copy(session->address, sizeof session->address, column_text(query, 4));
    copy(session->agent, sizeof session->agent, column_text(query, 5));
    session->app = column_int(query, 6);
}

bool session_add(struct store *store, const uint8_t hash[TOKEN_HASH_SIZE],
                 struct session *session) {
    struct query query =
        store_query(store, "INSERT INTO session (hash, person, created_s, seen_s, address, agent, "
                           "app) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id");
    query_blob(&query, 1, hash, TOKEN_HASH_SIZE);
    query_int(&query, 2, session->person);
    query_int(&query, 3, session->created_s);
    query_int(&query, 4, session->seen_s);
    query_text(&query, 5, session->address);
    query_text(&query, 6, session->agent);
    query_int(&query, 7, session->app);
    session->id = query_next(&query) ? column_int(&query, 0) : 0;
    return query_end(&query) && session->id > 0;
}

static bool one_session(struct query *query, struct session *session) {
    bool found = query_next(query);
    if (found) session_of(query, session);
    return query_end(query) && found;
}

bool session_by_hash(struct store *store, const uint8_t hash[TOKEN_HASH_SIZE],
                     struct session *session) {
    struct query query =
        store_query(store, "SELECT " SESSION_COLUMNS " FROM session WHERE hash = ?1");
    query_blob(&query, 1, hash, TOKEN_HASH_SIZE);
    return one_session(&query, session);
}

bool session_by_id(struct store *store, int64_t id, struct session *session) {
    struct query query =
        store_query(store, "SELECT " SESSION_COLUMNS " FROM session WHERE id = ?1");
    query_int(&query, 1, id);
    return one_session(&query, session);
}

bool session_seen(struct store *store, int64_t id, int64_t now_s) {
    return run_ints(store, "UPDATE session SET seen_s = ?2 WHERE id = ?1", id, now_s);
}

bool session_each(struct store *store, int64_t person,
                  void (*each)(void *context, const struct session *session), void *context) {
    struct query query = store_query(store, "SELECT " SESSION_COLUMNS
                                            " FROM session WHERE person = ?1 ORDER BY seen_s DESC");
    query_int(&query, 1, person);
    struct session session;
    while (query_next(&query)) {
        session_of(&query, &session);
        each(context, &session);
    }
    return query_end(&query);
}

bool session_remove(struct store *store, int64_t id, int64_t person) {
    return run_ints(store, "DELETE FROM session WHERE id = ?1 AND person = ?2", id, person);
}

bool session_remove_others(struct store *store, int64_t person, int64_t keep) {
    return run_ints(store, "DELETE FROM session WHERE person = ?1 AND id <> ?2", person, keep);
}

bool session_tidy(struct store *store, int64_t seen_before_s, int64_t created_before_s) {
    return run_ints(store, "DELETE FROM session WHERE seen_s < ?1 OR created_s < ?2", seen_before_s,
                    created_before_s);
}

/* ---- Tokens of the API --------------------------------------------------------------------- */

#define TOKEN_COLUMNS "id, prefix, name, scope, app, made_by, created_s, expires_s, used_s"

static void token_of(struct query *query, struct api_token *token) {
    token->id = column_int(query, 0);
    copy(token->prefix, sizeof token->prefix, column_text(query, 1));
    copy(token->name, sizeof token->name, column_text(query, 2));
    const char *scope = column_text(query, 3);
    if (!scope || !role_of_scope(scope, &token->scope)) token->scope = API_NOBODY;
    token->app = column_int(query, 4);
    copy(token->made_by, sizeof token->made_by, column_text(query, 5));
    token->created_s = column_int(query, 6);
    token->expires_s = column_int(query, 7);
    token->used_s = column_int(query, 8);
}

static bool one_token(struct query *query, struct api_token *token) {
    bool found = query_next(query);
    if (found) token_of(query, token);
    return query_end(query) && found;
}

bool api_token_add(struct store *store, const uint8_t hash[TOKEN_HASH_SIZE],
                   struct api_token *token) {
    struct query query = store_query(
        store, "INSERT INTO api_token (hash, prefix, name, scope, app, made_by, created_s, "
               "expires_s) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id");
    query_blob(&query, 1, hash, TOKEN_HASH_SIZE);
    query_text(&query, 2, token->prefix);
    query_text(&query, 3, token->name);
    query_text(&query, 4, role_scope_name(token->scope));
    query_int(&query, 5, token->app);
    query_text(&query, 6, token->made_by);
    query_int(&query, 7, token->created_s);
    query_int(&query, 8, token->expires_s);
    token->id = query_next(&query) ? column_int(&query, 0) : 0;
    return query_end(&query) && token->id > 0;
}

bool api_token_by_hash(struct store *store, const uint8_t hash[TOKEN_HASH_SIZE],
                       struct api_token *token) {
    struct query query =
        store_query(store, "SELECT " TOKEN_COLUMNS " FROM api_token WHERE hash = ?1");
    query_blob(&query, 1, hash, TOKEN_HASH_SIZE);
    return one_token(&query, token);
}

bool api_token_by_id(struct store *store, int64_t id, struct api_token *token) {
    struct query query =
        store_query(store, "SELECT " TOKEN_COLUMNS " FROM api_token WHERE id = ?1");
    query_int(&query, 1, id);
    return one_token(&query, token);
}

bool api_token_used(struct store *store, int64_t id, int64_t now_s) {
    return run_ints(store, "UPDATE api_token SET used_s = ?2 WHERE id = ?1", id, now_s);
}

bool api_token_each(struct store *store, void (*each)(void *context, const struct api_token *token),
                    void *context) {
    struct query query = store_query(store, "SELECT " TOKEN_COLUMNS " FROM api_token ORDER BY id");
    struct api_token token;
    while (query_next(&query)) {
        token_of(&query, &token);
        each(context, &token);
    }
    return query_end(&query);
}

bool api_token_remove(struct store *store, int64_t id) {
    return run_int(store, "DELETE FROM api_token WHERE id = ?1", id);
}

/* ---- Links --------------------------------------------------------------------------------- */

bool link_add(struct store *store, const uint8_t hash[TOKEN_HASH_SIZE], const struct link *link) {
    struct query query = store_query(store, "INSERT INTO link (hash, kind, person, created_s, "
                                            "expires_s) VALUES (?1, ?2, ?3, ?4, ?5)");
    query_blob(&query, 1, hash, TOKEN_HASH_SIZE);
    query_text(&query, 2, link->kind);
    query_int(&query, 3, link->person);
    query_int(&query, 4, link->created_s);
    query_int(&query, 5, link->expires_s);
    return query_run(&query);
}

bool link_by_hash(struct store *store, const uint8_t hash[TOKEN_HASH_SIZE], struct link *link) {
    struct query query =
        store_query(store, "SELECT kind, person, created_s, expires_s FROM link WHERE hash = ?1");
    query_blob(&query, 1, hash, TOKEN_HASH_SIZE);
    bool found = query_next(&query);
    if (found) {
        copy(link->kind, sizeof link->kind, column_text(&query, 0));
        link->person = column_int(&query, 1);
        link->created_s = column_int(&query, 2);
        link->expires_s = column_int(&query, 3);
    }
    return query_end(&query) && found;
}

bool link_remove_all(struct store *store, const char *kind, int64_t person) {
    struct query query = store_query(store, "DELETE FROM link WHERE kind = ?1 AND person = ?2");
    query_text(&query, 1, kind);
    query_int(&query, 2, person);
    return query_run(&query);
}

bool link_tidy(struct store *store, int64_t now_s) {
    return run_int(store, "DELETE FROM link WHERE expires_s <= ?1", now_s);
}

/* ---- Rate limits --------------------------------------------------------------------------- */

enum { WHOLE = 1000 }; /* counted in thousandths, so that fractions are not lost */

/* What is left of the allowance; -1: the store failed. */
static int64_t allowance_rest(struct store *store, const char *subject, int most, int every_s,
                              int64_t now_s) {
    int64_t full = (int64_t)most * WHOLE, rest = full;
    struct query query = store_query(store, "SELECT rest, at_s FROM allowance WHERE subject = ?1");
    query_text(&query, 1, subject);
    if (query_next(&query)) {
        int64_t passed = now_s - column_int(&query, 1);
        if (passed < 0) passed = 0; /* the clock was set back */
        rest = column_int(&query, 0);
        rest = passed >= (int64_t)most * every_s ? full : rest + passed * WHOLE / every_s;
        if (rest > full) rest = full;
    }
    return query_end(&query) ? rest : -1;
}

bool allowance_take(struct store *store, const char *subject, int most, int every_s, int64_t now_s,
                    int64_t *wait_s) {
    int64_t rest = allowance_rest(store, subject, most, every_s, now_s);
    if (rest < WHOLE) {
        *wait_s = rest < 0 ? 1 : ((WHOLE - rest) * every_s + WHOLE - 1) / WHOLE;
        return false;
    }
    *wait_s = 0;
    struct query query = store_query(
        store, "INSERT INTO allowance (subject, rest, at_s) VALUES (?1, ?2, ?3) ON CONFLICT "
               "(subject) DO UPDATE SET rest = excluded.rest, at_s = excluded.at_s");
    query_text(&query, 1, subject);
    query_int(&query, 2, rest - WHOLE);
    query_int(&query, 3, now_s);
    return query_run(&query);
}

bool allowance_reset(struct store *store, const char *subject) {
    struct query query = store_query(store, "DELETE FROM allowance WHERE subject = ?1");
    query_text(&query, 1, subject);
    return query_run(&query);
}

bool allowance_tidy(struct store *store, int64_t before_s) {
    return run_int(store, "DELETE FROM allowance WHERE at_s < ?1", before_s);
}

bool address_known(struct store *store, int64_t person, const char *address, int64_t since_s) {
    struct query query = store_query(store, "SELECT 1 FROM known_address WHERE person = ?1 AND "
                                            "address = ?2 AND seen_s >= ?3");
    query_int(&query, 1, person);
    query_text(&query, 2, address);
    query_int(&query, 3, since_s);
    bool found = query_next(&query);
    return query_end(&query) && found;
}

bool address_add(struct store *store, int64_t person, const char *address, int64_t now_s) {
    struct query query = store_query(
        store, "INSERT INTO known_address (person, address, seen_s) VALUES (?1, ?2, ?3) ON "
               "CONFLICT (person, address) DO UPDATE SET seen_s = excluded.seen_s");
    query_int(&query, 1, person);
    query_text(&query, 2, address);
    query_int(&query, 3, now_s);
    return query_run(&query);
}
