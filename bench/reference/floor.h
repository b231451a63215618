/*
 * The least that any agent must do: read the clock, read 13 digits, pass the result to the thread.
 * Compiled into the reference extensions from the core's own sources, so that it is measured in the
 * same process and the same rounds.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

/* ns of one. `calls` at most as many as the buffer holds. */
double bench_floor_ns(long calls);

/* ns of one reading of the wall clock. */
double bench_clock_ns(long calls);

/* CPU time of the thread. */
double bench_cpu_ns(void);

/* µs of CPU to start a thread that does nothing, with the agent's stack size. */
double bench_thread_us(void);

/* Loads libcurl and posts a few bytes to `url`, with a handle of its own; the library stays loaded
 * afterwards, as the agent's does. Returns whether it was accepted. */
int bench_post_once(const char *url);

#endif
