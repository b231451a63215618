/*
 * The automatic method for workers: what readings of a queue tell, what rules may say, and runs of
 * ticks against a queue in which each job is counted. How well it does is bench/policy's matter.
 */
#include "../core/support/suite.h"

#include <string.h>

#include "decide/decide.h"
#include "decide/sentence.h"
#include "ingest/jobs.h"
#include "support/random.h"

/* ---- Readings ------------------------------------------------------------------------------- */

static void what_comes_and_begins_is_counted_while_jobs_wait(void **state) {
    (void)state;
    /* 20 a second come, 12 begin: the oldest came 0.4 s later each second. */
    struct jobs_reading readings[8];
    for (int i = 0; i < 8; i++)
        readings[i] = (struct jobs_reading){1000 + 10 * i, 8 * (20 + 10 * i), 400 * (20 + 10 * i)};
    struct jobs_flow flow = jobs_flow(readings, 8);
    assert_in_range(flow.arrive, 19000, 21000);
    assert_in_range(flow.start, 11000, 13000);
}

static void of_many_jobs_that_came_at_once_those_that_are_gone_began(void **state) {
    (void)state;
    struct jobs_reading readings[5];
    for (int i = 0; i < 5; i++)
        readings[i] = (struct jobs_reading){1000 + 10 * i, 1000 - 50 * i, 3000 + 10000 * i};
    struct jobs_flow flow = jobs_flow(readings, 5);
    assert_int_equal(flow.arrive, 0);
    assert_int_equal(flow.start, 5000);
}

static void what_is_not_seen_is_not_guessed(void **state) {
    (void)state;
    struct jobs_reading empty[] = {{1000, 0, 0}, {1010, 0, 0}},
                        quick[] = {{1000, 5, 900}, {1010, 4, 800}},
                        unknown[] = {{1000, -1, 20000}, {1010, -1, 25000}},
                        ended[] = {{1000, 90, 20000}, {1010, 80, 25000}, {1020, 0, 0}},
                        back[] = {{1000, 90, 20000}, {1000, 80, 25000}};
    assert_int_equal(jobs_flow(empty, 2).start, -1);
    assert_int_equal(jobs_flow(quick, 2).start, -1);
    assert_int_equal(jobs_flow(unknown, 2).start, -1);
    assert_int_equal(jobs_flow(ended, 3).start, -1);
    assert_int_equal(jobs_flow(back, 2).start, -1);
    assert_int_equal(jobs_flow(empty, 1).arrive, -1);
}

static uint64_t seed;

static void no_readings_make_a_number_that_is_none(void **state) {
    (void)state;
    seed = 3;
    for (int i = 0; i < 20000; i++) {
        struct jobs_reading readings[JOBS_READINGS];
        size_t count = random_below(&seed, 12);
        int64_t at_s = 1000;
        for (size_t n = 0; n < count; n++) {
            at_s += (int64_t)random_below(&seed, 30);
            readings[n] = (struct jobs_reading){at_s, (int64_t)random_below(&seed, 1000) - 1,
                                                (int64_t)random_below(&seed, 100000)};
        }
        struct jobs_flow flow = jobs_flow(readings, count);
        assert_true(flow.arrive >= -1 && flow.start >= -1);
        assert_true(flow.arrive < 10000000 && flow.start < 10000000);
    }
}

/* ---- A queue of which each job is counted --------------------------------------------------- */

enum { NOW = 1700000000, LONGEST_S = 20000, SLOTS = 5 };

struct world {
    struct situation situation;
    struct rule rule;
    struct memory memory;
    struct decision decision;
    int second, up, job_s;
    bool counted, worked;                          /* what agents report of depth and working */
    int came[LONGEST_S + 1], begun[LONGEST_S + 1]; /* until the end of a second, in sum */
    int per_second, late, least_busy;
};

static void begin_world(struct world *world, int workers, int per_second, int job_s) {
    memset(world, 0, sizeof *world);
    situation_clear(&world->situation);
    memory_clear(&world->memory);
    rule_defaults(&world->rule);
    strcpy(world->rule.name, "default");
    world->rule.method = RULE_AUTOMATIC;
    world->rule.goal_ms = 30000;
    world->rule.hold_while_jobs_run = false;
    world->rule.min = 0;
    world->rule.max = 40;
    world->situation.now = NOW;
    world->situation.ordered = world->up = workers;
    world->per_second = per_second;
    world->job_s = job_s;
    world->counted = world->worked = true;
}

static int working(const struct world *world) {
    int before = world->second - world->job_s;
    return world->begun[world->second] - (before > 0 ? world->begun[before] : 0);
}

/* The second in which the n-th job came. */
static int came_at(const struct world *world, int n) {
    int low = 0, high = world->second;
    while (low < high) {
        int middle = (low + high) / 2;
        if (world->came[middle] < n) low = middle + 1;
        else high = middle;
    }
    return low;
}

