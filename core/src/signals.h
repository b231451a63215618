/*
 * Signals while a process ends. Platforms send SIGTERM to every process of a dyno at once, and
 * masters send it to their workers again. The second one would interrupt what the first one began.
 */
#ifndef DS_SIGNALS_H
#define DS_SIGNALS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Holds back these of SIGTERM, SIGINT, SIGQUIT and SIGHUP until the release: every thread only
 * notes them, except those that are ignored. Returns false if signals were held back already; then
 * only the first caller may release them. May be called in a signal handler, also in one that
 * interrupted another call.
 */
bool ds_signals_hold(const int *numbers, size_t count);

/* Holds back all four. */
bool ds_signals_hold_all(void);

/* Restores the previous actions and raises the signals that were noted, each once. */
void ds_signals_release(void);

#endif
