#include "decide/sentence.h"

#include <inttypes.h>
#include <string.h>

#include "decide/line.h"
#include "decide/sentence_jobs.h"
#include "decide/view.h"

/* Longer names are cut, so that there is room for the numbers behind them. */
enum { QUEUE_SHOWN = 80, TROUBLE_SHOWN = 140 };

/* "p95", "p95 of sidekiq:default", "the mean". */
static void put_statistic(struct line *line, const struct view *view) {
    static const char *const names[] = {"p50", "p75", "p90", "p95", "p99", "the mean"};
    line_put(line, "%s", names[view->rule->statistic]);
    if (*view->now.queue == '\0') return;
    line_put(line, " of ");
    line_cut(line, view->now.queue, QUEUE_SHOWN);
}

/* "over the last minute", "over the last 0:30". */
static void put_window(struct line *line, const struct view *view) {
    line_put(line, " over the last ");
    if (view->rule->window_s == 60) line_put(line, "minute");
    else line_wait(line, view->rule->window_s);
}

static void put_measured(struct line *line, const struct view *view, int64_t ms) {
    line_measured(line, ms, view->rule->down.threshold_ms, view->rule->up.threshold_ms);
}

/* "p95 is 44 ms", or that no request came. */
static void put_value(struct line *line, const struct view *view, const char *verb) {
    if (view->idle) {
        line_put(line, "no request came");
        put_window(line, view);
        return;
    }
    put_statistic(line, view);
    line_put(line, " %s ", verb);
    put_measured(line, view, view->value_ms);
}

static void put_above(struct line *line, const struct view *view) {
    put_value(line, view, "is");
    if (view->advice.known) return; /* no threshold counts */
    line_put(line, ", above ");
    line_ms(line, view->rule->up.threshold_ms);
}

static void put_below(struct line *line, const struct view *view) {
    put_value(line, view, "is");
    if (view->advice.known) return;
    line_put(line, ", below ");
    line_ms(line, view->rule->down.threshold_ms);
}

static const char *outsider(const struct view *view) {
    return *view->now.outsider ? view->now.outsider : "someone else";
}

static void put_outsider(struct line *line, const struct view *view) {
    line_cut(line, outsider(view), QUEUE_SHOWN);
}

static void put_trouble(struct line *line, const struct view *view, const char *before) {
    if (*view->now.trouble == '\0') return;
    line_put(line, "%s", before);
    line_cut(line, view->now.trouble, TROUBLE_SHOWN);
}

/* ---- Up and down ---------------------------------------------------------------------------- */

static void say_up_above(struct line *line, const struct view *view,
                         const struct outcome *outcome) {
    (void)outcome;
    put_value(line, view, "was");
    put_window(line, view);
    line_put(line, ", above ");
    line_ms(line, view->rule->up.threshold_ms);
}

/* Why the range is what it is: a boost, the platform, or the rule. */
static void say_range(struct line *line, const struct view *view, const struct outcome *outcome) {
    const struct rule *rule = view->rule;
    bool up = outcome->to > view->now.ordered || outcome->would > view->now.ordered;
    if (up && view->boosted && view->floor > rule->min) {
        line_put(line, "a boost asks for at least %" PRId64, view->now.boost);
        if (view->floor < view->now.boost) line_put(line, ", and %d is the most", view->ceiling);
    } else if (view->ceiling < rule->max && !up) {
        line_put(line, "the platform allows %d", view->ceiling);
    } else if (up && view->floor > rule->min) {
        line_put(line, "requests are only measured while 1 runs");
    } else if (view->now.rule_age >= 0 && view->now.rule_age <= 2 * view->now.tick_s) {
        line_put(line, "the rule %s came into force, and its range is %d to %d", rule->name,
                 rule->min, rule->max);
    } else {
        line_put(line, "the range of the rule %s is %d to %d", rule->name, rule->min, rule->max);
    }
    if (up && view->floor < rule->min)
        line_put(line, ", and the platform allows %d", view->ceiling);
}

static void say_jobs_wait(struct line *line, const struct view *view,
                          const struct outcome *outcome) {
    (void)outcome;
    line_put(line, "a job waits in ");
    if (*view->now.queue) line_cut(line, view->now.queue, QUEUE_SHOWN);
    else line_put(line, "a queue");
    line_put(line, ", and none is worked on while 0 run");
}

