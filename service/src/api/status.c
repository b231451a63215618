/*
 * What is happening, from the last tick of the ledger, the rules and what people ordered: of a
 * process, of an app, and as the number for other scalers.
 */
#include "api/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/resources.h"
#include "rules/week.h"
#include "store/series.h"

/* Ticks come each ten seconds: after a minute without one, nobody decides. */
enum { TICK_STALE_S = 60, REPORT_STALE_S = 180, LIVE_S = 15 * 60 };

static const char *const state_names[] = {"trouble", "stale", "maximum", "waiting", "paused",
                                          "boosted", "ok",    "off",     "none"};

/* ---- One process ----------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void
say(struct status *status, enum status_state state, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(status->words, sizeof status->words, format, arguments);
    va_end(arguments);
    status->state = state;
}

static bool at_maximum(const struct status *status) {
    const struct situation *now = &status->tick.situation;
    return now->ordered >= status->rule->max && now->value_ms > status->rule->up.threshold_ms;
}

/* Whether the current state is unknown: no decisions are made, or no reports come. */
static bool judge_silence(struct status *status) {
    const struct situation *now = &status->tick.situation;
    int64_t heard_age = status->ticked ? status_age(status, now->heard_age) : -1;
    char span[TEXT_SPAN_SIZE];
    if (status->ticked && status->age_s > TICK_STALE_S) {
        text_span(span, status->age_s);
        say(status, STATE_STALE, "nothing has been decided for %s: does the service run?", span);
    } else if (status->silent_s) {
        text_span(span, status->silent_s);
        say(status, STATE_STALE, "no report for %s", span);
    } else if (heard_age < 0) {
        say(status, STATE_WAITING,
            status->came ? "reports have come, and are in the next decision"
                         : "waiting for the first report");
    } else if (heard_age > REPORT_STALE_S && !now->trouble[0]) {
        text_span(span, heard_age);
        say(status, STATE_STALE, "no report for %s", span);
    } else {
        return false;
    }
    return true;
}

static void judge(struct status *status) {
    const struct situation *now = &status->tick.situation;
    const struct process_orders *orders = &status->orders;
    enum decision_action action = status->tick.decision.action;
    if (judge_silence(status)) return;
    if (now->trouble[0]) say(status, STATE_TROUBLE, "%s", now->trouble);
    else if (!status->process->scaling) say(status, STATE_OFF, "off: decided and shown, not done");
    else if (orders->boost >= 0)
        say(status, STATE_BOOSTED, "boosted to %d by %s", orders->boost, orders->boost_by);
    else if (orders->paused)
        say(status, STATE_PAUSED, "%s paused by %s",
            orders->paused == 1 ? "scaling down is" : "scaling is", orders->paused_by);
    else if (at_maximum(status))
        say(status, STATE_MAXIMUM, "at its maximum of %d", status->rule->max);
    else
        say(status, STATE_OK,
            action == DECISION_UP     ? "going up"
            : action == DECISION_DOWN ? "going down"
                                      : "holding");
}

static void end_orders(struct process_orders *orders, int64_t now_s) {
    if (orders->paused && orders->paused_until_s > 0 && now_s >= orders->paused_until_s)
        orders->paused = 0;
    if (orders->boost >= 0 && orders->boost_until_s > 0 && now_s >= orders->boost_until_s)
        orders->boost = -1;
}

struct newest {
    bool web;
    int64_t at_s;
};

static void note_newest(void *context, int64_t series, const char *source, const char *signal,
                        int64_t newest_s) {
    struct newest *newest = context;
    (void)series, (void)signal;
    if ((strcmp(source, "web") == 0) == newest->web && newest_s > newest->at_s)
        newest->at_s = newest_s;
}

/* Ticks see only 15 minutes back. Older measurements are in the store, which knows the newest one
 * to half an hour. A report since the last tick is seen by the next one: that is no silence. */
static void find_silence(struct status *status, struct store *store, const struct app *app,
                         int64_t now_s) {
    struct newest newest = {.web = strcmp(status->process->name, "web") == 0};
    if (status->ticked && status->tick.situation.heard_age >= 0) return;
    if (!series_each(store, app->id, note_newest, &newest) || !newest.at_s) return;
    status->came = now_s - newest.at_s <= LIVE_S;
    if (!status->came) status->silent_s = now_s - newest.at_s;
}

void status_find(struct status *status, struct store *store, const struct app *app,
                 const struct rule_set *set, const struct rule_process *process, int64_t now_s) {
    memset(status, 0, sizeof *status);
    status->process = process;
    status->rule_number = week_rule(process, set->zone, now_s);
    status->rule = &process->rules[status->rule_number];
    status->rule_until_s = week_until(process, set->zone, now_s);
    orders_get(store, app->id, process->name, &status->orders);
    end_orders(&status->orders, now_s);
    status->ticked = ledger_last(store, app->id, process->name, now_s, &status->tick);
    status->age_s = status->ticked ? now_s - status->tick.situation.now : 0;
    find_silence(status, store, app, now_s);
    judge(status);
}

