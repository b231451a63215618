/*
 * Control: ticks, orders, restarts. On real data with a real program as the platform; only the
 * clock is false.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../core/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "control/replay.h"
#include "control/state.h"
#include "false_clock.h"
#include "ingest/live.h"
#include "ingest/report.h"
#include "series/part.h"
#include "store/addon.h"
#include "support/folder.h"

static char *folder, error[512];
static struct store *store;
static struct live *live;
static struct keeper *keeper;
static struct control *control;
static struct app app;

/* ---- The platform --------------------------------------------------------------------------- */

/* `dynos` holds what runs; `on-set` and `on-read` are shell, run before a call is carried out; each
 * `set` is a line of `calls`. */
static const char scale[] = "#!/bin/sh\n"
                            "cd \"${0%/*}\" || exit 1\n"
                            "case $1 in\n"
                            "read) . ./on-read; cat dynos-$2 ;;\n"
                            "set) echo \"$2 $3\" >>calls; . ./on-set; echo $3 >dynos-$2 ;;\n"
                            "esac\n";

static void runs(int dynos) {
    char text[16];
    snprintf(text, sizeof text, "%d\n", dynos);
    folder_write(folder, "dynos-web", text);
}

static void set_platform(const char *extra) {
    char settings[512];
    snprintf(settings, sizeof settings, "{\"command\": [\"./scale\"]%s, \"directory\": \"%s\"}",
             extra, folder);
    assert_true(store_begin(store));
    assert_true(platform_put(store, app.id, "command", settings, NULL, 0));
    assert_true(store_touch_config(store));
    assert_true(store_commit(store));
}

static int64_t now_s(void) { return ds_clock_wall_ns() / 1000000000; }

static void set_rules(const char *text) {
    assert_true(store_begin(store));
    assert_true(rules_put(store, app.id, text, "anna", now_s()) > 0);
    assert_true(store_touch_config(store));
    assert_true(store_commit(store));
}

/* ---- Beginning and ending ------------------------------------------------------------------- */

static struct control *begin(void) {
    const struct control_settings settings = {.folder = folder,
                                              .keeper = keeper,
                                              .tick_s = 10,
                                              .act_threads = 2,
                                              .act_timeout_s = 60,
                                              .report_s = 10};
    struct control *begun = control_new_stopped(live, &settings, error, sizeof error);
    if (!begun) fail_msg("%s", error);
    return begun;
}

static int set_up(void **state) {
    (void)state;
    folder = folder_make();
    store = store_open(folder, STORE_CREATE, error, sizeof error);
    live = live_new();
    const struct keeper_settings settings = {.folder = folder};
    keeper = keeper_here(&settings, error, sizeof error);
    if (!store || !live || !keeper) return -1;
    folder_write(folder, "scale", scale);
    folder_write(folder, "on-set", "");
    folder_write(folder, "on-read", "");
    chmod(folder_path(folder, "scale"), 0700);
    runs(1);
    app = (struct app){.name = "shop", .zone = "Europe/Berlin", .created_s = now_s()};
    assert_true(store_begin(store));
    assert_true(app_add(store, &app));
    assert_true(store_commit(store));
    set_platform("");
    set_rules("processes: {web: {rules: [{name: default, dynos: {min: 1, max: 5}}]}}");
    false_clock_advance_ms(10000 - ds_clock_wall_ns() / 1000000 % 10000); /* a tick's moment */
    control = begin();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    control_free(control);
    keeper_free(keeper);
    live_free(live);
    store_close(store);
    folder_remove(folder);
    return 0;
}

/* ---- Time passes ---------------------------------------------------------------------------- */

/* Everything that is due now, and what comes of it. */
static void settle(struct control *one) {
    for (int i = 0; i < 6; i++) {
        control_step(one);
        control_wait_for_calls(one);
    }
}

static void heard(void) { live_heard(live, app.id, "web.1", now_s()); }

/* So many seconds with requests that waited `ms` each; a report and a step each second. */
static void pass(int seconds, int ms) {
    for (int i = 0; i < seconds; i++) {
        struct part part = PART_EMPTY(part_start(now_s()));
        for (int n = 0; n < 20 && ms >= 0; n++)
            assert_true(part_add(&part, (int)(now_s() - part.start_s), (uint32_t)ms));
        if (ms >= 0) live_add(live, app.id, "web", "wait", &part);
        part_free(&part);
        if (ms >= 0) heard();
        false_clock_advance_ms(1000);
        settle(control);
    }
}

static const char *calls(void) { return folder_read(folder, "calls"); }

static struct act last_act(void) {
    struct act act = {0};
    act_last(store, app.id, "web", &act);
    return act;
}

static struct ledger_tick last_tick(void) {
    struct ledger_tick tick = {0};
    assert_true(ledger_last(store, app.id, "web", INT64_MAX, &tick));
    return tick;
}

static const char *const min_three =
    "processes: {web: {rules: [{name: default, dynos: {min: 3, max: 5}}]}}";

/* ---- Ticks ---------------------------------------------------------------------------------- */

static void each_ten_seconds_every_process_is_decided_for_and_written_down(void **state) {
    (void)state;
    pass(60, 20);
    struct ledger_tick tick = last_tick();
    assert_int_equal(tick.situation.now % 10, 0);
    assert_int_equal(tick.situation.ordered, 1);
    assert_int_equal(tick.situation.value_ms, 20);
    assert_true(tick.situation.samples >= 900);
    assert_int_equal(tick.rules_version, 1);
    assert_true(tick.situation.heard_age <= 1);
    assert_true(tick.situation.formation_age >= 0 && tick.situation.formation_age < 10);
    assert_string_equal(tick.situation.trouble, "");
    assert_true(*tick.decision.sentence);
    assert_string_equal(calls(), "");
    struct replay_counts counts;
    assert_true(replay_run(store, &app, "web", 0, INT64_MAX, NULL, NULL, &counts));
    assert_true(counts.ticks >= 6);
    assert_int_equal(counts.different + counts.broken + counts.no_rules, 0);
    assert_true(control_counts(control).ticks >= 6);
    assert_int_equal(control_counts(control).late_ticks, 0);
    assert_int_equal(control_counts(control).processes, 1);
}

