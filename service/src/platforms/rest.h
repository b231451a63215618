/*
 * What the platforms with an API of JSON share: settings that are names, one call, and what its
 * answer means. For platforms/ alone; any thread.
 *
 * Settings of such a platform are texts, and `processes`, which says what the platform calls a
 * process type of ours: {"processes": {"web": "srv-1"}, "api": "https://..."}.
 */
#ifndef REST_H
#define REST_H

#include <jansson.h>

#include "platforms/client.h"
#include "platforms/platform.h"

enum { REST_WORDS = 112, REST_URL = 1024 };

struct rest_call {
    const struct platform_app *app;
    int64_t end_ms;   /* by the monotonic clock: several calls share one deadline */
    const char *name; /* "Kubernetes": sentences begin with it */
    const char *what; /* "deployment/web in shop": what is asked about */
    const char *method, *url;
    const char *headers[4];                   /* further ones, NULL behind the last */
    const char *bearer;                       /* token of an Authorization header; NULL: none */
    const char *body;                         /* JSON; NULL: none */
    const char *media_type;                   /* of the body; NULL: application/json */
    const char *authority, *signed_for, *key; /* see client.h */
};

struct rest_answer {
    struct platform_answer answer; /* by the status alone; a platform may know better */
    int status;
    char words[REST_WORDS]; /* the platform's own, printable, or "" */
    json_t *json;           /* NULL: none. Released by rest_free */
};

/* A call of `app` whose time begins now. */
struct rest_call rest_begin(const struct platform_app *app, const char *name);
/* 2xx with JSON or nothing is OK, with anything else failed. 408, 5xx and no answer: failed. 409,
 * 423: locked. 429: busy. Anything else: refused. Always fills the answer. */
void rest_call(const struct rest_call *call, struct rest_answer *answer);
void rest_free(struct rest_answer *answer);

/* Whether each setting is a text of a name in `known` (ended by NULL) or `processes`, and those are
 * names, and `api`, `auth` or `server` is a URL. False with a sentence that names the field. */
bool rest_check(const json_t *settings, const char *const *known, char *error, size_t size);
/* Whether a secret is printable and has no blanks; `what` is its name in the sentence. */
bool rest_check_secret(const char *secret, const char *what, char *error, size_t size);
/* Letters, digits and -._, at most 253 of them: what needs no escape in a path. */
bool rest_is_name(const char *text);

/* The setting, or `otherwise`. */
const char *rest_setting(const struct platform_app *app, const char *name, const char *otherwise);
/* The platform's name for the process, or `otherwise`; NULL: that is not a valid name. */
const char *rest_process(const struct platform_app *app, const char *process,
                         const char *otherwise);
/* The error for when rest_process returns NULL. */
struct platform_answer rest_no_process(const struct platform_app *app, const char *process,
                                       const char *wanted);

/* A number of dynos; -1: it is not one. */
int rest_count(const json_t *json);
/* The error for an answer that lacks what it should contain. */
struct platform_answer rest_not_understood(const struct rest_call *call);
/* After a successful order: checks that the answer names the number that was ordered; -1: it names
 * none. */
struct platform_answer rest_confirm(const struct rest_call *call, int told, int dynos);

#endif
