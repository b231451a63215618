#include "exit.h"

#include <stdatomic.h>
#include <stdlib.h>

/*
 * If a signal handler calls exit() while exit() runs, the functions that have not been called yet
 * run, and the handler never returns: a function that was interrupted at its start must be
 * registered once more. So it is registered once for each signal that ends processes; none
 * interrupts its own handler.
 */
enum { SIGNALS = 4 };

static _Atomic(int) times;
static void (*handler)(void); /* written before `times` becomes 1 */

/* Without memory there is no handler: the hosts' own hooks remain. */
static void watch(void) {
    for (int i = 0; i < SIGNALS; i++) atexit(handler);
}

void ds_exit_watch(void (*at_exit)(void)) {
    if (atomic_load(&times) > 0) return;
    handler = at_exit;
    if (atomic_exchange(&times, 1) == 0) watch();
}

void ds_exit_watch_again(void) {
    int once = 1;
    if (atomic_compare_exchange_strong(&times, &once, 2)) watch();
}
