/* For each app a list of series, each with its cells, and a list of dynos. */
#define _GNU_SOURCE /* strdup */
#include "ingest/live.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "ingest/cells.h"
#include "ingest/readings.h"
#include "ingest/report.h"
#include "ingest/seconds.h"
#include "ingest/signal.h"
#include "series/part.h"

enum {
    KEPT_S = 15 * 60,
    DYNOS = 5000, /* of an app: with more, somebody makes up names */
    FIRST_PLACES = 64,
};

struct live_series {
    char *source;
    size_t source_length;
    enum signal signal;
    struct cells cells;
};

struct dyno {
    char *name;
    int64_t heard_s;
    struct seconds_dyno counted;
};

struct live_app {
    int64_t id;
    size_t series_count, series_room, dyno_count, dyno_room;
    struct live_series *series;
    struct dyno *dynos;
    struct seconds *seconds; /* NULL: the app is not scaled by the automatic method */
    int64_t seconds_until_s, goal_ms;
};

struct live {
    pthread_mutex_t lock; /* of everything below */
    size_t place_count, app_count;
    struct live_app **places; /* a hash table by the app's id, open addressing; NULL: free */
    struct tally *tally;
    struct sketch sketch;
};

struct live *live_new(void) {
    struct live *live = calloc(1, sizeof *live);
    if (live) live->tally = tally_new();
    if (!live || !live->tally) {
        free(live);
        return NULL;
    }
    pthread_mutex_init(&live->lock, NULL);
    return live;
}

static void free_series(struct live_series *series) {
    cells_free(&series->cells);
    free(series->source);
}

static void free_app(struct live_app *app) {
    for (size_t i = 0; i < app->series_count; i++) free_series(&app->series[i]);
    for (size_t i = 0; i < app->dyno_count; i++) free(app->dynos[i].name);
    free(app->series);
    free(app->dynos);
    free(app->seconds);
    free(app);
}

void live_free(struct live *live) {
    if (!live) return;
    for (size_t i = 0; i < live->place_count; i++)
        if (live->places[i]) free_app(live->places[i]);
    free(live->places);
    free(live->tally);
    pthread_mutex_destroy(&live->lock);
    free(live);
}

/* ---- Apps ---------------------------------------------------------------------------------- */

static size_t place_of(const struct live *live, int64_t id) {
    size_t place = (size_t)((uint64_t)id * 0x9E3779B97F4A7C15u >> 32) & (live->place_count - 1);
    while (live->places[place] && live->places[place]->id != id)
        place = (place + 1) & (live->place_count - 1);
    return place;
}

static struct live_app *find_app(const struct live *live, int64_t id) {
    return live->place_count ? live->places[place_of(live, id)] : NULL;
}

static bool resize(struct live *live, size_t count) {
    struct live_app **old = live->places;
    size_t before = live->place_count;
    struct live_app **places = calloc(count, sizeof *places);
    if (!places) return false;
    live->places = places;
    live->place_count = count;
    for (size_t i = 0; i < before; i++)
        if (old[i]) live->places[place_of(live, old[i]->id)] = old[i];
    free(old);
    return true;
}

static struct live_app *make_app(struct live *live, int64_t id) {
    struct live_app *app = find_app(live, id);
    if (app) return app;
    if (live->app_count * 2 >= live->place_count &&
        !resize(live, live->place_count ? live->place_count * 2 : FIRST_PLACES))
        return NULL;
    app = calloc(1, sizeof *app);
    if (!app) return NULL;
    app->id = id;
    live->places[place_of(live, id)] = app;
    live->app_count++;
    return app;
}

/* After a removal: moves the apps behind the freed place to where a search finds them. */
static void put_again(struct live *live, size_t place) {
    for (;;) {
        place = (place + 1) & (live->place_count - 1);
        struct live_app *app = live->places[place];
        if (!app) return;
        live->places[place] = NULL;
        live->places[place_of(live, app->id)] = app;
    }
}

void live_forget_app(struct live *live, int64_t id) {
    pthread_mutex_lock(&live->lock);
    struct live_app *app = find_app(live, id);
    if (app) {
        size_t place = place_of(live, id);
        live->places[place] = NULL;
        live->app_count--;
        free_app(app);
        put_again(live, place);
    }
    pthread_mutex_unlock(&live->lock);
}

void live_forget_all(struct live *live) {
    pthread_mutex_lock(&live->lock);
    for (size_t i = 0; i < live->place_count; i++) {
        if (live->places[i]) free_app(live->places[i]);
        live->places[i] = NULL;
    }
    live->app_count = 0;
    pthread_mutex_unlock(&live->lock);
}

/* ---- What comes in ------------------------------------------------------------------------- */

