#define _GNU_SOURCE /* strndup */
#include "people/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "people/password.h"

enum {
    SEEN_EVERY_S = 60,
    KNOWN_S = 90 * 86400,
    ADDRESS_TRIES = 20,
    ADDRESS_EVERY_S = 30,
    ACCOUNT_TRIES = 10,
    ACCOUNT_EVERY_S = 60,
    CODE_TRIES = 5,
    CODE_EVERY_S = 600,
};

/* ---- The cookie ---------------------------------------------------------------------------- */

static bool is_https(const char *public_url) {
    return public_url && strncasecmp(public_url, "https://", 8) == 0;
}

const char *session_cookie_name(const char *public_url) {
    return is_https(public_url) ? "__Host-dynoscale" : "dynoscale";
}

bool session_of_cookie(char token[TOKEN_SIZE], const char *cookie, const char *public_url) {
    const char *name = session_cookie_name(public_url);
    size_t length = strlen(name);
    while (cookie && *cookie) {
        cookie += strspn(cookie, "; ");
        size_t pair = strcspn(cookie, ";");
        if (pair > length && strncmp(cookie, name, length) == 0 && cookie[length] == '=') {
            size_t size = pair - length - 1;
            if (size == 0 || size >= TOKEN_SIZE) return false;
            memcpy(token, cookie + length + 1, size);
            token[size] = '\0';
            return true;
        }
        cookie += pair;
    }
    return false;
}

void session_cookie(char *line, size_t size, const char *public_url, const char *token) {
    snprintf(line, size, "Set-Cookie: %s=%s; Path=/; HttpOnly; SameSite=Lax%s; Max-Age=%d\r\n",
             session_cookie_name(public_url), token ? token : "",
             is_https(public_url) ? "; Secure" : "", token ? SESSION_LONGEST_S : 0);
}

/* ---- Sessions ------------------------------------------------------------------------------ */

bool session_find(struct store *store, const char *token, int64_t now_s, struct session *session,
                  struct person *person) {
    uint8_t hash[TOKEN_HASH_SIZE];
    token_hash(hash, token, strlen(token));
    if (!session_by_hash(store, hash, session)) return false;
    if (now_s - session->seen_s > SESSION_IDLE_S) return false;
    if (now_s - session->created_s > SESSION_LONGEST_S) return false;
    return person_by_id(store, session->person, person);
}

static void note_use(struct store *store, const struct session *session, int64_t now_s) {
    if (!store_begin(store)) return;
    if (session_seen(store, session->id, now_s) && person_seen(store, session->person, now_s) &&
        store_commit(store))
        return;
    store_rollback(store);
}

void session_used(struct store *store, const struct session *session, int64_t now_s) {
    /* With a full disk the store can't be written to, but pages are still shown. */
    uint64_t failures = store_failures(store);
    if (now_s - session->seen_s >= SEEN_EVERY_S) note_use(store, session, now_s);
    store_forgive(store, failures);
}

bool session_begin_of_app(struct store *store, int64_t person, int64_t app, const char *address,
                          const char *agent, int64_t now_s, char token[TOKEN_SIZE]) {
    struct session session = {.person = person, .app = app, .created_s = now_s, .seen_s = now_s};
    uint8_t hash[TOKEN_HASH_SIZE];
    snprintf(session.address, sizeof session.address, "%s", address ? address : "");
    snprintf(session.agent, sizeof session.agent, "%s", agent ? agent : "");
    token_make(token, "se_");
    token_hash(hash, token, strlen(token));
    return session_add(store, hash, &session) && person_seen(store, person, now_s) &&
           (!address || address_add(store, person, address, now_s));
}

bool session_begin(struct store *store, int64_t person, const char *address, const char *agent,
                   int64_t now_s, char token[TOKEN_SIZE]) {
    return session_begin_of_app(store, person, 0, address, agent, now_s, token);
}

