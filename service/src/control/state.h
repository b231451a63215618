/*
 * Inside control/: what its thread knows of each app and process. Only that thread touches it; a
 * call to a platform gets copies and comes back through the inbox.
 *
 * Reading order: control.c (the thread and its wake-ups), config.c (what is set), load.c (what the
 * store knows), tick.c (one tick), situation.c (what a decision is given), act.c (orders to
 * platforms), calls.c (the calls themselves), lease.c (who may act), compact.c (what is old).
 */
#ifndef STATE_H
#define STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "control/control.h"
#include "decide/decide.h"
#include "ingest/follow.h"
#include "keeper/keeper.h"
#include "platforms/platform.h"
#include "pool.h"
#include "store/apps.h"
#include "store/ledger.h"

enum { BOOTS = 16, BOOTS_JUDGED = 5, OUTSIDE = 8, SETTLE_LEAST_MS = 30 * 1000 };

/* Where the newest order of a process stands. */
enum phase {
    PHASE_NONE,     /* there is none, or it ended */
    PHASE_CHECK,    /* it was under way when the service ended: the next reading tells */
    PHASE_ASK,      /* it failed in a way that only the next decision may try again */
    PHASE_DUE,      /* to be given to the platform at next_ms, again or for the first time */
    PHASE_CALLED,   /* the platform is being told */
    PHASE_SETTLING, /* done; readings may still show the number before */
};

struct process {
    struct app_state *app;
    char name[RULE_PROCESS_SIZE];
    const struct rule_process *rules; /* NULL: it is in the rules no more */
    bool loaded;                      /* what the store knows of it was read */
    int64_t loaded_tick_s;            /* the last tick that it knew of then; 0: none */

    struct memory memory;
    struct process_orders orders;
    int64_t rules_version; /* in force at the last tick, with the rule's number */
    int rule_number;
    int64_t rule_since_s; /* since when */
    int64_t person_s;     /* when a person last changed what scales it; 0: never */

    /* What the platform runs. Moments in ms are monotonic, -1: never. */
    struct platform_formation formation; /* `ordered`: as ordered by us where that is newer */
    int64_t formation_ms;                /* when it was last known */
    int64_t read_ms, next_read_ms;       /* when a reading last began, when the next is due */
    int known;                           /* dynos that we last ordered or adopted; -1 */
    int limit;
    int64_t told_cents;                /* the price that the platform told last; -1: none */
    char trouble[SITUATION_TEXT_SIZE]; /* of the last reading; "" */
    bool reading;
    bool unanswered; /* at its last decision the platform had not answered once */
    bool answered;   /* it has since: decided for before the next tick */
    bool read_first; /* no order before a reading: something else held the formation */

    struct act act;     /* the newest; id 0: none */
    struct act ordered; /* by a tick that is not committed yet */
    char act_reason[DECISION_SENTENCE_SIZE];
    enum phase phase;
    int64_t act_ms;  /* when it was ordered */
    int64_t next_ms; /* PHASE_DUE: when to call; PHASE_SETTLING: until when */

    int64_t outside_ms[OUTSIDE]; /* when somebody else changed the formation, newest first */
    int64_t boots_s[BOOTS];      /* how long dynos took to start, newest first */
    int boot_count;
    int boot_target; /* dynos waited for; 0: none */
    int64_t boot_ms; /* since when */

    struct ledger_tick tick; /* that is being made */
    struct memory after;
    bool ticked;
};

struct app_state {
    struct control *control;
    int64_t id;
    char name[APP_NAME_SIZE], zone[APP_ZONE_SIZE];
    int64_t rules_version; /* 0: none */
    int64_t rules_s;       /* when they were set */
    bool rules_stale;      /* newer ones could not be read for want of memory */
    struct rule_set *rules;
    const struct platform *platform; /* NULL: none is set */
    char *platform_kind, *settings;  /* settings: JSON */
    void *sealed;
    size_t sealed_length;
    int64_t times_set; /* of the platform */
    int plan_dynos;    /* of a process type, at most, by the add-on's plan; -1: no limit */
    int64_t changes;   /* counts changes of all that, and of orders by people */
    struct process **processes;
    int process_count;
    bool busy;          /* a call is under way */
    int64_t hold_ms;    /* no order is given to the platform before: another may be doing so */
    int64_t limited_ms; /* until when its rate limit is used up: a new order waits, too */
    bool gone;          /* removed, and stays until what is under way has ended */
};

enum call_verb { CALL_READ, CALL_SET };

/* A call to a platform, on a thread of the pool: all it needs, and what came of it. */
struct call {
    struct pool_job job;
    struct call *next; /* in the inbox */
    struct control *control;
    struct app_state *app;
    int64_t app_id;
    struct process *process;
    enum call_verb verb;
    const struct platform *platform;
    char app_name[APP_NAME_SIZE], process_name[RULE_PROCESS_SIZE];
    char *settings;
    void *sealed;
    size_t sealed_length;
    int64_t act_id;
    int64_t changes; /* of the app, when it began */
    int dynos;
    char reason[DECISION_SENTENCE_SIZE];
    struct call *also; /* orders of other processes of the app, given in the same call */
    char hook_url[CONTROL_HOOK_URL_SIZE];

    void *renewed; /* the credential, renewed and sealed; NULL: it is as before */
    size_t renewed_length;
    bool void_lease; /* the lease passed before the call: nothing was done */
    int64_t began_ms;
    struct platform_answer answer;
    struct platform_formation formation;
};