static void put_dynos(struct text *text, const struct status *status) {
    const struct situation *now = &status->tick.situation;
    if (!status->ticked) {
        text_put(text, "null");
        return;
    }
    text_put(text, "{\"ordered\":");
    api_put_known(text, now->ordered);
    text_put(text, ",\"up\":");
    api_put_known(text, now->up);
    text_put(text, ",\"booting\":");
    api_put_known(text, now->booting);
    text_put(text, ",\"stopping\":");
    api_put_known(text, now->stopping);
    text_put(text, ",\"wanted\":");
    api_put_known(text, status->tick.decision.to);
    text_put(text, ",\"heard\":");
    api_put_known(text, now->dynos_heard);
    text_put(text, ",\"limit\":");
    api_put_known(text, now->limit);
    text_put(text, ",\"read_age\":");
    api_put_known(text, status_age(status, now->formation_age));
    text_char(text, '}');
}

static const char *const statistic_names[] = {"p50", "p75", "p90", "p95", "p99", "mean"};

static void put_queue_time(struct text *text, const struct status *status) {
    const struct situation *now = &status->tick.situation;
    if (!status->ticked) {
        text_put(text, "null");
        return;
    }
    text_format(text, "{\"statistic\":\"%s\",\"window\":%d,\"ms\":",
                statistic_names[status->rule->statistic], status->rule->window_s);
    api_put_known(text, now->value_ms);
    text_put(text, ",\"samples\":");
    text_int(text, now->samples < 0 ? 0 : now->samples);
    text_put(text, ",\"queue\":");
    text_json(text, now->queue[0] ? now->queue : NULL);
    text_put(text, ",\"heard_age\":");
    api_put_known(text, status_age(status, now->heard_age));
    text_char(text, '}');
}

static void put_orders(struct text *text, const struct process_orders *orders) {
    text_put(text, ",\"paused\":");
    if (orders->paused) {
        text_format(text,
                    "{\"direction\":\"%s\",\"until\":", orders->paused == 1 ? "down" : "both");
        api_put_time(text, orders->paused_until_s);
        text_put(text, ",\"by\":");
        text_json(text, orders->paused_by);
        text_char(text, '}');
    } else {
        text_put(text, "null");
    }
    text_put(text, ",\"boost\":");
    if (orders->boost >= 0) {
        text_format(text, "{\"dynos\":%d,\"until\":", orders->boost);
        api_put_time(text, orders->boost_until_s);
        text_put(text, ",\"by\":");
        text_json(text, orders->boost_by);
        text_char(text, '}');
    } else {
        text_put(text, "null");
    }
}

static void put_act(struct text *text, struct store *store, const struct app *app,
                    const char *process) {
    struct act act;
    if (!act_last(store, app->id, process, &act)) {
        text_put(text, "null");
        return;
    }
    text_format(text, "{\"from\":%d,\"to\":%d,\"state\":\"%s\",\"ordered\":%" PRId64 ",\"ended\":",
                act.from, act.to, act_state_name(act.state), act.ordered_s);
    api_put_time(text, act.ended_s);
    text_format(text, ",\"tries\":%d,\"trouble\":", act.tries);
    text_json(text, act.trouble[0] ? act.trouble : NULL);
    text_char(text, '}');
}

static void put_process(struct text *text, const struct status *status, struct store *store,
                        const struct app *app, const struct rule_set *set) {
    const struct decision *decision = &status->tick.decision;
    text_put(text, "{\"process\":");
    text_json(text, status->process->name);
    text_format(text, ",\"scaling\":%s,\"state\":\"%s\",\"words\":",
                status->process->scaling ? "true" : "false", state_names[status->state]);
    text_json(text, status->words);
    text_put(text, ",\"decided\":");
    api_put_time(text, status->ticked ? status->tick.situation.now : 0);
    text_put(text, ",\"sentence\":");
    text_json(text, status->ticked ? decision->sentence : NULL);
    text_put(text, ",\"next\":");
    text_json(text, status->ticked && decision->next[0] ? decision->next : NULL);
    text_put(text, ",\"dynos\":");
    put_dynos(text, status);
    text_put(text, ",\"queue_time\":");
    put_queue_time(text, status);
    text_put(text, ",\"rule\":");
    api_put_rule(text, status->rule, status->rule_number);
    text_put(text, ",\"rule_until\":");
    api_put_time(text, status->rule_until_s == INT64_MAX ? 0 : status->rule_until_s);
    text_put(text, ",\"rule_then\":");
    if (status->rule_until_s == INT64_MAX) {
        text_put(text, "null");
    } else {
        int then = week_rule(status->process, set->zone, status->rule_until_s);
        api_put_rule(text, &status->process->rules[then], then);
    }
    put_orders(text, &status->orders);
    text_put(text, ",\"act\":");
    put_act(text, store, app, status->process->name);
    text_put(text, ",\"below_since\":");
    api_put_time(text, status->ticked ? status->tick.memory.below_since : 0);
    text_char(text, '}');
}

