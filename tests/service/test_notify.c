/*
 * What is worth telling, told once, and its end too. On real data; only the clock is false. The
 * receiver is a port on which nobody listens: what is sent over the network stands in
 * test_notify.py.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../core/support/suite.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "decide/sentence.h"
#include "false_clock.h"
#include "keeper/keeper.h"
#include "log.h"
#include "notify/channel.h"
#include "notify/kinds.h"
#include "notify/notify.h"
#include "notify/week.h"
#include "rules/zone.h"
#include "support/folder.h"

enum { DAY = 86400 };

static char *folder, error[512];
static struct store *store;
static struct keeper *keeper;
static struct notify *notify;
static struct app app;
static struct channel channel;

/* What the next tick says. */
static struct ledger_tick tick;

static int64_t now_s(void) { return ds_clock_wall_ns() / 1000000000; }

static void add_channel(unsigned tells) {
    size_t length;
    void *sealed =
        keeper_seal_channel(keeper, app.name, "http://127.0.0.1:1/hidden", NULL, &length);
    channel = (struct channel){.app = app.id,
                               .kind = "webhook",
                               .hint = "127.0.0.1",
                               .tells = tells,
                               .created_s = now_s()};
    assert_true(store_begin(store) && channel_add(store, &channel, sealed, length) &&
                store_commit(store));
    free(sealed);
}

static int set_up(void **state) {
    static const char rules[] =
        "processes: {web: {scaling: on, rules: [{name: default, dynos: {min: 1, max: 5}}]}}";
    (void)state;
    if (sodium_init() < 0) return -1;
    log_set_level(LOG_ERROR); /* of each try that fails a line */
    folder = folder_make();
    store = store_open(folder, STORE_CREATE, error, sizeof error);
    const struct keeper_settings at = {.folder = folder, .private_addresses = true};
    keeper = keeper_here(&at, error, sizeof error);
    if (!store || !keeper) return -1;
    app = (struct app){.name = "shop", .zone = "Europe/Berlin", .created_s = now_s()};
    assert_true(store_begin(store) && app_add(store, &app) &&
                rules_put(store, app.id, rules, "anna", now_s()) > 0 && store_commit(store));
    add_channel(kinds_usual() | 1u << NOTICE_SCALED);
    const struct notify_settings settings = {
        .folder = folder, .public_url = "http://scale.example", .keeper = keeper, .look_s = 10};
    notify = notify_new_stopped(&settings, error, sizeof error);
    if (!notify) fail_msg("%s", error);
    tick = (struct ledger_tick){.app = app.id, .process = "web", .rules_version = 1};
    situation_clear(&tick.situation);
    memory_clear(&tick.memory);
    tick.situation.scaling = 1;
    tick.situation.ordered = 2;
    tick.situation.heard_age = 3;
    tick.situation.formation_age = 3;
    tick.decision.form = SENTENCE_HOLD_BETWEEN;
    strcpy(tick.decision.sentence, "hold 2: p95 was 70 ms over the last minute");
    strcpy(tick.decision.next, "up when p95 stays above 100 ms");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    notify_free(notify);
    keeper_free(keeper);
    store_close(store);
    folder_remove(folder);
    return 0;
}

/* So many seconds, a tick and a look each ten. */
static void pass(int seconds) {
    for (int i = 0; i < seconds; i += 10) {
        false_clock_advance_ms(10000);
        tick.situation.now = now_s();
        assert_true(store_begin(store) && ledger_add(store, &tick) &&
                    ledger_remember(store, &tick, &tick.memory) && store_commit(store));
        notify_step(notify);
        notify_wait(notify);
    }
}

/* ---- What was told --------------------------------------------------------------------------- */

struct told {
    int count;
    struct notice newest;
};

static void take(void *context, const struct notice *notice) {
    struct told *told = context;
    if (told->count++ == 0) told->newest = *notice;
}

