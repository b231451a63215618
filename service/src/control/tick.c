/*
 * One tick. All processes are decided in memory; then everything is written in transactions of a
 * few hundred processes each, so that reports never wait for long. A decision that was not
 * committed does not count: its memory is dropped, and nothing is ordered.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "control/state.h"
#include "log.h"
#include "rules/week.h"

enum { MOST_IN_ONE = 256 };

/* Finds the rule in force and since when. */
static const struct rule *rule_in_force(struct process *process, int64_t now_s) {
    const struct app_state *app = process->app;
    int number = week_rule(process->rules, app->rules->zone, now_s);
    if (number != process->rule_number || app->rules_version != process->rules_version)
        process->rule_since_s = now_s;
    process->rule_number = number;
    process->rules_version = app->rules_version;
    return &process->rules->rules[number];
}

static void decide_one(struct control *control, struct process *process, int64_t now_s) {
    struct ledger_tick *tick = &process->tick;
    const struct rule *rule = rule_in_force(process, now_s);
    act_learn_boot(control, process, now_s);
    tick->app = process->app->id;
    memcpy(tick->process, process->name, sizeof tick->process);
    tick->rules_version = process->rules_version;
    tick->rule_number = process->rule_number;
    tick->memory = process->after = process->memory;
    situation_build(control, process, rule, now_s, &tick->situation);
    decide(&tick->situation, rule, &process->after, &tick->decision);
    process->ticked = true;
    process->answered = false;
    process->unanswered = process->app->platform && process->formation_ms < 0 && !*process->trouble;
}

static bool may_decide(const struct process *process) {
    return process->rules && !process->app->gone && process->loaded;
}

static void tell(const struct process *process) {
    const struct decision *decision = &process->tick.decision;
    bool again = process->tick.memory.wanted == decision->to;
    if (decision->action != DECISION_HOLD && !again)
        log_line(LOG_INFO, "control", "%s %s: %s", process->app->name, process->name,
                 decision->sentence);
}

static bool write_some(struct control *control, struct process **processes, int count,
                       int64_t now_s, bool *held) {
    int64_t epoch = control->epoch, until_ms = atomic_load(&control->lease_until_ms);
    bool ok = store_begin(control->store);
    bool taken = ok && lease_hold(control, now_s);
    /* If the store fails, that says nothing about who holds the lease. */
    *held = taken ? epoch == 0 || epoch == control->epoch : *store_error(control->store) != '\0';
    ok = taken && *held;
    /* All rows of one statement, then those of the next: the database parses each once. */
    for (int i = 0; i < count && ok; i++) ok = ledger_add(control->store, &processes[i]->tick);
    for (int i = 0; i < count && ok; i++)
        ok = ledger_remember(control->store, &processes[i]->tick, &processes[i]->after);
    for (int i = 0; i < count && ok; i++) ok = act_order(control, processes[i]);
    ok = ok && store_commit(control->store);
    if (ok) return true;
    store_rollback(control->store);
    lease_undo(control, epoch, until_ms);
    return false;
}

static void committed(struct control *control, struct process *process) {
    process->memory = process->after;
    act_ordered(process);
    tell(process);
    control->counts.decisions++;
}

void control_forget_all(struct control *control) {
    for (int i = 0; i < control->app_count; i++)
        for (int j = 0; j < control->apps[i]->process_count; j++)
            control->apps[i]->processes[j]->loaded = false;
}

static void write_all(struct control *control, struct process **processes, int count,
                      int64_t now_s) {
    bool held = true, failed = false;
    for (int from = 0; from < count && held; from += MOST_IN_ONE) {
        int some = count - from < MOST_IN_ONE ? count - from : MOST_IN_ONE;
        bool ok = write_some(control, processes + from, some, now_s, &held);
        for (int i = 0; i < some && ok; i++) committed(control, processes[from + i]);
        failed = failed || !ok; /* the answer may be lost although everything was written */
        if (!ok && held)
            log_line(LOG_ERROR, "control", "a tick of %d processes was not written: %s", some,
                     store_error(control->store));
    }
    if (!held || (control->follow && failed)) control_forget_all(control);
    if (!held && !control->standing_by)
        log_line(LOG_WARN, "control", "another dynoscaled acts on this data: this one stands by");
    control->standing_by = !held;
}

static int collect(struct control *control, bool answered, struct process **processes) {
    int count = 0;
    for (int i = 0; i < control->app_count; i++) {
        struct app_state *app = control->apps[i];
        for (int j = 0; j < app->process_count; j++) {
            struct process *process = app->processes[j];
            process->ticked = false;
            if (answered && !process->answered) continue;
            if (may_decide(process)) processes[count++] = process;
        }
    }
    return count;
}

static int process_count(const struct control *control) {
    int count = 0;
    for (int i = 0; i < control->app_count; i++) count += control->apps[i]->process_count;
    return count;
}

/* `answered`: decides only for processes whose last decision lacked an answer that has come now. */
static void decide_for(struct control *control, bool answered, int64_t now_s) {
    int most = process_count(control);
    struct process **processes = calloc((size_t)most + 1, sizeof *processes);
    if (!processes) return;
    /* First loads the processes of which the store knows more than this service. */
    if (!processes_load(control))
        log_line(LOG_ERROR, "control", "earlier decisions can't be read: %s",
                 store_error(control->store));
    int count = collect(control, answered, processes);
    for (int i = 0; i < count; i++) decide_one(control, processes[i], now_s);
    write_all(control, processes, count, now_s);
    free(processes);
}

/* One of several services decides; the others keep the live windows too, so that they can take over
 * at once. */
static void tick(struct control *control, bool answered, int64_t now_s) {
    bool read = !control->follow || follow_read(control->follow, control->store, now_s);
    if (!read)
        log_line(LOG_ERROR, "control", "new reports can't be read: %s",
                 store_error(control->store));
    if (read && lease_keep(control)) decide_for(control, answered, now_s);
    control->answered = false;
}

static bool was_ticked(const struct app_state *app) {
    for (int i = 0; i < app->process_count; i++)
        if (app->processes[i]->ticked) return true;
    return false;
}

void tick_all(struct control *control, int64_t now_s) {
    tick(control, false, now_s);
    live_expire(control->live, now_s);
    for (int i = 0; i < control->app_count && control->tell; i++)
        control->tell(control->tell_context, control->apps[i]->id);
}

void tick_answered(struct control *control, int64_t now_s) {
    tick(control, true, now_s);
    for (int i = 0; i < control->app_count && control->tell; i++)
        if (was_ticked(control->apps[i]))
            control->tell(control->tell_context, control->apps[i]->id);
}
