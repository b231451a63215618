#define _GNU_SOURCE /* strcasestr */
/* The rules of an app: read, changed as a whole, checked, tried on the last tick, rolled back. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/resources.h"
#include "rules/week.h"
#include "store/ledger.h"

enum { LONGEST = 256 * 1024, VERSIONS = 200, MOST_VERSIONS = 1000 };

static const char yaml_type[] = "application/yaml";

/* ---- Read ------------------------------------------------------------------------------------ */

static bool wants_yaml(const struct api_call *call) {
    return call->accept && strcasestr(call->accept, "yaml");
}

static void put_etag(struct api_call *call, int64_t version) {
    text_format(&call->headers, "ETag: \"%" PRId64 "\"\r\n", version);
}

/* Whether an If-Match or If-None-Match header names the version; * names every version. */
static bool names_version(const char *header, int64_t version) {
    char tag[32];
    snprintf(tag, sizeof tag, "\"%" PRId64 "\"", version);
    return strcmp(header, "*") == 0 || strstr(header, tag);
}

static bool is_json_text(const char *text) {
    while (isspace((unsigned char)*text)) text++;
    return *text == '{';
}

void rules_show(struct api_call *call) {
    int64_t version = 0;
    char *text = NULL;
    const struct field fields[] = {
        {.name = "version", .kind = FIELD_INTEGER, .least = 1, .most = INT32_MAX, .to = &version},
    };
    if (!input_query(call, fields, INPUT_COUNT(fields))) return;
    int64_t asked = version;
    struct rule_set *set = api_rules(call->store, &call->app, asked, &version, &text);
    if (!set) {
        api_problem(call, 404, asked ? "%s has no such version of its rules" : "%s has no rules",
                    call->app.name);
        return;
    }
    put_etag(call, version);
    if (call->if_none_match && names_version(call->if_none_match, version)) {
        call->status = 304;
    } else if (!wants_yaml(call)) {
        rule_write_json(&call->answer, set);
    } else {
        /* As the person wrote it, with comments. */
        if (is_json_text(text)) rule_write_yaml(&call->answer, set);
        else text_put(&call->answer, text);
        call->type = yaml_type;
    }
    free(text);
    rule_free(set);
}

/* ---- Changed --------------------------------------------------------------------------------- */

bool api_put_rules(struct api_call *call, const struct rule_set *before, struct rule_set *after,
                   const char *text, const char *what, int64_t *version) {
    struct text difference = TEXT_EMPTY;
    rule_difference(&difference, before, after);
    *version = rules_put(call->store, call->app.id, text, call->who.name, call->now_s);
    bool done = *version > 0;
    /* The app's zone follows the rules: people should read times in the zone that the rules use. */
    if (done && strcmp(after->zone_name, call->app.zone) != 0)
        done = app_set_zone(call->store, call->app.id, after->zone_name);
    if (!done) api_store_failed(call);
    else api_audit(call, call->app.id, difference.bytes, "%s: version %" PRId64, what, *version);
    call->config_changed = true;
    text_free(&difference);
    return !api_failed(call);
}

/* Of what is stored it is not asked, so that no rules cease to be read. */
static bool names_are_seen(struct api_call *call, const struct rule_set *set) {
    for (int i = 0; i < set->process_count; i++)
        for (int j = 0; j < set->processes[i].rule_count; j++)
            if (!text_is_seen(set->processes[i].rules[j].name)) {
                api_problem(call, 400,
                            "%s, rule %d, name: has characters that are not seen, or that turn the "
                            "direction of text",
                            set->processes[i].name, j + 1);
                return false;
            }
    return true;
}

/* The rules in the body; NULL: the call is answered. */
static struct rule_set *read_body(struct api_call *call, const char *zone) {
    char error[1024];
    if (call->body_length == 0) {
        api_problem(call, 400, "the body must be rules, in YAML or JSON");
        return NULL;
    }
    if (call->body_length > LONGEST) {
        api_problem(call, 413, "rules may have at most %d KiB", LONGEST / 1024);
        return NULL;
    }
    struct rule_set *set = api_read_rules(call->body, call->body_length, zone, error, sizeof error);
    if (!set) api_problem(call, 400, "%s", error);
    if (!set || names_are_seen(call, set)) return set;
    rule_free(set);
    return NULL;
}

