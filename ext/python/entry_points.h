/*
 * Counts a request once, through however many entry points it comes. An entry point is a wrapper,
 * for WSGI or ASGI, or gunicorn's hook once it has been called.
 *
 * From wrapper to wrapper: the wrapper that counts stores the stamp itself in environ, or in ASGI's
 * scope. If the request's own stamp is there, it was counted: by an outer wrapper, by an earlier
 * one (a cascade), or by this one (a retry or a forward, maybe with a copy of environ). Another
 * stamp belongs to an earlier request from which the dict was made.
 *
 * An outer middleware may give each attempt a copy of environ that it made before the first, or
 * empty environ in between (repoze.retry). Such attempts share the stamp and 'wsgi.input', which a
 * WSGI wrapper compares with those that it counted last.
 *
 * A single WSGI wrapper stops marking, which is a fifth of what a request costs, after DS_PY_MARKED
 * requests of which none came again. It compares the stamp alone then: no server gives one str
 * object to two requests. The first request that comes again is known by that, and all later ones
 * are marked. A program may send its requests with one str, each with an input of its own: if it
 * does so from the start, all are counted; else the first that has the str of another is not.
 *
 * From hook to wrapper: the hook stores the queue time as an attribute of the request's body, which
 * gunicorn passes on as environ['wsgi.input']. The wrapper looks for this mark and removes it. If a
 * body can't be marked, or was replaced, the hook's memory of the header's value decides: gunicorn
 * puts the same str object into environ.
 *
 * From a wrapper of one kind to one of the other, with an adapter between (a Flask app mounted in
 * FastAPI): the inner one gets a dict that the adapter has made, but in the context of the outer
 * call, and in another thread. So a context variable has the kind, the thread, the stamp and the
 * queue time of the wrapper that was called last. It is not set back: what an app returns goes on
 * in its context. In the same thread it may be an earlier request's.
 *
 * From the hook to an ASGI wrapper, under gunicorn's own ASGI worker: it calls the hook and the app
 * in one context, whose variable then has the hook's kind. For an app inside a2wsgi, whose scope
 * has the environ, that is looked at, too.
 *
 * A server's environ has 'wsgi.input', and its scope has 'asgi'. Programs that make one by hand use
 * it for many requests: then the wrapper that counted last counts again.
 *
 * Calls no code of the app's objects.
 */
#ifndef DYNOSCALE_PYTHON_ENTRY_POINTS_H
#define DYNOSCALE_PYTHON_ENTRY_POINTS_H

#include "compat.h"

#include <stdatomic.h>
#include <stdbool.h>

enum { DS_PY_REMEMBERED = 16, DS_PY_MARKED = 64 };

enum {
    /* A WSGI wrapper marks requests, although it is the only entry point. */
    DS_PY_MARKS = 1 << 25,
    /* Unknown whether the server reads bodies before it calls the app; the first request finds out.
     * If so, the stamp of a request with a body includes the wait for its client. */
    DS_PY_SERVER_UNKNOWN = 1 << 26,
    DS_PY_SERVER_READS_BODIES = 1 << 27,
    /* Who gets the queue time besides the service: the settings queue_time and server_timing. */
    DS_PY_SHOW_APP = 1 << 28,
    DS_PY_SHOW_BROWSER = 1 << 29,
    DS_PY_SHOW = DS_PY_SHOW_APP | DS_PY_SHOW_BROWSER,
    DS_PY_FLAGS = DS_PY_SHOW | DS_PY_SERVER_UNKNOWN | DS_PY_SERVER_READS_BODIES | DS_PY_MARKS,
};

typedef struct ds_py_entry_points {
    /* Living wrappers, plus 1 once the hook was called, and the bits of DS_PY_FLAGS: one load for
     * both. */
    atomic_long open;
    atomic_bool hook_called;
    atomic_bool hook_times; /* gunicorn's post_request was called: the hook measures busy time */
    _Atomic(const void *) counted_last; /* the wrapper; only compared */
    _Atomic(PyTypeObject *) body_type;  /* of bodies that can be marked; strong */
    atomic_uint next;
    _Atomic(PyObject *) remembered[DS_PY_REMEMBERED]; /* header values; strong */
    PyObject *last[DS_PY_REMEMBERED];       /* stamps that a WSGI wrapper counted last; strong */
    PyObject *last_input[DS_PY_REMEMBERED]; /* weakref objects of their 'wsgi.input', if known */
    atomic_int marked;                      /* requests, up to DS_PY_MARKED */
    PyObject *mark_name;                    /* of the attribute on a body */
    PyObject *key_counted, *key_input;      /* in environ; the first in scope, too */
    PyObject *key_content_length, *key_chunked;    /* in environ */
    PyObject *key_asgi;                            /* in scope */
    PyObject *key_request_start, *key_queue_start; /* in environ; borrowed */
    atomic_int made, called;                       /* kinds of wrappers, as bits */
    PyObject *inside;                              /* a context variable */
} ds_py_entry_points;

