/*
 * Runs work that takes seconds on threads of its own, so that nothing waits for it: a few at a
 * time, and stopped if the client leaves.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "serve/serve.h"

enum {
    THREADS = 1,
    MOST_OF_ONE = 2, /* per app, and per caller */
    MOST = 8,
};

struct works_job {
    struct pool_job job; /* first */
    struct works_job *next;
    struct works *works;
    struct api_work *work;
    struct http_request *request; /* NULL: the answer is a stream */
    struct http_stream *stream;   /* NULL: there is none, or it was closed */
    bool streams, done;
    struct api_call call;
    struct loop_post finish_post, progress_post;
    atomic_bool stop, telling; /* telling: progress_post is on its way */
    _Atomic double share;
};

struct works {
    struct service *service;
    struct pool *pool;
    struct works_job *jobs;
    bool ending;
};

struct works *works_new(struct service *service, char *error, size_t size) {
    struct works *works = calloc(1, sizeof *works);
    if (!works) return NULL;
    works->service = service;
    works->pool = pool_new("work", THREADS, MOST, settings_place(&service->settings), error, size);
    if (works->pool) return works;
    free(works);
    return NULL;
}

/* ---- Its end -------------------------------------------------------------------------------- */

static void forget(struct works_job *job) {
    struct works_job **at = &job->works->jobs;
    while (*at != job) at = &(*at)->next;
    *at = job->next;
    job->work->free(job->work);
    api_call_free(&job->call);
    free(job);
}

/* The client has left, or has received everything. */
static void stream_closed(void *context) {
    struct works_job *job = context;
    job->stream = NULL;
    atomic_store(&job->stop, true);
    if (job->done) forget(job);
}

static void finish(void *context) {
    struct works_job *job = context;
    struct api_call *call = &job->call;
    job->done = true;
    if (job->request) {
        http_answer(job->request, call->status, call->type, call->headers.bytes, call->answer.bytes,
                    call->answer.length);
        forget(job);
    } else if (job->stream) {
        http_stream_end(job->stream, call->status < 400 ? "result" : "problem", call->answer.bytes);
    } else {
        forget(job);
    }
}

/* ---- On the pool ---------------------------------------------------------------------------- */

static void tell(void *context) {
    struct works_job *job = context;
    char data[40];
    atomic_store(&job->telling, false);
    if (!job->stream || job->done) return;
    snprintf(data, sizeof data, "{\"done\":%.2f}", atomic_load(&job->share));
    http_stream_send(job->stream, "progress", NULL,
                     data); /* a client that reads slowly misses one */
}

static bool progress(void *context, double done) {
    struct works_job *job = context;
    if (atomic_load(&job->stop)) return false;
    if (!job->streams || done < atomic_load(&job->share) + .01) return true;
    atomic_store(&job->share, done);
    if (!atomic_exchange(&job->telling, true))
        loop_post(job->works->service->loop, &job->progress_post);
    return true;
}

static void run(struct pool_job *pool_job, struct store *store) {
    struct works_job *job = (struct works_job *)pool_job;
    job->call.store = store;
    job->call.now_s = ds_clock_wall_ns() / 1000000000;
    api_work_run(job->work, &job->call);
    loop_post(job->works->service->loop, &job->finish_post);
}

/* ---- Its beginning -------------------------------------------------------------------------- */

/* Why no more work is accepted; NULL: there is room. */
static const char *refusal(const struct works *works, const struct api_work *work, int *status) {
    int all = 0, of_app = 0, of_caller = 0;
    for (const struct works_job *job = works->jobs; job; job = job->next) {
        all++;
        of_app += job->work->app == work->app;
        of_caller += strcmp(job->work->who, work->who) == 0;
    }
    *status = 429;
    if (of_app >= MOST_OF_ONE) return "Two trials of this app run already; wait for one to end.";
    if (of_caller >= MOST_OF_ONE) return "You have two trials run already; wait for one to end.";
    *status = 503;
    return all >= MOST || works->ending ? "Too many trials run already; try again in a moment."
                                        : NULL;
}

static void refuse(struct http_request *request, struct api_work *work, int status,
                   const char *sentence) {
    struct api_call call = {0};
    api_problem(&call, status, "%s", sentence);
    if (status == 429) text_put(&call.headers, "Retry-After: 5\r\n");
    text_put(&call.headers, "Cache-Control: no-store\r\n");
    http_answer(request, status, call.type, call.headers.bytes, call.answer.bytes,
                call.answer.length);
    api_call_free(&call);
    work->free(work);
}

static bool open_stream(struct works_job *job, struct http_request *request) {
    if (!job->streams) {
        job->request = request;
        return true;
    }
    job->stream = http_stream_open(request, stream_closed, job);
    return job->stream != NULL;
}

void works_begin(struct works *works, struct http_request *request, struct api_work *work) {
    int status;
    const char *no_room = refusal(works, work, &status);
    struct works_job *job = no_room ? NULL : calloc(1, sizeof *job);
    if (!job) {
        refuse(request, work, no_room ? status : 503,
               no_room ? no_room : "There is no memory for the work now.");
        return;
    }
    job->job.run = run;
    job->works = works;
    job->work = work;
    job->streams = work->streams;
    job->finish_post = (struct loop_post){.run = finish, .context = job};
    job->progress_post = (struct loop_post){.run = tell, .context = job};
    work->progress = progress;
    work->context = job;
    if (!open_stream(job, request)) {
        work->free(work);
        free(job);
        return;
    }
    job->next = works->jobs;
    works->jobs = job;
    if (pool_add(works->pool, &job->job)) return;
    api_problem(&job->call, 503, "too many trials wait already; try again in a moment");
    loop_post(works->service->loop, &job->finish_post);
}

/* ---- The service ends ----------------------------------------------------------------------- */

void works_stop(struct works *works) {
    works->ending = true;
    for (struct works_job *job = works->jobs; job; job = job->next) atomic_store(&job->stop, true);
    pool_free(works->pool);
    works->pool = NULL;
}

void works_free(struct works *works) {
    if (!works) return;
    if (works->pool) pool_free(works->pool);
    free(works);
}
