#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strncasecmp, nanosleep */
#endif
#include "doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "clean.h"
#include "clock.h"
#include "random.h"
#include "report.h"
#include "url.h"

enum {
    MOST_FINDINGS = 64, /* twice as many as there can be */
    TEXT_SIZE = 512,
    POLL_MS = 50,
    GRACE_MS = 1000,                  /* for an answer, beyond libcurl's own deadline */
    SKEW_MS = 1000,                   /* a router's stamp may be so far ahead */
    OLDEST_STAMP_MS = 10 * 60 * 1000, /* and so old */
    ROUNDING_MS = 20,                 /* between two readings of one machine's clocks */
    LONGEST_TIMEOUT_MS = 60 * 1000,
};

typedef enum step { ASK_SERVICE, ASK_APP, DONE } step;

typedef struct entry {
    dynoscale_finding finding;
    char text[TEXT_SIZE];
} entry;

struct dynoscale_doctor {
    const ds_transport *transport;
    ds_settings *service; /* NULL: there is no usable address */
    ds_settings *app;     /* NULL: none was named */
    bool can_connect;     /* libcurl is there */
    step step;

    void *connection; /* while an answer is waited for */
    int64_t deadline_ms;
    ds_request request;
    char body[1]; /* of a report without samples */
    ds_answer answer;

    entry entries[MOST_FINDINGS];
    size_t count, returned;
    _Atomic(size_t) problems;
    atomic_flag busy; /* a thread is in dynoscale_doctor_next */
};

/* ---- Findings ----------------------------------------------------------------------------- */

__attribute__((format(printf, 5, 6))) static void
add_finding(dynoscale_doctor *d, const char *check, dynoscale_health health, const char *remedy,
            const char *format, ...) {
    if (d->count == MOST_FINDINGS) return;
    entry *t = &d->entries[d->count++];
    va_list arguments;
    va_start(arguments, format);
    char text[2 * TEXT_SIZE]; /* longer than what is kept, so that ds_clean_text cuts between
                                 characters */
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ds_clean_text(t->text, TEXT_SIZE,
                  text); /* text from the environment and libcurl goes to a terminal */
    t->finding = (dynoscale_finding){check, health, t->text, remedy, "", 0};
    if (health == DYNOSCALE_HEALTH_WARN || health == DYNOSCALE_HEALTH_FAIL) d->problems++;
}

/* Gives the last finding a number. */
static void set_measure(dynoscale_doctor *d, const char *name, int64_t value) {
    if (value < 0 && strcmp(name, "offset_ms") != 0) return;
    d->entries[d->count - 1].finding.measure = name;
    d->entries[d->count - 1].finding.value = value;
}

#define OK   DYNOSCALE_HEALTH_OK
#define WARN DYNOSCALE_HEALTH_WARN
#define FAIL DYNOSCALE_HEALTH_FAIL
#define SKIP DYNOSCALE_HEALTH_SKIP

/* The checks that need the network, in order. */
enum { NAME, CONNECTION, TLS, SERVICE, CLOCK, NETWORK_CHECKS };
static const char *const NETWORK[NETWORK_CHECKS] = {"name", "connection", "tls", "service",
                                                    "clock"};

static void skip_from(dynoscale_doctor *d, int first, const char *why) {
    for (int i = first; i < NETWORK_CHECKS; i++)
        add_finding(d, NETWORK[i], SKIP, "", "not looked at: %s", why);
}

/* ---- What there is ------------------------------------------------------------------------ */

static void look_at_versions(dynoscale_doctor *d, const char *runtime) {
    char text[DS_ANSWER_REASON_SIZE] = "", reason[DS_ANSWER_REASON_SIZE] = "";
    add_finding(d, "version", OK, "", "dynoscale %s for %s", DYNOSCALE_VERSION, runtime);
    d->can_connect = d->transport->describe(text, reason);
    if (d->can_connect) add_finding(d, "version", OK, "", "%s", text);
    else
        add_finding(
            d, "version", FAIL,
            "install libcurl: apt-get install libcurl4 (Debian, Ubuntu), dnf install libcurl "
            "(Fedora), apk add libcurl (Alpine)",
            "%s", reason);
}

