/*
 * Decides again what was decided: each tick of the ledger with the situation, the rule and the
 * memory that it was given, and compares, to the bit.
 */
#ifndef REPLAY_H
#define REPLAY_H

#include "store/apps.h"
#include "store/ledger.h"

struct replay_counts {
    int64_t ticks;
    int64_t different; /* decided otherwise now */
    int64_t broken;    /* were not given the memory that the tick before left */
    int64_t no_rules;  /* their version of the rules is not there or can't be read */
};

/* A tick that differs: as it was, and as it is decided now. `what` names the first field that
 * differs ("to", "sentence", "memory", "rules" ...); for "memory" and "rules", `now` is NULL. */
struct replay_difference {
    const struct ledger_tick *was;
    const struct decision *now;
    const char *what;
};

/*
 * Ticks of [from_s, to_s) of a process of an app; `each` (may be NULL) is called for each that
 * differs and returns false to end. False where the store failed. Any thread.
 */
bool replay_run(struct store *store, const struct app *app, const char *process, int64_t from_s,
                int64_t to_s, bool (*each)(void *context, const struct replay_difference *),
                void *context, struct replay_counts *counts);

#endif
