/*
 * Inside decide/: the method "automatic", for requests; for jobs see jobs.h. Six ideas, a file
 * each:
 *
 *   traffic    requests a second of all dynos, by the second of their arrival
 *   capacity   the share of requests that wait too long is a power of the load of one dyno:
 *              learned, and corrected by the last minutes
 *   outlook    what traffic may do while a dyno starts: what it did after each moment of the last
 *              hour
 *   price      as many dynos as save more than they cost, where a slow minute is worth so many
 *              dyno-minutes
 *   backlog    what waits is worked off in 30 s; more dynos are added only while more dynos help
 *   patience   a surplus is given back when it has cost as much as some starts of a dyno
 *
 * All of it is pure: what is learned is in the memory (learned.h), what is known in the situation.
 * The numbers below are of the study that compared the method with others (bench/policy): each has
 * a meaning, and none has to be set by a person.
 */
#ifndef AUTOMATIC_H
#define AUTOMATIC_H

#include <stdbool.h>

#include "decide/automatic/learned.h"

struct view;
struct outcome;

enum {
    AUTOMATIC_DRAIN_S = 30,    /* a backlog is to be worked off in this time */
    AUTOMATIC_PATIENCE = 5,    /* starts of a dyno that a surplus must have cost */
    AUTOMATIC_SETTLED_S = 60,  /* after a restart nothing is learned for so long */
    AUTOMATIC_BACKLOG_S = 45,  /* a backlog so soon after a restart is the restart's own */
    AUTOMATIC_FEW = 20,        /* requests in 20 s: fewer say nothing about their share */
    AUTOMATIC_ARRIVALS_S = 40, /* longer mean waits hide how much arrives */
    AUTOMATIC_CEILING_S = 600, /* so long nothing is added where more did not help */
};

/* What is known at a tick. */
struct moment {
    int64_t now, last_added; /* last_added: when dynos were last added; 0: never */
    int tick_s;
    int ordered, up, most; /* most: more dynos than that are never wanted */
    double goal, price;    /* share of slow requests; dyno-minutes that a slow minute is worth */
    double known_age;      /* of the newest second that is known */
    double traffic, begun, served; /* requests/s of all dynos */
    double requests, slow_share;   /* of the last 20 s */
    double wait;                   /* mean of the last 10 s, seconds */
    double load;                   /* of a dyno in them: requests/s times service time */
    double last_requests, last_slow;
    double service;      /* mean busy time of a request; 1 where agents do not report it */
    double last_service; /* of the last 20 s; 0 where they do not */
    double boot;         /* seconds */
    double expected;     /* traffic that the outlook expects when a dyno ordered now is up */
    double corrected;    /* times as many requests are slow in the last minutes as was learned */
};

/* What is said of jobs. Thousandths where a number may be a fraction. */
struct jobs_advice {
    enum { JOBS_LOAD, JOBS_BACKLOG, JOBS_UNLEARNED, JOBS_AGE, JOBS_LAST } why;
    bool held;                /* fewer would do, but as many are worked on */
    int64_t waiting, working; /* jobs; -1: not known */
    int64_t oldest_ms;        /* -1: not known */
    int64_t arrive;           /* jobs in 1000 s; -1: not known */
    int64_t load;             /* workers that are kept busy; -1: not known */
    int64_t rate, slots;      /* of a worker; 0: not known */
    int64_t later;            /* jobs that will wait when a worker ordered now is up */
    int64_t times;            /* so many times what is begun comes */
    int64_t drain_s;          /* what waits is begun in this time */
    int64_t idle_s, keep_s;   /* since when no job is seen; so long the last worker stays */
};

/* What the method would do, with the numbers of its sentence. */
struct advice {
    bool known; /* false: nothing is learned, or no second is known; steps decide */
    int need;   /* dynos that are right for now, before the rule's range */
    int wanted; /* need, or what patience leaves of the dynos */
    enum { ADVICE_TRAFFIC, ADVICE_BACKLOG, ADVICE_RELEASE } why;
    int would; /* where need is limited: what would be right if more dynos helped */
    enum { ADVICE_FREE, ADVICE_TRIAL, ADVICE_CEILING } limited;
    int64_t ceiling_left_s;
    bool judged;                   /* `high` is what the last hour makes expect */
    int64_t traffic, high, boot_s; /* requests in 1000 s */
    int64_t capacity;              /* the same of one dyno at the goal */
    int64_t enough;                /* that the dynos which are ordered take */
    int asked;                     /* dynos of which the traffic and the capacity don't tell why */
    int64_t asked_slow_per_cent;   /* of minutes that would be slow with them */
    int worth;                     /* dyno-minutes that a slow minute is worth */
    int64_t wait_ms, slow_per_mille;
    int64_t surplus_per_cent; /* of what it may cost */
    int64_t surplus_s;        /* since when there is one */
    struct jobs_advice jobs;  /* of workers, instead of what is of requests */
};

/* Brings what is learned to this tick and sets view->advice. Called at each tick, whatever holds.
 */
void automatic_observe(struct view *view);
/* Settles the tick by the advice, which is known. */
void automatic_decide(struct view *view, struct outcome *outcome);

/* jobs.c: the same for workers. */
void jobs_observe(struct view *view, struct moment moment);
void jobs_decide(struct view *view, struct outcome *outcome);

/* ---- Between the files ---------------------------------------------------------------------- */

double automatic_fading(double seconds, double half_life);

/* traffic.c: false where no second is known. */
bool traffic_look(struct learned *learned, const struct view *view, struct moment *moment);

/* capacity.c */
double capacity_share(const struct learned *learned, const struct moment *moment, double load);
void capacity_learn(struct learned *learned, const struct view *view, const struct moment *moment);
double capacity_correction(struct learned *learned, const struct moment *moment);

/* outlook.c */
void outlook_remember(struct learned *learned, const struct moment *moment);
double outlook_expect(const struct learned *learned, const struct moment *moment);

/* price.c: dynos that are worth their price, at most moment->most + 1. */
int price_dynos(const struct learned *learned, const struct moment *moment, double service,
                double corrected);
/* Chance that the minute after the next start is slow with so many. */
double price_chance(const struct learned *learned, const struct moment *moment, int dynos);

/* backlog.c: raises a need while requests wait; then limits what traffic does not explain. */
int backlog_need(const struct learned *learned, const struct moment *moment, int need,
                 struct advice *advice);
void backlog_try(struct learned *learned, const struct moment *moment);
int backlog_in_steps(const struct learned *learned, const struct moment *moment, int need,
                     struct advice *advice);

/* patience.c: the number that is wanted. taken: dynos are given back, the account begins anew. */
int patience_wanted(struct learned *learned, const struct moment *moment, int need);
void patience_taken(struct learned *learned);

#endif