static void put_changed(struct api_call *call, int64_t version, const struct rule_set *before,
                        const struct rule_set *after) {
    struct text difference = TEXT_EMPTY;
    rule_difference(&difference, before, after);
    put_etag(call, version);
    text_format(&call->answer, "{\"version\":%" PRId64 ",\"changes\":", version);
    api_put_lines(&call->answer, difference.bytes);
    text_char(&call->answer, '}');
    text_free(&difference);
}

void rules_change(struct api_call *call) {
    int64_t version = 0;
    char *text = NULL;
    if (!input_query(call, NULL, 0)) return;
    struct rule_set *after = read_body(call, call->app.zone);
    if (!after) return;
    struct rule_set *before = api_rules(call->store, &call->app, 0, &version, &text);
    if (call->if_match && !names_version(call->if_match, version)) {
        api_problem(call, 412,
                    "the rules were changed meanwhile: version %" PRId64 " is in force; read it, "
                    "and send its ETag",
                    version);
        put_etag(call, version);
    } else if (text && strlen(text) == call->body_length && strcmp(text, call->body) == 0) {
        put_changed(call, version, before, after); /* sent again: nothing to do */
    } else {
        char what[160];
        snprintf(what, sizeof what, "changed the rules of %s", call->app.name);
        if (api_put_rules(call, before, after, call->body, what, &version))
            put_changed(call, version, before, after);
    }
    free(text);
    rule_free(before);
    rule_free(after);
}

void rules_roll_back(struct api_call *call) {
    int64_t version = 0, newest = 0;
    char *text = NULL, what[160];
    const struct field fields[] = {
        {.name = "version",
         .kind = FIELD_INTEGER,
         .needed = true,
         .least = 1,
         .most = INT32_MAX,
         .to = &version},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields))) return;
    struct rule_set *before = api_rules(call->store, &call->app, 0, &newest, NULL);
    struct rule_set *after = api_rules(call->store, &call->app, version, NULL, &text);
    snprintf(what, sizeof what, "rolled the rules of %s back to version %" PRId64, call->app.name,
             version);
    if (!after)
        api_problem(call, 404, "%s has no version %" PRId64 " of its rules", call->app.name,
                    version);
    else if (version == newest) put_changed(call, newest, before, after);
    else if (api_put_rules(call, before, after, text, what, &newest))
        put_changed(call, newest, before, after);
    free(text);
    rule_free(before);
    rule_free(after);
}

/* ---- Checked and tried ----------------------------------------------------------------------- */

void rules_check(struct api_call *call) {
    const char *zone = "UTC";
    const struct field fields[] = {{.name = "zone", .kind = FIELD_TEXT, .to = &zone}};
    if (!input_query(call, fields, INPUT_COUNT(fields))) return;
    if (!zone_find(zone)) {
        api_problem(call, 400, "the field “zone”: there is no time zone “%.64s”", zone);
        return;
    }
    struct rule_set *set = read_body(call, zone);
    if (!set) return;
    text_put(&call->answer, "{\"rules\":");
    rule_write_json(&call->answer, set);
    text_put(&call->answer, ",\"yaml\":");
    struct text yaml = TEXT_EMPTY;
    rule_write_yaml(&yaml, set);
    if (yaml.failed) call->answer.failed = true;
    text_json(&call->answer, yaml.bytes);
    text_char(&call->answer, '}');
    text_free(&yaml);
    rule_free(set);
}

static void put_decision(struct text *text, const struct rule_set *set,
                         const struct rule_process *process, const struct ledger_tick *tick,
                         int64_t now_s) {
    if (!process) {
        text_put(text, "null");
        return;
    }
    int number = week_rule(process, set->zone, now_s);
    text_put(text, "{\"rule\":");
    text_json(text, process->rules[number].name);
    text_format(text, ",\"scaling\":%s,\"wanted\":", process->scaling ? "true" : "false");
    if (!tick) {
        text_put(text, "null,\"sentence\":null}");
        return;
    }
    struct situation situation = tick->situation;
    struct memory memory = tick->memory;
    struct decision decision;
    situation.scaling = process->scaling;
    decide(&situation, &process->rules[number], &memory, &decision);
    api_put_known(text, decision.to);
    text_put(text, ",\"sentence\":");
    text_json(text, decision.sentence);
    text_char(text, '}');
}

/* Whether two rules look at the same statistic. */
static bool same_measure(const struct rule *one, const struct rule *other) {
    if (one->statistic != other->statistic || one->window_s != other->window_s ||
        one->queue_count != other->queue_count)
        return false;
    for (int i = 0; i < one->queue_count; i++)
        if (strcmp(one->queues[i], other->queues[i]) != 0) return false;
    return true;
}

