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
 * Asked every 50 ms, on the calling thread, while flush, stop or a doctor waits: true gives up the
 * wait. NULL where nothing can interrupt.
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

/* Where a value came from; a later one in this list wins over an earlier one. */
typedef enum dynoscale_source {
    DYNOSCALE_SOURCE_DEFAULT,
    DYNOSCALE_SOURCE_ENVIRONMENT,
    DYNOSCALE_SOURCE_FRAMEWORK, /* a framework's configuration, such as config.dynoscale.* */
    DYNOSCALE_SOURCE_CODE,
} dynoscale_source;

/* Why an agent stays off, in the order in which the reasons are looked for. */
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

/* Whether the reason is probably a mistake that nothing else tells: the host logs it as a warning,
 * once. Any thread. */
bool dynoscale_off_is_unusual(dynoscale_off_reason reason);

/* The name in code; static, NULL for an unknown setting. Any thread. The other columns of the table
 * are in dynoscale_cli.h. */
const char *dynoscale_setting_name(dynoscale_setting setting);
/* The setting of that name in code; DYNOSCALE_SETTING_COUNT where there is none. */
dynoscale_setting dynoscale_setting_find(const char *name, size_t length);

/*
 * A set of settings being gathered. One thread at a time uses it. Nothing here raises, prints or
 * fails for bad input: a value that can't be used leaves a warning and the value before it.
 */
typedef struct dynoscale_options dynoscale_options;

/* The defaults. NULL without memory. The caller frees it. */
dynoscale_options *dynoscale_options_new(void);

/* NULL is allowed. An agent opened from the options keeps nothing of them. */
void dynoscale_options_free(dynoscale_options *options);

/*
 * Reads every variable of the table, without DYNO the name that Render, Fly, Railway, Scalingo, ECS
 * or Kubernetes gives, and what concerns the connection (http_proxy, https_proxy,
 * all_proxy, no_proxy, SSL_CERT_FILE, SSL_CERT_DIR). Our own code on the native thread never reads
 * the environment, which the app may be changing; libcurl and what it loads (OpenSSL, p11-kit) read
 * theirs there, when they are first used. Call where no other thread calls setenv; the
 * interpreter's lock is enough. DYNOSCALE_OK or DYNOSCALE_ERROR_NO_MEMORY.
 */
dynoscale_error dynoscale_options_read_environment(dynoscale_options *options);

/*
 * Gives a setting a value as text ("30", "web.1", "true"). NULL or an empty value takes back what
 * the same source gave. DYNOSCALE_OK; DYNOSCALE_ERROR_INVALID with a warning when the value can't
 * be used (see dynoscale_options_warning); DYNOSCALE_ERROR_NO_MEMORY.
 */
dynoscale_error dynoscale_options_set(dynoscale_options *options, dynoscale_setting setting,
                                      const char *value, size_t length, dynoscale_source source);

/*
 * The value in force as text, NULL when unset; booleans are "true" and "false". Until the next
 * change of the options. `get` gives secrets whole, `show` never does: print only the latter.
 */
const char *dynoscale_options_get(const dynoscale_options *options, dynoscale_setting setting);
const char *dynoscale_options_show(const dynoscale_options *options, dynoscale_setting setting);
dynoscale_source dynoscale_options_source(const dynoscale_options *options,
                                          dynoscale_setting setting);

/* Warnings in the order they arose: each one line that names the variable, what was wrong and
 * what is used instead, without secrets. NULL past the last. As long as the options. */
const char *dynoscale_options_warning(const dynoscale_options *options, size_t index);

/* Whether a process with these settings reports, and if not why. */
dynoscale_off_reason dynoscale_options_off_reason(const dynoscale_options *options);

/* ---- Agent ------------------------------------------------------------------------------- */

typedef struct dynoscale_agent dynoscale_agent;

/*
 * Opens the process's agent for these settings. `language` ("ruby", "python") goes into the
 * User-Agent. A second open with the same settings, from another interpreter of the process, gives
 * the same agent once more, unless that was stopped. Starts nothing yet: the native thread starts
 * with the first sample. Any thread; does not block; balanced by dynoscale_agent_free.
 *
 * DYNOSCALE_OK; DYNOSCALE_ERROR_OFF when dynoscale_options_off_reason says so (*agent is NULL);
 * DYNOSCALE_ERROR_NO_MEMORY (*agent is NULL).
 */
