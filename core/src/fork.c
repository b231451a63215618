#include "fork.h"

#include <pthread.h>
#include <stdatomic.h>

bool ds_fork_watch(void (*before)(void), void (*after)(void), void (*in_child)(void)) {
    static _Atomic(bool) watching;
    if (atomic_exchange(&watching, true)) return true;
    /* At the C level: hooks of the interpreters miss Process.daemon, uWSGI and Passenger. */
    if (pthread_atfork(before, after, in_child) == 0) return true;
    atomic_store(&watching, false);
    return false;
}
