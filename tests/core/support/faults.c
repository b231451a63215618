#include "faults.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

static _Atomic(int) calls_left = -1;
static _Atomic(bool) allocation_failed, threads_refused, handlers_refused;
static void (*meanwhile)(void *);
static void *meanwhile_context;

void faults_fail_allocation_after(int calls) {
    atomic_store(&allocation_failed, false);
    atomic_store(&calls_left, calls);
}

bool faults_allocation_failed(void) { return atomic_load(&allocation_failed); }

void faults_during_allocation(void (*function)(void *), void *context) {
    meanwhile_context = context;
    meanwhile = function;
}

void faults_refuse_threads(bool refuse) { atomic_store(&threads_refused, refuse); }

void faults_refuse_fork_handlers(bool refuse) { atomic_store(&handlers_refused, refuse); }

static bool refused(void) {
    void (*function)(void *) = meanwhile;
    meanwhile = NULL;
    if (function) function(meanwhile_context);
    if (atomic_load(&calls_left) < 0 || atomic_fetch_sub(&calls_left, 1) > 0) return false;
    atomic_store(&allocation_failed, true);
    errno = ENOMEM;
    return true;
}

#define WRAPPED(type, name, failure, parameters, arguments) \
    type __real_##name parameters;                          \
    type __wrap_##name parameters;                          \
    type __wrap_##name parameters { return refused() ? failure : __real_##name arguments; }

WRAPPED(void *, malloc, NULL, (size_t size), (size))
WRAPPED(void *, calloc, NULL, (size_t count, size_t size), (count, size))
WRAPPED(void *, realloc, NULL, (void *block, size_t size), (block, size))
WRAPPED(char *, strdup, NULL, (const char *text), (text))
WRAPPED(void *, mmap, MAP_FAILED,
        (void *address, size_t length, int protection, int flags, int file, off_t offset),
        (address, length, protection, flags, file, offset))

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*routine)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*routine)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*routine)(void *), void *argument) {
    if (atomic_load(&threads_refused)) return EAGAIN;
    return __real_pthread_create(thread, attributes, routine, argument);
}

int __real_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
    if (atomic_load(&handlers_refused)) return ENOMEM;
    return __real_pthread_atfork(prepare, parent, child);
}
