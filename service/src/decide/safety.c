/* Checks that hold with every method. Each settles the tick with a sentence, or lets it pass. */
#include "decide/view.h"

static bool hold(struct outcome *outcome, enum sentence_form form) {
    outcome->form = form;
    return true;
}

bool safety_clock(struct view *view, struct outcome *outcome) {
    return view->jumped != 0 && hold(outcome, SENTENCE_HOLD_CLOCK);
}

/* ---- The platform --------------------------------------------------------------------------- */

bool safety_formation(struct view *view, struct outcome *outcome) {
    const struct situation *now = &view->now;
    if (now->ordered < 0) return hold(outcome, SENTENCE_HOLD_UNKNOWN_DYNOS);
    if (now->formation_age >= 0 && now->formation_age <= STALE_FORMATION_S) return false;
    return hold(outcome, SENTENCE_HOLD_OLD_FORMATION);
}

bool safety_order(struct view *view, struct outcome *outcome) {
    const struct situation *now = &view->now;
    int64_t age = now->act_age < 0 ? 0 : now->act_age;
    if (!view->on || now->act_wanted < 0) return false;
    outcome->since_s = age;
    if (now->act_state == ACT_UNDER_WAY && age < ORDER_LOST_S)
        return hold(outcome, SENTENCE_HOLD_UNDER_WAY);
    if (now->act_wanted == now->ordered) return false;
    bool overruled = now->outside_age >= 0 && now->outside_age < age;
    if (now->act_state == ACT_DONE && age < ORDER_UNSEEN_S && !overruled)
        return hold(outcome, SENTENCE_HOLD_UNSEEN);
    if (now->act_state != ACT_REFUSED || !view->failed || age >= REFUSED_AGAIN_S) return false;
    outcome->left_s = REFUSED_AGAIN_S - age;
    return hold(outcome, SENTENCE_HOLD_REFUSED);
}

/* Right after a release, waits come from dynos that are starting. Only for a limited time, because
 * load may really have grown. The automatic method detects restarts itself. */
bool safety_release(struct view *view, struct outcome *outcome) {
    int64_t age = view->now.release_age;
    int64_t boot_s = view->boot_s < LONGEST_BOOT_S ? view->boot_s : LONGEST_BOOT_S;
    int64_t settled = boot_s + (view->rule->window_s < 60 ? view->rule->window_s : 60);
    if (age < 0 || age >= settled || view->advice.known) return false;
    outcome->left_s = settled - age;
    outcome->since_s = age;
    return hold(outcome, SENTENCE_HOLD_RELEASE);
}

/* ---- People and other masters --------------------------------------------------------------- */

bool safety_zero(struct view *view, struct outcome *outcome) {
    if (!view->memory->zero_since || view->now.ordered != 0 || view->boosted) return false;
    outcome->since_s = view_age(view, view->memory->zero_since);
    return hold(outcome, SENTENCE_HOLD_ZERO);
}

bool safety_others(struct view *view, struct outcome *outcome) {
    if (!view->memory->stood_down_since) return false;
    int64_t last = view->memory->stood_down_since;
    if (view->memory->adopted_at > last) last = view->memory->adopted_at;
    outcome->left_s = STAND_DOWN_S - view_age(view, last);
    return hold(outcome, SENTENCE_HOLD_STOOD_DOWN);
}

bool safety_pause(struct view *view, struct outcome *outcome) {
    return view->now.paused >= 2 && hold(outcome, SENTENCE_HOLD_PAUSED);
}

/* True while a change by somebody else stands: as long as the wait of its direction. */
static bool outside_stands(struct view *view, struct outcome *outcome, int64_t wait_s) {
    int64_t age = view_age(view, view->memory->adopted_at);
    if (!view->on || age >= wait_s) return false;
    outcome->since_s = age;
    outcome->of_s = wait_s;
    outcome->left_s = wait_s - age;
    return true;
}

bool safety_outside(struct view *view, struct outcome *outcome) {
    bool above = view->value_ms > view->rule->up.threshold_ms;
    int64_t wait_s = above ? view->rule->up.wait_s : view->rule->down.wait_s;
    return outside_stands(view, outcome, wait_s) && hold(outcome, SENTENCE_HOLD_OUTSIDE);
}

/* ---- Running jobs --------------------------------------------------------------------------- */

/* The platform chooses which dynos it stops, so any running job could be cut off. */
static bool jobs_forbid(struct view *view, struct outcome *outcome) {
    const struct situation *now = &view->now;
    const struct rule *rule = view->rule;
    if (!rule->hold_while_jobs_run || !now->jobs || now->jobs_running <= 0) return false;
    if (!view->memory->jobs_hold_since) view->memory->jobs_hold_since = now->now;
    outcome->since_s = view_age(view, view->memory->jobs_hold_since);
    outcome->of_s = rule->drain_by_s;
    if (outcome->since_s < rule->drain_by_s) return hold(outcome, SENTENCE_HOLD_JOBS);
    outcome->form = SENTENCE_DOWN_DRAINED;
    return false;
}

/* ---- The range ------------------------------------------------------------------------------ */

