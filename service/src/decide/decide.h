/*
 * decide(situation, rule, memory) → decision. Pure: no clock, no file, no environment, no
 * allocation, whole numbers only; the same input gives the same output on any machine. The live
 * loop, the replay, the simulator and the tests call this one function.
 *
 * Reading order: situation.h (what is known), decide.c (the order of the checks), view.c (what is
 * made of it), steps.c (the method), safety.c (what holds over every method), sentence.c (the
 * words).
 *
 * What the caller owes to it: after an order failed or was locked (act_state), the same number is
 * decided again at each tick while the reasons hold, so the caller spaces the attempts and never
 * makes one on an older decision. Agents with nothing to report must be asked for a heartbeat of at
 * most twice their report interval, or their silence is taken for what it may be.
 */
#ifndef DECIDE_H
#define DECIDE_H

#include "decide/memory.h"
#include "decide/situation.h"
#include "rules/rule.h"

enum decision_action { DECISION_HOLD, DECISION_UP, DECISION_DOWN };

enum { DECISION_SENTENCE_SIZE = 400 };

struct decision {
    enum decision_action action;
    int from; /* dynos ordered now; -1: not known */
    int to;   /* the absolute number that there should be; `from` on hold */
    int form; /* which sentence: enum sentence_form */
    char sentence[DECISION_SENTENCE_SIZE]; /* "up 2 → 3: p95 was 140 ms over the last minute, above
                                              100 ms" */
    char next[DECISION_SENTENCE_SIZE]; /* "up when p95 stays above 100 ms; down in 2:10 if it stays
                                          below 50 ms" */
};

/* Updates *memory for the next tick. With situation->scaling 0 the decision is only what would be
 * done. */
void decide(const struct situation *situation, const struct rule *rule, struct memory *memory,
            struct decision *decision);

#endif