static void pass_second(struct world *world, int more) {
    int now = ++world->second, begun = world->begun[now - 1];
    assert_true(now <= LONGEST_S);
    world->came[now] = world->came[now - 1] + world->per_second + more;
    world->begun[now] = begun;
    int room = SLOTS * world->up - working(world), waiting = world->came[now] - begun;
    int begins = room < waiting ? room : waiting;
    for (int i = 1; i <= begins; i++) world->late += now - came_at(world, begun + i) > 30;
    world->begun[now] += begins > 0 ? begins : 0;
}

static void read_queue(struct world *world) {
    struct situation *s = &world->situation;
    int waiting = world->came[world->second] - world->begun[world->second];
    int oldest = waiting ? world->second - came_at(world, world->begun[world->second] + 1) : 0;
    s->oldest_past_ms = s->oldest_ms;
    s->oldest_apart_s = s->oldest_ms < 0 ? -1 : 10;
    s->oldest_ms = s->value_ms = 1000 * oldest;
    s->samples = 6;
    s->jobs_running = world->worked ? working(world) : -1;
    s->jobs_waiting = world->counted ? waiting : -1;
}

static void count_flow(struct world *world, struct jobs_reading *readings) {
    struct situation *s = &world->situation;
    memmove(readings, readings + 1, 11 * sizeof *readings);
    readings[11] = (struct jobs_reading){s->now, s->jobs_waiting, s->oldest_ms};
    int first = 0;
    while (readings[first].at_s == 0) first++;
    struct jobs_flow flow = jobs_flow(readings + first, (size_t)(12 - first));
    s->jobs_arrive = flow.arrive;
    s->jobs_start = flow.start;
}

/* Ten seconds and a tick; what was ordered is up 20 s later, what is too many stops at once. */
static void tick(struct world *world, struct jobs_reading *readings, int more) {
    struct situation *s = &world->situation;
    for (int i = 0; i < 10; i++) pass_second(world, i == 0 ? more : 0);
    s->now += 10;
    s->tick_s = s->report_s = 10;
    s->scaling = s->jobs = 1;
    s->started_age = s->rule_age = 100000;
    s->heard_age = s->formation_age = 2;
    s->boot_mean_ms = 20000;
    if (world->up > s->ordered || s->now - world->memory.last_up >= 20) world->up = (int)s->ordered;
    s->up = world->up;
    s->booting = s->ordered - s->up;
    read_queue(world);
    if (world->counted) count_flow(world, readings);
    decide(s, &world->rule, &world->memory, &world->decision);
    if (world->decision.to < s->ordered && world->worked && world->memory.job_full &&
        world->decision.to * SLOTS < s->jobs_running)
        fail_msg("%d jobs are worked on: %s", (int)s->jobs_running, world->decision.sentence);
    if (world->decision.to >= 0) s->ordered = world->decision.to;
}

static struct world world;
static struct jobs_reading readings[12];

static void ticks(int count) {
    for (int i = 0; i < count; i++) tick(&world, readings, 0);
}

static void begin(int workers, int per_second, int job_s) {
    begin_world(&world, workers, per_second, job_s);
    memset(readings, 0, sizeof readings);
}

static void it_finds_how_many_a_steady_stream_takes(void **state) {
    (void)state;
    begin(1, 12, 2); /* 24 at work: 4.8 workers */
    ticks(180);
    assert_in_range(world.situation.ordered, 5, 6);
    world.late = 0;
    ticks(360);
    assert_in_range(world.situation.ordered, 5, 6);
    assert_int_equal(world.late, 0);
    begin(20, 12, 2);
    ticks(540);
    assert_in_range(world.situation.ordered, 5, 7);
}

static void a_batch_is_begun_in_the_time_of_the_goal_once_a_worker_is_known(void **state) {
    (void)state;
    begin(1, 1, 1);
    tick(&world, readings, 400); /* learned from the first */
    ticks(60);
    int before = (int)world.situation.ordered;
    world.late = 0;
    tick(&world, readings, 1000);
    int asked = (int)world.situation.ordered;
    assert_in_range(asked, 5, 9); /* in 30 s after the start each of them begins 150 */
    ticks(6);
    assert_int_equal(world.situation.jobs_waiting, 0);
    ticks(30);
    assert_in_range(world.situation.ordered, 1, before);
}

static void it_comes_from_0_and_goes_to_0(void **state) {
    (void)state;
    begin(0, 0, 2);
    tick(&world, readings, 300);
    assert_int_equal(world.situation.ordered, 1); /* nothing is learned yet */
    ticks(60);
    assert_int_equal(world.situation.jobs_waiting, 0);
    assert_int_equal(world.situation.ordered, 1);
    ticks(180);
    assert_int_equal(world.situation.ordered, 0);
    ticks(30);
    assert_int_equal(world.situation.ordered, 0);
    tick(&world, readings, 3000); /* a worker begins 75 in 30 s */
    assert_in_range(world.situation.ordered, 30, 40);
}

static void long_jobs_take_a_slot_each_and_are_not_cut_off(void **state) {
    (void)state;
    begin(1, 0, 900);
    ticks(5);
    tick(&world, readings, 23);
    ticks(30);
    assert_int_equal(world.situation.jobs_waiting, 0);
    assert_in_range(world.situation.ordered, 5, 10);
    ticks(40);
    assert_int_equal(working(&world), 23);
    assert_in_range(world.situation.ordered, 5, 7); /* 5 have 23 slots; others may come */
}

