/*
 * The commit: on disk, counted once, in the live windows, and again after a start. Real files, a
 * real thread; the clock stands still.
 */
#define _GNU_SOURCE /* a whole POSIX */
#include "../core/support/false_clock.h"
#include "../core/support/suite.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ingest/commit.h"
#include "ingest/follow.h"
#include "store/series.h"
#include "support/folder.h"

#define NOW_S (NOW_NS / 1000000000)

enum { WAITING_BYTES = 100000, GROUP_BYTES = 10000, ITEM_BYTES = 1000 };

struct world {
    char *folder;
    struct live *live;
    struct commit *commit;
    struct follow *follow; /* of a store that is shared: fills the live windows */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int done, groups, called;
    bool hold;    /* the thread stays in `called` */
    int takes_ms; /* each group */
    int group_ms; /* that it may take */
};

static struct world world;

static void done(void *context, struct commit_item *first) {
    (void)context;
    pthread_mutex_lock(&world.lock);
    false_clock_advance_ms(world.takes_ms);
    world.groups++;
    for (; first; first = first->next) world.done++;
    pthread_cond_broadcast(&world.changed);
    pthread_mutex_unlock(&world.lock);
}

static void called(void *context, struct store *store) {
    (void)context;
    assert_non_null(store);
    pthread_mutex_lock(&world.lock);
    world.called++;
    pthread_cond_broadcast(&world.changed);
    while (world.hold) pthread_cond_wait(&world.changed, &world.lock);
    pthread_mutex_unlock(&world.lock);
}

static void start_with(int commit_ms) {
    char error[512];
    struct commit_settings settings = {.folder = world.folder,
                                       .commit_ms = commit_ms,
                                       .waiting_bytes = WAITING_BYTES,
                                       .group_bytes = GROUP_BYTES,
                                       .group_ms = world.group_ms,
                                       .done = done,
                                       .called = called};
    world.live = live_new();
    world.follow = follow_new(world.live);
    world.done = world.groups = world.called = 0;
    world.commit = commit_new(world.live, &settings, error, sizeof error);
    if (!world.commit) fail_msg("%s", error);
}

static void start(void) { start_with(5); }

/* Where services share a store, each reads there what all of them committed. */
static void catch_up(void) {
    char error[512];
    if (!folder_is_database()) return;
    struct store *store = store_open(world.folder, STORE_EXISTING, error, sizeof error);
    if (!store) fail_msg("%s", error);
    if (!follow_read(world.follow, store, NOW_S)) fail_msg("%s", store_error(store));
    store_close(store);
}

static void stop(void) {
    commit_end(world.commit);
    commit_free(world.commit);
    follow_free(world.follow);
    live_free(world.live);
    world.commit = NULL;
    world.live = NULL;
}

static int set_up(void **state) {
    (void)state;
    pthread_mutex_init(&world.lock, NULL);
    pthread_cond_init(&world.changed, NULL);
    world.folder = folder_make();
    start();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    if (world.commit) stop();
    folder_remove(world.folder);
    return 0;
}

static void wait_for(int *number, int least) {
    pthread_mutex_lock(&world.lock);
    while (*number < least) pthread_cond_wait(&world.changed, &world.lock);
    pthread_mutex_unlock(&world.lock);
}

static struct commit_item *item_of(int64_t app, const char *dyno, const char *key,
                                   const char *body) {
    char sentence[REPORT_SENTENCE_SIZE];
    struct commit_item *item = calloc(1, sizeof *item);
    struct report_head head = {.dyno = dyno, .key = key};
    item->app = app;
    if (report_read(&item->report, &head, body, strlen(body), NOW_S, sentence) > REPORT_HEARTBEAT)
        fail_msg("%s", sentence);
    return item;
}

static void free_item(struct commit_item *item) {
    report_free(&item->report);
    free(item);
}

/* What is added until then is one group. */
static void hold_thread(void) {
    int before = world.called;
    world.hold = true;
    commit_call(world.commit, true);
    wait_for(&world.called, before + 1);
}

static void let_go(void) {
    pthread_mutex_lock(&world.lock);
    world.hold = false;
    pthread_cond_broadcast(&world.changed);
    pthread_mutex_unlock(&world.lock);
}

