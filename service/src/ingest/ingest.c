/*
 * The loop's side: turns requests into reports, which the commit's thread makes durable, and
 * answers them afterwards.
 */
#define _GNU_SOURCE /* strdup */
#include "ingest/ingest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "ingest/commit.h"
#include "ingest/readers.h"
#include "ingest/tokens.h"
#include "log.h"

enum {
    HEARTBEAT_S = 20,
    UNKNOWN = 1000, /* requests with unknown tokens that may wait for a look into the store */
    ANSWER_SIZE = 512,
    GROUP_BYTES = 2 << 20, /* of a transaction: a few hundred reports, tens of ms */
    GROUP_MS = 100,
};

static const char retry_later[] = "Retry-After: 5\r\n";

/* A request that waits for the commit, or for its token to be looked up. */
struct pending {
    struct commit_item item; /* first: the commit only knows this member */
    struct ingest *ingest;
    struct http_request *request;
    struct loop_post post; /* used of the first report of a group */
    char *token;           /* while it is being looked up */
    size_t bytes;          /* of its body, the same */
    uint64_t reading;      /* the last reading of tokens that had begun when the request came */
};

struct ingest {
    struct loop *loop;
    struct live *live;
    struct commit *commit;
    char answers[2][ANSWER_SIZE]; /* 1: to dynos that should read job queues */
    size_t answer_lengths[2];
    bool ending;

    /* Used only by the loop's thread. */
    struct tokens *tokens;
    struct readers *readers;
    struct pending *unknown; /* requests whose tokens are being looked up */
    size_t unknown_count, unknown_bytes, most_unknown_bytes;
    uint64_t reports, repeated, refused, overloaded, rows, rows_refused;

    pthread_mutex_t lock; /* of everything below */
    uint64_t reading;     /* readings of the tokens that have begun */
    struct tokens *fresh; /* newly read, not yet in use */
    uint64_t fresh_reading;
    bool fresh_posted, reading_failed;
    struct loop_post fresh_post;
};

/* ---- Answers ------------------------------------------------------------------------------- */

static void answer_ok(struct ingest *ingest, struct http_request *request, bool reads_jobs) {
    http_answer(request, 200, "application/json", NULL, ingest->answers[reads_jobs],
                ingest->answer_lengths[reads_jobs]);
}

/* RFC 9457. */
static void answer_problem(struct http_request *request, int status, const char *title,
                           const char *sentence) {
    struct text text = TEXT_EMPTY;
    text_format(&text, "{\"type\":\"about:blank\",\"status\":%d,\"title\":", status);
    text_json(&text, title);
    text_put(&text, ",\"detail\":");
    text_json(&text, sentence);
    text_put(&text, "}\n");
    http_answer(request, status, "application/problem+json", status == 503 ? retry_later : NULL,
                text.failed ? "" : text.bytes, text.failed ? 0 : text.length);
    text_free(&text);
}

static void answer_unknown(struct ingest *ingest, struct http_request *request) {
    const char *from = http_address(request);
    ingest->refused++;
    log_refusal(LOG_ACCESS, "ingest",
                "a report from %s was refused: its address has no app's token",
                from && *from ? from : "this machine");
    answer_problem(request, 401, "Unauthorized",
                   "the last part of this address is no token of an app: set DYNOSCALE_URL to the "
                   "address that the service shows for the app");
}

static void answer_busy(struct ingest *ingest, struct http_request *request) {
    ingest->overloaded++;
    answer_problem(request, 503, "Service Unavailable",
                   "more reports wait than can be kept: this one is to be sent again");
}

static void write_answers(struct ingest *ingest, int publish_s) {
    for (int reads_jobs = 0; reads_jobs < 2; reads_jobs++) {
        int length = snprintf(ingest->answers[reads_jobs], ANSWER_SIZE,
                              "{\"config\": {\"publish_frequency\": %d, \"signals\": [\"busy\", "
                              "\"slots\", \"unstamped\", \"begin\", \"depth\", \"working\"], "
                              "\"jobs\": %s, \"heartbeat\": %d}}\n",
                              publish_s, reads_jobs ? "true" : "false", HEARTBEAT_S);
        ingest->answer_lengths[reads_jobs] = (size_t)length;
    }
}

static void free_pending(struct pending *pending) {
    report_free(&pending->item.report);
    free(pending->token);
    free(pending);
}

/* ---- After the commit ---------------------------------------------------------------------- */

static void answer_committed(struct pending *pending) {
    struct ingest *ingest = pending->ingest;
    const struct report *report = &pending->item.report;
    bool reads_jobs = readers_ask(ingest->readers, pending->item.app, report);
    switch (pending->item.result) {
    case COMMIT_DONE:
        ingest->reports++;
        ingest->rows += report->rows - pending->item.series_refused;
        ingest->rows_refused += report->rows_refused + pending->item.series_refused;
        answer_ok(ingest, pending->request, reads_jobs);
        break;
    case COMMIT_REPEATED:
        ingest->repeated++;
        answer_ok(ingest, pending->request, reads_jobs);
        break;
    case COMMIT_FAILED:
        answer_problem(pending->request, 503, "Service Unavailable",
                       "the report could not be kept: it is to be sent again");
        break;
    }
    commit_release(ingest->commit, &pending->item);
    free_pending(pending);
}

