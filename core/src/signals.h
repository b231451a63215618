/*
 * Signals while a process ends. Platforms send SIGTERM to every process of a dyno at once, and
 * masters pass it on to their workers: a second one would cut short what the first one began.
 */
#ifndef DS_SIGNALS_H
#define DS_SIGNALS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Holds back these of SIGTERM, SIGINT, SIGQUIT and SIGHUP until the release: in every thread they
 * are only noted, but for those that are ignored. False when some were held back already; then the
 * release is up to whoever holds them. May be called in a signal's handler, also in one that
 * interrupted another call.
 */
bool ds_signals_hold(const int *numbers, size_t count);

/* All that can be held back. */
bool ds_signals_hold_all(void);

/* Puts the actions back that there were before, and raises what was noted, each signal once. */
void ds_signals_release(void);

#endif