dynoscale_error dynoscale_agent_open(const dynoscale_options *options, const char *language,
                                     dynoscale_agent **agent);

/*
 * Does early what the process's first request would wait for: takes the memory, and has a thread
 * that does nothing start and end, so that the system has at hand what the native thread needs.
 * Nothing is left running. A forked child starts afresh all the same; there the second part still
 * saves a little. For the moment when the app is loaded; no duty.
 *
 * Blocks for a thread's life, about 0.2 ms. Any thread, any number of times: only the first, and
 * only before the first request, does anything. Failures wait for that request. NULL is allowed.
 */
void dynoscale_agent_prepare(dynoscale_agent *agent);

/*
 * Gives the agent back. The last one to do so ends it: a running thread sends what is left for up
 * to 2 seconds more, by itself. Never blocks. No other call on the agent may be running or follow.
 * NULL is allowed.
 */
void dynoscale_agent_free(dynoscale_agent *agent);

/* Why a request gave no sample. Returned by dynoscale_agent_request in place of a queue time. */
enum {
    DYNOSCALE_STAMP_MISSING = -1,   /* no header, or nothing but blanks and commas in it */
    DYNOSCALE_STAMP_MALFORMED = -2, /* not a time */
    DYNOSCALE_STAMP_STALE = -3,     /* a time more than 10 minutes ago */
    DYNOSCALE_STAMP_FUTURE = -4,    /* a time more than 1 second ahead */
    DYNOSCALE_STAMP_OFF = -5,       /* the agent is off: nothing was looked at or counted */
};

/*
 * Measures and records one request, at the moment the app gets it.
 *
 *   start          the text of X-Request-Start, NULL where absent; any bytes of any length
 *   queue_start    the text of X-Queue-Start, alike; read only where `start` gives no plausible
 *                  time, since a client can send it past a router that sets the other
 *   body_wait_ms   how long the server waited for the request's body (Puma's
 *                  puma.request_body_wait), 0 where unknown; negative or not finite counts as 0
 *
 * Returns the queue time in whole ms, 0 or more, or one of DYNOSCALE_STAMP_*. A sample that finds
 * the buffer full is dropped and counted; its queue time is returned all the same.
 *
 * Any thread, at any rate. Wait-free; no allocation, lock or system call but reading the clock,
 * except the sample that ends a silence: it wakes the thread, and the first one starts it.
 */
int64_t dynoscale_agent_request(dynoscale_agent *agent, const char *start, size_t start_length,
                                const char *queue_start, size_t queue_start_length,
                                double body_wait_ms);

/*
 * The same for nearly every request: by X-Request-Start alone, where it is one plausible time.
 * A negative result (the header is absent, a list, or no plausible time) means that nothing was
 * recorded or counted: call dynoscale_agent_request with both headers. So a host looks for
 * X-Queue-Start only when it is needed.
 */
int64_t dynoscale_agent_request_start(dynoscale_agent *agent, const char *start,
                                      size_t start_length, double body_wait_ms);

/* ---- What the service may ask for --------------------------------------------------------- */

/* Sent only while the service asks for it: identifier, name. core/README.md, "Signals". */
#define DYNOSCALE_SIGNALS(X)                                                               \
    X(DYNOSCALE_SIGNAL_BUSY, "busy")           /* ms that requests spend in the app */     \
    X(DYNOSCALE_SIGNAL_SLOTS, "slots")         /* requests that there is room for */       \
    X(DYNOSCALE_SIGNAL_UNSTAMPED, "unstamped") /* requests without a sample */             \
    X(DYNOSCALE_SIGNAL_BEGIN, "begin")         /* from the process's begin to a request */ \
    X(DYNOSCALE_SIGNAL_DEPTH, "depth")         /* jobs that are ready to run */            \
    X(DYNOSCALE_SIGNAL_WORKING, "working")     /* jobs that are being worked on */

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
    bool jobs;            /* false: another dyno reads the job queues, this one need not */
    int64_t heartbeat_ms; /* after so long without one a report has no rows; 0: never */
} dynoscale_asked;