static void answer_group(void *context) {
    for (struct commit_item *item = context, *next; item; item = next) {
        next = item->next;
        answer_committed((struct pending *)item);
    }
}

/* Runs on the commit's thread. */
static void committed(void *context, struct commit_item *first) {
    struct ingest *ingest = context;
    struct pending *pending = (struct pending *)first;
    pending->post = (struct loop_post){.run = answer_group, .context = first};
    loop_post(ingest->loop, &pending->post);
}

/* ---- Reports ------------------------------------------------------------------------------- */

/* Agents send the dyno in one of two headers; proxies may replace underscores by hyphens. */
static const char *dyno_header(const struct http_request *request) {
    static const char *const names[] = {"X_DYNO", "HTTP_X_DYNO", "X-Dyno", "Http-X-Dyno"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = http_header(request, names[i]);
        if (value) return value;
    }
    return NULL;
}

static struct report_head head_of(const struct http_request *request) {
    const char *start = http_header(request, "X_REQUEST_START");
    return (struct report_head){
        .user_agent = http_header(request, "User-Agent"),
        .dyno = dyno_header(request),
        .request_start = start ? start : http_header(request, "X-Request-Start"),
        .key = http_header(request, "Idempotency-Key"),
    };
}

static struct pending *new_pending(struct ingest *ingest, struct http_request *request) {
    struct pending *pending = calloc(1, sizeof *pending);
    if (!pending) return NULL;
    pending->ingest = ingest;
    pending->request = request;
    return pending;
}

static void commit_pending(struct ingest *ingest, struct pending *pending, size_t body_length) {
    pending->item.bytes = sizeof *pending + report_bytes(&pending->item.report) + body_length;
    if (commit_add(ingest->commit, &pending->item)) return;
    answer_busy(ingest, pending->request);
    free_pending(pending);
}

static int64_t now_s(void) { return store_wall_ns() / 1000000000; }

/* Takes the report of a known app. If there is no room, the body is not even read: under ten times
 * the possible load, refusing must be cheap. */
static void take_report(struct ingest *ingest, struct http_request *request, int64_t app) {
    size_t length;
    const char *body = http_body(request, &length);
    bool room = length == 0 || commit_has_room(ingest->commit, app, length);
    struct pending *pending = room ? new_pending(ingest, request) : NULL;
    if (!pending) {
        answer_busy(ingest, request);
        return;
    }
    char sentence[REPORT_SENTENCE_SIZE];
    struct report_head head = head_of(request);
    pending->item.app = app;
    switch (report_read(&pending->item.report, &head, body, length, now_s(), sentence)) {
    case REPORT_ROWS:
        commit_pending(ingest, pending, length);
        return;
    case REPORT_HEARTBEAT:
        /* The doctor sends an empty report too, but from a dyno that never reported. */
        if (live_knows(ingest->live, app, pending->item.report.dyno)) {
            commit_pending(ingest, pending, length);
            return;
        }
        answer_ok(ingest, request, true);
        break;
    case REPORT_EMPTY:
        answer_ok(ingest, request, true);
        break;
    case REPORT_MALFORMED:
        ingest->refused++;
        answer_problem(request, 400, "Bad Request", sentence);
        break;
    case REPORT_NO_MEMORY:
        answer_busy(ingest, request);
        break;
    }
    free_pending(pending);
}

/* ---- Tokens -------------------------------------------------------------------------------- */

/* Requests with unknown tokens get a small part of the room for bodies; most of it is for the
 * apps. */
static bool room_for_unknown(const struct ingest *ingest, size_t bytes) {
    return ingest->unknown_count < UNKNOWN &&
           ingest->unknown_bytes + bytes <= ingest->most_unknown_bytes;
}

/* A token may have been made a moment ago, even by another process, so it is unknown only if the
 * store does not have it. */
static void look_up(struct ingest *ingest, struct http_request *request, const char *token) {
    size_t bytes;
    http_body(request, &bytes);
    struct pending *pending = room_for_unknown(ingest, bytes) ? new_pending(ingest, request) : NULL;
    if (pending) pending->token = strdup(token);
    if (!pending || !pending->token) {
        if (pending) free_pending(pending);
        answer_busy(ingest, request);
        return;
    }
    pthread_mutex_lock(&ingest->lock);
    pending->reading = ingest->reading;
    pthread_mutex_unlock(&ingest->lock);
    pending->item.next = (struct commit_item *)ingest->unknown;
    ingest->unknown = pending;
    ingest->unknown_count++;
    ingest->unknown_bytes += pending->bytes = bytes;
    commit_call(ingest->commit, false);
}

static void resolve(struct ingest *ingest, struct pending *pending, bool failed) {
    int64_t app = failed ? 0 : tokens_app(ingest->tokens, pending->token, now_s());
    struct http_request *request = pending->request;
    ingest->unknown_count--;
    ingest->unknown_bytes -= pending->bytes;
    free_pending(pending);
    if (failed) answer_busy(ingest, request);
    else if (app == 0) answer_unknown(ingest, request);
    else take_report(ingest, request, app);
}

