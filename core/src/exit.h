/*
 * C's exit(), for hosts that do not run their interpreter's own exit hooks: uWSGI ends a busy
 * worker by exit() in a signal handler.
 */
#ifndef DS_EXIT_H
#define DS_EXIT_H

/*
 * Calls `at_exit` in exit() of this process. Only the first function given counts. It is called
 * several times, and may run in a signal handler, at any point of the program and within itself: it
 * must not allocate or lock.
 */
void ds_exit_watch(void (*at_exit)(void));

/*
 * Registers it once more, so that it runs before the exit handlers that were registered meanwhile:
 * the last one registered runs first. Call it after loading a library that cleans up in exit().
 * Works once in a process.
 */
void ds_exit_watch_again(void);

#endif
