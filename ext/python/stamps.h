/*
 * Finds a header among a request's pairs of name and value: str in gunicorn, bytes in ASGI.
 *
 * A header may occur several times, so every pair must be checked. The length of the name and its
 * last character exclude nearly all.
 */
#ifndef DYNOSCALE_PYTHON_STAMPS_H
#define DYNOSCALE_PYTHON_STAMPS_H

#include "compat.h"

#include <stdbool.h>

#include "calls.h"

typedef struct ds_py_header {
    const char *capitals, *lower; /* the name in both cases */
    Py_ssize_t length;
} ds_py_header;

#define DS_PY_HEADER(capitals, lower) \
    { capitals, lower, sizeof(capitals) - 1 }

static const ds_py_header ds_py_request_start = DS_PY_HEADER("X-REQUEST-START", "x-request-start");
static const ds_py_header ds_py_queue_start = DS_PY_HEADER("X-QUEUE-START", "x-queue-start");

/* Whether a text of that length ends as the header's name. Few others do. */
static inline bool ds_py_ends_like(const char *text, const ds_py_header *header) {
    Py_ssize_t last = header->length - 1;
    return text[last] == header->capitals[last] || text[last] == header->lower[last];
}

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

/* Looks at one pair; as ds_py_stamps_join. */
typedef int ds_py_stamps_look(PyObject *pair, const ds_py_header *header, PyObject **found);

/* Looks at each pair of a list or a tuple, whose items are found once: no Python code runs here, so
 * with the interpreter's lock neither can change. */
static inline int ds_py_stamps_scan(PyObject *pairs, ds_py_stamps_look *look,
                                    const ds_py_header *header, PyObject **found) {
#ifdef Py_GIL_DISABLED
    for (Py_ssize_t i = 0; PyList_Check(pairs) && i < PyList_GET_SIZE(pairs); i++) {
        PyObject *pair = PyList_GetItemRef(pairs, i);
        if (pair == NULL) return ds_py_swallow(); /* the list has become shorter */
        int result = look(pair, header, found);
        Py_DECREF(pair);
        if (result < 0) return -1;
    }
    if (PyList_Check(pairs)) return 0;
#endif
    PyObject **pair = PySequence_Fast_ITEMS(pairs);
    PyObject **const end = pair + PySequence_Fast_GET_SIZE(pairs);
    for (; pair < end; pair++)
        if (DS_UNLIKELY(look(*pair, header, found) < 0)) return -1;
    return 0;
}

#endif