static void a_breach_is_ordered_by_the_next_tick(void **state) {
    (void)state;
    pass(80, 20);
    assert_string_equal(calls(), "");
    int seconds = 0;
    for (; seconds < 20 && !*calls(); seconds++) pass(1, 2000);
    assert_string_equal(calls(), "web 2\n");
    assert_true(seconds <= 20);
    struct act act = last_act();
    assert_int_equal(act.state, ACT_DONE);
    assert_int_equal(act.from, 1);
    assert_int_equal(act.to, 2);
    assert_int_equal(act.tries, 1);
    assert_true(act.ended_s >= act.ordered_s);
    pass(10, 2000);
    struct ledger_tick tick = last_tick();
    assert_int_equal(tick.situation.ordered, 2);
    assert_int_equal(tick.situation.act_state, ACT_DONE);
    assert_int_equal(tick.situation.act_wanted, 2);
    assert_int_equal(tick.situation.outside_count, 0);
}

static bool holds_at_seventy(void *context, const struct ledger_tick *tick) {
    ++*(int *)context;
    assert_int_equal(tick->decision.action, DECISION_HOLD);
    bool recent = tick->situation.heard_age < 30;
    assert_int_equal(tick->situation.value_ms, recent ? 70 : -1);
    return true;
}

static void a_time_without_reports_is_not_read_as_one_without_requests(void **state) {
    (void)state;
    set_rules("processes: {web: {rules: [{name: default, dynos: {min: 1, max: 5}, window: 10,"
              " up: {wait: 10}, down: {wait: 10}}]}}");
    runs(3);
    pass(60, 70);
    int64_t silent_s = now_s();
    pass(60, -1);
    int ticks = 0;
    assert_true(
        ledger_each(store, app.id, "web", silent_s, INT64_MAX, false, holds_at_seventy, &ticks));
    assert_true(ticks >= 6);
    assert_string_equal(calls(), "");
}

static void with_scaling_off_all_is_decided_and_nothing_done(void **state) {
    (void)state;
    set_rules(
        "processes: {web: {scaling: off, rules: [{name: default, dynos: {min: 3, max: 5}}]}}");
    pass(30, 20);
    struct ledger_tick tick = last_tick();
    assert_int_equal(tick.decision.action, DECISION_UP);
    assert_int_equal(tick.decision.to, 3);
    assert_string_equal(calls(), "");
    assert_int_equal(last_act().id, 0);
}

static void a_change_is_obeyed_within_a_second(void **state) {
    (void)state;
    pass(12, 20);
    set_rules(min_three);
    control_changed(control);
    pass(1, 20);
    settle(control);
    assert_string_equal(calls(), "web 3\n");
    assert_int_equal(last_tick().rules_version, 2);
    assert_true(last_tick().situation.rule_age <= 1);
    assert_true(last_tick().situation.person_age <= 1);
}

static void change_once_more(void *context) {
    if (++*(int *)context == 1) set_rules(min_three);
}

static void a_change_while_another_one_is_told_is_told_too(void **state) {
    (void)state;
    int told = 0;
    settle(control);
    control_on_change(control, change_once_more, &told);
    set_platform("");
    settle(control);
    assert_int_equal(told, 2);
}

static void a_clock_that_was_set_is_told(void **state) {
    (void)state;
    pass(30, 20);
    false_clock_set_wall(ds_clock_wall_ns() + 3600 * 1000000000LL);
    pass(10, -1);
    struct ledger_tick tick = last_tick();
    assert_int_equal(tick.situation.clock_jump, 3600);
    assert_int_equal(tick.decision.action, DECISION_HOLD);
    pass(10, -1);
    assert_int_equal(last_tick().situation.clock_jump, 0);
    false_clock_set_wall(ds_clock_wall_ns() - 7200 * 1000000000LL);
    int64_t ticks = (int64_t)control_counts(control).ticks;
    pass(10, -1);
    assert_int_equal((int64_t)control_counts(control).ticks, ticks + 1);
}

static void an_app_without_a_platform_is_decided_for_and_says_so(void **state) {
    (void)state;
    assert_true(platform_remove(store, app.id));
    assert_true(store_touch_config(store));
    pass(20, 2000);
    struct ledger_tick tick = last_tick();
    assert_int_equal(tick.situation.ordered, -1);
    assert_int_equal(tick.decision.action, DECISION_HOLD);
    assert_string_equal(tick.situation.trouble,
                        "no platform is set: `dynoscaled platform set shop ...`");
}

static void an_app_that_can_not_be_read_does_not_hold_up_another(void **state) {
    (void)state;
    struct app other = {.name = "other", .zone = "UTC"};
    assert_true(store_begin(store));
    assert_true(app_add(store, &other));
    assert_true(platform_put(store, other.id, "unheard-of", "{}", NULL, 0));
    assert_true(rules_put(store, other.id, "processes: {web: {rules: [{name: default}]}}", "anna",
                          now_s()) > 0);
    assert_true(rules_put(store, other.id, "nonsense: [", "anna", now_s()) > 0);
    assert_true(store_touch_config(store));
    assert_true(store_commit(store));
    set_rules(min_three);
    pass(20, 20);
    assert_string_equal(calls(), "web 3\n");
}

/* So many seconds in which a worker lives; with a reading of its queue each ten. */
static void pass_with_worker(int seconds, bool readings) {
    for (int i = 0; i < seconds; i++) {
        struct part part = PART_EMPTY(part_start(now_s()));
        assert_true(part_add(&part, (int)(now_s() - part.start_s), 0));
        if (readings && now_s() % 10 == 0) live_add(live, app.id, "rq:default", "wait", &part);
        part_free(&part);
        live_heard(live, app.id, "worker.1", now_s());
        false_clock_advance_ms(1000);
        settle(control);
    }
}

static bool removes_nothing(void *context, const struct ledger_tick *tick) {
    ++*(int *)context;
    assert_int_equal(tick->decision.action, DECISION_HOLD);
    assert_true(tick->situation.heard_age <= 1);
    return true;
}

static void old_readings_of_a_queue_remove_no_worker_while_its_broker_is_down(void **state) {
    (void)state;
    set_rules("processes: {worker: {rules: [{name: default, dynos: {min: 0, max: 9}, window: 600,"
              " up: {threshold_ms: 10000}, down: {threshold_ms: 1000, wait: 120}}]}}");
    folder_write(folder, "dynos-worker", "6\n");
    pass_with_worker(620, true);
    assert_string_equal(calls(), "worker 5\n"); /* a window after the start */
    pass_with_worker(40, false);
    int64_t silent_s = now_s();
    pass_with_worker(300, false);
    int ticks = 0;
    assert_true(
        ledger_each(store, app.id, "worker", silent_s, INT64_MAX, false, removes_nothing, &ticks));
    assert_true(ticks >= 30);
    assert_string_equal(calls(), "worker 5\n");
    pass_with_worker(110, true); /* the broker is back, and the wait begins anew */
    assert_string_equal(calls(), "worker 5\n");
    pass_with_worker(30, true);
    assert_string_equal(calls(), "worker 5\nworker 4\n");
}

