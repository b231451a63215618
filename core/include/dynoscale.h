/*
 * Dynoscale's agent core: measures how long a request waited for a free worker and reports it.
 *
 * The life of an agent, in the order in which its user meets it:
 *
 *     dynoscale_options *options = dynoscale_options_new();
 *     dynoscale_options_read_environment(options);
 *     dynoscale_agent *agent = NULL;
 *     if (dynoscale_agent_open(options, "ruby", &agent) != DYNOSCALE_OK) { ... it stays off ... }
 *     dynoscale_options_free(options);
 *     dynoscale_agent_prepare(agent);                  // optional, before the first request
 *
 *     dynoscale_agent_request(agent, ...);             // each request; wait-free, about 40 ns
 *     dynoscale_agent_flush(agent, 2000, NULL, NULL);  // optional
 *     dynoscale_agent_stop(agent, 2000, NULL, NULL);   // at exit
 *     dynoscale_agent_free(agent);
 *
 * Every function that takes an agent also takes NULL, which is an agent that is off: nothing is
 * recorded, counters are 0, flush and stop succeed.
 *
 * Text is passed with its length in bytes and need not end in NUL; text that is returned does.
 * All text is copied in; text that is returned belongs to the core and lives as long as said.
 *
 * Fork: call anything in the child. What the parent had recorded stays the parent's; the child
 * starts empty and starts its own thread with its first sample.
 */
#ifndef DYNOSCALE_H
#define DYNOSCALE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DYNOSCALE_VERSION "2.1.0"

/* ---- Errors ------------------------------------------------------------------------------ */

#define DYNOSCALE_ERRORS(X)                                                                   \
    X(DYNOSCALE_OK, "done")                                                                   \
    X(DYNOSCALE_ERROR_OFF, "the agent is off in this process")                                \
    X(DYNOSCALE_ERROR_INVALID, "the value is not valid")                                      \
    X(DYNOSCALE_ERROR_NO_MEMORY, "the system has no memory left")                             \
    X(DYNOSCALE_ERROR_FULL, "the buffer is full")                                             \
    X(DYNOSCALE_ERROR_STOPPED, "the agent has been stopped")                                  \
    X(DYNOSCALE_ERROR_TIMED_OUT, "the time allowed ran out first")                            \
    X(DYNOSCALE_ERROR_DROPPED, "some samples were given up before the service accepted them") \
    X(DYNOSCALE_ERROR_INTERRUPTED, "the caller interrupted the wait")

typedef enum dynoscale_error {
#define X(name, text) name,
    DYNOSCALE_ERRORS(X)
#undef X
} dynoscale_error;

/* The name ("DYNOSCALE_ERROR_FULL") and the text of an error; static, never NULL. Any thread. */
const char *dynoscale_error_name(dynoscale_error error);
const char *dynoscale_error_text(dynoscale_error error);

/*
 * Called every 50 ms by flush, stop and the doctor, on the thread that waits. If it returns true,
 * the wait ends. NULL: never interrupted.
 */
typedef bool (*dynoscale_interrupted)(void *context);

/* ---- Settings ---------------------------------------------------------------------------- */

