/*
 * Makes the system refuse the core's calls. The linker wraps the calls (-Wl,--wrap=...), so the
 * rest of the process is not affected.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdbool.h>

/* Makes one allocation of the core fail, after `calls` more; negative: none. */
void faults_fail_allocation_after(int calls);

/* Whether that failure has happened. */
bool faults_allocation_failed(void);

/* Calls `meanwhile` once, inside the core's next allocation: stands for another thread. */
void faults_during_allocation(void (*meanwhile)(void *), void *context);

/* Makes every pthread_create fail, or none. */
void faults_refuse_threads(bool refuse);
void faults_refuse_threads_with(int error); /* with this error instead of EAGAIN; 0: none fails */

/* Makes every pthread_atfork fail, or none. */
void faults_refuse_fork_handlers(bool refuse);

/* Makes the system's random numbers fail, or not. */
void faults_refuse_entropy(bool refuse);

/* Makes every library missing, or none. */
void faults_refuse_libraries(bool refuse);

/* Replaces a function of a library for later lookups by name; NULL: it is missing. At most eight
 * names; a name of NULL restores all. */
void faults_replace_symbol(const char *name, void *address);

/* The original function, after it was looked up. */
void *faults_replaced_symbol(const char *name);

#endif