typedef enum ds_py_kind {
    DS_PY_KIND_WSGI = 1,
    DS_PY_KIND_ASGI = 2,
    DS_PY_KIND_HOOK = 4
} ds_py_kind;

/* Returns 0, or -1 with an exception. The keys must live as long. */
int ds_py_entry_points_init(ds_py_entry_points *entry_points, PyObject *key_request_start,
                            PyObject *key_queue_start);
int ds_py_entry_points_traverse(ds_py_entry_points *entry_points, visitproc visit, void *arg);
void ds_py_entry_points_clear(ds_py_entry_points *entry_points);

/* Whether a request needs more than counting: several entry points, a mark, a queue time to show,
 * or a server that was not checked. */
static inline bool ds_py_entry_points_need_slow_path(ds_py_entry_points *entry_points) {
    return atomic_load_explicit(&entry_points->open, memory_order_relaxed) > 1;
}

static inline bool ds_py_entry_points_several(ds_py_entry_points *entry_points) {
    return (atomic_load_explicit(&entry_points->open, memory_order_relaxed) & ~(long)DS_PY_FLAGS) >
           1;
}

/* Bits of DS_PY_SHOW. */
static inline long ds_py_entry_points_shown(ds_py_entry_points *entry_points) {
    return atomic_load_explicit(&entry_points->open, memory_order_relaxed) & DS_PY_SHOW;
}

void ds_py_entry_points_set_shown(ds_py_entry_points *entry_points, long shown);

static inline long ds_py_entry_points_flags(ds_py_entry_points *entry_points) {
    return atomic_load_explicit(&entry_points->open, memory_order_relaxed) & DS_PY_FLAGS;
}

/* Sets what is known of the server. */
static inline void ds_py_entry_points_know_server(ds_py_entry_points *entry_points,
                                                  bool reads_bodies) {
    if (reads_bodies) atomic_fetch_or(&entry_points->open, DS_PY_SERVER_READS_BODIES);
    atomic_fetch_and(&entry_points->open, ~(long)DS_PY_SERVER_UNKNOWN);
}

static inline void ds_py_entry_points_mark_no_more(ds_py_entry_points *entry_points) {
    atomic_fetch_and(&entry_points->open, ~(long)DS_PY_MARKS);
}

/* Registers the hook, once. */
static inline void ds_py_entry_points_open_hook(ds_py_entry_points *entry_points) {
    if (DS_LIKELY(atomic_load_explicit(&entry_points->hook_called, memory_order_relaxed))) return;
    if (atomic_exchange(&entry_points->hook_called, true)) return;
    atomic_fetch_add(&entry_points->open, 1);
    ds_py_entry_points_know_server(entry_points, false); /* it is gunicorn */
    ds_py_entry_points_mark_no_more(entry_points);       /* but with a wrapper, as several */
}

static inline bool ds_py_entry_points_hook_times(ds_py_entry_points *entry_points) {
    return atomic_load_explicit(&entry_points->hook_times, memory_order_relaxed);
}

/* `kind`: 0 if wrappers of the other kind need not look for this one inside of them. */
void ds_py_entry_points_open_wrapper(ds_py_entry_points *entry_points, int kind);
void ds_py_entry_points_close_wrapper(ds_py_entry_points *entry_points);

/* For the hook, after it has counted a request. `value` is the stamp's str, or NULL. -1 with an
 * exception that is not an Exception: propagate it. */
int ds_py_entry_points_mark_by_hook(ds_py_entry_points *entry_points, PyObject *body,
                                    PyObject *value, int64_t queue_time_ms);

typedef enum ds_py_counted_by {
    DS_PY_COUNTED_RAISED = -1, /* an exception that is not an Exception: propagate it */
    DS_PY_COUNTED_BY_NONE,     /* not counted yet: this wrapper counts */
    DS_PY_COUNTED_BY_HOOK,     /* the hook can't show the queue time */
    DS_PY_COUNTED_BY_WRAPPER,  /* another one, or this one before */
    DS_PY_COUNTED_AROUND,      /* by one of the other kind, whose dict is another */
} ds_py_counted_by;

/* For a request that has a stamp already, or can't take one (`there` < 0). Consumes `found`. */
DS_COLD ds_py_counted_by ds_py_entry_points_mark_again(ds_py_entry_points *entry_points,
                                                       const void *wrapper, PyObject *request,
                                                       PyObject *key_of_server, PyObject *stamp,
                                                       PyObject *found, int there);

/* For a wrapper, before it counts: marks the request and returns who counted it before. `stamp` is
 * the header's value, or NULL. A request with `key_of_server` comes from a server. */