/* Identifier, name in code, environment variable, default as shown, meaning. */
#define DYNOSCALE_SETTINGS(X)                                                                     \
    X(DYNOSCALE_SETTING_URL, "url", "DYNOSCALE_URL", "none: the agent stays off",                 \
      "where reports go; http or https; holds the account's token")                               \
    X(DYNOSCALE_SETTING_DYNO, "dyno", "DYNO", "the platform's own name",                          \
      "this process's dyno; without a name the agent stays off")                                  \
    X(DYNOSCALE_SETTING_APP_NAME, "app_name", "HEROKU_APP_NAME", "none",                          \
      "the app's name, sent along")                                                               \
    X(DYNOSCALE_SETTING_SKIP, "skip", "SKIP_DYNOSCALE_AGENT", "off",                              \
      "set and not 0, false or empty: the agent stays off")                                       \
    X(DYNOSCALE_SETTING_DEV_MODE, "dev_mode", "DYNOSCALE_DEV_MODE", "off",                        \
      "on: DYNO defaults to dev.1, unstamped requests get a made-up stamp, reports leave every "  \
      "second")                                                                                   \
    X(DYNOSCALE_SETTING_PUBLISH_FREQUENCY, "publish_frequency", "DYNOSCALE_PUBLISH_FREQUENCY",    \
      "30", "seconds between reports, 1 to 3600, until the service says otherwise")               \
    X(DYNOSCALE_SETTING_DYNOS, "dynos", "DYNOSCALE_DYNOS", "first",                               \
      "first: of numbered dynos only NAME.1 reports; all: every dyno reports")                    \
    X(DYNOSCALE_SETTING_LOG_LEVEL, "log_level", "DYNOSCALE_LOG_LEVEL", "warn",                    \
      "debug, info, warn or error")                                                               \
    X(DYNOSCALE_SETTING_QUEUE_TIME, "queue_time", "DYNOSCALE_QUEUE_TIME", "off",                  \
      "on: the app finds each request's queue time in env, environ or scope, as "                 \
      "dynoscale.queue_time_ms")                                                                  \
    X(DYNOSCALE_SETTING_SERVER_TIMING, "server_timing", "DYNOSCALE_SERVER_TIMING", "off",         \
      "on: answers carry it as Server-Timing: queue;dur=MS, for browsers' tools")                 \
    X(DYNOSCALE_SETTING_JOBS, "jobs", "DYNOSCALE_JOBS", "on", "off: job queues are not measured") \
    X(DYNOSCALE_SETTING_JOB_QUEUES, "job_queues", "DYNOSCALE_JOB_QUEUES",                         \
      "all but names with a UUID, 50 at most",                                                    \
      "queues to measure: names or patterns with *, between commas")

typedef enum dynoscale_setting {
#define X(id, name, variable, standard, meaning) id,
    DYNOSCALE_SETTINGS(X)
#undef X
        DYNOSCALE_SETTING_COUNT
} dynoscale_setting;

/* Where a value came from. A source that comes later in this list wins. */
typedef enum dynoscale_source {
    DYNOSCALE_SOURCE_DEFAULT,
    DYNOSCALE_SOURCE_ENVIRONMENT,
    DYNOSCALE_SOURCE_FRAMEWORK, /* a framework's configuration, such as config.dynoscale.* */
    DYNOSCALE_SOURCE_CODE,
} dynoscale_source;

/* Why an agent stays off, in the order of the checks. */
#define DYNOSCALE_OFF_REASONS(X)                                                             \
    X(DYNOSCALE_ON, "the agent reports from this process")                                   \
    X(DYNOSCALE_OFF_SKIPPED, "SKIP_DYNOSCALE_AGENT is set")                                  \
    X(DYNOSCALE_OFF_NO_URL, "DYNOSCALE_URL is not set: add the Dynoscale add-on, or set it") \
    X(DYNOSCALE_OFF_BAD_URL, "DYNOSCALE_URL is not an http or https address")                \
    X(DYNOSCALE_OFF_NO_DYNO, "DYNO is not set, and no known platform's own name is there: "  \
                             "set it, to web.1 for example")                                 \
    X(DYNOSCALE_OFF_ONE_OFF, "one-off, release and scheduler dynos do not report")           \
    X(DYNOSCALE_OFF_NOT_FIRST, "only the first dyno of a kind reports; DYNOSCALE_DYNOS=all " \
                               "lifts this")

typedef enum dynoscale_off_reason {
#define X(name, text) name,
    DYNOSCALE_OFF_REASONS(X)
#undef X
} dynoscale_off_reason;

/* The reason in a sentence; static, never NULL. Any thread. */
const char *dynoscale_off_text(dynoscale_off_reason reason);

/* Whether the reason is probably a mistake that shows nowhere else. If so, the host logs it once,
 * as a warning. Any thread. */