static struct live_series *make_series(struct live_app *app, const char *source,
                                       enum signal signal) {
    size_t length = strlen(source);
    for (size_t i = 0; i < app->series_count; i++) {
        struct live_series *series = &app->series[i];
        if (series->signal == signal && series->source_length == length &&
            memcmp(series->source, source, length) == 0)
            return series;
    }
    void *array =
        array_grown(app->series, &app->series_room, app->series_count + 1, sizeof *app->series);
    char *name = strdup(source);
    if (array) app->series = array;
    if (!array || !name) {
        free(name);
        return NULL;
    }
    struct live_series *series = &app->series[app->series_count++];
    *series = (struct live_series){.source = name, .source_length = length, .signal = signal};
    return series;
}

bool live_add(struct live *live, int64_t id, const char *source, const char *name,
              const struct part *part) {
    enum signal signal = signal_by_name(name, strlen(name));
    if (signal == SIGNAL_UNKNOWN) return true;
    pthread_mutex_lock(&live->lock);
    struct live_app *app = make_app(live, id);
    struct live_series *series = app ? make_series(app, source, signal) : NULL;
    bool added = series && cells_add(&series->cells, part, live->tally);
    pthread_mutex_unlock(&live->lock);
    return added;
}

static bool heard(struct live_app *app, const char *name, int64_t heard_s) {
    for (size_t i = 0; i < app->dyno_count; i++) {
        if (strcmp(app->dynos[i].name, name) != 0) continue;
        if (heard_s > app->dynos[i].heard_s) app->dynos[i].heard_s = heard_s;
        return true;
    }
    if (app->dyno_count == DYNOS) return true;
    void *array = array_grown(app->dynos, &app->dyno_room, app->dyno_count + 1, sizeof *app->dynos);
    char *copy = strdup(name);
    if (array) app->dynos = array;
    if (!array || !copy) {
        free(copy);
        return false;
    }
    app->dynos[app->dyno_count++] = (struct dyno){.name = copy, .heard_s = heard_s};
    return true;
}

bool live_heard(struct live *live, int64_t id, const char *name, int64_t heard_s) {
    pthread_mutex_lock(&live->lock);
    struct live_app *app = make_app(live, id);
    bool noted = app && heard(app, name, heard_s);
    pthread_mutex_unlock(&live->lock);
    return noted;
}

/* The store does not have what is counted per second and dyno, so it is carried over. */
static void keep_seconds(struct live_app *to, struct live_app *from) {
    to->seconds = from->seconds;
    to->seconds_until_s = from->seconds_until_s;
    to->goal_ms = from->goal_ms;
    from->seconds = NULL;
    for (size_t i = 0; i < to->dyno_count; i++)
        for (size_t j = 0; j < from->dyno_count; j++)
            if (strcmp(to->dynos[i].name, from->dynos[j].name) == 0)
                to->dynos[i].counted = from->dynos[j].counted;
}

void live_take(struct live *live, struct live *other) {
    pthread_mutex_lock(&live->lock);
    for (size_t i = 0; i < other->place_count; i++) {
        struct live_app *to = other->places[i], *from = to ? find_app(live, to->id) : NULL;
        if (from) keep_seconds(to, from);
    }
    struct live_app **places = live->places;
    size_t place_count = live->place_count, app_count = live->app_count;
    live->places = other->places;
    live->place_count = other->place_count;
    live->app_count = other->app_count;
    other->places = places;
    other->place_count = place_count;
    other->app_count = app_count;
    pthread_mutex_unlock(&live->lock);
    live_free(other);
}

void live_report(struct live *live, int64_t id, const struct report *report) {
    pthread_mutex_lock(&live->lock);
    struct live_app *app = find_app(live, id);
    for (size_t i = 0; app && app->seconds && i < app->dyno_count; i++)
        if (strcmp(app->dynos[i].name, report->dyno) == 0)
            seconds_report(app->seconds, &app->dynos[i].counted, report, app->goal_ms);
    pthread_mutex_unlock(&live->lock);
}

/* ---- What is over -------------------------------------------------------------------------- */

static void expire_app(struct live_app *app, int64_t now_s) {
    size_t kept = 0;
    for (size_t i = 0; i < app->series_count; i++) {
        struct live_series *series = &app->series[i];
        if (cells_forget(&series->cells, now_s - KEPT_S)) app->series[kept++] = *series;
        else free_series(series);
    }
    app->series_count = kept;
    kept = 0;
    for (size_t i = 0; i < app->dyno_count; i++) {
        if (app->dynos[i].heard_s > now_s - KEPT_S) app->dynos[kept++] = app->dynos[i];
        else free(app->dynos[i].name);
    }
    app->dyno_count = kept;
}

