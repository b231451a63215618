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

/* The state of a process's newest order. */
enum phase {
    PHASE_NONE,   /* there is none, or it ended */
    PHASE_CHECK,  /* was under way when the service ended: the next reading shows what became of it
                   */
    PHASE_ASK,    /* failed, and only a decision can make it due again */
    PHASE_DUE,    /* to be sent to the platform at next_ms, for the first time or again */
    PHASE_CALLED, /* being sent */
    PHASE_SETTLING, /* done; readings may still show the previous number */
};

struct process {
    struct app_state *app;
    char name[RULE_PROCESS_SIZE];
    const struct rule_process *rules; /* NULL: the rules do not contain it any more */
    bool loaded;                      /* its state was read from the store */
    int64_t loaded_tick_s;            /* the last tick that the store had then; 0: none */

    struct memory memory;
    struct process_orders orders;
    int64_t rules_version; /* in force at the last tick, with the rule's number */
    int rule_number;
    int64_t rule_since_s; /* since when */
    int64_t person_s;     /* when a person last changed its rules or orders; 0: never */

    /* What the platform runs. Moments in ms are monotonic, -1: never. */
    struct platform_formation formation; /* `ordered` is our own order if that is newer */
    int64_t formation_ms;                /* when it was last known */
    int64_t read_ms, next_read_ms;       /* when a reading last began; when the next is due */
    int known;                           /* dynos that we last ordered or adopted; -1 */
    int limit;
    int64_t told_cents;                /* the price that the platform told last; -1: none */
    char trouble[SITUATION_TEXT_SIZE]; /* of the last reading; "" */
    bool reading;
    bool unanswered; /* at its last decision, the platform had never answered */
    bool answered;   /* it has answered since: decided again before the next tick */
    bool read_first; /* a reading must precede the next order: something held the formation */

    struct act act;     /* the newest; id 0: none */
    struct act ordered; /* of a tick that is not committed yet */
    char act_reason[DECISION_SENTENCE_SIZE];
    enum phase phase;
    int64_t act_ms;  /* when it was ordered */
    int64_t next_ms; /* PHASE_DUE: when to call; PHASE_SETTLING: until when */

    int64_t outside_ms[OUTSIDE]; /* when somebody else changed the formation, newest first */
    int64_t boots_s[BOOTS];      /* how long dynos took to start, newest first */
    int boot_count;
    int boot_target; /* the number being waited for; 0: none */
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
    int64_t changes;   /* counts changes of all of this and of people's orders */
    struct process **processes;
    int process_count;
    bool busy;          /* a call is under way */
    bool slow;          /* its last call took half of the time-out or more */
    int64_t hold_ms;    /* no order is sent before this: another may be under way */
    int64_t limited_ms; /* when its rate limit allows calls again: new orders wait too */
    bool gone;          /* removed; freed when its last call has returned */
};

enum call_verb { CALL_READ, CALL_SET };

/* A call to a platform, made on a thread of the pool: all it needs, and its outcome. */
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
    struct call *also; /* orders of the app's other processes in the same call */
    char hook_url[CONTROL_HOOK_URL_SIZE];

    void *renewed; /* the credential, renewed and sealed; NULL: it is as before */
    size_t renewed_length;
    bool void_lease; /* the lease had ended before the call, which was not made */
    int64_t began_ms;
    bool slow; /* took half of the time-out or more */
    struct platform_answer answer;
    struct platform_formation formation;
};

struct control {
    struct control_settings settings;
    char *folder;
    struct live *live;
    struct store *store;
    struct pool *pool;      /* calls to platforms */
    struct pool *compactor; /* the single thread that folds old data; NULL: none */
    struct pool_job compaction;
    _Atomic bool compacting, compaction_ends;
    int64_t compacted_s; /* data up to here was folded */
    /* When the clock was last believed, by both clocks; since when it is doubted; what the store
     * last noted. Only used by the compactor's thread. */
    int64_t believed_s, believed_ms, doubted_ms, noted_s;
    pthread_t thread;
    bool has_thread;

    struct app_state **apps; /* in the order of their ids */
    int app_count;
    int64_t config_version;
    bool config_failing; /* and that was logged */
    bool standing_by;    /* another service holds the lease */

    char holder[64];
    int lock; /* descriptor of the folder's lock; -1 */
    bool lock_taken;
    bool given_back; /* the previous holder released the lease, so no call of its is under way */
    bool anew;       /* the lease was just taken, or had another holder in between */
    int64_t epoch;
    _Atomic int64_t lease_until_ms; /* calls may begin until then */

