/*
 * An awaitable that takes the place of what an ASGI application returned, passes all steps on to
 * it, and measures how long it takes. Made only while the service asks for that time.
 */
#ifndef DYNOSCALE_PYTHON_TIMED_H
#define DYNOSCALE_PYTHON_TIMED_H

#include "state.h"

/* Consumes `answer` (NULL: the app raised) and returns the awaitable that takes its place (NULL:
 * with the app's exception). `entered_ns` is from ds_py_record_start. The request leaves when the
 * answer is done, raises, is closed or is freed. Returns an answer that is not awaitable unchanged;
 * then the request leaves at once. */
PyObject *ds_py_timed_new(ds_py_state *state, PyObject *answer, int64_t entered_ns);

/* Makes the class, which the state keeps. -1 with an exception. */
int ds_py_add_timed(PyObject *module);

void ds_py_timed_clear(ds_py_state *state);

#endif
