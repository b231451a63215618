/*
 * What is happening, from the last tick of the ledger, the rules and what people ordered: of a
 * process, of an app, as the number for other scalers, and for Prometheus.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/resources.h"
#include "rules/week.h"
#include "store/ledger.h"
#include "store/series.h"

/* Ticks come each ten seconds: after a minute without one, nobody decides. */
enum { TICK_STALE_S = 60, REPORT_STALE_S = 180, LIVE_S = 15 * 60 };

/* In the order in which they need somebody: what comes first is the app's state. */
enum state {
    STATE_TROUBLE,
    STATE_STALE,
    STATE_MAXIMUM,
    STATE_WAITING,
    STATE_PAUSED,
    STATE_BOOSTED,
    STATE_OK,
    STATE_OFF,
    STATE_NONE,
};
static const char *const state_names[] = {"trouble", "stale", "maximum", "waiting", "paused",
                                          "boosted", "ok",    "off",     "none"};

struct status {
    const struct rule_process *process;
    const struct rule *rule; /* in force */
    int rule_number;
    int64_t rule_until_s; /* INT64_MAX: no end */
    struct process_orders orders;
    bool ticked;
    struct ledger_tick tick;
    int64_t age_s;    /* of the tick */
    int64_t silent_s; /* where ticks know of no report any more, but there were some; else 0 */
    bool came;        /* the last tick knew of no report, and one has come since */
    enum state state;
    char words[400];
};

/* ---- One process ----------------------------------------------------------------------------- */

static void put_span(char *text, size_t size, int64_t seconds) {
    if (seconds < 120) snprintf(text, size, "%" PRId64 " s", seconds);
    else if (seconds < 7200) snprintf(text, size, "%" PRId64 " min", seconds / 60);
    else if (seconds < 172800) snprintf(text, size, "%" PRId64 " h", seconds / 3600);
    else snprintf(text, size, "%" PRId64 " days", seconds / 86400);
}

/* Age of something at the tick, as of now. */
static int64_t now_age(const struct status *status, int64_t age) {
    return age < 0 ? -1 : age + status->age_s;
}

static bool at_maximum(const struct status *status) {
    const struct situation *now = &status->tick.situation;
    return now->ordered >= status->rule->max && now->value_ms > status->rule->up.threshold_ms;
}

