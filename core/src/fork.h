/*
 * Forks and locks.
 *
 * A forked child inherits every lock in its current state. If another thread of the parent holds
 * one at that moment, for instance inside a TLS library, nobody ever unlocks it in the child, and
 * the child's first use of it waits for ever. So a fork waits while a thread of ours is inside such
 * a library, and none of ours enters one during a fork.
 */
#ifndef DS_FORK_H
#define DS_FORK_H

#include <stdbool.h>

/*
 * Installs the handlers for that, and calls `in_child` in every forked child. Only the first call
 * in a process counts. `in_child` also runs for each `system` of a root process, and maybe in a
 * signal handler: it may only store to memory. Returns false if the system has no memory for it.
 */
bool ds_fork_watch(void (*in_child)(void));

/*
 * Between hold and release no process is forked: a fork waits for the release, at most 1 second,
 * and a hold waits for a fork in progress. Meant for some ms; not reentrant. A signal handler that
 * forks on the thread that holds waits that second for itself: the native thread blocks all
 * signals.
 */
void ds_fork_hold(void);
void ds_fork_release(void);

/*
 * Around a name lookup, which libcurl does on a thread of its own that sometimes holds locks of the
 * C library. A name server decides how long it takes, so a fork waits at most 30 ms for it. Call
 * the first between hold and release, the second on any thread.
 */
void ds_fork_lookup_begins(void);
void ds_fork_lookup_ended(void);

#endif