static void say_down_below(struct line *line, const struct view *view,
                           const struct outcome *outcome) {
    (void)outcome;
    put_statistic(line, view);
    line_put(line, " stayed below ");
    line_ms(line, view->rule->down.threshold_ms);
    line_put(line, " for ");
    line_wait(line, view->rule->down.wait_s);
    if (view->idle) {
        line_put(line, ", no request at all");
        put_window(line, view);
    }
    if (view->now.jobs && view->rule->hold_while_jobs_run && view->now.jobs_running < 0)
        line_put(line, "; whether jobs run is not known");
}

static void say_drained(struct line *line, const struct view *view, const struct outcome *outcome) {
    if (outcome->would == view->ceiling && view->now.ordered > view->ceiling)
        say_range(line, view, outcome);
    else if (view->advice.known) line_put(line, "%d would have done for long", outcome->would);
    else say_down_below(line, view, outcome);
    line_put(line, "; %" PRId64 " job%s still run%s, and ", view->now.jobs_running,
             line_plural(view->now.jobs_running), view->now.jobs_running == 1 ? "s" : "");
    line_wait(line, outcome->of_s);
    line_put(line, " is the longest that is waited for");
}

/* ---- Holds ---------------------------------------------------------------------------------- */

static void say_clock(struct line *line, const struct view *view, const struct outcome *outcome) {
    (void)outcome;
    bool ahead = view->jumped > 0;
    line_put(line, "the clock stepped %s by ", ahead ? "ahead" : "back");
    line_wait(line, ahead ? view->jumped : -view->jumped);
    line_put(line, ", and nothing is decided on a tick like that");
}

static void say_unknown_dynos(struct line *line, const struct view *view,
                              const struct outcome *outcome) {
    (void)outcome;
    line_put(line, "how many dynos run is not known");
    put_trouble(line, view, ", since the platform said: ");
}

static void say_old_formation(struct line *line, const struct view *view,
                              const struct outcome *outcome) {
    (void)outcome;
    if (view->now.formation_age < 0)
        line_put(line, "it is not known when the platform was last read");
    else {
        line_put(line, "the platform was last read ");
        line_age(line, view->now.formation_age);
        line_put(line, " ago");
    }
    line_put(line, ", and nothing is changed on what may be out of date");
    put_trouble(line, view, "; it said: ");
}

static void say_under_way(struct line *line, const struct view *view,
                          const struct outcome *outcome) {
    line_put(line, "setting %" PRId64 " has been under way for ", view->now.act_wanted);
    line_age(line, outcome->since_s);
}

static void say_unseen(struct line *line, const struct view *view, const struct outcome *outcome) {
    line_put(line, "%" PRId64 " was set ", view->now.act_wanted);
    line_age(line, outcome->since_s);
    line_put(line, " ago, and the platform does not show it yet");
}

static void say_refused(struct line *line, const struct view *view, const struct outcome *outcome) {
    line_put(line, "the platform refused to set %" PRId64 " ", view->now.act_wanted);
    line_age(line, outcome->since_s);
    line_put(line, " ago");
    put_trouble(line, view, ": ");
}

static void say_zero(struct line *line, const struct view *view, const struct outcome *outcome) {
    if (*view->now.outsider) {
        put_outsider(line, view);
        line_put(line, " set 0 by hand ");
    } else {
        line_put(line, "the number went to 0 from outside ");
    }
    line_age(line, outcome->since_s);
    line_put(line, " ago, and that counts as a pause until 1 or more are set");
}

static void say_stood_down(struct line *line, const struct view *view,
                           const struct outcome *outcome) {
    (void)outcome;
    if (*view->now.outsider) {
        put_outsider(line, view);
        line_put(line, " changed the number again and again");
    } else {
        line_put(line,
                 "the number was changed again and again from outside, by another autoscaler, a "
                 "deploy or a person");
    }
    line_put(line, "; two can't both scale it, so this one keeps off. Is that right?");
}

