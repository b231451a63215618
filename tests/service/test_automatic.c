/*
 * The automatic method: its numbers, what it learns, and runs of ticks against a platform that is
 * made of formulas. How well it does is bench/policy's matter.
 */
#include "../core/support/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decide/automatic/learned.h"
#include "decide/automatic/number.h"
#include "decide/decide.h"
#include "decide/sentence.h"
#include "support/random.h"

static uint64_t seed;

static double between(double low, double high) {
    return low + (high - low) * (double)random_below(&seed, 1 << 30) / (1 << 30);
}

/* ---- Numbers -------------------------------------------------------------------------------- */

static void exp_log_and_power_are_right_to_13_digits(void **state) {
    (void)state;
    seed = 1;
    for (int i = 0; i < 100000; i++) {
        double x = between(-690, 690), y = exp(between(-600, 600));
        assert_true(fabs(number_exp(x) / exp(x) - 1) < 1e-13);
        assert_true(fabs(number_log(y) - log(y)) < 1e-13 * (1 + fabs(log(y))));
        double base = between(.001, 1000), exponent = between(-13, 13);
        assert_true(fabs(number_power(base, exponent) / pow(base, exponent) - 1) < 1e-12);
    }
}

static void what_has_no_logarithm_or_is_too_large_stays_finite(void **state) {
    (void)state;
    const double odd[] = {0, -1, -INFINITY, NAN};
    for (int i = 0; i < 4; i++) assert_true(number_log(odd[i]) == -700);
    assert_true(isfinite(number_exp(1e300)));
    assert_true(number_exp(-1e300) == 0);
    assert_true(number_power(0, 3) == 0);
}

/* ---- A platform made of formulas ------------------------------------------------------------ */

struct world {
    struct situation situation;
    struct rule rule;
    struct memory memory;
    struct decision decision;
    double traffic, per_dyno; /* requests/s; those of a dyno at which 5 % are slow */
    int up;
};

enum { NOW = 1700000000 };

static struct world begin_world(double traffic, int dynos) {
    struct world world = {.traffic = traffic, .per_dyno = 12.5, .up = dynos};
    situation_clear(&world.situation);
    memory_clear(&world.memory);
    rule_defaults(&world.rule);
    strcpy(world.rule.name, "default");
    world.rule.method = RULE_AUTOMATIC;
    world.rule.max = 60;
    world.situation.now = NOW;
    world.situation.ordered = dynos;
    seed = 7;
    return world;
}

/* Counts that vary as counts do, by whole numbers alone. */
static int64_t about(double mean) {
    double spread = number_sqrt(mean);
    return (int64_t)number_larger(0, mean + spread * between(-1.7, 1.7) + .5);
}

static double slow_share(const struct world *world) {
    double load = world->traffic / world->up / world->per_dyno;
    return number_smaller(.9, .05 * load * load * load * load);
}

static void measure(struct world *world) {
    struct situation *s = &world->situation;
    double share = slow_share(world), served = world->per_dyno * 2 * world->up;
    double begun = number_smaller(world->traffic, served);
    s->known_age = 1;
    s->last_requests = about(begun * 10);
    s->both_requests = s->last_requests + about(begun * 10);
    s->learn_requests = about(begun * 30);
    s->last_slow = about((double)s->last_requests * share);
    s->both_slow = s->last_slow * 2;
    s->learn_slow = about((double)s->learn_requests * share);
    s->last_wait_ms = s->last_slow * 300;
    s->learn_wait_ms = s->learn_slow * 300;
    s->last_dyno_s = 10 * world->up;
    s->learn_dyno_s = 30 * world->up;
    s->learn_steady = 1;
    s->arrive_rate = s->begin_rate = s->serve_rate = s->last_requests * 100;
    s->value_ms = share > .05 ? 300 : 10;
    s->samples = s->both_requests;
    s->samples_above = s->both_slow;
}

/* A tick; what was ordered is up at the next one but two. */
static void tick(struct world *world) {
    struct situation *s = &world->situation;
    s->now += 10;
    s->tick_s = s->report_s = 10;
    s->scaling = 1;
    s->started_age = 100000;
    s->heard_age = 2;
    s->formation_age = 2;
    s->rule_age = 100000;
    s->boot_mean_ms = 20000;
    if (world->up > s->ordered || s->now - world->memory.last_up >= 20) world->up = (int)s->ordered;
    s->up = world->up;
    s->booting = s->ordered - s->up;
    measure(world);
    decide(s, &world->rule, &world->memory, &world->decision);
    if (world->decision.to >= 0) s->ordered = world->decision.to;
}

