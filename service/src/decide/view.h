/*
 * Inside decide/: a tick as the checks see it, and what they settle. The sentence is made of these
 * two alone.
 */
#ifndef VIEW_H
#define VIEW_H

#include "decide/automatic/automatic.h"
#include "decide/decide.h"
#include "decide/sentence.h"

/* Policy that no rule sets. */
enum {
    USUAL_TICK_S = 10,
    USUAL_REPORT_S = 10,
    STALE_REPORTS = 3,      /* signals older than so many report intervals are not used */
    STALE_FORMATION_S = 60, /* nor is a formation that was read longer ago */
    USUAL_BOOT_S = 60,      /* where the time to start is not known */
    LONGEST_BOOT_S = 120,   /* waits after a release are not held back for longer */
    LEAST_BOOT_LIMIT_S =
        300,               /* a dyno that is not up by then (or three boot times) is not coming */
    ORDER_LOST_S = 300,    /* an order under way for longer has failed */
    ORDER_UNSEEN_S = 60,   /* so late may a formation show an order that was done */
    REFUSED_AGAIN_S = 300, /* a refused order is tried again, a person may have helped */
    LEAST_SLOW = 3,        /* requests above the threshold, or there is none to add a dyno for */
    FUTILE_UPS = 2,
    FUTILE_AGAIN_S = 600,
    OUTSIDE_TWICE = 2,
    OUTSIDE_APART_S = 5, /* changes closer than this are one */
    STAND_DOWN_S = 1800, /* without a change by somebody else, scaling resumes */
};

struct view {
    struct situation now; /* every number within bounds */
    const struct rule *rule;
    struct memory *memory; /* already of this tick, but for what the decision changes */
    bool on;               /* the switch; off: what would be done */
    bool first;            /* nothing is remembered */
    int64_t jumped;        /* seconds by which the clock stepped, 0 where it did not */
    bool boosted;
    int floor, ceiling; /* of the rule, the boost and the platform together */
    int serving;        /* of the ordered dynos, those that are not still to come up */
    int64_t boot_s;
    bool failed; /* the last order did not happen: it is made again if it still makes sense */
    bool heard;  /* reports are recent */
    bool idle;   /* heard, and no request came: nothing waited */
    bool known;  /* heard, and value_ms is the statistic */
    int64_t value_ms;
    struct advice advice; /* of the automatic method, where that is the rule's */
};

/* What a check settles, with the numbers of its sentence. */
struct outcome {
    enum sentence_form form;
    int to;
    int64_t left_s;  /* until it may change */
    int64_t since_s; /* how long it has been so */
    int64_t of_s;    /* how long it must be so */
    int would;       /* the number that the rule asks for */
};

/* safety.c. Brings the memory to this tick: a stepped clock, a failed order, a change by somebody
 * else, how long the statistic has been below the threshold. */
void view_begin(struct view *view, const struct situation *situation, const struct rule *rule,
                struct memory *memory);
/* Writes down what was decided. */
void view_end(struct view *view, const struct outcome *outcome);

/* The checks in their order (decide.c). Each returns true if it settles the tick. */
bool safety_clock(struct view *view, struct outcome *outcome);
bool safety_formation(struct view *view, struct outcome *outcome);
bool safety_order(struct view *view, struct outcome *outcome);
bool safety_zero(struct view *view, struct outcome *outcome);
bool safety_others(struct view *view, struct outcome *outcome);
bool safety_pause(struct view *view, struct outcome *outcome);
bool safety_range(struct view *view, struct outcome *outcome);
bool safety_data(struct view *view, struct outcome *outcome);
bool safety_release(struct view *view, struct outcome *outcome);
bool safety_outside(struct view *view, struct outcome *outcome);

/* For a method that wants dynos added or removed: true if that can't be now, and *outcome says why.
 * forbids_down looks at outcome->would, and sets the form DOWN_DRAINED where running jobs were
 * waited for long enough. */
bool safety_forbids_up(struct view *view, struct outcome *outcome);
bool safety_forbids_down(struct view *view, struct outcome *outcome);
/* The same without the wait of a step down, for a method that has its own. */
bool safety_keeps_dynos(struct view *view, struct outcome *outcome);

/* steps.c: the method. Always settles. */
void steps_decide(struct view *view, struct outcome *outcome);

/* Seconds since a remembered moment; INT64_MAX / 2 where it never was. */
int64_t view_age(const struct view *view, int64_t moment);
/* How long until dynos may be added, by the wait between two additions; until they may be removed,
 * if the statistic stays below. 0: now. */
int64_t view_up_left(const struct view *view);
int64_t view_down_left(const struct view *view);

#endif
