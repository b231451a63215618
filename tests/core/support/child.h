/* A forked child of a test: ends at once, as with _exit, but what gcov counted in it is kept, the
 * handlers that ran inside of fork too. (So the parent's lines are counted once more.) */
#ifndef CHILD_H
#define CHILD_H

#include <unistd.h>

#ifdef COVERAGE
void __gcov_dump(void);
#else
static inline void __gcov_dump(void) {}
#endif

static inline _Noreturn void leave_child(int status) {
    __gcov_dump();
    _exit(status);
}

#endif