static void put_pause_left(struct line *line, const struct view *view) {
    if (view->now.paused_left < 0) {
        line_put(line, " until somebody ends the pause");
        return;
    }
    line_put(line, " for ");
    line_wait(line, view->now.paused_left);
    line_put(line, " more");
}

static void say_paused(struct line *line, const struct view *view, const struct outcome *outcome) {
    (void)outcome;
    line_put(line, "scaling is paused");
    put_pause_left(line, view);
}

static void say_paused_down(struct line *line, const struct view *view,
                            const struct outcome *outcome) {
    line_put(line, "%d would do, and scaling down is paused", outcome->would);
    put_pause_left(line, view);
}

static void say_outside(struct line *line, const struct view *view, const struct outcome *outcome) {
    put_outsider(line, view);
    line_put(line, " set %" PRId64 " ", view->now.ordered);
    line_age(line, outcome->since_s);
    line_put(line, " ago, and a change by hand stands for ");
    line_wait(line, outcome->of_s);
}

static void say_outside_range(struct line *line, const struct view *view,
                              const struct outcome *outcome) {
    say_range(line, view, outcome);
    line_put(line, ", but ");
    say_outside(line, view, outcome);
}

static void say_never_heard(struct line *line, const struct view *view,
                            const struct outcome *outcome) {
    (void)view, (void)outcome;
    line_put(line, "no report has come yet, and nothing is decided before the first");
}

static void say_silent(struct line *line, const struct view *view, const struct outcome *outcome) {
    (void)view;
    line_put(line, "no report for ");
    line_age(line, outcome->since_s);
    line_put(line, ", and not knowing is no reason to scale down");
}

static void say_no_reading(struct line *line, const struct view *view,
                           const struct outcome *outcome) {
    (void)outcome;
    if (view->now.jobs) line_put(line, "no reading of the queues that count");
    else
        line_put(line, "%" PRId64 " requests are in progress and none began",
                 view->now.jobs_running);
    put_window(line, view);
    line_put(line, ", and not knowing is no reason to scale down");
}

static void say_release(struct line *line, const struct view *view, const struct outcome *outcome) {
    (void)view;
    line_put(line, "a release began ");
    line_age(line, outcome->since_s);
    line_put(line, " ago and dynos restart, so waits measured now say little");
}

static void say_few(struct line *line, const struct view *view, const struct outcome *outcome) {
    (void)outcome;
    int64_t slow = view->now.samples_above > 0 ? view->now.samples_above : 0;
    put_value(line, view, "is");
    line_put(line, ", but only %" PRId64 " of %" PRId64 " request%s waited more than ", slow,
             view->now.samples, line_plural(view->now.samples));
    line_ms(line, view->rule->up.threshold_ms);
    line_put(line, ", and fewer than %d are too few to judge by", LEAST_SLOW);
}

static void say_maximum(struct line *line, const struct view *view, const struct outcome *outcome) {
    line_put(line, "the rule would say %d, and %d is its maximum; ", outcome->would,
             view->rule->max);
    put_above(line, view);
}

static void say_limit(struct line *line, const struct view *view, const struct outcome *outcome) {
    line_put(line, "the rule would say %d, and the platform allows %d; ", outcome->would,
             view->ceiling);
    put_above(line, view);
}

static void say_futile(struct line *line, const struct view *view, const struct outcome *outcome) {
    const struct memory *memory = view->memory;
    line_put(line, "dynos were added %" PRId64 " times in ", memory->futile_ups);
    line_wait(line, outcome->since_s);
    line_put(line, " and the wait is no shorter: ");
    put_value(line, view, "is");
    line_put(line, ", and was ");
    put_measured(line, view, memory->up_value_ms);
    line_put(line,
             view->now.jobs
                 ? "; what more dynos don't help is often a database, a lock or another service"
                 : "; what more dynos don't help is often a database, a slow page or one sick "
                   "dyno");
}

static void say_up_wait(struct line *line, const struct view *view, const struct outcome *outcome) {
    put_above(line, view);
    line_put(line, "; the next may be added in ");
    line_wait(line, outcome->left_s);
}

