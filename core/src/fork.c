#include "fork.h"

#include <pthread.h>
#include <stdatomic.h>

bool ds_fork_watch(void (*in_child)(void)) {
    static _Atomic(bool) watching;
    if (atomic_exchange(&watching, true)) return true;
    /* At the C level: hooks of the interpreters miss Process.daemon, uWSGI and Passenger. */
    if (pthread_atfork(NULL, NULL, in_child) == 0) return true;
    atomic_store(&watching, false);
    return false;
}