static void ticks(struct world *world, int count) {
    for (int i = 0; i < count; i++) tick(world);
}

static void it_learns_what_a_dyno_carries(void **state) {
    (void)state;
    struct world world = begin_world(60, 5);
    ticks(&world, 720);
    assert_true(world.memory.learned.windows > 100);
    assert_true(fabs(world.memory.learned.capacity / 12.5 - 1) < .15);
    assert_in_range(world.situation.ordered, 5, 7);
}

static void it_follows_traffic_up_at_once_and_down_with_patience(void **state) {
    (void)state;
    struct world world = begin_world(30, 3);
    ticks(&world, 400);
    world.traffic = 90;
    ticks(&world, 12);
    assert_true(world.situation.ordered >= 7);
    world.traffic = 20;
    tick(&world);
    assert_true(world.situation.ordered >= 7);
    ticks(&world, 60);
    assert_true(world.situation.ordered <= 3);
}

static void care_decides_how_many_are_held_ready(void **state) {
    (void)state;
    double dynos[3];
    for (int care = 0; care < 3; care++) {
        struct world world = begin_world(60, 5);
        world.rule.care = (enum rule_care)care;
        double sum = 0;
        for (int i = 0; i < 1000; i++) {
            world.traffic = 60 + 25 * (i / 30 % 2); /* now and then more, at once */
            tick(&world);
            sum += (double)world.situation.ordered;
        }
        dynos[care] = sum / 1000;
    }
    assert_true(dynos[RULE_LEAN] < dynos[RULE_BALANCED]);
    assert_true(dynos[RULE_BALANCED] <= dynos[RULE_STRICT]);
}

static void what_does_not_scale_ends_in_a_ceiling_and_a_sentence(void **state) {
    (void)state;
    struct world world = begin_world(40, 4);
    ticks(&world, 400);
    bool said = false;
    int most = 0;
    for (int i = 0; i < 120; i++) { /* a database: each dyno more makes all of them slower */
        world.per_dyno = 20. / world.up;
        tick(&world);
        said = said || world.decision.form == SENTENCE_HOLD_CEILING;
        if (world.situation.ordered > most) most = (int)world.situation.ordered;
    }
    assert_true(said);
    assert_true(most <= 20);
}

static void another_goal_is_learned_anew(void **state) {
    (void)state;
    struct world world = begin_world(60, 5);
    ticks(&world, 100);
    assert_true(world.memory.learned.windows > 10);
    world.rule.goal_ms = 500;
    tick(&world);
    assert_true(world.memory.learned.windows <= 1);
}

static void nothing_is_known_so_nothing_is_removed(void **state) {
    (void)state;
    struct world world = begin_world(60, 8);
    ticks(&world, 3);
    int64_t before = world.situation.ordered;
    for (int i = 0; i < 300; i++) {
        struct situation *s = &world.situation;
        s->now += 10;
        s->heard_age = 100 + 10 * i;
        s->known_age = s->arrive_rate = s->begin_rate = -1;
        s->value_ms = -1;
        decide(s, &world.rule, &world.memory, &world.decision);
        assert_int_equal(world.decision.to, before);
    }
}

/* ---- Stored, moved, the same on any machine ------------------------------------------------- */

static void what_is_learned_is_stored_to_the_bit(void **state) {
    (void)state;
    struct world world = begin_world(60, 5);
    for (int i = 0; i < 1200; i++) {
        uint8_t bytes[MEMORY_STORED];
        struct memory read;
        tick(&world);
        size_t length = memory_encode(bytes, &world.memory);
        assert_true(length <= 2000); /* of a process, at any time */
        assert_true(memory_decode(&read, bytes, length));
        assert_true(memory_equal(&read, &world.memory));
        assert_memory_equal(&read, &world.memory, sizeof read);
        assert_false(memory_decode(&read, bytes, length - 1));
    }
}

