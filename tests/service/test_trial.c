/*
 * Trials of rules: the queue's model against what is known of queues, the fit against pasts that
 * were made by the model, and the run by properties that hold whatever the past.
 */
#include "../core/support/suite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/jobs.h"
#include "replay/chance.h"
#include "replay/estimate.h"
#include "replay/fleet.h"
#include "replay/jobs_past.h"
#include "replay/jobs_queue.h"
#include "replay/watch.h"
#include "support/random.h"

enum { FROM_S = 1799971200, DAY = 1440, MOST = 3 * DAY }; /* a midnight in UTC */

static void assert_near(double found, double expected, double within) {
    if (fabs(found - expected) > within) {
        print_message("%g is not within %g of %g\n", found, within, expected);
        fail();
    }
}

/* ---- The queue ------------------------------------------------------------------------------ */

static void the_chance_to_wait_is_erlangs(void **state) {
    (void)state;
    assert_near(queue_chance(1, .5), .5, 1e-9);
    assert_near(queue_chance(2, .5), 1. / 3, 1e-9);
    assert_near(queue_chance(4, .5), .173913, 1e-6);
    assert_near(queue_chance(20, .8), .256, .001);
    assert_near(queue_chance(3, 0), 0, 0);
    assert_near(queue_chance(3, 1), 1, 0);
}

static void a_queue_left_alone_becomes_the_stationary_one(void **state) {
    (void)state;
    static struct queue queue;
    double number = 0, served = 0;
    queue_begin(&queue, 4, .15, 1);
    for (int i = 0; i < 1000; i++) number = queue_after(&queue, number, 16, .15, 5, &served);
    struct queue_wait wait = queue_wait(&queue, number, .15);
    double used = 16 * .15 / 4, chance = queue_chance(4, used);
    assert_near(served, 16, .01);
    assert_near(queue_mean_wait(&wait), chance * .15 / 4 / (1 - used), .002);
    assert_near(number, 16 * (.15 + queue_mean_wait(&wait)), .03); /* Little's law */
}

static void no_request_is_made_or_lost(void **state) {
    (void)state;
    static struct queue queue;
    uint64_t random = 7;
    double number = 0, came = 0, left = 0, served;
    queue_begin(&queue, 3, .2, .7);
    for (int i = 0; i < 5000; i++) {
        double rate = (double)random_below(&random, 300) / 10;
        number = queue_after(&queue, number, rate, .2, 5, &served);
        came += 5 * rate;
        left += 5 * served;
        assert_true(number >= 0);
    }
    assert_near(came - left, number, 1e-6 * came);
}

static void more_load_never_waits_less(void **state) {
    (void)state;
    static struct queue queue;
    for (int slots = 1; slots < 40; slots += 6) {
        queue_begin(&queue, slots, .1, .6);
        double before = -1;
        for (double number = 0; number < 500; number += .37) {
            struct queue_wait wait = queue_wait(&queue, number, .1);
            double longer = queue_longer(&wait, .1);
            assert_true(longer >= before - 1e-9 && longer <= 1 + 1e-9);
            before = longer;
        }
    }
}

static void a_backlog_is_waited_for_in_order(void **state) {
    (void)state;
    static struct queue queue;
    queue_begin(&queue, 4, .1, 1);
    struct queue_wait wait = queue_wait(&queue, 4000, .1); /* 40 a second: 100 s of work */
    assert_near(wait.delay, 100, 3);
    assert_true(queue_longer(&wait, 90) == 1);
    assert_true(queue_longer(&wait, 120) < .05);
}

static void percentiles_are_those_of_the_distribution(void **state) {
    (void)state;
    struct waits waits = {0};
    struct queue_wait wait = {.chance = .4, .drop = 12};
    waits_add(&waits, &wait, 1000);
    assert_near(waits_value(&waits, RULE_P95), 1000 * log(.4 / .05) / 12, 2);
    assert_near(waits_value(&waits, RULE_P99), 1000 * log(.4 / .01) / 12, 3);
    assert_near(waits_value(&waits, RULE_P50), 0, 0);
    assert_near(waits_value(&waits, RULE_MEAN), 1000 * .4 / 12, .01);
    assert_near(waits_above(&waits, 100), 1000 * .4 * exp(-1.2), 1);
    struct waits none = {0};
    assert_near(waits_value(&none, RULE_P95), -1, 0);
}

