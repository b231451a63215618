/*
 * What a trial knows of the past: a process by the minute, as it was stored. Of a process that
 * works on jobs, "requests" are jobs, and what was stored is read by jobs_past.h.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include <stdbool.h>
#include <stdint.h>

/* Waits in ms that requests are counted above; the last is what a slow request waits longer than.
 */
enum { HISTORY_MARKS = 7, HISTORY_SLOW = HISTORY_MARKS - 1 };
extern const int history_marks_ms[HISTORY_MARKS - 1]; /* rising, without the last */

struct history_minute {
    bool known;      /* reports came: no requests means that there were none */
    bool restart;    /* all dynos began anew in it */
    bool releasing;  /* a release began in it */
    double requests; /* that began */
    double came;     /* jobs that came; of requests it is not told apart */
    double wait_s;   /* their waits, summed */
    double above[HISTORY_MARKS];
    double p95_ms;      /* -1: no request */
    double busy_s;      /* time that slots were at work; -1: not reported */
    double ordered, up; /* dynos, on average; -1: not known */
    int ticks;          /* that these are of */
    double scalings;    /* of the rules that were in force */
};

struct history {
    bool jobs;
    int64_t from_s; /* a multiple of 60 */
    int count;
    struct history_minute *minutes;
    int slow_ms, slow_per_mille; /* a minute is slow where more of its requests waited longer */
    int slots;                   /* of a dyno, as the agents say; 0: they don't */
    double boot_s;               /* mean; 0: not known */
    int first_dynos;             /* that ran when it began; 0: not known */
};

bool history_is_slow(const struct history *history, const struct history_minute *minute);

#endif
