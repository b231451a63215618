/*
 * The transport over libcurl. No other file knows libcurl.
 *
 * The native thread loads libcurl when the first report is due. It is not linked: libcurl and the
 * thirty libraries that it needs would add 3.5 ms and some MB to every import, also in processes
 * that never report, and without it the app would not start. This way a machine without libcurl
 * gets one warning.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strdup, strncasecmp, nanosleep */
#endif
#define CURL_DISABLE_DEPRECATION /* older libraries need the option's older name */
#include <curl/curl.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "descriptor.h"
#include "fork.h"
#include "headers.h"
#include "transport.h"
#include "url.h"

#if LIBCURL_VERSION_NUM < 0x074200
#error "libcurl 7.66 or newer is needed to build (curl_multi_poll)"
#endif

static const long CONNECT_TIMEOUT_MS = 5000;
static const int MOST_REDIRECTS = 5;

/* ---- Loading ------------------------------------------------------------------------------ */

#define FUNCTIONS(X)       \
    X(global_init)         \
    X(version_info)        \
    X(easy_init)           \
    X(easy_setopt)         \
    X(easy_getinfo)        \
    X(easy_strerror)       \
    X(easy_cleanup)        \
    X(slist_append)        \
    X(slist_free_all)      \
    X(multi_init)          \
    X(multi_add_handle)    \
    X(multi_remove_handle) \
    X(multi_perform)       \
    X(multi_poll)          \
    X(multi_strerror)      \
    X(multi_info_read)     \
    X(multi_cleanup)

static struct {
#define X(name) __typeof__(&curl_##name) name;
    FUNCTIONS(X)
#undef X
} curl;

static _Atomic(bool) is_loaded;

enum { LOADER_ERROR_SIZE = 48 };

/* The last part of the loader's message, for instance "Too many open files". */
static const char *loader_error(void) {
    const char *error = dlerror(), *last = error ? strrchr(error, ':') : NULL;
    return last ? last + 1 + strspn(last + 1, " ") : "unknown error";
}

/* NULL with the loader's message for the first name, the usual one. */
static void *find_library(char error[LOADER_ERROR_SIZE]) {
    static const char *const names[] = {
#ifdef __APPLE__
        "libcurl.4.dylib",
        "/usr/lib/libcurl.4.dylib",
#else
        "libcurl.so.4",
        "libcurl-gnutls.so.4",
#endif
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (library) return library;
        if (i == 0) snprintf(error, LOADER_ERROR_SIZE, "%s", loader_error());
    }
    return NULL;
}

