/* A dyno: slots that serve first come, first served, and what its agent has counted. */
#ifndef POLICY_DYNO_H
#define POLICY_DYNO_H

#include <stdbool.h>

#include "seen.h"

enum { MOST_SLOTS = 32, ROWS_KEPT = 128 };

struct begun {
    double start, wait;
};

struct dyno {
    bool up;
    double boot_began, up_at, next_cycle, next_crash, next_report;
    double free_at[MOST_SLOTS]; /* when each slot is free again */
    struct begun *queue;        /* starts that the agent has not counted yet */
    int queue_head, queue_tail, queue_room;
    struct row rows[ROWS_KEPT]; /* seconds that are not reported yet, by second % ROWS_KEPT */
    int rows_from;
};

void dyno_begin_all(void); /* reads the options: c, forge */
int dyno_slots(void);

struct dyno *dyno_new(void);
void dyno_free(struct dyno *dyno);

double dyno_free_at(const struct dyno *dyno); /* the first moment at which a slot is free */
double dyno_longest(const struct dyno *dyno, double t); /* how long until all slots are */
int dyno_busy(const struct dyno *dyno, double t);
int dyno_in_flight(const struct dyno *dyno, double t); /* with those that queue */
void dyno_rest_until(struct dyno *dyno, double t);
void dyno_take(struct dyno *dyno, double start, double wait, double service);

/* Its agent counts the second that has just ended. */
void dyno_count(struct dyno *dyno, int second, double now);
void dyno_clear_rows(struct dyno *dyno, int from);
/* It crashes: how many requests are lost. */
int dyno_lose(struct dyno *dyno, int second);

#endif