bool dynoscale_off_is_unusual(dynoscale_off_reason reason);

/* The name in code; static, NULL for an unknown setting. Any thread. The other columns of the table
 * are in dynoscale_cli.h. */
const char *dynoscale_setting_name(dynoscale_setting setting);
/* The setting with that name in code, or DYNOSCALE_SETTING_COUNT. */
dynoscale_setting dynoscale_setting_find(const char *name, size_t length);

/*
 * A set of settings that is being filled. Not thread-safe: use it on one thread at a time. Nothing
 * here raises, prints, or fails because of bad input: an unusable value adds a warning, and the
 * value before it stays.
 */
typedef struct dynoscale_options dynoscale_options;

/* The defaults. NULL without memory. The caller frees the result. */
dynoscale_options *dynoscale_options_new(void);

/* NULL is allowed. An agent does not need the options that it was opened with any more. */
void dynoscale_options_free(dynoscale_options *options);

/*
 * Reads the environment: every variable of the table; if DYNO is not set, the dyno's name as
 * Render, Fly, Railway, Scalingo, ECS or Kubernetes sets it; and http_proxy, https_proxy,
 * all_proxy, no_proxy, SSL_CERT_FILE and SSL_CERT_DIR for the connection. Our own code on the
 * native thread does not read the environment, which the app may be changing. libcurl and the
 * libraries that it loads (OpenSSL, p11-kit) read their own variables there, when they are first
 * used. Call it while no other thread calls setenv; to hold the interpreter's lock is enough.
 * DYNOSCALE_OK or DYNOSCALE_ERROR_NO_MEMORY.
 */
dynoscale_error dynoscale_options_read_environment(dynoscale_options *options);

/*
 * Sets a value, as text ("30", "web.1", "true"). NULL or "" removes the value from the same source.
 * DYNOSCALE_OK; DYNOSCALE_ERROR_INVALID if the value is unusable, and dynoscale_options_warning
 * says why; DYNOSCALE_ERROR_NO_MEMORY.
 */
dynoscale_error dynoscale_options_set(dynoscale_options *options, dynoscale_setting setting,
                                      const char *value, size_t length, dynoscale_source source);

/*
 * The value that counts, as text: NULL if unset, "true" or "false" for a boolean. Valid until the
 * options change. `get` returns secrets in full, `show` never does: print only the latter.
 */
const char *dynoscale_options_get(const dynoscale_options *options, dynoscale_setting setting);
const char *dynoscale_options_show(const dynoscale_options *options, dynoscale_setting setting);
dynoscale_source dynoscale_options_source(const dynoscale_options *options,
                                          dynoscale_setting setting);

/* The warnings in their order, NULL past the last. Each is one line that names the variable, what
 * is wrong, and the value that is used instead, without secrets. Valid as long as the options. */
const char *dynoscale_options_warning(const dynoscale_options *options, size_t index);

/* DYNOSCALE_ON if a process with these settings reports, else why not. */
dynoscale_off_reason dynoscale_options_off_reason(const dynoscale_options *options);

/* ---- Agent ------------------------------------------------------------------------------- */

typedef struct dynoscale_agent dynoscale_agent;

/*
 * Opens the process's agent. `language` ("ruby", "python") goes into the User-Agent. A second open
 * with the same settings, from another interpreter of the process, returns the same agent, unless
 * it was stopped. Starts nothing: the first sample starts the native thread. Any thread; does not
 * block. Call dynoscale_agent_free once for each open.
 *
 * DYNOSCALE_OK; DYNOSCALE_ERROR_OFF if dynoscale_options_off_reason has a reason, and
 * DYNOSCALE_ERROR_NO_MEMORY: both set *agent to NULL.
 */
dynoscale_error dynoscale_agent_open(const dynoscale_options *options, const char *language,
                                     dynoscale_agent **agent);

