/*
 * Which rule counts when: days of the week and times of the day in the app's zone, over midnight,
 * and over the nights on which clocks change. A rule from 22:00 to 06:00 on Mondays is active from
 * Monday 22:00 to Tuesday 06:00. An hour that the clock skips is not there; one that it repeats
 * counts twice. Pure.
 */
#ifndef WEEK_H
#define WEEK_H

#include "rules/rule.h"

/* Whether the rule is active at the moment. */
bool week_active(const struct rule *rule, const struct zone *zone, int64_t epoch_s);

/* The number of the topmost active rule; there always is one. */
int week_rule(const struct rule_process *process, const struct zone *zone, int64_t epoch_s);

/* The first moment after `epoch_s` at which another rule counts; INT64_MAX: none within 8 days. */
int64_t week_until(const struct rule_process *process, const struct zone *zone, int64_t epoch_s);

#endif
