/* How many dynos work off what waits. More are added only while that helps. */
#include "decide/automatic/automatic.h"
#include "decide/automatic/number.h"

static const double BACKLOG_S = .3; /* with longer mean waits there is a backlog */
static const double GROWN = 1.4; /* growth of the dynos that is enough to see whether they help */
enum { SEEN_AFTER_S = 30, JUDGED_AFTER_S = 60, RELEASE_S = 30 };

static int64_t age_of(const struct moment *moment, int64_t at) {
    return at == 0 ? INT64_MAX / 2 : moment->now - at;
}

static int round_up(double x, int most) {
    x = number_within(x, 0, most);
    return (int)x < x ? (int)x + 1 : (int)x;
}

static int larger(int one, int other) { return one > other ? one : other; }

/* The requests per second that one dyno serves while requests wait. */
static double flat_out(const struct learned *learned, const struct moment *moment) {
    double served = learned->flat_out > 0 ? learned->flat_out
                                          : moment->begun / (moment->up > 0 ? moment->up : 1);
    return number_larger(served, .1);
}

/* Most dynos restart at once: with more of them, what waited for the start is cleared sooner. */
static int for_release(const struct learned *learned, const struct moment *moment, int need) {
    double flat =
        learned->flat_out > 0 ? learned->flat_out : 2 * learned->capacity / moment->service;
    double waiting = moment->traffic * moment->boot;
    double more = waiting / (AUTOMATIC_DRAIN_S * number_larger(flat, .1));
    return larger(need, moment->ordered) + round_up(more, moment->most);
}

int backlog_need(const struct learned *learned, const struct moment *moment, int need,
                 struct advice *advice) {
    int64_t restarted = age_of(moment, learned->restart_at);
    if (2 * moment->up < moment->ordered && restarted < RELEASE_S) {
        advice->why = ADVICE_RELEASE;
        return for_release(learned, moment, need);
    }
    bool few = moment->slow_share <= moment->goal || moment->requests <= AUTOMATIC_FEW;
    if (few || restarted <= AUTOMATIC_BACKLOG_S || moment->wait <= BACKLOG_S) return need;
    double waiting = moment->traffic * number_smaller(moment->wait, AUTOMATIC_DRAIN_S);
    advice->why = ADVICE_BACKLOG;
    return need + round_up(waiting / (AUTOMATIC_DRAIN_S * flat_out(learned, moment)), moment->most);
}

/* ---- Whether more helps --------------------------------------------------------------------- */

static void begin_trial(struct learned *learned, int up) {
    learned->trial_up = up;
    learned->trial_served = learned->trial_share = learned->trial_service = 0;
    learned->trial_grown_at = learned->ceiling = 0;
}

/* Notes the best and the worst at this number of dynos. */
static void note(struct learned *learned, const struct moment *moment) {
    learned->trial_served = number_larger(learned->trial_served, moment->served);
    learned->trial_share = number_larger(learned->trial_share, moment->slow_share);
    learned->trial_service = number_larger(learned->trial_service, moment->last_service);
}

/* While requests wait, more dynos should serve more, or make fewer wait, and not slow each request
 * down. If 40 % more dynos have not done so a minute after they came up, something behind them,
 * such as a database, is the limit: this is a ceiling, and no more are added for ten minutes. */
void backlog_try(struct learned *learned, const struct moment *moment) {
    if (learned->ceiling && moment->now < learned->ceiling_until) return;
    bool trouble = moment->slow_share > 2 * moment->goal && moment->requests > AUTOMATIC_FEW &&
                   age_of(moment, learned->restart_at) > AUTOMATIC_SETTLED_S;
    if (!trouble) {
        if (age_of(moment, learned->trouble_at) > AUTOMATIC_CEILING_S) begin_trial(learned, 0);
        return;
    }
    learned->trouble_at = moment->now;
    if (learned->ceiling) learned->ceiling = learned->trial_grown_at = 0;
    if (!learned->trial_up) begin_trial(learned, moment->ordered);
    if (moment->up < GROWN * (double)learned->trial_up) {
        note(learned, moment);
        return;
    }
    if (!learned->trial_grown_at) learned->trial_grown_at = moment->now;
    int64_t grown = age_of(moment, learned->trial_grown_at);
    /* New dynos serve more at first, even if only into a queue behind them. */
    if (moment->last_service <= 0 && grown < SEEN_AFTER_S) return;
    bool helped = moment->served > 1.15 * learned->trial_served ||
                  moment->slow_share < .5 * learned->trial_share;
    bool slower = moment->last_service > 1.2 * learned->trial_service;
    if (helped && !slower) {
        begin_trial(learned, moment->up);
    } else if (grown >= JUDGED_AFTER_S) {
        learned->ceiling = moment->ordered;
        learned->ceiling_until = moment->now + AUTOMATIC_CEILING_S;
    }
}

/* Orders that traffic does not explain, while requests are as fast as usual and no correction
 * applies, grow in steps of half of the dynos that are up, to see first whether that helps. */
int backlog_in_steps(const struct learned *learned, const struct moment *moment, int need,
                     struct advice *advice) {
    int step = moment->up + (moment->up + 1) / 2;
    if (learned->trial_up) {
        int tried = (int)(3 * learned->trial_up / 2 + 1);
        if (step > tried) step = tried;
    }
    if (learned->ceiling && step >= learned->ceiling) {
        step = (int)learned->ceiling;
        advice->ceiling_left_s = learned->ceiling_until - moment->now;
    }
    if (need <= step) return need;
    int explained = price_dynos(learned, moment, learned->usual_service, 1);
    if (moment->wait > AUTOMATIC_ARRIVALS_S)
        explained = 0; /* the traffic is only an estimate then */
    if (need <= explained) return need;
    advice->would = need;
    advice->limited = learned->ceiling && step == learned->ceiling ? ADVICE_CEILING : ADVICE_TRIAL;
    return larger(explained, step);
}
