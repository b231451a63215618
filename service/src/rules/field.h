/*
 * The fields of a rule as one table: the reader, the writers and the differences are made of it.
 * Pure.
 */
#ifndef FIELD_H
#define FIELD_H

#include "rules/rule.h"

enum rule_kind {
    RULE_NAME,
    RULE_DAYS, /* a list of days; sets `always` */
    RULE_FROM, /* "08:00"; sets `always` */
    RULE_TO,   /* the same, and "24:00" */
    RULE_INT,  /* an int */
    RULE_LONG, /* an int64_t */
    RULE_WORD, /* an enum, by its words */
    RULE_SWITCH,
    RULE_SHARE, /* percent, kept as per mille in an int */
    RULE_LIST,  /* of queues */
};

struct rule_field {
    const char *group; /* the mapping that the field stands in: "up"; "" for the rule's own */
    const char *name;
    enum rule_kind kind;
    size_t offset;
    int64_t low, high;
    const char *unit;         /* " s", or "" */
    const char *const *words; /* of RULE_WORD, ended by NULL */
    const char *said;         /* what differences call it: "maximum" */
};

/* In the order in which they are written; fields of a group stand together. */
extern const struct rule_field rule_fields[];
extern const int rule_field_count;

extern const char *const rule_days[]; /* "mon" ... "sun", NULL */

/* The value of a field of kind INT, LONG, WORD, SWITCH or SHARE. */
int64_t rule_number(const struct rule *rule, const struct rule_field *field);
void rule_set_number(struct rule *rule, const struct rule_field *field, int64_t value);

/* Whether two rules have the same value. */
bool rule_field_equal(const struct rule_field *field, const struct rule *one,
                      const struct rule *other);

#endif
