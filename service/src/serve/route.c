#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addon/addon.h"
#include "clock.h"
#include "http/gzip.h"
#include "pages.h"
#include "serve/serve.h"

enum { LEAST_PACKED = 1400 }; /* shorter answers fit into one packet anyway */

static const char report_path[] = "/api/v1/report/";

/* ---- The API, on the pool -------------------------------------------------------------------- */

struct api_job {
    struct pool_job job;
    struct loop_post post;
    struct service *service;
    struct http_request *request;
    struct api_call call;
    struct text metrics; /* the service's own, before those that the API adds */
    char *packed;        /* the answer, compressed; NULL: it is sent as it is */
    size_t packed_length;
    bool undone; /* it came to its turn when the service had to end */
};

static void free_job(struct api_job *job) {
    api_call_free(&job->call);
    text_free(&job->metrics);
    free(job->packed);
    free(job);
}

static void answer_call(struct api_job *job) {
    struct api_call *call = &job->call;
    int status = call->status ? call->status : 200;
    if (call->answer.failed || call->headers.failed) {
        route_busy(job->request, "There is no memory for the answer now.");
        return;
    }
    if (call->page) {
        pages_send(job->request, status, call->page, call->headers.bytes);
        return;
    }
    struct text *body = &call->answer;
    if (job->metrics.length > 0 && status == 200 && !call->who.app) {
        text_add(&job->metrics, body->bytes, body->length);
        body = &job->metrics;
    }
    if (job->packed)
        http_answer(job->request, status, call->type, call->headers.bytes, job->packed,
                    job->packed_length);
    else
        http_answer(job->request, status, call->type ? call->type : "application/json",
                    call->headers.bytes, body->bytes, body->length);
}

static void finish_call(void *context) {
    struct api_job *job = context;
    struct service *service = job->service;
    struct api_call *call = &job->call;
    if (job->undone) {
        route_busy(job->request, "The service is ending.");
        free_job(job);
        return;
    }
    if (call->tokens_changed) ingest_forget_tokens(service->ingest);
    if (call->told_app) control_told(service->control, call->told_app);
    if (call->config_changed) {
        control_changed(service->control);
        if (call->app.id) events_changed(service->events, call->app.id);
    }
    if (call->stream)
        events_open(service->events, job->request, &call->who,
                    call->stream_app ? call->stream_app : call->who.app);
    else if (call->work) {
        works_begin(service->works, job->request, call->work);
        call->work = NULL;
    } else answer_call(job);
    free_job(job);
}

static void pack(struct api_job *job) {
    struct api_call *call = &job->call;
    if (!call->packs || call->status != 200 || call->stream || call->work) return;
    text_put(&call->headers, "Vary: Accept-Encoding\r\n");
    if (call->answer.length < LEAST_PACKED || !http_takes_gzip(job->request)) return;
    if (gzip_make(call->answer.bytes, call->answer.length, &job->packed, &job->packed_length))
        text_put(&call->headers, "Content-Encoding: gzip\r\n");
}

static void run_call(struct pool_job *pool_job, struct store *store) {
    struct api_job *job = (struct api_job *)pool_job;
    job->call.store = store;
    job->call.now_s = ds_clock_wall_ns() / 1000000000;
    const char *path = http_path(job->request);
    job->undone = atomic_load(&job->service->cut_off);
    if (!job->undone) {
        if (addon_has(path)) addon_run(&job->call, path);
        else api_run(&job->call, path);
        pack(job);
    }
    job->post.run = finish_call;
    job->post.context = job;
    loop_post(job->service->loop, &job->post);
}

static void fill_call(struct api_call *call, const struct service *service,
                      const struct http_request *request) {
    call->keeper = service->keeper;
    call->public_url = service->public_url;
    call->mails = *service->settings.smtp;
    call->who.role = http_peer(request) == HTTP_PEER_LOCAL ? API_LOCAL : API_NOBODY;
    call->address = http_address(request);
    call->authorization = http_header(request, "Authorization");
    call->cookie = http_header(request, "Cookie");
    call->origin = http_header(request, "Origin");
    call->fetch_site = http_header(request, "Sec-Fetch-Site");
    call->host = http_header(request, "Host");
    call->csrf = http_header(request, "X-CSRF-Token");
    call->user_agent = http_header(request, "User-Agent");
    call->method = http_method(request);
    call->query = http_query(request);
    call->body = http_body(request, &call->body_length);
    call->content_type = http_header(request, "Content-Type");
    call->if_match = http_header(request, "If-Match");
    call->if_none_match = http_header(request, "If-None-Match");
    call->accept = http_header(request, "Accept");
    call->signature = http_header(request, "Heroku-Webhook-Hmac-SHA256");
}

void route_busy(struct http_request *request, const char *sentence) {
    struct text body = TEXT_EMPTY;
    text_put(&body, "{\"type\":\"about:blank\",\"title\":\"Unavailable for now\",\"status\":503,"
                    "\"detail\":");
    text_json(&body, sentence);
    text_char(&body, '}');
    http_answer(request, 503, "application/problem+json", "Retry-After: 1\r\n", body.bytes,
                body.failed ? 0 : body.length);
    text_free(&body);
}

static void route_api(struct service *service, struct http_request *request, bool metrics) {
    struct api_job *job = calloc(1, sizeof *job);
    if (!job) {
        route_busy(request, "There is no memory for the request now.");
        return;
    }
    job->job.run = run_call;
    job->service = service;
    job->request = request;
    fill_call(&job->call, service, request);
    if (metrics) metrics_write(&job->metrics, service);
    if (pool_add(service->pool, &job->job)) return;
    free_job(job);
    route_busy(request, "Too many requests wait already; try again in a moment.");
}

/* ---- What is answered here --------------------------------------------------------------------
 */

static void answer_text(struct http_request *request, const char *text) {
    http_answer(request, 200, "text/plain; charset=utf-8", NULL, text, strlen(text));
}

/* The service's own numbers can be made public by a setting. Those of apps need a token, which the
 * API checks. */
static void route_metrics(struct service *service, struct http_request *request) {
    if (!service->settings.public_metrics || http_header(request, "Authorization") ||
        http_peer(request) == HTTP_PEER_LOCAL) {
        route_api(service, request, true);
        return;
    }
    struct text text = TEXT_EMPTY;
    metrics_write(&text, service);
    http_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8", NULL, text.bytes,
                text.length);
    text_free(&text);
}

static bool reads(const struct http_request *request) {
    return http_method(request) == HTTP_GET || http_method(request) == HTTP_HEAD;
}

void route_request(void *context, struct http_request *request) {
    struct service *service = context;
    const char *path = http_path(request);
    size_t report = sizeof report_path - 1;
    if (http_method(request) == HTTP_POST && strncmp(path, report_path, report) == 0 &&
        path[report] && !strchr(path + report, '/'))
        ingest_report(service->ingest, request, path + report);
    else if (reads(request) && strcmp(path, "/healthz") == 0) answer_text(request, "ok\n");
    else if (reads(request) && strcmp(path, "/readyz") == 0) ready_answer(service->ready, request);
    else if (reads(request) && strcmp(path, "/metrics") == 0) route_metrics(service, request);
    else if (!pages_answer(request)) route_api(service, request, false);
}
