/* Writes rules as YAML and JSON, and their differences in words. */
#include <inttypes.h>
#include <string.h>

#include "rules/field.h"
#include "rules/rule.h"
#include "text.h"

static void put_time(struct text *text, int minute) {
    text_format(text, "%02d:%02d", minute / 60, minute % 60);
}

static void put_share(struct text *text, int64_t per_mille) {
    text_int(text, per_mille / 10);
    if (per_mille % 10) text_format(text, ".%d", (int)(per_mille % 10));
}

/* A "to" at midnight means the end of the day. */
static int shown_minute(const struct rule *rule, const struct rule_field *field) {
    int minute = (int)rule_number(rule, field);
    return field->kind == RULE_TO && minute == 0 ? 1440 : minute;
}

static void put_list(struct text *text, const struct rule *rule, const struct rule_field *field,
                     void (*put)(struct text *text, const char *word)) {
    const char *before = "";
    if (field->kind == RULE_DAYS) {
        for (int i = 0; rule_days[i]; i++) {
            if (!(rule->days >> i & 1)) continue;
            text_put(text, before);
            put(text, rule_days[i]);
            before = ", ";
        }
    } else {
        for (int i = 0; i < rule->queue_count; i++, before = ", ") {
            text_put(text, before);
            put(text, rule->queues[i]);
        }
    }
}

/* ---- YAML ----------------------------------------------------------------------------------- */

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* False for words that YAML reads as something else without quotes. */
static bool is_plain(const char *word) {
    static const char *const not_text[] = {"y",   "n",    "yes",   "no",   "on",
                                           "off", "true", "false", "null", NULL};
    if (!is_letter(*word)) return false;
    for (const char *c = word; *c; c++) {
        bool digit = *c >= '0' && *c <= '9';
        bool inner = *c == '-' || *c == '_' || (*c == ' ' && c[1]);
        if (!is_letter(*c) && !digit && !inner) return false;
    }
    char lower[8] = "";
    if (strlen(word) < sizeof lower)
        for (size_t i = 0; word[i]; i++) lower[i] = (char)(word[i] | 0x20);
    for (int i = 0; not_text[i]; i++)
        if (strcmp(lower, not_text[i]) == 0) return false;
    return true;
}

static void put_yaml_word(struct text *text, const char *word) {
    if (is_plain(word)) {
        text_put(text, word);
        return;
    }
    text_char(text, '"');
    for (const char *c = word; *c; c++) {
        if (*c == '"' || *c == '\\') text_char(text, '\\');
        text_char(text, *c);
    }
    text_char(text, '"');
}

static void put_yaml_value(struct text *text, const struct rule *rule,
                           const struct rule_field *field) {
    switch (field->kind) {
    case RULE_NAME:
        put_yaml_word(text, rule->name);
        break;
    case RULE_DAYS:
    case RULE_LIST:
        text_char(text, '[');
        put_list(text, rule, field, put_yaml_word);
        text_char(text, ']');
        break;
    case RULE_FROM:
    case RULE_TO:
        text_char(text, '"');
        put_time(text, shown_minute(rule, field));
        text_char(text, '"');
        break;
    case RULE_WORD:
        text_put(text, field->words[rule_number(rule, field)]);
        break;
    case RULE_SWITCH:
        text_put(text, rule_number(rule, field) ? "on" : "off");
        break;
    case RULE_SHARE:
        put_share(text, rule_number(rule, field));
        break;
    default:
        text_int(text, rule_number(rule, field));
    }
}

/* Whether YAML leaves the field out: it has its default value, and nothing depends on it. */
static bool is_default(const struct rule *rule, const struct rule *standard,
                       const struct rule_field *field) {
    bool all_day = rule->from_minute == 0 && rule->to_minute == 0;
    switch (field->kind) {
    case RULE_NAME:
        return false;
    case RULE_DAYS:
        return rule->days == RULE_EVERY_DAY;
    case RULE_FROM:
    case RULE_TO:
        return rule->always || (all_day && rule->days != RULE_EVERY_DAY);
    default:
        return rule_field_equal(field, rule, standard);
    }
}

