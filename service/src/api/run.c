/* From a request to its resource: who calls, which route, whether they may, and in which
 * transaction. */
#define _GNU_SOURCE /* strdup, explicit_bzero */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/account.h"
#include "api/input.h"
#include "api/resources.h"
#include "json_read.h"
#include "log.h"
#include "people/session.h"
#include "store/people.h"

static const struct {
    int status;
    const char *title;
} titles[] = {
    {400, "Bad request"},
    {401, "Not signed in"},
    {403, "Not allowed"},
    {404, "Not found"},
    {405, "Method not allowed"},
    {409, "Conflict"},
    {412, "Changed meanwhile"},
    {413, "Too large"},
    {415, "Unsupported media type"},
    {422, "Can't be done"},
    {428, "Precondition required"},
    {429, "Too many requests"},
    {503, "Unavailable for now"},
};

void api_problem(struct api_call *call, int status, const char *format, ...) {
    char sentence[1600];
    const char *title = "Problem";
    va_list values;
    va_start(values, format);
    vsnprintf(sentence, sizeof sentence, format, values);
    va_end(values);
    /* What was sent may be quoted in it, and a terminal is to show it. */
    text_make_seen(sentence, strlen(sentence));
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        if (titles[i].status == status) title = titles[i].title;
    call->status = status;
    call->type = "application/problem+json";
    text_clear(&call->answer);
    text_format(&call->answer,
                "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":", title,
                status);
    text_json(&call->answer, sentence);
    text_put(&call->answer, "}");
    if (status == 503) text_put(&call->headers, "Retry-After: 5\r\n");
    if (status == 401) text_put(&call->headers, "WWW-Authenticate: Bearer\r\n");
}

void api_store_failed(struct api_call *call) {
    const char *why = store_error(call->store);
    /* The store's error may name files or the database's host: only admins of the service see
     * it. */
    bool all = call->who.role >= API_ADMIN && !call->who.app;
    bool told = why && *why && all;
    if (why && *why) log_line(LOG_ERROR, "api", "the data could not be read or written: %s", why);
    api_problem(call, 503, "the data could not be read or written%s%s; nothing was changed",
                told ? ": " : "", told ? why : "");
}

void api_audit(struct api_call *call, int64_t app, const char *difference, const char *format,
               ...) {
    char what[600];
    va_list values;
    va_start(values, format);
    vsnprintf(what, sizeof what, format, values);
    va_end(values);
    if (!audit_add(call->store, call->now_s, call->who.name, app, what,
                   difference ? difference : ""))
        api_store_failed(call);
}

void api_call_free(struct api_call *call) {
    text_free(&call->answer);
    text_free(&call->headers);
    json_decref(call->input);
    call->input = NULL;
    if (call->work) call->work->free(call->work);
    call->work = NULL;
}

/* ---- What could not be read ---------------------------------------------------------------- */

/*
 * If memory runs out or the disk fails, an object may look missing (404) or an input wrong (400).
 * So failures are counted while a call runs, and such a call is always answered with 503.
 */
static _Thread_local bool memory_failed;

void api_no_memory(void) { memory_failed = true; }

void api_watch(struct api_call *call) {
    json_watch();
    json_forget();
    memory_failed = false;
    call->failures = store_failures(call->store);
    call->text_failures = text_failures();
}

bool api_was_read(const struct api_call *call) {
    return !memory_failed && !json_ran_out() && !call->answer.failed && !call->headers.failed &&
           text_failures() == call->text_failures && store_failures(call->store) == call->failures;
}

bool api_finish(struct api_call *call) {
    if (call->status == 0) call->status = 200;
    if (!call->type) call->type = "application/json";
    if (!call->headers.bytes || !strstr(call->headers.bytes, "Cache-Control:"))
        text_put(&call->headers, "Cache-Control: no-store\r\n");
    if (call->status == 503 || api_was_read(call)) return true;
    bool of_store = store_failures(call->store) != call->failures;
    text_free(&call->answer);
    text_free(&call->headers);
    if (of_store) api_store_failed(call);
    else api_problem(call, 503, "there is no memory left for the answer");
    text_put(&call->headers, "Cache-Control: no-store\r\n");
    return false;
}