/*
 * Optional, while the app is loaded: does work that the first request would wait for. Maps the
 * memory, also that of a child which is forked afterwards, and starts and ends threads that do
 * nothing, so that the system has their resources at hand. Leaves nothing running. A forked child
 * gains less.
 *
 * Blocks for the life of those threads, about 0.2 ms. Any thread, any number of times: only the
 * first call before the first request does anything. Errors are reported by that request. NULL is
 * allowed.
 */
void dynoscale_agent_prepare(dynoscale_agent *agent);

/*
 * Releases the agent. The last release ends it: a running thread goes on in the background for up
 * to 2 seconds to send what is left. Never blocks. No other call on the agent may run or follow.
 * NULL is allowed.
 */
void dynoscale_agent_free(dynoscale_agent *agent);

/* Why a request gave no sample. Returned by dynoscale_agent_request in place of a queue time. */
enum {
    DYNOSCALE_STAMP_MISSING = -1,   /* no header, or only blanks and commas */
    DYNOSCALE_STAMP_MALFORMED = -2, /* not a time */
    DYNOSCALE_STAMP_STALE = -3,     /* more than 10 minutes ago */
    DYNOSCALE_STAMP_FUTURE = -4,    /* more than 1 second ahead */
    DYNOSCALE_STAMP_OFF = -5,       /* the agent is off: nothing was read or counted */
};

/*
 * Measures and records one request. Call it when the app gets the request.
 *
 *   start          the text of X-Request-Start, NULL if absent; any bytes of any length
 *   queue_start    the text of X-Queue-Start, likewise. Read only if `start` has no plausible time,
 *                  because a client can send it through a router that sets only the other
 *   body_wait_ms   how long the server waited for the request's body (Puma's
 *                  puma.request_body_wait), 0 if unknown; negative or not finite counts as 0
 *
 * Returns the queue time in whole ms, 0 or more, or one of DYNOSCALE_STAMP_*. If the buffer is
 * full, the sample is dropped and counted, and its queue time is still returned.
 *
 * Any thread, at any rate. Wait-free: no allocation or lock, and no system call but reading the
 * clock. Exceptions are the first sample, which starts the thread, and the first after a silence,
 * which wakes it.
 */
int64_t dynoscale_agent_request(dynoscale_agent *agent, const char *start, size_t start_length,
                                const char *queue_start, size_t queue_start_length,
                                double body_wait_ms);

/*
 * The fast path: by X-Request-Start alone, if it is one plausible time. A negative result (no
 * header, a list, or no plausible time) means that nothing was recorded or counted: call
 * dynoscale_agent_request with both headers. So a host looks up X-Queue-Start only if it is needed.
 */
int64_t dynoscale_agent_request_start(dynoscale_agent *agent, const char *start,
                                      size_t start_length, double body_wait_ms);

/* ---- What the service may ask for --------------------------------------------------------- */

/* Sent only while the service asks for them: identifier, name. See "Signals" in core/README.md. */
#define DYNOSCALE_SIGNALS(X)                                                                      \
    X(DYNOSCALE_SIGNAL_BUSY, "busy")           /* ms that requests spend in the app */            \
    X(DYNOSCALE_SIGNAL_SLOTS, "slots")         /* requests that can run at once */                \
    X(DYNOSCALE_SIGNAL_UNSTAMPED, "unstamped") /* requests without a sample */                    \
    X(DYNOSCALE_SIGNAL_BEGIN, "begin")     /* ms from the process's start to its first request */ \
    X(DYNOSCALE_SIGNAL_DEPTH, "depth")     /* jobs that are ready to run */                       \
    X(DYNOSCALE_SIGNAL_WORKING, "working") /* jobs that are running */

typedef enum dynoscale_signal {
#define X(id, name) id,
    DYNOSCALE_SIGNALS(X)
#undef X
        DYNOSCALE_SIGNAL_COUNT
} dynoscale_signal;

/* Static; never NULL but for an unknown signal. Any thread. */
const char *dynoscale_signal_name(dynoscale_signal signal);