static struct told told(void) {
    struct told all = {0};
    assert_true(notice_each(store, app.id, 1000, take, &all));
    return all;
}

#define ASSERT_TOLD(number, title_of_newest)                         \
    do {                                                             \
        struct told now_told = told();                               \
        assert_int_equal(now_told.count, number);                    \
        assert_string_equal(now_told.newest.title, title_of_newest); \
    } while (0)

/* ---- Conditions ------------------------------------------------------------------------------ */

static void nothing_is_told_of_an_app_that_is_well(void **unused) {
    (void)unused;
    pass(1200);
    assert_int_equal(told().count, 0);
}

static void a_maximum_is_told_after_ten_minutes_and_once(void **unused) {
    (void)unused;
    tick.situation.ordered = 5;
    pass(600);
    assert_int_equal(told().count, 0);
    pass(20);
    ASSERT_TOLD(1, "shop web: at its maximum of 5 dynos for 10 minutes");
    assert_non_null(strstr(told().newest.body, "p95 was 70 ms"));
    pass(3600);
    assert_int_equal(told().count, 1);
}

static void its_end_is_told_once_it_is_over_for_five_minutes(void **unused) {
    (void)unused;
    tick.situation.ordered = 5;
    pass(700);
    tick.situation.ordered = 4;
    pass(200);
    assert_int_equal(told().count, 1);
    tick.situation.ordered = 5; /* back again: nothing began and nothing ended */
    pass(700);
    assert_int_equal(told().count, 1);
    tick.situation.ordered = 4;
    pass(400);
    ASSERT_TOLD(2, "shop web: no longer at its maximum");
    pass(3600);
    assert_int_equal(told().count, 2);
}

static void a_maximum_that_is_left_in_between_is_not_told(void **unused) {
    (void)unused;
    for (int i = 0; i < 4; i++) {
        tick.situation.ordered = 5;
        pass(500);
        tick.situation.ordered = 4;
        pass(20);
    }
    assert_int_equal(told().count, 0);
}

static void silence_refusal_others_and_what_does_not_help_are_told_at_once(void **unused) {
    (void)unused;
    tick.situation.heard_age = 310;
    pass(10);
    ASSERT_TOLD(1, "shop web: no report for 5 minutes");
    tick.situation.heard_age = 3;
    tick.situation.act_state = ACT_REFUSED;
    strcpy(tick.situation.trouble, "Heroku does not know the credential");
    pass(10);
    ASSERT_TOLD(2, "shop web: its dynos can't be changed: the platform refuses");
    assert_non_null(strstr(told().newest.body, "Heroku does not know the credential"));
    tick.situation.act_state = ACT_NONE;
    tick.situation.trouble[0] = '\0';
    tick.decision.form = SENTENCE_HOLD_STOOD_DOWN;
    pass(10);
    ASSERT_TOLD(3, "shop web: somebody else scales it too");
    tick.decision.form = SENTENCE_HOLD_FUTILE;
    pass(10);
    ASSERT_TOLD(4, "shop web: more dynos do not help");
}

static void a_platform_that_can_not_be_read_for_a_moment_is_not_told(void **unused) {
    (void)unused;
    strcpy(tick.situation.trouble, "no answer within 30000 ms");
    tick.situation.formation_age = 200;
    pass(10);
    assert_int_equal(told().count, 0);
    tick.situation.formation_age = 301;
    pass(10);
    ASSERT_TOLD(1, "shop web: its dynos can't be read from the platform");
    tick.situation.formation_age = 3;
    pass(400);
    ASSERT_TOLD(2, "shop web: the platform does as it is told again");
    tick.situation.act_state = ACT_FAILED;
    tick.situation.act_age = 200;
    pass(10);
    assert_int_equal(told().count, 2);
    tick.situation.act_age = 301;
    pass(10);
    ASSERT_TOLD(3, "shop web: its dynos can't be changed");
}

