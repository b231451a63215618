/*
 * Finds a header among a request's pairs of name and value: str in gunicorn, bytes in ASGI.
 *
 * A header may occur several times, so every pair must be checked. The length of the name excludes
 * nearly all.
 */
#ifndef DYNOSCALE_PYTHON_STAMPS_H
#define DYNOSCALE_PYTHON_STAMPS_H

#include "compat.h"

#include <stdbool.h>

typedef struct ds_py_header {
    const char *capitals, *lower; /* the name in both cases */
    Py_ssize_t length;
} ds_py_header;

#define DS_PY_HEADER(capitals, lower) \
    { capitals, lower, sizeof(capitals) - 1 }

static const ds_py_header ds_py_request_start = DS_PY_HEADER("X-REQUEST-START", "x-request-start");
static const ds_py_header ds_py_queue_start = DS_PY_HEADER("X-QUEUE-START", "x-queue-start");

/* Whether a text of that length is the header's name, in any case. */
bool ds_py_is_name(const char *text, const ds_py_header *header);

/* Joins the values of a header that came twice to one list, "A,B", as in environ. Returns 0, or -1
 * with an exception that is not an Exception: propagate it. */
int ds_py_stamps_join(PyObject **place, PyObject *value);

static inline int ds_py_stamps_keep(PyObject **place, PyObject *value) {
    if (DS_UNLIKELY(*place != NULL)) return ds_py_stamps_join(place, value);
    *place = Py_NewRef(value);
    return 0;
}

#endif