/* ---- A past --------------------------------------------------------------------------------- */

static struct history_minute minutes[MOST];

static double daily(int minute) { return 60 + 50 * sin(6.2831853 * (minute - 480) / DAY); }

/* What a number of dynos with so many slots would have shown, at rates of `daily` times `peak`. */
static struct history past(int count, int dynos, int slots, double service_s, double peak) {
    static struct queue queue;
    struct history history = {.from_s = FROM_S,
                              .count = count,
                              .minutes = minutes,
                              .slow_ms = 100,
                              .slow_per_mille = 50,
                              .boot_s = 30,
                              .first_dynos = dynos};
    queue_begin(&queue, slots, service_s, .8);
    memset(minutes, 0, sizeof minutes);
    for (int i = 0; i < count; i++) {
        struct history_minute *minute = &minutes[i];
        double rate = daily(i) * peak, used = rate / dynos * service_s / slots;
        struct queue_wait wait = queue_stationary(&queue, used, service_s);
        minute->known = true;
        minute->requests = 60 * rate;
        minute->wait_s = minute->requests * queue_mean_wait(&wait);
        for (int j = 0; j < HISTORY_SLOW; j++)
            minute->above[j] =
                floor(minute->requests * queue_longer(&wait, history_marks_ms[j] / 1000.));
        minute->above[HISTORY_SLOW] = floor(minute->requests * queue_longer(&wait, .1));
        minute->busy_s = minute->requests * service_s;
        minute->ordered = minute->up = dynos;
    }
    return history;
}

static struct rule_process process_of(struct rule *rules, int count) {
    return (struct rule_process){
        .name = "web", .scaling = true, .rule_count = count, .rules = rules};
}

static struct rule rule_of(enum rule_method method, int min, int max) {
    struct rule rule;
    rule_defaults(&rule);
    rule.method = method;
    rule.min = min;
    rule.max = max;
    return rule;
}

struct result {
    struct trial trial;
    struct totals totals;
};

static struct trial_minute tried[2][MOST];

static struct result run_process(const struct history *history, const struct capacity *capacity,
                                 const struct rule_process *process, int place) {
    struct result result = {.trial = {.history = history,
                                      .capacity = capacity,
                                      .process = process,
                                      .zone = zone_find("UTC"),
                                      .tick_s = 10,
                                      .minutes = tried[place]}};
    struct check check = {0};
    assert_true(trial_run(&result.trial));
    estimate_totals(&result.trial, &check, &result.totals);
    return result;
}

static struct result run(const struct history *history, const struct capacity *capacity,
                         struct rule rule, int place) {
    struct rule_process process = process_of(&rule, 1);
    return run_process(history, capacity, &process, place);
}

/* ---- The fit -------------------------------------------------------------------------------- */

/* Whether the two say the same of the share of slow requests at a load of a dyno. */
static void assert_fits(const struct capacity *capacity, int slots, double service_s) {
    static struct queue right, found;
    queue_begin(&right, slots, service_s, .8);
    queue_begin(&found, capacity->slots, capacity->service_s, capacity->smooth);
    for (double used = .4; used < .8; used += .1) {
        struct queue_wait one = queue_stationary(&right, used, service_s);
        double rate = used * slots / service_s;
        struct queue_wait other = queue_stationary(
            &found, rate * capacity->service_s / capacity->slots, capacity->service_s);
        double share = queue_longer(&one, .1);
        assert_near(queue_longer(&other, .1), share, .01 + .25 * share);
    }
}

static void what_a_dyno_takes_is_found_with_and_without_busy_time(void **state) {
    (void)state;
    struct capacity capacity;
    struct history history = past(2 * DAY, 5, 4, .15, 1);
    history.slots = 4;
    capacity_fit(&capacity, &history);
    assert_true(capacity.any && capacity.learned && capacity.busy_known);
    assert_int_equal(capacity.slots, 4);
    assert_fits(&capacity, 4, .15);
    for (int i = 0; i < history.count; i++) minutes[i].busy_s = -1;
    history.slots = 0;
    capacity_fit(&capacity, &history);
    assert_true(capacity.any && capacity.learned && !capacity.busy_known);
    assert_fits(&capacity, 4, .15);
}

static enum sureness sureness_of(const struct history *history, const struct capacity *capacity) {
    struct estimated all = {.history = history, .capacity = capacity};
    return estimate_sureness(&all);
}

