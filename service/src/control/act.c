/*
 * Orders to platforms. One process has one order at most, its newest:
 *
 *     decided ──▶ DUE ──▶ CALLED ──▶ SETTLING ──▶ ended, done
 *                  ▲         │           │
 *                  └─ failed ┴───────────┘ the platform says otherwise
 *     a new start ──▶ CHECK ──▶ done, or ASK
 *     refused ──▶ ASK ──▶ DUE, once a decision wants it again
 *
 * The row in the store says "under way" from the transaction of its decision until the platform
 * has answered or the order is void, so that a service that is killed at any moment finds it again:
 * then the formation is read first, and what has already happened is not ordered again. An order
 * that failed stands as long as decisions want its number.
 */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "control/state.h"
#include "log.h"
#include "rules/week.h"
#include "store/prices.h"

enum {
    SETTLE_MOST_MS = 300 * 1000, /* how long a reading may still show the previous number */
    READ_AFTER_MS = 1000,        /* after an order: confirms it */
    USUAL_TICK_S = 10, /* platforms give their reading interval for ticks of this length */
    BOOT_MOST_S = 1800,
    DOUBT_S = 300, /* how long after an order was void it may turn out to be done */
    HEARD_S = 60,  /* a dyno that reported within this time is running */
    PAUSE_MOST_MS = 60 * 1000,
};

/* ---- What is open --------------------------------------------------------------------------- */

static void store_act(struct control *control, struct process *process) {
    if (control->epoch > process->act.epoch) process->act.epoch = control->epoch;
    if (!act_update(control->store, &process->act))
        log_line(LOG_ERROR, "control", "%s %s: an order was not written: %s", process->app->name,
                 process->name, store_error(control->store));
}

static bool act_open(const struct process *process) {
    return process->act.id && !process->act.ended_s;
}

/* ---- From decisions ------------------------------------------------------------------------- */

/* The number that the tick wants ordered, or -1. */
static int wanted_by(const struct process *process) {
    const struct decision *decision = &process->tick.decision;
    if (!process->rules->scaling || decision->action == DECISION_HOLD) return -1;
    return decision->to;
}

/* Whether the tick's decision voids the open order. An order that was not tried yet, or was
 * refused, survives ticks that hold: their decision took it into account. An order that failed is
 * retried only while each new decision wants it. */
static bool is_void(const struct process *process, int wanted) {
    if (!act_open(process) || process->phase == PHASE_CALLED) return false;
    if (!process->rules->scaling) return true;
    if (wanted >= 0) return wanted != process->act.to;
    return process->act.state != ACT_UNDER_WAY && process->act.state != ACT_REFUSED;
}

/* The final state of a void order: failed if it was tried, else none. */
static enum act_state void_state(const struct process *process) {
    return process->act.state == ACT_UNDER_WAY ? ACT_NONE : process->act.state;
}

bool act_order(struct control *control, struct process *process) {
    int wanted = wanted_by(process);
    process->ordered.id = 0;
    if (is_void(process, wanted)) {
        struct act ended = process->act;
        ended.state = void_state(process);
        ended.ended_s = process->tick.situation.now;
        ended.epoch = control->epoch;
        if (!act_update(control->store, &ended)) return false;
    } else if (act_open(process)) {
        return true; /* the same number, or a call is under way */
    }
    if (wanted < 0) return true;
    struct act act = {.app = process->app->id,
                      .from = process->tick.decision.from,
                      .to = wanted,
                      .epoch = control->epoch,
                      .ordered_s = process->tick.situation.now,
                      .state = ACT_UNDER_WAY};
    memcpy(act.process, process->name, sizeof act.process);
    if (!act_add(control->store, &act)) return false;
    process->ordered = act;
    return true;
}

/* If the app's rate limit is used up, a new order waits as long as the one before, and says why. */
static void begin_order(struct process *process) {
    const struct app_state *app = process->app;
    int64_t now_ms = ds_clock_monotonic_ms();
    bool limited = app->limited_ms > now_ms && *process->act.trouble;
    if (limited) {
        process->ordered.state = ACT_FAILED;
        memcpy(process->ordered.trouble, process->act.trouble, sizeof process->act.trouble);
    }
    process->act = process->ordered;
    process->ordered.id = 0;
    memcpy(process->act_reason, process->tick.decision.sentence, sizeof process->act_reason);
    process->phase = PHASE_DUE;
    process->act_ms = now_ms;
    process->next_ms = app->limited_ms > now_ms ? app->limited_ms : now_ms;
}

