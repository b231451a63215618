#include "decide/automatic/automatic.h"

#include "decide/automatic/number.h"
#include "decide/view.h"

double automatic_fading(double seconds, double half_life) {
    return number_power(.5, seconds / half_life);
}

/* How many dyno-minutes a slow minute is worth. */
static double price_of(enum rule_care care) {
    return care == RULE_LEAN ? 7 : care == RULE_STRICT ? 60 : 20;
}

static int64_t thousandths(double x) { return (int64_t)number_within(x * 1000 + .5, 0, 1e15); }

/* Whoever divides the traffic by the capacity may ask why so many dynos, or so few. The answer is
 * the price: the share of minutes that would be slow with another number. */
static void answer(const struct learned *learned, const struct moment *moment,
                   struct advice *advice) {
    int need = advice->need, ordered = moment->ordered;
    double per_dyno = number_larger((double)advice->capacity, 1);
    double by_traffic = (double)advice->high / per_dyno;
    advice->worth = (int)moment->price;
    if (!learned->has_outcomes || advice->why != ADVICE_TRAFFIC) return;
    if (need >= ordered && need - 1 >= by_traffic) advice->asked = need - 1;
    if (need < by_traffic) advice->asked = need;
    if (advice->asked <= 0) return;
    double chance = price_chance(learned, moment, advice->asked);
    advice->asked_slow_per_cent = (int64_t)number_within(100 * chance + .5, 1, 100);
}

/* Describes the traffic that `dynos` can take if one takes `capacity`. */
static void describe(const struct view *view, const struct moment *moment, struct advice *advice) {
    const struct learned *learned = &view->memory->learned;
    double high = learned->has_outcomes ? learned->high_outcome : 1;
    double easier = number_power(moment->corrected, 1 / learned->exponent);
    double capacity = learned->capacity / easier / moment->service;
    advice->judged = learned->has_outcomes;
    advice->traffic = thousandths(moment->traffic);
    advice->high = thousandths(number_larger(moment->expected * high, moment->traffic));
    advice->boot_s = (int64_t)(moment->boot + .5);
    advice->capacity = thousandths(capacity);
    advice->enough = thousandths(capacity * moment->ordered);
    advice->wait_ms = thousandths(moment->wait);
    advice->slow_per_mille = thousandths(moment->slow_share);
    double paid = learned->surplus / (AUTOMATIC_PATIENCE * moment->boot);
    advice->surplus_per_cent = (int64_t)number_within(paid * 100, 0, 100);
    if (learned->surplus_since) advice->surplus_s = moment->now - learned->surplus_since;
    answer(learned, moment, advice);
}

static int smaller(int one, int other) { return one < other ? one : other; }
static int larger(int one, int other) { return one > other ? one : other; }

static int needed(struct view *view, struct moment *moment, struct advice *advice) {
    struct learned *learned = &view->memory->learned;
    moment->expected = outlook_expect(learned, moment);
    moment->corrected = capacity_correction(learned, moment);
    int need = price_dynos(learned, moment, moment->service, moment->corrected);
    need = backlog_need(learned, moment, need, advice);
    backlog_try(learned, moment);
    need = backlog_in_steps(learned, moment, need, advice);
    return smaller(need, larger(3 * moment->ordered, moment->ordered + 8));
}

static struct moment begin(const struct view *view) {
    const struct situation *now = &view->now;
    struct moment moment = {.now = now->now, .last_added = view->memory->last_up};
    moment.tick_s = (int)number_within((double)now->tick_s, 1, 3600);
    moment.ordered = (int)now->ordered;
    moment.up = now->up >= 0 ? smaller((int)now->up, moment.ordered) : view->serving;
    moment.most = larger(view->ceiling, moment.ordered);
    moment.goal = view->rule->goal_per_mille / 1000.;
    moment.price = price_of(view->rule->care);
    return moment;
}

void automatic_observe(struct view *view) {
    struct advice *advice = &view->advice;
    struct learned *learned = &view->memory->learned;
    if (view->rule->method != RULE_AUTOMATIC || view->now.ordered < 0) return;
    struct moment moment = begin(view);
    if (view->now.jobs) {
        if (view->known) jobs_observe(view, moment);
        return;
    }
    if (!traffic_look(learned, view, &moment)) return;
    outlook_remember(learned, &moment);
    capacity_learn(learned, view, &moment);
    if (learned->windows == 0) return;
    advice->known = true;
    advice->need = needed(view, &moment, advice);
    advice->wanted = patience_wanted(learned, &moment, advice->need);
    describe(view, &moment, advice);
}

/* ---- The decision --------------------------------------------------------------------------- */

static void add(struct view *view, struct outcome *outcome) {
    static const enum sentence_form forms[] = {[ADVICE_TRAFFIC] = SENTENCE_UP_TRAFFIC,
                                               [ADVICE_BACKLOG] = SENTENCE_UP_BACKLOG,
                                               [ADVICE_RELEASE] = SENTENCE_UP_RESTARTS};
    int ordered = (int)view->now.ordered;
    outcome->would = view->advice.wanted;
    if (ordered >= view->ceiling) {
        outcome->form = SENTENCE_HOLD_AUTOMATIC_MOST;
        return;
    }
    outcome->to = smaller(outcome->would, view->ceiling);
    outcome->form = forms[view->advice.why];
}

static void take(struct view *view, struct outcome *outcome) {
    outcome->would = larger(view->floor, view->advice.wanted);
    if (safety_keeps_dynos(view, outcome)) return;
    outcome->to = outcome->would;
    outcome->form = SENTENCE_DOWN_SURPLUS;
    if (view->on) patience_taken(&view->memory->learned);
}

void automatic_decide(struct view *view, struct outcome *outcome) {
    const struct advice *advice = &view->advice;
    int ordered = (int)view->now.ordered;
    if (view->now.jobs) jobs_decide(view, outcome);
    else if (advice->wanted > ordered) add(view, outcome);
    else if (advice->wanted < ordered && ordered > view->floor) take(view, outcome);
    else if (advice->limited == ADVICE_CEILING) outcome->form = SENTENCE_HOLD_CEILING;
    else if (advice->limited == ADVICE_TRIAL) outcome->form = SENTENCE_HOLD_TRIAL;
    else if (advice->need < ordered && ordered > view->floor) outcome->form = SENTENCE_HOLD_SURPLUS;
    else outcome->form = SENTENCE_HOLD_ENOUGH;
}
