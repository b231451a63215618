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
#include "people/vault.h"
#include "store/store.h"
#include "text.h"

enum api_role { API_NOBODY, API_READ, API_OPERATE, API_ADMIN, API_LOCAL };

struct api_who {
    enum api_role role;
    char name[128];               /* for the audit log: "anna", "token 7 (ci)", "command line" */
    int64_t app;                  /* of a token for one app; 0: all */
    int64_t user, session, token; /* 0: none */
};

enum { API_PARAMETERS = 4 };

struct api_call {
    struct store *store;
    const struct vault *vault;
    const char *public_url;
    int64_t now_s;
    struct api_who who;
    enum http_method method;
    const char *parameters[API_PARAMETERS]; /* what stood in the path's places, decoded */
    const char *query;
    const char *body; /* ended by NUL */
    size_t body_length;
    const char *content_type, *if_match, *if_none_match, *accept;

    int status;                          /* 200 where it stays 0 */
    struct text answer;                  /* JSON, unless type is set */
    const char *type;                    /* static */
    struct text headers;                 /* "Name: value\r\n" lines */
    bool config_changed, tokens_changed; /* tell control, tell ingest */
};

/* RFC 9457: status, a title of the status, and the sentence. */
void api_problem(struct api_call *call, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct api_route {
    enum http_method method;
    const char *path;    /* "/api/v1/apps/{app}/rules" */
    enum api_role least; /* who may */
    bool writes;
    void (*run)(struct api_call *call);
};
extern const struct api_route api_routes[];
extern const size_t api_route_count;

/* Finds the route, checks the role and the app, begins and ends the transaction, runs it. */
void api_run(struct api_call *call, const char *path);

#endif