/*
 * What the service asks of this process, as its last answer said. Nothing before the first answer,
 * and in a forked child. `jobs` is true again 10 minutes after the last answer. Any thread; takes a
 * lock for a moment: not meant for the path of a request.
 */
void dynoscale_agent_asked(dynoscale_agent *agent, dynoscale_asked *asked);

/*
 * Whether requests are to be told by dynoscale_agent_enter and _leave. One load, for each request;
 * any thread.
 */
bool dynoscale_busy_asked(void);

/*
 * A request enters the app, and leaves it. `enter` returns the moment in ns, which goes to `leave`,
 * to dynoscale_agent_request_at and dynoscale_agent_request_start_at; -1 where the service does not
 * ask, and then `leave` does nothing. A `leave` in a forked child, or after the agent was replaced,
 * does nothing either. Any threads, not the same for both; wait-free; each reads the clock once.
 */
int64_t dynoscale_agent_enter(dynoscale_agent *agent);
void dynoscale_agent_leave(dynoscale_agent *agent, int64_t entered_ns);

/* As without _at, at a moment that `enter` returned; -1: now. */
int64_t dynoscale_agent_request_at(dynoscale_agent *agent, int64_t entered_ns, const char *start,
                                   size_t start_length, const char *queue_start,
                                   size_t queue_start_length, double body_wait_ms);
int64_t dynoscale_agent_request_start_at(dynoscale_agent *agent, int64_t entered_ns,
                                         const char *start, size_t start_length,
                                         double body_wait_ms);

/*
 * How many requests this process can work on at once; 0: unknown. It goes with each report that has
 * rows, where the service asks. A forked child has to say it anew. Any thread.
 */
void dynoscale_set_slots(int slots);

/*
 * Records a reading of a job queue: how long its oldest job that is ready has waited, in ms,
 * 0 for a queue known to be empty. It is reported as "BACKEND:QUEUE".
 *
 *   backend   1 to 32 of a-z, 0-9 and _
 *   queue     1 to 200 bytes of UTF-8 without control characters
 *
 * DYNOSCALE_OK; DYNOSCALE_ERROR_INVALID (names or a negative age; counted as jobs_refused);
 * DYNOSCALE_ERROR_FULL (too many unsent readings; counted as dropped_full);
 * DYNOSCALE_ERROR_NO_MEMORY; DYNOSCALE_ERROR_STOPPED; DYNOSCALE_ERROR_OFF. Any thread; takes a
 * lock for a moment: not meant for the path of a request.
 */
dynoscale_error dynoscale_agent_job_queue_time(dynoscale_agent *agent, const char *backend,
                                               size_t backend_length, const char *queue,
                                               size_t queue_length, int64_t queue_time_ms);

/*
 * Records another reading of a job queue, where the service asks for it: DYNOSCALE_SIGNAL_DEPTH or
 * DYNOSCALE_SIGNAL_WORKING, a number of jobs. As dynoscale_agent_job_queue_time, but that it is no
 * sample: what finds no room is not counted. DYNOSCALE_OK, too, where the service does not ask.
 */
dynoscale_error dynoscale_agent_job_signal(dynoscale_agent *agent, const char *backend,
                                           size_t backend_length, const char *queue,
                                           size_t queue_length, dynoscale_signal signal,
                                           int64_t jobs);

/*
 * Whether this process is the one of its dyno that reads the job queues: the first that asks, and
 * when it has ended or stopped the next that asks. The kernel releases the lock with its holder; a
 * forked child does not inherit it. Takes a few system calls: ask once an interval. Any thread.
 *
 * A topic is what the process can read, "rq" for instance: processes of a dyno that have different
 * libraries each lead in their own. NULL or "" is one topic more. It ends in NUL.
 */
bool dynoscale_agent_leads(dynoscale_agent *agent, const char *topic);

/*
 * A file descriptor, for poll or select, that becomes readable when the process that leads in the
 * topic has ended, so that those that don't can wait without waking up; the caller closes it. It
 * says nothing of a leader that stopped and lives on. -1 where there is none: this process leads,
 * nobody does, no memory, or the system has no such thing (Linux has, from 5.3 on). Any thread;
 * does not block.
 */
