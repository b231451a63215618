/*
 * A request is counted once, whichever doors it comes through and however often. A door is a
 * wrapper, WSGI's or ASGI's, or gunicorn's hook once it has been called.
 *
 *   wrapper -> wrapper   The wrapper that counts leaves the stamp itself in environ, or in ASGI's
 *                        scope. A stamp there that is the request's own means counted: by a wrapper
 *                        further out, by one that was asked before (a cascade), or by this one (a
 *                        retry, a forward, also with a copy of environ). Another stamp is left from
 *                        another request of which the dict was made.
 *   hook -> wrapper      The hook marks the request's body by an attribute, its queue time;
 *                        gunicorn hands the same object on as environ['wsgi.input'], where the
 *                        wrapper looks for it and takes the mark off. A body that can't be marked,
 *                        or that something replaced on the way, is made up for by remembering the
 *                        header's value: gunicorn puts the very same str object into environ.
 *
 * An environ without 'wsgi.input', and a scope without 'asgi', is no server's: programs that make
 * one by hand use it for many requests. There the wrapper that counted last counts again.
 *
 * No code of the app's objects runs.
 */
#ifndef DYNOSCALE_PYTHON_DOORS_H
#define DYNOSCALE_PYTHON_DOORS_H

#include "compat.h"

#include <stdatomic.h>
#include <stdbool.h>

enum { DS_PY_REMEMBERED = 16 };

enum {
    /* Nobody has looked yet whether the server reads bodies before it calls the app: the first
     * request does. Where it does, a request with a body waited for its client, too. */
    DS_PY_SERVER_UNKNOWN = 1 << 26,
    DS_PY_SERVER_READS_BODIES = 1 << 27,
    /* Who is told the queue time, besides the service: the settings queue_time and server_timing.
     */
    DS_PY_TOLD_APP = 1 << 28,
    DS_PY_TOLD_BROWSER = 1 << 29,
    DS_PY_TOLD = DS_PY_TOLD_APP | DS_PY_TOLD_BROWSER,
    DS_PY_FLAGS = DS_PY_TOLD | DS_PY_SERVER_UNKNOWN | DS_PY_SERVER_READS_BODIES,
};

typedef struct ds_py_doors {
    /* Wrappers alive, and one more once the hook was called. With the bits of DS_PY_FLAGS, so that
     * a request asks for both by one load. */
    atomic_long open;
    atomic_bool hook_called;
    atomic_bool hook_times; /* gunicorn's post_request has been called: the hook tells busy time */
    _Atomic(const void *) counted_last; /* the wrapper that did; only compared */
    _Atomic(PyTypeObject *) body_type;  /* of the bodies that take a mark; strong */
    atomic_uint next;
    _Atomic(PyObject *) remembered[DS_PY_REMEMBERED]; /* header values; strong */
    PyObject *mark_name;                              /* of the attribute on a body */
    PyObject *key_counted, *key_input;                /* in environ; the first in scope, too */
    PyObject *key_content_length, *key_chunked;       /* in environ */
    PyObject *key_asgi;                               /* in scope */
    PyObject *key_request_start, *key_queue_start;    /* in environ; borrowed */
} ds_py_doors;

/* 0, or -1 with an exception. The keys are borrowed for as long as the doors. */
int ds_py_doors_init(ds_py_doors *doors, PyObject *key_request_start, PyObject *key_queue_start);
int ds_py_doors_traverse(ds_py_doors *doors, visitproc visit, void *arg);
void ds_py_doors_clear(ds_py_doors *doors);

/* Whether there is more to a request than to count it: several doors, somebody to tell, a server to
 * look at. */
static inline bool ds_py_doors_careful(ds_py_doors *doors) {
    return atomic_load_explicit(&doors->open, memory_order_relaxed) > 1;
}

static inline bool ds_py_doors_several(ds_py_doors *doors) {
    return (atomic_load_explicit(&doors->open, memory_order_relaxed) & ~(long)DS_PY_FLAGS) > 1;
}

/* Bits of DS_PY_TOLD. */
static inline long ds_py_doors_told(ds_py_doors *doors) {
    return atomic_load_explicit(&doors->open, memory_order_relaxed) & DS_PY_TOLD;
}

void ds_py_doors_tell(ds_py_doors *doors, long told);

static inline long ds_py_doors_flags(ds_py_doors *doors) {
    return atomic_load_explicit(&doors->open, memory_order_relaxed) & DS_PY_FLAGS;
}

/* What is known of the server from now on. */
static inline void ds_py_doors_know_server(ds_py_doors *doors, bool reads_bodies) {
    if (reads_bodies) atomic_fetch_or(&doors->open, DS_PY_SERVER_READS_BODIES);
    atomic_fetch_and(&doors->open, ~(long)DS_PY_SERVER_UNKNOWN);
}

/* Opens the hook's door, once. */
static inline void ds_py_doors_open_hook(ds_py_doors *doors) {
    if (DS_LIKELY(atomic_load_explicit(&doors->hook_called, memory_order_relaxed))) return;
    if (atomic_exchange(&doors->hook_called, true)) return;
    atomic_fetch_add(&doors->open, 1);
    ds_py_doors_know_server(doors, false); /* it is gunicorn */
}

static inline bool ds_py_doors_hook_times(ds_py_doors *doors) {
    return atomic_load_explicit(&doors->hook_times, memory_order_relaxed);
}

void ds_py_doors_open_wrapper(ds_py_doors *doors);
void ds_py_doors_close_wrapper(ds_py_doors *doors);

/* In the hook, after it has counted a request: `value` is the stamp's str, NULL without one.
 * -1 with an exception that is none of ours to swallow. */
int ds_py_doors_mark_request(ds_py_doors *doors, PyObject *body, PyObject *value,
                             int64_t queue_time_ms);

typedef enum ds_py_claim {
    DS_PY_CLAIM_RAISED = -1, /* an exception that is not an Exception: propagate it */
    DS_PY_CLAIM_OURS,        /* not counted yet: this wrapper does */
    DS_PY_CLAIM_HOOKED,      /* by the hook, which could tell nobody */
    DS_PY_CLAIM_COUNTED,     /* by another wrapper, or by this one before */
} ds_py_claim;

/* Of a request in which a stamp was left already, or could not be (`there` < 0). Consumes
 * `found`. */
DS_COLD ds_py_claim ds_py_doors_claim_again(ds_py_doors *doors, const void *wrapper,
                                            PyObject *request, PyObject *key_of_server,
                                            PyObject *stamp, PyObject *found, int there);

/* In a wrapper, before it counts: `stamp` is the header's value, NULL without one. A request that
 * has `key_of_server` comes from a server. */
static inline ds_py_claim ds_py_doors_claim(ds_py_doors *doors, const void *wrapper,
                                            PyObject *request, PyObject *key_of_server,
                                            PyObject *stamp) {
    PyObject *found;
    if (stamp == NULL) stamp = Py_None;
    int there = PyDict_SetDefaultRef(request, doors->key_counted, stamp, &found);
    if (DS_UNLIKELY(there != 0))
        return ds_py_doors_claim_again(doors, wrapper, request, key_of_server, stamp, found, there);
    Py_DECREF(found);
    atomic_store_explicit(&doors->counted_last, wrapper, memory_order_relaxed);
    return DS_PY_CLAIM_OURS;
}

/* Whether the hook counted the request: then 1, and *queue_time_ms is what it left. 0 when it did
 * not, -1 with an exception that is not an Exception: propagate it. */
int ds_py_doors_hooked(ds_py_doors *doors, PyObject *environ, int64_t *queue_time_ms);

#endif
