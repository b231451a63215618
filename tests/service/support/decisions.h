/* Rules, memories and situations as tests/vectors/decisions.tsv writes them. */
#ifndef DECISIONS_H
#define DECISIONS_H

#include <stdbool.h>

#include "decide/decide.h"

enum { DECISIONS_NOW = 1700000000 };

struct given {
    struct situation situation;
    struct rule rule;
    struct memory memory;
};

/* "web ordered=4 up.wait=10 last_up=-30s". False for a name or a value that there is not. */
bool decisions_given(struct given *given, const char *text);

/* "last_up=now wanted=4 last_down=never": the first field that is not so, or NULL. */
const char *decisions_differ(const struct memory *memory, const char *text);

#endif
