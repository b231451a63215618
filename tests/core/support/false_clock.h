/*
 * The clock that stands still: linked in place of core/src/clock.c.
 */
#ifndef FALSE_CLOCK_H
#define FALSE_CLOCK_H

#include <stdint.h>

/* Sets the wall clock, as an administrator would: the monotonic one does not notice. */
void false_clock_set_wall(int64_t wall_ns);

/* How long ago the process began; it does not pass. -1: the system does not tell. */
void false_clock_set_process_age(int64_t ms);

/* Calls `meanwhile`, once, when the wall clock is next asked: what another thread might just then
 * be doing. */
void false_clock_meanwhile(void (*meanwhile)(void *), void *context);

/* Lets time pass on both clocks. */
void false_clock_advance_ms(int64_t ms);

#endif
