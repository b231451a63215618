/*
 * What one dyno can carry. Its load is its requests per second times their mean service time. The
 * share of slow requests is goal (load / capacity)^exponent. Both parameters are learned by Poisson
 * regression, from 30 s at a time.
 */
#include "decide/automatic/automatic.h"
#include "decide/automatic/number.h"
#include "decide/view.h"

static const double exponents[LEARNED_EXPONENTS] = {2, 3, 4, 5, 6, 8, 10, 13};
/* Slow requests come in clusters: their count varies eight times as much as that of independent
 * events. */
static const double CLUSTERING = 8;
static const double USUAL_EXPONENT = 4,
                    EXPONENT_DOUBT = .6; /* the prior and its standard deviation */
static const double MEMORY_HALF_LIFE_S = 7200, FRESH_HALF_LIFE_S = 120;
enum { LEARN_S = 30 };

static int64_t age_of(const struct moment *moment, int64_t at) {
    return at == 0 ? INT64_MAX / 2 : moment->now - at;
}

double capacity_share(const struct learned *learned, const struct moment *moment, double load) {
    return moment->goal * number_power(load / learned->capacity, learned->exponent);
}

/* For a given exponent the best capacity follows from two sums; exponents are weighted by their
 * likelihood. One weak observation, that the current load just meets the goal, keeps the capacity
 * from running far beyond the loads seen so far. */
static void fit(struct learned *learned, double goal, double load) {
    double doubtful = .5, at = number_log(load);
    double slow = learned->slow + doubtful, slow_log = learned->slow_log_load + doubtful * at;
    double weight[LEARNED_EXPONENTS], log_capacity[LEARNED_EXPONENTS], best = -1e300;
    for (int i = 0; i < LEARNED_EXPONENTS; i++) {
        double sum = learned->power[i] + doubtful / goal * number_exp(exponents[i] * at);
        double surprise = (exponents[i] - USUAL_EXPONENT) / EXPONENT_DOUBT;
        weight[i] = exponents[i] * slow_log - slow * number_log(sum) - surprise * surprise / 2;
        log_capacity[i] = number_log(goal * sum / slow) / exponents[i];
        best = number_larger(best, weight[i]);
    }
    double total = 0, exponent = 0, capacity = 0;
    for (int i = 0; i < LEARNED_EXPONENTS; i++) {
        double w = number_exp(weight[i] - best);
        total += w;
        exponent += w * exponents[i];
        capacity += w * log_capacity[i];
    }
    learned->exponent = exponent / total;
    learned->capacity = number_exp(capacity / total);
}

/* With another goal everything must be learned again, except the traffic. */
static void forget_if_goal_changed(struct learned *learned, const struct rule *rule) {
    if (learned->goal_ms == rule->goal_ms) return;
    learned->goal_ms = rule->goal_ms;
    learned->windows = 0;
    learned->slow = learned->slow_log_load = 0;
    learned->recent_slow = learned->recent_expected = 0;
    for (int i = 0; i < LEARNED_EXPONENTS; i++) learned->power[i] = 0;
}

/* Learns only from normal operation: no restart, about as many dynos up as before, no backlog. */
void capacity_learn(struct learned *learned, const struct view *view, const struct moment *moment) {
    const struct situation *now = &view->now;
    forget_if_goal_changed(learned, view->rule);
    int ticks = moment->tick_s < LEARN_S ? LEARN_S / moment->tick_s : 1;
    if (learned->ticks % ticks != 0 || !now->learn_steady) return;
    if (age_of(moment, learned->restart_at) <= AUTOMATIC_SETTLED_S) return;
    if (now->learn_requests <= 0 || now->learn_dyno_s <= 0) return;
    double requests = (double)now->learn_requests, slow = (double)now->learn_slow;
    double rate = requests / (double)now->learn_dyno_s, load = rate * moment->service;
    if (slow > .8 * requests)
        learned->flat_out = learned->flat_out > 0 ? .7 * learned->flat_out + .3 * rate : rate;
    if (now->learn_wait_ms >= 1000 * now->learn_requests) return; /* a backlog, not a load */
    double keep = automatic_fading(LEARN_S, MEMORY_HALF_LIFE_S);
    double log_load = number_log(load);
    for (int i = 0; i < LEARNED_EXPONENTS; i++)
        learned->power[i] =
            learned->power[i] * keep + requests / CLUSTERING * number_exp(exponents[i] * log_load);
    learned->slow = learned->slow * keep + slow / CLUSTERING;
    learned->slow_log_load = learned->slow_log_load * keep + slow / CLUSTERING * log_load;
    learned->windows++;
    fit(learned, moment->goal, load);
}

double capacity_correction(struct learned *learned, const struct moment *moment) {
    double keep = automatic_fading(moment->tick_s, FRESH_HALF_LIFE_S);
    learned->recent_slow *= keep;
    learned->recent_expected *= keep;
    bool usable = moment->wait < .3 && moment->last_requests > AUTOMATIC_FEW &&
                  age_of(moment, learned->restart_at) > AUTOMATIC_SETTLED_S;
    if (usable) {
        double share = number_smaller(capacity_share(learned, moment, moment->load), .9);
        learned->recent_slow += moment->last_slow / CLUSTERING;
        learned->recent_expected += moment->last_requests / CLUSTERING * share;
    }
    double times = (learned->recent_slow + 1) / (learned->recent_expected + 1);
    return number_within(times, 1, 20);
}