static void say_unheard(struct line *line, const struct view *view, const struct outcome *outcome) {
    put_above(line, view);
    line_put(line, ", but no report has come since dynos were added ");
    line_age(line, outcome->since_s);
    line_put(line, " ago");
}

static void say_booting(struct line *line, const struct view *view, const struct outcome *outcome) {
    (void)outcome;
    int missing = (int)view->now.ordered - view->serving;
    if (view->value_ms > view->rule->up.threshold_ms) put_above(line, view);
    else put_below(line, view);
    line_put(line, ", but %d of %" PRId64 " %s not up yet, and %s counted already", missing,
             view->now.ordered, missing == 1 ? "is" : "are", missing == 1 ? "is" : "are");
}

static void say_minimum(struct line *line, const struct view *view, const struct outcome *outcome) {
    (void)outcome;
    put_below(line, view);
    line_put(line, ", and %d is the rule's minimum", view->rule->min);
}

static void say_boost(struct line *line, const struct view *view, const struct outcome *outcome) {
    (void)outcome;
    put_below(line, view);
    line_put(line, ", and a boost asks for at least %" PRId64, view->now.boost);
    if (view->now.boost_left < 0) return;
    line_put(line, " for ");
    line_wait(line, view->now.boost_left);
    line_put(line, " more");
}

static void say_last(struct line *line, const struct view *view, const struct outcome *outcome) {
    (void)outcome;
    put_below(line, view);
    line_put(line, view->now.jobs
                       ? ", but a job waits, so the last one stays"
                       : ", but with 0 nothing would be measured, so the last one stays");
}

static void say_below(struct line *line, const struct view *view, const struct outcome *outcome) {
    put_below(line, view);
    line_put(line, " for ");
    line_wait(line, outcome->since_s);
    line_put(line, " of ");
    line_wait(line, outcome->of_s);
}

static void say_started(struct line *line, const struct view *view, const struct outcome *outcome) {
    put_below(line, view);
    if (outcome->since_s < 0) line_put(line, ", but how long reports have been heard is not known");
    else {
        line_put(line, ", but this service started ");
        line_age(line, outcome->since_s);
        line_put(line, " ago and has not heard a whole window of ");
        line_wait(line, view->rule->window_s);
        line_put(line, " yet");
    }
}

static void say_booted(struct line *line, const struct view *view, const struct outcome *outcome) {
    put_below(line, view);
    line_put(line, ", but dynos were added ");
    line_age(line, outcome->since_s);
    line_put(line, " ago and take ");
    line_wait(line, view->boot_s);
    line_put(line, " to start");
}

static void say_jobs(struct line *line, const struct view *view, const struct outcome *outcome) {
    line_put(line, "%d would do, but %" PRId64 " job%s run%s and might be cut off; waited ",
             outcome->would, view->now.jobs_running, line_plural(view->now.jobs_running),
             view->now.jobs_running == 1 ? "s" : "");
    line_wait(line, outcome->since_s);
    line_put(line, " of at most ");
    line_wait(line, outcome->of_s);
}

static void say_releasing(struct line *line, const struct view *view,
                          const struct outcome *outcome) {
    (void)outcome;
    put_below(line, view);
    line_put(line, ", but a release or a restart of all dynos is under way");
}

static void say_between(struct line *line, const struct view *view, const struct outcome *outcome) {
    (void)outcome;
    int64_t low = view->rule->down.threshold_ms, high = view->rule->up.threshold_ms;
    put_value(line, view, "is");
    if (low == high) {
        line_put(line, ", and dynos are added above that");
    } else {
        line_put(line, ", between ");
        line_ms(line, low);
        line_put(line, " and ");
        line_ms(line, high);
    }
}

/* ---- The automatic method ------------------------------------------------------------------- */

/* "118 requests/s now, up to 139 in the minute after the next start (25 s)". */
static void put_traffic(struct line *line, const struct advice *advice) {
    line_rate(line, advice->traffic);
    line_put(line, " requests/s now, up to ");
    line_rate(line, advice->high);
    line_put(line, " when a dyno ordered now is up (%" PRId64 " s)%s", advice->boot_s,
             advice->judged ? ", judging by the last hour" : "");
}

