/*
 * Rules from any bytes: refused with one sentence that prints, or read, and then written as YAML
 * and as JSON, which read again give the same to the byte; JSON is read by jansson, too.
 */
#include "fuzz.h"

#include <jansson.h>

#include "rules/rule.h"
#include "rules/tree.h"
#include "text.h"

static bool is_equal(const struct rule_set *one, const struct rule_set *other) {
    if (strcmp(one->zone_name, other->zone_name) != 0) return false;
    if (one->process_count != other->process_count) return false;
    for (int i = 0; i < one->process_count; i++) {
        const struct rule_process *a = &one->processes[i], *b = &other->processes[i];
        if (strcmp(a->name, b->name) != 0 || a->scaling != b->scaling) return false;
        if (a->rule_count != b->rule_count) return false;
        if (memcmp(a->rules, b->rules, (size_t)a->rule_count * sizeof *a->rules) != 0) return false;
    }
    return true;
}

static void check_rule(const struct rule *rule) {
    REQUIRE(*rule->name && strlen(rule->name) < RULE_NAME_SIZE, "%s", rule->name);
    REQUIRE(rule->min >= 0 && rule->min <= rule->max && rule->max <= RULE_DYNOS, "%d", rule->max);
    REQUIRE(rule->down.threshold_ms <= rule->up.threshold_ms, "%s", rule->name);
    REQUIRE(rule->up.step >= 1 && rule->down.step >= 1, "%s", rule->name);
    REQUIRE(rule->window_s >= 10 && rule->window_s <= 600, "%d", rule->window_s);
    REQUIRE(rule->from_minute >= 0 && rule->from_minute < 1440, "%d", rule->from_minute);
    REQUIRE(rule->to_minute >= 0 && rule->to_minute < 1440, "%d", rule->to_minute);
    REQUIRE(rule->days != 0, "%s", rule->name);
    REQUIRE(rule->method == RULE_STEPS, "%d", (int)rule->method);
}

static void check_set(const struct rule_set *set) {
    REQUIRE(set->zone, "%s", set->zone_name);
    for (int i = 0; i < set->process_count; i++) {
        const struct rule_process *process = &set->processes[i];
        REQUIRE(rule_process(set, process->name) == process, "%s", process->name);
        for (int j = 0; j < process->rule_count; j++) {
            check_rule(&process->rules[j]);
            REQUIRE(process->rules[j].always == (j == process->rule_count - 1), "%d", j);
        }
    }
}

static void check_again(const struct rule_set *set, const struct text *text) {
    char error[1024] = "";
    REQUIRE(!text->failed, "no memory");
    struct rule_set *again = rule_read(text->bytes, text->length, "UTC", error, sizeof error);
    REQUIRE(again, "%s\n%s", error, text->bytes);
    REQUIRE(is_equal(set, again), "%s", text->bytes);
    rule_free(again);
}

void fuzz_rule(const uint8_t *data, size_t size) {
    char error[1024] = "";
    char *bytes = copy_of(data, size);
    struct rule_set *set = rule_read(bytes, size, "Europe/Berlin", error, sizeof error);
    free(bytes);
    if (!set) {
        REQUIRE(strlen(error) > 10 && strlen(error) < sizeof error - 1, "%s", error);
        REQUIRE(tree_is_printable(error, strlen(error)), "%s", error);
        return;
    }
    struct text yaml = TEXT_EMPTY, json = TEXT_EMPTY;
    check_set(set);
    rule_write_yaml(&yaml, set);
    check_again(set, &yaml);
    rule_write_json(&json, set);
    check_again(set, &json);
    json_t *other = json_loadb(json.bytes, json.length, JSON_REJECT_DUPLICATES, NULL);
    REQUIRE(other, "%s", json.bytes);
    json_decref(other);
    text_clear(&yaml);
    rule_difference(&yaml, set, set);
    REQUIRE(yaml.length == 0, "%s", yaml.bytes);
    rule_difference(&yaml, NULL, set);
    text_free(&yaml);
    text_free(&json);
    rule_free(set);
}

FUZZ(fuzz_rule)
