/* Builds what a decision is based on: what reports say, what the platform says, what was ordered
 * and by whom. */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "control/state.h"
#include "rules/week.h"

static const int64_t TEN_MINUTES_MS = 600 * 1000;
static const int64_t USUAL_START_S = 25; /* a dyno's start counts as if two such had been seen */

static int64_t age_s(int64_t now_ms, int64_t since_ms) {
    return now_ms > since_ms ? (now_ms - since_ms) / 1000 : 0;
}

/* The age of a moment of the wall clock; -1: it never was. A moment in the future, possible after
 * the clock was set back, counts as now. */
static int64_t wall_age(int64_t now_s, int64_t at_s) {
    if (at_s <= 0) return -1;
    return now_s > at_s ? now_s - at_s : 0;
}

/* Rules look at the time up to the newest report. What came after it is unknown, and must not look
 * like a time without requests. */
static int64_t known_until(const struct situation *situation) {
    bool recent = situation->heard_age >= 0 && situation->heard_age < 3 * situation->report_s;
    int64_t until_s = situation->now - situation->heard_age + 1;
    return recent && until_s < situation->now ? until_s : situation->now;
}

/* A report shows that a dyno runs, not that it can read the queues: while a broker is down, reports
 * come without readings. Older readings, still inside a long window, say nothing about now. */
static void forget_old_readings(struct live *live, int64_t app, const struct rule *rule,
                                int64_t recent_s, struct situation *situation) {
    if (live_measure(live, app, rule, false, recent_s, situation->now + 1).samples > 0) return;
    situation->value_ms = -1;
    situation->samples = situation->samples_above = 0;
    *situation->queue = '\0';
}

static void add_signals(const struct control *control, const struct process *process,
                        const struct rule *rule, struct situation *situation) {
    struct live *live = control->live;
    int64_t app = process->app->id, now_s = situation->now;
    bool web = strcmp(process->name, "web") == 0;
    situation->jobs = !web;
    situation->report_s = control->settings.report_s;
    /* One dyno reads the queues for all, so a report of any dyno counts. */
    int64_t heard_s = live_heard_at(live, app, web ? process->name : NULL);
    situation->heard_age = wall_age(now_s, heard_s);
    int64_t until_s = known_until(situation);
    struct live_measure measure =
        live_measure(live, app, rule, web, until_s - rule->window_s, until_s);
    situation->value_ms = measure.value_ms;
    situation->samples = measure.samples;
    situation->samples_above = measure.above;
    if (!web) snprintf(situation->queue, sizeof situation->queue, "%s", measure.source);
    int64_t recent_s = now_s - 3 * situation->report_s;
    if (!web) forget_old_readings(live, app, rule, recent_s, situation);
    situation->dynos_heard = live_dynos(live, app, process->name, recent_s);
    if (!web)
        situation->jobs_running = live_signal(live, app, rule, web, "working", recent_s, now_s + 1);
}

static void add_formation(const struct process *process, int64_t now_ms,
                          struct situation *situation) {
    const struct platform_formation *formation = &process->formation;
    situation->ordered = formation->ordered;
    situation->up = formation->up;
    situation->booting = formation->booting;
    situation->stopping = formation->stopping;
    situation->limit = process->limit;
    int bought = process->app->plan_dynos;
    if (bought >= 0 && (situation->limit < 0 || bought < situation->limit))
        situation->limit = bought;
    if (process->formation_ms >= 0) situation->formation_age = age_s(now_ms, process->formation_ms);
    situation->releasing = formation->releasing == 1;
    situation->release_age = wall_age(situation->now, formation->release_s);
    int count = process->boot_count < BOOTS_JUDGED ? process->boot_count : BOOTS_JUDGED;
    for (int i = 0; i < count; i++) {
        /* Ignores the single longest boot once there are others. Of equally long ones the earlier
         * counts as longer. */
        int64_t boot_s = process->boots_s[i], longer = 0;
        for (int j = 0; j < count; j++)
            longer += process->boots_s[j] > boot_s || (j < i && process->boots_s[j] == boot_s);
        if (longer == (count == BOOTS_JUDGED)) situation->boot_s = boot_s;
    }
    if (process->boot_count == 0) return;
    int64_t sum_s = 2 * USUAL_START_S;
    for (int i = 0; i < process->boot_count; i++) sum_s += process->boots_s[i];
    situation->boot_mean_ms = sum_s * 1000 / (process->boot_count + 2);
}

