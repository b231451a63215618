/*
 * A header among a request's pairs of name and value: gunicorn's are of str, ASGI's of bytes.
 *
 * All pairs have to be looked at, since a header may be there repeatedly. Nearly all are passed
 * over by the length of their names.
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

/* Whether a text of the header's length is its name in any case. */
bool ds_py_is_name(const char *text, const ds_py_header *header);

/* A header that came twice is one list, as in environ: "A,B". 0; -1 with an exception that is not
 * an Exception: propagate it. */
int ds_py_stamps_join(PyObject **place, PyObject *value);

static inline int ds_py_stamps_keep(PyObject **place, PyObject *value) {
    if (DS_UNLIKELY(*place != NULL)) return ds_py_stamps_join(place, value);
    *place = Py_NewRef(value);
    return 0;
}

#endif