static void apps_come_change_and_go_in_any_order(void **state) {
    (void)state;
    struct app others[40];
    for (int i = 0; i < 40; i++) {
        others[i] = (struct app){.zone = "UTC"};
        snprintf(others[i].name, sizeof others[i].name, "app-%d", i * 7 % 40);
        assert_true(store_begin(store));
        assert_true(app_add(store, &others[i]));
        assert_true(store_commit(store));
        if (i % 5 == 4) pass(1, 20);
    }
    pass(1, 20);
    assert_int_equal(control_counts(control).apps, 41);
    for (int i = 0; i < 40; i += 3) {
        assert_true(store_begin(store));
        assert_true(app_remove(store, others[i].id));
        assert_true(store_commit(store));
        if (i % 2) pass(1, 20);
    }
    pass(1, 20);
    assert_int_equal(control_counts(control).apps, 27);
    for (int i = 1; i < control->app_count; i++)
        assert_true(control->apps[i - 1]->id < control->apps[i]->id);
    pass(20, 20);
    assert_int_equal(last_tick().situation.ordered, 1);
}

static void a_process_that_leaves_the_rules_is_left_alone(void **state) {
    (void)state;
    pass(20, 20);
    set_rules("processes: {worker: {rules: [{name: default, dynos: {min: 0, max: 5}}]}}");
    folder_write(folder, "dynos-worker", "0\n");
    pass(20, 20);
    int64_t last = last_tick().situation.now;
    pass(30, 2000);
    assert_int_equal(last_tick().situation.now, last);
    assert_string_equal(calls(), "");
    assert_true(store_begin(store));
    assert_true(app_remove(store, app.id));
    assert_true(store_commit(store));
    pass(20, 20);
    assert_int_equal(control_counts(control).apps, 0);
}

/* ---- Orders --------------------------------------------------------------------------------- */

static int count_lines(const char *text) {
    int lines = 0;
    for (; *text; text++) lines += *text == '\n';
    return lines;
}

static void an_order_that_fails_is_tried_again_with_growing_pauses(void **state) {
    (void)state;
    pass(12, 20);
    folder_write(folder, "on-set", "echo no such luck >&2; exit 1\n");
    set_rules(min_three);
    pass(20, 20);
    int after_twenty = count_lines(calls());
    assert_in_range(after_twenty, 3, 5);
    struct act act = last_act();
    assert_int_equal(act.state, ACT_FAILED);
    assert_int_equal(act.ended_s, 0);
    assert_string_equal(act.trouble, "./scale set web ended with status 1: no such luck");
    assert_string_equal(last_tick().situation.trouble, act.trouble);
    pass(200, 20);
    assert_in_range(count_lines(calls()), after_twenty + 3, after_twenty + 9);
    folder_write(folder, "on-set", "");
    pass(90, 20);
    act = last_act();
    assert_int_equal(act.state, ACT_DONE);
    assert_int_equal(act.tries, count_lines(calls()));
    assert_string_equal(folder_read(folder, "dynos-web"), "3\n");
}

static void an_order_that_fails_and_is_wanted_no_more_is_not_tried_again(void **state) {
    (void)state;
    pass(12, 20);
    folder_write(folder, "on-set", "exit 1\n");
    set_rules(min_three);
    pass(10, 20);
    set_rules("processes: {web: {rules: [{name: default, dynos: {min: 1, max: 5}}]}}");
    pass(12, 20);
    assert_true(last_act().ended_s > 0);
    assert_int_equal(last_act().state, ACT_FAILED);
    folder_write(folder, "on-set", "");
    int before = count_lines(calls());
    pass(100, 70);
    assert_int_equal(count_lines(calls()), before);
    assert_string_equal(folder_read(folder, "dynos-web"), "1\n");
}

static void an_order_that_fails_is_replaced_where_another_number_is_wanted(void **state) {
    (void)state;
    pass(12, 20);
    folder_write(folder, "on-set", "exit 1\n");
    set_rules(min_three);
    pass(10, 20);
    int64_t first = last_act().id;
    folder_write(folder, "on-set", "");
    set_rules("processes: {web: {rules: [{name: default, dynos: {min: 4, max: 5}}]}}");
    pass(20, 20);
    struct act act = last_act();
    assert_true(act.id > first);
    assert_int_equal(act.state, ACT_DONE);
    assert_int_equal(act.to, 4);
    assert_string_equal(folder_read(folder, "dynos-web"), "4\n");
}

static void an_order_that_is_refused_waits_for_a_person(void **state) {
    (void)state;
    pass(12, 20);
    folder_write(folder, "on-set", "echo who are you >&2; exit 77\n");
    set_rules(min_three);
    pass(120, 20);
    assert_string_equal(calls(), "web 3\n");
    assert_int_equal(last_act().state, ACT_REFUSED);
    assert_int_equal(last_tick().situation.act_state, ACT_REFUSED);
    folder_write(folder, "on-set", "");
    set_platform(", \"note\": 2");
    pass(12, 20);
    assert_string_equal(calls(), "web 3\nweb 3\n");
    assert_int_equal(last_act().state, ACT_DONE);
}

static void a_change_of_another_app_is_no_reason_to_try_what_was_refused_again(void **state) {
    (void)state;
    struct app other = {.name = "other", .zone = "Europe/Berlin", .created_s = now_s()};
    assert_true(store_begin(store));
    assert_true(app_add(store, &other));
    assert_true(store_commit(store));
    pass(12, 20);
    folder_write(folder, "on-set", "exit 77\n");
    set_rules(min_three);
    for (int i = 0; i < 10; i++) {
        assert_true(store_begin(store));
        assert_true(rules_put(store, other.id, min_three, "anna", now_s()) > 0);
        assert_true(store_commit(store));
        pass(12, 20);
    }
    assert_string_equal(calls(), "web 3\n");
    assert_int_equal(last_act().state, ACT_REFUSED);
}

/* Orders by a person that change nothing of what is wanted. */
static void pause_down(void) {
    const struct process_orders orders = {.paused = 1, .paused_by = "anna", .boost = -1};
    assert_true(store_begin(store));
    assert_true(orders_put(store, app.id, "web", &orders));
    assert_true(store_commit(store));
}

static void set_the_same_rules(void) { set_rules(min_three); }

static void set_the_zone(void) {
    assert_true(store_begin(store));
    assert_true(app_set_zone(store, app.id, "Europe/Vienna"));
    assert_true(store_commit(store));
}

