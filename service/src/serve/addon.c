/* Runs the remaining work for Heroku's add-ons on the pool: a second after the answer, and again
 * later if it fails. */
#include <stdlib.h>

#include "addon/addon.h"
#include "clock.h"
#include "serve/serve.h"

enum { EVERY_MS = 1000 };

struct addon_job {
    struct pool_job job;
    struct loop_post post;
    struct service *service;
    bool changed;
};

static void finish(void *context) {
    struct addon_job *job = context;
    job->service->addon_busy = false;
    if (job->changed) control_changed(job->service->control);
    free(job);
}

static void work(struct pool_job *pool_job, struct store *store) {
    struct addon_job *job = (struct addon_job *)pool_job;
    struct service *service = job->service;
    job->changed =
        addon_work(store, service->keeper, service->public_url, ds_clock_wall_ns() / 1000000000);
    job->post.run = finish;
    job->post.context = job;
    loop_post(service->loop, &job->post);
}

static void look(void *context) {
    struct service *service = context;
    if (service->addon_busy || service->draining) return;
    struct addon_job *job = calloc(1, sizeof *job);
    if (!job) return;
    job->job.run = work;
    job->service = service;
    service->addon_busy = pool_add(service->pool, &job->job);
    if (!service->addon_busy) free(job);
}

bool addon_begin(struct service *service) {
    if (!*addon_settings()->id) return true;
    service->addon_timer = loop_every(service->loop, EVERY_MS, look, service);
    return service->addon_timer != NULL;
}
