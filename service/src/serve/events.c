#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "serve/serve.h"

/*
 * A stream ends after some minutes and the page opens a new one. Every few seconds the pool checks
 * whether the session or token that opened it is still there, and the stream ends if not: another
 * service on the same database may have removed it.
 *
 * The pool makes an app's event once for all streams, for a few apps at a time: so a tick of
 * thousands of apps takes one place in the pool, and requests to the API take turns with it.
 */
enum {
    MADE_AT_ONCE = 8, /* apps: a stream's buffer has room for them */
    STREAM_MOST_MS = 5 * 60000,
    SWEEP_MS = 5000,
    STREAMS_MOST = 1000,
    STREAMS_OF_ONE = 100, /* per person or token, so that nobody takes them all */
};

struct viewer {
    struct viewer *next, **previous;
    struct events *events;
    struct http_stream *stream;
    int64_t app; /* 0: all */
    int64_t ends_ms;
    uint64_t number; /* of all that there ever were */
    struct api_who who;
};

/* An app that changed. Listed once, however often it changed, and keeps its place. */
struct changed {
    int64_t app; /* first: they are found by it */
    struct changed *next;
};

/* Apps whose events are being made. If one changes again meanwhile, it is listed again. */
struct making {
    struct pool_job job;
    struct loop_post post;
    struct events *events;
    int count;
    int64_t apps[MADE_AT_ONCE];
    bool made[MADE_AT_ONCE];
    struct text texts[MADE_AT_ONCE];
};

struct events {
    struct service *service;
    struct viewer *viewers;
    int viewer_count;
    struct changed *first, **last;
    void *by_app; /* a tree of those */
    struct making making;
    bool makes;
    struct loop_timer *sweep;
    uint64_t opened; /* viewers that there ever were */
    struct asking *asking;
};

/* Of viewers whether they may still see what they see. */
struct asking {
    struct pool_job job;
    struct loop_post post;
    struct events *events;
    int count;
    struct sight {
        uint64_t number;
        struct api_who who;
        bool sees;
    } asked[];
};

struct events *events_new(struct service *service) {
    struct events *events = calloc(1, sizeof *events);
    if (!events) return NULL;
    events->service = service;
    events->last = &events->first;
    return events;
}

/* ---- What changed -----------------------------------------------------------------------------
 */

