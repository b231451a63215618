/*
 * Charts and folding: what was reported is shown, wherever it lies by now. Real files; the samples
 * themselves are what charts are compared with.
 */
#define _GNU_SOURCE /* strdup */
#include "../core/support/suite.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "series/chunk.h"
#include "series/part.h"
#include "series/query.h"
#include "store/series.h"
#include "support/folder.h"
#include "support/random.h"

#define DAY_S   86400
#define BEGIN_S (1700006400 - DAY_S) /* midnight */

enum { MOST = 400000 };

static char *folder;
static struct store *store;
static int64_t part_number;

/* All samples of the series that is tested. */
static struct sample {
    int64_t second;
    uint32_t value;
} samples[MOST];
static size_t sample_count;

static int set_up(void **state) {
    (void)state;
    char error[512];
    folder = folder_make();
    store = store_open(folder, STORE_CREATE, error, sizeof error);
    sample_count = 0;
    return store ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    store_close(store);
    folder_remove(folder);
    return 0;
}

/* Stores a part as a commit does. */
static void put(int64_t app, const char *source, const char *signal, const struct part *part) {
    size_t length;
    struct tally *tally = tally_new();
    tally_add(tally, part);
    const uint8_t *bytes = tally_encode(tally, &length);
    int64_t series = series_number(store, app, source, signal);
    assert_true(series > 0);
    assert_true(series_add_part(store, app, series, part->start_s, part_number++, bytes, length));
    free(tally);
}

/* Some samples in the ten seconds, of app 1's web. */
static void put_samples(int64_t start_s, int count, uint64_t *state) {
    struct part part = PART_EMPTY(start_s);
    for (int i = 0; i < count; i++) {
        uint32_t value = (uint32_t)(random_below(state, 50) * random_below(state, 40));
        int second = (int)random_below(state, 10);
        assert_true(part_add(&part, second, value));
        assert_true(sample_count < MOST);
        samples[sample_count++] = (struct sample){start_s + second, value};
    }
    put(1, "web", "wait", &part);
    part_free(&part);
}

static void compact_at(int64_t now_s) {
    /* Each series has its turn within ten minutes. */
    for (int minute = 0; minute < 10; minute++)
        if (!series_compact(store, now_s + minute * 60, NULL)) fail_msg("%s", store_error(store));
}

static int64_t parts_left(void) {
    struct query query = store_query(store, "SELECT count(*) FROM part");
    assert_true(query_next(&query));
    int64_t count = column_int(&query, 0);
    assert_true(query_end(&query));
    return count;
}

static int64_t chunks_left(int level) {
    struct query query = store_query(store, "SELECT count(*) FROM chunk WHERE level = ?1");
    query_int(&query, 1, level);
    assert_true(query_next(&query));
    int64_t count = column_int(&query, 0);
    assert_true(query_end(&query));
    return count;
}

static json_t *chart(int64_t app, const char *source, const char *signal, int64_t from_s,
                     int64_t to_s, int64_t step_s) {
    struct text text = TEXT_EMPTY;
    json_error_t error;
    if (!series_points_json(&text, store, app, source, signal, from_s, to_s, step_s))
        fail_msg("%s", store_error(store));
    json_t *json = json_loadb(text.bytes, text.length, 0, &error);
    if (!json) fail_msg("%s in %s", error.text, text.bytes);
    text_free(&text);
    assert_int_equal(json_integer_value(json_object_get(json, "step")), step_s);
    return json;
}

static int64_t field(json_t *point, const char *name) {
    json_t *value = json_object_get(point, name);
    return value ? json_integer_value(value) : -1;
}

/* Each step is what the samples say. */
static void expect_chart(int64_t from_s, int64_t to_s, int64_t step_s) {
    json_t *json = chart(1, "web", "wait", from_s, to_s, step_s);
    json_t *points = json_object_get(json, "points");
    size_t steps = (size_t)((to_s - from_s + step_s - 1) / step_s);
    assert_int_equal(json_array_size(points), steps);
    struct sketch *sketches = calloc(steps, sizeof *sketches);
    for (size_t i = 0; i < sample_count; i++)
        if (samples[i].second >= from_s && samples[i].second < to_s)
            sketch_add(&sketches[(samples[i].second - from_s) / step_s], samples[i].value);
    for (size_t i = 0; i < steps; i++) {
        json_t *point = json_array_get(points, i);
        const struct sketch *wanted = &sketches[i];
        assert_int_equal(field(point, "t"), from_s + (int64_t)i * step_s);
        assert_int_equal(field(point, "count"), wanted->count);
        assert_int_equal(field(point, "p50"), sketch_percentile(wanted, 500));
        assert_int_equal(field(point, "p95"), sketch_percentile(wanted, 950));
        assert_int_equal(field(point, "p99"), sketch_percentile(wanted, 990));
        assert_int_equal(field(point, "max"), wanted->count > 0 ? (int64_t)wanted->max : -1);
    }
    free(sketches);
    json_decref(json);
}