void live_expire(struct live *live, int64_t now_s) {
    pthread_mutex_lock(&live->lock);
    for (size_t i = 0; i < live->place_count; i++)
        if (live->places[i]) expire_app(live->places[i], now_s);
    pthread_mutex_unlock(&live->lock);
}

/* ---- What rules read ----------------------------------------------------------------------- */

static bool counts(const struct live_series *series, const struct rule *rule, bool web) {
    bool is_web = series->source_length == 3 && memcmp(series->source, "web", 3) == 0;
    if (rule->queue_count == 0) return is_web == web;
    return !is_web && rule_counts_queue(rule, series->source, series->source_length);
}

static int64_t statistic(const struct sketch *sketch, enum rule_statistic which) {
    switch (which) {
    case RULE_P50:
        return sketch_percentile(sketch, 500);
    case RULE_P75:
        return sketch_percentile(sketch, 750);
    case RULE_P90:
        return sketch_percentile(sketch, 900);
    case RULE_P95:
        return sketch_percentile(sketch, 950);
    case RULE_P99:
        return sketch_percentile(sketch, 990);
    case RULE_MEAN:
        return sketch_mean(sketch);
    }
    return -1;
}

/* Of two equal values, the series whose name sorts first wins, not the one that came first. */
static bool worse(int64_t value, const struct live_series *series,
                  const struct live_measure *than) {
    if (value != than->value_ms) return value > than->value_ms;
    return value >= 0 && strcmp(series->source, than->source) < 0;
}

struct live_measure live_measure(struct live *live, int64_t id, const struct rule *rule, bool web,
                                 int64_t from_s, int64_t to_s) {
    struct live_measure worst = {.value_ms = -1};
    int64_t threshold = rule->method == RULE_AUTOMATIC ? rule->goal_ms : rule->up.threshold_ms;
    pthread_mutex_lock(&live->lock);
    const struct live_app *app = find_app(live, id);
    for (size_t i = 0; app && i < app->series_count; i++) {
        const struct live_series *series = &app->series[i];
        if (series->signal != SIGNAL_WAIT || !counts(series, rule, web)) continue;
        sketch_clear(&live->sketch);
        cells_into_sketch(&live->sketch, &series->cells, from_s, to_s);
        int64_t value = statistic(&live->sketch, rule->statistic);
        if (!worse(value, series, &worst)) continue;
        worst.value_ms = value;
        worst.samples = (int64_t)live->sketch.count;
        worst.above = (int64_t)sketch_above(&live->sketch, threshold);
        memcpy(worst.source, series->source, series->source_length + 1);
    }
    pthread_mutex_unlock(&live->lock);
    return worst;
}

int64_t live_signal(struct live *live, int64_t id, const struct rule *rule, bool web,
                    const char *name, int64_t from_s, int64_t to_s) {
    enum signal signal = signal_by_name(name, strlen(name));
    int64_t sum = -1;
    pthread_mutex_lock(&live->lock);
    const struct live_app *app = find_app(live, id);
    for (size_t i = 0; app && i < app->series_count; i++) {
        const struct live_series *series = &app->series[i];
        if (series->signal != signal || !counts(series, rule, web)) continue;
        int64_t value = -1;
        if (signal_is_level(signal)) {
            value = cells_newest_level(&live->sketch, &series->cells, from_s, to_s);
        } else {
            sketch_clear(&live->sketch);
            cells_into_sketch(&live->sketch, &series->cells, from_s, to_s);
            if (live->sketch.count > 0) value = (int64_t)live->sketch.sum;
        }
        if (value >= 0) sum = (sum < 0 ? 0 : sum) + value;
    }
    pthread_mutex_unlock(&live->lock);
    return sum;
}

/* Whether a dyno is of a process type: Heroku's "web.1", "web-12a34b56d-e78f9" and pods, Scalingo's
 * "web-1": the type, and up to two words more. */
static bool is_of_type(const char *dyno, const char *type) {
    size_t length = strlen(type);
    if (strncmp(dyno, type, length) != 0) return false;
    const char *rest = dyno + length;
    if (*rest == '.') return !strchr(rest + 1, '.');
    if (*rest != '-' || strchr(rest, '.')) return *rest == '\0';
    const char *second = strchr(rest + 1, '-');
    return !second || !strchr(second + 1, '-');
}

int64_t live_heard_at(struct live *live, int64_t id, const char *type) {
    int64_t newest = -1;
    pthread_mutex_lock(&live->lock);
    const struct live_app *app = find_app(live, id);
    for (size_t i = 0; app && i < app->dyno_count; i++)
        if (app->dynos[i].heard_s > newest && (!type || is_of_type(app->dynos[i].name, type)))
            newest = app->dynos[i].heard_s;
    pthread_mutex_unlock(&live->lock);
    return newest;
}

