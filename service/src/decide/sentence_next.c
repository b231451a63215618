/* What would make the service act next. */
#include <inttypes.h>

#include "decide/line.h"
#include "decide/sentence_parts.h"
#include "decide/view.h"

static void put_not_up(struct line *line, const struct view *view) {
    line_put(line, "not up: %d is the %s", view->ceiling,
             view->ceiling < view->rule->max ? "platform's limit" : "maximum");
}

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
        put_not_up(line, view);
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
    sentence_put_statistic(line, view);
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
        sentence_put_statistic(line, view);
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

bool sentence_put_no_more(struct line *line, const struct view *view, bool at_ceiling, int from) {
    if (at_ceiling) {
        line_put(line, "more are tried again in ");
        line_wait(line, view->advice.ceiling_left_s);
    } else if (from >= view->ceiling) put_not_up(line, view);
    else return false;
    return true;
}

bool sentence_put_no_fewer(struct line *line, const struct view *view, int from) {
    if (from <= view->floor) line_put(line, "; not down: %d is the least", view->floor);
    else if (view->now.paused) line_put(line, "; not down while that is paused");
    else return false;
    return true;
}

/* What would change the automatic method's decision. */
static void put_next_automatic(struct line *line, const struct view *view,
                               const struct outcome *outcome) {
    const struct advice *advice = &view->advice;
    int from = (int)view->now.ordered;
    bool down_later = outcome->to == from && advice->need < from;
    if (!sentence_put_no_more(line, view, outcome->form == SENTENCE_HOLD_CEILING, from)) {
        line_put(line, "up when much more than ");
        line_rate(line, advice->enough);
        line_put(line, " requests/s are expected, or requests wait");
    }
    if (sentence_put_no_fewer(line, view, from)) return;
    if (down_later)
        line_put(line, "; down when the surplus has cost %d starts, %" PRId64 " %% of that so far",
                 AUTOMATIC_PATIENCE, advice->surplus_per_cent);
    else line_put(line, "; down when fewer have been enough for long");
}

void sentence_say_next(struct line *line, const struct view *view, const struct outcome *outcome) {
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