/* Whether somebody moved the number out of the range after the rule came into force; that stands
 * for a while. */
static bool range_waits(struct view *view, struct outcome *outcome, int64_t wait_s) {
    int64_t age = view_age(view, view->memory->adopted_at), rule_age = view->now.rule_age;
    if (rule_age >= 0 && rule_age <= age) return false;
    return outside_stands(view, outcome, wait_s) && hold(outcome, SENTENCE_HOLD_OUTSIDE_RANGE);
}

static bool move_down(struct view *view, struct outcome *outcome) {
    outcome->would = view->ceiling;
    if (range_waits(view, outcome, view->rule->down.wait_s)) return true;
    if (view->now.paused) return hold(outcome, SENTENCE_HOLD_PAUSED_DOWN);
    if (jobs_forbid(view, outcome)) return true;
    outcome->to = view->ceiling;
    if (outcome->form != SENTENCE_DOWN_DRAINED) outcome->form = SENTENCE_DOWN_RANGE;
    return true;
}

bool safety_range(struct view *view, struct outcome *outcome) {
    int ordered = (int)view->now.ordered;
    if (ordered > view->ceiling) return move_down(view, outcome);
    if (ordered >= view->floor) return false;
    outcome->would = view->floor;
    if (!view->boosted && range_waits(view, outcome, view->rule->up.wait_s)) return true;
    outcome->to = view->floor;
    return hold(outcome, SENTENCE_UP_RANGE);
}

/* ---- Data ----------------------------------------------------------------------------------- */

bool safety_data(struct view *view, struct outcome *outcome) {
    if (view->known) return false;
    outcome->since_s = view->now.heard_age;
    if (view->now.heard_age < 0) return hold(outcome, SENTENCE_HOLD_NEVER_HEARD);
    return hold(outcome, view->heard ? SENTENCE_HOLD_NO_READING : SENTENCE_HOLD_SILENT);
}

/* ---- Up ------------------------------------------------------------------------------------- */

bool safety_forbids_up(struct view *view, struct outcome *outcome) {
    const struct situation *now = &view->now;
    bool slow = view->value_ms > view->rule->up.threshold_ms;
    if (!now->jobs && slow && now->samples_above < LEAST_SLOW)
        return hold(outcome, SENTENCE_HOLD_FEW);
    if (now->ordered >= view->ceiling)
        return hold(outcome,
                    view->ceiling < view->rule->max ? SENTENCE_HOLD_LIMIT : SENTENCE_HOLD_MAXIMUM);
    outcome->left_s = view_up_left(view);
    if (outcome->left_s > 0) return hold(outcome, SENTENCE_HOLD_UP_WAIT);
    /* Reports from before dynos were added can't show that they are too few. */
    outcome->since_s = view_age(view, view->memory->last_up);
    return now->heard_age >= outcome->since_s && hold(outcome, SENTENCE_HOLD_UNHEARD);
}

/* ---- Down ----------------------------------------------------------------------------------- */

static bool floor_forbids(struct view *view, struct outcome *outcome) {
    int ordered = (int)view->now.ordered;
    if (outcome->would < ordered) return false;
    if (view->boosted && view->floor > view->rule->min) return hold(outcome, SENTENCE_HOLD_BOOST);
    return hold(outcome, ordered > view->rule->min ? SENTENCE_HOLD_LAST : SENTENCE_HOLD_MINIMUM);
}

static bool boot_forbids(struct view *view, struct outcome *outcome) {
    int64_t age = view_age(view, view->memory->last_up);
    if (age < view->boot_s) {
        outcome->since_s = age;
        outcome->left_s = view->boot_s - age;
        return hold(outcome, SENTENCE_HOLD_BOOTED);
    }
    return view->serving < view->now.ordered && hold(outcome, SENTENCE_HOLD_BOOTING);
}

static bool start_forbids(struct view *view, struct outcome *outcome) {
    int64_t age = view->now.started_age;
    if (age >= view->rule->window_s) return false;
    outcome->since_s = age;
    outcome->left_s = view->rule->window_s - (age < 0 ? 0 : age);
    return hold(outcome, SENTENCE_HOLD_STARTED);
}

bool safety_forbids_down(struct view *view, struct outcome *outcome) {
    if (floor_forbids(view, outcome)) return true;
    if (view->now.paused) return hold(outcome, SENTENCE_HOLD_PAUSED_DOWN);
    outcome->left_s = view_down_left(view);
    outcome->of_s = view->rule->down.wait_s;
    outcome->since_s = outcome->of_s - outcome->left_s;
    if (outcome->left_s > 0) return hold(outcome, SENTENCE_HOLD_BELOW);
    return safety_keeps_dynos(view, outcome);
}

bool safety_keeps_dynos(struct view *view, struct outcome *outcome) {
    if (floor_forbids(view, outcome)) return true;
    if (view->now.paused) return hold(outcome, SENTENCE_HOLD_PAUSED_DOWN);
    if (view->now.releasing > 0) return hold(outcome, SENTENCE_HOLD_RELEASING);
    return start_forbids(view, outcome) || boot_forbids(view, outcome) ||
           jobs_forbid(view, outcome);
}
