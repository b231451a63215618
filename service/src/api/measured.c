/* What was measured, and the export of everything that is kept of an app. */
#include <inttypes.h>
#include <string.h>

#include "api/resources.h"
#include "json_read.h"
#include "series/query.h"
#include "store/ledger.h"

enum { HOUR_S = 3600, DAY_S = 86400, LONGEST_S = 400 * 86400, MOST_POINTS = 20000 };

void series_show(struct api_call *call) {
    call->packs = true;
    int64_t from_s = call->now_s - HOUR_S, to_s = call->now_s, step_s = 10;
    const char *source = NULL, *signal = "wait";
    const struct field fields[] = {
        {.name = "source",
         .kind = FIELD_TEXT,
         .needed = true,
         .least = 1,
         .most = 255,
         .to = &source},
        {.name = "signal", .kind = FIELD_TEXT, .least = 1, .most = 64, .to = &signal},
        {.name = "from", .kind = FIELD_TIME, .to = &from_s},
        {.name = "to", .kind = FIELD_TIME, .to = &to_s},
        {.name = "step", .kind = FIELD_INTEGER, .least = 10, .most = 31 * DAY_S, .to = &step_s},
    };
    if (!input_query(call, fields, INPUT_COUNT(fields))) return;
    if (step_s % 10 != 0)
        api_problem(call, 400, "the field “step” must be a multiple of 10 seconds");
    else if (from_s >= to_s || to_s - from_s > LONGEST_S)
        api_problem(call, 400, "the field “from” must be before “to”, at most %d days",
                    LONGEST_S / DAY_S);
    else if ((to_s - from_s) / step_s >= MOST_POINTS)
        api_problem(call, 400, "the field “step” must be larger: at most %d points are given",
                    MOST_POINTS);
    else if (!series_points_json(&call->answer, call->store, call->app.id, source, signal, from_s,
                                 to_s, step_s))
        api_store_failed(call);
}

void sources_list(struct api_call *call) {
    if (!input_query(call, NULL, 0)) return;
    text_put(&call->answer, "{\"sources\":");
    if (!series_list_json(&call->answer, call->store, call->app.id)) api_store_failed(call);
    else text_char(&call->answer, '}');
}

/* ---- Export ---------------------------------------------------------------------------------- */
/*
 * Lines of JSON, each with its kind. Without `day`: everything but measurements, and the list of
 * days, which the client asks for one at a time. So an export of any size shows its progress, can
 * be stopped, and needs little memory here.
 */

static bool put_version(void *context, int64_t version, int64_t at_s, const char *who,
                        const char *body) {
    struct text *text = context;
    text_format(text,
                "{\"kind\":\"rules\",\"version\":%" PRId64 ",\"at\":%" PRId64 ",\"who\":", version,
                at_s);
    text_json(text, who);
    text_put(text, ",\"text\":");
    text_json(text, body);
    text_put(text, "}\n");
    return !text->failed;
}

static bool put_entry(void *context, int64_t id, int64_t at_s, const char *who, int64_t app,
                      const char *what, const char *difference) {
    struct text *text = context;
    (void)app;
    text_format(text, "{\"kind\":\"audit\",\"id\":%" PRId64 ",\"at\":%" PRId64 ",\"who\":", id,
                at_s);
    text_json(text, who);
    text_put(text, ",\"what\":");
    text_json(text, what);
    text_put(text, ",\"changes\":");
    api_put_lines(text, difference);
    text_put(text, "}\n");
    return !text->failed;
}

static bool put_act(void *context, const struct act *act) {
    struct text *text = context;
    text_put(text, "{\"kind\":\"act\",\"process\":");
    text_json(text, act->process);
    text_format(text,
                ",\"from\":%d,\"to\":%d,\"ordered\":%" PRId64 ",\"ended\":%" PRId64
                ",\"state\":%d,\"trouble\":",
                act->from, act->to, act->ordered_s, act->ended_s, (int)act->state);
    text_json(text, act->trouble[0] ? act->trouble : NULL);
    text_put(text, "}\n");
    return !text->failed;
}