static const char *const source_texts[] = {
    [DYNOSCALE_SOURCE_DEFAULT] = "the default",
    [DYNOSCALE_SOURCE_ENVIRONMENT] = "from the environment",
    [DYNOSCALE_SOURCE_FRAMEWORK] = "from the framework's configuration",
    [DYNOSCALE_SOURCE_CODE] = "from code",
};

static void look_at_connection_settings(dynoscale_doctor *d) {
    const ds_settings *service = d->service;
    const char *proxy;
    int length =
        service && *service->proxy ? (int)ds_url_proxy_authority(service->proxy, &proxy) : 0;
    if (length > 0)
        add_finding(d, "settings", OK, "",
                    "there is a proxy on the way to %s, %.*s%s: from the environment",
                    service->host, length, proxy,
                    service->no_proxy ? ", unless no_proxy names it" : "");
    if (service && service->ca_file)
        add_finding(d, "settings", OK, "", "SSL_CERT_FILE is %s, from the environment",
                    service->ca_file);
    if (service && service->ca_path)
        add_finding(d, "settings", OK, "", "SSL_CERT_DIR is %s, from the environment",
                    service->ca_path);
}

static void look_at_settings(dynoscale_doctor *d, const dynoscale_options *options) {
    size_t before = d->count;
    for (int i = 0; i < DYNOSCALE_SETTING_COUNT; i++) {
        dynoscale_setting setting = (dynoscale_setting)i;
        dynoscale_source source = dynoscale_options_source(options, setting);
        if (source == DYNOSCALE_SOURCE_DEFAULT) continue;
        if (setting == DYNOSCALE_SETTING_DYNO && ds_options_dyno_variable(options)) {
            add_finding(d, "settings", OK, "", "DYNO is not set: %s stands in, which gives %s",
                        ds_options_dyno_variable(options),
                        dynoscale_options_show(options, setting));
            continue;
        }
        add_finding(d, "settings", OK, "", "%s is %s, %s", dynoscale_setting_variable(setting),
                    dynoscale_options_show(options, setting), source_texts[source]);
    }
    look_at_connection_settings(d);
    const char *warning;
    for (size_t i = 0; (warning = dynoscale_options_warning(options, i)); i++)
        add_finding(d, "settings", WARN, "correct the value, or take it away", "%s", warning);
    if (d->count == before)
        add_finding(d, "settings", OK, "", "none is given here: all are the defaults");
}

static const char *off_remedy(dynoscale_off_reason reason) {
    switch (reason) {
    case DYNOSCALE_OFF_SKIPPED:
        return "take SKIP_DYNOSCALE_AGENT away";
    case DYNOSCALE_OFF_NO_URL:
        return "add the Dynoscale add-on to the app, which sets DYNOSCALE_URL, or set it yourself";
    case DYNOSCALE_OFF_BAD_URL:
        return "set DYNOSCALE_URL to the address that the add-on gave, as it is";
    case DYNOSCALE_OFF_NO_DYNO:
        return "on a dyno Heroku sets DYNO; elsewhere set DYNO=web.1, or on your own machine "
               "DYNOSCALE_DEV_MODE=on";
    default: /* not the dyno that reports */
        return "nothing, if your question is about this dyno; if it is about the web dyno, ask "
               "with DYNO=web.1 before the command";
    }
}

static void look_at_reporting(dynoscale_doctor *d, const dynoscale_options *options) {
    dynoscale_off_reason reason = dynoscale_options_off_reason(options);
    const char *why = reason == DYNOSCALE_OFF_NO_URL    ? "DYNOSCALE_URL is not set"
                      : reason == DYNOSCALE_OFF_NO_DYNO ? "DYNO is not set, and no known "
                                                          "platform's own name is there"
                                                        : dynoscale_off_text(reason);
    bool meant = reason == DYNOSCALE_OFF_ONE_OFF || reason == DYNOSCALE_OFF_NOT_FIRST;
    if (reason == DYNOSCALE_ON)
        add_finding(d, "reporting", OK, "", "a process with these settings reports, as %s",
                    dynoscale_options_get(options, DYNOSCALE_SETTING_DYNO));
    else
        add_finding(d, "reporting", meant ? WARN : FAIL, off_remedy(reason),
                    "a process with these settings does not report: %s", why);
}

