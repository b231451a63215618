/* What a person orders for a process: a pause or a boost, each for a time, and switching scaling on
 * or off. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/resources.h"

enum { USUAL_S = 3600, LONGEST_S = 90 * 86400 };

static bool check_until(struct api_call *call, int64_t until_s) {
    if (until_s > call->now_s && until_s <= call->now_s + LONGEST_S) return true;
    api_problem(call, 400, "the field “until” must be in the future, at most %d days ahead",
                LONGEST_S / 86400);
    return false;
}

/* Finds the orders of the path's process, which the rules must contain. */
static bool find_orders(struct api_call *call, struct process_orders *orders) {
    struct rule_set *set;
    if (!api_process(call, &set)) return false;
    rule_free(set);
    if (orders_get(call->store, call->app.id, call->parameters[1], orders)) return true;
    api_store_failed(call);
    return false;
}

static bool put_orders(struct api_call *call, const struct process_orders *orders) {
    if (orders_put(call->store, call->app.id, call->parameters[1], orders)) {
        call->config_changed = true;
        return true;
    }
    api_store_failed(call);
    return false;
}

void orders_pause(struct api_call *call) {
    int64_t until_s = call->now_s + USUAL_S;
    const char *direction = "both";
    struct process_orders orders;
    const struct field fields[] = {
        {.name = "until", .kind = FIELD_TIME, .to = &until_s, .ahead = true},
        {.name = "direction", .kind = FIELD_TEXT, .to = &direction},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields)) || !check_until(call, until_s)) return;
    bool down = strcmp(direction, "down") == 0;
    if (!down && strcmp(direction, "both") != 0) {
        api_problem(call, 400, "the field “direction” must be “down” or “both”");
        return;
    }
    if (!find_orders(call, &orders)) return;
    orders.paused = down ? 1 : 2;
    orders.paused_until_s = until_s;
    snprintf(orders.paused_by, sizeof orders.paused_by, "%s", call->who.name);
    if (!put_orders(call, &orders)) return;
    text_format(&call->answer, "{\"direction\":\"%s\",\"until\":%" PRId64 ",\"by\":", direction,
                until_s);
    text_json(&call->answer, orders.paused_by);
    text_char(&call->answer, '}');
    api_audit(call, call->app.id, NULL, "paused %s of %s%s for %" PRId64 " min",
              call->parameters[1], call->app.name, down ? " (down only)" : "",
              (until_s - call->now_s + 59) / 60);
}

void orders_resume(struct api_call *call) {
    struct process_orders orders;
    if (!input_body(call, NULL, 0) || !find_orders(call, &orders)) return;
    bool was = orders.paused != 0;
    orders.paused = 0;
    orders.paused_until_s = 0;
    orders.paused_by[0] = '\0';
    if (!put_orders(call, &orders)) return;
    call->status = 204;
    if (was)
        api_audit(call, call->app.id, NULL, "ended the pause of %s of %s", call->parameters[1],
                  call->app.name);
}

void orders_boost(struct api_call *call) {
    int64_t until_s = call->now_s + USUAL_S, dynos = 0;
    struct process_orders orders;
    const struct field fields[] = {
        {.name = "dynos",
         .kind = FIELD_INTEGER,
         .needed = true,
         .least = 1,
         .most = RULE_DYNOS,
         .to = &dynos},
        {.name = "until", .kind = FIELD_TIME, .to = &until_s, .ahead = true},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields)) || !check_until(call, until_s)) return;
    if (!find_orders(call, &orders)) return;
    orders.boost = (int)dynos;
    orders.boost_until_s = until_s;
    snprintf(orders.boost_by, sizeof orders.boost_by, "%s", call->who.name);
    if (!put_orders(call, &orders)) return;
    text_format(&call->answer, "{\"dynos\":%d,\"until\":%" PRId64 ",\"by\":", orders.boost,
                until_s);
    text_json(&call->answer, orders.boost_by);
    text_char(&call->answer, '}');
    api_audit(call, call->app.id, NULL, "boosted %s of %s to %d for %" PRId64 " min",
              call->parameters[1], call->app.name, orders.boost, (until_s - call->now_s + 59) / 60);
}

void orders_end_boost(struct api_call *call) {
    struct process_orders orders;
    if (!input_body(call, NULL, 0) || !find_orders(call, &orders)) return;
    bool was = orders.boost >= 0;
    orders.boost = -1;
    orders.boost_until_s = 0;
    orders.boost_by[0] = '\0';
    if (!put_orders(call, &orders)) return;
    call->status = 204;
    if (was)
        api_audit(call, call->app.id, NULL, "ended the boost of %s of %s", call->parameters[1],
                  call->app.name);
}

/* The switch is a field of the rules, so turning it makes a new version of them. */
void orders_switch(struct api_call *call) {
    bool scaling = false;
    char what[200], *written = NULL;
    int64_t version = 0;
    struct rule_set *before, *after;
    struct text text = TEXT_EMPTY;
    const struct field fields[] = {
        {.name = "scaling", .kind = FIELD_BOOL, .needed = true, .to = &scaling},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields))) return;
    const struct rule_process *process = api_process(call, &before);
    if (!process) return;
    after = api_rules(call->store, &call->app, 0, &version, &written);
    bool done = true;
    snprintf(what, sizeof what, "switched scaling of %s of %s %s", process->name, call->app.name,
             scaling ? "on" : "off");
    if (after && process->scaling != scaling) {
        for (int i = 0; i < after->process_count; i++)
            if (strcmp(after->processes[i].name, process->name) == 0)
                after->processes[i].scaling = scaling;
        api_write_switched(&text, written, after, process->name, scaling);
        done = !text.failed && api_put_rules(call, before, after, text.bytes, what, &version);
    }
    text_free(&text);
    free(written);
    rule_free(before);
    rule_free(after);
    if (!done || api_failed(call)) return;
    text_format(&call->answer, "{\"scaling\":%s,\"rules_version\":%" PRId64 "}",
                scaling ? "true" : "false", version);
}
