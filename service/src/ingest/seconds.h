/*
 * The web requests of an app by the second: what the agents of all dynos reported, pooled, and what
 * of it a situation carries for the automatic method. Pure: no clock, no allocation. The caller
 * keeps a `struct seconds_dyno` for each dyno, cleared at first.
 *
 * Two things are set aside here, where rows are still known by their dyno: waits that can't be
 * true, and dynos that are sick.
 */
#ifndef SECONDS_H
#define SECONDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/situation.h"

enum { SECONDS_KEPT = 256, SECONDS_LATE_MS = 2000, SECONDS_QUICK_MS = 100 };

/* A second of one dyno. */
struct seconds_row {
    uint32_t requests; /* that began */
    uint32_t slow;     /* of these, that waited longer than the goal */
    uint32_t quick;    /* that waited at most SECONDS_QUICK_MS */
    uint32_t late;     /* that waited longer than SECONDS_LATE_MS */
    uint64_t wait_ms, late_ms, busy_ms;
};

struct seconds_dyno {
    double requests, slow; /* half-life 60 s */
    int64_t suspect_since_s;
    int64_t reported_s;   /* the end of what its reports cover; 0: none came */
    double reports_apart; /* seconds, on average; less where several processes report */
    bool left_out;
};

struct seconds {
    struct second {
        int64_t at_s; /* 0: nothing is known of it */
        uint32_t dynos, requests, slow, arrived;
        uint64_t wait_ms, busy_ms;
    } ring[SECONDS_KEPT];
    struct {
        int64_t at_s;
        int up;
    } formation[SECONDS_KEPT];
    int newest_up; /* 0: not known */
    int left_out;
};

/* Adds what a report says of a second, with or without requests. covers: this is the dyno's first
 * report of that second; with several processes there may be more. */
void seconds_add(struct seconds *seconds, struct seconds_dyno *dyno, int64_t at_s,
                 struct seconds_row row, bool covers);
/* Counts requests whose stamp is of that second, whenever they began. */
void seconds_arrived(struct seconds *seconds, const struct seconds_dyno *dyno, int64_t at_s,
                     uint32_t requests);
/* Does all of this for a report: it covers the seconds since the dyno's last report, and requests
 * that waited longer than goal_ms count as slow. */
struct report;
void seconds_report(struct seconds *seconds, struct seconds_dyno *dyno, const struct report *report,
                    int64_t goal_ms);

/* Sets how many dynos were up in the seconds [from_s, to_s), as known at to_s. Additional ones
 * count from then on, or from their first report. */
void seconds_formation(struct seconds *seconds, int64_t from_s, int64_t to_s, int up);

/* Once per tick, for all dynos that were heard, `stride` bytes apart: finds the sick ones. */
void seconds_screen(struct seconds *seconds, struct seconds_dyno *first, size_t count,
                    size_t stride, int64_t now_s, int up);

/* Sets the fields of a situation from known_age on. lag_s: the newest seconds are not used, because
 * not all processes of a dyno have reported them. */
void seconds_measure(struct seconds *seconds, int64_t now_s, int lag_s,
                     struct situation *situation);

#endif
