/*
 * Tries a rule on what a run of `jobs/simulate` stored (store=FILE): the same code as the service's
 * trials, and nothing of the simulator.
 *
 *     try_jobs from=FILE KEY=VALUE...
 *
 * Keys: method, care, min, max, up, down, hold, goal, and late: seconds after which a job that
 * begins is late. Prints worker-hours with low and high, late minutes, scalings and late jobs the
 * same, what the check found and what there was, and what a worker does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../options.h"
#include "decide/decide.h"
#include "replay/estimate.h"
#include "replay/jobs_past.h"

enum { VALUES = 12, MINUTE_S = 60, MOST_TICKS = 31 * 8640, RELEASE_S = 20, RESTART_S = 300 };

struct tick {
    struct situation situation;
    int action;
};

static struct tick *ticks;
static int tick_count;

static bool read_ticks(const char *name) {
    FILE *file = name ? fopen(name, "r") : NULL;
    long long x[VALUES];
    ticks = calloc(MOST_TICKS, sizeof *ticks);
    if (!file || !ticks) return false;
    while (tick_count < MOST_TICKS) {
        for (int i = 0; i < VALUES; i++)
            if (fscanf(file, "%lld", &x[i]) != 1) return fclose(file) == 0 && tick_count > 0;
        struct situation *now = &ticks[tick_count].situation;
        situation_clear(now);
        now->now = x[0];
        now->value_ms = x[1];
        now->oldest_ms = x[2];
        now->oldest_apart_s = x[3];
        now->jobs_waiting = x[4];
        now->jobs_running = x[5];
        now->jobs_start = x[6];
        now->ordered = x[7];
        now->up = x[8];
        now->release_age = x[9];
        now->boot_mean_ms = x[10];
        now->tick_s = 10;
        now->heard_age = 1;
        ticks[tick_count++].action = (int)x[11];
    }
    return fclose(file) == 0;
}

/* As the service's trials read the ledger. */
static void add_formation(struct history *history) {
    int64_t restarted_s = 0;
    for (int i = 0; i < tick_count; i++) {
        const struct situation *now = &ticks[i].situation;
        int64_t place = (now->now - history->from_s) / MINUTE_S;
        if (place >= history->count) continue;
        struct history_minute *minute = &history->minutes[place];
        minute->ticks++;
        minute->ordered += (double)now->ordered;
        minute->up += (double)now->up;
        minute->scalings += ticks[i].action != DECISION_HOLD;
        history->boot_s = (double)now->boot_mean_ms / 1000;
        bool fell = i > 0 && 2 * now->up < ticks[i - 1].situation.up && 2 * now->up < now->ordered;
        if (fell && now->now - restarted_s > RESTART_S) {
            minute->restart = true;
            restarted_s = now->now;
        }
        if (now->release_age >= 0 && now->release_age < RELEASE_S) minute->releasing = true;
    }
    for (int i = 0; i < history->count; i++) {
        if (history->minutes[i].ticks == 0) continue;
        history->minutes[i].ordered /= history->minutes[i].ticks;
        history->minutes[i].up /= history->minutes[i].ticks;
    }
    history->first_dynos = (int)(history->minutes[0].ordered + .5);
}

static bool read_history(struct history *history, struct capacity *capacity) {
    history->jobs = true;
    history->from_s = ticks[0].situation.now - ticks[0].situation.now % MINUTE_S;
    history->count = (int)((ticks[tick_count - 1].situation.now - history->from_s) / MINUTE_S);
    history->slow_ms = (int)(option_number("late", 30) * 1000);
    history->slow_per_mille = 50;
    history->minutes = calloc((size_t)history->count, sizeof *history->minutes);
    struct jobs_past past = {.history = history,
                             .seen = calloc((size_t)history->count, sizeof *past.seen)};
    if (!history->minutes || !past.seen) return false;
    add_formation(history);
    for (int i = 0; i < tick_count; i++) jobs_past_tick(&past, &ticks[i].situation);
    return jobs_past_end(&past, capacity);
}

static void read_rule(struct rule *rule) {
    static const char *const cares[] = {"lean", "balanced", "strict"};
    rule_defaults(rule);
    rule->min = option_int("min", 0);
    rule->max = option_int("max", 40);
    if (strcmp(option("method", "automatic"), "automatic") == 0) rule->method = RULE_AUTOMATIC;
    for (int i = 0; i < 3; i++)
        if (strcmp(option("care", "balanced"), cares[i]) == 0) rule->care = (enum rule_care)i;
    rule->goal_ms = (int64_t)(option_number("goal", 30) * 1000);
    rule->hold_while_jobs_run = option_int("hold", 0);
    rule->up.threshold_ms = (int64_t)(option_number("up", 10) * 1000);
    rule->down.threshold_ms = (int64_t)(option_number("down", 1) * 1000);
}

static void run(struct trial *trial, struct rule *rule, bool scaling) {
    struct rule_process process = {
        .name = "worker", .scaling = scaling, .rule_count = 1, .rules = rule};
    trial->process = &process;
    trial->minutes = calloc((size_t)trial->history->count, sizeof *trial->minutes);
    if (!trial->minutes || !trial_run(trial)) exit(1);
    trial->process = NULL;
}

static void print(const char *name, const struct estimate *estimate) {
    printf("%s %.2f %.2f %.2f ", name, estimate->value, estimate->low, estimate->high);
}

int main(int count, char **words) {
    struct history history = {0};
    struct capacity capacity;
    struct check check = {.done = true};
    struct rule rule;
    struct totals totals;
    options_read(count, words);
    if (!read_ticks(option("from", NULL)) || !read_history(&history, &capacity)) {
        fprintf(stderr, "usage: try_jobs from=FILE KEY=VALUE...\n");
        return 2;
    }
    read_rule(&rule);
    struct trial trial = {
        .history = &history, .capacity = &capacity, .zone = zone_find("UTC"), .tick_s = 10};
    struct trial real = trial;
    run(&real, &rule, false);
    for (int i = 0; i < history.count; i++) {
        check.found += real.minutes[i].slow;
        check.were += history_is_slow(&history, &history.minutes[i]);
    }
    struct rule_process process = {
        .name = "worker", .scaling = true, .rule_count = 1, .rules = &rule};
    run(&trial, &rule, true);
    trial.process = &process;
    estimate_totals(&trial, &check, &totals);
    print("hours", &totals.dyno_hours);
    print("slow", &totals.slow_minutes);
    print("scalings", &totals.scalings);
    print("late", &totals.late_jobs);
    double came = 0;
    for (int i = 0; i < history.count; i++) came += history.minutes[i].came;
    printf("found %.0f were %.0f slots %d job %.2f doubt %.3f came %.0f\n", check.found, check.were,
           capacity.slots, capacity.service_s, capacity.doubt, came);
    const char *name = option("minutes", NULL);
    FILE *file = name ? fopen(name, "w") : NULL;
    for (int i = 0; file && i < history.count; i++)
        fprintf(file, "%d came %.1f dynos %.2f late %.0f | then: began %.0f dynos %.2f late %.0f\n",
                i, history.minutes[i].came, history.minutes[i].ordered,
                history.minutes[i].above[HISTORY_SLOW], trial.minutes[i].requests,
                trial.minutes[i].ordered, trial.minutes[i].above);
    if (file) fclose(file);
    return 0;
}