/* ---- Asking ------------------------------------------------------------------------------- */

/* A report like any other, but without samples. */
static void compose_report(dynoscale_doctor *d) {
    const ds_settings *service = d->service;
    ds_report_sender sender = {service->user_agent, *service->dyno ? service->dyno : "dev.1",
                               *service->app_name ? service->app_name : NULL};
    char key[DS_RANDOM_KEY_SIZE];
    ds_random_key(key);
    d->request.body = d->body;
    d->request.body_length = 0;
    d->request.header_count =
        ds_report_headers(d->request.headers, &sender, key, ds_clock_wall_ns() / 1000000000);
}

/* A request as a router hands it on. */
static void compose_visit(dynoscale_doctor *d) {
    int64_t stamp_ms = ds_clock_wall_ns() / 1000000 - DS_DOCTOR_STAMP_MS;
    d->request.body = NULL;
    d->request.body_length = 0;
    snprintf(d->request.headers[0], DS_REPORT_HEADER_SIZE, "User-Agent: %s", d->app->user_agent);
    snprintf(d->request.headers[1], DS_REPORT_HEADER_SIZE, "X-Request-Start: %" PRId64, stamp_ms);
    d->request.header_count = 2;
}

static void disconnect(dynoscale_doctor *d) {
    if (d->connection) d->transport->close(d->connection);
    d->connection = NULL;
}

/* Ends the exchange without an answer. */
static void give_up(dynoscale_doctor *d, ds_reach reach, const char *reason) {
    disconnect(d);
    memset(&d->answer, 0, sizeof d->answer);
    d->answer.path = (ds_path){.reach = reach, .date_s = -1, .queue_time_ms = -1};
    snprintf(d->answer.reason, sizeof d->answer.reason, "%s", reason);
}

static bool start_request(dynoscale_doctor *d, const ds_settings *settings) {
    char reason[DS_ANSWER_REASON_SIZE] = "";
    d->connection = d->transport->open(settings, reason);
    if (d->connection && d->transport->start(d->connection, &d->request, reason)) return true;
    give_up(d, DS_REACH_NOTHING, reason);
    return false;
}

/* Waits for the answer to d->request; the first call sends it. After DYNOSCALE_ERROR_INTERRUPTED it
 * is still in flight. */
static dynoscale_error exchange(dynoscale_doctor *d, const ds_settings *settings,
                                dynoscale_interrupted interrupted, void *context) {
    if (!d->connection) {
        d->deadline_ms = ds_clock_monotonic_ms() + settings->timeout_ms + GRACE_MS;
        if (!start_request(d, settings)) return DYNOSCALE_OK;
    }
    const ds_answer *answer;
    while (!(answer = d->transport->poll(d->connection))) {
        if (interrupted && interrupted(context)) return DYNOSCALE_ERROR_INTERRUPTED;
        if (ds_clock_monotonic_ms() > d->deadline_ms) {
            give_up(d, DS_REACH_TLS, "no whole answer in time");
            return DYNOSCALE_OK;
        }
        d->transport->wait(d->connection, POLL_MS);
    }
    d->answer = *answer;
    disconnect(d);
    return DYNOSCALE_OK;
}

/* ---- The path to the service --------------------------------------------------------------- */

/* libcurl interprets no_proxy, and its decision shows only in an answer to CONNECT. */
typedef enum proxy_use { NONE, POSSIBLE, CERTAIN } proxy_use;

static proxy_use use_of_proxy(const dynoscale_doctor *d) {
    if (!*d->service->proxy) return NONE;
    return d->answer.path.proxy_status != 0 || !d->service->no_proxy ? CERTAIN : POSSIBLE;
}

