/*
 * Makes the system refuse what the core asks of it. The calls are wrapped by the linker
 * (-Wl,--wrap=...), so the rest of the process is not touched.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdbool.h>

/* Lets the next `calls` allocations of the core succeed and the one after them fail, once;
 * negative: none fails. */
void faults_fail_allocation_after(int calls);

/* Whether the failure asked for has happened. */
bool faults_allocation_failed(void);

/* Calls `meanwhile`, once, in the middle of the core's next allocation: what another thread might
 * just then be doing. */
void faults_during_allocation(void (*meanwhile)(void *), void *context);

/* Has every pthread_create refused, or none. */
void faults_refuse_threads(bool refuse);
void faults_refuse_threads_with(int error); /* another one than EAGAIN; 0: refuses none */

/* Has every pthread_atfork refused, or none. */
void faults_refuse_fork_handlers(bool refuse);

/* Has the system's random numbers refused, or not. */
void faults_refuse_entropy(bool refuse);

/* Has every library be missing, or none. */
void faults_refuse_libraries(bool refuse);

/* Has a function of a library be another one, or missing for NULL, to those who ask for it by name
 * from now on. Of eight names at most; a name of NULL takes all back. */
void faults_replace_symbol(const char *name, void *address);

/* The function that was really there, once it has been asked for. */
void *faults_replaced_symbol(const char *name);

#endif