static void charts_show_what_was_just_reported(void **unused) {
    (void)unused;
    uint64_t state = 1;
    for (int i = 0; i < 90; i++)
        for (int twice = 0; twice < 2; twice++)
            if (i % 7) put_samples(BEGIN_S + i * 10, 20, &state);
    expect_chart(BEGIN_S, BEGIN_S + 900, 10);
    expect_chart(BEGIN_S, BEGIN_S + 900, 60);
    expect_chart(BEGIN_S + 300, BEGIN_S + 480, 30);
    expect_chart(BEGIN_S - 3600, BEGIN_S + 3600, 3600);
}

static void folding_changes_no_chart(void **unused) {
    (void)unused;
    uint64_t state = 2;
    int64_t now_s = BEGIN_S;
    for (; now_s < BEGIN_S + 3 * 3600; now_s += 10) {
        if (random_below(&state, 10)) put_samples(now_s, 1 + (int)random_below(&state, 30), &state);
        /* What comes late. */
        if (random_below(&state, 10) == 0)
            put_samples(now_s - 10 * (int64_t)random_below(&state, 90), 3, &state);
        if (now_s % 60 == 0) assert_true(series_compact(store, now_s, NULL));
    }
    assert_true(parts_left() < 330);
    assert_true(chunks_left(LEVEL_WINDOWS) > 10);
    expect_chart(BEGIN_S, now_s, 60);
    expect_chart(BEGIN_S, now_s, 600);
    expect_chart(BEGIN_S, now_s + 600, 3600);
    expect_chart(now_s - 3600, now_s, 10);
    expect_chart(now_s - 3600, now_s, 50);
    expect_chart(BEGIN_S - DAY_S, now_s, 7200);
    expect_chart(BEGIN_S + 600, now_s - 1200, 120);
    expect_chart(BEGIN_S, now_s, 3 * 3600);
}

static void parts_of_the_last_15_minutes_stay(void **unused) {
    (void)unused;
    uint64_t state = 3;
    for (int i = 0; i <= 120; i++) put_samples(BEGIN_S + i * 10, 1, &state);
    /* The last sample is of BEGIN_S + 1209 at the latest. */
    compact_at(BEGIN_S + 1200);
    struct query query = store_query(store, "SELECT min(start_s) FROM part");
    assert_true(query_next(&query));
    assert_in_range(column_int(&query, 0), BEGIN_S + 1200 - 900 - 10, BEGIN_S + 1740 - 900);
    assert_true(query_end(&query));
    compact_at(BEGIN_S + 3600);
    assert_int_equal(parts_left(), 0);
    expect_chart(BEGIN_S, BEGIN_S + 1260, 60);
}

static void what_is_old_is_kept_coarser_and_then_not_at_all(void **unused) {
    (void)unused;
    uint64_t state = 4;
    for (int i = 0; i < 6 * 30; i++) put_samples(BEGIN_S + i * 10, 5, &state);
    compact_at(BEGIN_S + 3600);
    expect_chart(BEGIN_S, BEGIN_S + 1800, 10);
    for (int minute = 0; minute < 60; minute++)
        assert_true(series_compact(store, BEGIN_S + 3 * 3600 + minute * 60, NULL));
    assert_int_equal(chunks_left(LEVEL_WINDOWS), 0);
    /* By ten seconds there are only minutes: each is on its first step. */
    json_t *json = chart(1, "web", "wait", BEGIN_S, BEGIN_S + 120, 10);
    json_t *points = json_object_get(json, "points");
    assert_int_equal(field(json_array_get(points, 0), "count"), 30);
    assert_int_equal(field(json_array_get(points, 1), "count"), 0);
    assert_int_equal(field(json_array_get(points, 6), "count"), 30);
    json_decref(json);
    expect_chart(BEGIN_S, BEGIN_S + 1800, 60);

    for (int minute = 0; minute < 60; minute++)
        assert_true(series_compact(store, BEGIN_S + 31 * DAY_S + minute * 60, NULL));
    assert_int_equal(chunks_left(LEVEL_MINUTES), 0);
    expect_chart(BEGIN_S, BEGIN_S + 3600, 3600);
    /* By minutes there is an hour, on its first step, and none that begins after the end. */
    json = chart(1, "web", "wait", BEGIN_S - 600, BEGIN_S + 600, 60);
    points = json_object_get(json, "points");
    assert_int_equal(json_array_size(points), 20);
    assert_int_equal(field(json_array_get(points, 10), "count"), 900);
    assert_int_equal(field(json_array_get(points, 11), "count"), 0);
    json_decref(json);
    json = chart(1, "web", "wait", BEGIN_S - 600, BEGIN_S, 60);
    assert_int_equal(json_array_size(json_object_get(json, "points")), 10);
    json_decref(json);
    for (int minute = 0; minute < 60; minute++)
        assert_true(series_compact(store, BEGIN_S + 410LL * DAY_S + minute * 60, NULL));
    assert_int_equal(chunks_left(LEVEL_HOURS), 0);
    assert_int_equal(series_find(store, 1, "web", "wait"), 0);
}