static int by_app(const void *one, const void *other) {
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

static void add_changed(struct events *events, int64_t app) {
    struct changed *changed = malloc(sizeof *changed);
    if (!changed) return; /* the next tick makes one again */
    *changed = (struct changed){.app = app};
    struct changed **found = tsearch(changed, &events->by_app, by_app);
    if (!found || *found != changed) { /* no memory, or it waits already */
        free(changed);
        return;
    }
    *events->last = changed;
    events->last = &changed->next;
}

static int64_t take_changed(struct events *events) {
    struct changed *changed = events->first;
    int64_t app = changed->app;
    events->first = changed->next;
    if (!events->first) events->last = &events->first;
    tdelete(changed, &events->by_app, by_app);
    free(changed);
    return app;
}

/* Streams have been closed, and told so, before. */
void events_free(struct events *events) {
    if (!events) return;
    if (events->sweep) loop_cancel(events->sweep);
    while (events->first) take_changed(events);
    for (int i = 0; i < MADE_AT_ONCE; i++) text_free(&events->making.texts[i]);
    free(events->asking);
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

static void end_of_number(struct events *events, uint64_t number) {
    for (struct viewer *viewer = events->viewers; viewer; viewer = viewer->next)
        if (viewer->number == number) {
            http_stream_close(viewer->stream);
            return;
        }
}

static void is_asked(void *context) {
    struct asking *asking = context;
    for (int i = 0; i < asking->count; i++)
        if (!asking->asked[i].sees) end_of_number(asking->events, asking->asked[i].number);
    asking->events->asking = NULL;
    free(asking);
}

static void ask(struct pool_job *job, struct store *store) {
    struct asking *asking = (struct asking *)(void *)((char *)job - offsetof(struct asking, job));
    int64_t now_s = ds_clock_wall_ns() / 1000000000;
    for (int i = 0; i < asking->count; i++) {
        struct sight *asked = &asking->asked[i];
        uint64_t failures = store_failures(store);
        asked->sees = api_sees_still(store, &asked->who, now_s) ||
                      store_failures(store) != failures; /* not known: it is asked again */
    }
    asking->post.run = is_asked;
    asking->post.context = asking;
    loop_post(asking->events->service->loop, &asking->post);
}

static void begin_asking(struct events *events) {
    struct asking *asking;
    size_t size = sizeof *asking + (size_t)events->viewer_count * sizeof asking->asked[0];
    if (events->asking || !(asking = calloc(1, size))) return;
    asking->job.run = ask;
    asking->events = events;
    for (struct viewer *viewer = events->viewers; viewer; viewer = viewer->next)
        asking->asked[asking->count++] =
            (struct sight){.number = viewer->number, .who = viewer->who, .sees = true};
    if (pool_add(events->service->pool, &asking->job)) events->asking = asking;
    else free(asking);
}

static void end_old_streams(void *context) {
    struct events *events = context;
    int64_t now_ms = ds_clock_monotonic_ms();
    begin_asking(events);
    for (struct viewer *viewer = events->viewers; viewer; viewer = viewer->next)
        if (now_ms >= viewer->ends_ms) http_stream_close(viewer->stream);
}

static int streams_of(const struct events *events, const char *who) {
    int count = 0;
    for (struct viewer *viewer = events->viewers; viewer; viewer = viewer->next)
        count += strcmp(viewer->who.name, who) == 0;
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
                              .ends_ms = ds_clock_monotonic_ms() + STREAM_MOST_MS,
                              .number = ++events->opened,
                              .who = *who};
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
        /* A client that reads too slowly has to reconnect, and then starts with the current
         * state. */
        if (!http_stream_send(viewer->stream, "app", NULL, event))
            http_stream_close(viewer->stream);
    }
}

static bool anybody_sees(const struct events *events, int64_t app) {
    for (struct viewer *viewer = events->viewers; viewer; viewer = viewer->next)
        if (viewer->app == 0 || viewer->app == app) return true;
    return false;
}

static void make(struct pool_job *job, struct store *store) {
    struct making *making = (struct making *)job;
    int64_t now_s = ds_clock_wall_ns() / 1000000000;
    for (int i = 0; i < making->count; i++) {
        struct text *text = &making->texts[i];
        text_clear(text);
        making->made[i] = api_event(text, store, making->apps[i], now_s) && text->length > 0;
    }
    loop_post(making->events->service->loop, &making->post);
}

static void is_made(void *context);

/* Where the pool is full, the next change begins it again. */
static void make_next(struct events *events) {
    struct making *making = &events->making;
    if (events->makes || events->service->draining) return;
    making->job.run = make;
    making->post.run = is_made;
    making->post.context = making;
    making->events = events;
    making->count = 0;
    while (events->first && making->count < MADE_AT_ONCE) {
        int64_t app = take_changed(events);
        if (anybody_sees(events, app)) making->apps[making->count++] = app;
    }
    if (making->count == 0) return;
    events->makes = pool_add(events->service->pool, &making->job);
    for (int i = 0; i < making->count && !events->makes; i++) add_changed(events, making->apps[i]);
}

static void is_made(void *context) {
    struct making *making = context;
    struct events *events = making->events;
    for (int i = 0; i < making->count; i++)
        if (making->made[i]) send_to_viewers(events, making->apps[i], making->texts[i].bytes);
    events->makes = false;
    make_next(events);
}

void events_changed(struct events *events, int64_t app) {
    if (events->service->draining || !anybody_sees(events, app)) return;
    add_changed(events, app);
    make_next(events);
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