static enum commit_result commit_one(int64_t app, const char *key, const char *body) {
    struct commit_item *item = item_of(app, "web.1", key, body);
    int before = world.done;
    commit_add(world.commit, item);
    wait_for(&world.done, before + 1);
    enum commit_result result = item->result;
    free_item(item);
    return result;
}

static int64_t samples(int64_t app, bool web) {
    struct rule rule = {.statistic = RULE_P95};
    catch_up();
    return live_measure(world.live, app, &rule, web, NOW_S - 900, NOW_S + 60).samples;
}

static bool count_part(void *context, const struct series_part *stored) {
    struct sketch sketch = {0};
    assert_true(part_into_sketch(&sketch, stored->data, stored->length, 0, PART_SECONDS));
    *(int64_t *)context += (int64_t)sketch.count;
    return true;
}

static int64_t samples_on_disk(void) {
    char error[512];
    int64_t count = 0;
    struct store *store = store_open(world.folder, STORE_EXISTING, error, sizeof error);
    assert_non_null(store);
    assert_true(series_each_part(store, 0, count_part, &count));
    store_close(store);
    return count;
}

#define BODY "1700000000,12,web,\n1699999999,7,web,\n1699999980,9,rq:a,\n"

static void a_report_is_on_disk_and_live_when_it_is_done(void **unused) {
    (void)unused;
    assert_int_equal(commit_one(1, "a", BODY), COMMIT_DONE);
    assert_int_equal(samples_on_disk(), 3);
    assert_int_equal(samples(1, true), 2);
    assert_int_equal(samples(1, false), 1);
    assert_int_equal(live_heard_at(world.live, 1, "web"), NOW_S);
}

static void the_same_batch_is_counted_once_for_each_app(void **unused) {
    (void)unused;
    assert_int_equal(commit_one(1, "a", BODY), COMMIT_DONE);
    assert_int_equal(commit_one(1, "a", BODY), COMMIT_REPEATED);
    assert_int_equal(commit_one(2, "a", BODY), COMMIT_DONE);
    stop();
    start();
    assert_int_equal(commit_one(1, "a", BODY), COMMIT_REPEATED);
    assert_int_equal(commit_one(1, "b", BODY), COMMIT_DONE);
    assert_int_equal(samples_on_disk(), 9);
    assert_int_equal(samples(1, true), 4);
}

static void twins_in_one_group_are_counted_once(void **unused) {
    (void)unused;
    struct commit_item *items[20];
    for (int i = 0; i < 20; i++) items[i] = item_of(1, "web.1", i % 2 ? "a" : "b", BODY);
    hold_thread();
    for (int i = 0; i < 20; i++) commit_add(world.commit, items[i]);
    let_go();
    wait_for(&world.done, 20);
    int repeated = 0;
    for (int i = 0; i < 20; i++) {
        repeated += items[i]->result == COMMIT_REPEATED;
        free_item(items[i]);
    }
    assert_int_equal(repeated, 18);
    assert_int_equal(samples_on_disk(), 6);
    assert_int_equal(world.groups, 1);
}

static void a_report_after_a_pause_does_not_wait(void **unused) {
    (void)unused;
    enum { AN_HOUR_MS = 3600000 };
    stop();
    start_with(AN_HOUR_MS);
    alarm(300); /* it would wait for an hour */
    assert_int_equal(commit_one(1, "a", BODY), COMMIT_DONE);
    alarm(0);
    assert_int_equal(samples_on_disk(), 3);
}

static void the_live_windows_are_the_same_after_a_start(void **unused) {
    (void)unused;
    struct rule rule = {.statistic = RULE_P95};
    char body[100], key[10];
    for (int i = 0; i < 100; i++) {
        snprintf(body, sizeof body, "%d,%d,web,\n%d,%d,web,\n", 1700000000 - i * 7, i * i,
                 1700000000 - i * 3, i);
        snprintf(key, sizeof key, "%d", i);
        assert_int_equal(commit_one(1, key, body), COMMIT_DONE);
    }
    struct live_measure before[90];
    catch_up();
    for (int i = 0; i < 90; i++)
        before[i] = live_measure(world.live, 1, &rule, true, NOW_S - 900 + i * 10 + i % 7,
                                 NOW_S - 880 + i * 10);
    stop();
    start();
    catch_up();
    for (int i = 0; i < 90; i++) {
        struct live_measure now = live_measure(world.live, 1, &rule, true,
                                               NOW_S - 900 + i * 10 + i % 7, NOW_S - 880 + i * 10);
        assert_int_equal(now.value_ms, before[i].value_ms);
        assert_int_equal(now.samples, before[i].samples);
    }
    assert_int_equal(live_dynos(world.live, 1, "web", NOW_S), 1);
}

