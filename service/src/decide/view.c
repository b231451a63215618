/* What is known at a tick, in the form that checks read, and what is remembered of it. */
#include "decide/view.h"

static int64_t within(int64_t value, int64_t least, int64_t most) {
    return value < least ? least : value > most ? most : value;
}

static int smaller(int one, int other) { return one < other ? one : other; }
static int larger(int one, int other) { return one > other ? one : other; }

/* ---- Bounds --------------------------------------------------------------------------------- */

/* Wide enough for every real number, narrow enough that no sum or product of two overflows. */
static const int64_t LATEST = INT64_C(1) << 40, MOST_MS = INT64_C(1) << 50;
enum { MOST_DYNOS = 1000000 };

static void bound_situation(struct situation *now) {
#define X(number, name, unknown, meaning) now->name = within(now->name, -1, LATEST);
    int64_t jump = within(now->clock_jump, -LATEST, LATEST);
    int64_t value_ms = within(now->value_ms, -1, MOST_MS);
    SITUATION_FIELDS(X)
#undef X
    now->clock_jump = jump;
    now->value_ms = value_ms;
    now->now = within(now->now, 0, LATEST);
    int64_t *const dynos[] = {&now->ordered, &now->up,    &now->booting,   &now->stopping,
                              &now->limit,   &now->boost, &now->act_wanted};
    for (size_t i = 0; i < sizeof dynos / sizeof *dynos; i++)
        *dynos[i] = within(*dynos[i], -1, MOST_DYNOS);
    if (now->tick_s <= 0) now->tick_s = USUAL_TICK_S;
    if (now->report_s <= 0) now->report_s = USUAL_REPORT_S;
}

/* After the clock stepped, moves remembered moments with it, so that waits keep their length. None
 * lies in the future. */
static void move_moments(struct memory *memory, int64_t by, int64_t now) {
    int64_t *const moments[] = {
        &memory->last_tick,        &memory->last_up,         &memory->last_down,
        &memory->below_since,      &memory->futile_since,    &memory->adopted_at,
        &memory->stood_down_since, &memory->jobs_hold_since, &memory->prior_up,
        &memory->prior_down,       &memory->zero_since,      &memory->up_since,
        &memory->job_load_at,      &memory->job_seen,        &memory->job_zero_at};
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++)
        if (*moments[i] != 0) *moments[i] = within(*moments[i] + by, 1, now > 1 ? now : 1);
}

/* Forgets whether adding dynos helped. */
static void forget_adding(struct memory *memory) {
    memory->up_value_ms = -1;
    memory->up_samples = -1;
    memory->up_running = -1;
    memory->up_since = 0;
    memory->futile_ups = 0;
    memory->futile_since = 0;
}

static void bound_memory(struct memory *memory) {
#define X(number, name, unknown, meaning) memory->name = within(memory->name, unknown, LATEST);
    int64_t value_ms = within(memory->up_value_ms, -1, MOST_MS);
    MEMORY_FIELDS(X)
#undef X
    memory->up_value_ms = value_ms;
    memory->wanted = within(memory->wanted, -1, MOST_DYNOS);
    if (memory->up_value_ms < 0 || memory->up_since == 0) forget_adding(memory);
}

/* ---- Time ----------------------------------------------------------------------------------- */

int64_t view_age(const struct view *view, int64_t moment) {
    return moment == 0 ? INT64_MAX / 2 : view->now.now - moment;
}

static int64_t left_of(const struct view *view, int64_t moment, int64_t wait_s) {
    int64_t age = view_age(view, moment);
    return age < wait_s ? wait_s - age : 0;
}

int64_t view_up_left(const struct view *view) {
    return left_of(view, view->memory->last_up, view->rule->up.wait_s);
}

int64_t view_down_left(const struct view *view) {
    const struct memory *memory = view->memory;
    int64_t wait_s = view->rule->down.wait_s;
    int64_t left = memory->below_since ? left_of(view, memory->below_since, wait_s) : wait_s;
    const int64_t scalings[] = {memory->last_up, memory->last_down};
    for (int i = 0; i < 2; i++) {
        int64_t rest = left_of(view, scalings[i], wait_s);
        if (rest > left) left = rest;
    }
    return left;
}

static void move_learned(struct memory *memory, int64_t by, int64_t now) {
    learned_bound(&memory->learned);
    learned_move(&memory->learned, by, now);
}

