/*
 * Decisions: the cases of tests/vectors/decisions.tsv, what holds for any situation, and runs of
 * ticks on a platform that does what it is told.
 */
#define _GNU_SOURCE
#include "../core/support/suite.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decide/decide.h"
#include "decide/sentence.h"
#include "rules/tree.h"
#include "support/decisions.h"
#include "support/random.h"
#include "text.h"
#include "vectors.h"

/* ---- Cases ---------------------------------------------------------------------------------- */

static bool is_as_expected(const vectors *v, const struct given *given,
                           const struct decision *decision) {
    const char *form = sentence_form_name(decision->form);
    bool good = decision->to == atoi(v->columns[2]) && strcmp(form, v->columns[3]) == 0 &&
                strcmp(decision->sentence, v->columns[4]) == 0;
    if (!good)
        print_error("%s: %d %s \"%s\"\n", v->columns[0], decision->to, form, decision->sentence);
    if (strcmp(v->columns[5], "-") == 0) return good;
    const char *field = decisions_differ(&given->memory, v->columns[5]);
    if (!field) return good;
    struct text text = TEXT_EMPTY;
    memory_json(&text, &given->memory);
    print_error("%s: %s is not as expected in %s\n", v->columns[0], field, text.bytes);
    text_free(&text);
    return false;
}

static void every_case_is_decided_as_it_says(void **state) {
    (void)state;
    static vectors v;
    int cases = 0, wrong = 0;
    vectors_open(&v, "decisions.tsv");
    for (; vectors_next(&v); cases++) {
        struct given given;
        struct decision decision;
        assert_int_equal(v.count, 6);
        if (!decisions_given(&given, v.columns[1])) fail_msg("%s can't be read", v.columns[0]);
        decide(&given.situation, &given.rule, &given.memory, &decision);
        wrong += !is_as_expected(&v, &given, &decision);
    }
    vectors_close(&v);
    assert_int_equal(wrong, 0);
    assert_true(cases >= 250);
}