static void with_the_age_alone_it_says_so_and_still_catches_up(void **state) {
    (void)state;
    begin(2, 12, 2);
    world.counted = world.worked = false;
    ticks(4);
    bool said = false;
    for (int i = 0; i < 120; i++) {
        tick(&world, readings, 0);
        said = said || (world.decision.form == SENTENCE_UP_JOBS &&
                        strstr(world.decision.sentence, "is not reported, so the age"));
    }
    assert_true(said);
    world.late = 0;
    ticks(360);
    assert_in_range(world.situation.ordered, 4, 12);
    assert_true(world.late < 12 * 3600 / 20);
}

static void without_working_the_depth_is_enough(void **state) {
    (void)state;
    begin(2, 12, 2);
    world.worked = false;
    ticks(180);
    world.late = 0;
    ticks(360);
    assert_in_range(world.situation.ordered, 5, 8);
    assert_int_equal(world.late, 0);
    assert_int_equal(world.memory.job_slots, 0);
}

static void care_decides_how_soon_a_backlog_is_begun(void **state) {
    (void)state;
    int most[3] = {0, 0, 0};
    for (int care = 0; care < 3; care++) {
        begin(1, 1, 1);
        world.rule.care = (enum rule_care)care;
        tick(&world, readings, 400);
        ticks(60);
        tick(&world, readings, 1000);
        most[care] = (int)world.situation.ordered;
    }
    assert_true(most[RULE_LEAN] < most[RULE_BALANCED]);
    assert_true(most[RULE_BALANCED] < most[RULE_STRICT]);
}

/* Each job takes longer on more workers: something behind them is the limit. */
static void workers_that_do_not_help_are_not_added_on_and_on(void **state) {
    (void)state;
    begin(2, 10, 2);
    ticks(60);
    bool said = false;
    int most = 0;
    for (int i = 0; i < 200; i++) {
        world.job_s = world.up; /* 5 begin a second, however many workers there are */
        tick(&world, readings, 0);
        said = said || world.decision.form == SENTENCE_HOLD_JOBS_CEILING;
        if (world.situation.ordered > most) most = (int)world.situation.ordered;
    }
    assert_true(said);
    assert_true(most < 40);
}

static void what_is_learned_of_jobs_is_stored_to_the_bit(void **state) {
    (void)state;
    begin(1, 8, 3);
    for (int i = 0; i < 600; i++) {
        uint8_t bytes[MEMORY_STORED];
        struct memory read;
        tick(&world, readings, i % 97 == 0 ? 500 : 0);
        size_t length = memory_encode(bytes, &world.memory);
        assert_true(memory_decode(&read, bytes, length));
        assert_memory_equal(&read, &world.memory, sizeof read);
    }
}

static void a_day_of_jobs_is_decided_to_the_same_bit_on_any_machine(void **state) {
    (void)state;
    begin(1, 2, 3);
    uint64_t hash = 0xCBF29CE484222325u;
    for (int i = 0; i < 1900; i++) {
        world.per_second = 2 + i / 100 % 9;
        tick(&world, readings, i % 190 == 0 ? 700 : 0);
        for (const char *at = world.decision.sentence; *at; at++)
            hash = (hash ^ (unsigned char)*at) * 0x100000001B3u;
        uint8_t bytes[MEMORY_STORED];
        size_t length = memory_encode(bytes, &world.memory);
        for (size_t n = 0; n < length; n++) hash = (hash ^ bytes[n]) * 0x100000001B3u;
    }
    assert_int_equal(hash, 0x1504233738d395b1u);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_and_begins_is_counted_while_jobs_wait),
        cmocka_unit_test(of_many_jobs_that_came_at_once_those_that_are_gone_began),
        cmocka_unit_test(what_is_not_seen_is_not_guessed),
        cmocka_unit_test(no_readings_make_a_number_that_is_none),
        cmocka_unit_test(it_finds_how_many_a_steady_stream_takes),
        cmocka_unit_test(a_batch_is_begun_in_the_time_of_the_goal_once_a_worker_is_known),
        cmocka_unit_test(it_comes_from_0_and_goes_to_0),
        cmocka_unit_test(long_jobs_take_a_slot_each_and_are_not_cut_off),
        cmocka_unit_test(with_the_age_alone_it_says_so_and_still_catches_up),
        cmocka_unit_test(without_working_the_depth_is_enough),
        cmocka_unit_test(care_decides_how_soon_a_backlog_is_begun),
        cmocka_unit_test(workers_that_do_not_help_are_not_added_on_and_on),
        cmocka_unit_test(what_is_learned_of_jobs_is_stored_to_the_bit),
        cmocka_unit_test(a_day_of_jobs_is_decided_to_the_same_bit_on_any_machine),
    };
    return cmocka_run_group_tests_name("automatic jobs", tests, NULL, NULL);
}