static void nothing_is_told_while_scaling_is_off(void **unused) {
    (void)unused;
    tick.situation.scaling = 0;
    tick.situation.ordered = 5;
    tick.situation.heard_age = 3600;
    pass(700);
    assert_int_equal(told().count, 0);
}

static void ticks_that_are_missing_say_nothing(void **unused) {
    (void)unused;
    tick.situation.ordered = 5;
    pass(300);
    false_clock_advance_ms(3600 * 1000);
    notify_step(notify);
    assert_int_equal(told().count, 0);
}

/* ---- Scalings -------------------------------------------------------------------------------- */

static void scale(int from, int to) {
    struct act act = {.app = app.id,
                      .process = "web",
                      .from = from,
                      .to = to,
                      .ordered_s = now_s(),
                      .ended_s = now_s(),
                      .state = ACT_DONE};
    assert_true(store_begin(store) && act_add(store, &act) && act_update(store, &act) &&
                store_commit(store));
}

static void each_scaling_is_told_but_at_most_twelve_an_hour(void **unused) {
    (void)unused;
    assert_true(store_begin(store) && channel_remove(store, app.id, channel.id) &&
                store_commit(store));
    scale(1, 2);
    pass(10);
    add_channel(1u << NOTICE_SCALED);
    pass(10);
    assert_int_equal(told().count, 0); /* from before anybody listened */
    scale(2, 3);
    pass(10);
    ASSERT_TOLD(1, "shop web: 2 → 3 dynos");
    pass(60);
    assert_int_equal(told().count, 1);
    scale(3, 4);
    false_clock_advance_ms(1000);
    scale(4, 2);
    pass(10);
    ASSERT_TOLD(2, "shop web: 3 → 2 dynos");
    for (int i = 0; i < 40; i++) {
        scale(2, 3);
        pass(10);
    }
    assert_int_equal(told().count, 12);
    assert_non_null(strstr(told().newest.body, "the last one that is told in this hour"));
    pass(3600);
    scale(3, 2);
    pass(10);
    assert_int_equal(told().count, 13);
}

/* ---- The week -------------------------------------------------------------------------------- */

static void a_week_ends_on_monday_at_eight_by_the_app_s_clock(void **unused) {
    (void)unused;
    /* 2026-11-29 is a Sunday; Berlin is an hour ahead of UTC in winter, two in summer. */
    const int64_t sunday_noon = 1795953600, monday_seven = sunday_noon + 19 * 3600;
    assert_int_equal(week_end("Europe/Berlin", sunday_noon), monday_seven - 7 * DAY);
    assert_int_equal(week_end("Europe/Berlin", monday_seven - 1), monday_seven - 7 * DAY);
    assert_int_equal(week_end("Europe/Berlin", monday_seven), monday_seven);
    assert_int_equal(week_end("Asia/Kolkata", monday_seven), monday_seven - 16200);
    /* The clocks went back on 2026-10-25: 8:00 on the Monday before was 6:00 UTC. */
    const int64_t winter_sunday = 1792933200;
    assert_int_equal(week_end("Europe/Berlin", winter_sunday), 1792389600);
    assert_int_equal(week_end("Nowhere/At_All", sunday_noon), 0);
    for (int64_t at_s = 1767225600; at_s < 1767225600 + 400 * (int64_t)DAY; at_s += 4999) {
        int64_t end_s = week_end("America/New_York", at_s);
        struct zone_time end = zone_time(zone_find("America/New_York"), end_s);
        assert_true(end_s <= at_s && at_s - end_s <= 7 * DAY + 3600);
        assert_int_equal(end.weekday, 0);
        assert_int_equal(end.second, 8 * 3600);
    }
}

/* To ten seconds after the next end of a week. */
static void pass_to_monday(void) {
    int64_t next_s = week_end(app.zone, now_s()) + 7 * DAY;
    false_clock_advance_ms((next_s - now_s()) * 1000);
    pass(10);
}