static void every_form_has_a_case(void **state) {
    (void)state;
    static vectors v;
    bool seen[64] = {false};
    vectors_open(&v, "decisions.tsv");
    while (vectors_next(&v))
        for (int form = 0; form < 64; form++)
            if (strcmp(v.columns[3], sentence_form_name(form)) == 0) seen[form] = true;
    vectors_close(&v);
#define X(number, name, meaning) \
    if (!seen[number]) fail_msg("no case ends in %s", #name);
    SENTENCE_FORMS(X)
#undef X
}

/* ---- Anything ------------------------------------------------------------------------------- */

enum { SEARCHES = 200000 };

static uint64_t seed = 0x5EED5EED5EED5EEDULL;

static int64_t below(int64_t limit) { return (int64_t)random_below(&seed, (uint64_t)limit); }
static bool one_in(int64_t n) { return below(n) == 0; }
static int64_t known_or_not(int64_t limit) { return one_in(5) ? -1 : below(limit); }

static void random_rule(struct rule *rule) {
    rule_defaults(rule);
    strcpy(rule->name, "default");
    rule->min = (int)below(5);
    rule->max = rule->min + (int)below(12);
    rule->down.threshold_ms = below(200);
    rule->up.threshold_ms = rule->down.threshold_ms + below(200);
    rule->up.step = 1 + (int)below(4);
    rule->down.step = 1 + (int)below(4);
    rule->up.wait_s = (int)below(200);
    rule->down.wait_s = (int)below(600);
    rule->window_s = 10 + (int)below(100);
    rule->statistic = (enum rule_statistic)below(6);
    rule->hold_while_jobs_run = one_in(2);
    rule->drain_by_s = (int)below(1000);
}

static void random_situation(struct situation *s) {
    situation_clear(s);
    s->now = DECISIONS_NOW;
    s->tick_s = 10;
    s->scaling = !one_in(8);
    s->started_age = one_in(6) ? below(100) : 100000;
    s->value_ms = one_in(8) ? -1 : below(500);
    s->samples = s->value_ms < 0 ? 0 : 1 + below(300);
    s->samples_above = below(s->samples + 1);
    s->heard_age = known_or_not(45);
    s->report_s = 10;
    s->ordered = one_in(20) ? -1 : below(18);
    s->up = known_or_not(s->ordered + 2);
    s->booting = known_or_not(3);
    s->formation_age = one_in(12) ? below(200) : below(20);
    s->limit = one_in(4) ? below(20) : -1;
    s->boot_s = known_or_not(120);
    s->release_age = one_in(5) ? below(400) : -1;
    s->releasing = one_in(20);
    s->act_state = one_in(3) ? below(6) : 0;
    s->act_wanted = known_or_not(18);
    s->act_age = known_or_not(400);
    s->outside_age = one_in(6) ? below(900) : -1;
    s->outside_count = below(3);
    s->paused = one_in(12) ? below(3) : 0;
    s->paused_left = known_or_not(1000);
    s->boost = one_in(10) ? below(20) : -1;
    s->boost_left = known_or_not(1000);
    s->jobs = one_in(3);
    s->jobs_running = known_or_not(4);
    s->clock_jump = one_in(25) ? below(200) - 100 : 0;
    s->rule_age = known_or_not(2000);
    s->person_age = known_or_not(2000);
    if (s->jobs) strcpy(s->queue, "sidekiq:default");
    if (one_in(3)) strcpy(s->trouble, "the platform took too long to answer");
}

static int64_t moment(int64_t span) { return one_in(3) ? 0 : DECISIONS_NOW - below(span); }

static void random_memory(struct memory *m, const struct situation *s) {
    memory_clear(m);
    m->last_tick = one_in(10) ? moment(200) : DECISIONS_NOW - 10;
    m->last_up = moment(400);
    m->last_down = moment(700);
    m->below_since = moment(900);
    m->wanted = one_in(3) ? s->act_wanted : s->ordered;
    m->up_value_ms = known_or_not(500);
    m->up_samples = known_or_not(300);
    m->up_running = known_or_not(4);
    m->up_since = moment(300);
    m->up_from = known_or_not(10);
    m->futile_ups = below(4);
    m->futile_since = one_in(5) ? moment(900) : 0;
    m->adopted_at = one_in(3) ? moment(1000) : 0;
    m->stood_down_since = one_in(8) ? moment(2500) : 0;
    m->zero_since = one_in(8) ? moment(2500) : 0;
    m->jobs_hold_since = one_in(3) ? moment(1000) : 0;
    m->prior_up = moment(500);
    m->prior_down = moment(500);
}

static void random_requests(struct situation *s) {
    s->known_age = known_or_not(60);
    s->arrive_rate = known_or_not(100000);
    s->begin_rate = known_or_not(100000);
    s->serve_rate = known_or_not(100000);
    s->last_requests = below(1000);
    s->last_slow = one_in(2) ? 0 : below(s->last_requests + 1);
    s->last_wait_ms = one_in(2) ? 0 : below(1000000);
    s->last_busy_ms = one_in(2) ? 0 : below(1000000);
    s->last_dyno_s = 1 + below(100);
    s->both_requests = s->last_requests + below(1000);
    s->both_slow = s->last_slow;
    s->learn_requests = below(2000);
    s->learn_slow = below(s->learn_requests + 1);
    s->learn_wait_ms = below(100000);
    s->learn_dyno_s = below(200);
    s->learn_steady = one_in(2);
    s->boot_mean_ms = known_or_not(100000);
}

static void random_learned(struct learned *learned) {
    learned->ticks = below(1000);
    learned->windows = below(3);
    learned->goal_ms = 100;
    learned->capacity = (double)(1 + below(30000)) / 1000;
    learned->exponent = 2 + (double)below(1000) / 100;
    learned->has_outcomes = one_in(2);
    learned->high_outcome = 1.1;
    learned->flat_out = one_in(2) ? 0 : (double)below(100);
    learned->surplus = (double)below(2000);
    learned->surplus_since = moment(1000);
    learned->floor = below(20);
    learned->trouble_at = moment(1000);
    learned->restart_at = one_in(3) ? moment(100) : 0;
    learned->trial_up = below(10);
    learned->ceiling = one_in(3) ? below(10) : 0;
    learned->ceiling_until = DECISIONS_NOW + below(600) - 100;
    for (int i = 0; i < LEARNED_LOADS; i++) learned->load[i] = (uint32_t)below(100000);
    for (int i = 0; i < LEARNED_OUTCOMES; i++)
        learned->log_outcome[i] = (int32_t)(20000 * i - 300000);
}

static void random_given(struct given *given) {
    random_rule(&given->rule);
    random_situation(&given->situation);
    random_memory(&given->memory, &given->situation);
}

/* One search in twenty is of the automatic method. */
static bool is_automatic(const struct given *given) { return given->rule.method == RULE_AUTOMATIC; }

static void random_jobs(struct situation *s, struct memory *m) {
    s->jobs = 1;
    s->jobs_running = known_or_not(100);
    s->jobs_waiting = one_in(3) ? 0 : known_or_not(2000);
    s->oldest_ms = one_in(3) ? 0 : known_or_not(100000);
    s->oldest_past_ms = known_or_not(100000);
    s->oldest_apart_s = known_or_not(30);
    s->jobs_arrive = known_or_not(100000);
    s->jobs_start = known_or_not(100000);
    m->job_starts = one_in(3) ? 0 : below(1000000);
    m->job_worker_s = below(1000000);
    m->job_slots = one_in(3) ? 0 : below(30000);
    m->job_full = below(2);
    m->job_busy = known_or_not(100000);
    m->job_last = known_or_not(100);
    m->job_worked = below(1000000);
    m->job_changes = below(1000000);
    m->job_load = below(20000);
    m->job_load_at = moment(1000);
    m->job_seen = moment(4000);
    m->job_zero_at = moment(4000);
    m->job_keep_s = below(10000);
}

static void random_automatic(struct given *given) {
    random_given(given);
    given->rule.method = RULE_AUTOMATIC;
    given->rule.care = (enum rule_care)below(3);
    given->situation.jobs = 0;
    if (one_in(2)) {
        given->rule.goal_ms = 1000 + below(60000);
        random_jobs(&given->situation, &given->memory);
    }
    random_requests(&given->situation);
    random_learned(&given->memory.learned);
}

static struct decision decided(const struct given *given, struct memory *after) {
    struct decision decision;
    *after = given->memory;
    decide(&given->situation, &given->rule, after, &decision);
    return decision;
}

static void fail_with(const struct given *given, const struct decision *decision,
                      const char *what) {
    struct text text = TEXT_EMPTY;
    situation_json(&text, &given->situation);
    text_put(&text, "\n");
    memory_json(&text, &given->memory);
    fail_msg("%s: \"%s\"\n%s\nmin %d max %d", what, decision->sentence, text.bytes, given->rule.min,
             given->rule.max);
}

static void for_each_search(void (*check)(const struct given *given)) {
    seed = 0x5EED5EED5EED5EEDULL;
    for (int i = 0; i < SEARCHES; i++) {
        struct given given;
        if (i % 20 == 0) random_automatic(&given);
        else random_given(&given);
        check(&given);
    }
}

static int least(int one, int64_t other) { return other >= 0 && other < one ? (int)other : one; }

static void check_range(const struct given *given) {
    struct memory after;
    struct decision decision = decided(given, &after);
    if (decision.action == DECISION_HOLD) return;
    int most = least(given->rule.max, given->situation.limit);
    if (decision.to > most || decision.to < least(given->rule.min, most))
        fail_with(given, &decision, "outside of minimum and maximum");
}

static void no_number_that_is_ordered_is_outside_of_the_range(void **state) {
    (void)state;
    for_each_search(check_range);
}

static void check_data(const struct given *given) {
    struct memory after;
    struct decision decision = decided(given, &after);
    const struct situation *s = &given->situation;
    if (decision.action != DECISION_DOWN) return;
    if (s->formation_age < 0 || s->formation_age > 60)
        fail_with(given, &decision, "down on an old formation");
    bool over = s->ordered > least(given->rule.max, s->limit);
    if (over) return;
    if (s->heard_age < 0 || s->heard_age > 30) fail_with(given, &decision, "down without reports");
    if (s->jobs && s->value_ms < 0) fail_with(given, &decision, "down without a reading");
    if (s->value_ms >= given->rule.down.threshold_ms && !is_automatic(given))
        fail_with(given, &decision, "down and not below");
    if (s->started_age < given->rule.window_s) fail_with(given, &decision, "down after a start");
    if (s->releasing) fail_with(given, &decision, "down during a release");
}

static void check_busy(const struct given *given) {
    struct memory after;
    struct decision decision = decided(given, &after);
    const struct situation *s = &given->situation;
    if (decision.form != SENTENCE_DOWN_JOBS && decision.form != SENTENCE_DOWN_DRAINED) return;
    if (!is_automatic(given) || s->ordered > least(given->rule.max, s->limit)) return;
    if (after.job_full && s->jobs_running > 0 && decision.to * after.job_slots < 1000 &&
        s->ordered > 0)
        fail_with(given, &decision, "no worker is left for the jobs that run");
    if (after.job_full && decision.to * after.job_slots / 1000 < s->jobs_running - 1)
        fail_with(given, &decision, "fewer than the jobs that run take");
}

static void the_automatic_method_keeps_as_many_workers_as_are_at_work(void **state) {
    (void)state;
    for_each_search(check_busy);
}

static void nothing_is_removed_on_what_is_not_known(void **state) {
    (void)state;
    for_each_search(check_data);
}

static void check_sentence(const struct given *given) {
    struct memory after;
    struct decision decision = decided(given, &after);
    const char *sentence = decision.sentence;
    char beginning[64];
    if (decision.from < 0) strcpy(beginning, "hold: ");
    else if (decision.to == decision.from)
        snprintf(beginning, sizeof beginning, "hold %d: ", decision.to);
    else
        snprintf(beginning, sizeof beginning,
                 "%s %d → %d: ", decision.to > decision.from ? "up" : "down", decision.from,
                 decision.to);
    if (given->situation.scaling && strncmp(sentence, beginning, strlen(beginning)) != 0)
        fail_with(given, &decision, "begins differently");
    if (strlen(sentence) < strlen(beginning) + 10) fail_with(given, &decision, "says nothing");
    if (strlen(decision.next) < 10) fail_with(given, &decision, "does not say what comes next");
    if (strchr(sentence, '-') && strstr(sentence, " -"))
        fail_with(given, &decision, "has a negative number");
    if (strstr(decision.next, " -")) fail_with(given, &decision, "has a negative number in next");
    if (*sentence_form_name(decision.form) == '\0') fail_with(given, &decision, "has no form");
}

static void there_is_always_a_sentence_and_what_comes_next(void **state) {
    (void)state;
    for_each_search(check_sentence);
}

static void check_replay(const struct given *given) {
    uint8_t situation[SITUATION_STORED], memory[MEMORY_STORED], one[MEMORY_STORED],
        other[MEMORY_STORED];
    struct given again = *given;
    struct memory after, after_again;
    size_t length = situation_encode(situation, &given->situation, NULL);
    assert_true(situation_decode(&again.situation, situation, length, NULL));
    length = memory_encode(memory, &given->memory);
    assert_true(memory_decode(&again.memory, memory, length));
    struct decision decision = decided(given, &after);
    struct decision repeated = decided(&again, &after_again);
    assert_memory_equal(&decision, &repeated, sizeof decision);
    length = memory_encode(one, &after);
    assert_int_equal(memory_encode(other, &after_again), length);
    assert_memory_equal(one, other, length);
}

static void what_is_stored_is_decided_again_the_same_to_the_byte(void **state) {
    (void)state;
    for_each_search(check_replay);
}

/* A rule that waits longer: what the shorter one holds, it holds too. Adding and removing are
 * looked at apart. */
static void check_waits(const struct given *given) {
    struct given longer = *given;
    struct memory after;
    if (is_automatic(given)) return;
    longer.rule.up.wait_s += (int)below(300);
    longer.rule.down.wait_s += (int)below(300);
    struct decision decision = decided(given, &after), later = decided(&longer, &after);
    if (later.action != DECISION_HOLD && later.to != decision.to)
        fail_with(&longer, &later, "acts sooner than with a shorter wait");
}

static void a_longer_wait_never_acts_sooner(void **state) {
    (void)state;
    for_each_search(check_waits);
}

/* With no earlier additions to compare with: a longer wait may show that they did not help. */
static void check_larger(const struct given *given) {
    struct given larger = *given;
    struct memory after;
    if (given->situation.value_ms < 0 || is_automatic(given)) return;
    larger.memory.up_value_ms = -1;
    larger.memory.futile_since = 0;
    larger.situation.value_ms += below(500);
    struct given smaller = larger;
    smaller.situation.value_ms = given->situation.value_ms;
    struct decision decision = decided(&smaller, &after), other = decided(&larger, &after);
    if (other.to < decision.to) fail_with(&larger, &other, "less for a larger value");
}

static void a_larger_value_never_gives_a_smaller_number(void **state) {
    (void)state;
    for_each_search(check_larger);
}

static void check_off(const struct given *given) {
    struct given off = *given;
    struct memory after;
    off.situation.scaling = 0;
    struct decision decision = decided(&off, &after);
    if (strncmp(decision.sentence, "would ", 6) != 0) fail_with(&off, &decision, "says no would");
    if (given->situation.clock_jump == 0 && after.last_up > off.memory.last_up)
        fail_with(&off, &decision, "remembers an addition that was not made");
    if (off.situation.ordered >= 0) assert_true(after.wanted != -1 || decision.from < 0);
}

static void switched_off_nothing_is_remembered_as_done(void **state) {
    (void)state;
    for_each_search(check_off);
}

/* ---- Bounds --------------------------------------------------------------------------------- */

static void set_every_number(struct situation *s, struct memory *m, int64_t value) {
#define X(number, name, unknown, meaning) s->name = value;
    SITUATION_FIELDS(X)
#undef X
#define X(number, name, unknown, meaning) m->name = value;
    MEMORY_FIELDS(X)
#undef X
}

static void no_number_is_too_large_or_too_small_to_decide_on(void **state) {
    (void)state;
    static const int64_t values[] = {INT64_MIN, INT64_MIN + 1, -2, -1, 0, 1, INT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct given given;
        struct memory after;
        random_given(&given);
        set_every_number(&given.situation, &given.memory, values[i]);
        struct decision decision = decided(&given, &after);
        assert_true(strlen(decision.sentence) > 10);
        for (int j = 0; j < SEARCHES / 10; j++) { /* one extreme among usual numbers */
            random_given(&given);
            int64_t *fields = (int64_t *)(void *)&given.situation;
            if (one_in(2)) random_automatic(&given);
            fields[below(60)] = values[below(7)];
            decided(&given, &after);
        }
    }
}

static void fill(char *text, size_t size, const char *with) {
    size_t length = 0;
    while (length + strlen(with) < size) {
        strcpy(text + length, with);
        length += strlen(with);
    }
}

static void the_longest_names_leave_the_numbers_and_whole_characters(void **state) {
    (void)state;
    static vectors v;
    vectors_open(&v, "decisions.tsv");
    while (vectors_next(&v)) {
        struct given given;
        struct decision decision;
        decisions_given(&given, v.columns[1]);
        fill(given.situation.queue, sizeof given.situation.queue, "ü→");
        fill(given.situation.trouble, sizeof given.situation.trouble, "€");
        fill(given.situation.outsider, sizeof given.situation.outsider, "ä");
        fill(given.rule.name, sizeof given.rule.name, "😀");
        given.rule.statistic = RULE_MEAN;
        decide(&given.situation, &given.rule, &given.memory, &decision);
        assert_true(tree_is_printable(decision.sentence, strlen(decision.sentence)));
        assert_true(tree_is_printable(decision.next, strlen(decision.next)));
    }
    vectors_close(&v);
}

/* ---- Ticks in a row ------------------------------------------------------------------------- */

/* A platform on which orders are carried out by the next tick, and dynos start in `boot_s`. */
struct world {
    struct given given;
    struct decision decision;
    int64_t started_at[64]; /* of each dyno */
};

static void begin_world(struct world *world, const char *given) {
    memset(world, 0, sizeof *world);
    if (!decisions_given(&world->given, given)) fail_msg("%s can't be read", given);
}

static void carry_out(struct world *world) {
    struct situation *s = &world->given.situation;
    for (int64_t i = s->ordered; i < world->decision.to && i < 64; i++)
        world->started_at[i] = s->now;
    if (world->decision.action == DECISION_HOLD) return;
    s->ordered = world->decision.to;
    s->act_state = ACT_DONE;
    s->act_wanted = world->decision.to;
    s->act_age = 0;
}

static void tick(struct world *world, int64_t value_ms) {
    struct situation *s = &world->given.situation;
    s->value_ms = value_ms;
    s->samples_above = value_ms > world->given.rule.up.threshold_ms ? 20 : 0;
    s->up = 0;
    for (int64_t i = 0; i < s->ordered && i < 64; i++)
        s->up += s->now - world->started_at[i] >= s->boot_s;
    decide(s, &world->given.rule, &world->given.memory, &world->decision);
    carry_out(world);
    s->now += 10;
    if (s->act_age >= 0) s->act_age += 10;
    if (s->outside_age >= 0) s->outside_age += 10;
    s->started_age += 10;
    s->rule_age += 10;
}

static void ticks(struct world *world, int count, int64_t value_ms) {
    for (int i = 0; i < count; i++) tick(world, value_ms);
}

static void a_breach_adds_at_once_and_then_once_a_wait(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, "web ordered=1 up=1 wanted=1");
    tick(&world, 140);
    assert_int_equal(world.given.situation.ordered, 2);
    ticks(&world, 5, 90000);
    assert_int_equal(world.given.situation.ordered, 2);
    tick(&world, 90000);
    assert_int_equal(world.given.situation.ordered, 3);
}