static void buy_a_plan(void) {
    struct addon_resource resource = {.uuid = "01234567-89ab-cdef-0123-456789abcdef",
                                      .state = "ready",
                                      .plan = "pro",
                                      .app = app.id,
                                      .dynos = 50};
    assert_true(store_begin(store));
    assert_true(addon_add(store, &resource, NULL, 0));
    assert_true(store_commit(store));
}

static void set_the_same_platform(void) { set_platform(""); }

static void each_change_of_the_app_is_a_reason_to_try_what_was_refused_again(void **state) {
    (void)state;
    void (*const changes[])(void) = {pause_down, set_the_same_rules, set_the_same_platform,
                                     set_the_zone, buy_a_plan};
    pass(12, 20);
    folder_write(folder, "on-set", "exit 77\n");
    set_rules(min_three);
    pass(12, 20);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        size_t before = strlen(calls());
        changes[i]();
        pass(12, 20);
        assert_int_equal(strlen(calls()), before + strlen("web 3\n"));
        pass(60, 20);
        assert_int_equal(strlen(calls()), before + strlen("web 3\n"));
    }
}

static void a_change_that_comes_while_an_order_is_being_refused_counts(void **state) {
    (void)state;
    pass(12, 20);
    folder_write(folder, "on-set", "while ! [ -e go ]; do sleep 0.01; done; exit 77\n");
    set_rules(min_three);
    false_clock_advance_ms(1000);
    control_step(control); /* the order is under way */
    set_platform(", \"note\": 2");
    false_clock_advance_ms(1000);
    control_step(control); /* the change is known */
    folder_write(folder, "go", "");
    control_wait_for_calls(control);
    assert_string_equal(calls(), "web 3\n");
    folder_write(folder, "on-set", "");
    pass(12, 20);
    assert_string_equal(calls(), "web 3\nweb 3\n");
    assert_int_equal(last_act().state, ACT_DONE);
}

static void an_order_that_is_locked_out_by_a_release_is_kept(void **state) {
    (void)state;
    pass(12, 20);
    folder_write(folder, "on-set", "exit 75\n");
    set_rules(min_three);
    pass(30, 20);
    assert_int_equal(last_act().state, ACT_LOCKED);
    assert_int_equal(last_tick().situation.act_state, ACT_LOCKED);
    folder_write(folder, "on-set", "");
    pass(70, 20);
    assert_int_equal(last_act().state, ACT_DONE);
    assert_string_equal(folder_read(folder, "dynos-web"), "3\n");
}

/* The lock may be that of somebody who changes the number. */
static void after_a_lock_nothing_is_ordered_before_the_number_was_read(void **state) {
    (void)state;
    pass(12, 20);
    folder_write(folder, "on-set", "echo 5 >dynos-web; exit 75\n");
    folder_write(folder, "on-read", "exit 1\n");
    set_rules(min_three);
    pass(40, 20);
    assert_string_equal(calls(), "web 3\n");
    folder_write(folder, "on-set", "");
    folder_write(folder, "on-read", "");
    pass(20, 20);
    assert_string_equal(calls(), "web 3\n");
    assert_string_equal(folder_read(folder, "dynos-web"), "5\n");
    assert_int_equal(last_tick().situation.ordered, 5);
}

static void a_lock_of_ten_minutes_loses_no_wish_and_makes_few_calls(void **state) {
    (void)state;
    pass(12, 20);
    folder_write(folder, "on-set", "exit 75\n");
    set_rules(min_three);
    pass(600, 20);
    assert_int_equal(last_act().state, ACT_LOCKED);
    int count = 0;
    for (const char *at = calls(); (at = strstr(at, "web 3\n")); at++) count++;
    assert_true(count >= 8 && count <= 20);
    folder_write(folder, "on-set", "");
    pass(80, 20);
    assert_string_equal(folder_read(folder, "dynos-web"), "3\n");
    assert_int_equal(last_act().state, ACT_DONE);
}

static bool tells_of_lie(void *context, const struct ledger_tick *tick) {
    const char *lie = "the platform answered that it would run 3 dynos, and still says 1";
    *(bool *)context = strcmp(tick->situation.trouble, lie) == 0;
    return !*(bool *)context;
}

static void a_platform_that_does_not_do_what_it_says_is_found_out(void **state) {
    (void)state;
    pass(12, 20);
    folder_write(folder, "on-set", "exit 0\n");
    set_rules(min_three);
    pass(25, 20);
    assert_string_equal(calls(), "web 3\n");
    assert_int_equal(last_act().state, ACT_DONE);
    assert_int_equal(last_tick().situation.ordered, 3); /* it may be late */
    pass(25, 20);
    assert_true(count_lines(calls()) >= 2);
    bool told = false;
    assert_true(ledger_each(store, app.id, "web", 0, INT64_MAX, false, tells_of_lie, &told));
    assert_true(told);
    assert_int_equal(last_tick().situation.outside_count, 0);
    folder_write(folder, "on-set", "");
    pass(70, 20);
    assert_string_equal(folder_read(folder, "dynos-web"), "3\n");
    pass(40, 20);
    assert_int_equal(last_act().state, ACT_DONE);
}

static void a_platform_that_is_slow_to_show_a_change_is_believed(void **state) {
    (void)state;
    pass(12, 20);
    folder_write(folder, "on-set", "echo $3 >later; exit 0\n");
    set_rules(min_three);
    pass(20, 20);
    runs(2);
    pass(9, 20);
    runs(3);
    pass(60, 20);
    assert_string_equal(calls(), "web 3\n");
    assert_int_equal(last_act().state, ACT_DONE);
    assert_int_equal(last_tick().situation.outside_count, 0);
}

static void an_answer_that_was_lost_is_found_in_the_next_reading(void **state) {
    (void)state;
    pass(12, 20);
    folder_write(folder, "on-set", "echo $3 >dynos-$2; kill -9 $$\n");
    set_rules(min_three);
    pass(1, 20);
    for (int i = 0; i < 12 && last_act().state != ACT_DONE; i++) pass(1, 20);
    assert_int_equal(last_act().state, ACT_DONE);
    assert_int_equal(last_tick().situation.outside_count, 0);
    int before = count_lines(calls());
    pass(60, 20);
    assert_int_equal(count_lines(calls()), before);
}

