/*
 * A chart is made of up to three kinds of windows: old coarse ones, finer ones, and parts that are
 * not folded yet, in order of time. A step that equals one stored window is written from the
 * window's point; only other steps need sketches.
 */
#include "series/query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "ingest/signal.h"
#include "series/chunk.h"
#include "series/part.h"
#include "store/series.h"

enum { POINTS = 20000, STEPS = 100000 };

struct stored_part {
    int64_t start_s;
    uint8_t *data;
    size_t length;
};

struct chart {
    struct text *text;
    struct store *store;
    int64_t app, series, from_s, to_s, step_s;
    bool waits; /* percentiles, else sums */
    /* Called instead of writing points; NULL: points are written. */
    void (*each)(void *context, int64_t at_s, const struct sketch *sketch);
    void *context;

    int64_t at_s; /* the step being put together; earlier ones are written */
    int64_t high; /* the leading digits of the last step's time, without the last four */
    char high_digits[20];
    size_t high_length;
    struct sketch sketch; /* of it */

    size_t part_count, part_room, next_part;
    struct stored_part *parts; /* in the order of time */

    int level;             /* of the chunks being read */
    struct chunk *chunk;   /* NULL until sketches are needed */
    int64_t low_s, high_s; /* the range in which windows count */
};

/* ---- Writing ------------------------------------------------------------------------------- */

/* Two digits at a time: most of the time for a chart goes into writing numbers. */
static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";

enum { POINT_SIZE = 256 };

static char *put_pair(char *at, uint64_t value) {
    memcpy(at, pairs + value * 2, 2);
    return at + 2;
}

static char *put_number(char *at, uint64_t value) {
    if (value >= 10000) {
        at = put_number(at, value / 10000);
        value %= 10000;
        return put_pair(put_pair(at, value / 100), value % 100);
    }
    if (value >= 1000) return put_pair(put_pair(at, value / 100), value % 100);
    if (value >= 100) *at++ = (char)('0' + value / 100);
    if (value >= 10) return put_pair(at, value % 100);
    *at = (char)('0' + value);
    return at + 1;
}

/* `name` is a literal, so the compiler knows its length. */
#define PUT(at, name, value) \
    (memcpy(at, name, sizeof name - 1), put_number(at + sizeof name - 1, (uint64_t)(value)))

/* Most digits of a step's time are those of the previous step. */
static char *put_time(struct chart *chart, char *at) {
    uint64_t low = (uint64_t)chart->at_s % 10000;
    int64_t high = chart->at_s / 10000;
    if (high == 0) return put_number(at, low);
    if (high != chart->high) {
        char *end = put_number(chart->high_digits, (uint64_t)high);
        chart->high_length = (size_t)(end - chart->high_digits);
        chart->high = high;
    }
    memcpy(at, chart->high_digits, sizeof chart->high_digits);
    return put_pair(put_pair(at + chart->high_length, low / 100), low % 100);
}

static void put_point(struct chart *chart, const struct chunk_point *point) {
    char bytes[POINT_SIZE], *at = bytes;
    if (chart->at_s > chart->from_s) *at++ = ',';
    memcpy(at, "{\"t\":", 5);
    at = put_time(chart, at + 5);
    at = PUT(at, ",\"count\":", point->count);
    if (point->count > 0 && chart->waits) {
        at = PUT(at, ",\"p50\":", point->p50);
        at = PUT(at, ",\"p95\":", point->p95);
        at = PUT(at, ",\"p99\":", point->p99);
    } else if (point->count > 0) {
        at = PUT(at, ",\"sum\":", point->sum);
    }
    if (point->count > 0) at = PUT(at, ",\"max\":", point->max);
    *at++ = '}';
    text_add(chart->text, bytes, (size_t)(at - bytes));
    chart->at_s += chart->step_s;
}

/* Adds the parts of the step and writes it. */
static void end_step(struct chart *chart) {
    for (; chart->next_part < chart->part_count &&
           chart->parts[chart->next_part].start_s < chart->at_s + chart->step_s;
         chart->next_part++) {
        const struct stored_part *part = &chart->parts[chart->next_part];
        part_into_sketch(&chart->sketch, part->data, part->length, 0, PART_SECONDS);
    }
    if (chart->each) {
        if (chart->at_s + chart->step_s <= chart->to_s)
            chart->each(chart->context, chart->at_s, &chart->sketch);
        sketch_clear(&chart->sketch);
        chart->at_s += chart->step_s;
        return;
    }
    struct chunk_point point = {0};
    if (chart->sketch.count > 0) chunk_point_of(&point, &chart->sketch);
    put_point(chart, &point);
    sketch_clear(&chart->sketch);
}