static bool judge_name(dynoscale_doctor *d) {
    const ds_path *path = &d->answer.path;
    const ds_settings *service = d->service;
    if (path->reach == DS_REACH_NOTHING) {
        add_finding(
            d, "name", FAIL,
            path->proxy_unresolved
                ? "check https_proxy, http_proxy and all_proxy, and this machine's name servers"
                : "check the host in DYNOSCALE_URL, and this machine's name servers "
                  "(/etc/resolv.conf)",
            "%s", d->answer.reason);
        return false;
    }
    proxy_use use = use_of_proxy(d);
    if (use == CERTAIN)
        add_finding(d, "name", OK, "", "the proxy's name resolves; it looks for %s itself",
                    service->host);
    else if (use == POSSIBLE)
        add_finding(d, "name", OK, "", "%s resolves, or the proxy, which looks for it itself",
                    service->host);
    else if (ds_url_is_numeric(service->url))
        add_finding(d, "name", OK, "", "%s needs no name server", service->host);
    else {
        add_finding(d, "name", OK, "", "%s resolves", service->host);
        set_measure(d, "ms", path->name_ms);
    }
    return true;
}

/* Whether an HTTP proxy accepted the connection but did not let it through. */
static bool tunnel_refused(const dynoscale_doctor *d) {
    const ds_path *path = &d->answer.path;
    const ds_settings *service = d->service;
    if (path->reach != DS_REACH_PEER || !ds_url_is_https(service->url)) return false;
    if (path->proxy_status != 0) return path->proxy_status < 200 || path->proxy_status > 299;
    return use_of_proxy(d) == CERTAIN && strncasecmp(service->proxy, "socks", 5) != 0;
}

static bool judge_connection(dynoscale_doctor *d) {
    const ds_path *path = &d->answer.path;
    if (path->reach == DS_REACH_ADDRESS) {
        add_finding(
            d, "connection", FAIL,
            "look whether a firewall is in the way, or a proxy has to be used (https_proxy), or is "
            "used that should not be",
            "%s", d->answer.reason);
        return false;
    }
    if (tunnel_refused(d)) {
        add_finding(d, "connection", FAIL,
                    "check the proxy's address, user and password in https_proxy or all_proxy, and "
                    "whether it lets this host through",
                    "the proxy does not let the connection through: %s", d->answer.reason);
        return false;
    }
    add_finding(d, "connection", OK, "", "connected%s%s", *path->peer ? " to " : "", path->peer);
    set_measure(d, "ms", path->connect_ms);
    return true;
}

static bool judge_tls(dynoscale_doctor *d) {
    const ds_settings *service = d->service;
    if (!ds_url_is_https(service->url)) {
        bool local = ds_url_is_local(service->url);
        add_finding(d, "tls", local ? SKIP : WARN,
                    local ? ""
                          : "use the https address that the add-on gave: others can read the token",
                    "there is none: DYNOSCALE_URL is an http address");
        return true;
    }
    if (d->answer.path.reach >= DS_REACH_TLS) {
        add_finding(d, "tls", OK, "", "the certificate is valid, and for %s", service->host);
        set_measure(d, "ms", d->answer.path.tls_ms);
        return true;
    }
    add_finding(
        d, "tls", FAIL,
        "see that this machine has certificates (package ca-certificates, or SSL_CERT_FILE) and "
        "the right date; or a proxy in between shows one of its own, to be added there",
        "%s", d->answer.reason);
    return false;
}

/* ---- The answer --------------------------------------------------------------------------- */

/* What a status means for a report. The first matching row counts. */
typedef struct meaning {
    int first, last;
    dynoscale_health health;
    const char *text, *remedy;
} meaning;

#define EMPTY         "was reached, but takes no report without samples"
#define LOOK_AT_STATS "see in the app whether stats has reports_accepted after some requests"
#define UNKNOWN       "does not know the token in DYNOSCALE_URL"
#define COMPARE       "compare DYNOSCALE_URL with what the add-on gave (heroku config:get DYNOSCALE_URL)"
#define LATER         "try again in a while: samples are kept for 5 minutes and sent again"

