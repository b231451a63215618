/*
 * Why: the decisions of a process, one decision with everything that went into it, charts of the
 * numbers, and an app's events, which charts mark.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/resources.h"
#include "array.h"
#include "control/replay.h"
#include "store/ledger.h"

enum {
    HOUR_S = 3600,
    LONGEST_S = 32 * 86400,
    USUAL_TICKS = 500,
    MOST_TICKS = 10000,
    MOST_POINTS = 20000,
    MOST_EVENTS = 5000,
    MOST_DIFFERENCES = 100,
};

static const char *const actions[] = {"hold", "up", "down"};

static bool check_range(struct api_call *call, int64_t from_s, int64_t to_s) {
    if (from_s < to_s && to_s - from_s <= LONGEST_S) return true;
    api_problem(call, 400, "the field “from” must be before “to”, at most %d days",
                LONGEST_S / 86400);
    return false;
}

/* ---- The rules of a tick --------------------------------------------------------------------- */

/* The rules of the version last asked for: consecutive ticks mostly share it. */
struct rules_cache {
    struct store *store;
    const struct app *app;
    int64_t version;
    struct rule_set *set;
};

static const struct rule *rule_of(struct rules_cache *cache, const struct ledger_tick *tick) {
    if (!cache->set || cache->version != tick->rules_version) {
        rule_free(cache->set);
        cache->set = api_rules(cache->store, cache->app, tick->rules_version, NULL, NULL);
        cache->version = tick->rules_version;
    }
    const struct rule_process *process =
        cache->set ? rule_process(cache->set, tick->process) : NULL;
    return process && tick->rule_number >= 0 && tick->rule_number < process->rule_count
               ? &process->rules[tick->rule_number]
               : NULL;
}

/* ---- The list -------------------------------------------------------------------------------- */

struct listing {
    struct api_call *call;
    struct rules_cache rules;
    int64_t left, next_s;
    bool first;
};

static void put_tick(struct text *text, const struct ledger_tick *tick, const struct rule *rule) {
    const struct situation *now = &tick->situation;
    text_format(text, "{\"t\":%" PRId64 ",\"action\":\"%s\",\"from\":", now->now,
                actions[tick->decision.action]);
    api_put_known(text, tick->decision.from);
    text_put(text, ",\"to\":");
    api_put_known(text, tick->decision.to);
    text_format(text, ",\"scaling\":%s,\"sentence\":", now->scaling ? "true" : "false");
    text_json(text, tick->decision.sentence);
    text_put(text, ",\"next\":");
    text_json(text, tick->decision.next);
    text_put(text, ",\"ms\":");
    api_put_known(text, now->value_ms);
    text_format(text, ",\"rules_version\":%" PRId64 ",\"rule\":", tick->rules_version);
    text_json(text, rule ? rule->name : NULL);
}

static bool list_tick(void *context, const struct ledger_tick *tick) {
    struct listing *listing = context;
    struct text *text = &listing->call->answer;
    if (listing->left-- == 0) {
        listing->next_s = tick->situation.now;
        return false;
    }
    if (!listing->first) text_char(text, ',');
    listing->first = false;
    put_tick(text, tick, rule_of(&listing->rules, tick));
    text_char(text, '}');
    return !text->failed;
}

void ledger_list(struct api_call *call) {
    call->packs = true;
    int64_t from_s = call->now_s - HOUR_S, to_s = call->now_s + 1, limit = USUAL_TICKS;
    bool changes = false;
    const struct field fields[] = {
        {.name = "from", .kind = FIELD_TIME, .to = &from_s},
        {.name = "to", .kind = FIELD_TIME, .to = &to_s},
        {.name = "changes", .kind = FIELD_BOOL, .to = &changes},
        {.name = "limit", .kind = FIELD_INTEGER, .least = 1, .most = MOST_TICKS, .to = &limit},
    };
    if (!input_query(call, fields, INPUT_COUNT(fields)) || !check_range(call, from_s, to_s)) return;
    struct listing listing = {call, {call->store, &call->app, 0, NULL}, limit, 0, true};
    text_put(&call->answer, "{\"ticks\":[");
    bool done = ledger_each(call->store, call->app.id, call->parameters[1], from_s, to_s, changes,
                            list_tick, &listing);
    rule_free(listing.rules.set);
    if (!done) {
        api_store_failed(call);
        return;
    }
    text_put(&call->answer, "],\"next_from\":");
    api_put_time(&call->answer, listing.next_s);
    text_char(&call->answer, '}');
}

/* ---- One of them ----------------------------------------------------------------------------- */