/* Writes all steps before the one that contains the second. */
static void go_to(struct chart *chart, int64_t second) {
    while (chart->at_s + chart->step_s <= second && chart->at_s < chart->to_s) end_step(chart);
}

static bool has_parts(const struct chart *chart) {
    return chart->next_part < chart->part_count &&
           chart->parts[chart->next_part].start_s < chart->at_s + chart->step_s;
}

/* ---- Reading ------------------------------------------------------------------------------- */

static bool keep_part(void *context, const struct series_part *part) {
    struct chart *chart = context;
    void *array =
        array_grown(chart->parts, &chart->part_room, chart->part_count + 1, sizeof *chart->parts);
    if (!array) return false;
    chart->parts = array;
    uint8_t *data = malloc(part->length > 0 ? part->length : 1);
    if (!data) return false;
    if (part->length > 0) memcpy(data, part->data, part->length);
    struct stored_part *kept = &chart->parts[chart->part_count++];
    kept->start_s = part->start_s;
    kept->data = data;
    kept->length = part->length;
    return true;
}

static bool in_range(const struct chart *chart, int64_t second) {
    return second >= chart->low_s && second < chart->high_s;
}

static bool decode(void *context, const struct series_chunk *stored) {
    struct chart *chart = context;
    if (!chart->chunk && !(chart->chunk = chunk_new())) return false;
    chunk_clear(chart->chunk, chart->level, stored->start_s);
    errno = 0;
    if (chunk_decode(chart->chunk, stored->points, stored->points_length, stored->sketches,
                     stored->sketches_length))
        return true;
    /* Unreadable data is shown as no samples; folding logs it. */
    chunk_clear(chart->chunk, chart->level, stored->start_s);
    return errno != ENOMEM;
}

static bool add_windows(void *context, const struct series_chunk *stored) {
    struct chart *chart = context;
    if (!decode(chart, stored)) return false;
    for (int window = 0; window < CHUNK_WINDOWS; window++) {
        int64_t second = stored->start_s + window * chunk_step(chart->level);
        if (!chart->chunk->used[window] || !in_range(chart, second)) continue;
        go_to(chart, second);
        chunk_window(chart->chunk, window, &chart->sketch);
    }
    return true;
}

/* Adds a chunk whose windows are the chart's steps. Its sketches are read only if parts fall into
 * it. */
static bool add_points(void *context, const struct series_chunk *stored) {
    struct chart *chart = context;
    struct chunk_points points;
    struct chunk_point point;
    bool decoded = false;
    if (!chunk_points_begin(&points, stored->points, stored->points_length)) return true;
    while (chunk_points_next(&points, &point)) {
        int64_t second = stored->start_s + point.window * chart->step_s;
        if (!in_range(chart, second)) continue;
        go_to(chart, second);
        if (!has_parts(chart)) {
            put_point(chart, &point);
            continue;
        }
        if (!decoded && !series_chunks(chart->store, chart->app, chart->series, chart->level,
                                       stored->start_s, stored->start_s + 1, true, decode, chart))
            return false;
        decoded = true;
        chunk_window(chart->chunk, point.window, &chart->sketch);
    }
    return true;
}

/* Windows of a level that begin in [from_s, to_s). */
static bool add_level(struct chart *chart, int level, int64_t from_s, int64_t to_s) {
    bool plain = chunk_step(level) == chart->step_s && !chart->each;
    chart->level = level;
    chart->low_s = from_s;
    chart->high_s = to_s;
    return series_chunks(chart->store, chart->app, chart->series, level, chunk_start(level, from_s),
                         to_s, !plain, plain ? add_points : add_windows, chart);
}

static int level_for(int64_t step_s) {
    int level = LEVEL_HOURS;
    while (step_s % chunk_step(level) != 0) level--;
    return level;
}

/* Adds coarser levels for the time of which finer ones are no longer kept. */
static bool add_levels(struct chart *chart) {
    int finest = level_for(chart->step_s);
    int64_t begins[LEVELS] = {0}, end_s = chart->to_s;
    for (int level = finest; level < LEVELS; level++) {
        begins[level] = series_first_chunk(chart->store, chart->app, chart->series, level,
                                           chunk_start(level, chart->from_s));
        if (begins[level] < 0) return false;
        if (begins[level] > end_s) begins[level] = end_s;
        end_s = begins[level];
    }
    for (int level = LEVELS - 1; level >= finest; level--) {
        int64_t from_s = begins[level] > chart->from_s ? begins[level] : chart->from_s;
        int64_t to_s = level == finest ? chart->to_s : begins[level - 1];
        if (from_s < to_s && !add_level(chart, level, from_s, to_s)) return false;
    }
    return true;
}

