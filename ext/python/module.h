/*
 * dynoscale._native: the core for Python.
 *
 * Suggested reading order: module.c (the functions and the state), wsgi_app.c, asgi_app.c and
 * gunicorn_hook.c (a request's way), wrapper.h (what the two wrappers share), doors.h (a request is
 * counted once), slot.h (the agent's place), options.c (settings), doctor.c (the command line's),
 * and in python/dynoscale/_agent.py all that need not be fast: when the agent is opened, what is
 * logged, what happens at exit.
 */
#ifndef DYNOSCALE_PYTHON_MODULE_H
#define DYNOSCALE_PYTHON_MODULE_H

#include "compat.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "doors.h"
#include "dynoscale.h"
#include "slot.h"
#include "text.h"

/* All there is of an interpreter: nothing of Python's lives in C statics. */
typedef struct ds_py_state {
    ds_py_slot slot;
    atomic_bool decided; /* settings were read: the agent is on, or off for a reason */
    ds_py_doors doors;
    PyObject *key_request_start, *key_queue_start; /* in environ */
    PyObject *key_queue_time;                      /* in environ and in scope */
    PyObject *key_type, *text_http;                /* in scope, and its value there */
    PyObject *name_headers, *name_body; /* of gunicorn's request; headers in scope, too */
    PyObject *name_entered;             /* of gunicorn's request, ours */
    PyTypeObject *options_type;
} ds_py_state;

extern PyModuleDef ds_py_module;

static inline ds_py_state *ds_py_state_of(PyObject *module) { return PyModule_GetState(module); }

/* ---- module.c ----------------------------------------------------------------------------- */

/* Opens the agent from the environment unless settings were read before. -1 with an exception
 * that is none of ours to swallow. */
int ds_py_decide(ds_py_state *state);

static inline int ds_py_need_agent(ds_py_state *state) {
    if (DS_LIKELY(atomic_load_explicit(&state->decided, memory_order_relaxed))) return 0;
    return ds_py_decide(state);
}

/* Calls a function of dynoscale._agent: off the path of a request. Its ordinary exceptions are
 * swallowed; -1 with any other. */
DS_COLD int ds_py_call_agent(const char *function, PyObject *settings);

/* Calls what `module` has by the name `function`, with one argument or two: `second` may be NULL.
 * NULL with its exception. */
PyObject *ds_py_call(const char *module, const char *function, PyObject *first, PyObject *second);

/* Asked by the core now and then on the waiting thread, which has let go of the interpreter. The
 * context is the place of its PyThreadState. True, with an exception, when a signal's handler
 * raised. */
bool ds_py_is_interrupted(void *context);

/*
 * Records a request by X-Request-Start (NULL: absent), where it is one plausible time, and passes
 * on what the native thread has to say. A negative *queue_time_ms: nothing was recorded, call
 * ds_py_record with both headers. -1 with an exception that is not an Exception: propagate it.
 */
static inline int ds_py_record_start(ds_py_state *state, PyObject *start, int64_t *queue_time_ms) {
    ds_py_text text = ds_py_text_of(start);
    ds_py_reader reader = ds_py_slot_enter(&state->slot);
    *queue_time_ms = dynoscale_agent_request_start(reader.agent, text.data, text.length, 0);
    bool event = dynoscale_agent_has_event(reader.agent);
    ds_py_slot_leave(&reader);
    return DS_UNLIKELY(event) ? ds_py_call_agent("log_events", NULL) : 0;
}

/* Records a request by both headers (NULL: absent). *queue_time_ms is what dynoscale_agent_request
 * returns. */
DS_COLD void ds_py_record(ds_py_state *state, PyObject *start, PyObject *queue_start,
                          int64_t *queue_time_ms);

/* ---- The rooms of the module -------------------------------------------------------------- */

int ds_py_add_wsgi_app(PyObject *module); /* wsgi_app.c */
int ds_py_add_asgi_app(PyObject *module); /* asgi_app.c */
int ds_py_add_options(PyObject *module);  /* options.c */
int ds_py_add_doctor(PyObject *module);   /* doctor.c */
PyObject *ds_py_pre_request(PyObject *module, PyObject *const *args, Py_ssize_t count,
                            PyObject *names); /* gunicorn_hook.c */
extern const char ds_py_pre_request_doc[];
PyObject *ds_py_post_request(PyObject *module, PyObject *request); /* gunicorn_hook.c */
extern const char ds_py_post_request_doc[];

/* The core's options in an Options object; NULL with a TypeError. options.c */
const dynoscale_options *ds_py_options_of(ds_py_state *state, PyObject *object);
/* Whether a setting of yes or no is on. */
bool ds_py_options_on(const dynoscale_options *options, dynoscale_setting setting);
/* All settings as one text from PyMem_RawMalloc; NULL without memory. options.c */
char *ds_py_options_text(const dynoscale_options *options);

#endif
