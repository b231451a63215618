/*
 * What happens at C's exit(), for hosts that leave their interpreter's own hooks out: uWSGI ends a
 * busy worker so, from a signal's handler.
 */
#ifndef DS_EXIT_H
#define DS_EXIT_H

/*
 * Has `at_exit` called in exit(), in this process, whatever is given later: several times, of which
 * later ones find little to do. It may run in a signal's handler, in the middle of anything, and of
 * itself: it must not allocate or lock.
 */
void ds_exit_watch(void (*at_exit)(void));

/*
 * Has it called before what was registered meanwhile as well; once a process. For the time after a
 * library was loaded that cleans up in exit(): what is registered last runs first.
 */
void ds_exit_watch_again(void);

#endif