static void take_clock(struct view *view) {
    struct memory *memory = view->memory;
    const struct situation *now = &view->now;
    view->first = memory->last_tick == 0;
    int64_t jump = now->clock_jump;
    if (!view->first && jump == 0 && now->now < memory->last_tick)
        jump = now->now - memory->last_tick - now->tick_s;
    move_moments(memory, jump, now->now);
    move_learned(memory, jump, now->now);
    bool far = jump >= now->tick_s || jump <= -now->tick_s;
    view->jumped = far && !view->first ? jump : 0;
    bool gap = view_age(view, memory->last_tick) > view->rule->window_s;
    if (view->jumped || gap) memory->below_since = 0;
}

/* ---- The platform --------------------------------------------------------------------------- */

/* Whether somebody else changed the formation after the last order. */
static bool is_overruled(const struct situation *now) {
    return now->outside_age >= 0 && (now->act_age < 0 || now->outside_age < now->act_age);
}

/* An order that was not carried out does not count, neither for waits nor as an attempt. */
static void take_failure(struct view *view) {
    struct memory *memory = view->memory;
    const struct situation *now = &view->now;
    bool late = now->act_state == ACT_UNDER_WAY && now->act_age >= ORDER_LOST_S;
    bool ignored = now->act_state == ACT_DONE && now->act_age >= ORDER_UNSEEN_S;
    bool failed = now->act_state == ACT_FAILED || now->act_state == ACT_REFUSED ||
                  now->act_state == ACT_LOCKED || late || ignored;
    view->failed = view->on && failed && now->ordered >= 0 && now->act_wanted >= 0 &&
                   now->act_wanted != now->ordered && !is_overruled(now);
    /* Once per failure. `wanted` may exceed what was ordered: a limit cuts the order. */
    if (!view->failed || memory->wanted < 0 || memory->wanted == now->ordered) return;
    memory->last_up = memory->prior_up;
    memory->last_down = memory->prior_down;
    forget_adding(memory);
    memory->wanted = now->ordered;
}

static void stop_standing_down(struct view *view) {
    struct memory *memory = view->memory;
    int64_t since = memory->stood_down_since;
    if (since == 0) return;
    int64_t last = memory->adopted_at > since ? memory->adopted_at : since;
    bool asked = view->now.person_age >= 0 && view->now.person_age < view_age(view, since);
    if (!view->on || asked || view_age(view, last) >= STAND_DOWN_S) memory->stood_down_since = 0;
}

/* A change by somebody else is adopted: what runs becomes what is wanted, and waits begin again. */
static void take_outside(struct view *view) {
    struct memory *memory = view->memory;
    const struct situation *now = &view->now;
    stop_standing_down(view);
    if (now->ordered > 0 || !view->on) memory->zero_since = 0;
    if (now->outside_age < 0 || now->ordered < 0) return;
    int64_t moment = now->now - now->outside_age;
    if (moment <= memory->adopted_at + OUTSIDE_APART_S) return;
    memory->adopted_at = moment > 0 ? moment : 1;
    memory->wanted = now->ordered;
    memory->below_since = 0;
    forget_adding(memory);
    if (!view->on) return;
    if (now->ordered == 0) memory->zero_since = memory->adopted_at;
    if (now->outside_count >= OUTSIDE_TWICE && memory->stood_down_since == 0)
        memory->stood_down_since = now->now;
}

/* How many of the ordered dynos serve. Those that are not up count until they had time to start;
 * after that they will not come, and more may be ordered. */
static int count_serving(const struct view *view) {
    const struct situation *now = &view->now;
    const struct memory *memory = view->memory;
    int64_t changed = memory->last_up > memory->adopted_at ? memory->last_up : memory->adopted_at;
    int64_t age = view_age(view, changed), limit = 3 * view->boot_s;
    if (now->release_age >= 0 && now->release_age < age) age = now->release_age;
    if (limit < LEAST_BOOT_LIMIT_S) limit = LEAST_BOOT_LIMIT_S;
    int ordered = (int)now->ordered, serving = ordered;
    if (now->up >= 0) serving = smaller((int)now->up, ordered);
    else if (now->booting >= 0) serving = larger(0, ordered - (int)now->booting);
    else if (now->boot_s >= 0 && memory->up_from >= 0) {
        limit = now->boot_s; /* by the clock alone */
        serving = (int)within(memory->up_from, 0, ordered);
    }
    return age < limit ? serving : ordered;
}

static void take_bounds(struct view *view) {
    const struct situation *now = &view->now;
    view->ceiling = view->rule->max;
    if (now->limit >= 0) view->ceiling = smaller(view->ceiling, (int)now->limit);
    view->boosted = now->boost > 0 && now->boost_left != 0;
    view->floor = view->rule->min;
    if (view->boosted) view->floor = larger(view->floor, (int)now->boost);
    if (!now->jobs)
        view->floor = larger(view->floor, 1); /* without a dyno no request is measured */
    view->floor = smaller(view->floor, view->ceiling);
}