void act_ordered(struct process *process) {
    int wanted = wanted_by(process);
    int64_t now_ms = ds_clock_monotonic_ms();
    if (is_void(process, wanted)) {
        process->act.state = void_state(process);
        process->act.ended_s = process->tick.situation.now;
        process->phase = PHASE_NONE;
    }
    if (wanted >= 0 && process->phase == PHASE_ASK) {
        process->phase = PHASE_DUE;
        process->next_ms = now_ms;
    }
    if (process->ordered.id != 0) begin_order(process);
}

/* ---- From the platform: an order ------------------------------------------------------------ */

/* The pause before the next try. Grows from 2 s, or from one tick if the app was locked, with a
 * jitter of a quarter either way, so that many apps do not retry at the same time. */
static int64_t pause_ms(struct control *control, enum act_state state, int tries) {
    int tick_s = control->settings.tick_s < USUAL_TICK_S ? control->settings.tick_s : USUAL_TICK_S;
    int64_t pause = (state == ACT_LOCKED ? tick_s * 1000LL : 2000) << (tries < 10 ? tries : 10);
    if (pause > PAUSE_MOST_MS) pause = PAUSE_MOST_MS;
    return pause * 3 / 4 + control_jitter(control, pause / 2);
}

static void failed(struct control *control, struct process *process, enum act_state state,
                   const struct platform_answer *answer) {
    int64_t now_ms = ds_clock_monotonic_ms();
    int64_t pause = pause_ms(control, state, process->act.tries - 1);
    if (answer->wait_s * 1000LL > pause) pause = answer->wait_s * 1000LL;
    process->act.state = state;
    process->act_ms = now_ms;
    process->phase = state == ACT_REFUSED ? PHASE_ASK : PHASE_DUE;
    process->next_ms = now_ms + pause;
    /* The order may have been done and only its answer lost, or whatever held the formation may
     * have changed it: a reading before the next try shows. */
    process->read_first = state == ACT_LOCKED;
    bool tells = answer->result == PLATFORM_FAILED && pause > READ_AFTER_MS;
    if ((tells || process->read_first) && process->next_read_ms > now_ms + READ_AFTER_MS)
        process->next_read_ms = now_ms + READ_AFTER_MS;
    snprintf(process->act.trouble, sizeof process->act.trouble, "%s", answer->trouble);
    control->counts.failed_acts++;
    log_line(state == ACT_REFUSED ? LOG_ERROR : LOG_WARN, "control",
             "%s %s: %d dynos were not ordered: %s", process->app->name, process->name,
             process->act.to, answer->trouble);
}

static int64_t settle_ms(const struct process *process) {
    int64_t settle = process->boot_count ? process->boots_s[0] * 2000 : SETTLE_LEAST_MS;
    if (settle < SETTLE_LEAST_MS) return SETTLE_LEAST_MS;
    return settle > SETTLE_MOST_MS ? SETTLE_MOST_MS : settle;
}

static void done(struct process *process) {
    int64_t now_ms = ds_clock_monotonic_ms();
    process->act.state = ACT_DONE;
    process->act.ended_s = control_now_s();
    process->act.trouble[0] = '\0';
    process->known = process->formation.ordered = process->act.to;
    process->formation_ms = now_ms;
    process->phase = PHASE_SETTLING;
    process->next_ms = now_ms + settle_ms(process);
    process->next_read_ms = now_ms + READ_AFTER_MS;
    bool up = process->act.to > process->act.from;
    process->boot_target = up ? process->act.to : 0;
    process->boot_ms = now_ms;
}

/* Orders the platform's limit instead, if that still moves in the wanted direction. */
static void limited(struct control *control, struct process *process,
                    const struct platform_answer *answer) {
    process->limit = answer->limit;
    bool helps = process->act.from < answer->limit && answer->limit < process->act.to;
    failed(control, process, ACT_FAILED, answer);
    if (!helps) return;
    process->act.to = answer->limit;
    process->next_ms = ds_clock_monotonic_ms();
}

