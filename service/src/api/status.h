/*
 * How a process is: its rule in force, its last tick, what people ordered, and the state that these
 * make. Read by status.c for the API, by metrics.c for Prometheus.
 */
#ifndef STATUS_H
#define STATUS_H

#include "rules/rule.h"
#include "store/apps.h"
#include "store/ledger.h"

/* In the order in which they need somebody: what comes first is the app's state. */
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
    int64_t silent_s; /* where ticks know of no report any more, but there were some; else 0 */
    bool came;        /* the last tick knew of no report, and one has come since */
    enum status_state state;
    char words[400];
};

/* `process` and `set` must outlive `status`. */
void status_find(struct status *status, struct store *store, const struct app *app,
                 const struct rule_set *set, const struct rule_process *process, int64_t now_s);

/* The age that something had at the tick, as of now; -1: not known. */
static inline int64_t status_age(const struct status *status, int64_t age) {
    return age < 0 ? -1 : age + status->age_s;
}

#endif
