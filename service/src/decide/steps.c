/* The method "steps": above the threshold it adds a step; once the value has stayed below for the
 * whole wait it removes one. */
#include "decide/view.h"

static int smaller(int one, int other) { return one < other ? one : other; }
static int larger(int one, int other) { return one > other ? one : other; }

/* ---- Whether adding helps ------------------------------------------------------------------- */

/* Whether adding helped: the wait is a tenth shorter, or a tenth more requests were served, or more
 * jobs are worked on. If more work came, added dynos do help although the wait stays. If agents do
 * not report running jobs, a growing age of the oldest job is no reason to stop: it also grows
 * while a backlog is worked off. */
static bool has_helped(const struct view *view) {
    const struct memory *memory = view->memory;
    const struct situation *now = &view->now;
    if (view->value_ms * 10 <= memory->up_value_ms * 9) return true;
    if (!now->jobs) return now->samples * 10 >= memory->up_samples * 11 && memory->up_samples >= 0;
    return now->jobs_running < 0 || memory->up_running < 0 ||
           now->jobs_running > memory->up_running;
}

static void begin_adding(struct view *view) {
    struct memory *memory = view->memory;
    memory->up_value_ms = view->value_ms;
    memory->up_samples = view->now.samples;
    memory->up_running = view->now.jobs_running;
    memory->up_since = view->now.now;
    memory->futile_ups = 0;
    memory->futile_since = 0;
}

/* Whether adding was tried and did not help. Called only when nothing else forbids adding: where it
 * did help, counting starts again. */
static bool is_futile(struct view *view) {
    struct memory *memory = view->memory;
    if (memory->futile_since && view_age(view, memory->futile_since) < FUTILE_AGAIN_S) return true;
    if (memory->up_value_ms < 0 || has_helped(view)) {
        begin_adding(view);
        return false;
    }
    bool long_enough = view_age(view, memory->up_since) >= view->boot_s + view->rule->window_s;
    bool once_more = memory->futile_since != 0;
    memory->futile_since = 0;
    if (once_more || memory->futile_ups < FUTILE_UPS || !long_enough) return false;
    memory->futile_since = view->now.now;
    return true;
}

/* ---- The method ----------------------------------------------------------------------------- */

static bool is_above(const struct view *view) {
    return view->value_ms > view->rule->up.threshold_ms;
}

static void add(struct view *view, struct outcome *outcome, enum sentence_form form, int step) {
    int ordered = (int)view->now.ordered;
    outcome->would = ordered + step;
    if (safety_forbids_up(view, outcome)) return;
    int to = smaller(view->ceiling, view->serving + step);
    if (to <= ordered) {
        outcome->form = SENTENCE_HOLD_BOOTING;
    } else if (view->on && is_futile(view)) {
        outcome->form = SENTENCE_HOLD_FUTILE;
        outcome->since_s = view_age(view, view->memory->up_since);
        outcome->left_s = FUTILE_AGAIN_S - view_age(view, view->memory->futile_since);
    } else {
        outcome->to = to;
        outcome->form = form;
    }
}

static void take(struct view *view, struct outcome *outcome) {
    int ordered = (int)view->now.ordered;
    outcome->would = larger(view->floor, ordered - view->rule->down.step);
    /* The last worker stays while a job waits, or the next tick would bring it back. */
    if (outcome->would == 0 && view->now.jobs && view->value_ms > 0) outcome->would = 1;
    if (safety_forbids_down(view, outcome)) return;
    outcome->to = outcome->would;
    outcome->form = outcome->form == SENTENCE_DOWN_DRAINED ? outcome->form : SENTENCE_DOWN_BELOW;
}

void steps_decide(struct view *view, struct outcome *outcome) {
    bool below = view->value_ms < view->rule->down.threshold_ms;
    if (is_above(view)) {
        add(view, outcome, SENTENCE_UP_ABOVE, view->rule->up.step);
    } else if (view->now.jobs && view->now.ordered == 0 && view->value_ms > 0) {
        add(view, outcome, SENTENCE_UP_JOBS_WAIT, 1);
    } else if (below) {
        take(view, outcome);
    } else {
        outcome->form = SENTENCE_HOLD_BETWEEN;
    }
}