void act_called(struct control *control, struct process *process, const struct call *call) {
    if (process->act.id != call->act_id)
        return;             /* another holder of the lease took over this order */
    if (call->void_lease) { /* no call was made: whoever holds the lease decides */
        process->phase = PHASE_CHECK;
        process->loaded = false;
        return;
    }
    process->act.tries++;
    switch (call->answer.result) {
    case PLATFORM_OK:
        done(process);
        break;
    case PLATFORM_LIMITED:
        limited(control, process, &call->answer);
        break;
    case PLATFORM_REFUSED:
        failed(control, process, ACT_REFUSED, &call->answer);
        /* A change during the call may be what fixes the refusal. */
        if (call->changes != process->app->changes) process->act.state = ACT_FAILED;
        break;
    case PLATFORM_LOCKED:
        failed(control, process, ACT_LOCKED, &call->answer);
        break;
    case PLATFORM_BUSY:
        failed(control, process, ACT_FAILED, &call->answer);
        process->app->limited_ms = process->next_ms;
        break;
    case PLATFORM_FAILED:
        failed(control, process, ACT_FAILED, &call->answer);
    }
    store_act(control, process);
}

/* ---- From the platform: a reading ----------------------------------------------------------- */

static void note_outside(struct process *process, int now) {
    memmove(process->outside_ms + 1, process->outside_ms,
            (OUTSIDE - 1) * sizeof *process->outside_ms);
    process->outside_ms[0] = ds_clock_monotonic_ms();
    log_line(LOG_INFO, "control", "%s %s: somebody else changed the dynos: %d → %d",
             process->app->name, process->name, process->known, now);
    process->known = now;
    process->boot_target = 0;
    /* A failed order was decided on the previous number. */
    bool failed_before = process->act.state == ACT_FAILED || process->act.state == ACT_LOCKED;
    if (process->phase == PHASE_DUE && failed_before) process->phase = PHASE_ASK;
}

/* The order failed and was then void: the platform may have done it all the same, or may do it
 * yet. */
static bool may_be_done(const struct process *process) {
    const struct act *act = &process->act;
    return act->id && act->ended_s && act->state == ACT_FAILED && process->phase == PHASE_NONE &&
           control_now_s() - act->ended_s <= DOUBT_S;
}

static bool between(int number, int one, int other) {
    return one < other ? number >= one && number <= other : number >= other && number <= one;
}

/* The platform accepted the order, but long afterwards still shows another number. */
static void broke_its_word(struct control *control, struct process *process, int ordered) {
    struct platform_answer answer = platform_trouble(
        PLATFORM_FAILED, "the platform answered that it would run %d dynos, and still says %d",
        process->act.to, ordered);
    process->known = ordered;
    process->act.ended_s = 0;
    answer.wait_s =
        control->settings.tick_s + 1; /* past the next tick, whose decision reports it */
    failed(control, process, ACT_FAILED, &answer);
    store_act(control, process);
}

/* Interprets a reading in the light of the newest order. Returns the number to count with. */
static int judge(struct control *control, struct process *process, int ordered) {
    bool reached = ordered == process->act.to;
    if (process->phase == PHASE_SETTLING) {
        bool late = ds_clock_monotonic_ms() >= process->next_ms;
        if (reached) process->phase = PHASE_NONE;
        else if (!between(ordered, process->act.from, process->act.to)) process->phase = PHASE_NONE;
        else if (!late) return process->act.to;
        else broke_its_word(control, process, ordered);
    } else if (reached &&
               (act_open(process) || (may_be_done(process) && ordered != process->known))) {
        /* The answer was lost, not the order. */
        done(process);
        process->phase = PHASE_NONE;
        store_act(control, process);
    } else if (process->phase == PHASE_CHECK) {
        process->phase = PHASE_ASK;
        process->act.state = ACT_FAILED;
        snprintf(process->act.trouble, sizeof process->act.trouble,
                 "this service ended before the platform had answered");
        store_act(control, process);
    }
    return ordered;
}

static void schedule_reading(struct control *control, struct process *process) {
    const struct platform *platform = process->app->platform;
    int64_t now_ms = ds_clock_monotonic_ms();
    int64_t tick_ms = control->settings.tick_s * 1000LL, before_ms = tick_ms * 3 / 10;
    int64_t every_ms = (platform ? platform->read_every_s : 60) * tick_ms / USUAL_TICK_S;
    int64_t least = now_ms + every_ms - 2 * before_ms;
    /* Shortly before a tick, so that it decides on a fresh reading. */
    int64_t tick_at = now_ms + control->next_tick_s * 1000 - store_wall_ns() / 1000000;
    int64_t at = tick_at - before_ms + control_jitter(control, before_ms / 2);
    while (at < least) at += tick_ms;
    process->next_read_ms = at > least + 2 * tick_ms ? least : at; /* the clock was set */
}