static void judge(struct status *status) {
    const struct situation *now = &status->tick.situation;
    char span[32], *words = status->words;
    size_t size = sizeof status->words;
    int64_t heard_age = status->ticked ? now_age(status, now->heard_age) : -1;
    put_span(span, sizeof span, heard_age);
    if (status->ticked && status->age_s > TICK_STALE_S) {
        status->state = STATE_STALE;
        put_span(span, sizeof span, status->age_s);
        snprintf(words, size, "nothing has been decided for %s: does the service run?", span);
    } else if (status->silent_s) {
        status->state = STATE_STALE;
        put_span(span, sizeof span, status->silent_s);
        snprintf(words, size, "no report for %s", span);
    } else if (!status->ticked || heard_age < 0) {
        status->state = STATE_WAITING;
        snprintf(words, size,
                 status->came ? "reports have come, and are in the next decision"
                              : "waiting for the first report");
    } else if (now->trouble[0]) {
        status->state = STATE_TROUBLE;
        snprintf(words, size, "%s", now->trouble);
    } else if (heard_age > REPORT_STALE_S) {
        status->state = STATE_STALE;
        snprintf(words, size, "no report for %s", span);
    } else if (!status->process->scaling) {
        status->state = STATE_OFF;
        snprintf(words, size, "off: decided and shown, not done");
    } else if (status->orders.boost >= 0) {
        status->state = STATE_BOOSTED;
        snprintf(words, size, "boosted to %d by %s", status->orders.boost, status->orders.boost_by);
    } else if (status->orders.paused) {
        status->state = STATE_PAUSED;
        snprintf(words, size, "%s paused by %s",
                 status->orders.paused == 1 ? "scaling down is" : "scaling is",
                 status->orders.paused_by);
    } else if (at_maximum(status)) {
        status->state = STATE_MAXIMUM;
        snprintf(words, size, "at its maximum of %d", status->rule->max);
    } else {
        status->state = STATE_OK;
        snprintf(words, size, "%s",
                 status->tick.decision.action == DECISION_UP     ? "going up"
                 : status->tick.decision.action == DECISION_DOWN ? "going down"
                                                                 : "holding");
    }
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

/* Ticks see 15 minutes back; what was measured before is in the store, its newest moment known to
 * half an hour. What came since the last tick is known by the next one: that is no silence. */
static void find_silence(struct status *status, struct store *store, const struct app *app,
                         int64_t now_s) {
    struct newest newest = {.web = strcmp(status->process->name, "web") == 0};
    if (status->ticked && status->tick.situation.heard_age >= 0) return;
    if (!series_each(store, app->id, note_newest, &newest) || !newest.at_s) return;
    status->came = now_s - newest.at_s <= LIVE_S;
    if (!status->came) status->silent_s = now_s - newest.at_s;
}

static void find_status(struct status *status, struct store *store, const struct app *app,
                        const struct rule_set *set, const struct rule_process *process,
                        int64_t now_s) {
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
    api_put_known(text, now_age(status, now->formation_age));
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
    api_put_known(text, now_age(status, now->heard_age));
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
                          const struct rule_set *set, int64_t now_s, enum state *worst, char *words,
                          size_t size) {
    struct status status;
    text_char(text, '[');
    for (int i = 0; set && i < set->process_count; i++) {
        if (i > 0) text_char(text, ',');
        find_status(&status, store, app, set, &set->processes[i], now_s);
        put_process(text, &status, store, app, set);
        if (status.state >= *worst) continue;
        *worst = status.state;
        snprintf(words, size, "%s: %s", status.process->name, status.words);
    }
    text_char(text, ']');
}

void api_put_app(struct text *text, struct store *store, const struct app *app, int64_t now_s) {
    struct text processes = TEXT_EMPTY;
    enum state worst = STATE_NONE;
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
    enum state worst = STATE_NONE;
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
    find_status(&status, call->store, &call->app, set, process, call->now_s);
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
    find_status(&status, call->store, &call->app, set, process, call->now_s);
    /* Where scaling is off, what is decided is shown and not done, by others neither. */
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

/* ---- For Prometheus -------------------------------------------------------------------------- */

static const char *const metrics[][2] = {
    {"dynoscale_queue_time_ms", "The statistic of the rule in force over its window."},
    {"dynoscale_dynos_ordered", "Dynos that the platform was last seen to be told to run."},
    {"dynoscale_dynos_up", "Of these running, where the platform says so."},
    {"dynoscale_dynos_wanted", "Dynos that there should be."},
    {"dynoscale_dynos_min", "The least that the rule in force allows."},
    {"dynoscale_dynos_max", "The most that the rule in force allows."},
    {"dynoscale_scaling", "1: decisions are carried out; 0: they are shown."},
    {"dynoscale_report_age_seconds", "Since the newest report."},
    {"dynoscale_decision_age_seconds", "Since the last decision."},
};
enum { METRICS = sizeof metrics / sizeof *metrics };

struct measuring {
    struct api_call *call;
    struct text lines[METRICS];
};

static int64_t metric(const struct status *status, size_t number) {
    const struct situation *now = &status->tick.situation;
    const int64_t values[METRICS] = {
        now->value_ms,
        now->ordered,
        now->up,
        status->tick.decision.to,
        status->rule->min,
        status->rule->max,
        status->process->scaling,
        now_age(status, now->heard_age),
        status->age_s,
    };
    bool of_tick = number < 4 || number > 6;
    return of_tick && !status->ticked ? -1 : values[number];
}

/* Names are of a few plain characters (a process type may have others: escaped as Prometheus asks
 * for). */
static void put_label(struct text *text, const char *name, const char *value) {
    text_format(text, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\') text_char(text, '\\');
        text_char(text, *value);
    }
    text_char(text, '"');
}

static bool measure(void *context, const struct app *app) {
    struct measuring *measuring = context;
    struct api_call *call = measuring->call;
    struct status status;
    if (call->who.app && call->who.app != app->id) return true;
    struct rule_set *set = api_rules(call->store, app, 0, NULL, NULL);
    for (int i = 0; set && i < set->process_count; i++) {
        find_status(&status, call->store, app, set, &set->processes[i], call->now_s);
        for (size_t m = 0; m < METRICS; m++) {
            int64_t value = metric(&status, m);
            if (value < 0) continue;
            text_format(&measuring->lines[m], "%s{", metrics[m][0]);
            put_label(&measuring->lines[m], "app", app->name);
            text_char(&measuring->lines[m], ',');
            put_label(&measuring->lines[m], "process", status.process->name);
            text_format(&measuring->lines[m], "} %" PRId64 "\n", value);
        }
    }
    rule_free(set);
    return true;
}

void metrics_show(struct api_call *call) {
    struct measuring measuring = {.call = call};
    if (!input_query(call, NULL, 0)) return;
    if (!app_each(call->store, measure, &measuring)) api_store_failed(call);
    for (size_t m = 0; m < METRICS; m++) {
        struct text *lines = &measuring.lines[m];
        if (!api_failed(call) && lines->length > 0) {
            text_format(&call->answer, "# HELP %s %s\n# TYPE %s gauge\n", metrics[m][0],
                        metrics[m][1], metrics[m][0]);
            text_add(&call->answer, lines->bytes, lines->length);
        }
        if (lines->failed) call->answer.failed = true;
        text_free(lines);
    }
    if (!api_failed(call)) call->type = "text/plain; version=0.0.4; charset=utf-8";
}