static void an_app_may_keep_fewer_days(void **unused) {
    (void)unused;
    uint64_t state = 5;
    struct query query = store_query(
        store,
        "INSERT INTO app (id, name, zone, created_s, kept_days) VALUES (1, 'a', 'UTC', 0, 7)");
    assert_true(query_run(&query));
    put_samples(BEGIN_S, 5, &state);
    compact_at(BEGIN_S + 3600);
    for (int minute = 0; minute < 60; minute++)
        assert_true(series_compact(store, BEGIN_S + 6 * DAY_S + minute * 60, NULL));
    assert_int_equal(chunks_left(LEVEL_MINUTES), 1);
    for (int minute = 0; minute < 60; minute++)
        assert_true(series_compact(store, BEGIN_S + 8 * DAY_S + minute * 60, NULL));
    assert_int_equal(chunks_left(LEVEL_MINUTES), 0);
    assert_int_equal(chunks_left(LEVEL_HOURS), 1);
}

static enum report_added add_report(const uint8_t key[SERIES_KEY_SIZE]) {
    static int64_t number;
    assert_true(store_begin_append(store));
    int64_t noted = series_add_report(store, 1, key, BEGIN_S, "web.1", ++number);
    enum report_added added = series_report_added(store, noted);
    assert_true(store_commit(store));
    return added;
}

static void old_reports_are_forgotten_after_an_hour(void **unused) {
    (void)unused;
    uint8_t key[SERIES_KEY_SIZE] = {1};
    assert_int_equal(add_report(key), REPORT_ADDED);
    assert_true(series_compact(store, BEGIN_S + 3600, NULL));
    assert_int_equal(add_report(key), REPORT_REPEATED);
    assert_true(series_compact(store, BEGIN_S + 3601, NULL));
    assert_int_equal(add_report(key), REPORT_ADDED);
}

static void signals_are_shown_as_sums(void **unused) {
    (void)unused;
    struct part part = PART_EMPTY(BEGIN_S);
    assert_true(part_add(&part, 1, 700) && part_add(&part, 2, 900));
    put(1, "web", "busy", &part);
    part_free(&part);
    for (int folded = 0; folded < 2; folded++) {
        json_t *json = chart(1, "web", "busy", BEGIN_S, BEGIN_S + 60, 60);
        json_t *point = json_array_get(json_object_get(json, "points"), 0);
        assert_int_equal(field(point, "sum"), 1600);
        assert_int_equal(field(point, "max"), 900);
        assert_int_equal(field(point, "count"), 2);
        assert_int_equal(field(point, "p95"), -1);
        json_decref(json);
        compact_at(BEGIN_S + 3600);
    }
}

static void a_series_that_is_not_there_is_empty(void **unused) {
    (void)unused;
    json_t *json = chart(9, "nothing", "wait", BEGIN_S, BEGIN_S + 30, 10);
    json_t *points = json_object_get(json, "points");
    assert_int_equal(json_array_size(points), 3);
    assert_int_equal(json_object_size(json_array_get(points, 0)), 2);
    json_decref(json);
    json = chart(9, "nothing", "wait", BEGIN_S, BEGIN_S, 10);
    assert_int_equal(json_array_size(json_object_get(json, "points")), 0);
    json_decref(json);
}

static void what_no_chart_can_be_is_refused(void **unused) {
    (void)unused;
    struct text text = TEXT_EMPTY;
    assert_false(series_points_json(&text, store, 1, "web", "wait", 0, 60, 0));
    assert_false(series_points_json(&text, store, 1, "web", "wait", 0, 60, 15));
    assert_false(series_points_json(&text, store, 1, "web", "wait", 60, 0, 10));
    assert_false(series_points_json(&text, store, 1, "web", "wait", -60, 0, 10));
    assert_false(series_points_json(&text, store, 1, "web", "wait", 0, 10 * 20001 + 10, 10));
    assert_false(series_points_json(&text, store, 1, "web", "wait", 0, INT64_MAX, 10));
    text_free(&text);
}