/* The order is void before a reading can show that it was done. */
static void a_void_order_that_was_done_all_the_same_was_set_by_nobody_else(void **state) {
    (void)state;
    pass(12, 20);
    folder_write(folder, "on-set", "echo $3 >dynos-$2; kill -9 $$\n");
    folder_write(folder, "on-read", "exit 1\n");
    set_rules(min_three);
    pass(3, 20);
    assert_int_equal(last_act().to, 3);
    set_rules("processes: {web: {rules: [{name: default, dynos: {min: 1, max: 5}}]}}");
    for (int i = 0; i < 30 && !last_act().ended_s; i++) pass(1, 70);
    assert_int_equal(last_act().state, ACT_FAILED);
    assert_true(last_act().ended_s > 0);
    folder_write(folder, "on-read", "");
    pass(30, 70);
    assert_int_equal(last_tick().situation.ordered, 3);
    assert_int_equal(last_tick().situation.outside_count, 0);
    assert_int_equal(last_act().state, ACT_DONE);
}

static void a_change_by_somebody_else_is_noticed(void **state) {
    (void)state;
    pass(30, 20);
    runs(4);
    pass(12, 20);
    struct ledger_tick tick = last_tick();
    assert_int_equal(tick.situation.ordered, 4);
    assert_int_equal(tick.situation.outside_count, 1);
    assert_true(tick.situation.outside_age < 12);
    assert_string_equal(calls(), "");
    pass(30, 20);
    runs(5);
    pass(12, 20);
    assert_int_equal(last_tick().situation.outside_count, 2);
    pass(700, 70);
    assert_int_equal(last_tick().situation.outside_count, 0);
    assert_true(last_tick().situation.outside_age > 600);
}

static void a_formation_that_can_not_be_read_grows_old_and_is_told(void **state) {
    (void)state;
    pass(30, 20);
    folder_write(folder, "on-read", "echo away >&2; exit 1\n");
    pass(40, 20);
    struct ledger_tick tick = last_tick();
    assert_int_equal(tick.situation.ordered, 1);
    assert_true(tick.situation.formation_age >= 30);
    assert_string_equal(tick.situation.trouble, "./scale read web ended with status 1: away");
    folder_write(folder, "on-read", "");
    pass(20, 20);
    assert_true(last_tick().situation.formation_age < 15);
    assert_string_equal(last_tick().situation.trouble, "");
}

static void the_time_a_dyno_takes_to_start_is_learned(void **state) {
    (void)state;
    folder_write(folder, "on-read",
                 "test -f up && up=$(cat up) || up=1; "
                 "echo \"{\\\"ordered\\\": $(cat dynos-$2), \\\"up\\\": $up}\"; exit\n");
    pass(12, 20);
    set_rules(min_three);
    pass(30, 20);
    assert_int_equal(last_tick().situation.boot_s, -1);
    folder_write(folder, "up", "3");
    pass(21, 20);
    assert_in_range(last_tick().situation.boot_s, 20, 45);
}

static void dynos_that_all_take_as_long_to_start_are_learned_from(void **state) {
    (void)state;
    folder_write(folder, "up", "1");
    folder_write(folder, "on-read",
                 "echo \"{\\\"ordered\\\": $(cat dynos-$2), \\\"up\\\": $(cat up)}\"; exit\n");
    pass(12, 20);
    for (int dynos = 2; dynos <= 8; dynos++) {
        char rules[128], up[4];
        snprintf(rules, sizeof rules,
                 "processes: {web: {rules: [{name: default, dynos: {min: %d, max: 8}}]}}", dynos);
        snprintf(up, sizeof up, "%d", dynos);
        set_rules(rules);
        pass(30, 20);
        folder_write(folder, "up", up);
        pass(20, 20);
        assert_in_range(last_tick().situation.boot_s, 20, 45);
    }
}

/* ---- Restarts ------------------------------------------------------------------------------- */

/* As if the process had been killed: nothing is written, nobody gives back the lease. The call that
 * is under way, a process of its own, goes on. */
static void kill_control(void) {
    close(control->lock);
    control->lock = -1;
    store_close(control->store);
    control->store = NULL;
    control_free(control);
    control = NULL;
}

/* An order that waits behind a fifo, and a control that dies meanwhile. */
static void die_during_an_order(const char *script) {
    pass(12, 20);
    folder_write(folder, "on-set", script);
    set_rules(min_three);
    false_clock_advance_ms(10000);
    heard();
    control_step(control); /* decides and begins the call */
    assert_int_equal(last_act().state, ACT_UNDER_WAY);
    control_wait_for_calls(control);
    kill_control(); /* before it heard of the answer */
}

static void an_order_that_was_carried_out_before_a_restart_is_not_repeated(void **state) {
    (void)state;
    die_during_an_order("");
    assert_string_equal(calls(), "web 3\n");
    assert_int_equal(last_act().state, ACT_UNDER_WAY);
    control = begin();
    pass(60, 20);
    assert_string_equal(calls(), "web 3\n");
    assert_int_equal(last_act().state, ACT_DONE);
    assert_int_equal(last_tick().situation.outside_count, 0);
}

static void an_order_that_was_not_carried_out_before_a_restart_is_not_forgotten(void **state) {
    (void)state;
    die_during_an_order("exit 1\n");
    folder_write(folder, "on-set", "");
    assert_int_equal(last_act().state, ACT_UNDER_WAY);
    control = begin();
    /* Of another service's order it might be on its way still: that is waited for. */
    pass(folder_is_database() ? 100 : 30, 20);
    assert_string_equal(calls(), "web 3\nweb 3\n");
    assert_int_equal(last_act().state, ACT_DONE);
    assert_string_equal(folder_read(folder, "dynos-web"), "3\n");
}

static void
an_order_whose_end_was_written_before_a_restart_is_not_taken_for_anothers(void **state) {
    (void)state;
    pass(12, 20);
    set_rules(min_three);
    pass(1, 20);
    assert_int_equal(last_act().state, ACT_DONE);
    assert_int_equal(last_tick().situation.ordered, 1); /* no tick has seen it */
    kill_control();
    control = begin();
    pass(15, 20);
    assert_int_equal(last_tick().situation.ordered, 3);
    assert_int_equal(last_tick().situation.outside_count, 0);
    assert_string_equal(calls(), "web 3\n");
}

/* A report of the last ten seconds: `rate` requests in each, of which every tenth waited `ms`. */
static void report_of_ten_seconds(int rate, int ms) {
    char body[16384], sentence[REPORT_SENTENCE_SIZE];
    size_t length = 0;
    for (int second = 10; second > 0; second--)
        for (int n = 0; n < rate; n++)
            length += (size_t)snprintf(body + length, sizeof body - length, "%lld,%d,web,\r\n",
                                       (long long)now_s() - second, n % 10 ? 1 : ms);
    const struct report_head head = {.user_agent = "dynoscale-python;2.0.0", .dyno = "web.1"};
    struct report report;
    assert_int_equal(report_read(&report, &head, body, length, now_s(), sentence), REPORT_ROWS);
    live_heard(live, app.id, report.dyno, now_s());
    live_report(live, app.id, &report);
    for (int i = 0; i < report.series_count; i++)
        for (int j = 0; j < report.series[i].part_count; j++)
            live_add(live, app.id, "web", "wait", &report.series[i].parts[j]);
    report_free(&report);
}

