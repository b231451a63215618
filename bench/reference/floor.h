/*
 * What nobody can do without: reading the clock, reading 13 digits, handing the result to the
 * thread. Compiled into the reference extensions from the core's own sources, to be measured in
 * the same process and the same rounds as what is built on it.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

/* ns of one. `calls` at most as many as the buffer holds. */
double bench_floor_ns(long calls);

/* Of the monotonic clock. */
double bench_cpu_ns(void);

/* us that it takes to start a thread, of the agent's stack size, that does nothing. */
double bench_thread_us(void);

/* Loads libcurl and posts a few bytes to `url`, with a handle of its own; the library stays loaded
 * afterwards, as the agent's does. Returns whether it was accepted. */
int bench_post_once(const char *url);

#endif