struct control {
    struct control_settings settings;
    char *folder;
    struct live *live;
    struct store *store;
    struct pool *pool;      /* calls to platforms */
    struct pool *compactor; /* one thread that folds what is old; NULL: none */
    struct pool_job compaction;
    _Atomic bool compacting, compaction_ends;
    int64_t compacted_s; /* until when it was done */
    /* The clock as it was when it was last believed, by both clocks; since when it is not; and what
     * the store knows of it. Of the compactor's thread. */
    int64_t believed_s, believed_ms, doubted_ms, noted_s;
    pthread_t thread;
    bool has_thread;

    struct app_state **apps; /* in the order of their ids */
    int app_count;
    int64_t config_version;
    bool config_failing; /* and that was logged */
    bool standing_by;    /* another holds the lease */

    char holder[64];
    int lock; /* descriptor of the folder's lock; -1 */
    bool lock_taken;
    bool given_back; /* by who had the lease before: nothing of it is under way */
    bool anew;       /* the lease was got, or changed hands meanwhile */
    int64_t epoch;
    _Atomic int64_t lease_until_ms; /* a call may begin before that */

    int64_t started_ms;
    int64_t next_tick_s, last_tick_s; /* wall; last: at first the start */
    int64_t wall_ms, monotonic_ms;    /* of the last look at both clocks; wall 0: none */
    int64_t clock_jump_s;             /* since the last tick */
    bool tick_soon;
    bool answered; /* a process has an answer that its last decision waited for */
    struct control_counts counts;
    int64_t next_scan_ms; /* when a call is next due */
    int64_t next_compact_ms;
    uint64_t random;

    pthread_mutex_t lock_inbox; /* of all below */
    pthread_cond_t changed_inbox;
    struct call *inbox;
    bool ending, config_changed;
    int calls;        /* under way */
    char *public_url; /* NULL: not known yet */
    int64_t *told;    /* apps of which a platform told something */
    int told_count, told_room;
    void (*tell)(void *context, int64_t app);
    void *tell_context;
    void (*changed)(void *context); /* another process changed what is set */
    void *changed_context;
    struct follow *follow; /* NULL: the store is not shared */
    int64_t next_renew_ms; /* of the lease */
    int64_t next_clocks_ms;
    struct control_counts published;
};

/* Does all that is due now. Then control_wait says in how many ms something is due again. */
void control_step(struct control *control);
int64_t control_wait(const struct control *control);

/* As control_new, without a thread: the caller steps it. */
struct control *control_new_stopped(struct live *live, const struct control_settings *settings,
                                    char *error, size_t size);
/* Waits until no call is under way, so that the next step has what came of them. */
void control_wait_for_calls(struct control *control);

/* config.c: reads what is set. False where the store failed: then all is as before. */
bool config_read(struct control *control);
void config_free(struct control *control);
struct app_state *app_find(const struct control *control, int64_t id); /* NULL: there is none */
struct process *process_find(const struct app_state *app, const char *name);
/* load.c: reads what the store knows of processes that are new here. Where it failed, those that it
 * failed for are as new as before. */
bool processes_load(struct control *control);

/* lease.c */
bool lease_begin(struct control *control, char *error, size_t size);
/* In a transaction: whether this process may act. */
bool lease_hold(struct control *control, int64_t now_s);
/* Between ticks, where the store is shared: renews the lease or tries to get it. Whether this
 * process has it. */
bool lease_keep(struct control *control);
/* An order that another holder left open may be on its way still: for as long as a call may take,
 * the app gets none of ours. */
void lease_note_open(struct control *control, struct process *process);
/* The same of an order whose keeper ended before it answered. */
void lease_hold_app(struct control *control, struct app_state *app);
void lease_end(struct control *control);

/* What another holder of the lease did is read anew before anything is decided. */
void control_forget_all(struct control *control);

/* tick.c: decides for all processes, or for none where the store failed. */
void tick_all(struct control *control, int64_t now_s);
/* The same for those alone whose platform gave its first answer since they were decided for, so
 * that thousands of them, after a start, are decided for once more each and not once for each
 * answer. */
void tick_answered(struct control *control, int64_t now_s);

/* compact.c: begins to fold what is old, where that is due. */
bool compact_begin(struct control *control, char *error, size_t size);
void compact_if_due(struct control *control);
void compact_end(struct control *control); /* waits for it */

/* situation.c */
void situation_build(struct control *control, struct process *process, const struct rule *rule,
                     int64_t now_s, struct situation *situation);

/* act.c: what a decision orders, in the tick's transaction; then, once it is committed. */
bool act_order(struct control *control, struct process *process);
void act_ordered(struct process *process);
/* Something came back from a platform. */
void act_called(struct control *control, struct process *process, const struct call *call);
void act_read(struct control *control, struct process *process, const struct call *call);
/* Begins the calls that are due for an app, or for all; notes when the next is. */
void act_begin_one(struct control *control, struct app_state *app);
void act_begin_all(struct control *control);
/* A platform told of a change: what is due for the app's readings is due now. */
void act_read_soon(struct control *control, int64_t app);
/* Learns how long dynos take to start, where the agents alone tell. */
void act_learn_boot(struct control *control, struct process *process, int64_t now_s);

/* calls.c: a call with copies of all it needs, NULL without memory; then it is begun, or freed
 * where that can't be. call_free frees those that go with it. */
struct call *call_new(struct control *control, struct process *process, enum call_verb verb);
bool call_begin(struct call *call);
void call_free(struct call *call);

int64_t control_now_s(void);
/* A number of [0, below) for jitter. */
int64_t control_jitter(struct control *control, int64_t below);

#endif