static inline ds_py_counted_by ds_py_entry_points_mark(ds_py_entry_points *entry_points,
                                                       const void *wrapper, PyObject *request,
                                                       PyObject *key_of_server, PyObject *stamp) {
    PyObject *found;
    if (stamp == NULL) stamp = Py_None;
    int there = PyDict_SetDefaultRef(request, entry_points->key_counted, stamp, &found);
    if (DS_UNLIKELY(there != 0))
        return ds_py_entry_points_mark_again(entry_points, wrapper, request, key_of_server, stamp,
                                             found, there);
    Py_DECREF(found);
    atomic_store_explicit(&entry_points->counted_last, wrapper, memory_order_relaxed);
    return DS_PY_COUNTED_BY_NONE;
}

/* Where a stamp is remembered; NULL if it can't be told from others. */
static inline PyObject **ds_py_entry_points_place(ds_py_entry_points *entry_points,
                                                  PyObject *stamp) {
#ifdef Py_GIL_DISABLED
    return (void)entry_points, (void)stamp, NULL; /* threads would share the places */
#else
    /* There is one str of each single character. */
    if (DS_UNLIKELY(stamp == NULL) || DS_UNLIKELY(!PyUnicode_CheckExact(stamp)) ||
        DS_UNLIKELY(PyUnicode_GET_LENGTH(stamp) < 2))
        return NULL;
    return &entry_points->last[((uintptr_t)stamp >> 6) % DS_PY_REMEMBERED];
#endif
}

/* For the only WSGI wrapper, instead of a mark: remembers the stamp, and returns whether it is
 * surely a new one. */
static inline bool ds_py_entry_points_is_new(ds_py_entry_points *entry_points, PyObject *stamp) {
    PyObject **place = ds_py_entry_points_place(entry_points, stamp);
    if (DS_UNLIKELY(place == NULL) || DS_UNLIKELY(*place == stamp)) return false;
    PyObject *before = *place;
    *place = Py_NewRef(stamp);
    Py_XDECREF(before);
    return true;
}

/* The same after `is_new` returned false: marks the request, and all later ones if it came
 * again. */
DS_COLD ds_py_counted_by ds_py_entry_points_mark_old(ds_py_entry_points *entry_points,
                                                     const void *wrapper, PyObject *environ,
                                                     PyObject *stamp);

/* For a WSGI wrapper, if a request had no mark: whether one with this stamp and this 'wsgi.input'
 * was counted. Remembers both. */
ds_py_counted_by ds_py_entry_points_compare(ds_py_entry_points *entry_points, PyObject *environ,
                                            PyObject *stamp);

/* After a WSGI wrapper has marked a request: whether it will go on doing so. */
void ds_py_entry_points_marked(ds_py_entry_points *entry_points, PyObject *stamp,
                               ds_py_counted_by counted_by);

/* The other kind. */
static inline int ds_py_entry_points_other(ds_py_kind kind) {
    return DS_PY_KIND_WSGI + DS_PY_KIND_ASGI - (int)kind;
}

/* Whether the request may be inside of a wrapper of the other kind, or have one inside. */
static inline bool ds_py_entry_points_need_context(ds_py_entry_points *entry_points,
                                                   ds_py_kind kind) {
    int made = atomic_load_explicit(&entry_points->made, memory_order_relaxed);
    int called = atomic_load_explicit(&entry_points->called, memory_order_relaxed);
    if ((called & (int)kind) == 0) atomic_fetch_or(&entry_points->called, (int)kind);
    return ((made | called) & ds_py_entry_points_other(kind)) != 0;
}

/* For a wrapper, before it counts. `stamp` is the header's value, or NULL. Returns 1 if it is
 * inside of a wrapper of the other kind, and sets *queue_time_ms; 0 if not; -1 with an exception
 * that is not an Exception: propagate it. */
int ds_py_entry_points_is_inside(ds_py_entry_points *entry_points, ds_py_kind kind, PyObject *stamp,
                                 int64_t *queue_time_ms);

/* After it has counted: one of the other kind may be inside. Returns 0 or -1, as above. */
int ds_py_entry_points_enter_context(ds_py_entry_points *entry_points, ds_py_kind kind,
                                     PyObject *stamp, int64_t queue_time_ms);

/* For an ASGI wrapper: whether the hook counted the request in this context. Returns as the next
 * function. */
int ds_py_entry_points_hooked_in_context(ds_py_entry_points *entry_points, PyObject *stamp,
                                         int64_t *queue_time_ms);

/* Returns 1 if the hook counted the request and sets *queue_time_ms, 0 if not, -1 with an exception
 * that is not an Exception: propagate it. */
int ds_py_entry_points_counted_by_hook(ds_py_entry_points *entry_points, PyObject *environ,
                                       int64_t *queue_time_ms);

#endif
