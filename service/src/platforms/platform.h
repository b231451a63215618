/*
 * What runs the dynos, as a table of functions, with one small file per platform. Everything here
 * may block up to the given deadline, and runs on a thread for that. Only platforms/ knows any
 * platform.
 */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum platform_result {
    PLATFORM_OK,
    PLATFORM_FAILED,  /* may pass: no answer, a time-out, 5xx; tried again with growing waits */
    PLATFORM_REFUSED, /* a person must act: credential, verification, no such app */
    PLATFORM_LOCKED,  /* a release holds the formation; tried again */
    PLATFORM_LIMITED, /* more than allowed: `limit` is the most */
    PLATFORM_BUSY,    /* rate limit; tried again after `wait_s` */
};

struct platform_answer {
    enum platform_result result;
    char trouble[256]; /* a sentence where result is not OK; without secrets */
    int limit;         /* PLATFORM_LIMITED, or a limit that is known; -1: none */
    int wait_s;        /* for PLATFORM_BUSY; -1: unknown */
    bool lost; /* the process that called the platform ended: the call may still be under way */
};

struct platform_formation {
    int ordered;               /* dynos that should run */
    int up, booting, stopping; /* -1: the platform does not say */
    int releasing;        /* 1: a release or a restart of all dynos is under way; -1: unknown */
    int64_t release_s;    /* when the last release began; 0: unknown */
    double price_a_month; /* of one dyno; -1: unknown */
    char currency[4];
    int64_t age_ms; /* the age of this knowledge: a platform may answer from memory */
};

/* An app on its platform, with its settings. Secrets are opened for the call and wiped
 * afterwards. */
struct platform_app {
    const char *app;         /* its name here */
    json_t *settings;        /* as `check` accepted them */
    const char *secret;      /* NULL: none */
    int64_t deadline_ms;     /* for the call, from now */
    bool private_addresses;  /* the operator allows calls to loopback and private addresses */
    int64_t number;          /* of the app here; 0: it has none yet */
    bool fresh;              /* a person asks: answers from memory do not count */
    const char *hook_url;    /* where the platform may report changes; NULL: nowhere */
    const char *hook_secret; /* signs those reports */
};

/* One of several orders in one call. */
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
/* Called once, before any thread calls a platform. Without it: Heroku's own addresses, and no
 * client. */
void platform_configure(const struct platform_operator *operator);
extern struct platform_operator platform_operator;

/* No platform runs more dynos than this: an answer above it is not believed. */
enum { PLATFORM_DYNOS = 10000 };

/* Everything unknown: ordered is -1. */
extern const struct platform_formation platform_unknown;

/* PLATFORM_OK; or another result with its sentence. */
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
    bool pulled;      /* control does not call it: whoever runs the dynos asks for the number */
    bool
        local_only; /* only the command line on this machine may set it, because it runs programs */
    int read_every_s; /* how often the formation may be read: 10, which is each tick */
    /* Whether settings and secret are usable; false with a sentence that names the field. */
    bool (*check)(const json_t *settings, const char *secret, char *error, size_t size);
    struct platform_answer (*read)(const struct platform_app *app, const char *process,
                                   struct platform_formation *formation);
    /* The absolute number; a repeat does no harm. `reason` is the decision's sentence. */
    struct platform_answer (*set)(const struct platform_app *app, const char *process, int dynos,
                                  const char *reason);

    /* The functions below may be NULL. */

    /* Several processes in one call where that is possible; fills each answer. */
    void (*set_many)(const struct platform_app *app, struct platform_change *changes, int count);
    /* Called before the others. If the secret must be renewed, *secret becomes the new one, which
     * the caller stores, wipes and frees; else it stays NULL. Not OK: the secret can't be used. */
    struct platform_answer (*renew)(const struct platform_app *app, int64_t now_s, char **secret);
    /* The platform reported something at hook_url: whether the signature fits these bytes and that
     * secret. */
    bool (*hook_right)(const char *secret, const char *signature, const char *body, size_t length);
    /* Takes in such a report. True: the formation changed and should be read now. */
    bool (*hook_told)(int64_t app, const char *body, size_t length);
    /* The app's platform is being removed: undoes what was set up there, as far as possible. */
    void (*forget)(const struct platform_app *app);
};

/* NULL: there is no such kind. */
const struct platform *platform_find(const char *kind);
/* In the order of their names, ended by NULL. */
extern const struct platform *const platforms[];

#endif
