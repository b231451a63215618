/* Why: the words of the automatic method for requests. */
#include <inttypes.h>

#include "decide/line.h"
#include "decide/sentence_parts.h"
#include "decide/view.h"

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
    sentence_put_measured(line, view, view->advice.wait_ms);
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

static void say_ceiling(struct line *line, const struct view *view) {
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

void automatic_say(struct line *line, const struct view *view, const struct outcome *outcome) {
    switch (outcome->form) {
    case SENTENCE_UP_BACKLOG:
        say_backlog(line, view, outcome);
        break;
    case SENTENCE_UP_RESTARTS:
        say_restarts(line, view, outcome);
        break;
    case SENTENCE_DOWN_SURPLUS:
        say_surplus(line, view, outcome);
        break;
    case SENTENCE_HOLD_SURPLUS:
        say_surplus_stays(line, view, outcome);
        break;
    case SENTENCE_HOLD_CEILING:
        say_ceiling(line, view);
        break;
    case SENTENCE_HOLD_TRIAL:
        say_trial(line, view, outcome);
        break;
    case SENTENCE_HOLD_AUTOMATIC_MOST:
        say_automatic_most(line, view, outcome);
        break;
    default: /* UP_TRAFFIC, HOLD_ENOUGH */
        say_traffic(line, view, outcome);
    }
}