/* "one dyno takes 12.7 before 1 in 20 waits 100 ms". */
static void put_capacity(struct line *line, const struct view *view) {
    line_put(line, "; one dyno takes ");
    line_rate(line, view->advice.capacity);
    line_put(line, " before 1 in %d waits ",
             (1000 + view->rule->goal_per_mille / 2) / view->rule->goal_per_mille);
    line_ms(line, view->rule->goal_ms);
}

/* "with 5, 9 % of minutes would be slow, and one is worth 20 dyno-minutes": if traffic and capacity
 * alone would give another number. */
static void put_price(struct line *line, const struct view *view) {
    const struct advice *advice = &view->advice;
    if (advice->asked <= 0) return;
    line_put(line, "; with %d, %" PRId64 " %% of minutes would be slow", advice->asked,
             advice->asked_slow_per_cent);
    if (advice->asked == advice->need)
        line_put(line, ", and one more would change that by less than it costs");
    else if (advice->need > view->now.ordered)
        line_put(line, ", and one is worth %d dyno-minutes", advice->worth);
}

static void say_traffic(struct line *line, const struct view *view, const struct outcome *outcome) {
    put_traffic(line, &view->advice);
    put_capacity(line, view);
    put_price(line, view);
    if (outcome->to > view->now.ordered && outcome->would > outcome->to)
        line_put(line, "; at least %d would be right, and %d is the %s", outcome->would,
                 view->ceiling,
                 view->ceiling < view->rule->max ? "platform's limit" : "rule's maximum");
    if (view->now.left_out > 0)
        line_put(line, "; %" PRId64 " dyno%s far slower than the others, and %s set aside",
                 view->now.left_out, view->now.left_out == 1 ? " is" : "s are",
                 view->now.left_out == 1 ? "is" : "are");
}

static void say_backlog(struct line *line, const struct view *view, const struct outcome *outcome) {
    line_put(line, "requests wait ");
    put_measured(line, view, view->advice.wait_ms);
    line_put(line, " on average, and what waits is to be worked off");
    /* Of what waits longer, as much as came in that time. */
    if (view->advice.wait_ms <= 1000 * AUTOMATIC_DRAIN_S)
        line_put(line, " in %d s", AUTOMATIC_DRAIN_S);
    line_put(line, "; ");
    say_traffic(line, view, outcome);
}

static void say_restarts(struct line *line, const struct view *view,
                         const struct outcome *outcome) {
    line_put(line,
             "%d of %" PRId64 " dynos restart, and what waits meanwhile is to be worked off; ",
             (int)view->now.ordered - view->serving, view->now.ordered);
    say_traffic(line, view, outcome);
}

static void say_surplus(struct line *line, const struct view *view, const struct outcome *outcome) {
    line_surplus(line, view->advice.surplus_s, outcome->would);
    line_put(line, "; ");
    say_traffic(line, view, outcome);
}

static void say_surplus_stays(struct line *line, const struct view *view,
                              const struct outcome *outcome) {
    line_put(line, "%d would do now, and the surplus has cost %" PRId64 " %% of %d starts; ",
             view->advice.need, view->advice.surplus_per_cent, AUTOMATIC_PATIENCE);
    say_traffic(line, view, outcome);
}

static void say_ceiling(struct line *line, const struct view *view, const struct outcome *outcome) {
    (void)outcome;
    line_put(line, "%" PRId64 " %% of requests wait longer than ",
             (view->advice.slow_per_mille + 5) / 10);
    line_ms(line, view->rule->goal_ms);
    line_put(line,
             ", and more dynos did not help: they served no more, or each request became slower; "
             "what does not scale is often a database, a lock or another service");
}

static void say_trial(struct line *line, const struct view *view, const struct outcome *outcome) {
    line_put(
        line,
        "%d would be right to work off what waits; whether more dynos help is seen first, with "
        "half as many more; ",
        view->advice.would);
    say_traffic(line, view, outcome);
}

static void say_automatic_most(struct line *line, const struct view *view,
                               const struct outcome *outcome) {
    line_put(line, "at least %d would be right, and %d is the %s; ", outcome->would, view->ceiling,
             view->ceiling < view->rule->max ? "platform's limit" : "rule's maximum");
    say_traffic(line, view, outcome);
}