static void bytes_that_nobody_stored_are_refused_or_harmless(void **state) {
    (void)state;
    struct world world = begin_world(60, 5);
    uint8_t bytes[LEARNED_STORED];
    ticks(&world, 500);
    size_t length = learned_encode(bytes, &world.memory.learned);
    for (int i = 0; i < 20000; i++) {
        uint8_t other[LEARNED_STORED];
        struct world odd = world;
        memcpy(other, bytes, length);
        for (int n = 0; n < 3; n++)
            other[random_below(&seed, length)] = (uint8_t)random_below(&seed, 256);
        if (!learned_decode(&odd.memory.learned, other, length)) continue;
        tick(&odd);
        assert_in_range(odd.decision.to, 1, 60);
    }
}

static void a_clock_that_steps_moves_what_is_remembered(void **state) {
    (void)state;
    struct world world = begin_world(60, 5), moved = begin_world(60, 5);
    ticks(&world, 300);
    ticks(&moved, 300);
    uint64_t same = seed;
    moved.situation.now += 7200;
    moved.situation.clock_jump = 7200;
    tick(&moved);
    moved.situation.clock_jump = 0;
    world.situation.now += 0;
    seed = same;
    tick(&world);
    for (int i = 0; i < 100; i++) {
        same = seed;
        tick(&world);
        seed = same;
        tick(&moved);
        assert_int_equal(world.situation.ordered, moved.situation.ordered);
    }
}

/* Of all sentences and of all that is learned in a day: the same with any compiler, at any level of
 * optimisation, on any machine. */
static void a_day_is_decided_to_the_same_bit_on_any_machine(void **state) {
    (void)state;
    struct world world = begin_world(30, 3);
    uint64_t hash = 0xCBF29CE484222325u;
    for (int i = 0; i < 8640; i++) {
        double hour = i / 360.;
        world.traffic = 20 + 80 * number_exp(-(hour - 14) * (hour - 14) / 20);
        tick(&world);
        for (const char *at = world.decision.sentence; *at; at++)
            hash = (hash ^ (unsigned char)*at) * 0x100000001B3u;
        uint8_t bytes[MEMORY_STORED];
        size_t length = memory_encode(bytes, &world.memory);
        for (size_t n = 0; n < length; n++) hash = (hash ^ bytes[n]) * 0x100000001B3u;
    }
    assert_int_equal(hash, 0xBB6D974FC869FBCAu);
}

/* Whoever divides the traffic by what a dyno takes finds the number, or reads why it is another. */
static void each_number_follows_from_its_sentence(void **state) {
    (void)state;
    struct world world = begin_world(30, 3);
    int rises = 0, told = 0;
    for (int i = 0; i < 8640; i++) {
        double hour = i / 360.;
        world.traffic = 20 + 80 * number_exp(-(hour - 14) * (hour - 14) / 20);
        int before = (int)world.situation.ordered;
        tick(&world);
        const char *sentence = world.decision.sentence;
        const char *high = strstr(sentence, "up to "), *takes = strstr(sentence, "one dyno takes ");
        if (world.decision.form != SENTENCE_UP_TRAFFIC) continue;
        assert_true(high && takes && world.decision.to > before);
        double dynos = strtod(high + 6, NULL) / strtod(takes + 15, NULL);
        const char *price = strstr(sentence, "% of minutes would be slow, and one is worth 20 ");
        rises++;
        told += price != NULL;
        if (dynos <= world.decision.to - 1.05) assert_non_null(price); /* numbers are rounded */
    }
    assert_true(rises >= 5 && told >= 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_log_and_power_are_right_to_13_digits),
        cmocka_unit_test(what_has_no_logarithm_or_is_too_large_stays_finite),
        cmocka_unit_test(it_learns_what_a_dyno_carries),
        cmocka_unit_test(it_follows_traffic_up_at_once_and_down_with_patience),
        cmocka_unit_test(care_decides_how_many_are_held_ready),
        cmocka_unit_test(what_does_not_scale_ends_in_a_ceiling_and_a_sentence),
        cmocka_unit_test(another_goal_is_learned_anew),
        cmocka_unit_test(nothing_is_known_so_nothing_is_removed),
        cmocka_unit_test(what_is_learned_is_stored_to_the_bit),
        cmocka_unit_test(bytes_that_nobody_stored_are_refused_or_harmless),
        cmocka_unit_test(a_clock_that_steps_moves_what_is_remembered),
        cmocka_unit_test(a_day_is_decided_to_the_same_bit_on_any_machine),
        cmocka_unit_test(each_number_follows_from_its_sentence),
    };
    return cmocka_run_group_tests_name("automatic", tests, NULL, NULL);
}
