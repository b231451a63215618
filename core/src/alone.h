/*
 * Whether only threads of ours keep this process alive.
 *
 * In a forked child the thread that forked may end as threads do, by returning, and not by exit():
 * a thread of Python's that calls os.fork() and then returns. A process ends with its last thread,
 * and that must not be the native thread, which sleeps until there is something to do.
 */
#ifndef DS_ALONE_H
#define DS_ALONE_H

#include <stdbool.h>

/* The name of our threads, and of those that libcurl starts from them. */
#define DS_THREAD_NAME "dynoscale"

/* `ended` is called on a thread for which ds_alone_watch_thread was called, when it ends by itself.
 * Only the first call in a process counts. Without a free thread-local key nothing is noticed. */
void ds_alone_init(void (*ended)(void));

/* For the thread of a forked child. Only stores to memory, but where a process has more than 31
 * thread-local keys before ours: then glibc may allocate. */
void ds_alone_watch_thread(void);

/* Whether such a thread has ended in this process. */
bool ds_alone_may_be(void);

/* Whether all threads of the process but ours have ended. False where the system does not tell. */
bool ds_alone_is(void);

#endif