static void where_nothing_ever_waited_it_says_so(void **state) {
    (void)state;
    struct capacity capacity;
    struct history history = past(DAY, 40, 4, .15, 1);
    capacity_fit(&capacity, &history);
    assert_true(capacity.any);
    assert_false(capacity.learned);
    assert_int_equal(sureness_of(&history, &capacity), SURENESS_POOR);
}

static void where_no_number_of_dynos_is_known_it_says_so(void **state) {
    (void)state;
    struct capacity capacity;
    struct history history = past(DAY, 5, 4, .15, 1);
    for (int i = 0; i < history.count; i++) minutes[i].ordered = minutes[i].up = -1;
    capacity_fit(&capacity, &history);
    assert_false(capacity.any);
    assert_int_equal(sureness_of(&history, &capacity), SURENESS_NONE);
    struct actual actual;
    estimate_actual(&history, &actual);
    assert_near(actual.dyno_hours, -1, 0);
}

static void an_empty_past_is_no_trouble(void **state) {
    (void)state;
    struct capacity capacity;
    struct history history = past(DAY, 5, 4, .15, 1);
    memset(minutes, 0, sizeof minutes);
    for (int i = 0; i < history.count; i++)
        minutes[i].ordered = minutes[i].up = minutes[i].busy_s = -1;
    history.first_dynos = 0;
    capacity_fit(&capacity, &history);
    struct result result = run(&history, &capacity, rule_of(RULE_AUTOMATIC, 1, 5), 0);
    assert_near(result.totals.slow_minutes.value, 0, 0);
    assert_near(result.totals.dyno_hours.value, 0, 0);
}

/* ---- The run -------------------------------------------------------------------------------- */

static void a_fixed_number_costs_its_hours_and_more_of_it_is_never_slower(void **state) {
    (void)state;
    struct capacity capacity;
    struct history history = past(DAY, 5, 4, .15, 1);
    capacity_fit(&capacity, &history);
    double before = HUGE_VAL;
    for (int dynos = 1; dynos <= 12; dynos++) {
        struct result result = run(&history, &capacity, rule_of(RULE_STEPS, dynos, dynos), 0);
        assert_near(result.totals.dyno_hours.value, 24. * dynos, 1e-6);
        assert_true(result.totals.slow_minutes.value <= before);
        before = result.totals.slow_minutes.value;
    }
    assert_near(before, 0, 0);
}

static void a_larger_minimum_is_never_slower_and_never_cheaper(void **state) {
    (void)state;
    struct capacity capacity;
    for (int method = 0; method < 2; method++) {
        struct history history = past(DAY, 5, 4, .15, 1);
        capacity_fit(&capacity, &history);
        double slow = HUGE_VAL, hours = 0;
        for (int min = 1; min <= 11; min += 2) {
            struct rule rule = rule_of((enum rule_method)method, min, 20);
            struct result result = run(&history, &capacity, rule, 0);
            assert_true(result.totals.slow_minutes.value <= slow);
            assert_true(result.totals.dyno_hours.value >= hours * .99);
            slow = result.totals.slow_minutes.value;
            hours = result.totals.dyno_hours.value;
        }
    }
}

static void the_same_rules_give_the_same_to_the_bit(void **state) {
    (void)state;
    struct capacity capacity;
    for (int method = 0; method < 2; method++) {
        struct history history = past(DAY / 2, 5, 4, .15, 1);
        capacity_fit(&capacity, &history);
        struct rule rule = rule_of((enum rule_method)method, 2, 20);
        struct result one = run(&history, &capacity, rule, 0);
        struct result other = run(&history, &capacity, rule, 1);
        assert_int_equal(one.trial.scalings, other.trial.scalings);
        for (int i = 0; i < history.count; i++) {
            assert_true(tried[0][i].ordered == tried[1][i].ordered);
            assert_true(tried[0][i].p95_ms == tried[1][i].p95_ms);
        }
    }
}