static void learn_boot_from(struct process *process, int up) {
    if (!process->boot_target || up < process->boot_target) return;
    int64_t boot_s = (ds_clock_monotonic_ms() - process->boot_ms) / 1000;
    process->boot_target = 0;
    memmove(process->boots_s + 1, process->boots_s, (BOOTS - 1) * sizeof *process->boots_s);
    process->boots_s[0] = boot_s;
    if (process->boot_count < BOOTS) process->boot_count++;
}

/* Stores the price that the platform names. A price that a person entered wins. */
static void note_price(struct control *control, struct process *process,
                       const struct platform_formation *formation) {
    int64_t cents = (int64_t)(formation->price_a_month * 100 + 0.5);
    if (formation->price_a_month < 0 || cents == process->told_cents) return;
    const struct price price = {
        cents, {formation->currency[0], formation->currency[1], formation->currency[2], '\0'}};
    process->told_cents = cents;
    if (!price_tell(control->store, process->app->id, process->name, &price))
        log_line(LOG_ERROR, "control", "%s %s: its price was not written: %s", process->app->name,
                 process->name, store_error(control->store));
}

/* The platform answered, so the process need not wait for the next tick to be decided. */
static void note_answer(struct control *control, struct process *process) {
    if (!process->unanswered) return;
    process->unanswered = false;
    process->answered = control->answered = true;
}

void act_read(struct control *control, struct process *process, const struct call *call) {
    process->reading = false;
    if (call->void_lease) { /* asked again after the next tick, which renews the lease */
        process->next_read_ms = ds_clock_monotonic_ms() + READ_AFTER_MS;
        return;
    }
    schedule_reading(control, process);
    note_answer(control, process);
    if (call->answer.result != PLATFORM_OK) {
        if (strcmp(process->trouble, call->answer.trouble) != 0)
            log_line(LOG_WARN, "control", "%s %s: its dynos can't be read: %s", process->app->name,
                     process->name, call->answer.trouble);
        snprintf(process->trouble, sizeof process->trouble, "%s", call->answer.trouble);
        return;
    }
    process->trouble[0] = '\0';
    process->read_first = false;
    process->formation = call->formation;
    process->formation_ms = call->began_ms - call->formation.age_ms;
    note_price(control, process, &call->formation);
    if (call->answer.limit >= 0) process->limit = call->answer.limit;
    int ordered = judge(control, process, call->formation.ordered);
    process->formation.ordered = ordered;
    if (process->known >= 0 && ordered != process->known) note_outside(process, ordered);
    process->known = ordered;
    if (call->formation.up >= 0) learn_boot_from(process, call->formation.up);
}

void act_learn_boot(struct control *control, struct process *process, int64_t now_s) {
    if (!process->boot_target) return;
    int64_t since_s = (ds_clock_monotonic_ms() - process->boot_ms) / 1000;
    if (since_s > BOOT_MOST_S) process->boot_target = 0;
    else if (process->formation.up < 0)
        learn_boot_from(
            process, live_dynos(control->live, process->app->id, process->name, now_s - since_s));
}

/* ---- Calls that are due --------------------------------------------------------------------- */

static bool order_waits(const struct process *process) {
    return process->phase == PHASE_DUE && process->rules && process->rules->scaling &&
           !process->read_first;
}

static bool order_due(const struct process *process, int64_t now_ms) {
    return order_waits(process) && process->next_ms <= now_ms && process->app->hold_ms <= now_ms;
}

static bool reading_due(const struct process *process, int64_t now_ms) {
    return process->rules && process->next_read_ms <= now_ms;
}

/* The process whose order, or else whose reading, is most overdue. */
static struct process *most_due(const struct app_state *app, int64_t now_ms, enum call_verb *verb) {
    struct process *order = NULL, *reading = NULL;
    for (int i = 0; i < app->process_count; i++) {
        struct process *process = app->processes[i];
        if (order_due(process, now_ms) && (!order || process->next_ms < order->next_ms))
            order = process;
        if (reading_due(process, now_ms) &&
            (!reading || process->next_read_ms < reading->next_read_ms))
            reading = process;
    }
    *verb = order ? CALL_SET : CALL_READ;
    return order ? order : reading;
}

