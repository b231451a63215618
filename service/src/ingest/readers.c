#define _GNU_SOURCE /* strdup */
#include "ingest/readers.h"

#include <stdlib.h>
#include <string.h>

enum {
    QUEUES = 64,  /* of an app, as bits of a mask; if there are more, all dynos read */
    DYNOS = 1000, /* of an app; the same */
    APPS = 10000, /* the same */
    GONE_S = 15 * 60,
};

struct queue {
    char *source, *reader;
    int64_t read_s;
};

struct dyno {
    char *name;
    uint64_t queues;         /* the queues that it reported when it last read */
    int64_t read_s, heard_s; /* when it last read; when it last reported at all */
};

struct app {
    int64_t id;
    int queue_count, dyno_count;
    struct queue queues[QUEUES];
    struct dyno *dynos;
};

struct readers {
    int app_count;
    struct app **apps; /* by id */
};

struct readers *readers_new(void) {
    return calloc(1, sizeof(struct readers));
}

static void free_app(struct app *app) {
    for (int i = 0; i < app->queue_count; i++) {
        free(app->queues[i].source);
        free(app->queues[i].reader);
    }
    for (int i = 0; i < app->dyno_count; i++) free(app->dynos[i].name);
    free(app->dynos);
    free(app);
}

void readers_free(struct readers *readers) {
    if (!readers) return;
    for (int i = 0; i < readers->app_count; i++) free_app(readers->apps[i]);
    free(readers->apps);
    free(readers);
}

/* Each returns NULL, or -1, without memory and if there are too many. */

static struct app *find_app(struct readers *readers, int64_t id) {
    int low = 0, high = readers->app_count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (readers->apps[middle]->id < id) low = middle + 1;
        else high = middle;
    }
    if (low < readers->app_count && readers->apps[low]->id == id) return readers->apps[low];
    if (readers->app_count == APPS) return NULL;
    struct app **apps =
        realloc(readers->apps, ((size_t)readers->app_count + 1) * sizeof(struct app *));
    if (apps) readers->apps = apps;
    struct app *app = apps ? calloc(1, sizeof *app) : NULL;
    if (!app) return NULL;
    app->id = id;
    memmove(apps + low + 1, apps + low, (size_t)(readers->app_count++ - low) * sizeof *apps);
    apps[low] = app;
    return app;
}

static void remove_gone(struct app *app, int64_t now_s) {
    int kept = 0;
    for (int i = 0; i < app->dyno_count; i++) {
        if (app->dynos[i].heard_s > now_s - GONE_S) app->dynos[kept++] = app->dynos[i];
        else free(app->dynos[i].name);
    }
    app->dyno_count = kept;
}

static struct dyno *find_dyno(struct app *app, const char *name, int64_t now_s) {
    for (int i = 0; i < app->dyno_count; i++)
        if (strcmp(app->dynos[i].name, name) == 0) return &app->dynos[i];
    remove_gone(app, now_s);
    if (app->dyno_count == DYNOS) return NULL;
    struct dyno *dynos = realloc(app->dynos, ((size_t)app->dyno_count + 1) * sizeof *dynos);
    if (dynos) app->dynos = dynos;
    char *copy = dynos ? strdup(name) : NULL;
    if (!copy) return NULL;
    dynos[app->dyno_count] = (struct dyno){.name = copy};
    return &dynos[app->dyno_count++];
}

static int find_queue(struct app *app, const char *source) {
    for (int i = 0; i < app->queue_count; i++)
        if (strcmp(app->queues[i].source, source) == 0) return i;
    if (app->queue_count == QUEUES) return -1;
    struct queue queue = {.source = strdup(source), .reader = strdup("")};
    if (queue.source && queue.reader) {
        app->queues[app->queue_count] = queue;
        return app->queue_count++;
    }
    free(queue.source);
    free(queue.reader);
    return -1;
}

/* Whether the dyno is the queue's reader, or has to become it. */
static bool is_needed(const struct queue *queue, const char *dyno, int64_t now_s) {
    return strcmp(queue->reader, dyno) == 0 || queue->read_s < now_s - READERS_LOST_S;
}

static bool is_of_queue(const struct report_series *series) {
    bool read = series->signal == SIGNAL_WAIT || signal_is_level(series->signal);
    return read && series->part_count > 0 && strcmp(series->source, "web") != 0;
}

/* The queues of which the report has readings, as bits. Makes the dyno the reader of those that
 * need one. False: it can't be told. */
static bool take_readings(struct app *app, const struct report *report, uint64_t *found) {
    *found = 0;
    for (int i = 0; i < report->series_count; i++) {
        if (!is_of_queue(&report->series[i])) continue;
        int number = find_queue(app, report->series[i].source);
        if (number < 0) return false;
        struct queue *queue = &app->queues[number];
        *found |= (uint64_t)1 << number;
        if (!is_needed(queue, report->dyno, report->arrived_s)) continue;
        char *reader = strdup(report->dyno);
        if (!reader) return false;
        free(queue->reader);
        queue->reader = reader;
        queue->read_s = report->arrived_s;
    }
    return true;
}

bool readers_ask(struct readers *readers, int64_t id, const struct report *report) {
    int64_t now_s = report->arrived_s;
    struct app *app = report->dyno[0] ? find_app(readers, id) : NULL;
    struct dyno *dyno = app ? find_dyno(app, report->dyno, now_s) : NULL;
    uint64_t found;
    if (!dyno || !take_readings(app, report, &found)) return true;
    dyno->heard_s = now_s;
    if (found) {
        dyno->queues = found;
        dyno->read_s = now_s;
    }
    if (!dyno->queues || dyno->read_s <= now_s - READERS_LOOK_AGAIN_S) return true;
    for (int i = 0; i < app->queue_count; i++)
        if (dyno->queues >> i & 1 && is_needed(&app->queues[i], dyno->name, now_s)) return true;
    return false;
}