static void it_stays_within_the_range_and_the_value_within_its_bounds(void **state) {
    (void)state;
    struct capacity capacity;
    uint64_t random = 11;
    struct history history = past(DAY / 4, 5, 4, .15, 1);
    capacity_fit(&capacity, &history);
    for (int i = 0; i < 30; i++) {
        int min = 1 + (int)random_below(&random, 6), max = min + (int)random_below(&random, 6);
        struct rule rule = rule_of((enum rule_method)random_below(&random, 2), min, max);
        rule.up.wait_s = 10 + (int)random_below(&random, 300);
        rule.down.wait_s = 10 + (int)random_below(&random, 600);
        rule.window_s = 10 + (int)random_below(&random, 590);
        rule.statistic = (enum rule_statistic)random_below(&random, 6);
        struct result result = run(&history, &capacity, rule, 0);
        for (int j = 1; j < history.count; j++)
            assert_true(tried[0][j].ordered >= min && tried[0][j].ordered <= max);
        const struct estimate *const all[] = {&result.totals.dyno_hours,
                                              &result.totals.slow_minutes, &result.totals.scalings};
        for (int j = 0; j < 3; j++)
            assert_true(all[j]->low <= all[j]->value && all[j]->value <= all[j]->high);
        assert_true(result.trial.most <= max);
    }
}

static void a_rule_of_some_hours_counts_in_them(void **state) {
    (void)state;
    struct capacity capacity;
    struct history history = past(DAY, 5, 4, .15, .2);
    capacity_fit(&capacity, &history);
    struct rule rules[2] = {rule_of(RULE_STEPS, 9, 9), rule_of(RULE_STEPS, 3, 3)};
    rules[0].always = false;
    rules[0].from_minute = 600;
    rules[0].to_minute = 720;
    struct rule_process process = process_of(rules, 2);
    struct result result = run_process(&history, &capacity, &process, 0);
    assert_near(tried[0][599].ordered, 3, 0);
    assert_near(tried[0][610].ordered, 9, 0);
    assert_near(tried[0][719].ordered, 9, 1);
    assert_near(tried[0][730].ordered, 3, 0);
    assert_near(result.totals.dyno_hours.value, 22 * 3 + 2 * 9, .1);
    assert_int_equal(result.trial.scalings, 2);
}

static void minutes_without_reports_remove_no_dyno_and_are_not_counted(void **state) {
    (void)state;
    struct capacity capacity;
    struct history history = past(DAY / 2, 8, 4, .15, 1);
    capacity_fit(&capacity, &history);
    for (int i = 300; i < 420; i++)
        minutes[i] = (struct history_minute){.p95_ms = -1, .busy_s = -1, .ordered = -1, .up = -1};
    for (int method = 0; method < 2; method++) {
        struct result result =
            run(&history, &capacity, rule_of((enum rule_method)method, 1, 20), 0);
        for (int i = 302; i < 420; i++) {
            assert_true(tried[0][i].ordered >= tried[0][301].ordered);
            assert_false(tried[0][i].known || tried[0][i].slow);
            assert_near(tried[0][i].p95_ms, -1, 0);
        }
        assert_true(result.totals.dyno_hours.value < 20. * 10);
    }
}

static void a_restart_of_all_dynos_is_slow_and_over_when_they_are_up(void **state) {
    (void)state;
    struct capacity capacity;
    struct history history = past(240, 8, 4, .15, 1);
    capacity_fit(&capacity, &history);
    minutes[100].restart = minutes[100].releasing = true;
    run(&history, &capacity, rule_of(RULE_STEPS, 12, 12), 0);
    assert_false(tried[0][99].slow);
    assert_true(tried[0][100].slow && tried[0][100].up < 12);
    assert_false(tried[0][105].slow);
    assert_near(tried[0][105].up, 12, 0);
}

static void switched_off_the_dynos_are_those_that_ran(void **state) {
    (void)state;
    struct capacity capacity;
    struct history history = past(240, 5, 4, .15, 1);
    capacity_fit(&capacity, &history);
    for (int i = 120; i < 240; i++) minutes[i].ordered = minutes[i].up = 7;
    struct rule rule = rule_of(RULE_STEPS, 1, 2);
    struct rule_process process = process_of(&rule, 1);
    process.scaling = false;
    struct result result = run_process(&history, &capacity, &process, 0);
    assert_near(result.totals.dyno_hours.value, 2 * 5 + 2 * 7, 1e-6);
    assert_int_equal(result.trial.scalings, 0);
}

static bool stop_at_half(void *context, double done) {
    *(double *)context = done;
    return done < .5;
}