/* ---- Who calls ----------------------------------------------------------------------------- */

/* Notes that a token was used, at most once a minute. If the store can't be written to, the call
 * still goes on. */
static void note_use(struct api_call *call, const struct api_token *token) {
    if (call->now_s - token->used_s < 60) return;
    uint64_t before = store_failures(call->store);
    bool noted = store_begin(call->store) && api_token_used(call->store, token->id, call->now_s) &&
                 store_commit(call->store);
    if (!noted) store_rollback(call->store);
    store_forgive(call->store, before);
}

static bool has_expired(const struct api_token *token, int64_t now_s) {
    return token->expires_s > 0 && now_s >= token->expires_s;
}

/* `first`: the use is noted, in a transaction of its own. */
static bool by_token(struct api_call *call, const char *text, bool first) {
    struct api_token token;
    uint8_t hash[TOKEN_HASH_SIZE];
    token_hash(hash, text, strlen(text));
    if (!api_token_by_hash(call->store, hash, &token)) return false;
    if (has_expired(&token, call->now_s)) return false;
    call->who.role = token.scope;
    call->who.app = token.app;
    call->who.token = token.id;
    snprintf(call->who.name, sizeof call->who.name, "token %lld (%s)", (long long)token.id,
             token.name);
    if (first) note_use(call, &token);
    return true;
}

static bool lacks_factor(struct store *store, const struct session *session,
                         const struct person *person) {
    return !session->app && !person->has_factor && factor_is_required(store);
}

static bool by_session(struct api_call *call, bool first) {
    struct session session;
    struct person person;
    if (!session_of_cookie(call->session_token, call->cookie, call->public_url)) return false;
    if (!session_find(call->store, call->session_token, call->now_s, &session, &person)) {
        call->session_token[0] = '\0';
        return false;
    }
    if (first) session_used(call->store, &session, call->now_s);
    /* Whoever came by single sign-on for one app is admin of that app, and nothing else. */
    call->who.role = session.app ? API_ADMIN : person.role;
    call->who.app = session.app;
    call->who.user = person.id;
    call->who.session = session.id;
    call->who.lacks_factor = lacks_factor(call->store, &session, &person);
    snprintf(call->who.name, sizeof call->who.name, "%s", person.name);
    return true;
}

/* False: the credentials are wrong, and the call is answered. Without any: true, and nobody. */
static bool find_caller(struct api_call *call, bool first) {
    if (call->who.role == API_LOCAL) {
        if (!call->who.name[0]) snprintf(call->who.name, sizeof call->who.name, "command line");
        return true;
    }
    call->who = (struct api_who){.role = API_NOBODY, .name = "nobody"};
    if (call->authorization && *call->authorization) {
        const char *text = call->authorization;
        bool bearer = strncasecmp(text, "Bearer ", 7) == 0;
        if (bearer && by_token(call, text + 7 + strspn(text + 7, " "), first)) return true;
        api_problem(call, 401,
                    bearer ? "this token is unknown, was removed, or has expired"
                           : "the Authorization header must be “Bearer TOKEN”");
        return false;
    }
    by_session(call, first);
    return true;
}

bool api_sees_still(struct store *store, const struct api_who *who, int64_t now_s) {
    struct session session;
    struct person person;
    struct api_token token;
    if (who->token)
        return api_token_by_id(store, who->token, &token) && !has_expired(&token, now_s);
    if (!who->session) return who->role == API_LOCAL;
    return session_by_id(store, who->session, &session) &&
           now_s - session.created_s <= SESSION_LONGEST_S &&
           person_by_id(store, session.person, &person) && !lacks_factor(store, &session, &person);
}

/* ---- Other sites may not write by a session's cookie ----------------------------------------- */

static bool same_origin(const struct api_call *call) {
    const char *origin = call->origin, *host = call->host ? call->host : "";
    size_t length;
    if (call->public_url) {
        const char *end = strstr(call->public_url, "://");
        end = end ? strchr(end + 3, '/') : NULL;
        length = end ? (size_t)(end - call->public_url) : strlen(call->public_url);
        if (strlen(origin) == length && strncasecmp(origin, call->public_url, length) == 0)
            return true;
    }
    const char *rest = strstr(origin, "://");
    return rest && *host && strcasecmp(rest + 3, host) == 0;
}

