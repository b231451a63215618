/*
 * Memory runs out: in each thing that the service does, one allocation after the other fails, those
 * of SQLite, jansson and the other libraries too, until it is done without a failure. Each time it
 * must be done, or refused with nothing changed and no memory lost, and work again at once.
 */
#define _GNU_SOURCE
#include "../core/support/suite.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "addon/addon.h"
#include "api/api.h"
#include "clock.h"
#include "control/replay.h"
#include "control/state.h"
#include "false_clock.h"
#include "heap.h"
#include "ingest/commit.h"
#include "json_read.h"
#include "log.h"
#include "notify/kinds.h"
#include "notify/notify.h"
#include "people/password.h"
#include "people/token.h"
#include "rules/zone.h"
#include "series/part.h"
#include "series/query.h"
#include "store/people.h"
#include "store/series.h"
#include "support/folder.h"

static char *folder, error[512];
static struct store *store;
static struct keeper *keeper;

static int64_t now_s(void) { return ds_clock_wall_ns() / 1000000000; }

static void open_store(void) {
    store = store_open(folder, STORE_CREATE, error, sizeof error);
    if (!store) fail_msg("%s", error);
}

static void close_store(void) {
    store_close(store);
    store = NULL;
}

static void open_keeper(void) {
    const struct keeper_settings settings = {.folder = folder, .private_addresses = true};
    keeper = keeper_here(&settings, error, sizeof error);
    if (!keeper) fail_msg("%s", error);
}

/* ---- The same data each time ---------------------------------------------------------------- */

static char *kept;
static size_t kept_length;

/* The data as it is now is what each round begins with. Closes the store. */
static void keep_data(void) {
    close_store();
    FILE *file = fopen(folder_path(folder, "dynoscaled.db"), "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    kept_length = (size_t)ftell(file);
    rewind(file);
    free(kept);
    kept = malloc(kept_length);
    assert_int_equal(fread(kept, 1, kept_length, file), kept_length);
    fclose(file);
}

static void begin_with_data(void) {
    FILE *file = fopen(folder_path(folder, "dynoscaled.db"), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(kept, 1, kept_length, file), kept_length);
    fclose(file);
    open_store();
}

/* Changes with each commit of others. */
static int64_t data_version(sqlite3 *other) {
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(other, "PRAGMA data_version", -1, &statement, NULL), 0);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t version = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return version;
}

/* Which allocation fails; -1: none. */
static long round_now = -1, left_now;

static int set_up(void **state) {
    (void)state;
    log_set_level(LOG_ERROR + 1); /* each failure would be a line */
    /* GLib ends the process where it gets no memory, and a zone is loaded once in a life. */
    assert_non_null(zone_find("Europe/Berlin"));
    assert_non_null(zone_find("UTC"));
    folder = folder_make();
    open_store();
    open_keeper();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    if (round_now >= 0) print_message("allocation %ld failed\n", round_now);
    keeper_free(keeper);
    if (store) close_store();
    folder_remove(folder);
    free(kept);
    kept = NULL;
    return 0;
}

/* ---- One failure after the other ------------------------------------------------------------ */

struct scenario {
    void (*begin)(long number); /* NULL: nothing is to be got ready */
    void (*run)(void);          /* while an allocation fails */
    /* Whether one failed. Looks at what came of it, and that it works now. */
    void (*end)(bool failed);
};

/* How many blocks more there are after a round than before. */
static long one_round(const struct scenario *scenario, long number, bool all) {
    static long rounds;
    long before = heap_blocks();
    round_now = number;
    if (scenario->begin) scenario->begin(rounds++);
    if (all) heap_refuse_all_after(number);
    else heap_refuse_after(number);
    scenario->run();
    left_now = heap_calls_left();
    bool failed = heap_allow();
    scenario->end(failed);
    if (!failed) round_now = -1;
    return heap_blocks() - before;
}

/* What is kept for later is got once; what is lost is lost each time. */
static void look_for_leaks(const struct scenario *scenario, long number, bool all) {
    long least = one_round(scenario, number, all);
    for (int i = 0; i < 4 && least > 0; i++) {
        long more = one_round(scenario, number, all);
        if (more < least) least = more;
    }
    if (least > 0) fail_msg("allocation %ld failed: %ld blocks are lost", number, least);
}