static bool add_all(struct chart *chart) {
    if (chart->series == 0) return true;
    return series_parts(chart->store, chart->app, chart->series, chart->from_s, chart->to_s,
                        keep_part, chart) &&
           add_levels(chart);
}

static void free_chart(struct chart *chart) {
    for (size_t i = 0; i < chart->part_count; i++) free(chart->parts[i].data);
    free(chart->parts);
    chunk_free(chart->chunk);
    free(chart);
}

static bool is_range(int64_t from_s, int64_t to_s, int64_t step_s, int64_t most) {
    return step_s >= PART_SECONDS && step_s % PART_SECONDS == 0 && from_s >= 0 && to_s >= from_s &&
           (to_s - from_s) / step_s <= most;
}

/* Reads everything for the chart. False with store_error, or without memory. */
static bool run_chart(struct chart *chart, const char *source, const char *signal) {
    if (!store_begin_read(chart->store)) return false;
    chart->waits = strcmp(signal, signal_name(SIGNAL_WAIT)) == 0;
    chart->series = series_find(chart->store, chart->app, source, signal);
    bool ok = chart->series >= 0 && add_all(chart);
    go_to(chart, chart->to_s + chart->step_s);
    store_end_read(chart->store);
    return ok;
}

bool series_points_json(struct text *text, struct store *store, int64_t app, const char *source,
                        const char *signal, int64_t from_s, int64_t to_s, int64_t step_s) {
    struct chart *chart = is_range(from_s, to_s, step_s, POINTS) ? calloc(1, sizeof *chart) : NULL;
    if (!chart) return false;
    from_s -= from_s % step_s;
    *chart = (struct chart){.text = text,
                            .store = store,
                            .app = app,
                            .from_s = from_s,
                            .to_s = to_s,
                            .step_s = step_s,
                            .at_s = from_s};
    text_put(text, "{\"step\":");
    text_int(text, step_s);
    text_put(text, ",\"points\":[");
    bool ok = run_chart(chart, source, signal);
    text_put(text, "]}");
    free_chart(chart);
    return ok && !text->failed;
}

bool series_each_step(struct store *store, int64_t app, const char *source, const char *signal,
                      int64_t from_s, int64_t to_s, int64_t step_s,
                      void (*each)(void *context, int64_t at_s, const struct sketch *sketch),
                      void *context) {
    struct chart *chart = is_range(from_s, to_s, step_s, STEPS) ? calloc(1, sizeof *chart) : NULL;
    if (!chart) return false;
    from_s -= from_s % step_s;
    *chart = (struct chart){.store = store,
                            .app = app,
                            .from_s = from_s,
                            .to_s = to_s,
                            .step_s = step_s,
                            .at_s = from_s,
                            .each = each,
                            .context = context};
    bool ok = run_chart(chart, source, signal);
    free_chart(chart);
    return ok;
}

/* ---- The list ------------------------------------------------------------------------------ */

struct list {
    struct text *text;
    char *source; /* of the entry being written */
    int64_t newest_s;
};

static void end_entry(struct list *list) {
    if (!list->source) return;
    text_put(list->text, "],\"newest\":");
    text_int(list->text, list->newest_s);
    text_char(list->text, '}');
}

static void add_entry(void *context, int64_t series, const char *source, const char *signal,
                      int64_t newest_s) {
    (void)series;
    struct list *list = context;
    bool same = list->source && strcmp(list->source, source) == 0;
    if (!same) {
        end_entry(list);
        text_put(list->text, list->source ? ",{\"source\":" : "{\"source\":");
        text_json(list->text, source);
        text_put(list->text, ",\"signals\":[");
        free(list->source);
        size_t size = strlen(source) + 1;
        list->source = malloc(size);
        if (list->source) memcpy(list->source, source, size);
        else list->text->failed = true;
        list->newest_s = 0;
    }
    if (same) text_char(list->text, ',');
    text_json(list->text, signal);
    if (newest_s > list->newest_s) list->newest_s = newest_s;
}

bool series_list_json(struct text *text, struct store *store, int64_t app) {
    struct list list = {.text = text};
    text_char(text, '[');
    bool ok = series_each(store, app, add_entry, &list);
    end_entry(&list);
    text_char(text, ']');
    free(list.source);
    return ok && !text->failed;
}
