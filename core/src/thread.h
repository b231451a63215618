/*
 * Creating a native thread in somebody else's process.
 */
#ifndef DS_THREAD_H
#define DS_THREAD_H

#include <pthread.h>

/* Returns 0 or an errno. The thread blocks all signals: handlers belong to the app and run on its
 * threads, and a broken pipe must not end the process. */
int ds_thread_create(pthread_t *thread, void *(*function)(void *), void *context);

/* Starts and ends a thread that does nothing, so that the system and the C library have at hand
 * what the next one needs, a stack for instance. */
void ds_thread_warm_up(void);

/* What to do about an errno of ds_thread_create: the end of a sentence. */
const char *ds_thread_remedy(int error);

#endif
