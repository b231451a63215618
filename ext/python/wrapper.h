/*
 * What DynoscaleWsgiApp and DynoscaleAsgiApp share: all but how a request is read.
 *
 * The call is a vectorcall that hands the caller's own argument vector on: nothing is copied, and
 * what the app returns or raises is the caller's, untouched. A wrapper never changes the app that
 * it wraps, so that the app lives as long as the wrapper that the caller holds.
 */
#ifndef DYNOSCALE_PYTHON_WRAPPER_H
#define DYNOSCALE_PYTHON_WRAPPER_H

#include "state.h"

typedef struct ds_py_wrapper ds_py_wrapper;

typedef struct ds_py_wrapper_kind {
    const char *name; /* of the class */
    vectorcallfunc call;
    /* Counts a request, which is a dict (environ, or a scope of type http) unless it was counted
     * before. *queue_time_ms is what dynoscale_agent_request returns, or what the hook left. */
    ds_py_claim (*measure)(ds_py_wrapper *self, PyObject *request, int64_t *queue_time_ms);
    Py_ssize_t answer; /* the place of start_response, or of send, among the arguments */
    /* Takes what the app returned (NULL: it raised) and gives it back, or what tells the time that
     * it takes to be done. NULL for a kind whose requests are done when the app returns. */
    PyObject *(*time_answer)(PyObject *returned);
    const char *timed; /* in dynoscale._server_timing: what takes that place and adds the header */
    /* What getattr(wrapper, "__call__") gives, NULL for the type's: servers look at it. The
     * function returns a new reference, or NULL with an exception. */
    PyObject *(*get_call)(PyObject *object);
} ds_py_wrapper_kind;

struct ds_py_wrapper {
    PyObject_HEAD vectorcallfunc vectorcall;
    ds_py_state *state; /* of `module`: kept, since the type may let go of it first at the end */
    PyObject *app;      /* NULL before __init__, and after the collector has cleared it */
    PyObject *module;
    bool open; /* its door */
    PyObject *weak_references;
    const ds_py_wrapper_kind *kind;
};

/* 1 with a new reference, 0 with NULL, -1 with an exception that is none of ours to swallow. */
static inline int ds_py_lookup(PyObject *dict, PyObject *key, PyObject **value) {
    int found = PyDict_GetItemRef(dict, key, value);
    return DS_LIKELY(found >= 0) ? found : ds_py_swallow(); /* a key's own __eq__ raised */
}

/* Calls the app, unless the stack is as deep as it may be. */
PyObject *ds_py_wrapper_call_app(ds_py_wrapper *self, PyObject *const *args, size_t flagged_count,
                                 PyObject *names);

/* A whole call, with several doors in the process, or somebody to tell the queue time. There are
 * arguments, and the first is a dict. */
PyObject *ds_py_wrapper_call_with_care(ds_py_wrapper *self, PyObject *const *args,
                                       size_t flagged_count, PyObject *names);

/* Calls the app with what `function` of `module` makes of start_response or send, and of `more`
 * unless that is NULL, in its place; with the server's own where it makes nothing. */
DS_COLD PyObject *ds_py_wrapper_call_answered_by(ds_py_wrapper *self, PyObject *const *args,
                                                 size_t flagged_count, PyObject *names,
                                                 const char *module, const char *function,
                                                 PyObject *more);

PyObject *ds_py_wrapper_raise_no_app(const ds_py_wrapper *self);

/* For tp_new: an instance without an app. */
PyObject *ds_py_wrapper_new(PyTypeObject *type, const ds_py_wrapper_kind *kind);

/* Makes the class, of static texts, and adds it to the module. -1 with an exception. */
int ds_py_add_wrapper(PyObject *module, const char *name, const char *doc, newfunc make);

#endif
