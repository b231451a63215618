#include "decide/sentence.h"

#include <inttypes.h>
#include <string.h>

#include "decide/line.h"
#include "decide/sentence_parts.h"
#include "decide/view.h"

/* Longer names are cut, so that there is room for the numbers behind them. */
enum { QUEUE_SHOWN = 80, TROUBLE_SHOWN = 140 };

void sentence_put_statistic(struct line *line, const struct view *view) {
    static const char *const names[] = {"p50", "p75", "p90", "p95", "p99", "the mean"};
    line_put(line, "%s", names[view->rule->statistic]);
    if (*view->now.queue == '\0') return;
    line_put(line, " of ");
    line_cut(line, view->now.queue, QUEUE_SHOWN);
}

void sentence_put_measured(struct line *line, const struct view *view, int64_t ms) {
    line_measured(line, ms, view->rule->down.threshold_ms, view->rule->up.threshold_ms);
}

/* "over the last minute", "over the last 0:30". */
static void put_window(struct line *line, const struct view *view) {
    line_put(line, " over the last ");
    if (view->rule->window_s == 60) line_put(line, "minute");
    else line_wait(line, view->rule->window_s);
}

/* "p95 is 44 ms", or that no request came. */
static void put_value(struct line *line, const struct view *view, const char *verb) {
    if (view->idle) {
        line_put(line, "no request came");
        put_window(line, view);
        return;
    }
    sentence_put_statistic(line, view);
    line_put(line, " %s ", verb);
    sentence_put_measured(line, view, view->value_ms);
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
    sentence_put_statistic(line, view);
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
    sentence_put_measured(line, view, memory->up_value_ms);
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
    {SENTENCE_UP_TRAFFIC, automatic_say},
    {SENTENCE_UP_BACKLOG, automatic_say},
    {SENTENCE_UP_RESTARTS, automatic_say},
    {SENTENCE_DOWN_SURPLUS, automatic_say},
    {SENTENCE_HOLD_ENOUGH, automatic_say},
    {SENTENCE_HOLD_SURPLUS, automatic_say},
    {SENTENCE_HOLD_CEILING, automatic_say},
    {SENTENCE_HOLD_TRIAL, automatic_say},
    {SENTENCE_HOLD_AUTOMATIC_MOST, automatic_say},
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

/* ---- The whole
 * ----------------------------------------------------------------------------------- */

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
    sentence_say_next(&next, view, outcome);
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