static void put_input(struct text *text, const char *name, int64_t value, const char *meaning) {
    if (text_last(text) != '[') text_char(text, ',');
    text_format(text, "{\"name\":\"%s\",\"value\":%" PRId64 ",\"meaning\":\"%s\"}", name, value,
                meaning);
}

static void put_inputs(struct text *text, const struct ledger_tick *tick) {
    text_put(text, ",\"situation\":[");
#define X(number, name, unknown, meaning) put_input(text, #name, tick->situation.name, meaning);
    SITUATION_FIELDS(X)
#undef X
    text_put(text, "],\"queue\":");
    text_json(text, tick->situation.queue[0] ? tick->situation.queue : NULL);
    text_put(text, ",\"trouble\":");
    text_json(text, tick->situation.trouble[0] ? tick->situation.trouble : NULL);
    text_put(text, ",\"memory\":[");
#define X(number, name, unknown, meaning) put_input(text, #name, tick->memory.name, meaning);
    MEMORY_FIELDS(X)
#undef X
    text_char(text, ']');
}

void ledger_explain(struct api_call *call) {
    int64_t at_s = call->now_s;
    struct ledger_tick tick;
    const struct field fields[] = {{.name = "at", .kind = FIELD_TIME, .to = &at_s}};
    if (!input_query(call, fields, INPUT_COUNT(fields))) return;
    if (!ledger_last(call->store, call->app.id, call->parameters[1], at_s, &tick)) {
        api_problem(call, 404, "nothing was decided for %.64s of %s at that time or before it",
                    call->parameters[1], call->app.name);
        return;
    }
    struct rules_cache cache = {call->store, &call->app, 0, NULL};
    const struct rule *rule = rule_of(&cache, &tick);
    put_tick(&call->answer, &tick, rule);
    text_put(&call->answer, ",\"rule_in_force\":");
    if (rule) api_put_rule(&call->answer, rule, tick.rule_number);
    else text_put(&call->answer, "null");
    put_inputs(&call->answer, &tick);
    text_char(&call->answer, '}');
    rule_free(cache.set);
}

/* ---- Decided again --------------------------------------------------------------------------- */

struct replaying {
    struct text *text;
    int count;
};

static bool put_difference(void *context, const struct replay_difference *difference) {
    struct replaying *replaying = context;
    struct text *text = replaying->text;
    if (replaying->count == MOST_DIFFERENCES) return true; /* counted, not shown */
    if (replaying->count++ > 0) text_char(text, ',');
    text_format(text, "{\"t\":%" PRId64 ",\"what\":", difference->was->situation.now);
    text_json(text, difference->what);
    text_put(text, ",\"was\":");
    text_json(text, difference->was->decision.sentence);
    text_put(text, ",\"now\":");
    text_json(text, difference->now ? difference->now->sentence : NULL);
    text_char(text, '}');
    return true;
}

void ledger_replay(struct api_call *call) {
    int64_t from_s = call->now_s - HOUR_S, to_s = call->now_s + 1;
    struct replay_counts counts = {0};
    struct replaying replaying = {&call->answer, 0};
    const struct field fields[] = {
        {.name = "from", .kind = FIELD_TIME, .to = &from_s},
        {.name = "to", .kind = FIELD_TIME, .to = &to_s},
    };
    if (!input_query(call, fields, INPUT_COUNT(fields)) || !check_range(call, from_s, to_s)) return;
    text_put(&call->answer, "{\"differences\":[");
    if (!replay_run(call->store, &call->app, call->parameters[1], from_s, to_s, put_difference,
                    &replaying, &counts)) {
        api_store_failed(call);
        return;
    }
    bool same = counts.different == 0 && counts.broken == 0 && counts.no_rules == 0;
    text_format(&call->answer,
                "],\"same\":%s,\"ticks\":%" PRId64 ",\"different\":%" PRId64 ",\"broken\":%" PRId64
                ",\"no_rules\":%" PRId64 "}",
                same ? "true" : "false", counts.ticks, counts.different, counts.broken,
                counts.no_rules);
}

/* ---- Their numbers --------------------------------------------------------------------------- */

struct charting {
    struct text *text;
    struct rules_cache rules;
    int64_t step_s, from_s;
    int64_t slot_s; /* of `last`; -1: none */
    struct ledger_tick last;
    const struct rule *rule; /* of `last` */
    bool first;
};

static void put_number(struct text *text, const char *name, int64_t value) {
    text_format(text, ",\"%s\":", name);
    api_put_known(text, value);
}

