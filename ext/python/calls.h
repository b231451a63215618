/* Calls to Python code and what it raises: not for the request path. */
#ifndef DYNOSCALE_PYTHON_CALLS_H
#define DYNOSCALE_PYTHON_CALLS_H

#include "compat.h"

#include <stdbool.h>

/* Clears the exception that is set and returns 0, if it is an Exception. Any other (SystemExit, a
 * server's time-out) is not ours: returns -1 and leaves it set, to be propagated. */
DS_COLD int ds_py_swallow(void);

/* Calls a function of dynoscale._agent. Returns 0, or -1 with an exception that is not an
 * Exception. */
DS_COLD int ds_py_call_agent(const char *function, PyObject *settings);

/* Calls a function of a module with one argument or two (`second` may be NULL). Returns NULL with
 * its exception. */
PyObject *ds_py_call(const char *module, const char *function, PyObject *first, PyObject *second);

/* The service asks how many requests this process can run at once: calls that function of
 * dynoscale._servers with one argument or two, and tells the core. Returns 0, or -1 with an
 * exception that is not an Exception. */
DS_COLD int ds_py_find_slots(const char *function, PyObject *first, PyObject *second);

/* A dynoscale_interrupted: runs Python's signal handlers on the waiting thread. `context` points to
 * its PyThreadState, which does not hold the interpreter's lock. Returns true, with an exception,
 * if a handler raised. */
bool ds_py_is_interrupted(void *context);

#endif