static const meaning MEANINGS[] = {
    {200, 299, OK, "takes reports: it took one without samples", ""},
    {300, 399, FAIL, "sends reports elsewhere, where they may not be sent on to",
     "check DYNOSCALE_URL; redirects are followed from https to https on the same host only"},
    {400, 400, WARN, EMPTY, LOOK_AT_STATS},
    {401, 401, FAIL, UNKNOWN, COMPARE},
    {403, 404, FAIL, UNKNOWN, COMPARE},
    {405, 405, FAIL, "takes no reports at this address", COMPARE},
    {407, 407, FAIL, "is behind a proxy that wants a user and a password",
     "put them into http_proxy: http://USER:PASSWORD@HOST:PORT"},
    {408, 408, FAIL, "is too slow or in trouble", LATER},
    {411, 411, WARN, EMPTY, LOOK_AT_STATS},
    {415, 415, WARN, EMPTY, LOOK_AT_STATS},
    {422, 422, WARN, EMPTY, LOOK_AT_STATS},
    {429, 429, WARN, "has been sent too much", LATER},
    {400, 499, FAIL, "refuses reports",
     "ask Dynoscale; samples so refused are dropped, and counted as dropped_rejected"},
    {500, 599, FAIL, "is in trouble", LATER "; tell Dynoscale if it lasts"},
    {0, 999, FAIL, "gives an answer that has no meaning here",
     "check DYNOSCALE_URL: does Dynoscale's service answer there?"},
};

static void judge_service(dynoscale_doctor *d) {
    int status = d->answer.status;
    if (status == 0) {
        add_finding(
            d, "service", FAIL,
            "try again in a while; check DYNOSCALE_URL: does Dynoscale's service answer there?",
            "%s does not answer: %s", d->service->host, d->answer.reason);
        return;
    }
    const meaning *m = MEANINGS;
    while (status < m->first || status > m->last) m++;
    add_finding(d, "service", m->health, m->remedy, "%s %s (status %d)", d->service->host, m->text,
                status);
    set_measure(d, "status", status);
}

/* "1.3 s", "4 min", "2 hours": a rough number is enough for a large difference. */
static const char *span(char text[32], int64_t ms) {
    if (ms < 100 * 1000)
        snprintf(text, 32, "%" PRId64 ".%" PRId64 " s", ms / 1000, ms % 1000 / 100);
    else if (ms < 100 * 60 * 1000) snprintf(text, 32, "%" PRId64 " minutes", ms / 60000);
    else snprintf(text, 32, "%" PRId64 " hours", ms / 3600000);
    return text;
}

/*
 * The service read its clock between the sending of the request and the end of the answer, and left
 * out the ms. So the difference of the clocks lies between two bounds. The finding is the smaller
 * one.
 */
static void judge_clock(dynoscale_doctor *d, int64_t now_ms) {
    const ds_path *path = &d->answer.path;
    if (path->date_s < 0) {
        add_finding(d, "clock", SKIP, "", "not looked at: the answer has no Date");
        return;
    }
    char text[32];
    int64_t took_ms = path->answer_ms > 0 ? path->answer_ms : 0;
    int64_t most_ahead_ms = now_ms - path->date_s * 1000;
    int64_t least_ahead_ms = most_ahead_ms - took_ms - 999;
    const char *remedy = "have the clock set by NTP (timedatectl set-ntp true)";
    if (-most_ahead_ms > SKEW_MS)
        add_finding(
            d, "clock", FAIL, remedy,
            "this machine's clock is %s behind the service's: a router's stamps lie in the future, "
            "and requests give no sample (stamp_future)",
            span(text, -most_ahead_ms));
    else if (least_ahead_ms > OLDEST_STAMP_MS)
        add_finding(
            d, "clock", FAIL, remedy,
            "this machine's clock is %s ahead of the service's: a router's stamps look too old, "
            "and requests give no sample (stamp_stale)",
            span(text, least_ahead_ms));
    else if (least_ahead_ms > SKEW_MS)
        add_finding(
            d, "clock", WARN, remedy,
            "this machine's clock is %s ahead of the service's: queue times come out longer by "
            "as much",
            span(text, least_ahead_ms));
    else
        add_finding(d, "clock", OK, "",
                    "this machine's clock agrees with the service's, as far as its Date "
                    "tells (to a second)");
    set_measure(d, "offset_ms", (most_ahead_ms + least_ahead_ms) / 2);
}

