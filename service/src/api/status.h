/*
 * The state of a process: its rule in force, its last tick, people's orders, and what follows from
 * these. Used by status.c for the API and by metrics.c for Prometheus.
 */
#ifndef STATUS_H
#define STATUS_H

#include "rules/rule.h"
#include "store/apps.h"
#include "store/ledger.h"

/* The most urgent first: an app's state is the most urgent of its processes' states. */
enum status_state {
    STATE_TROUBLE,
    STATE_STALE,
    STATE_MAXIMUM,
    STATE_WAITING,
    STATE_PAUSED,
    STATE_BOOSTED,
    STATE_OK,
    STATE_OFF,
    STATE_NONE,
};

struct status {
    const struct rule_process *process;
    const struct rule *rule; /* in force */
    int rule_number;
    int64_t rule_until_s; /* INT64_MAX: no end */
    struct process_orders orders;
    bool ticked;
    struct ledger_tick tick;
    int64_t age_s;    /* of the tick */
    int64_t silent_s; /* how long there has been no report, if there were reports before; else 0 */
    bool came;        /* a report has come since the last tick, which knew of none */
    enum status_state state;
    char words[400];
};

/* `process` and `set` must outlive `status`. */
void status_find(struct status *status, struct store *store, const struct app *app,
                 const struct rule_set *set, const struct rule_process *process, int64_t now_s);

/* The current age of something whose age at the tick is known; -1: it is not. */
static inline int64_t status_age(const struct status *status, int64_t age) {
    return age < 0 ? -1 : age + status->age_s;
}

#endif
