/* What Prometheus reads: a gauge for each process of each app that the caller may see. */
#include <inttypes.h>

#include "api/resources.h"
#include "api/status.h"

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
        status_age(status, now->heard_age),
        status->age_s,
    };
    bool of_tick = number < 4 || number > 6;
    return of_tick && !status->ticked ? -1 : values[number];
}

/* App names need no escaping; names of process types may, as Prometheus defines it. */
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
        status_find(&status, call->store, app, set, &set->processes[i], call->now_s);
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