static void it_tells_how_far_it_is_and_stops_when_told(void **state) {
    (void)state;
    struct capacity capacity;
    struct history history = past(DAY, 5, 4, .15, 1);
    capacity_fit(&capacity, &history);
    struct rule rule = rule_of(RULE_STEPS, 1, 9);
    struct rule_process process = process_of(&rule, 1);
    double done = 0;
    struct trial trial = {.history = &history,
                          .capacity = &capacity,
                          .process = &process,
                          .zone = zone_find("UTC"),
                          .tick_s = 10,
                          .progress = stop_at_half,
                          .context = &done,
                          .minutes = tried[0]};
    assert_false(trial_run(&trial));
    assert_near(done, .5, .05);
}

/* ---- Jobs ----------------------------------------------------------------------------------- */

static void chance_has_the_means_that_it_is_asked_for(void **state) {
    (void)state;
    static const double means[] = {.3, 5, 200};
    for (int i = 0; i < 3; i++) {
        double came = 0, remained = 0;
        for (int j = 0; j < 4000; j++) {
            came += chance_poisson(means[i], FROM_S + j, 3);
            double of_200 = chance_binomial(200, means[i] / 400, FROM_S + j, 5);
            assert_true(of_200 >= 0 && of_200 <= 200 && of_200 == floor(of_200));
            remained += of_200;
        }
        assert_near(came / 4000, means[i], .05 * means[i] + .01);
        assert_near(remained / 4000, means[i] / 2, .05 * means[i] + .01);
    }
}

static void no_job_is_made_or_lost_and_the_oldest_is_the_first_that_came(void **state) {
    (void)state;
    struct jobs_queue queue;
    uint64_t random = 5;
    double came = 0, late = 0;
    assert_true(jobs_queue_begin(&queue, 4, 30, 100));
    for (int i = 0; i < 1200; i++) {
        double more = (double)random_below(&random, 40), begun = queue.begun;
        double slots = i % 200 < 20 ? 0 : (double)random_below(&random, 40);
        late += jobs_queue_pass(&queue, FROM_S + 5 * i, slots, more);
        came += more;
        assert_near(queue.begun + queue.waiting, came, 1e-6);
        assert_true(queue.begun >= begun && queue.working <= slots);
        assert_true(queue.oldest_s >= 0 && queue.oldest_s <= 5 * (i + 1));
        assert_true((queue.waiting < .5) == (queue.oldest_s <= 0));
    }
    assert_true(late > 0 && late <= queue.begun);
    jobs_queue_end(&queue);
}

static void jobs_that_wait_for_a_worker_wait_as_long_as_it_takes(void **state) {
    (void)state;
    struct jobs_queue queue;
    assert_true(jobs_queue_begin(&queue, 1, 30, 10));
    jobs_queue_pass(&queue, FROM_S, 0, 10);
    for (int i = 1; i < 8; i++) jobs_queue_pass(&queue, FROM_S + 5 * i, 0, 0);
    assert_near(queue.oldest_s, 40, 1e-9); /* they came evenly in the first step */
    assert_near(jobs_queue_pass(&queue, FROM_S + 40, 100, 0), 10, 1e-9); /* all of them late */
    assert_near(queue.oldest_s, 0, 0);
    jobs_queue_end(&queue);
}

static void a_worker_that_goes_gives_back_jobs_that_take_long(void **state) {
    (void)state;
    struct jobs_queue queue;
    assert_true(jobs_queue_begin(&queue, 3600, 30, 10));
    jobs_queue_pass(&queue, FROM_S, 10, 10);
    double begun = queue.begun;
    jobs_queue_pass(&queue, FROM_S + 5, 4, 0);
    assert_true(queue.again >= 4 && queue.again <= 6);
    assert_near(queue.begun, begun, 1e-9); /* they began once */
    jobs_queue_end(&queue);
}

enum { JOBS_MOST = 4000 };
static struct jobs_seen seen[MOST];

struct made {
    double ends_s[JOBS_MOST]; /* of jobs that are worked on */
    double came_s[JOBS_MOST]; /* of those that wait, the first first */
    int working, waiting, came, begun;
};

static void make_second(struct made *made, int64_t now_s, double rate, int slots, double job_s) {
    int left = 0;
    for (int i = 0; i < made->working; i++)
        if (made->ends_s[i] > (double)now_s) made->ends_s[left++] = made->ends_s[i];
    made->working = left;
    int more = (int)chance_poisson(rate, now_s, 60);
    for (int i = 0; i < more && made->waiting < JOBS_MOST; i++, made->came++)
        made->came_s[made->waiting++] = (double)now_s;
    int begin = slots - made->working < made->waiting ? slots - made->working : made->waiting;
    for (int i = 0; i < begin; i++, made->begun++)
        made->ends_s[made->working++] =
            (double)now_s - job_s * log(chance_uniform(now_s, 100 + (uint64_t)i));
    if (begin <= 0) return;
    made->waiting -= begin;
    memmove(made->came_s, made->came_s + begin, (size_t)made->waiting * sizeof *made->came_s);
}