typedef struct dynoscale_asked {
    uint32_t signals;     /* 1 << dynoscale_signal each */
    bool jobs;            /* false: another dyno reads the job queues */
    int64_t heartbeat_ms; /* after so long without a report, send one without rows; 0: never */
} dynoscale_asked;

/*
 * What the service's last answer asked of this process. Nothing before the first answer and in a
 * forked child. `jobs` is true again 10 minutes after the last answer. Any thread. Takes a lock for
 * a moment: not for the request path.
 */
void dynoscale_agent_asked(dynoscale_agent *agent, dynoscale_asked *asked);

/*
 * What the service asks of the host at each request, as bits: to call dynoscale_agent_enter and
 * _leave; to call dynoscale_set_slots, which this process has not done yet. Costs one load. Any
 * thread.
 */
enum { DYNOSCALE_ASKED_BUSY = 1, DYNOSCALE_ASKED_SLOTS = 2 };
int dynoscale_asked_of_requests(void);

static inline bool dynoscale_busy_asked(void) {
    return (dynoscale_asked_of_requests() & DYNOSCALE_ASKED_BUSY) != 0;
}

/*
 * A request enters the app, and leaves it. `enter` returns the time in ns, which the host passes to
 * `leave` and to the _at functions below; -1 if the service does not ask, and then `leave` does
 * nothing. `leave` does nothing either in a forked child, or if the agent was replaced meanwhile.
 * Any thread, also a different one for each; wait-free; each reads the clock once.
 */
int64_t dynoscale_agent_enter(dynoscale_agent *agent);
void dynoscale_agent_leave(dynoscale_agent *agent, int64_t entered_ns);

/* The same as without _at, for a request that entered at that time; -1: now. */
int64_t dynoscale_agent_request_at(dynoscale_agent *agent, int64_t entered_ns, const char *start,
                                   size_t start_length, const char *queue_start,
                                   size_t queue_start_length, double body_wait_ms);
int64_t dynoscale_agent_request_start_at(dynoscale_agent *agent, int64_t entered_ns,
                                         const char *start, size_t start_length,
                                         double body_wait_ms);

/*
 * How many requests this process can run at once; 0: it can't be known. Sent with each report that
 * has rows, if the service asks. A forked child must set it again. Any thread.
 */
void dynoscale_set_slots(int slots);

/*
 * Records a reading of a job queue: how long the oldest of its jobs that are ready has waited, in
 * ms; 0 for an empty queue. It is reported as "BACKEND:QUEUE".
 *
 *   backend   1 to 32 of a-z, 0-9 and _
 *   queue     1 to 200 bytes of UTF-8 without control characters
 *
 * DYNOSCALE_OK; DYNOSCALE_ERROR_INVALID for an unusable name or a negative time (counted as
 * jobs_refused); DYNOSCALE_ERROR_FULL for too many unsent readings (counted as dropped_full);
 * DYNOSCALE_ERROR_NO_MEMORY; DYNOSCALE_ERROR_STOPPED; DYNOSCALE_ERROR_OFF. Any thread. Takes a lock
 * for a moment: not for the request path.
 */
dynoscale_error dynoscale_agent_job_queue_time(dynoscale_agent *agent, const char *backend,
                                               size_t backend_length, const char *queue,
                                               size_t queue_length, int64_t queue_time_ms);

/*
 * Records a number of jobs, DYNOSCALE_SIGNAL_DEPTH or DYNOSCALE_SIGNAL_WORKING, if the service asks
 * for it; else does nothing and returns DYNOSCALE_OK. Otherwise like
 * dynoscale_agent_job_queue_time, but it is no sample: a reading that is dropped is not counted.
 */
dynoscale_error dynoscale_agent_job_signal(dynoscale_agent *agent, const char *backend,
                                           size_t backend_length, const char *queue,
                                           size_t queue_length, dynoscale_signal signal,
                                           int64_t jobs);

