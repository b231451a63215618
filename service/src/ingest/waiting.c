#include "ingest/waiting.h"

#include <stdlib.h>

#include "ingest/commit.h"

enum { BUCKETS = 1024 };

/* An app with reports that wait or are being committed. */
struct app {
    struct app *next;      /* in its bucket */
    struct app *next_turn; /* among the apps with reports to take */
    int64_t number;
    size_t bytes;
    struct commit_item *first, **last;
};

struct waiting {
    size_t most_bytes, bytes;
    struct app *buckets[BUCKETS];
    struct app *first_turn, **last_turn;
};

struct waiting *waiting_new(size_t most_bytes) {
    struct waiting *waiting = calloc(1, sizeof *waiting);
    if (!waiting) return NULL;
    waiting->most_bytes = most_bytes;
    waiting->last_turn = &waiting->first_turn;
    return waiting;
}

void waiting_free(struct waiting *waiting) {
    if (!waiting) return;
    for (int i = 0; i < BUCKETS; i++)
        while (waiting->buckets[i]) {
            struct app *next = waiting->buckets[i]->next;
            free(waiting->buckets[i]);
            waiting->buckets[i] = next;
        }
    free(waiting);
}

/* Where the app is, or would be put. App ids count up, so they spread evenly over the buckets. */
static struct app **place_of(struct waiting *waiting, int64_t number) {
    struct app **at = &waiting->buckets[(uint64_t)number % BUCKETS];
    while (*at && (*at)->number != number) at = &(*at)->next;
    return at;
}

bool waiting_has_room(const struct waiting *waiting, int64_t app, size_t bytes) {
    const struct app *found = *place_of((struct waiting *)waiting, app);
    size_t free_bytes =
        waiting->most_bytes > waiting->bytes ? waiting->most_bytes - waiting->bytes : 0;
    return (found ? found->bytes : 0) + bytes <= free_bytes;
}

static void line_up(struct waiting *waiting, struct app *app) {
    app->next_turn = NULL;
    *waiting->last_turn = app;
    waiting->last_turn = &app->next_turn;
}

bool waiting_add(struct waiting *waiting, struct commit_item *item) {
    if (!waiting_has_room(waiting, item->app, item->bytes)) return false;
    struct app **place = place_of(waiting, item->app), *app = *place;
    if (!app) {
        app = *place = calloc(1, sizeof *app);
        if (!app) return false;
        app->number = item->app;
        app->last = &app->first;
    }
    if (!app->first) line_up(waiting, app);
    item->next = NULL;
    *app->last = item;
    app->last = &item->next;
    app->bytes += item->bytes;
    waiting->bytes += item->bytes;
    return true;
}

bool waiting_any(const struct waiting *waiting) { return waiting->first_turn != NULL; }

/* Takes the oldest report of the app whose turn it is. */
static struct commit_item *take_one(struct waiting *waiting) {
    struct app *app = waiting->first_turn;
    struct commit_item *item = app->first;
    waiting->first_turn = app->next_turn;
    if (!waiting->first_turn) waiting->last_turn = &waiting->first_turn;
    app->first = item->next;
    if (app->first) line_up(waiting, app);
    else app->last = &app->first;
    return item;
}

struct commit_item *waiting_take(struct waiting *waiting, size_t bytes) {
    struct commit_item *first = NULL, **last = &first;
    for (size_t taken = 0; waiting_any(waiting) && (!first || taken < bytes);) {
        struct commit_item *item = take_one(waiting);
        taken += item->bytes;
        *last = item;
        last = &item->next;
    }
    *last = NULL;
    return first;
}

void waiting_release(struct waiting *waiting, const struct commit_item *item) {
    struct app **place = place_of(waiting, item->app), *app = *place;
    if (!app) return;
    waiting->bytes -= item->bytes;
    app->bytes -= item->bytes;
    if (app->bytes > 0 || app->first) return;
    *place = app->next;
    free(app);
}

size_t waiting_bytes(const struct waiting *waiting) { return waiting->bytes; }