static void calm_removes_one_a_wait_down_to_the_minimum(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, "web ordered=5 up=5 wanted=5 min=2");
    ticks(&world, 30, 10);
    assert_int_equal(world.given.situation.ordered, 5);
    tick(&world, 10);
    assert_int_equal(world.given.situation.ordered, 4);
    ticks(&world, 29, 10);
    assert_int_equal(world.given.situation.ordered, 4);
    ticks(&world, 1000, 10);
    assert_int_equal(world.given.situation.ordered, 2);
    assert_string_equal(world.decision.sentence,
                        "hold 2: p95 is 10 ms, below 50 ms, and 2 is the rule's minimum");
}

static void one_silent_tick_begins_the_wait_for_down_anew(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, "web ordered=5 up=5 wanted=5");
    ticks(&world, 29, 10);
    world.given.situation.heard_age = 40;
    tick(&world, -1);
    world.given.situation.heard_age = 4;
    ticks(&world, 30, 10);
    assert_int_equal(world.given.situation.ordered, 5);
    tick(&world, 10);
    assert_int_equal(world.given.situation.ordered, 4);
}

static void a_hopeless_wait_adds_twice_and_again_after_10_minutes(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, "web ordered=3 up=3");
    ticks(&world, 60, 500);
    assert_int_equal(world.given.situation.ordered, 5);
    assert_non_null(strstr(world.decision.sentence, "the wait is no shorter"));
    ticks(&world, 60, 500);
    assert_int_equal(world.given.situation.ordered, 6);
    ticks(&world, 15, 500);
    assert_int_equal(world.given.situation.ordered, 6);
}