static void pass_with_reports(int seconds, int rate, int ms) {
    for (int i = 0; i < seconds; i++) {
        if (now_s() % 10 == 9) report_of_ten_seconds(rate, ms);
        false_clock_advance_ms(1000);
        settle(control);
    }
}

static void check_replay_from(int64_t from_s, int least) {
    struct replay_counts counts;
    assert_true(replay_run(store, &app, "web", from_s, INT64_MAX, NULL, NULL, &counts));
    assert_true(counts.ticks >= least);
    assert_int_equal(counts.different, 0);
    assert_int_equal(counts.broken, 0);
    assert_int_equal(counts.no_rules, 0);
}

/* Minutes, each of which ends when what was due in it has been removed. */
static void pass_minutes(int minutes) {
    for (int i = 0; i < minutes; i++) {
        pass(61, 20);
        while (atomic_load(&control->compacting)) usleep(1000);
    }
}

static int ticks_until(int64_t to_s) {
    struct replay_counts counts;
    assert_true(replay_run(store, &app, "web", 0, to_s, NULL, NULL, &counts));
    return (int)counts.ticks;
}

static void set_clock(int64_t ahead_s) {
    false_clock_set_wall(ds_clock_wall_ns() + ahead_s * 1000000000);
}

static void a_clock_that_is_years_ahead_removes_nothing_for_a_day(void **state) {
    (void)state;
    const int64_t years_s = INT64_C(12) * 365 * 86400;
    set_rules(min_three);
    assert_true(compact_begin(control, error, sizeof error));
    pass_minutes(2);
    int64_t until_s = now_s() - 10;
    int before = ticks_until(until_s);
    assert_true(before > 5);
    set_clock(years_s);
    pass_minutes(3);
    assert_int_equal(ticks_until(until_s), before);
    compact_end(control);
    kill_control();
    control = begin(); /* with the wrong clock, too */
    assert_true(compact_begin(control, error, sizeof error));
    pass_minutes(3);
    assert_int_equal(ticks_until(until_s), before);
    set_clock(-years_s);
    pass_minutes(3);
    assert_int_equal(ticks_until(until_s), before);
    set_clock(years_s);
    pass_minutes(1);
    false_clock_advance_ms(86400 * 1000);
    pass_minutes(2);
    assert_int_equal(ticks_until(until_s), 0);
    compact_end(control);
}

static const char *const automatic =
    "processes: {web: {rules: [{name: default, dynos: {min: 1, max: 5}, method: automatic}]}}";

static void what_the_automatic_method_learns_lives_on_and_replays_to_the_bit(void **state) {
    (void)state;
    set_rules(automatic);
    false_clock_advance_ms((3600 - 240 - now_s() % 3600 + 3600) % 3600 * 1000);
    pass_with_reports(200, 12, 20);
    assert_true(last_tick().chained);
    assert_non_null(strstr(last_tick().decision.sentence, "one dyno takes"));
    int64_t middle_s = now_s() - 60;
    kill_control(); /* what it learned is in the store */
    false_clock_advance_ms(10000);
    control = begin();
    pass_with_reports(40, 12, 20);
    struct memory memory;
    assert_true(ledger_memory(store, app.id, "web", &memory));
    assert_true(memory.learned.windows >= 3);
    pass_with_reports(300, 30, 400); /* over the hour; a tenth is slow: dynos are added */
    assert_true(atoi(folder_read(folder, "dynos-web")) > 1);
    check_replay_from(0, 45);
    check_replay_from(middle_s, 30);
    assert_true(ledger_compact(store, now_s(), NULL));
    check_replay_from(0, 45);
    check_replay_from(middle_s, 30);
}

/* A queue to which jobs come all at once, of which ten begin each second. */
static void pass_with_batch(int seconds, int64_t came_s, int jobs) {
    for (int i = 0; i < seconds; i++) {
        int left = jobs - 10 * (int)(now_s() - came_s);
        uint32_t age_ms = left > 0 ? (uint32_t)(1000 * (now_s() - came_s)) : 0;
        const struct {
            const char *signal;
            uint32_t value;
        } rows[] = {{"wait", age_ms}, {"depth", left > 0 ? (uint32_t)left : 0}};
        for (int n = 0; n < 2 && now_s() % 10 == 7; n++) {
            struct part part = PART_EMPTY(part_start(now_s()));
            assert_true(part_add(&part, (int)(now_s() - part.start_s), rows[n].value));
            live_add(live, app.id, "que:default", rows[n].signal, &part);
            part_free(&part);
        }
        live_heard(live, app.id, "worker.1", now_s());
        false_clock_advance_ms(1000);
        settle(control);
    }
}

static void workers_are_scaled_by_jobs_and_that_replays_to_the_bit(void **state) {
    (void)state;
    set_rules("processes: {worker: {rules: [{name: default, dynos: {min: 0, max: 9}, method: "
              "automatic, queues: [\"que:*\"]}]}}");
    folder_write(folder, "dynos-worker", "1\n");
    pass_with_batch(150, now_s(), 0);
    pass_with_batch(120, now_s(), 5000);
    assert_true(atoi(folder_read(folder, "dynos-worker")) > 3);
    struct memory memory;
    assert_true(ledger_memory(store, app.id, "worker", &memory));
    assert_true(memory.job_starts > 0);
    struct replay_counts counts;
    assert_true(replay_run(store, &app, "worker", 0, INT64_MAX, NULL, NULL, &counts));
    assert_true(counts.ticks >= 25);
    assert_int_equal(counts.different, 0);
}

/* More apps than are read at once, with their rules and what people ordered. */
static void add_apps(int64_t *ids, int count) {
    assert_true(store_begin(store));
    for (int i = 0; i < count; i++) {
        struct app more = {.zone = "UTC", .created_s = now_s()};
        const struct process_orders paused = {.paused = 2, .paused_by = "anna", .boost = -1};
        snprintf(more.name, sizeof more.name, "app-%d", i);
        assert_true(app_add(store, &more));
        assert_true(rules_put(store, more.id, min_three, "anna", now_s()) > 0);
        if (i % 2) assert_true(orders_put(store, more.id, "web", &paused));
        ids[i] = more.id;
    }
    assert_true(store_commit(store));
}