static void a_heartbeat_says_only_that_its_dyno_lives(void **unused) {
    (void)unused;
    assert_int_equal(commit_one(1, "a", ""), COMMIT_DONE);
    catch_up();
    assert_int_equal(live_heard_at(world.live, 1, "web"), NOW_S);
    assert_int_equal(samples_on_disk(), 0);
}

static void an_app_has_only_so_many_series(void **unused) {
    (void)unused;
    static char body[60 * 500];
    char key[10];
    for (int round = 0; round < 3; round++) {
        char *at = body;
        for (int i = 0; i < 400; i++) at += sprintf(at, "1700000000,1,rq:%d,\n", round * 400 + i);
        snprintf(key, sizeof key, "%d", round);
        struct commit_item *item = item_of(1, "web.1", key, body);
        commit_add(world.commit, item);
        wait_for(&world.done, round + 1);
        assert_int_equal(item->result, COMMIT_DONE);
        assert_int_equal(item->series_refused, round == 2 ? 200 : 0);
        free_item(item);
    }
    assert_int_equal(samples_on_disk(), SERIES_OF_APP);
    assert_int_equal(commit_one(2, "a", BODY), COMMIT_DONE);
    assert_int_equal(samples(2, true), 2);
}

static void what_waits_is_committed_at_the_end(void **unused) {
    (void)unused;
    struct commit_item *item = item_of(1, "web.1", "a", BODY);
    commit_add(world.commit, item);
    stop();
    assert_int_equal(item->result, COMMIT_DONE);
    free_item(item);
    assert_int_equal(samples_on_disk(), 3);
}

static struct commit_item *sized_item(int64_t app, int number) {
    char key[20];
    snprintf(key, sizeof key, "%d", number);
    struct commit_item *item = item_of(app, "web.1", key, BODY);
    item->bytes = ITEM_BYTES;
    return item;
}

/* Their numbers in the store count up with the order in which they were written. */
static void a_report_waits_for_few_of_another_app_however_many_wait(void **unused) {
    (void)unused;
    enum { MANY = WAITING_BYTES / ITEM_BYTES / 2 };
    struct commit_item *flood[MANY], *other = sized_item(2, 0);
    for (int i = 0; i < MANY; i++) flood[i] = sized_item(1, i);
    hold_thread();
    for (int i = 0; i < MANY; i++) assert_true(commit_add(world.commit, flood[i]));
    assert_true(commit_add(world.commit, other));
    let_go();
    wait_for(&world.done, MANY + 1);
    int before = 0;
    for (int i = 0; i < MANY; i++) before += flood[i]->number < other->number;
    assert_int_equal(before, 1);
    for (int i = 1; i < MANY; i++) assert_true(flood[i - 1]->number < flood[i]->number);
    /* And no transaction is longer than it may. */
    assert_int_equal(world.groups, (MANY + 1) * ITEM_BYTES / GROUP_BYTES + 1);
    for (int i = 0; i < MANY; i++) free_item(flood[i]);
    free_item(other);
}

/* How many groups so many reports of one app take. */
static int groups_of(int count, int first) {
    struct commit_item *items[WAITING_BYTES / ITEM_BYTES];
    int before = world.groups, done_before = world.done;
    for (int i = 0; i < count; i++) items[i] = sized_item(1, first + i);
    hold_thread();
    for (int i = 0; i < count; i++) assert_true(commit_add(world.commit, items[i]));
    let_go();
    wait_for(&world.done, done_before + count);
    for (int i = 0; i < count; i++) {
        commit_release(world.commit, items[i]);
        free_item(items[i]);
    }
    return world.groups - before;
}

static void groups_that_take_too_long_become_smaller_until_they_do_not(void **unused) {
    (void)unused;
    stop();
    world.group_ms = 100;
    world.takes_ms = 101;
    start();
    /* Of 10, 5, 3, 2 reports and then one each. */
    assert_int_equal(groups_of(50, 0), 4 + 30);
    world.takes_ms = 60; /* not so little that they grow */
    assert_int_equal(groups_of(10, 100), 10);
    world.takes_ms = 0; /* 1, 1, 1, 2, 3, 5, 10, 10 ... */
    assert_true(groups_of(50, 200) < 12);
    assert_int_equal(groups_of(50, 300), 5);
    world.group_ms = world.takes_ms = 0;
}