/* ---- The table ------------------------------------------------------------------------------ */

static const struct form {
    enum sentence_form form;
    void (*say)(struct line *line, const struct view *view, const struct outcome *outcome);
} forms[] = {
    {SENTENCE_UP_ABOVE, say_up_above},
    {SENTENCE_UP_RANGE, say_range},
    {SENTENCE_UP_JOBS_WAIT, say_jobs_wait},
    {SENTENCE_DOWN_BELOW, say_down_below},
    {SENTENCE_DOWN_RANGE, say_range},
    {SENTENCE_DOWN_DRAINED, say_drained},
    {SENTENCE_HOLD_CLOCK, say_clock},
    {SENTENCE_HOLD_UNKNOWN_DYNOS, say_unknown_dynos},
    {SENTENCE_HOLD_OLD_FORMATION, say_old_formation},
    {SENTENCE_HOLD_UNDER_WAY, say_under_way},
    {SENTENCE_HOLD_UNSEEN, say_unseen},
    {SENTENCE_HOLD_REFUSED, say_refused},
    {SENTENCE_HOLD_ZERO, say_zero},
    {SENTENCE_HOLD_STOOD_DOWN, say_stood_down},
    {SENTENCE_HOLD_PAUSED, say_paused},
    {SENTENCE_HOLD_PAUSED_DOWN, say_paused_down},
    {SENTENCE_HOLD_OUTSIDE_RANGE, say_outside_range},
    {SENTENCE_HOLD_NEVER_HEARD, say_never_heard},
    {SENTENCE_HOLD_SILENT, say_silent},
    {SENTENCE_HOLD_NO_READING, say_no_reading},
    {SENTENCE_HOLD_RELEASE, say_release},
    {SENTENCE_HOLD_OUTSIDE, say_outside},
    {SENTENCE_HOLD_FEW, say_few},
    {SENTENCE_HOLD_MAXIMUM, say_maximum},
    {SENTENCE_HOLD_LIMIT, say_limit},
    {SENTENCE_HOLD_FUTILE, say_futile},
    {SENTENCE_HOLD_UP_WAIT, say_up_wait},
    {SENTENCE_HOLD_UNHEARD, say_unheard},
    {SENTENCE_HOLD_BOOTING, say_booting},
    {SENTENCE_HOLD_MINIMUM, say_minimum},
    {SENTENCE_HOLD_BOOST, say_boost},
    {SENTENCE_HOLD_LAST, say_last},
    {SENTENCE_HOLD_BELOW, say_below},
    {SENTENCE_HOLD_STARTED, say_started},
    {SENTENCE_HOLD_BOOTED, say_booted},
    {SENTENCE_HOLD_JOBS, say_jobs},
    {SENTENCE_HOLD_RELEASING, say_releasing},
    {SENTENCE_HOLD_BETWEEN, say_between},
    {SENTENCE_UP_TRAFFIC, say_traffic},
    {SENTENCE_UP_BACKLOG, say_backlog},
    {SENTENCE_UP_RESTARTS, say_restarts},
    {SENTENCE_DOWN_SURPLUS, say_surplus},
    {SENTENCE_HOLD_ENOUGH, say_traffic},
    {SENTENCE_HOLD_SURPLUS, say_surplus_stays},
    {SENTENCE_HOLD_CEILING, say_ceiling},
    {SENTENCE_HOLD_TRIAL, say_trial},
    {SENTENCE_HOLD_AUTOMATIC_MOST, say_automatic_most},
    {SENTENCE_UP_JOBS, jobs_say},
    {SENTENCE_DOWN_JOBS, jobs_say},
    {SENTENCE_HOLD_JOBS_ENOUGH, jobs_say},
    {SENTENCE_HOLD_JOBS_SURPLUS, jobs_say},
    {SENTENCE_HOLD_JOBS_LAST, jobs_say},
    {SENTENCE_HOLD_JOBS_BUSY, jobs_say},
    {SENTENCE_HOLD_JOBS_CEILING, jobs_say},
    {SENTENCE_HOLD_JOBS_MOST, jobs_say},
};