/* Jobs that are exact, on so many workers of 4 slots, of 3 s each, as ticks would have told of
 * them: more than they can do in the middle of each hour. `all_came`: of each minute. */
static struct history jobs_past_of(int count, int workers, double peak, struct jobs_past *known,
                                   double *all_came) {
    static struct made made;
    struct history history = {.jobs = true,
                              .from_s = FROM_S,
                              .count = count,
                              .minutes = minutes,
                              .slow_ms = 30000,
                              .slow_per_mille = 50,
                              .boot_s = 30,
                              .first_dynos = workers};
    struct jobs_reading readings[JOBS_READINGS];
    size_t read = 0;
    memset(minutes, 0, sizeof minutes);
    memset(seen, 0, sizeof seen);
    memset(&made, 0, sizeof made);
    *known = (struct jobs_past){.history = &history, .seen = seen};
    for (int64_t second = 0; second < 60 * (int64_t)count; second++) {
        int minute = (int)(second / 60), came = made.came;
        minutes[minute].ordered = minutes[minute].up = workers;
        double rate = peak * (minute % 60 < 20 ? .3 : minute % 60 < 35 ? 1.15 : .6);
        make_second(&made, FROM_S + second, rate, 4 * workers, 3);
        if (all_came) all_came[minute] += made.came - came;
        if (second % 10 != 9) continue;
        int64_t oldest_ms = made.waiting ? (FROM_S + second - (int64_t)made.came_s[0]) * 1000 : 0;
        if (read == 12) memmove(readings, readings + 1, --read * sizeof *readings);
        readings[read++] = (struct jobs_reading){FROM_S + second, made.waiting, oldest_ms};
        struct jobs_flow flow = jobs_flow(readings, read);
        struct situation now;
        situation_clear(&now);
        now.now = FROM_S + second;
        now.tick_s = 10;
        now.jobs = 1;
        now.heard_age = 1;
        now.value_ms = now.oldest_ms = oldest_ms;
        now.oldest_apart_s = 10;
        now.jobs_waiting = made.waiting;
        now.jobs_running = made.working;
        now.jobs_start = flow.start;
        now.ordered = now.up = workers;
        jobs_past_tick(known, &now);
    }
    return history;
}

static void what_a_worker_does_and_how_many_jobs_came_is_found(void **state) {
    (void)state;
    static double came[MOST];
    struct capacity capacity;
    struct jobs_past known;
    memset(came, 0, sizeof came);
    struct history history = jobs_past_of(DAY / 2, 3, 4, &known, came);
    known.history = &history;
    assert_true(jobs_past_end(&known, &capacity));
    assert_int_equal(capacity.slots, 4);
    assert_true(capacity.learned);
    assert_near(capacity.service_s, 3.5, .3); /* a slot is free from the next whole second on */
    double all = 0, found = 0, begun = 0;
    for (int i = 0; i < history.count; i++) {
        all += came[i];
        found += minutes[i].came;
        begun += minutes[i].requests;
    }
    assert_near(found, all, .05 * all);
    assert_near(begun, found, .02 * all);
    for (int hour = 0; hour < 12; hour++) {
        double in_hour = 0, found_in_hour = 0;
        for (int i = 60 * hour; i < 60 * (hour + 1); i++) {
            in_hour += came[i];
            found_in_hour += minutes[i].came;
        }
        assert_near(found_in_hour, in_hour, .1 * in_hour);
    }
}

static void where_no_number_of_jobs_at_work_is_known_it_says_so(void **state) {
    (void)state;
    struct capacity capacity;
    struct history history = {.jobs = true, .from_s = FROM_S, .count = 2, .minutes = minutes};
    struct jobs_past known = {.history = &history, .seen = seen};
    struct situation now;
    memset(seen, 0, sizeof seen);
    situation_clear(&now);
    now.heard_age = 1;
    now.value_ms = now.oldest_ms = 5000;
    now.jobs_waiting = 3;
    now.ordered = now.up = 1;
    for (now.now = FROM_S; now.now < FROM_S + 120; now.now += 10) jobs_past_tick(&known, &now);
    assert_true(known.heard);
    assert_false(jobs_past_end(&known, &capacity));
}

