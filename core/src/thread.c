#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_DEFAULT */
#endif
#include "thread.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

/* Name lookup and TLS need up to 200 KiB; musl's default is less. */
enum { STACK_SIZE = 512 * 1024 };

/* What the C library takes of a thread's stack: its bookkeeping, and the thread-local variables of
 * all libraries loaded at the start, which may be more than we need. glibc has a function that
 * tells it; other libraries add it themselves. */
static size_t library_stack(const pthread_attr_t *attributes) {
    static _Atomic(size_t) known;
    size_t size = atomic_load(&known);
    if (size > 0) return size;
    size_t (*minimum)(const pthread_attr_t *);
    *(void **)&minimum = dlsym(RTLD_DEFAULT, "__pthread_get_minstack");
    size = minimum ? minimum(attributes) : 16 * 1024;
    atomic_store(&known, size);
    return size;
}

int ds_thread_create(pthread_t *thread, void *(*function)(void *), void *context) {
    const size_t whole_pages = 64 * 1024;
    pthread_attr_t attributes;
    sigset_t all, before;
    if (pthread_attr_init(&attributes) != 0) return ENOMEM;
    size_t size = STACK_SIZE + library_stack(&attributes) + whole_pages - 1;
    pthread_attr_setstacksize(&attributes, size - size % whole_pages);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, &attributes, function, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

static void *do_nothing(void *context) { return context; }

/* Twice: the second thread gets the first one's stack, as the worker's will. For that the C library
 * calls functions that are looked up at their first call, in the tables of all loaded libraries. In
 * a forked process each table is a page fault. */
void ds_thread_warm_up(void) {
    pthread_t thread;
    for (int i = 0; i < 2; i++)
        if (ds_thread_create(&thread, do_nothing, NULL) == 0) pthread_join(thread, NULL);
}

const char *ds_thread_remedy(int error) {
    if (error == EAGAIN) return "raise the limit of threads or processes";
    if (error == EPERM || error == ENOSYS) return "let the sandbox allow threads (clone3, clone)";
    return "give the process more memory";
}
