/*
 * What a dyno of a process costs, as a person entered it or, without that, as its platform tells.
 * Writes are made in the caller's
 * transaction.
 */
#ifndef PRICES_H
#define PRICES_H

#include "store/store.h"

enum { CURRENCY_SIZE = 4 };

struct price {
    int64_t cents_a_month; /* of one dyno; -1: none was entered */
    char currency[CURRENCY_SIZE];
};

/* False where it failed. */
bool price_get(struct store *store, int64_t app, const char *process, struct price *price);
/* What the platform tells, which stands where no person entered another. */
bool price_tell(struct store *store, int64_t app, const char *process, const struct price *price);
/* As a person enters it. With cents_a_month -1 it is removed. */
bool price_put(struct store *store, int64_t app, const char *process, const struct price *price);

#endif
