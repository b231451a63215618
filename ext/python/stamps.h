/*
 * The two headers among a request's pairs of name and value: gunicorn's are of str, ASGI's of
 * bytes.
 *
 * All pairs have to be looked at, since both headers may be there and repeatedly. Nearly all are
 * passed over by the length of their names: 13 and 15 differ in one bit.
 */
#ifndef DYNOSCALE_PYTHON_STAMPS_H
#define DYNOSCALE_PYTHON_STAMPS_H

#include "compat.h"

#include <stdbool.h>

#define REQUEST_START "X-REQUEST-START"
#define QUEUE_START   "X-QUEUE-START"

enum {
    REQUEST_START_LENGTH = sizeof REQUEST_START - 1,
    QUEUE_START_LENGTH = sizeof QUEUE_START - 1,
    DIFFERENCE = REQUEST_START_LENGTH ^ QUEUE_START_LENGTH,
};

_Static_assert(REQUEST_START_LENGTH == (QUEUE_START_LENGTH | DIFFERENCE) &&
                   (DIFFERENCE & (DIFFERENCE - 1)) == 0,
               "the lengths of the names differ in one bit");

/* The stamps of a request; strong references, NULL where absent. */
typedef struct ds_py_stamps {
    PyObject *start, *queue_start;
} ds_py_stamps;

/* Whether the text is the name, which is in capitals. */
bool ds_py_is_name_in_any_case(const char *text, const char *name, Py_ssize_t length);

/* A header that came twice is one list, as in environ: "A,B". 0; -1 with an exception that is none
 * of ours to swallow. */
int ds_py_stamps_join(PyObject **place, PyObject *value);

static inline int ds_py_stamps_keep(PyObject **place, PyObject *value) {
    if (DS_UNLIKELY(*place != NULL)) return ds_py_stamps_join(place, value);
    *place = Py_NewRef(value);
    return 0;
}

#endif
