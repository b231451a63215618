/*
 * The rules of an app: for each process type an ordered list, of which the topmost that is active
 * counts; the last one is the default and is always active. Plain data, without pointers to
 * anything outside it.
 */
#ifndef RULE_H
#define RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/zone.h"

enum {
    RULE_NAME_SIZE = 81,
    RULE_QUEUE_SIZE = 256,
    RULE_QUEUES = 32,
    RULE_RULES = 50,
    RULE_PROCESSES = 50,
    RULE_PROCESS_SIZE = 65,
    RULE_DYNOS = 1000,
    RULE_WAIT_S = 86400,
    RULE_THRESHOLD_MS = 86400000,
    RULE_GOAL_MS = 100, /* where none is written: of requests, of jobs */
    RULE_JOBS_GOAL_MS = 30000,
    RULE_JOBS_LEAST_GOAL_MS = 1000,
    RULE_TEXT_SIZE = 256 * 1024,
    RULE_EVERY_DAY = 0x7F,
};

enum rule_method { RULE_STEPS, RULE_AUTOMATIC };
enum rule_statistic { RULE_P50, RULE_P75, RULE_P90, RULE_P95, RULE_P99, RULE_MEAN };
enum rule_care { RULE_LEAN, RULE_BALANCED, RULE_STRICT };

struct rule_step {
    int64_t threshold_ms;
    int step;
    int wait_s;
};

/* What a decision follows. Only whole numbers. */
struct rule {
    char name[RULE_NAME_SIZE];
    uint8_t days;               /* bit 0: Monday ... bit 6: Sunday; 0x7F: all */
    int from_minute, to_minute; /* of the day; from > to: over midnight; equal: the whole day */
    bool always;                /* neither days nor times were given: the default rule */
    int min, max;
    enum rule_method method;
    struct rule_step up, down;
    enum rule_statistic statistic;
    int window_s;    /* 10 to 600 */
    int queue_count; /* 0: all */
    char queues[RULE_QUEUES][RULE_QUEUE_SIZE];
    int64_t goal_ms;
    int goal_per_mille; /* share of requests or jobs that may wait longer: 50 is 5 % */
    enum rule_care care;
    bool hold_while_jobs_run;
    int drain_by_s;
};

/* A rule with the default of every field. */
void rule_defaults(struct rule *rule);

struct rule_process {
    char name[RULE_PROCESS_SIZE];
    bool scaling; /* false: decided and explained, not done */
    int rule_count;
    struct rule *rules; /* of the set */
};

struct rule_set {
    char zone_name[64];
    const struct zone *zone;
    int process_count;
    struct rule_process *processes;
};

/*
 * Reads rules in YAML or JSON (which is YAML). NULL where anything is wrong, with one sentence that
 * names the field, its line and what is allowed; nothing is taken by halves. `zone` is used where
 * the text names none. Any bytes, any size up to 256 KiB. Where memory ran out the sentence is
 * rule_no_memory, and nothing is said of the text.
 */
extern const char rule_no_memory[];
struct rule_set *rule_read(const char *text, size_t length, const char *zone, char *error,
                           size_t size);
void rule_free(struct rule_set *set);

struct text;
/* Writes rules as YAML, as a person would, and as JSON; both can be read back to the same rules.
 * YAML leaves out fields with their default value; JSON has all. */
void rule_write_yaml(struct text *text, const struct rule_set *set);
void rule_write_json(struct text *text, const struct rule_set *set);
void rule_write_json_one(struct text *text, const struct rule *rule); /* one rule, as in a set */

/* NULL where the set has no such process. */
const struct rule_process *rule_process(const struct rule_set *set, const char *name);

/* Writes each difference as a line: "web, rule office: maximum 10 → 12". `before` NULL: there were
 * no rules. Nothing if they are the same. */
void rule_difference(struct text *text, const struct rule_set *before,
                     const struct rule_set *after);

/* Whether a queue ("sidekiq:mailers") counts for the rule. In a name, * stands for any characters,
 * and a leading - excludes what matches. A list with only exclusions counts all other queues. */
bool rule_counts_queue(const struct rule *rule, const char *source, size_t length);

#endif