int live_dynos(struct live *live, int64_t id, const char *type, int64_t since_s) {
    int count = 0;
    pthread_mutex_lock(&live->lock);
    const struct live_app *app = find_app(live, id);
    for (size_t i = 0; app && i < app->dyno_count; i++)
        count += app->dynos[i].heard_s >= since_s && app->dynos[i].name[0] &&
                 (!type || is_of_type(app->dynos[i].name, type));
    pthread_mutex_unlock(&live->lock);
    return count;
}

bool live_knows(struct live *live, int64_t id, const char *dyno) {
    bool known = false;
    pthread_mutex_lock(&live->lock);
    const struct live_app *app = find_app(live, id);
    for (size_t i = 0; app && i < app->dyno_count && !known; i++)
        known = strcmp(app->dynos[i].name, dyno) == 0;
    pthread_mutex_unlock(&live->lock);
    return known;
}

/* ---- What the automatic method reads -------------------------------------------------------- */

/* How many seconds ago all processes had reported. If a dyno has several processes, each report
 * covers only its own process's requests. */
static int lag_of(const struct live_app *app, int64_t report_s) {
    int several = 0, dynos = 0;
    for (size_t i = 0; i < app->dyno_count; i++) {
        double apart = app->dynos[i].counted.reports_apart;
        dynos += apart > 0;
        several += apart > 0 && apart < .6 * (double)report_s;
    }
    return 2 * several > dynos ? (int)(report_s < 60 ? report_s : 60) : 0;
}

static int up_of(const struct situation *situation) {
    if (situation->up >= 0) return (int)situation->up;
    if (situation->ordered >= 0 && situation->booting >= 0)
        return (int)(situation->ordered - situation->booting);
    return (int)situation->dynos_heard;
}

void live_seconds(struct live *live, int64_t id, int64_t goal_ms, struct situation *situation) {
    int64_t now_s = situation->now;
    int up = up_of(situation);
    pthread_mutex_lock(&live->lock);
    struct live_app *app = make_app(live, id);
    if (app && !app->seconds) {
        app->seconds = calloc(1, sizeof *app->seconds);
        app->seconds_until_s = now_s;
    }
    if (app && app->seconds) {
        app->goal_ms = goal_ms;
        seconds_formation(app->seconds, app->seconds_until_s, now_s, up);
        app->seconds_until_s = now_s;
        if (app->dyno_count > 0)
            seconds_screen(app->seconds, &app->dynos[0].counted, app->dyno_count,
                           sizeof *app->dynos, now_s, up);
        seconds_measure(app->seconds, now_s, lag_of(app, situation->report_s), situation);
    }
    pthread_mutex_unlock(&live->lock);
}

/* ---- Job queues ----------------------------------------------------------------------------- */

/* A queue's recent readings: its age and, if reported, its depth. */
static struct readings readings_of(struct live *live, const struct live_app *app,
                                   const struct live_series *queue, int64_t now_s) {
    struct readings readings = {.count = 0};
    int64_t from_s = now_s - JOBS_CURVE_S + 1;
    cells_each_level(&live->sketch, &queue->cells, from_s, now_s + 1, readings_note_age, &readings);
    for (size_t i = 0; i < app->series_count; i++) {
        const struct live_series *series = &app->series[i];
        if (series->signal == SIGNAL_DEPTH && series->source_length == queue->source_length &&
            memcmp(series->source, queue->source, queue->source_length) == 0)
            cells_each_level(&live->sketch, &series->cells, from_s, now_s + 1, readings_note_depth,
                             &readings);
    }
    return readings;
}

void live_jobs(struct live *live, int64_t id, const struct rule *rule,
               struct situation *situation) {
    int64_t now_s = situation->now, recent_s = now_s - 3 * situation->report_s;
    bool counted = true;
    pthread_mutex_lock(&live->lock);
    const struct live_app *app = find_app(live, id);
    for (size_t i = 0; app && i < app->series_count; i++) {
        const struct live_series *series = &app->series[i];
        if (series->signal != SIGNAL_WAIT || !counts(series, rule, false)) continue;
        struct readings readings = readings_of(live, app, series, now_s);
        if (readings.count == 0 || readings.reading[readings.count - 1].at_s < recent_s) continue;
        counted = readings_into_situation(&readings, situation) && counted;
    }
    pthread_mutex_unlock(&live->lock);
    if (!counted) situation->jobs_waiting = situation->jobs_arrive = situation->jobs_start = -1;
}