static void end_slot(struct charting *charting) {
    struct text *text = charting->text;
    const struct situation *now = &charting->last.situation;
    if (charting->slot_s < 0) return;
    charting->rule = rule_of(&charting->rules, &charting->last);
    if (!charting->first) text_char(text, ',');
    charting->first = false;
    text_format(text, "{\"t\":%" PRId64, charting->slot_s);
    put_number(text, "ordered", now->ordered);
    put_number(text, "up", now->up);
    put_number(text, "booting", now->booting);
    put_number(text, "wanted", charting->last.decision.to);
    put_number(text, "ms", now->value_ms);
    if (charting->rule) {
        put_number(text, "min", charting->rule->min);
        put_number(text, "max", charting->rule->max);
        put_number(text, "up_ms", charting->rule->up.threshold_ms);
        put_number(text, "down_ms", charting->rule->down.threshold_ms);
        text_put(text, ",\"rule\":");
        text_json(text, charting->rule->name);
    }
    text_format(text, ",\"scaling\":%s}", now->scaling ? "true" : "false");
}

/* A slot of the chart shows its last tick. */
static bool chart_tick(void *context, const struct ledger_tick *tick) {
    struct charting *charting = context;
    int64_t slot_s = tick->situation.now - tick->situation.now % charting->step_s;
    if (slot_s != charting->slot_s) end_slot(charting);
    charting->slot_s = slot_s;
    charting->last = *tick;
    return !charting->text->failed;
}

void ledger_chart(struct api_call *call) {
    call->packs = true;
    int64_t from_s = call->now_s - HOUR_S, to_s = call->now_s + 1, step_s = 10;
    const struct field fields[] = {
        {.name = "from", .kind = FIELD_TIME, .to = &from_s},
        {.name = "to", .kind = FIELD_TIME, .to = &to_s},
        {.name = "step", .kind = FIELD_INTEGER, .least = 10, .most = 86400, .to = &step_s},
    };
    if (!input_query(call, fields, INPUT_COUNT(fields)) || !check_range(call, from_s, to_s)) return;
    if ((to_s - from_s) / step_s > MOST_POINTS) {
        api_problem(call, 400, "the field “step” must be larger: at most %d points are given",
                    MOST_POINTS);
        return;
    }
    struct charting charting = {.text = &call->answer,
                                .rules = {call->store, &call->app, 0, NULL},
                                .step_s = step_s,
                                .slot_s = -1,
                                .first = true};
    text_format(&call->answer, "{\"step\":%" PRId64 ",\"points\":[", step_s);
    bool done = ledger_each(call->store, call->app.id, call->parameters[1], from_s, to_s, false,
                            chart_tick, &charting);
    end_slot(&charting);
    rule_free(charting.rules.set);
    if (done) text_put(&call->answer, "]}");
    else api_store_failed(call);
}

/* ---- What happened to an app ----------------------------------------------------------------- */

struct event {
    int64_t at_s;
    struct text json;
};

struct events {
    struct api_call *call;
    int64_t from_s, to_s;
    struct event *items;
    size_t count, room;
    bool failed, cut;
    char process[RULE_PROCESS_SIZE];
    int64_t outside_s, release_s; /* last told */
};

/* Begins the JSON of a new event; NULL: there are too many, or no memory. */
static struct text *new_event(struct events *events, int64_t at_s, const char *kind) {
    if (events->count == MOST_EVENTS) {
        events->cut = true;
        return NULL;
    }
    void *array =
        array_grown(events->items, &events->room, events->count + 1, sizeof *events->items);
    if (!array) {
        events->failed = true;
        return NULL;
    }
    events->items = array;
    struct event *event = &events->items[events->count++];
    *event = (struct event){.at_s = at_s};
    text_format(&event->json, "{\"t\":%" PRId64 ",\"kind\":\"%s\"", at_s, kind);
    return &event->json;
}

static void put_process(struct text *text, const struct events *events) {
    text_put(text, ",\"process\":");
    text_json(text, events->process);
}

/* Each situation holds the age of the last outside change and of the last release; each becomes one
 * event. */
static void note_age(struct events *events, const struct ledger_tick *tick, int64_t age,
                     int64_t *told_s, const char *kind) {
    int64_t at_s = tick->situation.now - age;
    if (age < 0 || at_s < events->from_s || at_s >= events->to_s) return;
    if (*told_s > 0 && at_s - *told_s < 15) return;
    *told_s = at_s;
    struct text *text = new_event(events, at_s, kind);
    if (!text) return;
    put_process(text, events);
    text_put(text, ",\"dynos\":");
    api_put_known(text, tick->situation.ordered);
    text_char(text, '}');
}

