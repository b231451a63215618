/*
 * What only the two command lines (`dynoscale settings`, `dynoscale doctor`) need of the core: the
 * columns of the settings' table, the texts, and the doctor.
 */
#ifndef DYNOSCALE_CLI_H
#define DYNOSCALE_CLI_H

#include "dynoscale.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Settings and texts ------------------------------------------------------------------ */

/* A row of DYNOSCALE_SETTINGS: static, NULL for an unknown setting. Any thread. */
const char *dynoscale_setting_variable(dynoscale_setting setting);
const char *dynoscale_setting_standard(dynoscale_setting setting);
const char *dynoscale_setting_meaning(dynoscale_setting setting);

/*
 * The texts of both command lines: identifier, name. DYNOSCALE_TEXT_SETTINGS is the table of
 * settings and the order of their sources.
 */
#define DYNOSCALE_TEXTS(X)                 \
    X(DYNOSCALE_TEXT_ABOUT, "about")       \
    X(DYNOSCALE_TEXT_SETTINGS, "settings") \
    X(DYNOSCALE_TEXT_DOCTOR, "doctor")     \
    X(DYNOSCALE_TEXT_DETAILS, "details")   \
    X(DYNOSCALE_TEXT_URL, "url")           \
    X(DYNOSCALE_TEXT_TIMEOUT, "timeout")   \
    X(DYNOSCALE_TEXT_JSON, "json")         \
    X(DYNOSCALE_TEXT_WRONG_URL, "wrong_url")

typedef enum dynoscale_text {
#define X(id, name) id,
    DYNOSCALE_TEXTS(X)
#undef X
        DYNOSCALE_TEXT_COUNT
} dynoscale_text;

/* Static; never NULL but for an unknown text. Any thread. */
const char *dynoscale_text_name(dynoscale_text text);
const char *dynoscale_text_of(dynoscale_text text);

/* ---- Doctor ------------------------------------------------------------------------------ */

/* How a check ended. */
#define DYNOSCALE_HEALTHS(X)                                               \
    X(DYNOSCALE_HEALTH_OK, "ok")     /* as it should be */                 \
    X(DYNOSCALE_HEALTH_WARN, "warn") /* not as it should be, or unknown */ \
    X(DYNOSCALE_HEALTH_FAIL, "fail") /* no report arrives */               \
    X(DYNOSCALE_HEALTH_SKIP, "skip") /* not checked: the text says why */

typedef enum dynoscale_health {
#define X(name, text) name,
    DYNOSCALE_HEALTHS(X)
#undef X
} dynoscale_health;

/* "ok", "warn", "fail" or "skip"; static, never NULL. Any thread. */
const char *dynoscale_health_name(dynoscale_health health);

/* The result of one check. Its texts belong to the doctor, are never NULL except past the last
 * check, and hold no secrets and no control characters. */
typedef struct dynoscale_finding {
    /* In this order, some several times: "version", "settings", "reporting", "name", "connection",
     * "tls", "service", "clock", "stamp". NULL: past the last. */
    const char *check;
    dynoscale_health health;
    const char *text;   /* the result, in a sentence */
    const char *remedy; /* what to do about it, or "" */
    const char
        *measure; /* what `value` is: "ms" (that it took), "status" (of HTTP), "offset_ms" (how far
                     this clock is ahead of the service's), "queue_time_ms"; "": no value */
    int64_t value;
} dynoscale_finding;

typedef struct dynoscale_doctor dynoscale_doctor;

/*
 * Checks whether a process with these settings would report, and whether its reports would arrive.
 * Sends one report without samples and, if `app_url` is given, one stamped request to that address.
 * Opens no agent, starts no thread of ours, and takes no lock of the dyno's.
 *
 *   language    goes into the User-Agent, as for dynoscale_agent_open
 *   runtime     the interpreter's name and version, to be shown
 *   app_url     http or https address of the app, or NULL
 *   timeout_ms  the longest that each of the two requests may take; 0: as for a report
 *
 * DYNOSCALE_OK; DYNOSCALE_ERROR_INVALID if app_url is no such address; DYNOSCALE_ERROR_NO_MEMORY.
 * May take some ms, to load libcurl. Does not keep the options. SIGPIPE must be ignored, as
 * interpreters do. The caller frees the doctor.
 */
dynoscale_error dynoscale_doctor_new(const dynoscale_options *options, const char *language,
                                     const char *runtime, const char *app_url, int64_t timeout_ms,
                                     dynoscale_doctor **doctor);

/* NULL is allowed. Cancels a request in flight. */
void dynoscale_doctor_free(dynoscale_doctor *doctor);

/*
 * The next finding; past the last its check is NULL. Waits for an answer if it needs one, up to the
 * timeout: call it without the interpreter's lock. DYNOSCALE_OK, or DYNOSCALE_ERROR_INTERRUPTED:
 * call it again to go on. Any thread; several at a time take turns.
 */
dynoscale_error dynoscale_doctor_next(dynoscale_doctor *doctor, dynoscale_interrupted interrupted,
                                      void *context, dynoscale_finding *finding);

enum { DYNOSCALE_VERDICT_SIZE = 64 };

/* Whether all findings so far are good, and a sentence that says so. Any thread; does not block. */
bool dynoscale_doctor_verdict(const dynoscale_doctor *doctor, char text[DYNOSCALE_VERDICT_SIZE]);

#ifdef __cplusplus
}
#endif

#endif
