#include "rules/rule.h"

#include <stdlib.h>
#include <string.h>

void rule_defaults(struct rule *rule) {
    memset(rule, 0, sizeof *rule);
    rule->days = RULE_EVERY_DAY;
    rule->always = true;
    rule->min = 1;
    rule->max = 2;
    rule->method = RULE_STEPS;
    rule->up = (struct rule_step){100, 1, 60};
    rule->down = (struct rule_step){50, 1, 300};
    rule->statistic = RULE_P95;
    rule->window_s = 60;
    rule->goal_ms = RULE_GOAL_MS;
    rule->goal_per_mille = 50;
    rule->care = RULE_BALANCED;
    rule->hold_while_jobs_run = true;
    rule->drain_by_s = 1800;
}

void rule_free(struct rule_set *set) {
    if (!set) return;
    for (int i = 0; i < set->process_count; i++) free(set->processes[i].rules);
    free(set->processes);
    free(set);
}

const struct rule_process *rule_process(const struct rule_set *set, const char *name) {
    for (int i = 0; i < set->process_count; i++)
        if (strcmp(set->processes[i].name, name) == 0) return &set->processes[i];
    return NULL;
}

/* ---- Queues --------------------------------------------------------------------------------- */

/* On a mismatch goes back only to the last *: an earlier one never needs to match more. */
static bool matches(const char *pattern, const char *name, size_t length) {
    const char *star = NULL, *end = name + length, *again = name;
    while (name < end) {
        if (*pattern == '*') {
            star = pattern++;
            again = name;
        } else if (*pattern && *pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star + 1;
            name = ++again;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return *pattern == '\0';
}

bool rule_counts_queue(const struct rule *rule, const char *source, size_t length) {
    bool names_some = false, named = false;
    for (int i = 0; i < rule->queue_count; i++) {
        const char *pattern = rule->queues[i];
        bool leaves_out = *pattern == '-';
        if (leaves_out && matches(pattern + 1, source, length)) return false;
        names_some = names_some || !leaves_out;
        named = named || (!leaves_out && matches(pattern, source, length));
    }
    return named || !names_some;
}