static void a_week_is_summed_up_once(void **unused) {
    (void)unused;
    assert_true(store_begin(store) && channel_remove(store, app.id, channel.id) &&
                store_commit(store));
    tick.situation.value_ms = 250;
    tick.situation.samples = 100;
    pass(600);
    pass_to_monday();
    add_channel(kinds_usual());
    pass(10);
    assert_int_equal(told().count, 0); /* nobody listened when that week ended */
    pass(580);
    tick.situation.value_ms = 20;
    pass(600);
    pass_to_monday();
    ASSERT_TOLD(1, "shop: the week had 10 slow minutes");
    const char *body = told().newest.body;
    assert_non_null(strstr(body, "web: 10 slow minutes, 1 dyno-hours, at most 2 dynos"));
    assert_non_null(strstr(body, "known of 0 hours of the week"));
    pass(1200);
    assert_int_equal(told().count, 1);
}

/* ---- Deliveries ------------------------------------------------------------------------------ */

static int64_t deliveries(int64_t *due_s) {
    struct delivery delivery;
    bool found = delivery_claim(store, INT64_MAX / 2, 1, &delivery);
    *due_s = found ? delivery.due_s : 0;
    return found ? delivery.tries - 1 : -1;
}

static void what_can_not_be_sent_is_tried_again_with_growing_waits_for_a_day(void **unused) {
    (void)unused;
    int64_t due_s;
    tick.situation.heard_age = 400;
    pass(10);
    assert_true(channel_get(store, app.id, channel.id, &channel));
    assert_non_null(strstr(channel.trouble, "it could not be reached"));
    assert_null(strstr(channel.trouble, "hidden"));
    assert_int_equal(channel.told_s, 0);
    int64_t first_s = now_s();
    pass(DAY + 3 * 3600);
    assert_int_equal(deliveries(&due_s), -1);
    assert_true(channel_get(store, app.id, channel.id, &channel));
    assert_non_null(strstr(channel.trouble, "it could not be reached"));
    assert_true(now_s() - first_s > DAY);
    assert_int_equal(told().count, 1);
}

static void a_channel_gets_in_order_what_it_chose_and_nothing_after_its_removal(void **unused) {
    (void)unused;
    int64_t due_s;
    assert_true(store_begin(store) &&
                channel_set_tells(store, app.id, channel.id, 1u << NOTICE_OTHERS) &&
                store_commit(store));
    tick.situation.heard_age = 400;
    pass(10);
    assert_int_equal(told().count, 1);
    assert_int_equal(deliveries(&due_s), -1);
    tick.decision.form = SENTENCE_HOLD_STOOD_DOWN;
    pass(10);
    assert_int_equal(told().count, 2);
    assert_int_equal(deliveries(&due_s), 1);
    assert_true(store_begin(store) && channel_remove(store, app.id, channel.id) &&
                store_commit(store));
    assert_int_equal(deliveries(&due_s), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_told_of_an_app_that_is_well),
        TEST(a_maximum_is_told_after_ten_minutes_and_once),
        TEST(its_end_is_told_once_it_is_over_for_five_minutes),
        TEST(a_maximum_that_is_left_in_between_is_not_told),
        TEST(silence_refusal_others_and_what_does_not_help_are_told_at_once),
        TEST(a_platform_that_can_not_be_read_for_a_moment_is_not_told),
        TEST(nothing_is_told_while_scaling_is_off),
        TEST(ticks_that_are_missing_say_nothing),
        TEST(each_scaling_is_told_but_at_most_twelve_an_hour),
        TEST(a_week_ends_on_monday_at_eight_by_the_app_s_clock),
        TEST(a_week_is_summed_up_once),
        TEST(what_can_not_be_sent_is_tried_again_with_growing_waits_for_a_day),
        TEST(a_channel_gets_in_order_what_it_chose_and_nothing_after_its_removal),
    };
    return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
