#include "slot.h"

#ifdef Py_GIL_DISABLED
#include <time.h>
#endif

ds_py_handle *ds_py_slot_hold(ds_py_slot *slot) {
#ifdef Py_GIL_DISABLED
    ds_py_reader reader = ds_py_slot_enter(slot);
    ds_py_handle *handle = atomic_load(&slot->handle);
    if (handle != NULL) atomic_fetch_add(&handle->references, 1);
    ds_py_slot_leave(&reader);
#else
    ds_py_handle *handle = atomic_load(&slot->handle);
    if (handle != NULL) atomic_fetch_add(&handle->references, 1);
#endif
    return handle;
}

void ds_py_handle_release(ds_py_handle *handle) {
    if (handle == NULL || atomic_fetch_sub(&handle->references, 1) > 1) return;
    dynoscale_agent_free(handle->agent);
    PyMem_RawFree(handle->settings);
    PyMem_RawFree(handle);
}

ds_py_handle *ds_py_handle_new(dynoscale_agent *agent, char *settings) {
    ds_py_handle *handle = PyMem_RawMalloc(sizeof *handle);
    if (handle == NULL) return NULL;
    handle->agent = agent;
    handle->settings = settings;
    atomic_init(&handle->references, 1);
    atomic_init(&handle->stopped, false);
    return handle;
}

#ifdef Py_GIL_DISABLED

/* Returns false after a second: a reader that was inside when the process forked never leaves. */
static bool wait_for_readers(ds_py_slot *slot) {
    const struct timespec pause = {.tv_sec = 0, .tv_nsec = 100 * 1000};
    int pauses_left = 10 * 1000;
    Py_BEGIN_ALLOW_THREADS for (int i = 0; i < DS_PY_SHARDS; i++) while (
        atomic_load(&slot->shards[i].inside) > 0 && pauses_left-- > 0) nanosleep(&pause, NULL);
    Py_END_ALLOW_THREADS return pauses_left > 0;
}

#else

static bool wait_for_readers(ds_py_slot *slot) {
    (void)slot;
    return true;
}

#endif

void ds_py_slot_replace(ds_py_slot *slot, ds_py_handle *handle) {
    ds_py_handle *before = atomic_exchange(&slot->handle, handle);
    if (before == NULL) return;
    if (wait_for_readers(slot)) ds_py_handle_release(before);
    /* Otherwise it is leaked: a reader may still use it. */
}