static bool from_own_page(struct api_call *call) {
    const char *site = call->fetch_site;
    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0) return false;
    return !call->origin || same_origin(call);
}

static bool forged(struct api_call *call) {
    if (call->method == HTTP_GET || call->method == HTTP_HEAD) return false;
    if (call->who.role == API_LOCAL || call->who.token) return false;
    if (!from_own_page(call)) {
        api_problem(call, 403, "this request came from another site's page");
        return true;
    }
    if (call->who.session && !session_csrf_right(call->csrf, call->session_token)) {
        api_problem(call, 403,
                    "the header X-CSRF-Token is missing or wrong; GET /api/v1/session gives it");
        return true;
    }
    return false;
}

/* ---- Routes -------------------------------------------------------------------------------- */

/* Whether the path matches a route, and where its parameters begin. `path` has NULs for slashes. */
static bool fits(const char *pattern, char **parts, size_t count,
                 const char *parameters[API_PARAMETERS]) {
    size_t place = 0, i = 0;
    while (*pattern == '/') {
        size_t length = strcspn(++pattern, "/");
        if (i == count) return false;
        if (pattern[0] == '{') {
            if (!*parts[i]) return false;
            parameters[place++] = parts[i];
        } else if (strlen(parts[i]) != length || strncmp(parts[i], pattern, length) != 0) {
            return false;
        }
        i++;
        pattern += length;
    }
    return i == count;
}

enum { PARTS = 12 };

/* Cuts a path at its slashes and decodes each part. */
static bool cut(char *path, char *parts[PARTS], size_t *count) {
    *count = 0;
    if (*path != '/') return false;
    while (path) {
        if (*count == PARTS) return false;
        char *end = strchr(++path, '/');
        if (end) *end = '\0';
        parts[(*count)++] = path;
        path = end;
    }
    for (size_t i = 0; i < *count; i++)
        if (!input_decode(parts[i], false) || !input_printable(parts[i])) return false;
    return true;
}

