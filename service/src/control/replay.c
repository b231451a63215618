#include "control/replay.h"

#include <stdlib.h>
#include <string.h>

enum { HOUR_S = 3600 }; /* the learned state is stored at the beginning of each */

struct replay {
    struct store *store;
    const struct app *app;
    bool (*each)(void *context, const struct replay_difference *difference);
    void *context;
    struct replay_counts *counts;
    struct rule_set *rules; /* of `version` */
    int64_t version;        /* -1: none was read */
    struct memory after;    /* as the previous tick left it */
    int64_t last_s;         /* of that tick; 0: none */
    int64_t from_s;         /* earlier ticks only rebuild the learned state */
    bool failed;
};

static void read_rules(struct replay *replay, int64_t version) {
    if (replay->version == version) return;
    int64_t found;
    char error[256], *text = rules_get(replay->store, replay->app->id, version, &found);
    rule_free(replay->rules);
    replay->rules =
        text ? rule_read(text, strlen(text), replay->app->zone, error, sizeof error) : NULL;
    replay->version = version;
    bool lacks = text && !replay->rules && strcmp(error, rule_no_memory) == 0;
    replay->failed = replay->failed || lacks || (!text && *store_error(replay->store));
    free(text);
}

static const struct rule *rule_of(struct replay *replay, const struct ledger_tick *tick) {
    read_rules(replay, tick->rules_version);
    const struct rule_process *process =
        replay->rules ? rule_process(replay->rules, tick->process) : NULL;
    bool there = process && tick->rule_number >= 0 && tick->rule_number < process->rule_count;
    return there ? &process->rules[tick->rule_number] : NULL;
}

/* The name of the first field that differs; NULL: none. */
static const char *difference(const struct decision *was, const struct decision *now) {
    if (was->action != now->action) return "action";
    if (was->from != now->from) return "from";
    if (was->to != now->to) return "to";
    if (was->form != now->form) return "form";
    if (strcmp(was->sentence, now->sentence) != 0) return "sentence";
    if (strcmp(was->next, now->next) != 0) return "next";
    return NULL;
}

static bool tell(struct replay *replay, const struct ledger_tick *was, const struct decision *now,
                 const char *what) {
    const struct replay_difference found = {was, now, what};
    return !replay->each || replay->each(replay->context, &found);
}

/* A tick continues from the memory of the tick before, unless that one is missing, as after a time
 * without a service or after the clock was set. */
static bool chained(const struct replay *replay, const struct ledger_tick *tick) {
    if (replay->last_s == 0 || tick->memory.last_tick != replay->last_s) return true;
    return memory_equal(&replay->after, &tick->memory);
}

static bool follows(const struct replay *replay, const struct ledger_tick *tick) {
    return replay->last_s != 0 && tick->memory.last_tick == replay->last_s;
}

/* Completes the memory that a tick was given. False: the learned state is unknown, because the tick
 * before is missing. */
static bool complete(struct replay *replay, struct ledger_tick *tick) {
    if (!tick->chained) return true;
    if (!follows(replay, tick)) return false;
    tick->memory.learned = replay->after.learned;
    tick->chained = 0;
    return true;
}

static bool decide_again(struct replay *replay, const struct ledger_tick *tick,
                         const struct rule *rule);

static bool replay_tick(void *context, const struct ledger_tick *stored) {
    struct replay *replay = context;
    struct ledger_tick whole = *stored, *tick = &whole;
    bool counts = stored->situation.now >= replay->from_s;
    if (counts) replay->counts->ticks++;
    if (!complete(replay, tick)) {
        replay->last_s = 0;
        if (!counts) return true;
        replay->counts->broken++;
        return tell(replay, stored, NULL, "memory");
    }
    const struct rule *rule = rule_of(replay, tick);
    if (!rule) {
        replay->last_s = 0;
        if (!counts) return !replay->failed;
        replay->counts->no_rules++;
        return tell(replay, tick, NULL, "rules") && !replay->failed;
    }
    if (counts) return decide_again(replay, tick, rule);
    struct decision before;
    replay->after = tick->memory;
    replay->last_s = tick->situation.now;
    decide(&tick->situation, rule, &replay->after, &before);
    return true;
}

static bool decide_again(struct replay *replay, const struct ledger_tick *tick,
                         const struct rule *rule) {
    struct decision now;
    bool going_on = true;
    if (!chained(replay, tick)) {
        replay->counts->broken++;
        going_on = tell(replay, tick, NULL, "memory");
    }
    replay->after = tick->memory;
    replay->last_s = tick->situation.now;
    decide(&tick->situation, rule, &replay->after, &now);
    const char *what = difference(&tick->decision, &now);
    if (!what) return going_on;
    replay->counts->different++;
    return going_on && tell(replay, tick, &now, what);
}

bool replay_run(struct store *store, const struct app *app, const char *process, int64_t from_s,
                int64_t to_s, bool (*each)(void *context, const struct replay_difference *),
                void *context, struct replay_counts *counts) {
    *counts = (struct replay_counts){0};
    struct replay replay = {.store = store,
                            .app = app,
                            .each = each,
                            .context = context,
                            .counts = counts,
                            .version = -1};
    int64_t hour_s = from_s > 0 ? from_s - from_s % HOUR_S : from_s;
    replay.from_s = from_s;
    bool ok = ledger_each(store, app->id, process, hour_s, to_s, false, replay_tick, &replay);
    rule_free(replay.rules);
    return ok && !replay.failed;
}
