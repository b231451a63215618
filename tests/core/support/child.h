/* A forked child of a test: ends at once, as with _exit, but what gcov counted in it is kept. */
#ifndef CHILD_H
#define CHILD_H

#include <sys/types.h>
#include <unistd.h>

#ifdef COVERAGE
void __gcov_reset(void);
void __gcov_dump(void);
#else
static inline void __gcov_reset(void) {}
static inline void __gcov_dump(void) {}
#endif

static inline pid_t fork_child(void) {
    pid_t child = fork();
    if (child == 0) __gcov_reset();
    return child;
}

static inline _Noreturn void leave_child(int status) {
    __gcov_dump();
    _exit(status);
}

#endif
