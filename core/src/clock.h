/*
 * The two clocks. The C suite links a false clock in place of clock.c: there is no other seam, so
 * that reading the time costs a request nothing but the vDSO call.
 */
#ifndef DS_CLOCK_H
#define DS_CLOCK_H

#include <stdint.h>

/* ns since the epoch. For stamps and rows only: it may step back and forward. */
int64_t ds_clock_wall_ns(void);

/* ms since some moment in the past, never stepping. For every wait, age and deadline. */
int64_t ds_clock_monotonic_ms(void);

/* How long ago this process began, in ms: a forked one when it was forked. -1 where the system does
 * not tell. Reads a file. */
int64_t ds_clock_process_age_ms(void);

#endif
