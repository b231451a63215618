/*
 * Which events are worth a notice, and its words. Pure: no clock, no store.
 */
#ifndef KINDS_H
#define KINDS_H

#include "rules/rule.h"
#include "store/ledger.h"
#include "store/notices.h"

/* Stored number (never reused), name, for how long it must hold, whether a channel tells it unless
 * somebody chose, and what people choose it by. */
#define NOTICE_KINDS(X)                                                                 \
    X(1, MAXIMUM, "maximum", 600, true, "at the maximum for 10 minutes")                \
    X(2, SILENT, "silent", 0, true, "no report for 5 minutes")                          \
    X(3, PLATFORM, "platform", 0, true, "the platform refuses, or fails for 5 minutes") \
    X(4, OTHERS, "others", 0, true, "somebody else scales too")                         \
    X(5, FUTILE, "futile", 0, true, "more dynos do not help")                           \
    X(6, SCALED, "scaled", 0, false, "each scaling")                                    \
    X(7, WEEKLY, "weekly", 0, true, "a summary each Monday")

enum notice_kind {
#define X(number, name, word, after_s, usual, meaning) NOTICE_##name = number,
    NOTICE_KINDS(X)
#undef X
};

struct kind {
    int number;
    const char *name; /* "maximum" */
    int after_s;
    bool usual;
    const char *meaning;
};
/* In the order of their numbers, ended by a name of NULL. */
extern const struct kind kinds[];

const struct kind *kind_by_number(int number);     /* NULL: none */
const struct kind *kind_by_name(const char *name); /* NULL: none */
unsigned kinds_usual(void);                        /* bits: 1 << number */

enum { KINDS_CALM_S = 300 }; /* how long a condition must be gone before its end is reported */

/* The conditions that hold at a tick, as bits; only MAXIMUM to FUTILE. */
unsigned kinds_look(const struct ledger_tick *tick, const struct rule *rule);

/* Writes the title and body for a condition that begins or ends, from its tick. */
void kinds_write(struct notice *notice, const char *app, const struct ledger_tick *tick,
                 const struct rule *rule);

#endif
