/* The state of the module: one for each interpreter. Nothing of Python's is in C statics. */
#ifndef DYNOSCALE_PYTHON_STATE_H
#define DYNOSCALE_PYTHON_STATE_H

#include "compat.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "calls.h"
#include "dynoscale.h"
#include "entry_points.h"
#include "slot.h"
#include "text.h"

/*
 * The requests that gunicorn's hook has seen enter the app, and when. They are found by their
 * address, which no other request has until it has left. A request for which there was no place has
 * an attribute instead.
 */
enum { DS_PY_INSIDE = 128 };
typedef struct ds_py_inside {
    _Atomic(const void *) requests[DS_PY_INSIDE]; /* NULL: free */
    int64_t entered_ns[DS_PY_INSIDE];             /* its request's alone */
    atomic_long with_attribute;
} ds_py_inside;

enum { DS_PY_SPARE = 16 };

/* All zeros at first: off, settings not read, no entry points. */
typedef struct ds_py_state {
    ds_py_slot slot;
    atomic_bool decided; /* settings were read, so the agent is on, or off for a reason */
    ds_py_entry_points entry_points;
    PyObject *key_request_start, *key_queue_start; /* in environ */
    PyObject *key_queue_time;                      /* in environ and in scope */
    PyObject *key_type, *text_http;                /* in scope, and its value there */
    PyObject *key_server_software;                 /* in environ */
    PyObject *key_environ;                         /* in a scope that a2wsgi made from environ */
    PyObject *name_uvicorn, *name_twisted;         /* modules */
    PyObject *name_headers, *name_body; /* in gunicorn's request; "headers" in scope, too */
    PyObject *name_entered;             /* our attribute of gunicorn's request */
    ds_py_inside inside;
    PyTypeObject *options_type, *timed_type;
    PyObject *spare[DS_PY_SPARE]; /* memory of objects of the timed type, for new ones */
    int spare_count;
    PyObject *module; /* borrowed: the one that has this state */
} ds_py_state;

static inline ds_py_state *ds_py_state_of(PyObject *module) { return PyModule_GetState(module); }

/* For the module's exec, traverse and clear. -1 with an exception. */
int ds_py_state_init(ds_py_state *state);
int ds_py_state_traverse(ds_py_state *state, visitproc visit, void *arg);
void ds_py_state_clear(ds_py_state *state);

/* Opens the agent from the environment unless settings were read before. Returns 0, or -1 with an
 * exception that is not an Exception. */
DS_COLD int ds_py_decide(ds_py_state *state);

static inline int ds_py_need_agent(ds_py_state *state) {
    if (DS_LIKELY(atomic_load_explicit(&state->decided, memory_order_relaxed))) return 0;
    return ds_py_decide(state);
}

/*
 * Records a request by X-Request-Start (NULL: absent), if it is one plausible time, and logs the
 * native thread's events. A negative *queue_time_ms means that nothing was recorded: call
 * ds_py_record with both headers. Returns 0, or -1 with an exception that is not an Exception:
 * propagate it.
 * If the service asks for it, `entered_ns` is not NULL: then the request enters the app by the same
 * reading of the clock, and the caller must call ds_py_slot_request_leaves with it, whatever
 * happens.
 */
static inline int ds_py_record_start(ds_py_state *state, PyObject *start, int64_t *entered_ns,
                                     int64_t *queue_time_ms) {
    ds_py_text text = ds_py_text_of(start);
    ds_py_reader reader = ds_py_slot_enter(&state->slot);
    if (entered_ns != NULL) *entered_ns = dynoscale_agent_enter(reader.agent);
    *queue_time_ms = dynoscale_agent_request_start_at(
        reader.agent, entered_ns != NULL ? *entered_ns : -1, text.data, text.length, 0);
    bool event = dynoscale_agent_has_event(reader.agent);
    ds_py_slot_leave(&reader);
    return DS_UNLIKELY(event) ? ds_py_call_agent("log_events", NULL) : 0;
}

/* Records a request by both headers (NULL: absent). *queue_time_ms is as from
 * dynoscale_agent_request. */
DS_COLD void ds_py_record(ds_py_state *state, PyObject *start, PyObject *queue_start,
                          int64_t *queue_time_ms);

#endif
