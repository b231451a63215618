/*
 * Inside a driver: the prepared statements that a connection keeps, known by the addresses of their
 * texts. A driver's own struct of a statement begins with `struct statement_head`.
 */
#ifndef STATEMENTS_H
#define STATEMENTS_H

#include "store/database.h"

struct statement_head {
    const char *sql; /* the address is its name */
    bool in_use, kept;
};

struct statements {
    struct statement_head **places; /* NULL: free */
    size_t place_count, count;
};

/* The statement of a text, in use from now on: the one that is kept, or a new one by `make`, which
 * sets its head to what it is given. One that is in use, as where rows are read while a callback
 * reads others by the same text, gets a second one beside it, which is not kept. NULL: `make`
 * failed and said why, or there was no memory, which store_failed is told. */
void *statements_take(struct statements *statements, struct store *store, const char *sql,
                      void *(*make)(struct store *store, struct statement_head head));

/* Calls `each` for those that are kept, and frees the places. */
void statements_free(struct statements *statements, void (*each)(void *statement));

#endif
