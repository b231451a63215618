/*
 * The two clocks. The C suite links a false clock instead of clock.c: it is replaced at link time,
 * so that reading the time costs a request nothing but the vDSO call.
 */
#ifndef DS_CLOCK_H
#define DS_CLOCK_H

#include <stdint.h>

/* ns since the epoch, which may step in both directions: only for stamps and rows. */
int64_t ds_clock_wall_ns(void);

/* ms since some time in the past, never stepping: for every wait, age and deadline. */
int64_t ds_clock_monotonic_ms(void);

/* How long ago this process started (or was forked), in ms; -1 if the system does not say. Reads a
 * file. */
int64_t ds_clock_process_age_ms(void);

#endif
