/*
 * What happens around a fork.
 *
 * A child gets every lock of the process as it is at that moment. One that another thread holds
 * then, inside a TLS library for instance, is never unlocked in the child, and the first to need it
 * there waits for ever. So no process is forked while a thread of ours is inside such a library,
 * and none of ours goes in while another thread forks.
 */
#ifndef DS_FORK_H
#define DS_FORK_H

#include <stdbool.h>

/*
 * Has every fork from now on keep to the above, and `in_child` called in the child; once a process,
 * whatever is given later. It runs for every `system` of a root process too, maybe in a signal's
 * handler: it may only store to memory. False when the system has no memory for it.
 */
bool ds_fork_watch(void (*in_child)(void));

/*
 * From a hold to its release no process is forked: a fork waits for the release, 1 second at most,
 * and a hold waits for a fork that is under way. Meant for some ms. May not be nested. A signal's
 * handler that forks on the very thread that holds waits that second for itself: the native thread
 * blocks all signals.
 */
void ds_fork_hold(void);
void ds_fork_release(void);

/*
 * A library's own thread looks a name up, and holds locks of the C library now and then. How long
 * that takes is a name server's to say, so a fork waits for it 30 ms at most. Begun between hold
 * and release; ended on any thread.
 */
void ds_fork_lookup_begins(void);
void ds_fork_lookup_ended(void);

#endif