static struct history known_jobs(int count, int workers, double peak, struct capacity *capacity) {
    struct jobs_past known;
    struct history history = jobs_past_of(count, workers, peak, &known, NULL);
    known.history = &history;
    assert_true(jobs_past_end(&known, capacity));
    return history;
}

static void more_workers_begin_no_job_later_and_cost_their_hours(void **state) {
    (void)state;
    struct capacity capacity;
    struct history history = known_jobs(DAY / 2, 3, 4, &capacity);
    double before = HUGE_VAL;
    for (int workers = 1; workers <= 7; workers++) {
        struct result result = run(&history, &capacity, rule_of(RULE_STEPS, workers, workers), 0);
        assert_near(result.totals.dyno_hours.value, 12. * workers, .2);
        assert_true(result.totals.late_jobs.value <= before);
        before = result.totals.late_jobs.value;
    }
    assert_near(before, 0, 0);
}

static void jobs_of_each_method_begin_and_are_the_same_to_the_bit(void **state) {
    (void)state;
    struct capacity capacity;
    struct history history = known_jobs(DAY / 2, 3, 4, &capacity);
    double came = 0;
    for (int i = 0; i < history.count; i++) came += minutes[i].came;
    for (int method = 0; method < 2; method++) {
        struct rule rule = rule_of((enum rule_method)method, method ? 0 : 1, 20);
        if (method) rule.goal_ms = 30000;
        struct result one = run(&history, &capacity, rule, 0);
        struct result other = run(&history, &capacity, rule, 1);
        assert_int_equal(one.trial.scalings, other.trial.scalings);
        assert_memory_equal(tried[0], tried[1], (size_t)history.count * sizeof **tried);
        double begun = 0;
        for (int i = 0; i < history.count; i++) begun += tried[0][i].requests;
        assert_near(begun, came, .03 * came);
        assert_true(one.totals.late_jobs.low <= one.totals.late_jobs.value &&
                    one.totals.late_jobs.value <= one.totals.late_jobs.high);
        assert_true(one.trial.scalings > 0 && one.trial.most <= 20);
    }
}

static void without_jobs_the_automatic_method_goes_down_to_none(void **state) {
    (void)state;
    struct capacity capacity;
    struct history history = known_jobs(240, 3, 4, &capacity);
    for (int i = 120; i < 240; i++) minutes[i].came = 0;
    struct rule rule = rule_of(RULE_AUTOMATIC, 0, 20);
    rule.goal_ms = 30000;
    run(&history, &capacity, rule, 0);
    assert_true(tried[0][100].ordered > 0);
    assert_near(tried[0][239].ordered, 0, 0);
}

static void minutes_in_which_no_queue_was_read_are_not_counted(void **state) {
    (void)state;
    struct capacity capacity;
    struct history history = known_jobs(240, 3, 4, &capacity);
    for (int i = 100; i < 160; i++) minutes[i] = (struct history_minute){.ordered = -1, .up = -1};
    struct result result = run(&history, &capacity, rule_of(RULE_STEPS, 3, 3), 0);
    for (int i = 100; i < 160; i++) assert_false(tried[0][i].known || tried[0][i].slow);
    assert_near(result.totals.dyno_hours.value, 9, .1);
}

/* ---- Words ---------------------------------------------------------------------------------- */

static void count_sentence(void *context, const char *sentence) {
    assert_true(strlen(sentence) > 20 && sentence[strlen(sentence) - 1] == '.');
    ++*(int *)context;
}

/* Points into what it is given. */
static struct estimated estimated_of(struct history *history, struct capacity *capacity,
                                     struct result *before, struct result *after) {
    struct estimated all = {.history = history,
                            .capacity = capacity,
                            .in_force = &before->trial,
                            .proposed = &after->trial,
                            .in_force_totals = before->totals,
                            .proposed_totals = after->totals};
    estimate_actual(history, &all.actual);
    return all;
}

