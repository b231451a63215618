/*
 * The queue times of some seconds as counts above rising waits, from which a rule's statistic is
 * read. Pure.
 */
#ifndef WAITS_H
#define WAITS_H

#include "replay/queue.h"
#include "rules/rule.h"

enum { WAITS_EDGES = 68 }; /* 1 ms times 2^(i/4): to 2 minutes */

struct waits {
    double requests, wait_s; /* that began; their waits, summed */
    double above[WAITS_EDGES];
};

/* Adds requests that come during a state of a queue. */
void waits_add(struct waits *waits, const struct queue_wait *wait, double requests);
/* Slow ones come in clusters: so many times as many by chance. */
void waits_vary(struct waits *waits, double times);
void waits_sum(struct waits *sum, const struct waits *other, double weight);

double waits_above(const struct waits *waits, double ms);
/* -1 where there is no request. */
double waits_value(const struct waits *waits, enum rule_statistic statistic);

#endif