/* Adds the app's other due orders to the call, if the platform can take several. */
static void add_others(struct control *control, struct call *call) {
    struct app_state *app = call->app;
    int64_t now_ms = ds_clock_monotonic_ms();
    int room = app->platform->set_many && call->verb == CALL_SET ? KEEPER_CHANGES - 1 : 0;
    for (int i = 0; i < app->process_count && room > 0; i++) {
        struct process *process = app->processes[i];
        if (process == call->process || !order_due(process, now_ms)) continue;
        struct call *also = call_new(control, process, CALL_SET);
        if (!also) return;
        also->also = call->also;
        call->also = also;
        room--;
    }
}

static void mark_called(struct control *control, struct call *call) {
    if (call->verb == CALL_READ) {
        call->process->reading = true;
        call->process->next_read_ms = INT64_MAX; /* until the call returns */
        return;
    }
    for (struct call *one = call; one; one = one->also) {
        one->process->phase = PHASE_CALLED;
        control->counts.acts++;
    }
}

/* ---- A platform that is not called ---------------------------------------------------------- */

/* Before anything was ordered: as many dynos as report, or the least that the rules allow. */
static int first_number(struct control *control, const struct process *process) {
    const struct app_state *app = process->app;
    int64_t now_s = control_now_s();
    int heard = live_dynos(control->live, app->id, process->name, now_s - HEARD_S);
    return heard > 0
               ? heard
               : process->rules->rules[week_rule(process->rules, app->rules->zone, now_s)].min;
}

/* The last number ordered counts as running. */
static void read_pulled(struct control *control, struct process *process) {
    int ordered = process->known >= 0 ? process->known : first_number(control, process);
    process->formation = platform_unknown;
    process->formation_ms = ds_clock_monotonic_ms();
    process->formation.ordered = process->known = judge(control, process, ordered);
    process->trouble[0] = '\0';
    schedule_reading(control, process);
    note_answer(control, process);
}

/* An order is done at once: whoever runs the dynos asks for the number. */
static void set_pulled(struct control *control, struct process *process) {
    process->act.tries++;
    control->counts.acts++;
    done(process);
    process->phase = PHASE_NONE;
    store_act(control, process);
}

static void begin_pulled(struct control *control, struct app_state *app) {
    int64_t now_ms = ds_clock_monotonic_ms();
    if (now_ms >= atomic_load(&control->lease_until_ms)) return;
    for (int i = 0; i < app->process_count; i++) {
        struct process *process = app->processes[i];
        if (order_due(process, now_ms)) set_pulled(control, process);
        if (reading_due(process, now_ms)) read_pulled(control, process);
    }
}

/* ---- All of them ---------------------------------------------------------------------------- */

static void act_begin(struct control *control, struct app_state *app) {
    if (app->busy || app->gone || !app->platform || control->standing_by) return;
    if (app->platform->pulled) {
        begin_pulled(control, app);
        return;
    }
    enum call_verb verb;
    struct process *process = most_due(app, ds_clock_monotonic_ms(), &verb);
    struct call *call = process ? call_new(control, process, verb) : NULL;
    if (!call) return;
    add_others(control, call);
    if (!call_begin(call)) return;
    app->busy = true;
    mark_called(control, call); /* this thread processes the outcome later */
}

void act_read_soon(struct control *control, int64_t id) {
    struct app_state *app = app_find(control, id);
    for (int i = 0; app && i < app->process_count; i++)
        if (!app->processes[i]->reading) app->processes[i]->next_read_ms = 0;
}

static void note_next(struct control *control, const struct app_state *app) {
    if (app->busy || !app->platform || app->gone || control->standing_by) return;
    for (int i = 0; i < app->process_count; i++) {
        const struct process *process = app->processes[i];
        int64_t order_ms = process->next_ms > app->hold_ms ? process->next_ms : app->hold_ms;
        if (order_waits(process) && order_ms < control->next_scan_ms)
            control->next_scan_ms = order_ms;
        if (process->rules && process->next_read_ms < control->next_scan_ms)
            control->next_scan_ms = process->next_read_ms;
    }
}

void act_begin_one(struct control *control, struct app_state *app) {
    act_begin(control, app);
    note_next(control, app);
}

void act_begin_all(struct control *control) {
    control->next_scan_ms = INT64_MAX;
    for (int i = 0; i < control->app_count; i++) act_begin_one(control, control->apps[i]);
}
