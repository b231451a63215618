/*
 * Apps and what people set for them. Every change is made in the caller's transaction
 * (store_begin), is written to the audit log by the caller, and counts up the config's version.
 */
#ifndef APPS_H
#define APPS_H

#include "store/store.h"

enum { APP_NAME_SIZE = 65, APP_ZONE_SIZE = 64 };

struct app {
    int64_t id;
    char name[APP_NAME_SIZE]; /* a-z 0-9 - _ ., begins with a letter or a digit */
    char zone[APP_ZONE_SIZE];
    int64_t created_s;
    int64_t kept_days; /* of minutes; 0: the usual 30 */
};

/* True and *app where there is one. */
bool app_by_name(struct store *store, const char *name, struct app *app);
bool app_by_id(struct store *store, int64_t id, struct app *app);
/* Calls `each` in the order of names until it returns false. */
bool app_each(struct store *store, bool (*each)(void *context, const struct app *app),
              void *context);
bool app_add(struct store *store, struct app *app); /* sets id; false where the name is taken */
bool app_set_zone(struct store *store, int64_t id, const char *zone);
bool app_set_kept_days(struct store *store, int64_t id, int64_t days);
bool app_remove(struct store *store, int64_t id); /* with all that belongs to it */

/* Report tokens: only hashes (32 bytes) are kept. An older one may stay valid until `expires_s`
 * (0: for ever). */
enum { TOKEN_HASH_SIZE = 32 };
/* `hint`: the token's last characters, which people know it by. people/token.h makes the hash. */
bool report_token_add(struct store *store, int64_t app, const uint8_t hash[TOKEN_HASH_SIZE],
                      const char *hint, int64_t now_s);
/* Calls `each` for each token of an app that still works, newest first. */
bool report_token_of_app(struct store *store, int64_t app, int64_t now_s,
                         void (*each)(void *context, const char *hint, int64_t created_s,
                                      int64_t expires_s),
                         void *context);
/* Removes those that expired. */
bool report_token_tidy(struct store *store, int64_t now_s);
bool report_token_expire_others(struct store *store, int64_t app,
                                const uint8_t hash[TOKEN_HASH_SIZE], int64_t expires_s);
bool report_token_each(struct store *store,
                       bool (*each)(void *context, const uint8_t *hash, int64_t app,
                                    int64_t expires_s),
                       void *context);

/* Rules: every version is kept. put: the text as it was given; the number of the new version, -1
 * where it failed. get: version 0 is the newest; NULL text where there is none. */
int64_t rules_put(struct store *store, int64_t app, const char *text, const char *who,
                  int64_t now_s);
char *rules_get(struct store *store, int64_t app, int64_t version, int64_t *found);
bool rules_each(struct store *store, int64_t app,
                bool (*each)(void *context, int64_t version, int64_t at_s, const char *who,
                             const char *text),
                void *context); /* newest first */

/* The newest of every app. False where it failed or `each` wants no more. */
bool rules_each_newest(struct store *store,
                       bool (*each)(void *context, int64_t app, int64_t version, int64_t at_s,
                                    const char *text),
                       void *context);

/* The platform of an app: its kind ("command"), settings as JSON without secrets, and the sealed
 * credential (NULL, 0: none). */
bool platform_put(struct store *store, int64_t app, const char *kind, const char *settings,
                  const void *sealed, size_t sealed_length);
/* Copies that the caller frees; false where none is set. */
bool platform_get(struct store *store, int64_t app, char **kind, char **settings, void **sealed,
                  size_t *sealed_length);
/* Of every app that has one; what is given lives as long as the call. `times_set` differs once it
 * was set anew, if only to the same. */
bool platform_each(struct store *store,
                   bool (*each)(void *context, int64_t app, const char *kind, const char *settings,
                                const void *sealed, size_t sealed_length, int64_t times_set),
                   void *context);
bool platform_remove(struct store *store, int64_t app);
/* Replaces a credential that is `before` still by one that was renewed. */
bool platform_renew(struct store *store, int64_t app, const void *before, size_t before_length,
                    const void *sealed, size_t length);

/* What a person ordered for a process for a time: a pause and a boost. until_s 0: no end. */
struct process_orders {
    int paused; /* 0 no, 1 down, 2 both */
    int64_t paused_until_s;
    char paused_by[128];
    int boost; /* dynos, -1: none */
    int64_t boost_until_s;
    char boost_by[128];
};
bool orders_get(struct store *store, int64_t app, const char *process,
                struct process_orders *orders);
/* Those of every app. */
bool orders_each(struct store *store,
                 bool (*each)(void *context, int64_t app, const char *process,
                              const struct process_orders *orders),
                 void *context);
bool orders_put(struct store *store, int64_t app, const char *process,
                const struct process_orders *orders);

/* The audit log: who did what, when, from what to what. app 0: of the whole service. */
bool audit_add(struct store *store, int64_t now_s, const char *who, int64_t app, const char *what,
               const char *difference);
bool audit_each(struct store *store, int64_t app, int64_t before_id, int limit,
                bool (*each)(void *context, int64_t id, int64_t at_s, const char *who, int64_t app,
                             const char *what, const char *difference),
                void *context); /* newest first; app 0: all */

#endif
