/*
 * Signing in and staying signed in. A session is a random token in a cookie, kept as a hash; it
 * ends after a day without use, after two weeks in any case, on signing out, and on a change of the
 * password or the role. Any thread with a store of its own; each function here makes its own
 * transactions, unless it says otherwise.
 */
#ifndef SESSION_H
#define SESSION_H

#include "people/token.h"
#include "store/people.h"

enum { SESSION_IDLE_S = 86400, SESSION_LONGEST_S = 14 * 86400, CSRF_SIZE = 44 };

/* The cookie's name. With https it has the prefix __Host-, with which browsers only accept a cookie
 * that is secure and of this host. */
const char *session_cookie_name(const char *public_url);

/* Finds the session's token in a Cookie header; false: there is none. */
bool session_of_cookie(char token[TOKEN_SIZE], const char *cookie, const char *public_url);

/* A line "Set-Cookie: ...\r\n"; token NULL: one that removes the cookie. */
void session_cookie(char *line, size_t size, const char *public_url, const char *token);

/* Finds who has the token; false: it is unknown or has expired. */
bool session_find(struct store *store, const char *token, int64_t now_s, struct session *session,
                  struct person *person);
/* Notes the use of one that was found, at most once a minute, in a transaction of its own. */
void session_used(struct store *store, const struct session *session, int64_t now_s);

/* Begins a session, in the caller's transaction. */
bool session_begin(struct store *store, int64_t person, const char *address, const char *agent,
                   int64_t now_s, char token[TOKEN_SIZE]);

/* The same for one app only, whose admin the person is in this session. */
bool session_begin_of_app(struct store *store, int64_t person, int64_t app, const char *address,
                          const char *agent, int64_t now_s, char token[TOKEN_SIZE]);

/* What a page must send as X-CSRF-Token with the cookie. Derived from the session's token, so that
 * nothing needs to be stored. */
void session_csrf(char csrf[CSRF_SIZE], const char *token);
bool session_csrf_right(const char *csrf, const char *token);

enum sign_in {
    SIGN_IN_DONE,
    SIGN_IN_WRONG,
    SIGN_IN_LATER,
    SIGN_IN_FAILED,
    SIGN_IN_CODE,       /* the password is right, and the second factor's code is missing */
    SIGN_IN_CODE_WRONG, /* it is wrong, or was used */
};

/* Checks the second factor: DONE, or why not. Not in a transaction. */
struct sign_in_factor {
    enum sign_in (*check)(void *context, const struct person *person, int64_t *wait_s);
    void *context;
};

/*
 * Signs in by a password. LATER: too many tries, and *wait_s says how long to wait; FAILED: the
 * store failed. Wrong name and wrong password are one answer that takes one time.
 *
 * Tries are limited by address (20, then one in 30 s) and by account (10, then one a minute). From
 * an address where the person has signed in within 90 days, the account's allowance is one of that
 * address's own: so nobody elsewhere can lock a person out by trying. Only a right password
 * together with a right second factor, where the person has one, gives these back.
 */
enum sign_in sign_in(struct store *store, const char *name, const char *password,
                     const struct sign_in_factor *factor, const char *address, const char *agent,
                     int64_t now_s, char token[TOKEN_SIZE], struct person *person, int64_t *wait_s);

/* Whether one more code may be tried for a person: 5 at once, then one in 10 minutes, from all
 * addresses together, since only people who know the password get this far. In the caller's
 * transaction. */
bool factor_may_try(struct store *store, int64_t person, int64_t now_s, int64_t *wait_s);
bool factor_was_right(struct store *store, int64_t person); /* gives these tries back */

/* Checks the password of a person who has signed in; limited like sign_in. DONE, WRONG, LATER or
 * FAILED. */
enum sign_in sign_in_again(struct store *store, const struct person *person, const char *password,
                           const char *address, int64_t now_s, int64_t *wait_s);

/* Whether an address may try one more password or link; counts the try. */
bool sign_in_may_try(struct store *store, const char *address, int64_t now_s, int64_t *wait_s);

/* Removes expired sessions, links and allowances; in the caller's transaction. */
bool sign_in_tidy(struct store *store, int64_t now_s);

#endif