int dynoscale_agent_watch_leader(dynoscale_agent *agent, const char *topic);

/*
 * Sends at once what was recorded before the call, and waits until the service has accepted it.
 * DYNOSCALE_OK; DYNOSCALE_ERROR_TIMED_OUT after timeout_ms (what is unsent stays and is tried
 * again as usual); DYNOSCALE_ERROR_DROPPED; DYNOSCALE_ERROR_STOPPED (the agent was stopped before
 * or meanwhile); DYNOSCALE_ERROR_INTERRUPTED. Any thread, several at a time. Release the
 * interpreter's lock around it.
 */
dynoscale_error dynoscale_agent_flush(dynoscale_agent *agent, int64_t timeout_ms,
                                      dynoscale_interrupted interrupted, void *context);

/*
 * Stops the agent in this process for good: sends what was recorded, cancels the transfer in
 * flight when timeout_ms is over, ends the thread. Later samples are counted as dropped_stopped.
 * Returns at the latest 250 ms after timeout_ms, and where the TLS library takes long to clean up
 * after the thread another 250 ms later (off Linux that has no limit). DYNOSCALE_OK;
 * DYNOSCALE_ERROR_TIMED_OUT or DYNOSCALE_ERROR_DROPPED when samples were given up;
 * DYNOSCALE_ERROR_INTERRUPTED (the thread goes on alone until its deadline). Any thread; a second
 * call waits for the first. A child forked later starts afresh.
 *
 * Waits for the threads of agents that were freed, too, and does so for NULL: a process must not
 * end while one of them is inside the TLS library.
 */
dynoscale_error dynoscale_agent_stop(dynoscale_agent *agent, int64_t timeout_ms,
                                     dynoscale_interrupted interrupted, void *context);

/* ---- The end of the process ---------------------------------------------------------------- */

/*
 * For hosts that give SIGTERM, SIGQUIT or SIGHUP no action: where they have the system's default,
 * gives them one that first sends what was recorded, for at most 2 seconds, and then ends the
 * process by the signal as before. In a process with the number 1, which the default action does
 * not end, it only sends. Looks again at each process's first sample. Whoever sets an action later
 * replaces this one; a program started by exec does not have it. Any thread; does not block.
 */
void dynoscale_send_at_signals(void);

/*
 * Holds back these of SIGTERM, SIGINT, SIGQUIT and SIGHUP, in all threads, while the process ends
 * and its last report is under way: for those that the host's interpreter does not handle itself.
 * False when they are held back already; do not release them then. The release puts the actions
 * from before back, and raises each signal that came. Any thread; neither blocks.
 */
bool dynoscale_hold_signals(const int *numbers, size_t count);
void dynoscale_release_signals(void);

/* ---- What happened ----------------------------------------------------------------------- */

/*
 * Identifier, name, meaning. At rest: recorded = sent + pending + the sum of dropped_*.
 * All of them are this process's own and start at 0 in a forked child.
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

/* All counters at one moment, `values[id]` each. Any thread; may wait a few µs for the native
 * thread. With NULL for an agent, all are 0. */
void dynoscale_agent_counters(dynoscale_agent *agent, int64_t values[DYNOSCALE_COUNTER_COUNT]);

typedef enum dynoscale_level {
    DYNOSCALE_LEVEL_DEBUG,
    DYNOSCALE_LEVEL_INFO,
    DYNOSCALE_LEVEL_WARN,
    DYNOSCALE_LEVEL_ERROR,
} dynoscale_level;

enum { DYNOSCALE_EVENT_SIZE = 256 };

/*
 * Takes the oldest thing worth logging that the native thread left: one line of whole UTF-8
 * characters, without secrets and control characters.
 * False when there is none. The host calls it when it passes by; the newest 16 are kept.
 * `dynoscale_agent_has_event` costs one load and may be asked at each request. Any thread.
 */
bool dynoscale_agent_has_event(const dynoscale_agent *agent);
bool dynoscale_agent_next_event(dynoscale_agent *agent, dynoscale_level *level,
                                char text[DYNOSCALE_EVENT_SIZE]);

#ifdef __cplusplus
}
#endif

#endif