static bool note_tick(void *context, const struct ledger_tick *tick) {
    struct events *events = context;
    const struct situation *now = &tick->situation;
    note_age(events, tick, now->outside_age, &events->outside_s, "outside");
    note_age(events, tick, now->release_age, &events->release_s, "release");
    if (tick->decision.action == DECISION_HOLD) return !events->failed;
    struct text *text = new_event(events, now->now, now->scaling ? "scaling" : "shadow");
    if (!text) return !events->failed;
    put_process(text, events);
    text_put(text, ",\"from\":");
    api_put_known(text, tick->decision.from);
    text_put(text, ",\"to\":");
    api_put_known(text, tick->decision.to);
    text_put(text, ",\"sentence\":");
    text_json(text, tick->decision.sentence);
    text_char(text, '}');
    return !events->failed;
}

static bool note_change(void *context, int64_t id, int64_t at_s, const char *who, int64_t app,
                        const char *what, const char *difference) {
    struct events *events = context;
    (void)id;
    (void)app;
    if (at_s < events->from_s) return false;
    if (at_s >= events->to_s) return true;
    struct text *text = new_event(events, at_s, "change");
    if (!text) return false;
    text_put(text, ",\"who\":");
    text_json(text, who);
    text_put(text, ",\"what\":");
    text_json(text, what);
    text_put(text, ",\"changes\":");
    api_put_lines(text, difference);
    text_char(text, '}');
    return true;
}

static bool note_act(void *context, const struct act *act) {
    struct events *events = context;
    struct text *text = new_event(events, act->ordered_s, "act");
    if (!text) return false;
    put_process(text, events);
    text_format(text, ",\"from\":%d,\"to\":%d,\"state\":\"%s\",\"ended\":", act->from, act->to,
                act_state_name(act->state));
    api_put_time(text, act->ended_s);
    text_put(text, ",\"trouble\":");
    text_json(text, act->trouble[0] ? act->trouble : NULL);
    text_char(text, '}');
    return true;
}

static bool collect(struct events *events) {
    struct api_call *call = events->call;
    struct rule_set *set = api_rules(call->store, &call->app, 0, NULL, NULL);
    bool done = audit_each(call->store, call->app.id, 0, MOST_EVENTS, note_change, events);
    for (int i = 0; done && set && i < set->process_count; i++) {
        snprintf(events->process, sizeof events->process, "%s", set->processes[i].name);
        events->outside_s = events->release_s = 0;
        done = ledger_each(call->store, call->app.id, events->process, events->from_s, events->to_s,
                           false, note_tick, events) &&
               act_each(call->store, call->app.id, events->process, events->from_s, events->to_s,
                        note_act, events);
    }
    rule_free(set);
    return done;
}

static int by_time(const void *one, const void *other) {
    int64_t first = ((const struct event *)one)->at_s, second = ((const struct event *)other)->at_s;
    return (first > second) - (first < second);
}

void events_list(struct api_call *call) {
    call->packs = true;
    struct events events = {.call = call, .from_s = call->now_s - 86400, .to_s = call->now_s + 1};
    const struct field fields[] = {
        {.name = "from", .kind = FIELD_TIME, .to = &events.from_s},
        {.name = "to", .kind = FIELD_TIME, .to = &events.to_s},
    };
    if (!input_query(call, fields, INPUT_COUNT(fields)) ||
        !check_range(call, events.from_s, events.to_s))
        return;
    if (!collect(&events)) api_store_failed(call);
    if (events.count > 0) qsort(events.items, events.count, sizeof *events.items, by_time);
    if (!api_failed(call)) {
        text_put(&call->answer, "{\"events\":[");
        for (size_t i = 0; i < events.count; i++) {
            if (i > 0) text_char(&call->answer, ',');
            text_put(&call->answer, events.items[i].json.bytes ? events.items[i].json.bytes : "");
        }
        text_format(&call->answer, "],\"cut\":%s}", events.cut ? "true" : "false");
    }
    for (size_t i = 0; i < events.count; i++) {
        if (events.items[i].json.failed) events.failed = true;
        text_free(&events.items[i].json);
    }
    if (events.failed) api_no_memory();
    free(events.items);
}

void events_stream(struct api_call *call) {
    const char *name = NULL;
    struct app app = {.id = call->who.app};
    const struct field fields[] = {{.name = "app", .kind = FIELD_TEXT, .to = &name}};
    if (!input_query(call, fields, INPUT_COUNT(fields))) return;
    if (name &&
        (!app_by_name(call->store, name, &app) || (call->who.app && call->who.app != app.id))) {
        api_problem(call, 404, "there is no app “%.100s”", name);
        return;
    }
    call->stream = true;
    call->stream_app = app.id;
    call->type = "text/event-stream";
}
