/*
 * Inside decide/: a tick as the checks see it, and what they settle. The sentence depends only on
 * these two.
 */
#ifndef VIEW_H
#define VIEW_H

#include "decide/automatic/automatic.h"
#include "decide/decide.h"
#include "decide/sentence.h"

/* Constants of the policy, which no rule can set. */
enum {
    USUAL_TICK_S = 10,
    USUAL_REPORT_S = 10,
    STALE_REPORTS = 3,      /* signals that are older than so many report intervals are ignored */
    STALE_FORMATION_S = 60, /* so is a formation that was read longer ago */
    USUAL_BOOT_S = 60,      /* if the time to start is unknown */
    LONGEST_BOOT_S = 120,   /* after a release, waits are ignored for at most this long */
    LEAST_BOOT_LIMIT_S =
        300,               /* a dyno that is not up by then (or three boot times) is not coming */
    ORDER_LOST_S = 300,    /* an order that has been under way for longer has failed */
    ORDER_UNSEEN_S = 60,   /* how long a formation may not show an order that was done */
    REFUSED_AGAIN_S = 300, /* then a refused order is tried again: a person may have helped */
    LEAST_SLOW = 3, /* a dyno is only added if so many requests were slower than the threshold */
    FUTILE_UPS = 2,
    FUTILE_AGAIN_S = 600,
    OUTSIDE_TWICE = 2,
    OUTSIDE_APART_S = 5, /* changes closer together than this count as one */
    STAND_DOWN_S = 1800, /* scaling resumes after this time without changes by somebody else */
};

struct view {
    struct situation now; /* with every number within bounds */
    const struct rule *rule;
    struct memory *memory; /* already updated for this tick, except for the decision */
    bool on;               /* false: the decision is only shown */
    bool first;            /* there is no memory yet */
    int64_t jumped;        /* seconds by which the clock stepped, 0 where it did not */
    bool boosted;
    int floor, ceiling; /* the range, by the rule, the boost and the platform together */
    int serving;        /* ordered dynos that are not still starting */
    int64_t boot_s;
    bool failed; /* the last order was not carried out: it is repeated if it still makes sense */
    bool heard;  /* reports are recent */
    bool idle;   /* heard, and no request came: nothing waited */
    bool known;  /* heard, and value_ms is the statistic */
    int64_t value_ms;
    struct advice advice; /* used by the automatic method */
};

/* What a check decided, with the numbers for its sentence. */
struct outcome {
    enum sentence_form form;
    int to;
    int64_t left_s;  /* until it may change */
    int64_t since_s; /* how long it has been so */
    int64_t of_s;    /* how long it must be so */
    int would;       /* the number that the rule asks for */
};

/* safety.c: updates the memory for this tick: a stepped clock, a failed order, a change by somebody
 * else, how long the statistic has been below the threshold. */
void view_begin(struct view *view, const struct situation *situation, const struct rule *rule,
                struct memory *memory);
/* Stores in the memory what was decided. */
void view_end(struct view *view, const struct outcome *outcome);

/* The checks, in order (decide.c). Each returns true if it settles the tick. */
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

/* For a method that wants to add or remove dynos: true if that is not possible now, and *outcome
 * says why. forbids_down reads outcome->would, and sets the form DOWN_DRAINED after waiting long
 * enough for running jobs. */
bool safety_forbids_up(struct view *view, struct outcome *outcome);
bool safety_forbids_down(struct view *view, struct outcome *outcome);
/* The same without the wait between two steps down, for a method that has its own. */
bool safety_keeps_dynos(struct view *view, struct outcome *outcome);

/* steps.c: the method. Always settles. */
void steps_decide(struct view *view, struct outcome *outcome);

/* Seconds since a remembered moment; INT64_MAX / 2: it never was. */
int64_t view_age(const struct view *view, int64_t moment);
/* How long until dynos may be added, by the wait between two additions; until they may be removed,
 * if the statistic stays below. 0: now. */
int64_t view_up_left(const struct view *view);
int64_t view_down_left(const struct view *view);

#endif