/*
 * Whether this process reads the job queues for its dyno: the first process that asks, until it
 * ends or stops, then the next one that asks. The kernel releases the lock when its holder ends; a
 * forked child does not inherit it. Takes a few system calls: call it once an interval. Any thread.
 *
 * A topic says what the process can read, for instance "rq": processes with different libraries
 * lead in their own topics. It ends in NUL. NULL and "" are one more topic.
 */
bool dynoscale_agent_leads(dynoscale_agent *agent, const char *topic);

/*
 * A file descriptor, for poll or select, that becomes readable when the process that leads in the
 * topic has ended, so that others can wait without waking up. The caller closes it. It does not
 * show that a leader stopped but still runs. -1 if there is none: this process leads, or no
 * process, there is no memory, or the system has no such descriptors (Linux has them since 5.3).
 * Any thread; does not block.
 */
int dynoscale_agent_watch_leader(dynoscale_agent *agent, const char *topic);

/*
 * Sends what was recorded before the call, and waits until the service has accepted it.
 * DYNOSCALE_OK; DYNOSCALE_ERROR_TIMED_OUT after timeout_ms (unsent samples stay, and are sent as
 * usual); DYNOSCALE_ERROR_DROPPED; DYNOSCALE_ERROR_STOPPED if the agent was stopped before or
 * meanwhile; DYNOSCALE_ERROR_INTERRUPTED. Any thread, several at a time. Call it without the
 * interpreter's lock.
 */
dynoscale_error dynoscale_agent_flush(dynoscale_agent *agent, int64_t timeout_ms,
                                      dynoscale_interrupted interrupted, void *context);

/*
 * Stops the agent in this process for good: sends what was recorded, cancels the transfer when
 * timeout_ms is over, and ends the thread. Later samples are counted as dropped_stopped. Returns at
 * most 250 ms after timeout_ms, or 500 ms if the TLS library takes long to clean up after the
 * thread (off Linux without a limit). DYNOSCALE_OK; DYNOSCALE_ERROR_TIMED_OUT or
 * DYNOSCALE_ERROR_DROPPED if samples were dropped; DYNOSCALE_ERROR_INTERRUPTED, and the thread goes
 * on alone until its deadline. Any thread; a second call waits for the first. A child that is
 * forked later starts anew.
 *
 * Also waits for the threads of agents that were freed before, even if `agent` is NULL: a process
 * must not end while one of them is inside the TLS library.
 */
dynoscale_error dynoscale_agent_stop(dynoscale_agent *agent, int64_t timeout_ms,
                                     dynoscale_interrupted interrupted, void *context);

/* ---- The end of the process ---------------------------------------------------------------- */

/*
 * For hosts without handlers of their own for SIGTERM, SIGQUIT and SIGHUP. Where a signal has the
 * default action, installs a handler that first sends what was recorded, for at most 2 seconds, and
 * then ends the process by that signal. In a process with PID 1, which the default action does not
 * end, it only sends. Checks again at the first sample of each process. A handler that is installed
 * later replaces this one; exec removes it. Any thread; does not block.
 */
void dynoscale_send_at_signals(void);

/*
 * Holds back these of SIGTERM, SIGINT, SIGQUIT and SIGHUP in all threads while the process ends and
 * sends its last report. For signals that the host's interpreter does not handle itself. Returns
 * false if they are held back already; then do not release them. The release restores the previous
 * actions and raises each signal that came. Any thread; neither blocks.
 */
bool dynoscale_hold_signals(const int *numbers, size_t count);
void dynoscale_release_signals(void);

/* ---- What happened ----------------------------------------------------------------------- */

/*
 * Identifier, name, meaning. While nothing is in progress: recorded = sent + pending + the sum of
 * dropped_*. They belong to this process and start at 0 in a forked child.
 */
