/*
 * The clock that stands still: linked in place of core/src/clock.c.
 */
#ifndef FALSE_CLOCK_H
#define FALSE_CLOCK_H

#include <stdint.h>

/* Sets the wall clock, as an administrator would: the monotonic one does not notice. */
void false_clock_set_wall(int64_t wall_ns);

/* Lets time pass on both clocks. */
void false_clock_advance_ms(int64_t ms);

#endif
