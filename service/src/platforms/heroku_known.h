/*
 * What this process knows of apps on Heroku, so that a reading seldom costs a request:
 *
 *  - Each account has 4,500 requests, and gets 75 back a minute. Readings share half of that among
 *    the account's apps, and come less often the less is left; orders are never held back.
 *  - Where the app's webhook is heard, it tells what changes: then a reading asks Heroku each two
 *    minutes only. One of our own orders that is not told within a minute ends that trust.
 *  - A limit that Heroku told is remembered, since nothing else tells it.
 *  - What was refused is not asked again for a minute.
 *
 * Any thread. What is asked and what is told meet by counters: what was told while an answer was on
 * its way makes that answer old.
 */
#ifndef HEROKU_KNOWN_H
#define HEROKU_KNOWN_H

#include "platforms/heroku_api.h"

enum { HEROKU_TYPES = 64, HEROKU_TYPE_SIZE = 64, HEROKU_SIZE_SIZE = 32 };

struct heroku_type {
    char name[HEROKU_TYPE_SIZE], size[HEROKU_SIZE_SIZE];
    int quantity;
    int up, booting; /* -1: the dynos were not read yet */
    int told_limit;  /* by a refusal; -1: none */
    int64_t told_limit_ms;
};

enum heroku_hook { HOOK_NOT_ASKED, HOOK_THERE, HOOK_NOT_GIVEN };

struct heroku_known {
    int64_t app;               /* our number; 0: nothing is remembered */
    unsigned char account[16]; /* a hash of the credential */
    char name[48];             /* Heroku's name of the app */
    int count;
    struct heroku_type types[HEROKU_TYPES];
    /* When each was read, monotonic; -1: never, or it has changed since. */
    int64_t formation_ms, dynos_ms, releases_ms;
    int64_t release_s; /* of the newest release; 0: none */
    int releasing;     /* -1: not known */
    struct platform_answer refused;
    int64_t refused_until_ms;
    enum heroku_hook hook;
    int64_t hook_next_ms; /* when to ask for it again */
    int64_t heard_ms;     /* when it last reported anything; -1: never, or it is not trusted */
    int64_t proof_ms;     /* until when it must report an order of ours; 0: none */
    int64_t renewed_ms;   /* when renewing was last tried; -1: never */
    bool renew;           /* the token was refused: renew it at once */
    unsigned told;        /* counts the webhook's reports */
};

/* Copies what is known of an app with this credential; empty if the app is new, or its name or
 * credential changed. */
void known_take(struct heroku_known *known, int64_t app, const char *name, const char *credential);
/* Puts the copy back. What a webhook reported since it was taken is kept. */
void known_put(const struct heroku_known *known);
/* NULL where there is none of that name. */
struct heroku_type *known_type(struct heroku_known *known, const char *name);

/* Whether the webhook can be trusted to report all changes. */
bool known_trusted(const struct heroku_known *known, int64_t now_ms);

/* Records how many requests of the rate limit the account has left. */
void known_spent(const unsigned char account[16], int remaining, int64_t now_ms);
/* How long readings of one app should be apart, by what is left and how many apps share it; -1:
 * none may be made now. */
int64_t known_pause_ms(const unsigned char account[16], int64_t now_ms);

/* Takes in a webhook's report about an app; false: nothing is known of the app. */
bool known_tell_formation(int64_t app, const char *type, const char *size, int quantity);
bool known_tell_dynos(int64_t app);
bool known_tell_release(int64_t app);

/* Sets the prices by size, from one answer that is valid for all apps. */
void known_set_prices(const json_t *sizes, int64_t now_ms);
bool known_prices_old(int64_t now_ms);
double known_price(const char *size); /* per month; -1: unknown */

/* Forgets all; for tests. */
void known_clear(void);

#endif