static void of_many_apps_each_goes_on_where_it_was_after_a_restart(void **state) {
    (void)state;
    enum { APPS = 1100 };
    static int64_t ids[APPS];
    add_apps(ids, APPS);
    settle(control);
    pass(10, 20);
    int64_t before_s = last_tick().situation.now;
    kill_control();
    control = begin();
    pass(10, 20);
    for (int i = 0; i < APPS; i++) {
        struct ledger_tick tick;
        assert_true(ledger_last(store, ids[i], "web", before_s + 9, &tick)); /* at the start */
        assert_int_equal(tick.situation.now, before_s + 1);
        assert_int_equal(tick.memory.last_tick, before_s);
        assert_true(ledger_last(store, ids[i], "web", INT64_MAX, &tick));
        assert_int_equal(tick.situation.paused, i % 2 ? 2 : 0);
        assert_true(tick.situation.rule_age >= 10);
    }
}

static bool count_tick(void *context, const struct ledger_tick *tick) {
    (void)tick;
    ++*(int *)context;
    return true;
}

static int ticks_since(int64_t id, int64_t from_s) {
    int ticks = 0;
    assert_true(ledger_each(store, id, "web", from_s, INT64_MAX, false, count_tick, &ticks));
    return ticks;
}

static void after_a_start_the_first_answer_of_the_platform_is_decided_on_at_once(void **state) {
    (void)state;
    pass(12, 20);
    kill_control();
    assert_int_equal(mkfifo(folder_path(folder, "answer"), 0600), 0);
    folder_write(folder, "on-read", "read line <answer\n");
    control = begin();
    control_step(control);
    /* In a file the lease comes with the first tick, so what is begun before it is not done. */
    if (!folder_is_database()) control_wait_for_calls(control);
    control_step(control);
    false_clock_advance_ms(1000);
    heard();
    control_step(control);
    int64_t first_s = last_tick().situation.now;
    assert_int_equal(first_s, now_s());
    assert_int_equal(last_tick().situation.ordered, -1);
    folder_write(folder, "answer", "go\n"); /* once the platform's program waits for it */
    control_wait_for_calls(control);
    control_step(control);
    assert_int_equal(last_tick().situation.now, first_s); /* one tick a second at most */
    assert_true(control_wait(control) <= 1000);
    false_clock_advance_ms(1000);
    control_step(control);
    assert_int_equal(last_tick().situation.now, first_s + 1);
    assert_int_equal(last_tick().situation.ordered, 1);
    folder_write(folder, "on-read", "");
    pass(20, 20);
    assert_int_equal(ticks_since(app.id, first_s + 2) <= 2, true);
    struct replay_counts counts;
    assert_true(replay_run(store, &app, "web", 0, INT64_MAX, NULL, NULL, &counts));
    assert_int_equal(counts.different + counts.broken, 0);
}

static void answers_that_come_one_after_another_are_one_tick_more_of_each_app(void **state) {
    (void)state;
    enum { APPS = 60, SECONDS = 6 };
    static int64_t ids[APPS];
    add_apps(ids, APPS);
    assert_true(store_begin(store));
    for (int i = 0; i < APPS; i++) assert_true(platform_put(store, ids[i], "pull", "{}", NULL, 0));
    assert_true(store_touch_config(store));
    assert_true(store_commit(store));
    pass(1, 20);
    kill_control();
    false_clock_advance_ms(10000 - ds_clock_wall_ns() / 1000000 % 10000); /* a tick's moment */
    control = begin();
    assert_true(config_read(control));
    for (int i = 0; i < APPS; i++) /* their platforms answer within so many seconds */
        app_find(control, ids[i])->processes[0]->next_read_ms =
            ds_clock_monotonic_ms() + 1100 + i % SECONDS * 1000;
    int64_t begun_s = now_s();
    control->tick_soon = true;
    pass(9, 20);
    for (int i = 0; i < APPS; i++) {
        struct ledger_tick tick;
        assert_int_equal(ticks_since(ids[i], begun_s), 2);
        assert_true(ledger_last(store, ids[i], "web", INT64_MAX, &tick));
        assert_true(tick.situation.ordered > 0);
        assert_true(tick.situation.now <= begun_s + 4 + i % SECONDS);
    }
    assert_true(control_counts(control).decisions <= 2 * APPS + 2);
}

static void a_restart_in_the_second_of_a_tick_does_not_replace_it(void **state) {
    (void)state;
    pass(12, 20);
    set_rules(min_three);
    control_changed(control);
    pass(1, 20);
    assert_int_equal(last_tick().decision.action, DECISION_UP);
    assert_int_equal(last_tick().situation.now, now_s());
    int64_t tick_s = now_s();
    control_free(control);
    control = begin();
    settle(control);
    assert_int_equal(last_tick().situation.now, tick_s);
    assert_int_equal(last_tick().decision.action, DECISION_UP);
    pass(1, 20);
    assert_int_equal(last_tick().situation.now, tick_s + 1);
}

static void memory_and_ages_live_through_a_restart(void **state) {
    (void)state;
    pass(30, 20);
    runs(2);
    pass(12, 20);
    struct ledger_tick before = last_tick();
    assert_int_equal(before.situation.outside_count, 1);
    kill_control();
    false_clock_advance_ms(20000);
    control = begin();
    pass(10, 20);
    struct ledger_tick after = last_tick();
    assert_true(after.situation.started_age <= 10);
    assert_int_equal(after.situation.outside_age - before.situation.outside_age,
                     after.situation.now - before.situation.now);
    assert_int_equal(after.situation.rule_age - before.situation.rule_age,
                     after.situation.now - before.situation.now);
    struct replay_counts counts;
    assert_true(replay_run(store, &app, "web", 0, INT64_MAX, NULL, NULL, &counts));
    assert_int_equal(counts.broken, 0);
}

static void a_change_while_the_service_was_down_is_noticed(void **state) {
    (void)state;
    pass(30, 20);
    kill_control();
    runs(4);
    control = begin();
    pass(20, 20);
    assert_int_equal(last_tick().situation.ordered, 4);
    assert_int_equal(last_tick().situation.outside_count, 1);
    assert_string_equal(calls(), "");
}

/* ---- Two of them ---------------------------------------------------------------------------- */

static void only_one_of_two_services_acts(void **state) {
    (void)state;
    pass(12, 20);
    int64_t epoch = control->epoch;
    struct control *second = begin();
    false_clock_advance_ms(10000);
    settle(second);
    assert_true(second->standing_by);
    set_rules(min_three);
    settle(second);
    assert_string_equal(calls(), "");
    pass(10, 20);
    assert_string_equal(calls(), "web 3\n");
    settle(second);
    assert_string_equal(calls(), "web 3\n");
    control_free(control);
    control = second;
    pass(20, 20);
    assert_false(second->standing_by);
    assert_true(second->epoch > epoch);
    assert_int_equal(last_tick().situation.ordered, 3);
    assert_string_equal(calls(), "web 3\n");
}

