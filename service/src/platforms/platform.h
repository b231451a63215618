/*
 * What runs the dynos, as a table of functions: one small file a platform. Everything here may
 * block, up to the deadline given, and runs on a thread for that. Only platforms/ knows a platform.
 */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum platform_result {
    PLATFORM_OK,
    PLATFORM_FAILED,  /* passes: no answer, time-out, 5xx; tried again with growing waits */
    PLATFORM_REFUSED, /* needs a person: credential, verification, no such app */
    PLATFORM_LOCKED,  /* a release holds the formation: tried again */
    PLATFORM_LIMITED, /* more than allowed: `limit` says how many are */
    PLATFORM_BUSY,    /* rate limit: tried again after `wait_s` */
};

struct platform_answer {
    enum platform_result result;
    char trouble[256]; /* a sentence where result is not OK; without secrets */
    int limit;         /* PLATFORM_LIMITED, or a limit that is known; -1: none */
    int wait_s;        /* PLATFORM_BUSY; -1: not said */
    bool lost;         /* who called the platform ended: the call may be under way still */
};

struct platform_formation {
    int ordered;               /* dynos that should run */
    int up, booting, stopping; /* -1: the platform does not say */
    int releasing;             /* 1: a release or a restart of all is under way; -1: not said */
    int64_t release_s;         /* when the last release began; 0: not said */
    double price_a_month;      /* of one dyno, -1: not said */
    char currency[4];
    int64_t age_ms; /* how long ago it was so: what a platform remembers is not asked for anew */
};

/* An app on its platform: what was set for it. Secrets are opened for the call and wiped after. */
struct platform_app {
    const char *app;         /* our name of it */
    json_t *settings;        /* what `check` let pass */
    const char *secret;      /* NULL: none */
    int64_t deadline_ms;     /* of the call, from now */
    bool private_addresses;  /* the operator lets calls go to loopback and private addresses */
    int64_t number;          /* of the app here; 0: it has none yet */
    bool fresh;              /* a person asks: nothing that is remembered counts */
    const char *hook_url;    /* where the platform may tell of changes; NULL: nowhere */
    const char *hook_secret; /* that it signs these with */
};

/* One of several orders that are given at once. */
struct platform_change {
    const char *process;
    int dynos;
    const char *reason;
    struct platform_answer answer; /* set by set_many */
};

/* What the operator sets for all apps. The texts live as long as the process. */
struct platform_operator {
    const char *heroku_api, *heroku_id; /* addresses without a slash at the end */
    const char *heroku_client_secret;   /* of the OAuth client; NULL: none */
    int64_t heroku_read_ms;             /* between readings, at least */
};
/* Once, before any thread calls a platform; else Heroku's own addresses, and no client. */
void platform_configure(const struct platform_operator *operator);
extern struct platform_operator platform_operator;

/* More dynos than any platform here runs: an answer above is not believed. */
enum { PLATFORM_DYNOS = 10000 };

/* Every field not known: ordered -1. */
extern const struct platform_formation platform_unknown;

/* An answer of PLATFORM_OK; any other result, with its sentence. */
struct platform_answer platform_ok(void);
struct platform_answer platform_trouble(enum platform_result result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Reads what a program or a receiver of ours says of a formation: a whole number of dynos and
 * nothing else but blanks, or a JSON object with `ordered`, and `up`, `booting`, `stopping`,
 * `limit`, `releasing` (true or false) where they are known. `who` begins the sentence: "./scale".
 */
struct platform_answer platform_read_answer(struct platform_formation *formation, const char *text,
                                            size_t length, const char *who);

struct platform {
    const char *kind; /* "command" */
    bool pulled;      /* not called by control: who runs the dynos asks how many there should be */
    bool local_only;  /* set by the command line on this machine alone: it runs programs */
    int read_every_s; /* how often the formation may be read: 10, which is each tick */
    /* Whether settings and secret are usable; false with a sentence that names the field. */
    bool (*check)(const json_t *settings, const char *secret, char *error, size_t size);
    struct platform_answer (*read)(const struct platform_app *app, const char *process,
                                   struct platform_formation *formation);
    /* The absolute number; a repeat does no harm. `reason` is the decision's sentence. */
    struct platform_answer (*set)(const struct platform_app *app, const char *process, int dynos,
                                  const char *reason);

    /* The rest may be NULL: the platform has no such thing. */

    /* Several processes in one call where that is possible; fills each answer. */
    void (*set_many)(const struct platform_app *app, struct platform_change *changes, int count);
    /* Called before the others. Where the secret must be renewed: *secret is the new one, which the
     * caller keeps, wipes and frees; else it stays NULL. Not OK: the secret can't be used. */
    struct platform_answer (*renew)(const struct platform_app *app, int64_t now_s, char **secret);
    /* Something is told by the platform at hook_url: whether the signature is of these bytes by
     * that secret. */
    bool (*hook_right)(const char *secret, const char *signature, const char *body, size_t length);
    /* Takes in what was told of an app. True: the formation changed, and should be read now. */
    bool (*hook_told)(int64_t app, const char *body, size_t length);
    /* The app's platform is removed here: undoes what was arranged there, as far as it can. */
    void (*forget)(const struct platform_app *app);
};

/* NULL for a kind that there is not. */
const struct platform *platform_find(const char *kind);
/* In the order of their names, ended by NULL. */
extern const struct platform *const platforms[];

#endif
