/*
 * What the store knows of processes when this service begins to act for them: their memories, their
 * state at the last tick, and unfinished orders. Read for many apps at once: thousands of queries
 * would each take a round trip.
 */
#include "clock.h"
#include "control/state.h"

enum { LOADED_AT_ONCE = 512 /* apps */ };

/* The state at the last tick before this service started: boot time, rule, known dynos. */
static void load_last_tick(struct process *process, const struct ledger_tick *last) {
    const struct situation *then = &last->situation;
    int64_t now_s = control_now_s();
    process->loaded_tick_s = then->now;
    process->known = (int)then->ordered;
    process->rules_version = last->rules_version;
    process->rule_number = last->rule_number;
    process->rule_since_s = then->now - (then->rule_age > 0 ? then->rule_age : 0);
    if (then->boot_s >= 0) process->boots_s[process->boot_count++] = then->boot_s;
    if (then->person_age >= 0) process->person_s = then->now - then->person_age;
    int64_t since_s = now_s > then->now ? now_s - then->now : 0;
    if (then->outside_age >= 0)
        process->outside_ms[0] = ds_clock_monotonic_ms() - (since_s + then->outside_age) * 1000;
}

/* An order that was done after the last tick is what runs now, even if readings do not show it
 * yet. */
static void load_done(struct process *process) {
    const struct act *act = &process->act;
    int64_t last_tick_s = process->loaded_tick_s;
    if (act->state != ACT_DONE || act->ended_s < last_tick_s - SETTLE_LEAST_MS / 1000) return;
    if (act->ended_s >= last_tick_s) process->known = act->to;
    if (process->known != act->to) return;
    process->phase = PHASE_SETTLING;
    process->next_ms = ds_clock_monotonic_ms() + SETTLE_LEAST_MS;
}

/* For an unfinished order the platform is first asked whether it was carried out. */
static void load_act(struct control *control, struct process *process, const struct act *act) {
    int64_t age_s = control_now_s() - act->ordered_s;
    process->act = *act;
    process->act_ms = ds_clock_monotonic_ms() - (age_s > 0 ? age_s : 0) * 1000;
    if (process->act.ended_s) {
        load_done(process);
        return;
    }
    process->phase = PHASE_CHECK;
    lease_note_open(control, process);
    process->known = process->act.from;
}

static bool to_load(const struct process *process) {
    return process->rules && !process->app->gone && !process->loaded;
}

static struct process *find_to_load(const struct control *control, int64_t app, const char *name) {
    struct app_state *state = app_find(control, app);
    struct process *process = state ? process_find(state, name) : NULL;
    return process && to_load(process) ? process : NULL;
}

static bool take_ticked(void *context, int64_t app, const char *name, const struct memory *memory,
                        const struct ledger_tick *last) {
    struct process *process = find_to_load(context, app, name);
    if (!process) return true;
    process->memory = *memory;
    if (last) load_last_tick(process, last);
    return true;
}

static bool take_act(void *context, const struct act *act) {
    struct process *process = find_to_load(context, act->app, act->process);
    if (process) load_act(context, process, act);
    return true;
}

/* Calls `each` for the processes of these apps that have to be loaded; returns how many. */
static int each_to_load(struct app_state **apps, int count, void (*each)(struct process *process)) {
    int found = 0;
    for (int i = 0; i < count; i++)
        for (int j = 0; j < apps[i]->process_count; j++) {
            struct process *process = apps[i]->processes[j];
            if (!to_load(process)) continue;
            found++;
            if (each) each(process);
        }
    return found;
}

static void load_begin(struct process *process) {
    memory_clear(&process->memory);
    process->boot_count = 0;
    process->phase = PHASE_NONE;
    process->loaded_tick_s = 0;
}

static void load_end(struct process *process) { process->loaded = true; }

static bool load_apps(struct control *control, struct app_state **apps, int count) {
    int64_t from = apps[0]->id, to = apps[count - 1]->id;
    each_to_load(apps, count, load_begin);
    if (!ledger_each_process(control->store, from, to, take_ticked, control) ||
        !act_each_last(control->store, from, to, take_act, control))
        return false;
    each_to_load(apps, count, load_end);
    return true;
}

bool processes_load(struct control *control) {
    bool ok = true;
    for (int i = 0; i < control->app_count; i++) {
        if (each_to_load(&control->apps[i], 1, NULL) == 0) continue;
        int count =
            control->app_count - i < LOADED_AT_ONCE ? control->app_count - i : LOADED_AT_ONCE;
        while (each_to_load(&control->apps[i + count - 1], 1, NULL) == 0) count--;
        ok = load_apps(control, control->apps + i, count) && ok; /* goes on with the other apps */
        i += count - 1;
    }
    return ok;
}
