#include "exit.h"

#include <stdatomic.h>
#include <stdlib.h>

static _Atomic(int) times;
static void (*handler)(void); /* written before `times` becomes 1 */

/* Without memory there is none: the hosts' own hooks remain. */
void ds_exit_watch(void (*at_exit)(void)) {
    if (atomic_load(&times) > 0) return;
    handler = at_exit;
    if (atomic_exchange(&times, 1) == 0) atexit(at_exit);
}

void ds_exit_watch_again(void) {
    int once = 1;
    if (atomic_compare_exchange_strong(&times, &once, 2)) atexit(handler);
}
