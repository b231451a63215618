/*
 * A clock that stands still, linked instead of core/src/clock.c.
 */
#ifndef FALSE_CLOCK_H
#define FALSE_CLOCK_H

#include <stdint.h>

/* Sets the wall clock, as an administrator does: the monotonic clock does not change. */
void false_clock_set_wall(int64_t wall_ns);

/* How long ago the process started; constant. -1: the system does not say. */
void false_clock_set_process_age(int64_t ms);

/* Calls `meanwhile` once, at the next reading of the wall clock: stands for another thread. */
void false_clock_meanwhile(void (*meanwhile)(void *), void *context);

/* Lets time pass on both clocks. */
void false_clock_advance_ms(int64_t ms);

#endif
