/*
 * A trial of rules at work: what trial.c, trial_past.c and trial_answer.c share.
 */
#ifndef TRIAL_INSIDE_H
#define TRIAL_INSIDE_H

#include "api/resources.h"
#include "replay/estimate.h"
#include "replay/jobs_past.h"
#include "store/prices.h"

enum { MINUTE_S = 60, USUAL_REPORT_S = 10 };

struct trial_work {
    struct api_work work; /* first */
    int64_t app, from_s, to_s, version;
    char process[RULE_PROCESS_SIZE];
    struct rule_set *proposed, *in_force; /* in_force: NULL: none */
    bool same_rules, other_queues;

    struct history history;
    struct capacity capacity;
    struct estimated all;
    struct trial trials[2]; /* proposed, in force */
    struct trial_minute *minutes[2];
    struct price price;
    double done_from, done_to; /* of the current part */
    bool stopped, not_known;   /* not_known: what is needed of jobs was not reported */

    /* While the ledger is read. */
    int report_s;
    double slots_sum, slots_dynos;
    int64_t restart_s;
    double last_up;
    int64_t first_version, last_release_s;
    bool has_memory;
    struct memory memory;
    struct jobs_past jobs; /* where the process works on jobs */
};

/* trial.c */
/* Reports which share of the current part is done; false: stop. `context`: a struct trial_work. */
bool trial_goes_on(void *context, double done);

/* trial_past.c */
/* Defines "slow" by the rules in force, or else by the proposed ones. */
void trial_define_slow(struct trial_work *trial);
/* Reads the past from the store. False: the store failed, or there is no memory. */
bool trial_read_past(struct trial_work *trial, struct store *store);
/* trial_answer.c */
void trial_put_answer(struct text *text, const struct trial_work *work);

#endif