/* ---- What was measured ---------------------------------------------------------------------- */

static void take_value(struct view *view) {
    const struct situation *now = &view->now;
    view->heard = now->heard_age >= 0 && now->heard_age <= STALE_REPORTS * now->report_s;
    view->value_ms = now->value_ms;
    bool none = now->value_ms < 0;
    /* Requests in progress but none that began: all threads are stuck, and the wait is unknown. */
    view->idle = view->heard && none && !now->jobs && now->jobs_running <= 0;
    view->known = view->heard && (!none || view->idle);
    if (view->idle) view->value_ms = 0;
}

static void take_below(struct view *view) {
    struct memory *memory = view->memory;
    const struct situation *now = &view->now;
    bool below = view->known && view->value_ms < view->rule->down.threshold_ms;
    bool anew = now->paused > 0 || view->boosted;
    if (!below) memory->below_since = 0;
    else if (memory->below_since == 0 || anew) memory->below_since = now->now;
    /* Another rule may have had another threshold. */
    int64_t in_force = now->now - now->rule_age;
    if (now->rule_age >= 0 && memory->below_since && memory->below_since < in_force)
        memory->below_since = in_force;
}

/* Forgets that adding did not help once the wait is short again, after a release, and after a
 * person changed the rules. */
static void take_futility(struct view *view) {
    struct memory *memory = view->memory;
    const struct situation *now = &view->now;
    int64_t age = view_age(view, memory->futile_since ? memory->futile_since : memory->up_since);
    bool eased = view->known && view->value_ms <= view->rule->up.threshold_ms;
    bool released = now->release_age >= 0 && now->release_age < age;
    bool asked = now->person_age >= 0 && now->person_age < age;
    if (eased || released || asked) forget_adding(memory);
}

/* ---- Begin and end -------------------------------------------------------------------------- */

void view_begin(struct view *view, const struct situation *situation, const struct rule *rule,
                struct memory *memory) {
    *view = (struct view){.now = *situation, .rule = rule, .memory = memory};
    bound_situation(&view->now);
    bound_memory(memory);
    view->on = view->now.scaling != 0;
    view->boot_s = view->now.boot_s >= 0 ? view->now.boot_s : USUAL_BOOT_S;
    take_clock(view);
    if (view->now.started_age >= 0) memory->last_restart = view->now.now - view->now.started_age;
    take_failure(view);
    take_outside(view);
    take_bounds(view);
    view->serving = count_serving(view);
    take_value(view);
    take_below(view);
    take_futility(view);
}

static bool is_by_value(enum sentence_form form) {
    return form == SENTENCE_UP_ABOVE || form == SENTENCE_UP_JOBS_WAIT;
}

static void end_scaling(struct view *view, const struct outcome *outcome) {
    struct memory *memory = view->memory;
    memory->prior_up = memory->last_up;
    memory->prior_down = memory->last_down;
    if (outcome->to < view->now.ordered) {
        memory->last_down = view->now.now;
        return;
    }
    memory->last_up = view->now.now;
    memory->up_from = view->now.ordered;
    if (is_by_value(outcome->form)) memory->futile_ups++;
    else forget_adding(memory);
}

/* Whether the sentence says that scaling down waits for running jobs, or was just ordered: then the
 * jobs may have to be waited for again. */
static bool keeps_jobs_hold(enum sentence_form form) {
    return form == SENTENCE_HOLD_JOBS || form == SENTENCE_DOWN_DRAINED ||
           form == SENTENCE_HOLD_UNDER_WAY || form == SENTENCE_HOLD_UNSEEN ||
           form == SENTENCE_HOLD_REFUSED;
}

void view_end(struct view *view, const struct outcome *outcome) {
    struct memory *memory = view->memory;
    bool under_way =
        outcome->form == SENTENCE_HOLD_UNDER_WAY || outcome->form == SENTENCE_HOLD_UNSEEN;
    if (view->on && outcome->to != view->now.ordered) end_scaling(view, outcome);
    if (under_way) memory->wanted = view->now.act_wanted;
    else if (view->now.ordered >= 0) memory->wanted = view->on ? outcome->to : view->now.ordered;
    if (!keeps_jobs_hold(outcome->form)) memory->jobs_hold_since = 0;
    memory->last_tick = view->now.now;
    memory->last_value_ms = view->known ? view->value_ms : -1;
    memory->last_ordered = view->now.ordered;
}