static void a_call_that_comes_after_its_lease_has_passed_is_not_made(void **state) {
    (void)state;
    pass(12, 20);
    set_rules(min_three);
    false_clock_advance_ms(10000);
    heard();
    assert_true(config_read(control));
    tick_all(control, now_s()); /* the order is made ... */
    control->next_tick_s = now_s() + 10;
    assert_int_equal(last_act().state, ACT_UNDER_WAY);
    false_clock_advance_ms(40000); /* ... and the process is stopped for a while */
    control->next_tick_s = now_s() + 10;
    act_begin_all(control);
    control_wait_for_calls(control);
    assert_string_equal(calls(), "");
    pass(20, 20);
    assert_string_equal(folder_read(folder, "dynos-web"), "3\n");
    assert_string_equal(calls(), "web 3\n");
}

/* The lock is the newest life's: two of them had an order under way or waited for one. */
static void who_ends_while_it_waits_for_another_leaves_the_wait_to_the_next(void **state) {
    (void)state;
    if (!folder_is_database()) skip(); /* in a file nobody else can have one under way */
    die_during_an_order("exit 1\n");
    control = begin();
    pass(12, 20);
    assert_string_equal(calls(), "web 3\n");
    control_free(control);
    control = begin();
    pass(18, 20);
    assert_string_equal(calls(), "web 3\n"); /* for longer than a call may take */
    folder_write(folder, "on-set", "");
    pass(60, 20);
    assert_string_equal(calls(), "web 3\nweb 3\n");
}

static void refuse_ticks(bool refuse) {
    static const char *const file[] = {
        "DROP TRIGGER refuse",
        "CREATE TRIGGER refuse BEFORE INSERT ON tick BEGIN SELECT RAISE(ABORT, 'no'); END"};
    static const char *const database[] = {"ALTER TABLE tick DROP CONSTRAINT refuse",
                                           "ALTER TABLE tick ADD CONSTRAINT refuse CHECK (false) "
                                           "NOT VALID"};
    struct query query =
        store_query(control->store, (folder_is_database() ? database : file)[refuse]);
    assert_true(query_run(&query));
}

/* What takes the lease in a transaction that is undone has not taken it. */
static void a_tick_that_is_not_written_is_no_lease(void **state) {
    (void)state;
    pass(12, 20);
    int64_t until_ms = atomic_load(&control->lease_until_ms);
    refuse_ticks(true);
    false_clock_advance_ms(40000);
    control->next_renew_ms = INT64_MAX; /* a renewal would be one */
    tick_all(control, now_s());
    assert_int_equal(atomic_load(&control->lease_until_ms), until_ms);
    refuse_ticks(false);
    tick_all(control, now_s());
    assert_true(atomic_load(&control->lease_until_ms) > until_ms);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_ten_seconds_every_process_is_decided_for_and_written_down),
        TEST(a_breach_is_ordered_by_the_next_tick),
        TEST(a_time_without_reports_is_not_read_as_one_without_requests),
        TEST(with_scaling_off_all_is_decided_and_nothing_done),
        TEST(a_change_is_obeyed_within_a_second),
        TEST(a_change_while_another_one_is_told_is_told_too),
        TEST(a_clock_that_was_set_is_told),
        TEST(an_app_without_a_platform_is_decided_for_and_says_so),
        TEST(an_app_that_can_not_be_read_does_not_hold_up_another),
        TEST(old_readings_of_a_queue_remove_no_worker_while_its_broker_is_down),
        TEST(apps_come_change_and_go_in_any_order),
        TEST(a_process_that_leaves_the_rules_is_left_alone),
        TEST(an_order_that_fails_is_tried_again_with_growing_pauses),
        TEST(an_order_that_fails_and_is_wanted_no_more_is_not_tried_again),
        TEST(an_order_that_fails_is_replaced_where_another_number_is_wanted),
        TEST(an_order_that_is_refused_waits_for_a_person),
        TEST(a_change_of_another_app_is_no_reason_to_try_what_was_refused_again),
        TEST(each_change_of_the_app_is_a_reason_to_try_what_was_refused_again),
        TEST(a_change_that_comes_while_an_order_is_being_refused_counts),
        TEST(an_order_that_is_locked_out_by_a_release_is_kept),
        TEST(after_a_lock_nothing_is_ordered_before_the_number_was_read),
        TEST(a_lock_of_ten_minutes_loses_no_wish_and_makes_few_calls),
        TEST(a_platform_that_does_not_do_what_it_says_is_found_out),
        TEST(a_platform_that_is_slow_to_show_a_change_is_believed),
        TEST(an_answer_that_was_lost_is_found_in_the_next_reading),
        TEST(a_void_order_that_was_done_all_the_same_was_set_by_nobody_else),
        TEST(a_change_by_somebody_else_is_noticed),
        TEST(a_formation_that_can_not_be_read_grows_old_and_is_told),
        TEST(the_time_a_dyno_takes_to_start_is_learned),
        TEST(dynos_that_all_take_as_long_to_start_are_learned_from),
        TEST(an_order_that_was_carried_out_before_a_restart_is_not_repeated),
        TEST(an_order_that_was_not_carried_out_before_a_restart_is_not_forgotten),
        TEST(an_order_whose_end_was_written_before_a_restart_is_not_taken_for_anothers),
        TEST(what_the_automatic_method_learns_lives_on_and_replays_to_the_bit),
        TEST(workers_are_scaled_by_jobs_and_that_replays_to_the_bit),
        TEST(of_many_apps_each_goes_on_where_it_was_after_a_restart),
        TEST(after_a_start_the_first_answer_of_the_platform_is_decided_on_at_once),
        TEST(answers_that_come_one_after_another_are_one_tick_more_of_each_app),
        TEST(a_restart_in_the_second_of_a_tick_does_not_replace_it),
        TEST(memory_and_ages_live_through_a_restart),
        TEST(a_clock_that_is_years_ahead_removes_nothing_for_a_day),
        TEST(a_change_while_the_service_was_down_is_noticed),
        TEST(only_one_of_two_services_acts),
        TEST(a_call_that_comes_after_its_lease_has_passed_is_not_made),
        TEST(who_ends_while_it_waits_for_another_leaves_the_wait_to_the_next),
        TEST(a_tick_that_is_not_written_is_no_lease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