static const char *const method_names[] = {
    [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST", [HTTP_PUT] = "PUT",
    [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE", [HTTP_OTHER] = "?",
};

static const struct api_route *find_route(struct api_call *call, char **parts, size_t count) {
    enum http_method method = call->method == HTTP_HEAD ? HTTP_GET : call->method;
    struct text others = TEXT_EMPTY;
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *route = &api_routes[i];
        if (!fits(route->path, parts, count, call->parameters)) continue;
        if (route->method == method) {
            text_free(&others);
            return route;
        }
        text_format(&others, "%s%s", others.length ? ", " : "", method_names[route->method]);
    }
    memset(call->parameters, 0, sizeof call->parameters);
    if (others.length > 0) {
        api_problem(call, 405, "this address takes %s", others.bytes);
        text_format(&call->headers, "Allow: %s\r\n", others.bytes);
    } else {
        api_problem(call, 404, "there is no such address; /api/v1/openapi.yaml lists them");
    }
    text_free(&others);
    return NULL;
}

/* What a person may do who still lacks a required second factor: set one up, and sign out. */
static bool is_of_account(const struct api_route *route) {
    static const char *const begins[] = {"/api/v1/session", "/api/v1/account/"};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (strncmp(route->path, begins[i], strlen(begins[i])) == 0) return true;
    return route->least == API_NOBODY;
}

/* Logs a refusal without the path's parameters: a secret may have been put there by mistake. A page
 * that only asks whether somebody is signed in is not logged. */
static void log_refused(const struct api_call *call, const struct api_route *route) {
    bool asks = route && call->who.role == API_NOBODY && !call->authorization && !call->cookie &&
                route->method == HTTP_GET;
    if (asks) return;
    log_refusal(LOG_ACCESS, "api", "%s was refused %s %s (from %s)",
                call->who.role == API_NOBODY ? "somebody unknown" : call->who.name,
                method_names[call->method], route ? route->path : "any address",
                call->address ? call->address : "this machine");
}

static bool may(struct api_call *call, const struct api_route *route) {
    if (call->who.lacks_factor && !is_of_account(route)) {
        api_problem(call, 403, "a second factor is required here: set one up on the page /account");
        return false;
    }
    if (call->who.role >= route->least) return true;
    if (call->who.role == API_NOBODY) {
        api_problem(call, 401, "sign in, or send a token as “Authorization: Bearer TOKEN”");
        return false;
    }
    if (route->least == API_LOCAL)
        api_problem(call, 403, "this is done by the command line on the service's machine alone");
    else
        api_problem(
            call, 403, "this needs the %s %s, and %s has %s", call->who.token ? "scope" : "role",
            call->who.token
                ? role_scope_name(route->least)
                : role_person_name(route->least == API_OPERATE ? API_WRITE : route->least),
            call->who.name,
            call->who.token ? role_scope_name(call->who.role) : role_person_name(call->who.role));
    return false;
}

/* Finds the path's app. For a token of another app it does not exist. */
static bool find_app(struct api_call *call, const struct api_route *route) {
    static const char begin[] = "/api/v1/apps/{app}";
    if (strncmp(route->path, begin, sizeof begin - 1) != 0) {
        if (!call->who.app || route->of_one_app) return true;
        api_problem(call, 403, "this %s is for one app alone",
                    call->who.token ? "token" : "session");
        return false;
    }
    if (app_by_name(call->store, call->parameters[0], &call->app) &&
        (!call->who.app || call->who.app == call->app.id))
        return true;
    /* The answer is the same as for an app that does not exist. */
    if (call->app.id) log_refused(call, route);
    memset(&call->app, 0, sizeof call->app);
    api_problem(call, 404, "there is no app “%.100s”", call->parameters[0]);
    return false;
}

bool api_may_still(struct api_call *call) {
    return find_caller(call, false) && may(call, call->route) && find_app(call, call->route);
}

static void run(struct api_call *call, const struct api_route *route) {
    call->route = route;
    if (!route->writes) {
        route->run(call);
        return;
    }
    if (!store_begin(call->store)) {
        api_store_failed(call);
        return;
    }
    if (api_may_still(call)) route->run(call);
    if (api_finish(call) && call->status < 400 && store_commit(call->store)) return;
    if (call->status < 400) {
        text_free(&call->headers);
        api_store_failed(call);
    }
    store_rollback(call->store);
    call->config_changed = call->tokens_changed = false;
}

void api_work_run(struct api_work *work, struct api_call *call) {
    api_watch(call);
    work->run(work, call);
    api_finish(call);
}

void api_work_here(struct api_call *call) {
    struct api_work *work = call->work;
    if (!work) return;
    call->work = NULL;
    text_clear(&call->answer);
    text_clear(&call->headers);
    call->status = 0;
    api_work_run(work, call);
    work->free(work);
}

static char *copy_body(const struct api_call *call) {
    char *body = malloc(call->body_length + 1);
    if (!body) return NULL;
    if (call->body_length > 0) memcpy(body, call->body, call->body_length);
    body[call->body_length] = '\0';
    return body;
}

void api_run(struct api_call *call, const char *path) {
    char *copy = strdup(path), *parts[PARTS], *body = copy_body(call);
    const char *given = call->body;
    const struct api_route *route = NULL;
    size_t count;
    if (call->address && !*call->address) call->address = NULL;
    api_watch(call);
    call->body = body;
    if (!copy || !body) api_problem(call, 503, "there is no memory left");
    else if (!cut(copy, parts, &count)) api_problem(call, 404, "there is no such address");
    else if (find_caller(call, true)) route = find_route(call, parts, count);
    bool known = route || call->status == 401;
    bool allowed = route && may(call, route) && !forged(call) && find_app(call, route);
    if (allowed) run(call, route);
    else if (known && (call->status == 401 || call->status == 403)) log_refused(call, route);
    api_finish(call);
    call->body = given;
    memset(call->parameters, 0, sizeof call->parameters);
    free(copy);
    if (body) explicit_bzero(body, call->body_length); /* the body may have held a credential */
    free(body);
}