/* $AT: that allocation alone, and all after it where it is negative: for a debugger.
 * $ROUNDS of each kind at most, evenly over all allocations; 0: each allocation. */
static long rounds_wanted(void) {
    const char *text = getenv("ROUNDS");
    return text ? strtol(text, NULL, 10) : 6;
}

static void fail_each(const struct scenario *scenario) {
    const long never = 1L << 40;
    for (int i = 0; i < 3; i++) one_round(scenario, never, false); /* fills what is kept */
    long count = never - left_now, wanted = rounds_wanted();
    assert_true(count > 0);
    long step = wanted > 0 && count > wanted ? count / wanted : 1;
    const char *only = getenv("AT");
    if (only) {
        one_round(scenario, labs(strtol(only, NULL, 10)), *only == '-');
        return;
    }
    for (int all = 0; all < 2; all++) {
        long number = 0;
        for (; number < count || round_now >= 0; number += step)
            look_for_leaks(scenario, number, all);
    }
    print_message("%ld allocations\n", count);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static char word[80];
static json_t *read_json;

static void word_is_read(void) {
    char text[sizeof word + 8];
    int length = snprintf(text, sizeof text, "[\"%s\"]", word);
    read_json = json_read(text, (size_t)length, 0, NULL);
}

static void is_the_word_or_none(bool failed) {
    assert_true(json_ran_out() == failed);
    json_forget();
    if (failed) assert_null(read_json);
    else assert_string_equal(json_string_value(json_array_get(read_json, 0)), word);
    json_decref(read_json);
}

/* Of each length, since jansson's buffer for a word grows at some of them. */
static void json_is_read(void **state) {
    (void)state;
    assert_null(json_read(NULL, 0, 0, NULL));
    for (size_t length = 1; length < sizeof word; length++) {
        memset(word, 'a', length);
        word[length] = '\0';
        fail_each(&(struct scenario){NULL, word_is_read, is_the_word_or_none});
    }
}

/* ---- The store ------------------------------------------------------------------------------ */

static void opens(void) { store = store_open(folder, STORE_CREATE, error, sizeof error); }

static void is_open_or_said_why(bool failed) {
    if (!store) {
        assert_true(failed);
        assert_true(strlen(error) > 10);
        open_store();
    }
    assert_true(store_config_version(store) >= 0);
    close_store();
}

static void data_is_opened(void **state) {
    (void)state;
    close_store();
    fail_each(&(struct scenario){NULL, opens, is_open_or_said_why});
}

static char *new_folder, *usual_folder;

static void in_a_new_folder(long number) {
    (void)number;
    usual_folder = folder;
    folder = new_folder = folder_make();
}

static void is_made_or_said_why(bool failed) {
    is_open_or_said_why(failed);
    folder = usual_folder;
    folder_remove(new_folder);
}

static void data_is_made(void **state) {
    (void)state;
    close_store();
    fail_each(&(struct scenario){in_a_new_folder, opens, is_made_or_said_why});
}

/* ---- A report ------------------------------------------------------------------------------- */

static struct {
    struct live *live;
    struct commit *commit;
    struct commit_item item;
    char key[40];
    enum report_kind kind;
    bool added, done;
    pthread_mutex_t lock;
    pthread_cond_t changed;
} reports = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

#define ROWS "%lld,12,web,\n%lld,7,web,\n%lld,9,rq:a,\n"
enum { ROW_COUNT = 3 };

static void report_done(void *context, struct commit_item *first) {
    (void)context;
    assert_ptr_equal(first, &reports.item);
    pthread_mutex_lock(&reports.lock);
    reports.done = true;
    pthread_cond_signal(&reports.changed);
    pthread_mutex_unlock(&reports.lock);
}

static void report_called(void *context, struct store *of_thread) {
    (void)context;
    (void)of_thread;
}

static struct commit *new_commit(void) {
    const struct commit_settings settings = {.folder = folder,
                                             .commit_ms = 0,
                                             .waiting_bytes = 100000,
                                             .group_bytes = 10000,
                                             .done = report_done,
                                             .called = report_called};
    return commit_new(reports.live, &settings, error, sizeof error);
}

static bool count_rows(void *context, const struct series_part *part) {
    struct sketch sketch = {0};
    assert_true(part_into_sketch(&sketch, part->data, part->length, 0, PART_SECONDS));
    *(int64_t *)context += (int64_t)sketch.count;
    return true;
}

static int64_t rows_on_disk(void) {
    int64_t count = 0;
    assert_true(series_each_part(store, 0, count_rows, &count));
    return count;
}

static int64_t rows_live(void) {
    struct rule rule = {.statistic = RULE_P95};
    int64_t from_s = now_s() - 900, to_s = now_s() + 60;
    return live_measure(reports.live, 1, &rule, true, from_s, to_s).samples +
           live_measure(reports.live, 1, &rule, false, from_s, to_s).samples;
}

static void forget_report(void) {
    report_free(&reports.item.report);
    memset(&reports.item, 0, sizeof reports.item);
}

static void next_key(void) {
    static int number;
    snprintf(reports.key, sizeof reports.key, "%032d", number++);
}

static void receiver_starts(long number) {
    (void)number;
    begin_with_data();
    reports.live = live_new();
    reports.commit = new_commit();
    if (!reports.commit) fail_msg("%s", error);
    next_key();
}

static void report_comes(void) {
    char body[200], sentence[REPORT_SENTENCE_SIZE];
    long long now = now_s();
    const struct report_head head = {.dyno = "web.1", .key = reports.key};
    snprintf(body, sizeof body, ROWS, now, now - 1, now - 20);
    reports.item.app = 1;
    reports.done = false;
    reports.kind = report_read(&reports.item.report, &head, body, strlen(body), now_s(), sentence);
    reports.added = reports.kind == REPORT_ROWS && commit_add(reports.commit, &reports.item);
    pthread_mutex_lock(&reports.lock);
    while (reports.added && !reports.done) pthread_cond_wait(&reports.changed, &reports.lock);
    pthread_mutex_unlock(&reports.lock);
    if (reports.added) commit_release(reports.commit, &reports.item);
}

static bool is_kept(void) { return reports.added && reports.item.result != COMMIT_FAILED; }

static void comes_again(void) {
    forget_report();
    report_comes();
    assert_true(is_kept());
    assert_int_equal(reports.item.result, COMMIT_DONE);
}

static void is_there_once(bool failed) {
    if (reports.kind != REPORT_ROWS) assert_int_equal(reports.kind, REPORT_NO_MEMORY);
    assert_true(is_kept() || failed);
    assert_int_equal(rows_on_disk(), is_kept() ? ROW_COUNT : 0);
    if (!is_kept()) comes_again(); /* as agents send it */
    assert_int_equal(rows_on_disk(), ROW_COUNT);
    next_key();
    comes_again();
    assert_int_equal(rows_on_disk(), 2 * ROW_COUNT);
    assert_int_equal(rows_live(), 2 * ROW_COUNT);
    forget_report();
    commit_end(reports.commit);
    commit_free(reports.commit);
    live_free(reports.live);
    close_store();
}

static void a_report_is_committed(void **state) {
    (void)state;
    keep_data();
    fail_each(&(struct scenario){receiver_starts, report_comes, is_there_once});
}

/* A start with reports in the store. */
static void before_a_start(long number) {
    (void)number;
    begin_with_data();
    reports.live = live_new();
}

static void receiver_is_started(void) { reports.commit = new_commit(); }

static void knows_what_was_reported(bool failed) {
    if (!reports.commit) {
        assert_true(failed);
        assert_true(strlen(error) > 10);
        live_free(reports.live); /* the process would have ended */
        reports.live = live_new();
        reports.commit = new_commit();
        assert_non_null(reports.commit);
    }
    next_key();
    comes_again();
    assert_int_equal(rows_live(), rows_on_disk());
    forget_report();
    commit_end(reports.commit);
    commit_free(reports.commit);
    live_free(reports.live);
    close_store();
}

static void a_receiver_starts(void **state) {
    (void)state;
    reports.live = live_new();
    reports.commit = new_commit();
    for (int i = 0; i < 3; i++) {
        next_key();
        comes_again();
    }
    forget_report();
    commit_end(reports.commit);
    commit_free(reports.commit);
    live_free(reports.live);
    keep_data();
    fail_each(&(struct scenario){before_a_start, receiver_is_started, knows_what_was_reported});
}

/* ---- Control -------------------------------------------------------------------------------- */

static struct live *live;
static struct control *control;
static struct app app;

static const char scale[] = "#!/bin/sh\n"
                            "cd \"${0%/*}\" || exit 1\n"
                            "case $1 in\n"
                            "read) cat dynos-$2 ;;\n"
                            "set) echo \"$2 $3\" >>calls; echo $3 >dynos-$2 ;;\n"
                            "esac\n";

static struct control *new_control(void) {
    const struct control_settings settings = {.folder = folder,
                                              .keeper = keeper,
                                              .tick_s = 10,
                                              .act_threads = 1,
                                              .act_timeout_s = 60,
                                              .report_s = 10};
    return control_new_stopped(live, &settings, error, sizeof error);
}

/* An app with a platform and rules that want three dynos. */
static void add_app(void) {
    char settings[600];
    app = (struct app){.name = "shop", .zone = "Europe/Berlin", .created_s = now_s()};
    snprintf(settings, sizeof settings, "{\"command\": [\"./scale\"], \"directory\": \"%s\"}",
             folder);
    assert_true(store_begin(store) && app_add(store, &app) &&
                rules_put(store, app.id,
                          "processes: {web: {rules: [{name: default, dynos: {min: 3, max: 5}}]}}",
                          "anna", now_s()) > 0 &&
                platform_put(store, app.id, "command", settings, NULL, 0) &&
                store_touch_config(store) && store_commit(store));
    folder_write(folder, "scale", scale);
    chmod(folder_path(folder, "scale"), 0700);
}

static void settle(void) {
    for (int i = 0; i < 6; i++) {
        control_step(control);
        control_wait_for_calls(control);
    }
}

static void heard(void) {
    struct part part = PART_EMPTY(part_start(now_s()));
    assert_true(part_add(&part, (int)(now_s() - part.start_s), 20));
    live_add(live, app.id, "web", "wait", &part);
    live_heard(live, app.id, "web.1", now_s());
    part_free(&part);
}

static void pass(int seconds) {
    for (int i = 0; i < seconds; i++) {
        heard();
        false_clock_advance_ms(1000);
        settle();
    }
}

static void one_dyno_runs(void) {
    begin_with_data();
    folder_write(folder, "dynos-web", "1\n");
    remove(folder_path(folder, "calls"));
    live = live_new();
    false_clock_advance_ms(10000 - ds_clock_wall_ns() / 1000000 % 10000);
}

static void control_is_there(long number) {
    (void)number;
    one_dyno_runs();
    control = new_control();
    if (!control) fail_msg("%s", error);
    heard();
}

static void a_tick_passes(void) {
    for (int i = 0; i < 2; i++) {
        settle();
        false_clock_advance_ms(10000);
    }
}

/* Ordered once, and each tick decides again what it did. */
static void three_are_ordered_once(bool failed) {
    (void)failed;
    pass(120);
    assert_string_equal(folder_read(folder, "dynos-web"), "3\n");
    assert_string_equal(folder_read(folder, "calls"), "web 3\n");
    struct replay_counts counts;
    assert_true(replay_run(store, &app, "web", 0, now_s() + 60, NULL, NULL, &counts));
    assert_true(counts.ticks >= 12);
    assert_int_equal(counts.different + counts.broken + counts.no_rules, 0);
    control_free(control);
    live_free(live);
    close_store();
}

static void a_tick_decides_and_acts(void **state) {
    (void)state;
    add_app();
    keep_data();
    fail_each(&(struct scenario){control_is_there, a_tick_passes, three_are_ordered_once});
}

static void before_control(long number) {
    (void)number;
    one_dyno_runs();
}

static void control_starts(void) { control = new_control(); }

static void starts_or_said_why(bool failed) {
    if (!control) {
        assert_true(failed);
        assert_true(strlen(error) > 10);
        control = new_control();
        assert_non_null(control);
    }
    three_are_ordered_once(failed);
}

static void control_is_started(void **state) {
    (void)state;
    add_app();
    keep_data();
    fail_each(&(struct scenario){before_control, control_starts, starts_or_said_why});
}

/* ---- Decided again -------------------------------------------------------------------------- */

static struct {
    bool read;
    int64_t ticks;
    struct replay_counts counts;
} again;

static void data_is_there(long number) {
    (void)number;
    begin_with_data();
}

static void ticks_are_decided_again(void) {
    again.read = replay_run(store, &app, "web", 0, now_s() + 60, NULL, NULL, &again.counts);
}

/* Nothing is said of a tick that could not be read. */
static void all_or_said_why(bool failed) {
    assert_true(again.read || failed);
    if (again.read) {
        assert_int_equal(again.counts.ticks, again.ticks);
        assert_int_equal(again.counts.different + again.counts.broken + again.counts.no_rules, 0);
    } else {
        assert_true(failed);
    }
    ticks_are_decided_again();
    assert_true(again.read);
    assert_int_equal(again.counts.ticks, again.ticks);
    close_store();
}

/* Two hours of ticks, most of them packed. */
static void what_was_decided_is_decided_again(void **state) {
    (void)state;
    add_app();
    keep_data();
    control_is_there(0);
    for (int i = 0; i < 3 * 3600 / 10; i++) {
        heard();
        false_clock_advance_ms(10000);
        settle();
    }
    control_free(control);
    live_free(live);
    ticks_are_decided_again();
    again.ticks = again.counts.ticks;
    assert_true(again.ticks > 1000);
    keep_data();
    fail_each(&(struct scenario){data_is_there, ticks_are_decided_again, all_or_said_why});
}

/* ---- Series are folded ---------------------------------------------------------------------- */

static char *chart;

static char *draw(void) {
    struct text text = TEXT_EMPTY;
    int64_t end_s = now_s() - now_s() % 3600 + 3600;
    if (!series_points_json(&text, store, 1, "web", "wait", end_s - 2 * 3600, end_s, 60))
        fail_msg("%s", store_error(store));
    return text_take(&text);
}

static void put_rows(int64_t start_s) {
    size_t length;
    static int64_t number;
    struct part part = PART_EMPTY(start_s);
    for (int i = 0; i < 10; i++) assert_true(part_add(&part, i, (uint32_t)(start_s % 97 + i)));
    struct tally *tally = tally_new();
    tally_add(tally, &part);
    const uint8_t *bytes = tally_encode(tally, &length);
    int64_t series = series_number(store, 1, "web", "wait");
    assert_true(series_add_part(store, 1, series, start_s, number++, bytes, length));
    free(tally);
    part_free(&part);
}

static void series_are_folded(void) {
    for (int minute = 0; minute < 11; minute++)
        again.read = series_compact(store, now_s() + minute * 60, NULL) && again.read;
}

static void the_chart_is_as_before(bool failed) {
    assert_true(again.read || failed);
    char *now = draw();
    assert_string_equal(now, chart);
    free(now);
    again.read = true;
    series_are_folded();
    assert_true(again.read);
    now = draw();
    assert_string_equal(now, chart);
    free(now);
    close_store();
}

static void rows_are_there(long number) {
    (void)number;
    again.read = true;
    begin_with_data();
}

static void what_is_older_is_folded(void **state) {
    (void)state;
    int64_t end_s = part_start(now_s());
    assert_true(store_begin(store));
    for (int64_t start_s = end_s - 3000; start_s < end_s; start_s += 10) put_rows(start_s);
    assert_true(store_commit(store));
    chart = draw();
    keep_data();
    fail_each(&(struct scenario){rows_are_there, series_are_folded, the_chart_is_as_before});
    free(chart);
}

/* ---- Notices -------------------------------------------------------------------------------- */

static struct notify *notify;
static struct ledger_tick tick;

static void notify_is_there(long number) {
    (void)number;
    begin_with_data();
    const struct notify_settings settings = {
        .folder = folder, .public_url = "http://scale.example", .keeper = keeper, .look_s = 10};
    notify = notify_new_stopped(&settings, error, sizeof error);
    if (!notify) fail_msg("%s", error);
    tick = (struct ledger_tick){.app = app.id, .process = "web", .rules_version = 1};
    situation_clear(&tick.situation);
    memory_clear(&tick.memory);
    tick.situation.scaling = 1;
    tick.situation.ordered = 5; /* the maximum */
    tick.situation.heard_age = 3;
    tick.situation.formation_age = 3;
    strcpy(tick.decision.sentence, "hold 5: p95 was 70 ms over the last minute");
    strcpy(tick.decision.next, "up when p95 stays above 100 ms");
}

static void look_after(int seconds) {
    false_clock_advance_ms(seconds * 1000);
    tick.situation.now = now_s();
    assert_true(store_begin(store) && ledger_add(store, &tick) && store_commit(store));
}

static void look(void) {
    notify_step(notify);
    notify_wait(notify);
}

static void before_it_is_told(long number) {
    notify_is_there(number);
    for (int i = 0; i < 60; i++) {
        look_after(10);
        look();
    }
    look_after(10);
}

static void it_is_told(void) {
    look();
    look();
}

/* The summary of a week comes by itself, when a round passes a Monday morning. */
static void count_notice(void *context, const struct notice *notice) {
    if (notice->kind != NOTICE_WEEKLY) ++*(int *)context;
}

static void it_was_told_once(bool failed) {
    (void)failed;
    int count = 0;
    for (int i = 0; i < 12; i++) {
        look_after(10);
        look();
    }
    assert_true(notice_each(store, app.id, 1000, count_notice, &count));
    assert_int_equal(count, 1);
    notify_free(notify);
    close_store();
}

static void add_channel(void) {
    size_t length;
    void *sealed = keeper_seal_channel(keeper, app.name, "http://127.0.0.1:1/x", NULL, &length);
    struct channel channel = {.app = app.id,
                              .kind = "webhook",
                              .hint = "127.0.0.1",
                              .tells = kinds_usual(),
                              .created_s = now_s()};
    assert_true(store_begin(store) && channel_add(store, &channel, sealed, length) &&
                store_commit(store));
    free(sealed);
}

static void what_is_worth_it_is_told(void **state) {
    (void)state;
    add_app();
    add_channel();
    keep_data();
    fail_each(&(struct scenario){before_it_is_told, it_is_told, it_was_told_once});
}

/* ---- The API -------------------------------------------------------------------------------- */

#define RESOURCE "11234567-89ab-cdef-0123-456789abcdef"

static const struct asked {
    enum http_method method;
    const char *path, *query, *body;
    int status;
    bool writes; /* by itself, whatever is answered: tries at signing in */
} asked[] = {
#define APP "/api/v1/apps/shop"
    {HTTP_GET, "/api/v1/apps", "", NULL, 200, false},
    {HTTP_POST, "/api/v1/apps", "", "{\"name\":\"new\",\"zone\":\"UTC\"}", 201, false},
    {HTTP_GET, APP, "", NULL, 200, false},
    {HTTP_PATCH, APP, "", "{\"zone\":\"UTC\"}", 200, false},
    {HTTP_DELETE, APP, "", "{\"name\":\"shop\"}", 204, false},
    {HTTP_POST, APP "/report-token", "", NULL, 201, false},
    {HTTP_GET, APP "/rules", "", NULL, 200, false},
    {HTTP_PUT, APP "/rules", "",
     "processes:\n  web:\n    rules:\n      - {name: nights, days: [mon, tue], from: \"20:00\", "
     "to: "
     "\"06:00\", dynos: {min: 1, max: 2}}\n      - {name: default, dynos: {min: 1, max: 7}, "
     "method: automatic}\n",
     200, false},
    {HTTP_PUT, APP "/rules", "", "processes: {web: {rules: [{name: default}, 7]}}", 400, false},
    {HTTP_POST, "/api/v1/rules/check", "",
     "{\"processes\":{\"web\":{\"rules\":[{\"name\":\"default\"}]}}}", 200, false},
    {HTTP_POST, APP "/rules/plan", "",
     "{\"processes\":{\"web\":{\"rules\":[{\"name\":\"default\"}]}}}", 200, false},
    {HTTP_GET, APP "/rules/history", "", NULL, 200, false},
    {HTTP_POST, APP "/rules/rollback", "", "{\"version\":1}", 200, false},
    {HTTP_GET, APP "/platform", "", NULL, 200, false},
    {HTTP_PUT, APP "/platform", "",
     "{\"kind\":\"webhook\",\"settings\":{\"url\":\"http://127.0.0.1:1/"
     "\"},\"force\":true,\"secret\":\"a "
     "long secret of ours\"}",
     200, false},
    {HTTP_DELETE, APP "/platform", "", NULL, 204, false},
    {HTTP_POST, APP "/channels", "", "{\"kind\":\"webhook\",\"target\":\"http://127.0.0.1:1/\"}",
     201, false},
    {HTTP_GET, APP "/channels", "", NULL, 200, false},
    {HTTP_GET, APP "/notices", "", NULL, 200, false},
    {HTTP_GET, APP "/processes", "", NULL, 200, false},
    {HTTP_GET, APP "/processes/web", "", NULL, 200, false},
    {HTTP_GET, APP "/processes/web/ledger", "", NULL, 200, false},
    {HTTP_GET, APP "/processes/web/explain", "", NULL, 200, false},
    {HTTP_GET, APP "/processes/web/chart", "", NULL, 200, false},
    {HTTP_GET, APP "/processes/web/replay", "", NULL, 200, false},
    {HTTP_GET, APP "/processes/web/usage", "", NULL, 200, false},
    {HTTP_GET, APP "/processes/web/wanted", "", NULL, 200, false},
    {HTTP_PUT, APP "/processes/web/price", "", "{\"cents_a_month\": 2500}", 204, false},
    {HTTP_POST, APP "/processes/web/pause", "", "{\"direction\": \"down\"}", 200, false},
    {HTTP_POST, APP "/processes/web/boost", "", "{\"dynos\": 2}", 200, false},
    {HTTP_PUT, APP "/processes/web/switch", "", "{\"scaling\": false}", 200, false},
    {HTTP_GET, APP "/sources", "", NULL, 200, false},
    {HTTP_GET, APP "/series", "source=web&from=-1h&step=60", NULL, 200, false},
    {HTTP_GET, APP "/events", "", NULL, 200, false},
    {HTTP_GET, APP "/audit", "", NULL, 200, false},
    {HTTP_GET, APP "/export", "", NULL, 200, false},
    {HTTP_GET, "/api/v1/people", "", NULL, 200, false},
    {HTTP_POST, "/api/v1/people", "", "{\"name\":\"ben\",\"role\":\"operate\"}", 201, false},
    {HTTP_PATCH, "/api/v1/people/anna", "", "{\"role\":\"operate\"}", 200, false},
    {HTTP_POST, "/api/v1/people/anna/link", "", NULL, 201, false},
    {HTTP_DELETE, "/api/v1/people/anna", "", NULL, 204, false},
    {HTTP_PUT, "/api/v1/people/anna/password", "", "{\"password\":\"another long one\"}", 204,
     false},
    {HTTP_POST, "/api/v1/tokens", "", "{\"name\":\"t\",\"scope\":\"read\"}", 201, false},
    {HTTP_GET, "/api/v1/tokens", "", NULL, 200, false},
    {HTTP_GET, "/api/v1/audit", "", NULL, 200, false},
    {HTTP_GET, "/api/v1/platforms", "", NULL, 200, false},
    {HTTP_GET, "/metrics", "", NULL, 200, false},
    {HTTP_POST, "/api/v1/session", "", "{\"name\":\"anna\",\"password\":\"a good long one\"}", 200,
     true},
    {HTTP_POST, "/api/v1/session", "", "{\"name\":\"anna\",\"password\":\"not what it is\"}", 401,
     true},
#undef APP
    {HTTP_POST, "/heroku/resources", "",
     "{\"uuid\":\"01234567-89ab-cdef-0123-456789abcdef\",\"plan\":\"basic\",\"name\":\"new-one\","
     "\"oauth_grant\":{\"code\":\"a code\"}}",
     202, false},
    {HTTP_PUT, "/heroku/resources/" RESOURCE, "", "{\"plan\":\"basic\"}", 200, false},
    {HTTP_DELETE, "/heroku/resources/" RESOURCE, "", NULL, 204, false},
};

static const struct asked *question;
static struct api_call call;
static sqlite3 *other;
static int64_t version;

static void api_is_there(long number) {
    (void)number;
    begin_with_data();
    assert_int_equal(sqlite3_open(folder_path(folder, "dynoscaled.db"), &other), SQLITE_OK);
    version = data_version(other);
}

static void is_asked(void) {
    call = (struct api_call){.store = store,
                             .keeper = keeper,
                             .public_url = "http://scale.test:8080",
                             .now_s = now_s(),
                             .method = question->method,
                             .query = question->query,
                             .body = question->body,
                             .body_length = question->body ? strlen(question->body) : 0,
                             .content_type = question->body && *question->body == '{'
                                                 ? "application/json"
                                                 : "application/yaml",
                             .host = "scale.test:8080",
                             .address = "192.0.2.7"};
    call.who.role = question->writes ? API_NOBODY : API_LOCAL;
    if (!question->body) call.content_type = NULL;
    call.authorization = addon_has(question->path) ? "Basic c2hvcDpzZWNyZXQ=" : NULL;
    if (addon_has(question->path)) addon_run(&call, question->path);
    else api_run(&call, question->path);
    api_work_here(&call);
}

static int wrong; /* answers, which are all shown */

static void shown(int status, const char *what) {
    wrong++;
    print_message("allocation %ld, %s: %s: %d %.300s\n", round_now, question->path, what, status,
                  call.answer.bytes ? call.answer.bytes : "");
}

static void is_answered_or_refused(bool failed) {
    bool refused = call.status == 503 && question->status != 503;
    bool changed = data_version(other) != version;
    sqlite3_close(other);
    if (!refused && call.status != question->status) shown(call.status, "neither done nor 503");
    if (refused && !failed) shown(call.status, "refused without a reason");
    if (refused && changed && !question->writes) shown(call.status, "changed, and refused");
    if (call.status != 204 && (call.answer.failed || call.answer.length == 0) && !failed)
        shown(call.status, "no answer");
    if (call.answer.failed && call.status < 400) shown(call.status, "half an answer");
    api_call_free(&call);
    if (refused) {
        is_asked();
        if (call.status != question->status) shown(call.status, "not well again");
        api_call_free(&call);
    }
    close_store();
}

static void add_person(void) {
    struct person person = {.name = "anna", .role = API_ADMIN, .created_s = now_s()};
    struct person second = {.name = "bea", .role = API_ADMIN, .created_s = now_s()};
    char hash[PASSWORD_HASH_SIZE];
    assert_true(password_hash(hash, "a good long one"));
    assert_true(store_begin(store) && person_add(store, &person) && person_add(store, &second) &&
                person_set_password(store, person.id, hash) &&
                person_set_password(store, second.id, hash) && store_commit(store));
}

/* As an add-on of Heroku's, with one resource. */
static void add_resource(void) {
    const struct addon_settings settings = {.id = "shop",
                                            .password = "secret",
                                            .exchanges = true,
                                            .asynchronous = true,
                                            .plan_count = 1,
                                            .plans = {{"basic", 5, 10}}};
    const struct asked provision = {HTTP_POST, "/heroku/resources",
                                    "",        "{\"uuid\":\"" RESOURCE "\",\"plan\":\"basic\"}",
                                    200,       false};
    addon_take(&settings);
    question = &provision;
    is_asked();
    assert_int_equal(call.status, 200);
    api_call_free(&call);
}

static void the_api_answers(void **state) {
    (void)state;
    add_app();
    add_channel();
    add_person();
    add_resource();
    keep_data();
    control_is_there(0);
    pass(60);
    control_free(control);
    live_free(live);
    keep_data();
    const char *only = getenv("ONLY"); /* one call, by its place in the list: for a debugger */
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        if (only && strtoul(only, NULL, 10) != i) continue;
        question = &asked[i];
        print_message("%s\n", question->path);
        fail_each(&(struct scenario){api_is_there, is_asked, is_answered_or_refused});
    }
    assert_int_equal(wrong, 0);
}

/* test_memory [NAME]: one of them. */
int main(int count, char **arguments) {
    if (folder_is_database()) return 0; /* it is about a store that is a file */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(json_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(data_is_opened, set_up, tear_down),
        cmocka_unit_test_setup_teardown(data_is_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_report_is_committed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_receiver_starts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_tick_decides_and_acts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(control_is_started, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_decided_is_decided_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_older_is_folded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_worth_it_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_api_answers, set_up, tear_down),
    };
    if (count > 1) cmocka_set_test_filter(arguments[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
