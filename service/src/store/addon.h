/*
 * Resources that Heroku provisioned, as they are stored. What they mean is in addon/. Writes are
 * made in the caller's transaction.
 */
#ifndef STORE_ADDON_H
#define STORE_ADDON_H

#include "store/apps.h"

enum { ADDON_UUID_SIZE = 37, ADDON_NAME_SIZE = 65, ADDON_TROUBLE_SIZE = 256 };

/* "pending": Heroku waits to be told that it is there; "ready"; "gone": it was removed. */
struct addon_resource {
    char uuid[ADDON_UUID_SIZE];
    int64_t app; /* 0: it is gone */
    char plan[ADDON_NAME_SIZE], name[ADDON_NAME_SIZE];
    char heroku_app[ADDON_NAME_SIZE]; /* "": not known yet */
    char state[12];
    char trouble[ADDON_TROUBLE_SIZE]; /* of what is still to be done; "" */
    int64_t dynos;                    /* of a process type, at most, by its plan; 0: no limit */
    int64_t created_s, ended_s;
    int64_t next_s; /* when what is to be done is tried; 0: there is nothing */
    int64_t tries;
};

bool addon_by_uuid(struct store *store, const char *uuid, struct addon_resource *resource);
bool addon_of_app(struct store *store, int64_t app, struct addon_resource *resource);
/* What each app's plan allows of a process type. */
bool addon_each_plan(struct store *store, bool (*each)(void *context, int64_t app, int64_t dynos),
                     void *context);
/* One whose next_s has come; false where there is none. */
bool addon_due(struct store *store, int64_t now_s, struct addon_resource *resource);

/* Adds it; `sealed` is the grant's credential, NULL: none came. */
bool addon_add(struct store *store, const struct addon_resource *resource, const void *sealed,
               size_t sealed_length);
/* Writes all but the credential. */
bool addon_update(struct store *store, const struct addon_resource *resource);
/* The credential, which the caller frees; NULL: there is none. */
void *addon_sealed(struct store *store, const char *uuid, size_t *length);
/* Replaces it; NULL: there is none any more. */
bool addon_seal(struct store *store, const char *uuid, const void *sealed, size_t length);

/* Notes that a person came for an app. */
bool addon_person_add(struct store *store, int64_t app, int64_t person);
/* Removes the people who came for this app and no other; before the app is removed. */
bool addon_people_remove(struct store *store, int64_t app);

/* Notes a use; false where it was used already, or where it failed (store_error says so). Those
 * that are over are removed. */
bool addon_use(struct store *store, const uint8_t hash[TOKEN_HASH_SIZE], int64_t now_s,
               int64_t until_s);

#endif
