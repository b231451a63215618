/*
 * What an ASGI application returned, and the time that it takes until it is done: an awaitable in
 * its place that hands all steps on. Only while the service asks for that time.
 */
#ifndef DYNOSCALE_PYTHON_TIMED_H
#define DYNOSCALE_PYTHON_TIMED_H

#include "state.h"

/* Consumes `answer` (NULL: the app raised, and so does this), and gives the awaitable that stands
 * for it. `entered_ns` is of ds_py_record_start: the request leaves when the answer is done,
 * raised, was closed, or is nowhere kept any more. What is not awaitable is given back, and the
 * request leaves. */
PyObject *ds_py_timed_new(ds_py_state *state, PyObject *answer, int64_t entered_ns);

/* Makes the class, which the state keeps. -1 with an exception. */
int ds_py_add_timed(PyObject *module);

void ds_py_timed_clear(ds_py_state *state);

#endif
