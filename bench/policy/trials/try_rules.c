/*
 * Tries a rule on what a run of `simulate` stored (store=FILE): the same code as the service's
 * trials, and nothing of the simulator.
 *
 *     try_rules FILE SLOTS KEY=VALUE...
 *
 * SLOTS of a dyno, 0: not reported. Keys: method, care, min, max, up, down, upwait, downwait, by,
 * first, tick. Prints dyno-hours with low and high, slow minutes and scalings the same, what the
 * check found and what there was, and the capacity.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay/estimate.h"

enum { FIRST_S = 1800000000 };

static const char *option(int count, char **words, const char *key, const char *usual) {
    size_t length = strlen(key);
    for (int i = 0; i < count; i++)
        if (strncmp(words[i], key, length) == 0 && words[i][length] == '=')
            return words[i] + length + 1;
    return usual;
}

static bool read_minute(FILE *file, struct history_minute *minute) {
    int restart, releasing;
    if (fscanf(file, "%d %d %lf %lf", &restart, &releasing, &minute->requests, &minute->wait_s) !=
        4)
        return false;
    for (int i = 0; i < HISTORY_MARKS; i++)
        if (fscanf(file, "%lf", &minute->above[i]) != 1) return false;
    minute->restart = restart;
    minute->releasing = releasing;
    minute->known = true;
    minute->p95_ms = -1;
    return fscanf(file, "%lf %lf %lf %lf", &minute->busy_s, &minute->ordered, &minute->up,
                  &minute->scalings) == 4;
}

static bool read_history(const char *name, struct history *history) {
    FILE *file = fopen(name, "r");
    if (!file || fscanf(file, "%d %lf", &history->count, &history->boot_s) != 2) return false;
    history->minutes = calloc((size_t)history->count, sizeof *history->minutes);
    bool done = history->minutes != NULL;
    for (int i = 0; done && i < history->count; i++) done = read_minute(file, &history->minutes[i]);
    fclose(file);
    history->from_s = FIRST_S - FIRST_S % 60;
    history->slow_ms = 100;
    history->slow_per_mille = 50;
    history->first_dynos = (int)(history->minutes[0].ordered + .5);
    return done;
}

static void read_rule(int count, char **words, struct rule *rule) {
    static const char *const cares[] = {"lean", "balanced", "strict"};
    rule_defaults(rule);
    rule->min = atoi(option(count, words, "min", "2"));
    rule->max = atoi(option(count, words, "max", "60"));
    if (strcmp(option(count, words, "method", "automatic"), "automatic") == 0)
        rule->method = RULE_AUTOMATIC;
    for (int i = 0; i < 3; i++)
        if (strcmp(option(count, words, "care", "balanced"), cares[i]) == 0)
            rule->care = (enum rule_care)i;
    rule->up.threshold_ms = (int64_t)(atof(option(count, words, "up", ".1")) * 1000);
    rule->down.threshold_ms = (int64_t)(atof(option(count, words, "down", ".05")) * 1000);
    rule->up.wait_s = atoi(option(count, words, "upwait", "60"));
    rule->down.wait_s = atoi(option(count, words, "downwait", "300"));
    rule->up.step = atoi(option(count, words, "by", "1"));
}

static void run(struct trial *trial, const struct rule *rule, bool scaling) {
    static struct rule rules[1];
    static struct rule_process process;
    rules[0] = *rule;
    process =
        (struct rule_process){.name = "web", .scaling = scaling, .rule_count = 1, .rules = rules};
    trial->process = &process;
    trial->minutes = calloc((size_t)trial->history->count, sizeof *trial->minutes);
    if (!trial->minutes || !trial_run(trial)) exit(1);
}

static void check_model(const struct trial *trial, const struct rule *rule, struct check *check) {
    struct trial real = *trial;
    real.tick_s = 10;
    run(&real, rule, false);
    check->done = true;
    for (int i = 0; i < real.history->count; i++) {
        check->found += real.minutes[i].slow;
        check->were += history_is_slow(real.history, &real.history->minutes[i]);
    }
    free(real.minutes);
}

static void print(const char *name, const struct estimate *estimate) {
    printf("%s %.2f %.2f %.2f ", name, estimate->value, estimate->low, estimate->high);
}

int main(int count, char **words) {
    struct history history = {0};
    struct capacity capacity;
    struct check check = {0};
    struct rule rule;
    struct totals totals;
    if (count < 3 || !read_history(words[1], &history)) {
        fprintf(stderr, "usage: try_rules FILE SLOTS KEY=VALUE...\n");
        return 2;
    }
    history.slots = atoi(words[2]);
    read_rule(count - 3, words + 3, &rule);
    capacity_fit(&capacity, &history);
    struct trial trial = {.history = &history,
                          .capacity = &capacity,
                          .zone = zone_find("UTC"),
                          .tick_s = atoi(option(count - 3, words + 3, "tick", "10"))};
    check_model(&trial, &rule, &check);
    run(&trial, &rule, true);
    estimate_totals(&trial, &check, &totals);
    print("hours", &totals.dyno_hours);
    print("slow", &totals.slow_minutes);
    print("scalings", &totals.scalings);
    printf("found %.0f were %.0f slots %d shared %d service %.4f smooth %.3f clustering %.1f "
           "doubt %.3f highest %.2f\n",
           check.found, check.were, capacity.slots, capacity.shared, capacity.service_s,
           capacity.smooth, capacity.clustering, capacity.doubt, capacity.highest);
    const char *minutes = option(count - 3, words + 3, "minutes", NULL);
    FILE *file = minutes ? fopen(minutes, "w") : NULL;
    for (int i = 0; file && i < history.count; i++)
        fprintf(file, "%d %.0f %.2f %.2f %.1f %d %.0f\n", i, trial.minutes[i].requests,
                trial.minutes[i].ordered, trial.minutes[i].up, trial.minutes[i].p95_ms,
                trial.minutes[i].slow, trial.minutes[i].above);
    if (file) fclose(file);
    return 0;
}
