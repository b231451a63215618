#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "serve/serve.h"

/*
 * A stream ends after some minutes, and the page opens a new one: so who may no longer see an app
 * does not for long. The event of an app is made once for all streams, on the pool.
 */
enum {
    STREAM_MOST_MS = 5 * 60000,
    SWEEP_MS = 5000,
    STREAMS_MOST = 1000,
    STREAMS_OF_ONE = 100, /* person or token: nobody takes all of them */
};

struct viewer {
    struct viewer *next, **previous;
    struct events *events;
    struct http_stream *stream;
    int64_t app; /* 0: all */
    int64_t ends_ms;
    char who[128];
};

/* An app whose event is being made, so that changes meanwhile make one more and not many. */
struct making {
    struct making *next;
    struct pool_job job;
    struct loop_post post;
    struct events *events;
    int64_t app;
    bool again, made;
    struct text event;
};

struct events {
    struct service *service;
    struct viewer *viewers;
    int viewer_count;
    struct making *makings;
    struct loop_timer *sweep;
};

struct events *events_new(struct service *service) {
    struct events *events = calloc(1, sizeof *events);
    if (events) events->service = service;
    return events;
}

/* Streams have been closed, and told so, before. */
void events_free(struct events *events) {
    if (!events) return;
    if (events->sweep) loop_cancel(events->sweep);
    free(events);
}

/* ---- Viewers ----------------------------------------------------------------------------------
 */

static void viewer_left(void *context) {
    struct viewer *viewer = context;
    struct events *events = viewer->events;
    *viewer->previous = viewer->next;
    if (viewer->next) viewer->next->previous = viewer->previous;
    free(viewer);
    if (--events->viewer_count > 0) return;
    loop_cancel(events->sweep);
    events->sweep = NULL;
}

static void end_old_streams(void *context) {
    struct events *events = context;
    int64_t now_ms = ds_clock_monotonic_ms();
    for (struct viewer *viewer = events->viewers; viewer; viewer = viewer->next)
        if (now_ms >= viewer->ends_ms) http_stream_close(viewer->stream);
}

static int streams_of(const struct events *events, const char *who) {
    int count = 0;
    for (struct viewer *viewer = events->viewers; viewer; viewer = viewer->next)
        count += strcmp(viewer->who, who) == 0;
    return count;
}

void events_open(struct events *events, struct http_request *request, const struct api_who *who,
                 int64_t app) {
    if (streams_of(events, who->name) >= STREAMS_OF_ONE) {
        route_busy(request, "You have as many streams of events open as one may: close some.");
        return;
    }
    struct viewer *viewer = events->viewer_count < STREAMS_MOST ? calloc(1, sizeof *viewer) : NULL;
    if (viewer && !events->sweep)
        events->sweep = loop_every(events->service->loop, SWEEP_MS, end_old_streams, events);
    if (!viewer || !events->sweep) {
        free(viewer);
        route_busy(request, "Too many streams of events are open already.");
        return;
    }
    *viewer = (struct viewer){.next = events->viewers,
                              .previous = &events->viewers,
                              .events = events,
                              .app = app,
                              .ends_ms = ds_clock_monotonic_ms() + STREAM_MOST_MS};
    snprintf(viewer->who, sizeof viewer->who, "%s", who->name);
    viewer->stream = http_stream_open(request, viewer_left, viewer);
    if (!viewer->stream) {
        free(viewer);
        return;
    }
    if (viewer->next) viewer->next->previous = &viewer->next;
    events->viewers = viewer;
    events->viewer_count++;
}

/* ---- Events -----------------------------------------------------------------------------------
 */

static void send_to_viewers(struct events *events, int64_t app, const char *event) {
    for (struct viewer *viewer = events->viewers; viewer; viewer = viewer->next) {
        if (viewer->app != 0 && viewer->app != app) continue;
        /* Who reads too slowly opens a new stream, and begins with what is true then. */
        if (!http_stream_send(viewer->stream, "app", NULL, event))
            http_stream_close(viewer->stream);
    }
}

static void is_made(void *context) {
    struct making *making = context, **at = &making->events->makings;
    struct events *events = making->events;
    if (making->made && !making->event.failed && making->event.bytes)
        send_to_viewers(events, making->app, making->event.bytes);
    while (*at != making) at = &(*at)->next;
    *at = making->next;
    bool again = making->again;
    int64_t app = making->app;
    text_free(&making->event);
    free(making);
    if (again) events_changed(events, app);
}

static void make(struct pool_job *job, struct store *store) {
    struct making *making = (struct making *)(void *)((char *)job - offsetof(struct making, job));
    making->made = api_event(&making->event, store, making->app, ds_clock_wall_ns() / 1000000000);
    making->post.run = is_made;
    making->post.context = making;
    loop_post(making->events->service->loop, &making->post);
}

static bool anybody_sees(const struct events *events, int64_t app) {
    for (struct viewer *viewer = events->viewers; viewer; viewer = viewer->next)
        if (viewer->app == 0 || viewer->app == app) return true;
    return false;
}

void events_changed(struct events *events, int64_t app) {
    if (events->service->draining || !anybody_sees(events, app)) return;
    for (struct making *making = events->makings; making; making = making->next)
        if (making->app == app) {
            making->again = true;
            return;
        }
    struct making *making = calloc(1, sizeof *making);
    if (!making) return; /* the next tick makes one again */
    making->job.run = make;
    making->events = events;
    making->app = app;
    making->next = events->makings;
    events->makings = making;
    if (pool_add(events->service->pool, &making->job)) return;
    events->makings = making->next;
    free(making);
}

struct change {
    struct loop_post post;
    struct events *events;
    int64_t app;
};

static void change_arrived(void *context) {
    struct change *change = context;
    events_changed(change->events, change->app);
    free(change);
}

void events_changed_elsewhere(void *context, int64_t app) {
    struct events *events = context;
    struct change *change = calloc(1, sizeof *change);
    if (!change) return;
    *change = (struct change){.events = events, .app = app};
    change->post.run = change_arrived;
    change->post.context = change;
    loop_post(events->service->loop, &change->post);
}