/* Tried again with the next report: the obstacle may be temporary. */
static bool load(char reason[DS_ANSWER_REASON_SIZE]) {
    char error[LOADER_ERROR_SIZE];
    void *library = find_library(error);
    if (!library) {
        snprintf(reason, DS_ANSWER_REASON_SIZE,
                 "libcurl can't be loaded (%s): is libcurl4 (Debian, Ubuntu) or libcurl installed?",
                 error);
        return false;
    }
#define X(name)                                                                            \
    *(void **)&curl.name = dlsym(library, "curl_" #name);                                  \
    if (!curl.name) {                                                                      \
        snprintf(reason, DS_ANSWER_REASON_SIZE,                                            \
                 "libcurl is too old: 7.66 or newer is needed (it lacks curl_" #name ")"); \
        dlclose(library);                                                                  \
        return false;                                                                      \
    }
    FUNCTIONS(X)
#undef X
    if (curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) return true;
    snprintf(reason, DS_ANSWER_REASON_SIZE, "libcurl can't be initialised");
    return false;
}

/* Held by the thread that loads. Not a mutex: a forked child would inherit it locked. */
static atomic_flag loader = ATOMIC_FLAG_INIT;

/* Returns true when it is held, false after so many ms. */
static bool hold_loader(int ms) {
    const struct timespec moment = {.tv_nsec = 1000 * 1000};
    while (atomic_flag_test_and_set(&loader)) {
        if (ms-- == 0) return false;
        nanosleep(&moment, NULL);
    }
    return true;
}

/* Loads once a process. A fork waits for loading only for a time: a child that was forked during it
 * can't load, because the library may be half initialised. */
static bool loaded(char reason[DS_ANSWER_REASON_SIZE]) {
    if (atomic_load(&is_loaded)) return true;
    snprintf(reason, DS_ANSWER_REASON_SIZE, "libcurl is still being loaded");
    if (!hold_loader(5000)) return false; /* another agent's thread is at it */
    if (!atomic_load(&is_loaded)) atomic_store(&is_loaded, load(reason));
    atomic_flag_clear(&loader);
    return atomic_load(&is_loaded);
}

/* ---- Connections -------------------------------------------------------------------------- */

typedef struct connection {
    const ds_settings *settings;
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    char *redirected; /* where the answer redirected to, or NULL */
    int redirects;
    int64_t started_ms; /* the end of settings->timeout_ms, which includes redirects */
    bool was_connected; /* a socket that is closed by now */
    bool is_looking_up; /* the name lookup, see ds_fork_lookup_begins */
    char error[CURL_ERROR_SIZE];
    ds_answer answer;
} connection;

static void clear_answer(ds_answer *answer) {
    answer->status = 0;
    answer->reason[0] = '\0';
    answer->retry_after_ms = DS_ANSWER_NO_RETRY;
    answer->path = (ds_path){.date_s = -1, .queue_time_ms = -1};
    answer->body_whole = false;
    answer->body_length = 0;
}

/* An answer too long to be useful is not read: curl ends the transfer. */
static size_t take_body(char *data, size_t size, size_t count, void *context) {
    ds_answer *answer = context;
    size_t length = size * count;
    if (length > sizeof answer->body - answer->body_length) return 0;
    memcpy(answer->body + answer->body_length, data, length);
    answer->body_length += length;
    return length;
}

/* The value if the header has that name, without blanks around it, else NULL. */
static const char *value_in(const char *line, const char *end, const char *name, size_t *length) {
    size_t name_length = strlen(name);
    if ((size_t)(end - line) < name_length || strncasecmp(line, name, name_length) != 0)
        return NULL;
    const char *value = line + name_length;
    while (value < end && (*value == ' ' || *value == '\t')) value++;
    while (end > value && strchr(" \t\r\n", end[-1])) end--;
    *length = (size_t)(end - value);
    return value;
}

static size_t take_header(char *data, size_t size, size_t count, void *context) {
    ds_answer *answer = context;
    const char *value, *end = data + size * count;
    size_t length;
    if ((value = value_in(data, end, "retry-after:", &length)))
        ds_report_retry_after(value, length, &answer->retry_after_ms);
    else if ((value = value_in(data, end, "date:", &length)))
        ds_headers_date(value, length, &answer->path.date_s);
    else if ((value = value_in(data, end, "server-timing:", &length)))
        ds_headers_queue_time(value, length, &answer->path.queue_time_ms);
    return size * count;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose,
                                 struct curl_sockaddr *address) {
    (void)context, (void)purpose;
    int type = address->socktype;
#ifdef SOCK_CLOEXEC
    type |= SOCK_CLOEXEC;
#endif
    return ds_descriptor_above_standard(socket(address->family, type, address->protocol));
}

/* libcurl does not say itself whether it had connected before TLS failed or hung. */
static int close_socket(void *context, curl_socket_t number) {
    connection *c = context;
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    if (getpeername(number, (struct sockaddr *)&peer, &size) == 0) c->was_connected = true;
    return close(number);
}

static void set_protocols(CURL *easy) {
#if LIBCURL_VERSION_NUM >= 0x075500
    if (curl.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK) return;
#endif
#if LIBCURL_VERSION_NUM < 0x080000
    curl.easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static void set_options(connection *c) {
    const ds_settings *settings = c->settings;
    CURL *easy = c->easy;
    set_protocols(easy);
    curl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl.easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl.easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl.easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl.easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl.easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl.easy_setopt(easy, CURLOPT_ERRORBUFFER, c->error);
    curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl.easy_setopt(easy, CURLOPT_WRITEDATA, &c->answer);
    curl.easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl.easy_setopt(easy, CURLOPT_HEADERDATA, &c->answer);
    curl.easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl.easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    curl.easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, c);
    /* Set even if empty: otherwise curl reads the environment, which the app may be changing. */
    curl.easy_setopt(easy, CURLOPT_PROXY, settings->proxy);
    curl.easy_setopt(easy, CURLOPT_NOPROXY, settings->no_proxy ? settings->no_proxy : "");
    if (settings->ca_file) curl.easy_setopt(easy, CURLOPT_CAINFO, settings->ca_file);
    if (settings->ca_path) curl.easy_setopt(easy, CURLOPT_CAPATH, settings->ca_path);
#if LIBCURL_VERSION_NUM >= 0x075700
    /* So that a silent name server delays neither the next report nor the exit. */
    curl.easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

static void set_looking_up(connection *c, bool looking_up) {
    if (looking_up && !c->is_looking_up) ds_fork_lookup_begins();
    if (!looking_up && c->is_looking_up) ds_fork_lookup_ended();
    c->is_looking_up = looking_up;
}

static void curl_close(void *opened) {
    connection *c = opened;
    set_looking_up(c, false);
    if (c->multi && c->easy) curl.multi_remove_handle(c->multi, c->easy);
    if (c->easy) curl.easy_cleanup(c->easy);
    if (c->multi) curl.multi_cleanup(c->multi);
    curl.slist_free_all(c->headers);
    free(c->redirected);
    free(c);
}

static void *curl_open(const ds_settings *settings, char reason[DS_ANSWER_REASON_SIZE]) {
    if (!loaded(reason)) return NULL;
    connection *c = calloc(1, sizeof *c);
    if (c) {
        c->settings = settings;
        c->multi = curl.multi_init();
        c->easy = curl.easy_init();
        if (c->multi && c->easy) {
            set_options(c);
            return c;
        }
        curl_close(c);
    }
    snprintf(reason, DS_ANSWER_REASON_SIZE, "no memory for a connection");
    return NULL;
}

static bool add_header(connection *c, const char *line) {
    struct curl_slist *longer = curl.slist_append(c->headers, line);
    if (longer) c->headers = longer;
    return longer != NULL;
}

static bool set_headers(connection *c, const ds_request *request) {
    curl.slist_free_all(c->headers);
    c->headers = NULL;
    for (size_t i = 0; i < request->header_count; i++)
        if (!add_header(c, request->headers[i])) return false;
    return add_header(c, "Expect:"); /* no round trip for a large body (Expect: 100-continue) */
}

static bool send_to(connection *c, const char *url) {
    int64_t left_ms = c->started_ms + c->settings->timeout_ms - ds_clock_monotonic_ms();
    if (left_ms <= 0) return false;
    clear_answer(&c->answer);
    c->error[0] = '\0';
    c->was_connected = false;
    curl.easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
    bool begun = curl.easy_setopt(c->easy, CURLOPT_URL, url) == CURLE_OK &&
                 curl.multi_add_handle(c->multi, c->easy) == CURLM_OK;
    set_looking_up(c, begun);
    return begun;
}

static bool curl_start(void *opened, const ds_request *request,
                       char reason[DS_ANSWER_REASON_SIZE]) {
    connection *c = opened;
    c->redirects = 0;
    c->started_ms = ds_clock_monotonic_ms();
    if (request->body) {
        curl.easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        curl.easy_setopt(c->easy, CURLOPT_POSTFIELDS, request->body);
    } else {
        curl.easy_setopt(c->easy, CURLOPT_HTTPGET, 1L);
    }
    if (set_headers(c, request) &&
        curl.easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers) == CURLE_OK &&
        send_to(c, c->settings->url))
        return true;
    snprintf(reason, DS_ANSWER_REASON_SIZE, "no memory for a request");
    return false;
}

/* Follows a redirect with the same request, if that is allowed. */
static bool follow(connection *c) {
    char *url = NULL;
    const char *from = c->redirected ? c->redirected : c->settings->url;
    if (c->answer.status < 300 || c->answer.status > 399) return false;
    if (curl.easy_getinfo(c->easy, CURLINFO_REDIRECT_URL, &url) != CURLE_OK || !url) return false;
    if (++c->redirects > MOST_REDIRECTS || !ds_url_redirect_allowed(from, url)) return false;
    char *copy = strdup(url);
    if (!copy) return false;
    free(c->redirected);
    c->redirected = copy;
    return send_to(c, copy);
}

/* The ms between two times in µs of a transfer; -1 if it did not reach the second. */
static int64_t ms_between(curl_off_t from_us, curl_off_t to_us) {
    return to_us > 0 ? (int64_t)(to_us > from_us ? to_us - from_us : 0) / 1000 : -1;
}

static curl_off_t moment(connection *c, CURLINFO info) {
    curl_off_t us = 0;
    curl.easy_getinfo(c->easy, info, &us);
    return us;
}

static void note_peer(connection *c) {
    char *address = NULL;
    long port = 0;
    curl.easy_getinfo(c->easy, CURLINFO_PRIMARY_IP, &address);
    curl.easy_getinfo(c->easy, CURLINFO_PRIMARY_PORT, &port);
    if (address && *address && port > 0)
        snprintf(c->answer.path.peer, DS_PEER_SIZE, "%.48s port %ld", address, port);
}

static void note_path(connection *c, CURLcode result) {
    ds_path *path = &c->answer.path;
    curl_off_t named = moment(c, CURLINFO_NAMELOOKUP_TIME_T);
    curl_off_t connected = moment(c, CURLINFO_CONNECT_TIME_T);
    curl_off_t secured = moment(c, CURLINFO_APPCONNECT_TIME_T);
    path->name_ms = ms_between(0, named);
    path->connect_ms = ms_between(named, connected);
    path->tls_ms = ms_between(connected, secured);
    path->answer_ms =
        ms_between(moment(c, CURLINFO_PRETRANSFER_TIME_T), moment(c, CURLINFO_TOTAL_TIME_T));
    long proxy_status = 0;
    curl.easy_getinfo(c->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    path->proxy_status = (int)proxy_status;
    path->proxy_unresolved = result == CURLE_COULDNT_RESOLVE_PROXY;
    note_peer(c);
    bool has_peer = connected > 0 || c->was_connected;
    bool unresolved = path->proxy_unresolved || result == CURLE_COULDNT_RESOLVE_HOST;
    path->reach = c->answer.status > 0       ? DS_REACH_ANSWER
                  : unresolved || named == 0 ? DS_REACH_NOTHING
                  : !has_peer                ? DS_REACH_ADDRESS
                  : secured == 0             ? DS_REACH_PEER
                                             : DS_REACH_TLS;
}

/* curl's message for a proxy it can't parse holds the whole address with the password, and is cut
 * at the end of its buffer: recognise it by its beginning. */
static bool shows_password(const char *reason, const char *proxy) {
    enum { BEGINNING = 12 };
    char beginning[BEGINNING + 1];
    snprintf(beginning, sizeof beginning, "%s", proxy);
    return strchr(proxy, '@') && strstr(reason, beginning);
}

static void note_result(connection *c, CURLcode result) {
    long status = 0;
    curl.easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    c->answer.status = status >= 200 ? (int)status : 0; /* 1xx: the final answer follows */
    c->answer.body_whole = result == CURLE_OK;
    const char *reason = c->error[0] ? c->error : curl.easy_strerror(result);
    if (shows_password(reason, c->settings->proxy))
        reason = "the address of the proxy can't be used";
    snprintf(c->answer.reason, sizeof c->answer.reason, "%.*s", DS_ANSWER_REASON_SIZE - 1, reason);
    note_path(c, result);
}

/* An error of the multi handle, not of this request: no message about the request will follow. */
static const ds_answer *note_failure(connection *c, CURLMcode code) {
    set_looking_up(c, false);
    curl.multi_remove_handle(c->multi, c->easy);
    clear_answer(&c->answer);
    snprintf(c->answer.reason, sizeof c->answer.reason, "libcurl failed: %s",
             curl.multi_strerror(code));
    return &c->answer;
}

static const ds_answer *curl_poll(void *opened) {
    connection *c = opened;
    int left;
    CURLMcode code = curl.multi_perform(c->multi, &left);
    if (code != CURLM_OK) return note_failure(c, code);
    if (moment(c, CURLINFO_NAMELOOKUP_TIME_T) > 0) set_looking_up(c, false);
    CURLMsg *message = curl.multi_info_read(c->multi, &left);
    if (!message || message->msg != CURLMSG_DONE) return NULL;

    CURLcode result = message->data.result;
    note_result(c, result);
    set_looking_up(c, false);
    curl.multi_remove_handle(c->multi, c->easy);
    if (follow(c)) return NULL;
    free(c->redirected);
    c->redirected = NULL;
    return &c->answer;
}

static void curl_wait(void *opened, int64_t ms) {
    connection *c = opened;
    const struct timespec moment = {.tv_nsec = 100 * 1000 * 1000};
    if (curl.multi_poll(c->multi, NULL, 0, (int)ms, NULL) != CURLM_OK) nanosleep(&moment, NULL);
}

static bool curl_describe(char text[DS_ANSWER_REASON_SIZE], char reason[DS_ANSWER_REASON_SIZE]) {
    if (!loaded(reason)) return false;
    const curl_version_info_data *info = curl.version_info(CURLVERSION_NOW);
    snprintf(text, DS_ANSWER_REASON_SIZE, "libcurl %s with %s", info->version,
             info->ssl_version ? info->ssl_version : "no TLS");
    return true;
}

/* ---- No fork meanwhile -------------------------------------------------------------------- */

/* All except the wait, which only polls: inside libcurl the thread may hold a lock of the TLS
 * library, which a forked child could never take. */

static void *open_held(const ds_settings *settings, char reason[DS_ANSWER_REASON_SIZE]) {
    ds_fork_hold();
    void *opened = curl_open(settings, reason);
    ds_fork_release();
    return opened;
}

static bool start_held(void *opened, const ds_request *request,
                       char reason[DS_ANSWER_REASON_SIZE]) {
    ds_fork_hold();
    bool started = curl_start(opened, request, reason);
    ds_fork_release();
    return started;
}

static const ds_answer *poll_held(void *opened) {
    ds_fork_hold();
    const ds_answer *answer = curl_poll(opened);
    ds_fork_release();
    return answer;
}

static void close_held(void *opened) {
    ds_fork_hold();
    curl_close(opened);
    ds_fork_release();
}

static bool describe_held(char text[DS_ANSWER_REASON_SIZE], char reason[DS_ANSWER_REASON_SIZE]) {
    ds_fork_hold();
    bool described = curl_describe(text, reason);
    ds_fork_release();
    return described;
}

const ds_transport ds_transport_curl = {
    .open = open_held,
    .start = start_held,
    .poll = poll_held,
    .wait = curl_wait,
    .close = close_held,
    .describe = describe_held,
};
