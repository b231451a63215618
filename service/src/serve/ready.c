#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "serve/serve.h"

/*
 * Ready: the store accepts a write, and control has ticked. (The live windows are filled before the
 * service listens.) The write is tried on the pool, at most once a second however often readiness
 * is asked; requests in the meantime share the result.
 */
enum { VALID_MS = 1000, TROUBLE_SIZE = 300 };

struct asker {
    struct asker *next;
    struct http_request *request;
};

struct ready {
    struct service *service;
    struct pool_job job;
    struct loop_post post;
    bool trying;
    struct asker *askers;
    int64_t tried_ms; /* 0: never */
    char trouble[TROUBLE_SIZE];
};

struct ready *ready_new(struct service *service) {
    struct ready *ready = calloc(1, sizeof *ready);
    if (ready) ready->service = service;
    return ready;
}

/* Nothing is being tried any more: the pool has ended, and its posts have run. */
void ready_free(struct ready *ready) { free(ready); }

/* Why decisions can't be relied on; "": they can. */
static void judge_control(struct ready *ready, char *trouble, size_t size) {
    struct service *service = ready->service;
    struct control_counts counts = control_counts(service->control);
    int64_t now_s = ds_clock_wall_ns() / 1000000000, allowed_s = 3 * service->settings.tick_s + 5;
    trouble[0] = '\0';
    if (counts.last_tick_s == 0) snprintf(trouble, size, "no decision has been made yet");
    else if (now_s - counts.last_tick_s > allowed_s)
        snprintf(trouble, size, "the last tick was %" PRId64 " s ago", now_s - counts.last_tick_s);
}

static void put_check(struct text *text, const char *name, const char *trouble) {
    text_format(text, "\"%s\":", name);
    text_json(text, *trouble ? trouble : "ok");
}

/* The reason may name files or the database's host, so it is only in the log. */
static const char told_to_others[] = "it can't be written to; the service's log says why";

static void answer(struct ready *ready, struct http_request *request) {
    char control[TROUBLE_SIZE];
    judge_control(ready, control, sizeof control);
    const char *stopping = ready->service->draining ? "the service is stopping" : "";
    bool well = !*ready->trouble && !*control && !*stopping;
    struct text body = TEXT_EMPTY;
    text_put(&body, well ? "{\"ready\":true," : "{\"ready\":false,");
    bool local = http_peer(request) == HTTP_PEER_LOCAL;
    put_check(&body, "store", local || !*ready->trouble ? ready->trouble : told_to_others);
    text_char(&body, ',');
    put_check(&body, "control", control);
    text_char(&body, ',');
    put_check(&body, "service", stopping);
    text_char(&body, '}');
    http_answer(request, well ? 200 : 503, "application/json", well ? NULL : "Retry-After: 1\r\n",
                body.bytes, body.failed ? 0 : body.length);
    text_free(&body);
}

static void answer_askers(struct ready *ready) {
    while (ready->askers) {
        struct asker *asker = ready->askers;
        ready->askers = asker->next;
        answer(ready, asker->request);
        free(asker);
    }
}

static void tried(void *context) {
    struct ready *ready = context;
    ready->trying = false;
    ready->tried_ms = ds_clock_monotonic_ms();
    answer_askers(ready);
}

static void try_store(struct pool_job *job, struct store *store) {
    struct ready *ready = (struct ready *)(void *)((char *)job - offsetof(struct ready, job));
    char now[24];
    snprintf(now, sizeof now, "%" PRId64, ds_clock_wall_ns() / 1000000000);
    bool well = store_set_meta(store, "written_to", now);
    const char *trouble = well ? "" : store_error(store);
    if (!well && !*ready->trouble)
        log_line(LOG_ERROR, "serve", "the data can't be written to: %s", trouble);
    snprintf(ready->trouble, sizeof ready->trouble, "%s", trouble);
    ready->post.run = tried;
    ready->post.context = ready;
    loop_post(ready->service->loop, &ready->post);
}

void ready_answer(struct ready *ready, struct http_request *request) {
    bool fresh = ready->tried_ms > 0 && ds_clock_monotonic_ms() - ready->tried_ms < VALID_MS;
    if (fresh && !ready->trying) {
        answer(ready, request);
        return;
    }
    struct asker *asker = calloc(1, sizeof *asker);
    ready->job.run = try_store;
    if (!asker || (!ready->trying && !pool_add(ready->service->pool, &ready->job))) {
        free(asker);
        route_busy(request, "Too many requests wait already; the store could not be tried.");
        return;
    }
    ready->trying = true;
    *asker = (struct asker){ready->askers, request};
    ready->askers = asker;
}