static void the_list_names_sources_with_their_signals(void **unused) {
    (void)unused;
    struct part part = PART_EMPTY(BEGIN_S);
    assert_true(part_add(&part, 1, 7));
    put(1, "web", "wait", &part);
    put(1, "rq:\"a\"", "depth", &part);
    part.start_s = BEGIN_S + 30;
    put(1, "rq:\"a\"", "wait", &part);
    put(2, "other", "wait", &part);
    part_free(&part);
    for (int folded = 0; folded < 2; folded++) {
        struct text text = TEXT_EMPTY;
        assert_true(series_list_json(&text, store, 1));
        char wanted[300];
        snprintf(wanted, sizeof wanted,
                 "[{\"source\":\"rq:\\\"a\\\"\",\"signals\":[\"depth\",\"wait\"],\"newest\":%d},"
                 "{\"source\":\"web\",\"signals\":[\"wait\"],\"newest\":%d}]",
                 BEGIN_S + 30, BEGIN_S);
        assert_string_equal(text.bytes, wanted);
        text_free(&text);
        compact_at(BEGIN_S + 3600);
    }
}

/* ---- Chunks -------------------------------------------------------------------------------- */

static bool same_chunk(const struct chunk *one, const struct chunk *other) {
    return memcmp(one->used, other->used, sizeof one->used) == 0 &&
           memcmp(one->sum, other->sum, sizeof one->sum) == 0 &&
           memcmp(one->max, other->max, sizeof one->max) == 0 &&
           memcmp(one->bins, other->bins, sizeof one->bins) == 0;
}

static void a_stored_chunk_is_the_same_and_merges_to_the_bit(void **unused) {
    (void)unused;
    uint64_t state = 6;
    struct chunk *all = chunk_new(), *half = chunk_new(), *found = chunk_new();
    for (int round = 0; round < 20; round++) {
        chunk_clear(all, LEVEL_MINUTES, BEGIN_S);
        chunk_clear(half, LEVEL_MINUTES, BEGIN_S);
        chunk_clear(found, LEVEL_MINUTES, BEGIN_S);
        struct chunk_stored stored, other;
        for (int i = 0; i < 1000; i++) {
            struct sketch sketch = {0};
            sketch_add(&sketch, (uint32_t)random_next(&state) >> random_below(&state, 32));
            int64_t second = BEGIN_S + (int64_t)random_below(&state, 6 * 3600);
            chunk_add(all, second, &sketch);
            chunk_add(i % 2 ? half : found, second, &sketch);
        }
        assert_true(chunk_encode(half, &stored));
        assert_true(chunk_decode(found, stored.points, stored.points_length, stored.sketches,
                                 stored.sketches_length));
        assert_true(same_chunk(all, found));
        /* What is damaged is refused, or is at least no reason to fall over. */
        for (int i = 0; i < 50; i++) {
            uint8_t *bytes = random_below(&state, 2) ? stored.points : stored.sketches;
            size_t length = bytes == stored.points ? stored.points_length : stored.sketches_length;
            bytes[random_below(&state, length)] ^= (uint8_t)(1 << random_below(&state, 8));
            chunk_decode(found, stored.points, stored.points_length, stored.sketches,
                         stored.sketches_length - random_below(&state, 2));
        }
        free(stored.points);
        assert_true(chunk_encode(all, &stored));
        chunk_clear(found, LEVEL_MINUTES, BEGIN_S);
        assert_true(chunk_decode(found, stored.points, stored.points_length, stored.sketches,
                                 stored.sketches_length));
        assert_true(chunk_encode(found, &other));
        assert_int_equal(stored.sketches_length, other.sketches_length);
        assert_memory_equal(stored.sketches, other.sketches, other.sketches_length);
        free(stored.points);
        free(other.points);
    }
    chunk_free(all);
    chunk_free(half);
    chunk_free(found);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(charts_show_what_was_just_reported),
        TEST(folding_changes_no_chart),
        TEST(parts_of_the_last_15_minutes_stay),
        TEST(what_is_old_is_kept_coarser_and_then_not_at_all),
        TEST(an_app_may_keep_fewer_days),
        TEST(old_reports_are_forgotten_after_an_hour),
        TEST(signals_are_shown_as_sums),
        TEST(a_series_that_is_not_there_is_empty),
        TEST(what_no_chart_can_be_is_refused),
        TEST(the_list_names_sources_with_their_signals),
        cmocka_unit_test(a_stored_chunk_is_the_same_and_merges_to_the_bit),
    };
    return cmocka_run_group_tests_name("series", tests, NULL, NULL);
}