static void growing_traffic_is_followed_to_the_maximum(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, "web ordered=1 up=1 wanted=1");
    for (int i = 0; i < 120; i++) {
        world.given.situation.samples = 200 + 20 * i;
        tick(&world, 500);
    }
    assert_int_equal(world.given.situation.ordered, 10);
}

static void slow_starters_are_not_ordered_twice(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, "web ordered=1 up=1 wanted=1 boot_s=240");
    ticks(&world, 23, 500);
    assert_int_equal(world.given.situation.ordered, 2);
    assert_non_null(strstr(world.decision.sentence, "not up yet"));
}

static void an_order_that_fails_for_minutes_is_made_when_it_can_be(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, "web");
    struct situation *s = &world.given.situation;
    for (int i = 0; i < 12; i++) { /* each order is locked by a release */
        tick(&world, 140);
        assert_int_equal(world.decision.to, 4);
        s->ordered = 3;
        s->act_state = ACT_LOCKED;
    }
    ticks(&world, 1, 75); /* the wait is over: the wish is, too */
    assert_int_equal(world.decision.to, 3);
}

static void a_restart_neither_repeats_nor_forgets(void **state) {
    (void)state;
    struct world world, other;
    begin_world(&world, "web");
    tick(&world, 140);
    other = world;
    uint8_t bytes[MEMORY_STORED];
    size_t length = memory_encode(bytes, &world.given.memory);
    other.given.situation.started_age = 0;
    other.given.situation.now += 20; /* as long as it was away */
    assert_true(memory_decode(&other.given.memory, bytes, length));
    tick(&other, 140);
    assert_int_equal(other.given.situation.ordered, 4);
    assert_non_null(strstr(other.decision.sentence, "the next may be added in 0:30"));
    ticks(&other, 3, 140);
    assert_int_equal(other.given.situation.ordered, 5);
}

