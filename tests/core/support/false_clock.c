#include "false_clock.h"

#include <stdatomic.h>
#include <stddef.h>

#include "clock.h"
#include "suite.h"

static _Atomic(int64_t) wall_ns = NOW_NS;
static _Atomic(int64_t) monotonic_ms = 1000000;

static _Atomic(int64_t) process_age_ms = 2500;

typedef void function(void *context);

static _Atomic(function *) meanwhile;
static void *meanwhile_context; /* written before */

void false_clock_meanwhile(function *called, void *context) {
    meanwhile_context = context;
    atomic_store(&meanwhile, called);
}

int64_t ds_clock_wall_ns(void) {
    function *called = atomic_load(&meanwhile) ? atomic_exchange(&meanwhile, NULL) : NULL;
    if (called) called(meanwhile_context);
    return atomic_load(&wall_ns);
}

int64_t ds_clock_process_age_ms(void) { return atomic_load(&process_age_ms); }

int64_t ds_clock_monotonic_ms(void) { return atomic_load(&monotonic_ms); }

void false_clock_set_process_age(int64_t ms) { atomic_store(&process_age_ms, ms); }

void false_clock_set_wall(int64_t ns) { atomic_store(&wall_ns, ns); }

void false_clock_advance_ms(int64_t ms) {
    atomic_fetch_add(&wall_ns, ms * 1000000);
    atomic_fetch_add(&monotonic_ms, ms);
}
