#define _GNU_SOURCE
#include "decisions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const usual =
    "tick_s=10 scaling=1 started_age=3600 samples=200 samples_above=20 heard_age=4 report_s=10 "
    "dynos_heard=3 ordered=3 up=3 booting=0 stopping=0 formation_age=3 boot_s=20 rule_age=7200 "
    "last_tick=-10s wanted=3 last_ordered=3 max=10 name=default";
static const char *const worker =
    "jobs=1 queue=sidekiq:default samples=6 samples_above=6 ordered=2 up=2 jobs_running=0 min=0 "
    "up.threshold=10000 down.threshold=1000 wanted=2 last_ordered=2";

static bool set_statistic(struct rule *rule, const char *value) {
    static const char *const names[] = {"p50", "p75", "p90", "p95", "p99", "mean"};
    for (int i = 0; i < 6; i++)
        if (strcmp(names[i], value) == 0) {
            rule->statistic = (enum rule_statistic)i;
            return true;
        }
    return false;
}

static bool set_rule(struct rule *rule, const char *name, const char *value) {
    const struct {
        const char *name;
        int *field;
    } numbers[] = {
        {"min", &rule->min},
        {"max", &rule->max},
        {"up.step", &rule->up.step},
        {"up.wait", &rule->up.wait_s},
        {"down.step", &rule->down.step},
        {"down.wait", &rule->down.wait_s},
        {"window", &rule->window_s},
        {"drain", &rule->drain_by_s},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(numbers[i].name, name) == 0) {
            *numbers[i].field = atoi(value);
            return true;
        }
    if (strcmp(name, "up.threshold") == 0) rule->up.threshold_ms = atoll(value);
    else if (strcmp(name, "down.threshold") == 0) rule->down.threshold_ms = atoll(value);
    else if (strcmp(name, "hold") == 0) rule->hold_while_jobs_run = atoi(value) != 0;
    else if (strcmp(name, "name") == 0) snprintf(rule->name, sizeof rule->name, "%s", value);
    else return strcmp(name, "statistic") == 0 && set_statistic(rule, value);
    return true;
}

static bool set_method(struct rule *rule, const char *name, const char *value) {
    static const char *const cares[] = {"lean", "balanced", "strict"};
    if (strcmp(name, "method") == 0 && strcmp(value, "automatic") == 0) {
        rule->method = RULE_AUTOMATIC;
        return true;
    }
    if (strcmp(name, "goal") == 0) {
        rule->goal_ms = atoll(value);
        return true;
    }
    for (int i = 0; i < 3 && strcmp(name, "care") == 0; i++)
        if (strcmp(value, cares[i]) == 0) {
            rule->care = (enum rule_care)i;
            return true;
        }
    return false;
}

/* What the automatic method has learned: "learned=12.5", that a dyno takes so many requests a
 * second; then "hour=118", the traffic of the last hour; "surplus", "floor", "ceiling". */
static bool set_learned(struct learned *learned, const char *name, const char *value) {
    double number = atof(value);
    if (strcmp(name, "learned") == 0) {
        learned->windows = 100;
        learned->goal_ms = 100;
        learned->capacity = number;
        learned->exponent = 4;
        learned->flat_out = 2 * number;
        learned->usual_service = 1;
    } else if (strcmp(name, "hour") == 0) {
        learned->ticks = 3 * LEARNED_LOADS;
        learned->has_outcomes = 1;
        learned->high_outcome = 1;
        for (int i = 0; i < LEARNED_LOADS; i++) learned->load[i] = (uint32_t)(number * 1000);
    } else if (strcmp(name, "ceiling") == 0) {
        learned->ceiling = atoll(value);
        learned->ceiling_until = DECISIONS_NOW + 300;
        learned->trial_up = 2;
    } else if (strcmp(name, "trial") == 0) {
        learned->trial_up = atoll(value);
    } else if (strcmp(name, "surplus") == 0) {
        learned->surplus = number;
        learned->surplus_since = DECISIONS_NOW - 120;
    } else if (strcmp(name, "floor") == 0) {
        learned->floor = atoll(value);
    } else {
        return false;
    }
    return true;
}

/* "-30s", "now" and "never" as numbers; other values as they are. */
static const char *moment(const char *value, char number[32]) {
    size_t length = strlen(value);
    if (strcmp(value, "never") == 0) return "0";
    bool moved = (*value == '-' || *value == '+') && value[length - 1] == 's';
    if (!moved && strcmp(value, "now") != 0) return value;
    snprintf(number, 32, "%lld", DECISIONS_NOW + (moved ? atoll(value) : 0));
    return number;
}

static bool set_one(struct given *given, const char *name, const char *value) {
    char number[32];
    return situation_set(&given->situation, name, value) ||
           memory_set(&given->memory, name, moment(value, number)) ||
           set_rule(&given->rule, name, value) || set_method(&given->rule, name, value) ||
           set_learned(&given->memory.learned, name, value);
}

static bool set_all(struct given *given, const char *text) {
    char copy[2048], *rest = copy;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word; (word = strtok_r(rest, " ", &rest));) {
        char *value = strchr(word, '=');
        if (!value) return false;
        *value++ = '\0';
        if (!set_one(given, word, value)) {
            fprintf(stderr, "no such field or value: %s=%s\n", word, value);
            return false;
        }
    }
    return true;
}

bool decisions_given(struct given *given, const char *text) {
    memset(given, 0, sizeof *given);
    situation_clear(&given->situation);
    memory_clear(&given->memory);
    rule_defaults(&given->rule);
    given->situation.now = DECISIONS_NOW;
    bool web = strncmp(text, "web", 3) == 0, jobs = strncmp(text, "worker", 6) == 0;
    if (!web && !jobs) return false;
    return set_all(given, usual) && (web || set_all(given, worker)) &&
           set_all(given, text + (web ? 3 : 6));
}

const char *decisions_differ(const struct memory *memory, const char *text) {
    static char copy[1024], number[32];
    char *rest = copy;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word; (word = strtok_r(rest, " ", &rest));) {
        struct memory expected = *memory;
        char *value = strchr(word, '=');
        if (!value) return word;
        *value++ = '\0';
        if (!memory_set(&expected, word, moment(value, number))) return word;
        if (!memory_equal(&expected, memory)) return word;
    }
    return NULL;
}
