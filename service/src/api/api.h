/*
 * The API: every resource is a function of the store, called for a request over the network, for
 * one on the local socket, or by the command line in its own process where no service runs. So a
 * command line and a page can do the same, by the same code.
 *
 * A resource reads api_call's first part and writes its second. It runs on a thread that may block,
 * inside a transaction (store_begin) where its route says that it writes: what it changed is
 * committed if its status is below 400, else undone.
 */
#ifndef API_H
#define API_H

#include <jansson.h>

#include "http/http.h"
#include "keeper/keeper.h"
#include "people/roles.h"
#include "store/apps.h"
#include "store/store.h"
#include "text.h"

struct api_who {
    enum api_role role;
    char name[128];               /* for the audit log: "anna", "token 7 (ci)", "command line" */
    int64_t app;                  /* of a token for one app; 0: all */
    int64_t user, session, token; /* 0: none */
    bool lacks_factor;            /* a second factor is required, and this person has none yet */
};

/*
 * Work that takes seconds: a resource that has checked its input stores it in call->work instead of
 * answering. The caller of api_run then runs it on a thread where it holds up nobody.
 */
struct api_call;
struct api_route;
struct api_work {
    /* Answers `call`, which has a store, like a resource. */
    void (*run)(struct api_work *work, struct api_call *call);
    void (*free)(struct api_work *work);
    bool streams; /* the client wants to see how far it is, by server-sent events */
    int64_t app;
    char who[128];
    /* Set by whoever runs it, or NULL: called now and then with the share that is done; false:
     * stop. */
    bool (*progress)(void *context, double done);
    void *context;
};

enum { API_PARAMETERS = 4 };

struct api_call {
    struct store *store;
    const struct keeper *keeper;
    const char *public_url;
    bool mails; /* e-mail can be sent */
    int64_t now_s;
    /* Callers on the socket in the data folder and on the command line get the role API_LOCAL from
     * whoever fills this struct. For others api_run finds it out from the request. */
    struct api_who who;
    const char *address; /* of the client; NULL or "": none */
    /* Headers as sent, NULL where there are none: Authorization, Cookie, Origin, Sec-Fetch-Site,
     * Host, X-CSRF-Token, User-Agent. */
    const char *authorization, *cookie, *origin, *fetch_site, *host, *csrf, *user_agent;
    enum http_method method;
    const char *query;
    const char *body; /* api_run gives the resource a copy that ends with NUL */
    size_t body_length;
    const char *content_type, *if_match, *if_none_match, *accept;
    const char *signature; /* Heroku-Webhook-Hmac-SHA256 */

    /* Set by api_run for the resource. */
    const struct api_route *route;
    const char *parameters[API_PARAMETERS]; /* what stood in the path's places, decoded */
    struct app app;                         /* where the path begins with one */
    json_t *input;                          /* of the body or the query: see input.h */
    uint64_t failures, text_failures;       /* of the store and of texts, counted before the call */
    char session_token[48];                 /* of the cookie; "": none */

    int status;          /* 200 where it stays 0 */
    struct text answer;  /* JSON, unless type is set */
    const char *type;    /* static */
    const char *page;    /* static: a file of the pages, sent in place of `answer`; NULL: none */
    struct text headers; /* "Name: value\r\n" lines */
    bool packs;          /* the answer holds no secret, so a long one may be compressed */
    bool config_changed, tokens_changed; /* tell control, tell ingest */
    int64_t told_app; /* an app whose platform announced a change: tell control; 0: none */
    /* Answer with a stream of events instead of `answer`: of this app, 0: of all apps that who.app
     * allows. See api_event. */
    bool stream;
    int64_t stream_app;
    struct api_work *work; /* in place of an answer; api_call_free frees it */
};

/* api_was_read: whether everything since api_watch was read without a failure. If not, an object
 * may look missing or an input wrong, and the answer must be 503 (run.c). Both on one thread. */
void api_watch(struct api_call *call);
bool api_was_read(const struct api_call *call);
/* Completes the answer. Called before the commit, since it needs memory too. If the answer is
 * incomplete or may be wrong, it becomes a 503, and this returns false. */
bool api_finish(struct api_call *call);
/* Notes that memory ran out where nothing else notes it. */
void api_no_memory(void);

/* Whether who opened a stream of events may still see it: the session or token is there. */
bool api_sees_still(struct store *store, const struct api_who *who, int64_t now_s);

/* Runs work: `call` has a store and the time, and is answered. Blocks for seconds. */
void api_work_run(struct api_work *work, struct api_call *call);
/* Runs call->work on this thread and answers the call with it, for callers that may block. */
void api_work_here(struct api_call *call);

/* Frees the answer. The headers and body that api_call points to stay the caller's. */
void api_call_free(struct api_call *call);

/* Answers with a problem (RFC 9457): the status, its title, and the sentence. */
void api_problem(struct api_call *call, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct api_route {
    enum http_method method;
    const char *path;    /* "/api/v1/apps/{app}/rules"; {app} is looked up in the store */
    enum api_role least; /* who may */
    bool writes;         /* runs in a transaction */
    bool of_one_app;     /* has no {app} in its path, but may be called with the token of one app */
    void (*run)(struct api_call *call);
};
extern const struct api_route api_routes[];
extern const size_t api_route_count;

/* Finds who calls and the route, checks the role and the app, begins and ends the transaction, runs
 * it. `path` is as sent, without the query. HEAD is run as GET. */
void api_run(struct api_call *call, const char *path);

/* Writes what a stream sends for an app after a tick or a change: the JSON of event "app", its
 * state as in the list of apps and its processes as in /processes, on one line. False: there is
 * nothing to send (the app was removed). Blocks. */
bool api_event(struct text *text, struct store *store, int64_t app, int64_t now_s);

/* Makes a new link for the first user, which ends earlier ones, and writes it into `link`. False if
 * there is a user already (`link` is then ""), or with a sentence in `error`. */
bool api_first_link(struct store *store, const char *public_url, int64_t now_s, char *link,
                    size_t link_size, char *error, size_t size);

#endif