static void an_app_may_have_as_much_waiting_as_is_free(void **unused) {
    (void)unused;
    struct commit_item *items[WAITING_BYTES / ITEM_BYTES], *more = sized_item(1, 0);
    int count = 0;
    hold_thread();
    for (int64_t app = 1; app <= 2; app++) {
        int of_app = 0;
        while (commit_has_room(world.commit, app, ITEM_BYTES)) {
            items[count] = sized_item(app, count);
            assert_true(commit_add(world.commit, items[count++]));
            of_app++;
        }
        more->app = app;
        assert_false(commit_add(world.commit, more));
        assert_int_equal(of_app, app == 1 ? 50 : 25);
        assert_int_equal(commit_waiting_bytes(world.commit), (size_t)count * ITEM_BYTES);
    }
    let_go();
    wait_for(&world.done, count);
    assert_false(commit_has_room(world.commit, 1, ITEM_BYTES)); /* until they are answered */
    for (int i = 0; i < count; i++) {
        commit_release(world.commit, items[i]);
        free_item(items[i]);
    }
    assert_int_equal(commit_waiting_bytes(world.commit), 0);
    assert_true(commit_has_room(world.commit, 1, WAITING_BYTES));
    assert_false(commit_has_room(world.commit, 1, WAITING_BYTES + 1));
    free_item(more);
}

static void a_call_comes_with_the_store(void **unused) {
    (void)unused;
    assert_int_equal(world.called, 1);
    commit_call(world.commit, true);
    wait_for(&world.called, 2);
    commit_call(world.commit, false);
    wait_for(&world.called, 3);
    commit_call(world.commit, false);
    stop();
    assert_int_equal(world.called, 4);
}

/* A part of a transaction fails: all of it is answered as failed, and what comes after it is kept.
 */
static void what_a_store_refuses_is_told_and_comes_through_later(void **unused) {
    (void)unused;
    char error[512];
    struct store *store = store_open(world.folder, STORE_EXISTING, error, sizeof error);
    struct query query =
        store_query(store, folder_is_database()
                               ? "ALTER TABLE part ADD CONSTRAINT no_room CHECK (false) NOT VALID"
                               : "CREATE TRIGGER no_room BEFORE INSERT ON part "
                                 "BEGIN SELECT RAISE(FAIL, 'no room'); END");
    assert_true(query_run(&query));
    assert_int_equal(commit_one(1, "a", BODY), COMMIT_FAILED);
    assert_int_equal(samples_on_disk(), 0);
    assert_int_equal(samples(1, true), 0);
    assert_int_equal(commit_failed_count(world.commit), 1);
    query = store_query(store, folder_is_database() ? "ALTER TABLE part DROP CONSTRAINT no_room"
                                                    : "DROP TRIGGER no_room");
    assert_true(query_run(&query));
    store_close(store);
    assert_int_equal(commit_one(1, "a", BODY), COMMIT_DONE);
    assert_int_equal(samples_on_disk(), 3);
    assert_int_equal(samples(1, true), 2);
    /* And of the right series, though those that were made first are gone. */
    stop();
    start();
    assert_int_equal(samples(1, true), 2);
    assert_int_equal(samples(1, false), 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_report_is_on_disk_and_live_when_it_is_done),
        TEST(the_same_batch_is_counted_once_for_each_app),
        TEST(twins_in_one_group_are_counted_once),
        TEST(a_report_after_a_pause_does_not_wait),
        TEST(the_live_windows_are_the_same_after_a_start),
        TEST(a_heartbeat_says_only_that_its_dyno_lives),
        TEST(an_app_has_only_so_many_series),
        TEST(what_waits_is_committed_at_the_end),
        TEST(a_report_waits_for_few_of_another_app_however_many_wait),
        TEST(groups_that_take_too_long_become_smaller_until_they_do_not),
        TEST(an_app_may_have_as_much_waiting_as_is_free),
        TEST(a_call_comes_with_the_store),
        TEST(what_a_store_refuses_is_told_and_comes_through_later),
    };
    return cmocka_run_group_tests_name("commit", tests, NULL, NULL);
}
