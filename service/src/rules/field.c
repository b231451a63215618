#include "rules/field.h"

#include <string.h>

static const char *const methods[] = {"steps", "automatic", NULL};
static const char *const statistics[] = {"p50", "p75", "p90", "p95", "p99", "mean", NULL};
static const char *const cares[] = {"lean", "balanced", "strict", NULL};
const char *const rule_days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun", NULL};

#define AT(member) offsetof(struct rule, member)
/* clang-format off */
#define STEP(group, above, dynos, pause)                                                           \
    {#group, "threshold_ms", RULE_LONG, AT(group.threshold_ms), 0, RULE_THRESHOLD_MS, " ms", NULL, \
     above},                                                                                       \
    {#group, "step", RULE_INT, AT(group.step), 1, RULE_DYNOS, "", NULL, dynos},                    \
    {#group, "wait", RULE_INT, AT(group.wait_s), 0, RULE_WAIT_S, " s", NULL, pause}

const struct rule_field rule_fields[] = {
    {"", "name", RULE_NAME, AT(name), 1, RULE_NAME_SIZE - 1, "", NULL, "name"},
    {"", "days", RULE_DAYS, AT(days), 1, 7, "", NULL, "days"},
    {"", "from", RULE_FROM, AT(from_minute), 0, 1439, "", NULL, "from"},
    {"", "to", RULE_TO, AT(to_minute), 0, 1440, "", NULL, "to"},
    {"dynos", "min", RULE_INT, AT(min), 0, RULE_DYNOS, "", NULL, "minimum"},
    {"dynos", "max", RULE_INT, AT(max), 0, RULE_DYNOS, "", NULL, "maximum"},
    {"", "method", RULE_WORD, AT(method), 0, 0, "", methods, "method"},
    STEP(up, "adds above", "dynos added at once", "wait after adding"),
    STEP(down, "removes below", "dynos removed at once", "wait before removing"),
    {"", "statistic", RULE_WORD, AT(statistic), 0, 0, "", statistics, "looks at"},
    {"", "window", RULE_INT, AT(window_s), 10, 600, " s", NULL, "looks at the last"},
    {"", "queues", RULE_LIST, AT(queues), 0, RULE_QUEUES, "", NULL, "queues"},
    {"automatic", "goal_ms", RULE_LONG, AT(goal_ms), 1, RULE_THRESHOLD_MS, " ms", NULL, "goal"},
    {"automatic", "share", RULE_SHARE, AT(goal_per_mille), 1, 500, " %", NULL,
     "share that may wait longer"},
    {"automatic", "care", RULE_WORD, AT(care), 0, 0, "", cares, "care"},
    {"", "hold_while_jobs_run", RULE_SWITCH, AT(hold_while_jobs_run), 0, 1, "", NULL,
     "waits for running jobs"},
    {"", "drain_by", RULE_INT, AT(drain_by_s), 0, RULE_WAIT_S, " s", NULL,
     "waits for running jobs at most"},
};
/* clang-format on */
const int rule_field_count = sizeof rule_fields / sizeof *rule_fields;

_Static_assert(sizeof(enum rule_method) == sizeof(int), "an enum is read as an int");

int64_t rule_number(const struct rule *rule, const struct rule_field *field) {
    const char *at = (const char *)rule + field->offset;
    if (field->kind == RULE_SWITCH) return *(const bool *)at;
    if (field->kind == RULE_LONG) return *(const int64_t *)(const void *)at;
    return *(const int *)(const void *)at;
}

void rule_set_number(struct rule *rule, const struct rule_field *field, int64_t value) {
    char *at = (char *)rule + field->offset;
    if (field->kind == RULE_SWITCH) *(bool *)at = value != 0;
    else if (field->kind == RULE_LONG) *(int64_t *)(void *)at = value;
    else *(int *)(void *)at = (int)value;
}

static bool same_queues(const struct rule *one, const struct rule *other) {
    if (one->queue_count != other->queue_count) return false;
    for (int i = 0; i < one->queue_count; i++)
        if (strcmp(one->queues[i], other->queues[i]) != 0) return false;
    return true;
}

bool rule_field_equal(const struct rule_field *field, const struct rule *one,
                      const struct rule *other) {
    switch (field->kind) {
    case RULE_NAME:
        return strcmp(one->name, other->name) == 0;
    case RULE_DAYS:
        return one->days == other->days && one->always == other->always;
    case RULE_LIST:
        return same_queues(one, other);
    default:
        return rule_number(one, field) == rule_number(other, field);
    }
}