/* ---- An app ---------------------------------------------------------------------------------- */

static void put_processes(struct text *text, struct store *store, const struct app *app,
                          const struct rule_set *set, int64_t now_s, enum status_state *worst,
                          char *words, size_t size) {
    struct status status;
    text_char(text, '[');
    for (int i = 0; set && i < set->process_count; i++) {
        if (i > 0) text_char(text, ',');
        status_find(&status, store, app, set, &set->processes[i], now_s);
        put_process(text, &status, store, app, set);
        if (status.state >= *worst) continue;
        *worst = status.state;
        snprintf(words, size, "%s: %s", status.process->name, status.words);
    }
    text_char(text, ']');
}

void api_put_app(struct text *text, struct store *store, const struct app *app, int64_t now_s) {
    struct text processes = TEXT_EMPTY;
    enum status_state worst = STATE_NONE;
    char words[500] = "no rules yet";
    int64_t version = 0;
    char *kind = NULL, *settings = NULL;
    void *sealed = NULL;
    size_t length;
    struct rule_set *set = api_rules(store, app, 0, &version, NULL);
    put_processes(&processes, store, app, set, now_s, &worst, words, sizeof words);
    bool platform = platform_get(store, app->id, &kind, &settings, &sealed, &length);
    text_put(text, "{\"name\":");
    text_json(text, app->name);
    text_put(text, ",\"zone\":");
    text_json(text, app->zone);
    text_format(text, ",\"created\":%" PRId64 ",\"now\":%" PRId64 ",\"state\":\"%s\",\"words\":",
                app->created_s, now_s, state_names[worst]);
    text_json(text, words);
    text_format(text, ",\"rules_version\":%" PRId64 ",\"platform\":", version);
    text_json(text, platform ? kind : NULL);
    text_put(text, ",\"processes\":");
    text_put(text, processes.bytes ? processes.bytes : "[]");
    text_char(text, '}');
    if (processes.failed) text->failed = true;
    text_free(&processes);
    rule_free(set);
    free(kind);
    free(settings);
    free(sealed);
}

bool api_event(struct text *text, struct store *store, int64_t app_id, int64_t now_s) {
    struct app app;
    if (!app_by_id(store, app_id, &app)) return false;
    api_put_app(text, store, &app, now_s);
    return !text->failed;
}

void processes_list(struct api_call *call) {
    call->packs = true;
    enum status_state worst = STATE_NONE;
    char words[500];
    if (!input_query(call, NULL, 0)) return;
    struct rule_set *set = api_rules(call->store, &call->app, 0, NULL, NULL);
    text_format(&call->answer, "{\"now\":%" PRId64 ",\"processes\":", call->now_s);
    put_processes(&call->answer, call->store, &call->app, set, call->now_s, &worst, words,
                  sizeof words);
    text_char(&call->answer, '}');
    rule_free(set);
}

void processes_show(struct api_call *call) {
    struct rule_set *set;
    struct status status;
    if (!input_query(call, NULL, 0)) return;
    const struct rule_process *process = api_process(call, &set);
    if (!process) return;
    status_find(&status, call->store, &call->app, set, process, call->now_s);
    put_process(&call->answer, &status, call->store, &call->app, set);
    rule_free(set);
}

/* ---- For other scalers ----------------------------------------------------------------------- */

void processes_wanted(struct api_call *call) {
    struct rule_set *set;
    struct status status;
    if (!input_query(call, NULL, 0)) return;
    const struct rule_process *process = api_process(call, &set);
    if (!process) return;
    status_find(&status, call->store, &call->app, set, process, call->now_s);
    /* With scaling off, the decision is only shown, and other scalers must not act on it either. */
    int64_t wanted = !status.ticked     ? -1
                     : process->scaling ? status.tick.decision.to
                                        : status.tick.situation.ordered;
    rule_free(set);
    if (wanted < 0) {
        api_problem(call, 503, "how many dynos %s of %s should have is not known yet",
                    call->parameters[1], call->app.name);
    } else if (status.age_s > TICK_STALE_S) {
        api_problem(call, 503, "the last decision is %" PRId64 " s old", status.age_s);
    } else {
        text_format(&call->answer, "{\"wanted\":%" PRId64 ",\"current\":", wanted);
        api_put_known(&call->answer, status.tick.situation.ordered);
        text_put(&call->answer, ",\"reason\":");
        text_json(&call->answer, status.tick.decision.sentence);
        text_char(&call->answer, '}');
    }
}
