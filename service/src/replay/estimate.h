/*
 * The result of a trial: each number with its uncertainty, and sentences for people. Pure.
 */
#ifndef ESTIMATE_H
#define ESTIMATE_H

#include "replay/trial.h"
#include "text.h"

struct estimate {
    double value, low, high;
};

/* What really happened, in the minutes with reports; -1: unknown. */
struct actual {
    double dyno_hours, slow_minutes, scalings;
    double late; /* jobs that began late */
    int known_minutes;
};
void estimate_actual(const struct history *history, struct actual *actual);

/* How well the model does where the truth is known: it is run with the dynos that really ran. */
struct check {
    bool done;          /* false: it is not known how many ran */
    double found, were; /* slow minutes */
};

struct totals {
    struct estimate dyno_hours, slow_minutes, scalings;
    struct estimate late_jobs; /* of jobs */
};
void estimate_totals(const struct trial *trial, const struct check *check, struct totals *totals);

enum sureness { SURENESS_NONE, SURENESS_POOR, SURENESS_FAIR, SURENESS_GOOD };
extern const char *const sureness_names[];

/* Everything that goes into the result. */
struct estimated {
    const struct history *history;
    const struct capacity *capacity;
    struct check check;
    struct actual actual;
    bool other_queues;                       /* the proposed rules look at other queues */
    bool same_rules;                         /* the proposed ones are those in force */
    bool were_in_force;                      /* those in force did not change in that time */
    const struct trial *in_force, *proposed; /* in_force: NULL: there are none */
    struct totals in_force_totals, proposed_totals;
};
enum sureness estimate_sureness(const struct estimated *all);
/* Writes the sentences, one per call of `put`. */
void estimate_sentences(const struct estimated *all, void (*put)(void *context, const char *text),
                        void *context);
void estimate_verdict(const struct estimated *all, struct text *text);

#endif
