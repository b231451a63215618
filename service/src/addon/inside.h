/* What the files of addon/ share. */
#ifndef ADDON_INSIDE_H
#define ADDON_INSIDE_H

#include "addon/addon.h"
#include "store/addon.h"

/* resources.c: each in its own transaction. `uuid` is checked. */
void resource_provision(struct api_call *call);
void resource_change(struct api_call *call, const char *uuid);
void resource_remove(struct api_call *call, const char *uuid);

/* The app's address for reports, the same each time: Heroku asks for a resource again if it did not
 * get our answer. `key`: as for keeper_derive. False: there is no such key. */
bool resource_token(const struct keeper *keeper, int key, const char *uuid, char *token,
                    size_t size);
/* {"DYNOSCALE_URL": ..., "DYNOSCALE_DYNOS": "all"} */
json_t *resource_config(const struct keeper *keeper, const char *public_url, const char *uuid);

/* sso.c */
void sso_sign_in(struct api_call *call);
/* A browser that was refused gets a page instead of JSON. */
void sso_show(struct api_call *call);

/* hooks.c */
void hook_take(struct api_call *call, const char *app);

/* addon.c: an answer with a message, which Heroku shows to the user. */
void addon_answer(struct api_call *call, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Whether the text is a uuid in lower case, as Heroku writes it. */
bool addon_is_uuid(const char *text);
/* The context that a credential is sealed with before it has an app: the uuid. */

#endif
