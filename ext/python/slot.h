/*
 * The current agent of an interpreter: read at every request, replaced by configure().
 *
 * With the interpreter's lock a reader can't be interrupted between reading the pointer and using
 * it, so a replaced agent can be freed at once. Without the lock (free-threaded Python) each reader
 * counts itself in and out, and the replacing thread waits for the readers inside: some ns, since
 * no Python code runs there.
 */
#ifndef DYNOSCALE_PYTHON_SLOT_H
#define DYNOSCALE_PYTHON_SLOT_H

#include "compat.h"

#include <stdatomic.h>

#include "dynoscale.h"

/* An open agent. flush and stop run without the interpreter's lock and hold a reference. */
typedef struct ds_py_handle {
    dynoscale_agent *agent;
    char *settings; /* the settings it was opened with, as one text, to compare with others */
    atomic_long references;
    atomic_bool stopped; /* by stop(): the next configure() opens a new one in any case */
} ds_py_handle;

#ifdef Py_GIL_DISABLED
enum { DS_PY_SHARDS = 16 };

typedef struct ds_py_shard {
    atomic_uint inside;
    char own_cache_line[64 - sizeof(atomic_uint)];
} ds_py_shard;
#endif

typedef struct ds_py_slot {
    _Atomic(ds_py_handle *) handle; /* NULL: off, or not decided yet */
#ifdef Py_GIL_DISABLED
    ds_py_shard shards[DS_PY_SHARDS];
#endif
} ds_py_slot;

typedef struct ds_py_reader {
    dynoscale_agent *agent; /* NULL when off */
#ifdef Py_GIL_DISABLED
    ds_py_shard *shard;
#endif
} ds_py_reader;

/* Whether there is an agent; may be outdated. Costs one load. */
static inline bool ds_py_slot_on(ds_py_slot *slot) {
    return atomic_load_explicit(&slot->handle, memory_order_relaxed) != NULL;
}

/* Between enter and leave no Python code may run. */
static inline ds_py_reader ds_py_slot_enter(ds_py_slot *slot) {
    ds_py_reader reader;
#ifdef Py_GIL_DISABLED
    uintptr_t thread = (uintptr_t)PyThreadState_Get();
    reader.shard = &slot->shards[(thread >> 6 ^ thread >> 14) % DS_PY_SHARDS];
    /* seq_cst, both: pairs with the exchange and the loads in ds_py_slot_replace. Either the
     * replacing thread sees this reader inside, or this reader sees the new handle. */
    atomic_fetch_add(&reader.shard->inside, 1);
    ds_py_handle *handle = atomic_load(&slot->handle);
#else
    ds_py_handle *handle = atomic_load_explicit(&slot->handle, memory_order_relaxed);
#endif
    reader.agent = handle != NULL ? handle->agent : NULL;
    return reader;
}

static inline void ds_py_slot_leave(ds_py_reader *reader) {
#ifdef Py_GIL_DISABLED
    /* release: pairs with the load in ds_py_slot_replace; the agent is no longer used. */
    atomic_fetch_sub_explicit(&reader->shard->inside, 1, memory_order_release);
#else
    (void)reader;
#endif
}

/* A request enters the app, and leaves it: see dynoscale_agent_enter. */
static inline int64_t ds_py_slot_request_enters(ds_py_slot *slot) {
    ds_py_reader reader = ds_py_slot_enter(slot);
    int64_t entered_ns = dynoscale_agent_enter(reader.agent);
    ds_py_slot_leave(&reader);
    return entered_ns;
}

static inline void ds_py_slot_request_leaves(ds_py_slot *slot, int64_t entered_ns) {
    if (entered_ns < 0) return;
    ds_py_reader reader = ds_py_slot_enter(slot);
    dynoscale_agent_leave(reader.agent, entered_ns);
    ds_py_slot_leave(&reader);
}

/* Returns a new reference, NULL if off. */
ds_py_handle *ds_py_slot_hold(ds_py_slot *slot);

/* Releases a reference; the last one frees the agent, which does not block. NULL is allowed. */
void ds_py_handle_release(ds_py_handle *handle);

/* Makes a handle with one reference. It owns the agent, and the settings' text, which is from
 * PyMem_RawMalloc. Returns NULL without memory: both stay the caller's. */
ds_py_handle *ds_py_handle_new(dynoscale_agent *agent, char *settings);

/* Puts a handle (NULL: off) in the slot and releases the previous one. */
void ds_py_slot_replace(ds_py_slot *slot, ds_py_handle *handle);

#endif
