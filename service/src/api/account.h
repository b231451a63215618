/*
 * What the files about people share: account.c, links.c, people.c, factor.c.
 */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include "api/resources.h"
#include "people/password.h"
#include "people/session.h"

enum { CODE_MOST = 60 };

#define PASSWORD_FIELD(field, text) \
    { .name = (field), .kind = FIELD_TEXT, .needed = true, .most = PASSWORD_LONGEST, .to = (text) }
#define CODE_FIELD(text) \
    { .name = "code", .kind = FIELD_TEXT, .most = CODE_MOST, .to = (text) }

/* A function that returns false has answered the call with a problem. */

/* account.c */
bool account_is_person(struct api_call *call);
/* The number of tries is limited, as for signing in. */
bool account_password_is(struct api_call *call, const char *password);
/* Checks a new password and hashes it. Outside of a transaction: it takes long. `person`: the name,
 * which the password may not be. */
bool account_hash_password(struct api_call *call, const char *password, const char *person,
                           char hash[PASSWORD_HASH_SIZE]);
/* Answers with who has signed in, and sets the session's cookie. */
void account_signed_in(struct api_call *call, const struct person *person, const char *token);
/* Answers 429: try again in wait_s. */
void answer_later(struct api_call *call, int64_t wait_s);

/* people.c */
/* The person of the path, by name or id. */
bool people_find(struct api_call *call, struct person *person);
bool people_check_name(struct api_call *call, const char *name);

/* links.c */
/* Answers with a new link for a person to set a password, in the call's transaction. */
bool link_answer(struct api_call *call, const struct person *person);

/* factor.c */
bool factor_is_required(struct store *store);
/* `code` NULL: none was sent. Makes its own transaction. */
enum sign_in factor_check(struct api_call *call, const struct person *person, const char *code,
                          int64_t *wait_s);
/* Answers with what factor_check returned. */
void factor_answer(struct api_call *call, enum sign_in said, int64_t wait_s);

#endif