static void add_act(const struct process *process, int64_t now_ms, struct situation *situation) {
    const struct act *act = &process->act;
    if (act->id == 0 || act->state == ACT_NONE) return;
    bool under_way = process->phase == PHASE_CALLED || process->phase == PHASE_CHECK;
    situation->act_state = under_way ? ACT_UNDER_WAY : act->state;
    situation->act_wanted = act->to;
    situation->act_age = age_s(now_ms, process->act_ms);
}

static void add_people(const struct process *process, int64_t now_ms, struct situation *situation) {
    const struct process_orders *orders = &process->orders;
    int64_t now_s = situation->now;
    if (process->outside_ms[0] >= 0) situation->outside_age = age_s(now_ms, process->outside_ms[0]);
    for (int i = 0; i < OUTSIDE; i++)
        if (process->outside_ms[i] >= 0 && now_ms - process->outside_ms[i] < TEN_MINUTES_MS)
            situation->outside_count++;
    if (orders->paused && (orders->paused_until_s == 0 || orders->paused_until_s > now_s)) {
        situation->paused = orders->paused;
        if (orders->paused_until_s) situation->paused_left = orders->paused_until_s - now_s;
    }
    if (orders->boost >= 0 && (orders->boost_until_s == 0 || orders->boost_until_s > now_s)) {
        situation->boost = orders->boost;
        if (orders->boost_until_s) situation->boost_left = orders->boost_until_s - now_s;
    }
    int64_t person_s =
        process->person_s > process->app->rules_s ? process->person_s : process->app->rules_s;
    situation->person_age = wall_age(now_s, person_s);
}

static void add_trouble(const struct process *process, struct situation *situation) {
    const struct app_state *app = process->app;
    bool open = process->act.id && !process->act.ended_s;
    const char *trouble = process->trouble;
    if (open && *process->act.trouble) trouble = process->act.trouble;
    if (app->platform) snprintf(situation->trouble, sizeof situation->trouble, "%s", trouble);
    else if (app->platform_kind)
        snprintf(situation->trouble, sizeof situation->trouble,
                 "this service does not know the platform \"%.60s\"", app->platform_kind);
    else
        snprintf(situation->trouble, sizeof situation->trouble,
                 "no platform is set: `dynoscaled platform set %s ...`", app->name);
}

void situation_build(struct control *control, struct process *process, const struct rule *rule,
                     int64_t now_s, struct situation *situation) {
    int64_t now_ms = ds_clock_monotonic_ms();
    situation_clear(situation);
    situation->now = now_s;
    situation->tick_s = control->settings.tick_s;
    situation->scaling = process->rules->scaling;
    situation->started_age = age_s(now_ms, control->started_ms);
    situation->clock_jump = control->clock_jump_s;
    situation->rule_age = wall_age(now_s, process->rule_since_s);
    add_signals(control, process, rule, situation);
    add_formation(process, now_ms, situation);
    /* Of jobs with either method: trials of rules are based on what is stored here. */
    if (situation->jobs) live_jobs(control->live, process->app->id, rule, situation);
    else if (rule->method == RULE_AUTOMATIC)
        live_seconds(control->live, process->app->id, rule->goal_ms, situation);
    add_act(process, now_ms, situation);
    add_people(process, now_ms, situation);
    add_trouble(process, situation);
}
