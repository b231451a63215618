/* What the files of addon/ share. */
#ifndef ADDON_INSIDE_H
#define ADDON_INSIDE_H

#include "addon/addon.h"
#include "store/addon.h"

/* resources.c: each in its own transaction. `uuid` is checked. */
void resource_provision(struct api_call *call);
void resource_change(struct api_call *call, const char *uuid);
void resource_remove(struct api_call *call, const char *uuid);

/* The app's address for reports, which is the same each time it is asked for: Heroku may ask for a
 * resource again when it has not heard our answer. `key`: as of keeper_derive. False: there is no
 * such. */
bool resource_token(const struct keeper *keeper, int key, const char *uuid, char *token,
                    size_t size);
/* {"DYNOSCALE_URL": ..., "DYNOSCALE_DYNOS": "all"} */
json_t *resource_config(const struct keeper *keeper, const char *public_url, const char *uuid);

/* sso.c */
void sso_sign_in(struct api_call *call);
/* A person's browser that was refused gets a page in place of the JSON. */
void sso_show(struct api_call *call);

/* hooks.c */
void hook_take(struct api_call *call, const char *app);

/* addon.c: an answer with a message for the user, as Heroku shows it. */
void addon_answer(struct api_call *call, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Whether a text is a uuid as Heroku writes them, in lower case. */
bool addon_is_uuid(const char *text);
/* What a credential is sealed about while it has no app: the uuid. */

#endif
