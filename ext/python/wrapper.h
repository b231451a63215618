/*
 * What DynoscaleWsgiApp and DynoscaleAsgiApp share: everything except reading a request.
 *
 * The call is a vectorcall that passes the caller's own argument vector on: nothing is copied, and
 * the caller gets what the app returns or raises. The wrapped app never changes, so it lives as
 * long as the wrapper that the caller holds.
 */
#ifndef DYNOSCALE_PYTHON_WRAPPER_H
#define DYNOSCALE_PYTHON_WRAPPER_H

#include "state.h"

typedef struct ds_py_wrapper ds_py_wrapper;

typedef struct ds_py_wrapper_kind {
    ds_py_kind kind;
    const char *name; /* of the class */
    vectorcallfunc call;
    /* Counts a request, a dict (environ, or a scope of type http), unless it was counted before.
     * *queue_time_ms is as from dynoscale_agent_request, or what the hook measured.
     * `entered_ns` is as for ds_py_record_start; it stays if this wrapper does not count. */
    ds_py_counted_by (*measure)(ds_py_wrapper *self, PyObject *request, int64_t *entered_ns,
                                int64_t *queue_time_ms);
    /* Gives the request's stamp, a new reference; NULL: none. -1 with an exception that is not an
     * Exception: propagate it. */
    int (*find_stamp)(ds_py_state *state, PyObject *request, PyObject **stamp);
    Py_ssize_t answer; /* the index of start_response, or of send, among the arguments */
    /* ds_py_timed_new; NULL for a kind whose requests end when the app returns. */
    PyObject *(*time_answer)(ds_py_state *state, PyObject *returned, int64_t entered_ns);
    const char *timed; /* in dynoscale._server_timing: replaces that argument and adds the header */
    /* What getattr(wrapper, "__call__") returns, which servers look at; NULL: the type's. Returns a
     * new reference, or NULL with an exception. */
    PyObject *(*get_call)(PyObject *object);
} ds_py_wrapper_kind;

struct ds_py_wrapper {
    PyObject_HEAD vectorcallfunc vectorcall;
    ds_py_state *state; /* of `module`; kept because the type may release it first at the end */
    PyObject *app;      /* NULL before __init__ and after a garbage collection */
    PyObject *module;
    bool open; /* counted as an entry point */
    PyObject *weak_references;
    const ds_py_wrapper_kind *kind;
};

/* Returns 1 with a new reference, 0 with NULL, -1 with an exception that is not an Exception:
 * propagate it. */
static inline int ds_py_lookup(PyObject *dict, PyObject *key, PyObject **value) {
    int found = PyDict_GetItemRef(dict, key, value);
    return DS_LIKELY(found >= 0) ? found : ds_py_swallow(); /* a key's own __eq__ raised */
}

/* Calls the app, or raises RecursionError. */
PyObject *ds_py_wrapper_call_app(ds_py_wrapper *self, PyObject *const *args, size_t flagged_count,
                                 PyObject *names);

/* A call with several entry points in the process, or with a queue time to show. There is a first
 * argument, and it is a dict. */
PyObject *ds_py_wrapper_call_slow_path(ds_py_wrapper *self, PyObject *const *args,
                                       size_t flagged_count, PyObject *names);

/* Whether that is how dynoscale.django measures: by an app of its own that only returns. */
bool ds_py_wrapper_is_of_django(PyObject *app);

/* Whether the value of Content-Length or Transfer-Encoding, or NULL, says that there is a body. */
bool ds_py_wrapper_says_body(PyObject *value);

/* Finds out whether a WSGI server reads bodies before it calls the app: at the first request,
 * because the server is loaded by then. -1 with an exception that is not an Exception: propagate
 * it. */
DS_COLD int ds_py_look_at_wsgi_server(ds_py_state *state, PyObject *environ);

/* Calls the app with what `function` of `module` makes from start_response or send and `more` (may
 * be NULL); with the server's own if it raises. */
DS_COLD PyObject *ds_py_wrapper_call_answered_by(ds_py_wrapper *self, PyObject *const *args,
                                                 size_t flagged_count, PyObject *names,
                                                 const char *module, const char *function,
                                                 PyObject *more);

PyObject *ds_py_wrapper_raise_no_app(const ds_py_wrapper *self);

/* For tp_new: makes an instance without an app. */
PyObject *ds_py_wrapper_new(PyTypeObject *type, const ds_py_wrapper_kind *kind);

/* Makes the class and adds it to the module. Texts must be static. -1 with an exception. */
int ds_py_add_wrapper(PyObject *module, const char *name, const char *doc, newfunc make);

/* The service asks how many requests the server runs at once, by the arguments of a call. -1 with
 * an exception that is not an Exception: propagate it. */
DS_COLD int ds_py_wrapper_find_slots(ds_py_wrapper *self, PyObject *const *args,
                                     size_t flagged_count);

#endif