void session_csrf(char csrf[CSRF_SIZE], const char *token) {
    static const char purpose[] = "csrf";
    unsigned char made[32];
    crypto_generichash(made, sizeof made, (const unsigned char *)purpose, sizeof purpose - 1,
                       (const unsigned char *)token, strlen(token));
    sodium_bin2base64(csrf, CSRF_SIZE, made, sizeof made, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

bool session_csrf_right(const char *csrf, const char *token) {
    char right[CSRF_SIZE];
    session_csrf(right, token);
    return csrf && strlen(csrf) == strlen(right) && sodium_memcmp(csrf, right, strlen(right)) == 0;
}

/* ---- Signing in ---------------------------------------------------------------------------- */

/* The part of an address that counts as one client: for IPv6 the first 64 bits, because a customer
 * gets all addresses of a /64. */
static void network_of(char network[ADDRESS_SIZE], const char *address) {
    unsigned char bytes[16];
    snprintf(network, ADDRESS_SIZE, "%s", address);
    if (inet_pton(AF_INET6, address, bytes) != 1) return;
    memset(bytes + 8, 0, 8);
    inet_ntop(AF_INET6, bytes, network, ADDRESS_SIZE);
}

bool sign_in_may_try(struct store *store, const char *address, int64_t now_s, int64_t *wait_s) {
    char subject[ADDRESS_SIZE + 16], network[ADDRESS_SIZE];
    *wait_s = 0;
    if (!address) return true; /* on the machine itself */
    network_of(network, address);
    snprintf(subject, sizeof subject, "address %s", network);
    if (!store_begin(store)) return false;
    bool allowed = allowance_take(store, subject, ADDRESS_TRIES, ADDRESS_EVERY_S, now_s, wait_s) &&
                   store_commit(store);
    if (!allowed) store_rollback(store);
    return allowed;
}

/* The key under which tries at an account are counted: the person with a known address, or the
 * account with all unknown addresses. A name that does not exist is counted too, so that the
 * answers are alike. */
static void account_subject(char *subject, size_t size, struct store *store,
                            const struct person *person, const char *name, const char *address,
                            int64_t now_s) {
    uint8_t hash[TOKEN_HASH_SIZE];
    char shown[2 * 8 + 1];
    if (person && address && address_known(store, person->id, address, now_s - KNOWN_S)) {
        snprintf(subject, size, "person %lld %s", (long long)person->id, address);
        return;
    }
    token_hash(hash, person ? person->name : name, strlen(person ? person->name : name));
    sodium_bin2hex(shown, sizeof shown, hash, 8);
    snprintf(subject, size, "account %s", shown);
}

static bool may_try_account(struct store *store, const char *subject, int64_t now_s,
                            int64_t *wait_s) {
    *wait_s = 0;
    if (!store_begin(store)) return false;
    bool allowed = allowance_take(store, subject, ACCOUNT_TRIES, ACCOUNT_EVERY_S, now_s, wait_s) &&
                   store_commit(store);
    if (!allowed) store_rollback(store);
    return allowed;
}

/* Whether password and factor are still those that were checked. If one was set meanwhile, all
 * sessions were ended, and this one would be left. */
static bool is_as_checked(struct store *store, const struct person *checked, const char *hash) {
    struct person person;
    char now[PASSWORD_HASH_SIZE];
    return person_by_id(store, checked->id, &person) && person.has_factor == checked->has_factor &&
           person_password(store, checked->id, now) && strcmp(now, hash) == 0;
}

/* Everything that a right password leads to, in one transaction. */
static enum sign_in begin(struct store *store, const struct person *person, const char *hash,
                          const char *rehashed, const char *subject, const char *address,
                          const char *agent, int64_t now_s, char token[TOKEN_SIZE]) {
    if (!store_begin(store)) return SIGN_IN_FAILED;
    uint64_t failures = store_failures(store);
    bool same = is_as_checked(store, person, hash);
    if (same && (!rehashed || person_set_password(store, person->id, rehashed)) &&
        allowance_reset(store, subject) && sign_in_tidy(store, now_s) &&
        session_begin(store, person->id, address, agent, now_s, token) && store_commit(store))
        return SIGN_IN_DONE;
    store_rollback(store);
    return same || store_failures(store) != failures ? SIGN_IN_FAILED : SIGN_IN_WRONG;
}

static void code_subject(char subject[32], int64_t person) {
    snprintf(subject, 32, "code %lld", (long long)person);
}

bool factor_may_try(struct store *store, int64_t person, int64_t now_s, int64_t *wait_s) {
    char subject[32];
    code_subject(subject, person);
    return allowance_take(store, subject, CODE_TRIES, CODE_EVERY_S, now_s, wait_s);
}

bool factor_was_right(struct store *store, int64_t person) {
    char subject[32];
    code_subject(subject, person);
    return allowance_reset(store, subject);
}

enum sign_in sign_in(struct store *store, const char *name, const char *password,
                     const struct sign_in_factor *factor, const char *address, const char *agent,
                     int64_t now_s, char token[TOKEN_SIZE], struct person *person,
                     int64_t *wait_s) {
    char hash[PASSWORD_HASH_SIZE], rehashed[PASSWORD_HASH_SIZE], subject[ADDRESS_SIZE + 48];
    bool outdated;
    if (!sign_in_may_try(store, address, now_s, wait_s))
        return *wait_s > 0 ? SIGN_IN_LATER : SIGN_IN_FAILED;
    bool there = person_by_name(store, name, person);
    account_subject(subject, sizeof subject, store, there ? person : NULL, name, address, now_s);
    if (!may_try_account(store, subject, now_s, wait_s))
        return *wait_s > 0 ? SIGN_IN_LATER : SIGN_IN_FAILED;
    bool has = there && person_password(store, person->id, hash);
    if (!password_right(has ? hash : NULL, password, &outdated))
        return errno == ENOMEM ? SIGN_IN_FAILED : SIGN_IN_WRONG;
    enum sign_in second =
        person->has_factor ? factor->check(factor->context, person, wait_s) : SIGN_IN_DONE;
    if (second != SIGN_IN_DONE) return second;
    bool rehash = outdated && password_hash(rehashed, password);
    return begin(store, person, hash, rehash ? rehashed : NULL, subject, address, agent, now_s,
                 token);
}

enum sign_in sign_in_again(struct store *store, const struct person *person, const char *password,
                           const char *address, int64_t now_s, int64_t *wait_s) {
    char hash[PASSWORD_HASH_SIZE], subject[ADDRESS_SIZE + 48];
    bool outdated;
    if (!sign_in_may_try(store, address, now_s, wait_s))
        return *wait_s > 0 ? SIGN_IN_LATER : SIGN_IN_FAILED;
    account_subject(subject, sizeof subject, store, person, person->name, address, now_s);
    if (!may_try_account(store, subject, now_s, wait_s))
        return *wait_s > 0 ? SIGN_IN_LATER : SIGN_IN_FAILED;
    bool has = person_password(store, person->id, hash);
    if (!password_right(has ? hash : NULL, password, &outdated))
        return errno == ENOMEM ? SIGN_IN_FAILED : SIGN_IN_WRONG;
    if (store_begin(store)) {
        if (allowance_reset(store, subject) && store_commit(store)) return SIGN_IN_DONE;
        store_rollback(store);
    }
    return SIGN_IN_FAILED;
}

bool sign_in_tidy(struct store *store, int64_t now_s) {
    return session_tidy(store, now_s - SESSION_IDLE_S, now_s - SESSION_LONGEST_S) &&
           link_tidy(store, now_s) && allowance_tidy(store, now_s - 86400) &&
           report_token_tidy(store, now_s);
}
