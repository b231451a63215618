/*
 * Moves all data from one store to another, whatever databases they are.
 */
#ifndef STORE_MOVE_H
#define STORE_MOVE_H

#include "store/store.h"

/*
 * Copies all of `from` into `to` (each as store_open takes it), which must be empty, or left by a
 * move that did not end: that is begun again. Until it has ended no service starts on either, and
 * then none on `from`. False with a sentence: what was copied stays and can't be used, `from` is
 * unchanged but for its mark, which store_move_cancel removes.
 * tell: after each table, how many rows it had.
 */
bool store_move(const char *from, const char *to,
                void (*tell)(void *context, const char *table, int64_t rows), void *context,
                char *error, size_t size);
bool store_move_cancel(const char *from, char *error, size_t size);

/* Whether a service may use the data: false with a sentence where it was moved away, or a move into
 * it has not ended. */
bool store_move_allows(struct store *store, char *error, size_t size);

#endif