static void export_kept(struct api_call *call) {
    struct text *text = &call->answer;
    text_put(text, "{\"kind\":\"app\",\"name\":");
    text_json(text, call->app.name);
    text_put(text, ",\"zone\":");
    text_json(text, call->app.zone);
    text_format(text,
                ",\"created\":%" PRId64 ",\"exported\":%" PRId64 ",\"first_day\":%" PRId64
                ",\"last_day\":%" PRId64 "}\n",
                call->app.created_s, call->now_s,
                (call->now_s - LONGEST_S > call->app.created_s ? call->now_s - LONGEST_S
                                                               : call->app.created_s) /
                    DAY_S * DAY_S,
                call->now_s / DAY_S * DAY_S);
    if (!rules_each(call->store, call->app.id, put_version, text) ||
        !audit_each(call->store, call->app.id, 0, INT32_MAX, put_entry, text))
        api_store_failed(call);
}

static bool put_tick(void *context, const struct ledger_tick *tick) {
    struct text *text = context;
    text_put(text, "{\"kind\":\"decision\",\"process\":");
    text_json(text, tick->process);
    text_format(text,
                ",\"t\":%" PRId64 ",\"rules_version\":%" PRId64 ",\"rule\":%d,\"from\":%d,"
                "\"to\":%d,\"sentence\":",
                tick->situation.now, tick->rules_version, tick->rule_number, tick->decision.from,
                tick->decision.to);
    text_json(text, tick->decision.sentence);
    text_put(text, ",\"situation\":");
    situation_json(text, &tick->situation);
    text_put(text, ",\"memory\":");
    memory_json(text, &tick->memory);
    text_put(text, "}\n");
    return !text->failed;
}

/* By minutes while those are kept, else by hours. */
static bool export_series(struct api_call *call, int64_t day_s) {
    struct text list = TEXT_EMPTY;
    size_t i, j;
    json_t *series, *signal;
    bool done = series_list_json(&list, call->store, call->app.id);
    json_t *all = done && list.bytes ? json_read_string(list.bytes, 0, NULL) : NULL;
    int64_t step_s = day_s + 29 * DAY_S > call->now_s ? 60 : HOUR_S;
    json_array_foreach(all, i, series) {
        const char *source = json_string_value(json_object_get(series, "source"));
        json_array_foreach(json_object_get(series, "signals"), j, signal) {
            const char *name = json_string_value(signal);
            if (!source || !name || !done) continue;
            text_put(&call->answer, "{\"kind\":\"series\",\"source\":");
            text_json(&call->answer, source);
            text_put(&call->answer, ",\"signal\":");
            text_json(&call->answer, name);
            text_put(&call->answer, ",\"measured\":");
            done = series_points_json(&call->answer, call->store, call->app.id, source, name, day_s,
                                      day_s + DAY_S, step_s);
            text_put(&call->answer, "}\n");
        }
    }
    json_decref(all);
    text_free(&list);
    return done;
}

static bool export_decisions(struct api_call *call, int64_t day_s) {
    struct rule_set *set = api_rules(call->store, &call->app, 0, NULL, NULL);
    bool done = true;
    for (int i = 0; done && set && i < set->process_count; i++)
        done = ledger_each(call->store, call->app.id, set->processes[i].name, day_s, day_s + DAY_S,
                           false, put_tick, &call->answer) &&
               act_each(call->store, call->app.id, set->processes[i].name, day_s, day_s + DAY_S,
                        put_act, &call->answer);
    rule_free(set);
    return done;
}

void export_app(struct api_call *call) {
    int64_t day_s = -1;
    const struct field fields[] = {{.name = "day", .kind = FIELD_TIME, .to = &day_s}};
    if (!input_query(call, fields, INPUT_COUNT(fields))) return;
    call->type = "application/x-ndjson";
    if (day_s < 0) {
        export_kept(call);
        return;
    }
    day_s -= day_s % DAY_S;
    if (!export_series(call, day_s) || !export_decisions(call, day_s)) api_store_failed(call);
}