    int64_t started_ms;
    int64_t next_tick_s, last_tick_s; /* wall; last: at first the start */
    int64_t wall_ms, monotonic_ms;    /* when both clocks were last compared; wall_ms 0: never */
    int64_t clock_jump_s;             /* the step of the clock since the last tick */
    bool tick_soon;
    bool answered; /* a process has an answer that its last decision lacked */
    struct control_counts counts;
    int64_t next_scan_ms; /* when a call is next due */
    int64_t next_compact_ms;
    uint64_t random;

    pthread_mutex_t lock_inbox; /* guards everything below */
    pthread_cond_t changed_inbox;
    struct call *inbox;
    bool ending, config_changed;
    int calls;        /* under way */
    char *public_url; /* NULL: not known yet */
    int64_t *told;    /* apps whose platforms announced a change */
    int told_count, told_room;
    void (*tell)(void *context, int64_t app);
    void *tell_context;
    void (*changed)(void *context); /* called when another process changed the configuration */
    void *changed_context;
    struct follow *follow; /* NULL: the store is not shared */
    int64_t next_renew_ms; /* of the lease */
    int64_t next_clocks_ms;
    struct control_counts published;
};

/* Does everything that is due. control_wait then says in how many ms something is due again. */
void control_step(struct control *control);
int64_t control_wait(const struct control *control);

/* Like control_new, but without a thread: the caller calls control_step. */
struct control *control_new_stopped(struct live *live, const struct control_settings *settings,
                                    char *error, size_t size);
/* Waits until no call is under way, so that the next step sees all outcomes. */
void control_wait_for_calls(struct control *control);

/* config.c: reads the configuration. False: the store failed, and everything is as before. */
bool config_read(struct control *control);
void config_free(struct control *control);
struct app_state *app_find(const struct control *control, int64_t id); /* NULL: there is none */
struct process *process_find(const struct app_state *app, const char *name);
/* load.c: reads from the store what it knows of new processes. Those for which that fails stay
 * new. */
bool processes_load(struct control *control);

/* lease.c */
bool lease_begin(struct control *control, char *error, size_t size);
/* In a transaction: whether this process may act. */
bool lease_hold(struct control *control, int64_t now_s);
/* That transaction failed: what it took is undone with it. In a file, which one service has at a
 * time, the epoch stays, so that the next tick accepts it. */
void lease_undo(struct control *control, int64_t epoch, int64_t until_ms);
/* Between ticks, with a shared store: renews the lease or tries to take it. Returns whether this
 * process holds it. */
bool lease_keep(struct control *control);
/* An order that another holder left open may still be under way, so the app gets no order of ours
 * for as long as a call may take. */
void lease_note_open(struct control *control, struct process *process);
/* The same, for an order whose keeper ended before it answered. */
void lease_hold_app(struct control *control, struct app_state *app);
void lease_end(struct control *control);

/* Forgets what is known of processes: another holder may have changed it, so it is read again. */
void control_forget_all(struct control *control);

/* tick.c: decides for all processes, or for none if the store fails. */
void tick_all(struct control *control, int64_t now_s);
/* Decides only for processes whose platform has first answered since their last decision. So after
 * a start, thousands of them are each decided once more, not once per answer. */
void tick_answered(struct control *control, int64_t now_s);

/* compact.c: begins to fold old data, if that is due. */
bool compact_begin(struct control *control, char *error, size_t size);
void compact_if_due(struct control *control);
void compact_end(struct control *control); /* waits for it */

/* situation.c */
void situation_build(struct control *control, struct process *process, const struct rule *rule,
                     int64_t now_s, struct situation *situation);

/* act.c: writes a decision's order, in the tick's transaction; then, after the commit, puts it into
 * effect. */
bool act_order(struct control *control, struct process *process);
void act_ordered(struct process *process);
/* Handles the outcome of a call. */
void act_called(struct control *control, struct process *process, const struct call *call);
void act_read(struct control *control, struct process *process, const struct call *call);
/* Begins the due calls of one app, or of all, and notes when the next is due. */
void act_begin_one(struct control *control, struct app_state *app);
void act_begin_all(struct control *control);
/* A platform announced a change: makes the app's readings due now. */
void act_read_soon(struct control *control, int64_t app);
/* Learns how long dynos take to start, if only agents show it. */
void act_learn_boot(struct control *control, struct process *process, int64_t now_s);

/* calls.c: makes a call with copies of all it needs, NULL without memory; then begins it, or frees
 * it if that fails. call_free also frees the calls that go with it. */
struct call *call_new(struct control *control, struct process *process, enum call_verb verb);
bool call_begin(struct call *call);
void call_free(struct call *call);

int64_t control_now_s(void);
/* A random number in [0, below), for jitter. */
int64_t control_jitter(struct control *control, int64_t below);

#endif
