/*
 * Every tick of every process type, kept 30 days: the situation, which rule of which version, the
 * memory and the decision. Recent ticks are rows; hours that are over are packed (ledger_pack.h).
 */
#ifndef LEDGER_H
#define LEDGER_H

#include "decide/decide.h"
#include "store/store.h"

struct ledger_tick {
    int64_t app;
    char process[RULE_PROCESS_SIZE];
    int64_t rules_version;
    int rule_number; /* in the process's list */
    struct situation situation;
    struct memory memory; /* as given to decide */
    /* 1: memory.learned is missing here. It is what the previous tick (at memory.last_tick) left:
     * decide() can recompute it from the beginning of the hour. Set by ledger_add. */
    int chained;
    struct decision decision;
};

/* Both in the caller's transaction: adds the tick, and makes `after` the memory of its process. */
bool ledger_add(struct store *store, const struct ledger_tick *tick);
bool ledger_remember(struct store *store, const struct ledger_tick *tick,
                     const struct memory *after);

/* The memory for the next tick. False: there is none yet, or reading failed (store_error is then
 * not ""). */
bool ledger_memory(struct store *store, int64_t app, const char *process, struct memory *memory);

/* Ticks of [from_s, to_s), oldest first, each with the memory that it was given; `each` returns
 * false to end. changes_only: leaves out holds. False where it failed. */
bool ledger_each(struct store *store, int64_t app, const char *process, int64_t from_s,
                 int64_t to_s, bool changes_only,
                 bool (*each)(void *context, const struct ledger_tick *tick), void *context);
/* The last tick at or before the moment. False: none. */
bool ledger_last(struct store *store, int64_t app, const char *process, int64_t at_s,
                 struct ledger_tick *tick);

/* For each process of these apps that has ever ticked: the memory for the next tick, and the last
 * tick (NULL: no longer kept). */
bool ledger_each_process(struct store *store, int64_t from_app, int64_t to_app,
                         bool (*each)(void *context, int64_t app, const char *process,
                                      const struct memory *memory, const struct ledger_tick *last),
                         void *context);

/* Packs hours that are over, removes ticks that are older than 30 days and acts that are older
 * than 400, in transactions of its own. `rest` may be NULL. */
bool ledger_compact(struct store *store, int64_t now_s, const struct store_rest *rest);

/* In the caller's transaction: the ticks, memories and acts of an app are removed. */
bool ledger_remove_app(struct store *store, int64_t app);

/* Orders to the platform, for charts and for what must not be repeated or forgotten. */
struct act {
    int64_t id, app;
    char process[RULE_PROCESS_SIZE];
    int from, to;
    int64_t epoch;     /* of the lease under which it was made */
    int64_t ordered_s; /* when it was decided */
    int64_t ended_s;   /* 0: under way */
    enum act_state state;
    int tries;
    char trouble[SITUATION_TEXT_SIZE];
};
/* Sets id; in the tick's transaction. False where a lease of a newer epoch was taken. */
bool act_add(struct store *store, struct act *act);
/* Does nothing if the order was changed under a newer epoch. */
bool act_update(struct store *store, const struct act *act);
bool act_last(struct store *store, int64_t app, const char *process, struct act *act);
/* The newest of each process of these apps that ever ticked. */
bool act_each_last(struct store *store, int64_t from_app, int64_t to_app,
                   bool (*each)(void *context, const struct act *act), void *context);
bool act_each(struct store *store, int64_t app, const char *process, int64_t from_s, int64_t to_s,
              bool (*each)(void *context, const struct act *act), void *context);

/* The lease of a shard of apps: one holder acts, its acts carry the epoch. take: true while this
 * holder has it, with its epoch; it counts up whenever the holder changes. now_s:
 * LEASE_THEIR_CLOCK: by the database's clock, where the store is shared. */
enum { LEASE_THEIR_CLOCK = -1 };
bool lease_take(struct store *store, int shard, const char *holder, int64_t now_s, int64_t for_s,
                int64_t *epoch);
/* Releases the lease, so that others need not wait. holder NULL: whoever holds it, if the caller
 * knows that nobody can. */
bool lease_release(struct store *store, int shard, const char *holder);
/* Ends the lease although its holder may still have calls under way. */
bool lease_expire(struct store *store, int shard, const char *holder);
bool lease_is_free(struct store *store, int shard); /* there was none, or it was given back */
bool lease_is_held(struct store *store, int shard); /* by anybody, now */

#endif
