/*
 * People, their sessions, tokens and links, as they are stored. What they mean is in people/.
 * Writes are made in the caller's transaction (store_begin).
 */
#ifndef PEOPLE_H
#define PEOPLE_H

#include "people/roles.h"
#include "store/apps.h"
#include "store/store.h"

enum {
    PERSON_NAME_SIZE = 101,
    PASSWORD_HASH_SIZE = 129,
    ADDRESS_SIZE = 64,
    AGENT_SIZE = 160,
    TOKEN_NAME_SIZE = 101
};

struct person {
    int64_t id;
    char name[PERSON_NAME_SIZE]; /* compared without regard to the case of A to Z */
    enum api_role role;
    bool has_password; /* false: invited, has not set one yet */
    bool has_factor;   /* a second one, that was confirmed */
    int64_t created_s;
    int64_t seen_s; /* 0: never */
};

bool person_by_name(struct store *store, const char *name, struct person *person);
bool person_by_id(struct store *store, int64_t id, struct person *person);
bool person_each(struct store *store, void (*each)(void *context, const struct person *person),
                 void *context);
bool person_add(struct store *store, struct person *person); /* sets id; false: name taken */
bool person_set_role(struct store *store, int64_t id, enum api_role role);
bool person_seen(struct store *store, int64_t id, int64_t now_s);
bool person_remove(struct store *store,
                   int64_t id);            /* with sessions, links, addresses, the factor */
int64_t person_count(struct store *store); /* -1: failed */
/* Admins who can sign in, but for one person. */
int64_t person_other_admins(struct store *store, int64_t but);
/* False where none is set. */
bool person_password(struct store *store, int64_t id, char hash[PASSWORD_HASH_SIZE]);
bool person_set_password(struct store *store, int64_t id, const char *hash);

/* The second factor. A new one, which is not confirmed, takes the place of the one before and its
 * recovery codes. */
bool factor_set(struct store *store, int64_t person, const void *sealed, size_t length,
                int64_t now_s);
/* The sealed secret, which the caller frees; NULL where there is none. */
void *factor_get(struct store *store, int64_t person, size_t *length, bool *confirmed);
/* False where this step or a later one was used before. */
bool factor_use_step(struct store *store, int64_t person, int64_t step);
bool factor_confirm(struct store *store, int64_t person);
bool factor_remove(struct store *store, int64_t person); /* with the recovery codes */
bool recovery_add(struct store *store, int64_t person, const uint8_t hash[TOKEN_HASH_SIZE]);
bool recovery_use(struct store *store, int64_t person,
                  const uint8_t hash[TOKEN_HASH_SIZE]); /* false: there is no such code */
bool recovery_remove_all(struct store *store, int64_t person);
int64_t recovery_count(struct store *store, int64_t person); /* -1: failed */

struct session {
    int64_t id, person, created_s, seen_s;
    int64_t app; /* that alone; 0: all */
    char address[ADDRESS_SIZE], agent[AGENT_SIZE];
};
bool session_add(struct store *store, const uint8_t hash[TOKEN_HASH_SIZE],
                 struct session *session); /* sets id */
bool session_by_hash(struct store *store, const uint8_t hash[TOKEN_HASH_SIZE],
                     struct session *session);
bool session_by_id(struct store *store, int64_t id, struct session *session);
bool session_seen(struct store *store, int64_t id, int64_t now_s);
bool session_each(struct store *store, int64_t person,
                  void (*each)(void *context, const struct session *session), void *context);
bool session_remove(struct store *store, int64_t id, int64_t person);
bool session_remove_others(struct store *store, int64_t person, int64_t keep); /* keep 0: all */
bool session_tidy(struct store *store, int64_t seen_before_s, int64_t created_before_s);

struct api_token {
    int64_t id;
    char prefix[16], name[TOKEN_NAME_SIZE], made_by[128];
    enum api_role scope;
    int64_t app; /* 0: all */
    int64_t created_s, expires_s /* 0: never */, used_s /* 0: never */;
};
bool api_token_add(struct store *store, const uint8_t hash[TOKEN_HASH_SIZE],
                   struct api_token *token); /* sets id */
bool api_token_by_hash(struct store *store, const uint8_t hash[TOKEN_HASH_SIZE],
                       struct api_token *token);
bool api_token_by_id(struct store *store, int64_t id, struct api_token *token);
bool api_token_used(struct store *store, int64_t id, int64_t now_s);
bool api_token_each(struct store *store, void (*each)(void *context, const struct api_token *token),
                    void *context);
bool api_token_remove(struct store *store, int64_t id);

struct link {
    char kind[16]; /* "first" or "password" */
    int64_t person, created_s, expires_s;
};
bool link_add(struct store *store, const uint8_t hash[TOKEN_HASH_SIZE], const struct link *link);
bool link_by_hash(struct store *store, const uint8_t hash[TOKEN_HASH_SIZE], struct link *link);
bool link_remove_all(struct store *store, const char *kind, int64_t person);
bool link_tidy(struct store *store, int64_t now_s);

/* Takes one of a subject's allowance, which holds `most` and gets one back every `every_s`. False:
 * there is none left, or it failed; *wait_s is then the seconds until there is one. */
bool allowance_take(struct store *store, const char *subject, int most, int every_s, int64_t now_s,
                    int64_t *wait_s);
bool allowance_reset(struct store *store, const char *subject);
bool allowance_tidy(struct store *store, int64_t before_s);

bool address_known(struct store *store, int64_t person, const char *address, int64_t since_s);
bool address_add(struct store *store, int64_t person, const char *address, int64_t now_s);

#endif
