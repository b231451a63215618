/*
 * `dynoscaled serve`: what is started in which order, where a request goes, how it all ends.
 *
 * Reading order: serve.c (start, drain), route.c (request → report, API, health, metrics),
 * events.c (streams), works.c (what takes seconds), metrics.c, ready.c.
 */
#ifndef SERVE_H
#define SERVE_H

#include <stdatomic.h>

#include "api/api.h"
#include "control/control.h"
#include "http/http.h"
#include "ingest/ingest.h"
#include "ingest/live.h"
#include "keeper/process.h"
#include "loop.h"
#include "notify/notify.h"
#include "pool.h"
#include "settings.h"
#include "store/store.h"

struct events;
struct ready;
struct works;

struct service {
    struct settings settings;
    char public_url[SETTINGS_TEXT_SIZE];
    int64_t started_s;
    int lock_fd;
    bool shared; /* other services may be on the same data */
    struct loop *loop;
    struct keeper *keeper;
    struct live *live;
    struct ingest *ingest;
    struct control *control;
    struct notify *notify;
    struct pool *pool; /* "api" */
    struct http_server *http;
    struct events *events;
    struct ready *ready;
    struct works *works;
    struct loop_timer *drain_timer, *addon_timer;
    bool addon_busy; /* work for add-ons is under way */
    bool draining;
    bool failed;          /* it ends because it can't go on */
    _Atomic bool cut_off; /* the drain took too long: what the API has not begun stays undone */
    struct store_replaced replaced;
    struct loop_post replaced_post;
    atomic_flag replaced_told;
};

/* The whole life: returns the exit status. */
int serve(const struct settings *settings);

/* route.c: answers a request, now or later. */
void route_request(void *service, struct http_request *request);

/* addon.c: does due work for Heroku's add-ons, once a second. False without memory. */
bool addon_begin(struct service *service);

/* Answers that the API can't be used now. */
void route_busy(struct http_request *request, const char *sentence);

/* lock.c: takes DIR/lock, so that no two services use one folder; makes the folder. The descriptor,
 * which holds the lock until it is closed; -1 with a sentence. */
int lock_folder(const char *folder, char *error, size_t size);

/* events.c: the streams of events. */
struct events *events_new(struct service *service);
void events_free(struct events *events);
/* Opens a stream instead of answering: events of one app, or of all (0), for a caller who may see
 * that app, or all. */
void events_open(struct events *events, struct http_request *request, const struct api_who *who,
                 int64_t app);
/* Something about the app changed: makes and sends its event. On the loop's thread. */
void events_changed(struct events *events, int64_t app);
void events_changed_elsewhere(void *events, int64_t app); /* any thread */

/* works.c: what takes seconds, on a thread of its own. NULL with a sentence. */
struct works *works_new(struct service *service, char *error, size_t size);
/* Takes over the work, and the request, which is answered when the work is done. On the loop's
 * thread. */
void works_begin(struct works *works, struct http_request *request, struct api_work *work);
/* Stops all running work and waits for it; after that posts must run before works_free. */
void works_stop(struct works *works);
void works_free(struct works *works);

/* metrics.c: of the service, as Prometheus reads them. */
void metrics_write(struct text *text, struct service *service);

/* ready.c: answers /readyz. */
struct ready *ready_new(struct service *service);
void ready_free(struct ready *ready);
void ready_answer(struct ready *ready, struct http_request *request);

#endif