#define DYNOSCALE_COUNTERS(X)                                                                      \
    X(DYNOSCALE_COUNTER_RECORDED, "recorded", "samples taken: requests and job queue readings")    \
    X(DYNOSCALE_COUNTER_PENDING, "pending", "samples waiting to be sent")                          \
    X(DYNOSCALE_COUNTER_SENT, "sent", "samples accepted by the service")                           \
    X(DYNOSCALE_COUNTER_DROPPED_FULL, "dropped_full", "samples dropped: a buffer was full")        \
    X(DYNOSCALE_COUNTER_DROPPED_EXPIRED, "dropped_expired", "samples dropped: unsent for 5 min")   \
    X(DYNOSCALE_COUNTER_DROPPED_REJECTED, "dropped_rejected", "samples dropped: refused with 4xx") \
    X(DYNOSCALE_COUNTER_DROPPED_STOPPED, "dropped_stopped", "samples dropped: agent was stopped")  \
    X(DYNOSCALE_COUNTER_STAMP_MISSING, "stamp_missing", "requests without a stamp")                \
    X(DYNOSCALE_COUNTER_STAMP_MALFORMED, "stamp_malformed", "requests with a stamp of no meaning") \
    X(DYNOSCALE_COUNTER_STAMP_STALE, "stamp_stale", "requests stamped more than 10 minutes ago")   \
    X(DYNOSCALE_COUNTER_STAMP_FUTURE, "stamp_future", "requests stamped more than 1 s ahead")      \
    X(DYNOSCALE_COUNTER_JOBS_REFUSED, "jobs_refused", "job queue readings with an unusable name")  \
    X(DYNOSCALE_COUNTER_REPORTS_ACCEPTED, "reports_accepted", "reports answered with 2xx")         \
    X(DYNOSCALE_COUNTER_REPORTS_FAILED, "reports_failed", "attempts to report that failed")        \
    X(DYNOSCALE_COUNTER_LAST_STATUS, "last_status", "HTTP status of the last answer, 0: none")     \
    X(DYNOSCALE_COUNTER_LAST_REPORT_AT, "last_report_at", "epoch second of the last accepted one") \
    X(DYNOSCALE_COUNTER_PUBLISH_FREQUENCY_MS, "publish_frequency_ms", "ms between reports, now")   \
    X(DYNOSCALE_COUNTER_THREAD_STARTS, "thread_starts", "times the native thread was started")     \
    X(DYNOSCALE_COUNTER_THREAD_FAILURES, "thread_failures", "times it could not be started")

typedef enum dynoscale_counter {
#define X(id, name, meaning) id,
    DYNOSCALE_COUNTERS(X)
#undef X
        DYNOSCALE_COUNTER_COUNT
} dynoscale_counter;

/* Static; never NULL but for an unknown counter. Any thread. */
const char *dynoscale_counter_name(dynoscale_counter counter);
const char *dynoscale_counter_meaning(dynoscale_counter counter);

/* All counters at one moment, indexed by dynoscale_counter; all 0 if `agent` is NULL. Any thread;
 * may wait a few µs for the native thread. */
void dynoscale_agent_counters(dynoscale_agent *agent, int64_t values[DYNOSCALE_COUNTER_COUNT]);

typedef enum dynoscale_level {
    DYNOSCALE_LEVEL_DEBUG,
    DYNOSCALE_LEVEL_INFO,
    DYNOSCALE_LEVEL_WARN,
    DYNOSCALE_LEVEL_ERROR,
} dynoscale_level;

enum { DYNOSCALE_EVENT_SIZE = 256 };

/*
 * Takes the oldest log line that the native thread left: whole UTF-8 characters, no secrets, no
 * control characters. Returns false if there is none. The newest 16 are kept. The host calls it
 * when it handles a request anyway; `dynoscale_agent_has_event` costs one load. Any thread.
 */
bool dynoscale_agent_has_event(const dynoscale_agent *agent);
bool dynoscale_agent_next_event(dynoscale_agent *agent, dynoscale_level *level,
                                char text[DYNOSCALE_EVENT_SIZE]);

#ifdef __cplusplus
}
#endif

#endif