static void put_beginning(struct line *line, const struct decision *decision, bool on) {
    if (!on) line_put(line, "would ");
    if (decision->from < 0) line_put(line, "hold");
    else if (decision->to == decision->from) line_put(line, "hold %d", decision->to);
    else
        line_put(line, "%s%s %d → %d", on ? "" : "go ",
                 decision->to > decision->from ? "up" : "down", decision->from, decision->to);
    line_put(line, on ? ": " : " (scaling is off): ");
}

/* ---- What would make it act next ------------------------------------------------------------ */

/* "up to 4 when p95 is above 100 ms", "not up: 5 is the maximum". */
static void put_next_up(struct line *line, const struct view *view, const struct outcome *outcome,
                        int from) {
    const struct rule *rule = view->rule;
    int to = from + rule->up.step < view->ceiling ? from + rule->up.step : view->ceiling;
    int64_t left = view_up_left(view);
    bool held = outcome->form == SENTENCE_HOLD_FUTILE || outcome->form == SENTENCE_HOLD_RELEASE;
    if (held || (outcome->form == SENTENCE_HOLD_OUTSIDE && outcome->of_s == rule->up.wait_s &&
                 outcome->left_s > left))
        left = outcome->left_s;
    if (to <= from) {
        line_put(line, "not up: %d is the %s", view->ceiling,
                 view->ceiling < rule->max ? "platform's limit" : "maximum");
        return;
    }
    line_put(line, "up to %d", to);
    if (left > 0) {
        line_put(line, " in ");
        line_wait(line, left);
        line_put(line, " at the earliest");
    }
    line_put(line, left > 0 ? ", if " : " when ");
    if (from == 0 && view->now.jobs) {
        line_put(line, "a job waits");
        return;
    }
    put_statistic(line, view);
    line_put(line, left > 0 ? " is above " : " goes above ");
    line_ms(line, rule->up.threshold_ms);
    line_put(line, left > 0 ? " then" : "");
}

/* "down to 2 in 2:50 if p95 stays below 50 ms", "not down: 1 is the minimum". */
static void put_next_down(struct line *line, const struct view *view, const struct outcome *outcome,
                          int from) {
    const struct rule *rule = view->rule;
    int to = from - rule->down.step > view->floor ? from - rule->down.step : view->floor;
    if (to >= from) {
        line_put(line, "not down: %d is the least", view->floor);
        return;
    }
    if (view->now.paused) {
        line_put(line, "not down while that is paused");
        return;
    }
    int64_t left = view_down_left(view);
    bool later = outcome->left_s > left && outcome->form != SENTENCE_HOLD_FUTILE &&
                 outcome->form != SENTENCE_HOLD_UP_WAIT;
    if (outcome->form == SENTENCE_HOLD_JOBS) {
        line_put(line, "down to %d when no job runs, or in ", to);
        line_wait(line, outcome->of_s - outcome->since_s);
        return;
    }
    line_put(line, "down to %d ", to);
    if (view->memory->below_since) {
        line_put(line, "in ");
        line_wait(line, later ? outcome->left_s : left);
        line_put(line, " if ");
        put_statistic(line, view);
        line_put(line, " stays below ");
    } else {
        line_put(line, "after ");
        line_wait(line, left);
        line_put(line, " below ");
    }
    line_ms(line, rule->down.threshold_ms);
}