static void two_masters_end_in_one_that_keeps_off(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, "web ordered=5 up=5 wanted=5");
    struct situation *s = &world.given.situation;
    for (int i = 0; i < 2; i++) {
        s->ordered = 2;
        s->outside_age = 2;
        s->outside_count = i + 1;
        ticks(&world, 12, 140);
    }
    assert_int_equal(s->ordered, 2);
    assert_non_null(strstr(world.decision.sentence, "two can't both scale it"));
    s->outside_count = 0;
    ticks(&world, 180, 140);
    assert_true(s->ordered > 2);
}

static void workers_go_to_0_and_come_back_with_the_first_job(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, "worker ordered=1 up=1 wanted=1");
    ticks(&world, 31, 0);
    assert_int_equal(world.given.situation.ordered, 0);
    tick(&world, 0);
    tick(&world, 30);
    assert_int_equal(world.given.situation.ordered, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_is_decided_as_it_says),
        cmocka_unit_test(every_form_has_a_case),
        cmocka_unit_test(no_number_that_is_ordered_is_outside_of_the_range),
        cmocka_unit_test(nothing_is_removed_on_what_is_not_known),
        cmocka_unit_test(the_automatic_method_keeps_as_many_workers_as_are_at_work),
        cmocka_unit_test(there_is_always_a_sentence_and_what_comes_next),
        cmocka_unit_test(what_is_stored_is_decided_again_the_same_to_the_byte),
        cmocka_unit_test(a_longer_wait_never_acts_sooner),
        cmocka_unit_test(a_larger_value_never_gives_a_smaller_number),
        cmocka_unit_test(switched_off_nothing_is_remembered_as_done),
        cmocka_unit_test(no_number_is_too_large_or_too_small_to_decide_on),
        cmocka_unit_test(the_longest_names_leave_the_numbers_and_whole_characters),
        cmocka_unit_test(a_breach_adds_at_once_and_then_once_a_wait),
        cmocka_unit_test(calm_removes_one_a_wait_down_to_the_minimum),
        cmocka_unit_test(one_silent_tick_begins_the_wait_for_down_anew),
        cmocka_unit_test(a_hopeless_wait_adds_twice_and_again_after_10_minutes),
        cmocka_unit_test(growing_traffic_is_followed_to_the_maximum),
        cmocka_unit_test(slow_starters_are_not_ordered_twice),
        cmocka_unit_test(an_order_that_fails_for_minutes_is_made_when_it_can_be),
        cmocka_unit_test(a_restart_neither_repeats_nor_forgets),
        cmocka_unit_test(two_masters_end_in_one_that_keeps_off),
        cmocka_unit_test(workers_go_to_0_and_come_back_with_the_first_job),
    };
    return cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}