static void put_yaml_rule(struct text *text, const struct rule *rule) {
    struct rule standard;
    const char *group = "", *before = "      - ";
    rule_defaults(&standard);
    for (int i = 0; i < rule_field_count; i++) {
        const struct rule_field *field = &rule_fields[i];
        if (is_default(rule, &standard, field)) continue;
        bool same_group = *field->group && strcmp(field->group, group) == 0;
        if (*group && !same_group) text_put(text, "}\n");
        if (same_group) text_put(text, ", ");
        else text_put(text, before);
        if (*field->group && !same_group) text_format(text, "%s: {", field->group);
        text_format(text, "%s: ", field->name);
        put_yaml_value(text, rule, field);
        if (!*field->group) text_char(text, '\n');
        group = field->group;
        before = "        ";
    }
    if (*group) text_put(text, "}\n");
}

void rule_write_yaml(struct text *text, const struct rule_set *set) {
    text_format(text, "zone: %s\nprocesses:%s", set->zone_name,
                set->process_count ? "\n" : " {}\n");
    for (int i = 0; i < set->process_count; i++) {
        const struct rule_process *process = &set->processes[i];
        text_put(text, "  ");
        put_yaml_word(text, process->name);
        text_format(text, ":\n    scaling: %s\n    rules:\n", process->scaling ? "on" : "off");
        for (int j = 0; j < process->rule_count; j++) put_yaml_rule(text, &process->rules[j]);
    }
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void put_json_value(struct text *text, const struct rule *rule,
                           const struct rule_field *field) {
    switch (field->kind) {
    case RULE_NAME:
        text_json(text, rule->name);
        break;
    case RULE_DAYS:
    case RULE_LIST:
        text_char(text, '[');
        put_list(text, rule, field, text_json);
        text_char(text, ']');
        break;
    case RULE_WORD:
        text_json(text, field->words[rule_number(rule, field)]);
        break;
    case RULE_SWITCH:
        text_put(text, rule_number(rule, field) ? "true" : "false");
        break;
    default:
        put_yaml_value(text, rule, field); /* numbers and times are written as in YAML */
    }
}

static bool is_when(const struct rule_field *field) {
    return field->kind == RULE_DAYS || field->kind == RULE_FROM || field->kind == RULE_TO;
}

void rule_write_json_one(struct text *text, const struct rule *rule) {
    const char *group = "", *before = "{";
    for (int i = 0; i < rule_field_count; i++) {
        const struct rule_field *field = &rule_fields[i];
        if (is_when(field) && rule->always) continue;
        bool same_group = strcmp(field->group, group) == 0;
        if (*group && !same_group) text_char(text, '}');
        text_put(text, before);
        if (*field->group && !same_group) text_format(text, "\"%s\":{", field->group);
        text_format(text, "\"%s\":", field->name);
        put_json_value(text, rule, field);
        group = field->group;
        before = ",";
    }
    text_put(text, *group ? "}}" : "}");
}

void rule_write_json(struct text *text, const struct rule_set *set) {
    text_put(text, "{\"zone\":");
    text_json(text, set->zone_name);
    text_put(text, ",\"processes\":{");
    for (int i = 0; i < set->process_count; i++) {
        const struct rule_process *process = &set->processes[i];
        if (i > 0) text_char(text, ',');
        text_json(text, process->name);
        text_format(text, ":{\"scaling\":%s,\"rules\":[", process->scaling ? "true" : "false");
        for (int j = 0; j < process->rule_count; j++) {
            if (j > 0) text_char(text, ',');
            rule_write_json_one(text, &process->rules[j]);
        }
        text_put(text, "]}");
    }
    text_put(text, "}}");
}

/* ---- Differences ---------------------------------------------------------------------------- */

static void put_words(struct text *text, const struct rule *rule, const struct rule_field *field) {
    switch (field->kind) {
    case RULE_DAYS:
        if (rule->always) text_put(text, "always");
        else put_list(text, rule, field, text_put);
        break;
    case RULE_LIST:
        if (rule->queue_count == 0) text_put(text, "all");
        put_list(text, rule, field, text_put);
        break;
    case RULE_FROM:
    case RULE_TO:
        put_time(text, shown_minute(rule, field));
        break;
    default:
        put_yaml_value(text, rule, field);
        text_put(text, field->unit);
    }
}

static void differ_rule(struct text *text, const char *process, const struct rule *before,
                        const struct rule *after) {
    for (int i = 0; i < rule_field_count; i++) {
        const struct rule_field *field = &rule_fields[i];
        if (rule_field_equal(field, before, after)) continue;
        text_format(text, "%s, rule %s: %s ", process, after->name, field->said);
        put_words(text, before, field);
        text_put(text, " → ");
        put_words(text, after, field);
        text_char(text, '\n');
    }
}

static const struct rule *rule_named(const struct rule_process *process, const char *name) {
    for (int i = 0; i < process->rule_count; i++)
        if (strcmp(process->rules[i].name, name) == 0) return &process->rules[i];
    return NULL;
}

static void put_order(struct text *text, const struct rule_process *process) {
    for (int i = 0; i < process->rule_count; i++)
        text_format(text, "%s%s", i ? ", " : "", process->rules[i].name);
}

/* Whether the rules that are in both sets have the same order. */
static bool same_order(const struct rule_process *before, const struct rule_process *after) {
    const struct rule *last = NULL;
    for (int i = 0; i < after->rule_count; i++) {
        const struct rule *rule = rule_named(before, after->rules[i].name);
        if (!rule) continue;
        if (last && rule < last) return false;
        last = rule;
    }
    return true;
}

static void differ_process(struct text *text, const struct rule_process *before,
                           const struct rule_process *after) {
    if (before->scaling != after->scaling)
        text_format(text, "%s: scaling %s → %s\n", after->name, before->scaling ? "on" : "off",
                    after->scaling ? "on" : "off");
    for (int i = 0; i < before->rule_count; i++)
        if (!rule_named(after, before->rules[i].name))
            text_format(text, "%s, rule %s: removed\n", after->name, before->rules[i].name);
    for (int i = 0; i < after->rule_count; i++) {
        const struct rule *rule = &after->rules[i], *old = rule_named(before, rule->name);
        if (old) differ_rule(text, after->name, old, rule);
        else text_format(text, "%s, rule %s: added at place %d\n", after->name, rule->name, i + 1);
    }
    if (same_order(before, after)) return;
    text_format(text, "%s: order ", after->name);
    put_order(text, before);
    text_put(text, " → ");
    put_order(text, after);
    text_char(text, '\n');
}

void rule_difference(struct text *text, const struct rule_set *before,
                     const struct rule_set *after) {
    static const struct rule_set none;
    if (!before) before = &none;
    if (strcmp(before->zone_name, after->zone_name) != 0)
        text_format(text, "zone %s → %s\n", *before->zone_name ? before->zone_name : "none",
                    after->zone_name);
    for (int i = 0; i < before->process_count; i++)
        if (!rule_process(after, before->processes[i].name))
            text_format(text, "%s: removed\n", before->processes[i].name);
    for (int i = 0; i < after->process_count; i++) {
        const struct rule_process *process = &after->processes[i];
        const struct rule_process *old = rule_process(before, process->name);
        if (old) differ_process(text, old, process);
        else
            text_format(text, "%s: added, with %d rule%s, scaling %s\n", process->name,
                        process->rule_count, process->rule_count == 1 ? "" : "s",
                        process->scaling ? "on" : "off");
    }
}