/* What comes next, if that does not depend on the statistic; else false. */
static bool put_next_of_form(struct line *line, const struct view *view,
                             const struct outcome *outcome) {
    switch (outcome->form) {
    case SENTENCE_HOLD_UNKNOWN_DYNOS:
    case SENTENCE_HOLD_OLD_FORMATION:
        line_put(line, "decided again when the platform says how many dynos run");
        return true;
    case SENTENCE_HOLD_CLOCK:
        line_put(line, "decided again in ");
        line_wait(line, view->now.tick_s);
        return true;
    case SENTENCE_HOLD_UNDER_WAY:
    case SENTENCE_HOLD_UNSEEN:
        line_put(line, "decided again when the platform shows %" PRId64, view->now.act_wanted);
        return true;
    case SENTENCE_HOLD_REFUSED:
        line_put(line, "tried again in ");
        line_wait(line, outcome->left_s);
        line_put(line, "; what the platform said needs a person");
        return true;
    case SENTENCE_HOLD_ZERO:
        line_put(line, "scaled again when somebody sets 1 or more, or orders a boost");
        return true;
    case SENTENCE_HOLD_STOOD_DOWN:
        line_put(line, "scales again when a person changes the rules or ends a pause, or in ");
        line_wait(line, outcome->left_s);
        line_put(line, " if nobody else changes the number");
        return true;
    case SENTENCE_HOLD_PAUSED:
        line_put(line, "decided again when the pause ends");
        return true;
    case SENTENCE_HOLD_UNHEARD:
        line_put(line, "decided again when the next report comes");
        return true;
    case SENTENCE_HOLD_NEVER_HEARD:
    case SENTENCE_HOLD_SILENT:
    case SENTENCE_HOLD_NO_READING:
        line_put(line, "decided again when reports come, down then after ");
        line_wait(line, view->rule->down.wait_s);
        line_put(line, " below ");
        line_ms(line, view->rule->down.threshold_ms);
        return true;
    case SENTENCE_HOLD_OUTSIDE_RANGE:
        line_put(line, "%s to %d in ", outcome->would > view->now.ordered ? "up" : "down",
                 outcome->would);
        line_wait(line, outcome->left_s);
        return true;
    default:
        return false;
    }
}

/* What would change the automatic method's decision. */
static void put_next_automatic(struct line *line, const struct view *view,
                               const struct outcome *outcome) {
    const struct advice *advice = &view->advice;
    int from = (int)view->now.ordered;
    bool down_later = outcome->to == from && advice->need < from;
    if (outcome->form == SENTENCE_HOLD_CEILING) {
        line_put(line, "more are tried again in ");
        line_wait(line, advice->ceiling_left_s);
    } else if (from >= view->ceiling) {
        line_put(line, "not up: %d is the %s", view->ceiling,
                 view->ceiling < view->rule->max ? "platform's limit" : "maximum");
    } else {
        line_put(line, "up when much more than ");
        line_rate(line, advice->enough);
        line_put(line, " requests/s are expected, or requests wait");
    }
    if (from <= view->floor) line_put(line, "; not down: %d is the least", view->floor);
    else if (view->now.paused) line_put(line, "; not down while that is paused");
    else if (down_later)
        line_put(line, "; down when the surplus has cost %d starts, %" PRId64 " %% of that so far",
                 AUTOMATIC_PATIENCE, advice->surplus_per_cent);
    else line_put(line, "; down when fewer have been enough for long");
}

static void write_next(struct line *line, const struct view *view, const struct outcome *outcome) {
    if (put_next_of_form(line, view, outcome)) return;
    int from = view->on ? outcome->to : (int)view->now.ordered;
    if (!view->on && outcome->to != from) {
        line_put(line, "done when scaling is switched on, if it still holds then");
        return;
    }
    if (view->advice.known) {
        if (view->now.jobs) jobs_say_next(line, view, outcome);
        else put_next_automatic(line, view, outcome);
        return;
    }
    put_next_up(line, view, outcome, from);
    line_put(line, "; ");
    put_next_down(line, view, outcome, from);
}

/* ---- Both ----------------------------------------------------------------------------------- */

static void write_sentence(struct line *line, const struct decision *decision,
                           const struct view *view, const struct outcome *outcome) {
    put_beginning(line, decision, view->on);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (forms[i].form == outcome->form) forms[i].say(line, view, outcome);
    if (decision->to == decision->from || !view->failed) return;
    line_put(line, "; tried again");
    put_trouble(line, view, ", since the platform said: ");
}

void sentence_write(struct decision *decision, const struct view *view,
                    const struct outcome *outcome) {
    struct line sentence = {decision->sentence, sizeof decision->sentence, 0};
    struct line next = {decision->next, sizeof decision->next, 0};
    write_sentence(&sentence, decision, view, outcome);
    write_next(&next, view, outcome);
}

const char *sentence_form_name(int form) {
    switch (form) {
#define X(number, name, meaning) \
    case number:                 \
        return #name;
        SENTENCE_FORMS(X)
#undef X
    default:
        return "";
    }
}
