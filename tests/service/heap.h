/*
 * Memory that runs out when a test says so. This program's malloc and its kin stand before those of
 * the C library (or of a sanitizer), for every library in the process: SQLite's allocations fail as
 * ours do.
 */
#ifndef HEAP_H
#define HEAP_H

#include <stdbool.h>

/* From now on: one allocation fails, after `calls` more of any thread. */
void heap_refuse_after(long calls);
/* The same, and all that come after it fail too. */
void heap_refuse_all_after(long calls);
/* How many allocations would not fail yet. */
long heap_calls_left(void);
/* No more from now on. Whether one failed. */
bool heap_allow(void);

/* Blocks that are allocated now. */
long heap_blocks(void);

/* Called where an allocation fails: for a debugger to stop at. */
void heap_refused(void);

#endif