static void judge_report(dynoscale_doctor *d) {
    int64_t now_ms = ds_clock_wall_ns() / 1000000;
    if (!judge_name(d)) {
        skip_from(d, CONNECTION, "the name is not known");
        return;
    }
    if (!judge_connection(d)) {
        skip_from(d, TLS, "there is no connection");
        return;
    }
    if (!judge_tls(d)) {
        skip_from(d, SERVICE, "there is no TLS");
        return;
    }
    judge_service(d);
    judge_clock(d, now_ms);
}

/* ---- The app ------------------------------------------------------------------------------ */

static void judge_visit(dynoscale_doctor *d) {
    const ds_path *path = &d->answer.path;
    const char *host = d->app->host;
    int status = d->answer.status;
    if (status == 0) {
        add_finding(d, "stamp", FAIL, "see that the app runs, and at this address",
                    "%s does not answer: %s", host, d->answer.reason);
        return;
    }
    int64_t ms = path->queue_time_ms, took_ms = path->answer_ms > 0 ? path->answer_ms : 0;
    if (ms < 0) {
        add_finding(
            d, "stamp", WARN,
            "start the app with DYNOSCALE_SERVER_TIMING=on, DYNOSCALE_URL and DYNO, and ask again; "
            "gunicorn's hook can't answer, so wrap the app for that long; if all of this is so "
            "already, the server takes X-Request-Start away, or no middleware of ours is in the "
            "app",
            "can't tell: the answer of %s (status %d) has no Server-Timing with queue;dur", host,
            status);
        return;
    }
    bool passes =
        ms >= DS_DOCTOR_STAMP_MS - ROUNDING_MS && ms <= DS_DOCTOR_STAMP_MS + took_ms + ROUNDING_MS;
    if (passes)
        add_finding(d, "stamp", OK, "",
                    "the app at %s gets the stamp: stamped %d ms ago, it measured %" PRId64 " ms",
                    host, DS_DOCTOR_STAMP_MS, ms);
    else
        add_finding(
            d, "stamp", WARN,
            "if a router or nginx answers at this address, it writes stamps of its own, which is "
            "as "
            "it should be: name the app server's own address; else see whether the app runs "
            "in development mode, which makes stamps up, or on a machine with another time",
            "the app at %s gets another stamp than was sent: stamped %d ms ago, it measured "
            "%" PRId64 " ms",
            host, DS_DOCTOR_STAMP_MS, ms);
    set_measure(d, "queue_time_ms", ms);
}

/* ---- Step by step ------------------------------------------------------------------------- */

static dynoscale_error ask_service(dynoscale_doctor *d, dynoscale_interrupted interrupted,
                                   void *context) {
    if (!d->service || !d->can_connect) {
        skip_from(d, NAME, d->service ? "libcurl is missing" : "there is no address to report to");
        return DYNOSCALE_OK;
    }
    if (!d->connection) compose_report(d);
    dynoscale_error error = exchange(d, d->service, interrupted, context);
    if (error == DYNOSCALE_OK) judge_report(d);
    return error;
}

static dynoscale_error ask_app(dynoscale_doctor *d, dynoscale_interrupted interrupted,
                               void *context) {
    if (!d->app || !d->can_connect) {
        add_finding(d, "stamp", SKIP, "", "not looked at: %s",
                    d->app
                        ? "libcurl is missing"
                        : "name an address of the app with --url, such as http://127.0.0.1:3000/");
        return DYNOSCALE_OK;
    }
    if (!d->connection) compose_visit(d);
    dynoscale_error error = exchange(d, d->app, interrupted, context);
    if (error == DYNOSCALE_OK) judge_visit(d);
    return error;
}