/* Runs on the loop after tokens were read. */
static void use_fresh(void *context) {
    struct ingest *ingest = context;
    pthread_mutex_lock(&ingest->lock);
    struct tokens *fresh = ingest->fresh;
    uint64_t reading = ingest->fresh_reading;
    bool failed = ingest->reading_failed;
    ingest->fresh = NULL;
    ingest->fresh_posted = false;
    pthread_mutex_unlock(&ingest->lock);
    if (fresh) {
        tokens_free(ingest->tokens);
        ingest->tokens = fresh;
    }
    struct pending *waiting = ingest->unknown;
    ingest->unknown = NULL;
    while (waiting) {
        struct pending *pending = waiting;
        waiting = (struct pending *)pending->item.next;
        if (pending->reading < reading) {
            resolve(ingest, pending, failed);
            continue;
        }
        /* It came after that reading had begun. */
        pending->item.next = (struct commit_item *)ingest->unknown;
        ingest->unknown = pending;
    }
    if (ingest->unknown) commit_call(ingest->commit, false);
}

/* Runs on the commit's thread. */
static void read_tokens(void *context, struct store *store) {
    struct ingest *ingest = context;
    pthread_mutex_lock(&ingest->lock);
    uint64_t reading = ++ingest->reading;
    pthread_mutex_unlock(&ingest->lock);
    struct tokens *read = tokens_read(store);
    pthread_mutex_lock(&ingest->lock);
    struct tokens *unused = ingest->fresh;
    ingest->fresh = read;
    ingest->fresh_reading = reading;
    ingest->reading_failed = !read;
    bool post = !ingest->fresh_posted;
    ingest->fresh_posted = true;
    if (post) ingest->fresh_post = (struct loop_post){.run = use_fresh, .context = ingest};
    pthread_mutex_unlock(&ingest->lock);
    tokens_free(unused);
    if (post) loop_post(ingest->loop, &ingest->fresh_post);
}

void ingest_forget_tokens(struct ingest *ingest) { commit_call(ingest->commit, true); }

void ingest_report(struct ingest *ingest, struct http_request *request, const char *token) {
    int64_t app = ingest->tokens ? tokens_app(ingest->tokens, token, now_s()) : 0;
    if (ingest->ending) answer_busy(ingest, request);
    else if (app != 0) take_report(ingest, request, app);
    else look_up(ingest, request, token);
}

/* ---- Beginning and end --------------------------------------------------------------------- */

struct ingest *ingest_new(struct loop *loop, struct live *live,
                          const struct ingest_settings *settings, char *error, size_t size) {
    struct ingest *ingest = calloc(1, sizeof *ingest);
    struct readers *readers = readers_new();
    if (!ingest || !readers) {
        snprintf(error, size, "out of memory");
        readers_free(readers);
        free(ingest);
        return NULL;
    }
    ingest->readers = readers;
    ingest->loop = loop;
    ingest->live = live;
    ingest->most_unknown_bytes = settings->unknown_bytes;
    write_answers(ingest, settings->publish_s);
    pthread_mutex_init(&ingest->lock, NULL);
    struct commit_settings commit = {
        .folder = settings->folder,
        .commit_ms = settings->commit_ms,
        .waiting_bytes = settings->waiting_bytes,
        .group_bytes = GROUP_BYTES,
        .group_ms = GROUP_MS,
        .done = committed,
        .called = read_tokens,
        .context = ingest,
    };
    ingest->commit = commit_new(live, &commit, error, size);
    if (ingest->commit) return ingest;
    /* Tokens may have been read and posted. */
    loop_run_posts(loop);
    tokens_free(ingest->tokens);
    readers_free(ingest->readers);
    pthread_mutex_destroy(&ingest->lock);
    free(ingest);
    return NULL;
}

void ingest_free(struct ingest *ingest) {
    if (!ingest) return;
    ingest->ending = true;
    commit_end(ingest->commit);
    /* Answers the requests that still wait. */
    for (struct pending *pending = ingest->unknown, *next; pending; pending = next) {
        next = (struct pending *)pending->item.next;
        answer_busy(ingest, pending->request);
        free_pending(pending);
    }
    ingest->unknown = NULL;
    loop_run_posts(ingest->loop);
    commit_free(ingest->commit);
    tokens_free(ingest->tokens);
    tokens_free(ingest->fresh);
    readers_free(ingest->readers);
    pthread_mutex_destroy(&ingest->lock);
    free(ingest);
}

struct ingest_counts ingest_counts(const struct ingest *ingest) {
    return (struct ingest_counts){
        .reports = ingest->reports,
        .repeated = ingest->repeated,
        .refused = ingest->refused,
        .overloaded = ingest->overloaded,
        .rows = ingest->rows,
        .rows_refused = ingest->rows_refused,
        .commits = commit_count(ingest->commit),
        .failed_commits = commit_failed_count(ingest->commit),
        .waiting_bytes = commit_waiting_bytes(ingest->commit),
        .unknown_bytes = ingest->unknown_bytes,
    };
}