static void the_verdict_compares_and_the_sentences_end(void **state) {
    (void)state;
    struct capacity capacity;
    struct history history = past(DAY, 5, 4, .15, 1);
    capacity_fit(&capacity, &history);
    struct result before = run(&history, &capacity, rule_of(RULE_STEPS, 4, 4), 0);
    struct result after = run(&history, &capacity, rule_of(RULE_STEPS, 8, 8), 1);
    struct estimated all = estimated_of(&history, &capacity, &before, &after);
    struct text text = TEXT_EMPTY;
    estimate_verdict(&all, &text);
    assert_non_null(strstr(text.bytes, "100 % more dyno-hours (96 → 192)"));
    assert_non_null(strstr(text.bytes, "fewer slow minutes"));
    text_free(&text);
    int count = 0;
    estimate_sentences(&all, count_sentence, &count);
    assert_true(count >= 3);
}

static void of_workers_it_speaks_of_workers_and_jobs(void **state) {
    (void)state;
    struct capacity capacity;
    struct history history = known_jobs(240, 3, 4, &capacity);
    struct result before = run(&history, &capacity, rule_of(RULE_STEPS, 3, 3), 0);
    struct result after = run(&history, &capacity, rule_of(RULE_STEPS, 9, 9), 1);
    struct estimated all = estimated_of(&history, &capacity, &before, &after);
    struct text text = TEXT_EMPTY;
    estimate_verdict(&all, &text);
    assert_non_null(strstr(text.bytes, "24 more worker-hours (12 → 36)"));
    assert_non_null(strstr(text.bytes, "late minutes"));
    text_free(&text);
    int count = 0;
    estimate_sentences(&all, count_sentence, &count);
    assert_true(count >= 3);
    assert_int_equal(estimate_sureness(&all), SURENESS_FAIR);
    all.other_queues = true;
    assert_int_equal(estimate_sureness(&all), SURENESS_POOR);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chance_to_wait_is_erlangs),
        cmocka_unit_test(a_queue_left_alone_becomes_the_stationary_one),
        cmocka_unit_test(no_request_is_made_or_lost),
        cmocka_unit_test(more_load_never_waits_less),
        cmocka_unit_test(a_backlog_is_waited_for_in_order),
        cmocka_unit_test(percentiles_are_those_of_the_distribution),
        cmocka_unit_test(what_a_dyno_takes_is_found_with_and_without_busy_time),
        cmocka_unit_test(where_nothing_ever_waited_it_says_so),
        cmocka_unit_test(where_no_number_of_dynos_is_known_it_says_so),
        cmocka_unit_test(an_empty_past_is_no_trouble),
        cmocka_unit_test(a_fixed_number_costs_its_hours_and_more_of_it_is_never_slower),
        cmocka_unit_test(a_larger_minimum_is_never_slower_and_never_cheaper),
        cmocka_unit_test(the_same_rules_give_the_same_to_the_bit),
        cmocka_unit_test(it_stays_within_the_range_and_the_value_within_its_bounds),
        cmocka_unit_test(a_rule_of_some_hours_counts_in_them),
        cmocka_unit_test(minutes_without_reports_remove_no_dyno_and_are_not_counted),
        cmocka_unit_test(a_restart_of_all_dynos_is_slow_and_over_when_they_are_up),
        cmocka_unit_test(switched_off_the_dynos_are_those_that_ran),
        cmocka_unit_test(it_tells_how_far_it_is_and_stops_when_told),
        cmocka_unit_test(the_verdict_compares_and_the_sentences_end),
        cmocka_unit_test(chance_has_the_means_that_it_is_asked_for),
        cmocka_unit_test(no_job_is_made_or_lost_and_the_oldest_is_the_first_that_came),
        cmocka_unit_test(jobs_that_wait_for_a_worker_wait_as_long_as_it_takes),
        cmocka_unit_test(a_worker_that_goes_gives_back_jobs_that_take_long),
        cmocka_unit_test(what_a_worker_does_and_how_many_jobs_came_is_found),
        cmocka_unit_test(where_no_number_of_jobs_at_work_is_known_it_says_so),
        cmocka_unit_test(more_workers_begin_no_job_later_and_cost_their_hours),
        cmocka_unit_test(jobs_of_each_method_begin_and_are_the_same_to_the_bit),
        cmocka_unit_test(without_jobs_the_automatic_method_goes_down_to_none),
        cmocka_unit_test(minutes_in_which_no_queue_was_read_are_not_counted),
        cmocka_unit_test(of_workers_it_speaks_of_workers_and_jobs),
    };
    return cmocka_run_group_tests_name("trial", tests, NULL, NULL);
}
