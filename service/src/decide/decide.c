#include "decide/decide.h"

#include <string.h>

#include "decide/view.h"

/* The order of the checks: first what can't be known, then what people ordered, then the range,
 * then what was measured. The first check that settles the tick gives the sentence. */
static bool (*const checks[])(struct view *view, struct outcome *outcome) = {
    safety_clock, safety_formation, safety_order, safety_zero,    safety_others,
    safety_pause, safety_range,     safety_data,  safety_release, safety_outside,
};

static void settle(struct view *view, struct outcome *outcome) {
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (checks[i](view, outcome)) return;
    if (view->advice.known) automatic_decide(view, outcome);
    else
        steps_decide(view,
                     outcome); /* also for the automatic method, until it has learned a capacity */
}

void decide(const struct situation *situation, const struct rule *rule, struct memory *memory,
            struct decision *decision) {
    struct view view;
    view_begin(&view, situation, rule, memory);
    struct outcome outcome = {.to = (int)view.now.ordered};
    automatic_observe(&view);
    settle(&view, &outcome);
    view_end(&view, &outcome);
    memset(decision, 0, sizeof *decision);
    decision->from = (int)view.now.ordered;
    decision->to = outcome.to;
    decision->form = (int)outcome.form;
    decision->action = outcome.to > decision->from   ? DECISION_UP
                       : outcome.to < decision->from ? DECISION_DOWN
                                                     : DECISION_HOLD;
    sentence_write(decision, &view, &outcome);
}