static void put_plan(struct api_call *call, const char *name, const struct rule_set *before,
                     const struct rule_set *after) {
    struct ledger_tick tick;
    const struct rule_process *old = before ? rule_process(before, name) : NULL;
    const struct rule_process *new = rule_process(after, name);
    bool ticked = ledger_last(call->store, call->app.id, name, call->now_s, &tick);
    struct memory latest;
    if (ticked && tick.chained && ledger_memory(call->store, call->app.id, name, &latest))
        tick.memory.learned = latest.learned;
    bool same = !old || !new ||
                same_measure(&old->rules[week_rule(old, before->zone, call->now_s)],
                             &new->rules[week_rule(new, after->zone, call->now_s)]);
    text_put(&call->answer, "{\"process\":");
    text_json(&call->answer, name);
    text_put(&call->answer, ",\"now\":");
    put_decision(&call->answer, before, old, ticked ? &tick : NULL, call->now_s);
    text_put(&call->answer, ",\"then\":");
    put_decision(&call->answer, after, new, ticked ? &tick : NULL, call->now_s);
    text_format(&call->answer, ",\"same_measure\":%s}", same ? "true" : "false");
}

void rules_plan(struct api_call *call) {
    struct text difference = TEXT_EMPTY;
    int64_t version = 0;
    bool first = true;
    if (!input_query(call, NULL, 0)) return;
    struct rule_set *after = read_body(call, call->app.zone);
    if (!after) return;
    struct rule_set *before = api_rules(call->store, &call->app, 0, &version, NULL);
    rule_difference(&difference, before, after);
    text_format(&call->answer, "{\"version\":%" PRId64 ",\"changes\":", version);
    api_put_lines(&call->answer, difference.bytes);
    text_put(&call->answer, ",\"processes\":[");
    for (int i = 0; i < after->process_count; i++) {
        if (!first) text_char(&call->answer, ',');
        first = false;
        put_plan(call, after->processes[i].name, before, after);
    }
    for (int i = 0; before && i < before->process_count; i++) {
        if (rule_process(after, before->processes[i].name)) continue;
        if (!first) text_char(&call->answer, ',');
        first = false;
        put_plan(call, before->processes[i].name, before, after);
    }
    text_put(&call->answer, "]}");
    text_free(&difference);
    rule_free(before);
    rule_free(after);
}

/* ---- History --------------------------------------------------------------------------------- */

/* Newest first: the changes of a version are known once the version before it has been read. */
struct history {
    struct api_call *call;
    int64_t before, left;
    struct rule_set *newer; /* its entry still lacks its changes */
    bool first;
};

static void end_entry(struct history *history, const struct rule_set *older) {
    struct text difference = TEXT_EMPTY;
    if (!history->newer) return;
    rule_difference(&difference, older, history->newer);
    text_put(&history->call->answer, ",\"changes\":");
    api_put_lines(&history->call->answer, difference.bytes);
    text_char(&history->call->answer, '}');
    text_free(&difference);
    rule_free(history->newer);
    history->newer = NULL;
}

static bool put_version(void *context, int64_t version, int64_t at_s, const char *who,
                        const char *text) {
    struct history *history = context;
    struct text *answer = &history->call->answer;
    char error[256];
    if (history->before > 0 && version >= history->before) return true;
    struct rule_set *set =
        api_read_rules(text, strlen(text), history->call->app.zone, error, sizeof error);
    end_entry(history, set);
    if (history->left-- == 0 || !set) {
        rule_free(set);
        return false;
    }
    if (!history->first) text_char(answer, ',');
    history->first = false;
    text_format(answer, "{\"version\":%" PRId64 ",\"at\":%" PRId64 ",\"who\":", version, at_s);
    text_json(answer, who);
    history->newer = set;
    return true;
}

void rules_history(struct api_call *call) {
    struct history history = {.call = call, .left = VERSIONS, .first = true};
    const struct field fields[] = {
        {.name = "before",
         .kind = FIELD_INTEGER,
         .least = 1,
         .most = INT32_MAX,
         .to = &history.before},
        {.name = "limit",
         .kind = FIELD_INTEGER,
         .least = 1,
         .most = MOST_VERSIONS,
         .to = &history.left},
    };
    if (!input_query(call, fields, INPUT_COUNT(fields))) return;
    text_put(&call->answer, "{\"versions\":[");
    if (!rules_each(call->store, call->app.id, put_version, &history)) api_store_failed(call);
    end_entry(&history, NULL);
    if (!api_failed(call)) text_put(&call->answer, "]}");
}