static dynoscale_error next(dynoscale_doctor *d, dynoscale_interrupted interrupted, void *context,
                            dynoscale_finding *finding) {
    while (d->returned == d->count && d->step != DONE) {
        dynoscale_error error = d->step == ASK_SERVICE ? ask_service(d, interrupted, context)
                                                       : ask_app(d, interrupted, context);
        if (error != DYNOSCALE_OK) return error;
        d->step = d->step == ASK_SERVICE ? ASK_APP : DONE;
    }
    *finding = d->returned < d->count ? d->entries[d->returned++].finding
                                      : (dynoscale_finding){NULL, OK, "", "", "", 0};
    return DYNOSCALE_OK;
}

dynoscale_error dynoscale_doctor_next(dynoscale_doctor *d, dynoscale_interrupted interrupted,
                                      void *context, dynoscale_finding *finding) {
    const struct timespec moment = {.tv_nsec = 5 * 1000 * 1000};
    while (atomic_flag_test_and_set(&d->busy)) {
        if (interrupted && interrupted(context)) return DYNOSCALE_ERROR_INTERRUPTED;
        nanosleep(&moment, NULL);
    }
    dynoscale_error error = next(d, interrupted, context, finding);
    atomic_flag_clear(&d->busy);
    return error;
}

bool dynoscale_doctor_verdict(const dynoscale_doctor *d, char text[DYNOSCALE_VERDICT_SIZE]) {
    size_t problems = atomic_load(&d->problems);
    if (problems == 0) snprintf(text, DYNOSCALE_VERDICT_SIZE, "All is well.");
    else
        snprintf(text, DYNOSCALE_VERDICT_SIZE, "%zu thing%s to mend.", problems,
                 problems == 1 ? "" : "s");
    return problems == 0;
}

/* ---- Life --------------------------------------------------------------------------------- */

void dynoscale_doctor_free(dynoscale_doctor *d) {
    if (!d) return;
    disconnect(d);
    if (d->service) ds_settings_release(d->service);
    if (d->app) ds_settings_release(d->app);
    free(d);
}

static bool has_address(const dynoscale_options *options) {
    const char *url = dynoscale_options_get(options, DYNOSCALE_SETTING_URL);
    return url && ds_url_valid(url);
}

static void limit(ds_settings *settings, int64_t timeout_ms) {
    if (timeout_ms > LONGEST_TIMEOUT_MS) timeout_ms = LONGEST_TIMEOUT_MS;
    if (timeout_ms > 0) settings->timeout_ms = timeout_ms;
}

dynoscale_error ds_doctor_new(const dynoscale_options *options, const char *language,
                              const char *runtime, const char *app_url, int64_t timeout_ms,
                              const ds_transport *transport, dynoscale_doctor **doctor) {
    *doctor = NULL;
    if (app_url && !ds_url_valid(app_url)) return DYNOSCALE_ERROR_INVALID;
    dynoscale_doctor *d = calloc(1, sizeof *d);
    if (!d) return DYNOSCALE_ERROR_NO_MEMORY;
    d->transport = transport;
    if (has_address(options)) d->service = ds_settings_new(options, language);
    if (app_url) d->app = ds_settings_for_app(options, language, app_url);
    if ((has_address(options) && !d->service) || (app_url && !d->app)) {
        dynoscale_doctor_free(d);
        return DYNOSCALE_ERROR_NO_MEMORY;
    }
    if (d->service) limit(d->service, timeout_ms);
    if (d->app) limit(d->app, timeout_ms);
    look_at_versions(d, runtime);
    look_at_settings(d, options);
    look_at_reporting(d, options);
    *doctor = d;
    return DYNOSCALE_OK;
}

dynoscale_error dynoscale_doctor_new(const dynoscale_options *options, const char *language,
                                     const char *runtime, const char *app_url, int64_t timeout_ms,
                                     dynoscale_doctor **doctor) {
    return ds_doctor_new(options, language, runtime, app_url, timeout_ms, &ds_transport_curl,
                         doctor);
}

const char *dynoscale_health_name(dynoscale_health health) {
    static const char *const names[] = {
#define X(id, name) name,
        DYNOSCALE_HEALTHS(X)
#undef X
    };
    return (unsigned)health < sizeof names / sizeof *names ? names[health] : "unknown";
}
