/*
 * The last minutes of one series: a cell for each ten seconds, in order of time. A cell is a list
 * of stored parts: a report's part is appended, and reading adds them up. When there are many, they
 * are merged into one. The owner locks.
 */
#ifndef CELLS_H
#define CELLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "series/part.h"

struct cell {
    int64_t start_s;
    uint8_t *bytes; /* of each part the length as a uint32_t, and its stored form */
    uint32_t length, parts;
};

struct cells {
    size_t count, room;
    struct cell *all;
};

void cells_free(struct cells *cells);

/* Adds a part, stored or not; `tally` is empty before and after. False without memory: nothing was
 * added. */
bool cells_add(struct cells *cells, const struct part *part, struct tally *tally);

/* Forgets cells that end before a moment. False: none is left. */
bool cells_forget(struct cells *cells, int64_t before_s);

/* Adds the seconds [from_s, to_s) to a sketch. */
void cells_into_sketch(struct sketch *sketch, const struct cells *cells, int64_t from_s,
                       int64_t to_s);

/* For readings of a level in [from_s, to_s); if a second has several, the largest counts. The first
 * function returns the newest one, -1: none. The second gives `take` all of them, oldest first.
 * Both use `sketch` as work space. */
int64_t cells_newest_level(struct sketch *sketch, const struct cells *cells, int64_t from_s,
                           int64_t to_s);
void cells_each_level(struct sketch *sketch, const struct cells *cells, int64_t from_s,
                      int64_t to_s, void (*take)(void *of, int64_t at_s, int64_t value), void *of);

#endif
