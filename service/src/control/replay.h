/*
 * Repeats past decisions: each tick of the ledger, with the situation, rule and memory that it was
 * given, is decided again and compared bit by bit.
 */
#ifndef REPLAY_H
#define REPLAY_H

#include "store/apps.h"
#include "store/ledger.h"

struct replay_counts {
    int64_t ticks;
    int64_t different; /* are decided differently now */
    int64_t broken;    /* were not given the memory that the previous tick left */
    int64_t no_rules;  /* their version of the rules is missing or can't be read */
};

/* A tick that differs: as it was, and as it is decided now. `what` names the first field that
 * differs ("to", "sentence", "memory", "rules" ...); for "memory" and "rules", `now` is NULL. */
struct replay_difference {
    const struct ledger_tick *was;
    const struct decision *now;
    const char *what;
};

/*
 * Repeats the ticks of a process in [from_s, to_s). `each` (may be NULL) is called for each that
 * differs and returns false to stop. False: the store failed. Any thread.
 */
bool replay_run(struct store *store, const struct app *app, const char *process, int64_t from_s,
                int64_t to_s, bool (*each)(void *context, const struct replay_difference *),
                void *context, struct replay_counts *counts);

#endif
