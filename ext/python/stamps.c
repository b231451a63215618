#include "stamps.h"

#include <string.h>

bool ds_py_is_name(const char *text, const ds_py_header *header) {
    for (Py_ssize_t i = 0; i < header->length; i++)
        if (text[i] != header->capitals[i] && text[i] != header->lower[i]) return false;
    return true;
}

static PyObject *join_bytes(PyObject *one, PyObject *other) {
    size_t length = (size_t)PyBytes_GET_SIZE(one), more = (size_t)PyBytes_GET_SIZE(other);
    PyObject *joined = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(length + 1 + more));
    if (joined == NULL) return NULL;
    char *text = PyBytes_AS_STRING(joined);
    memcpy(text, PyBytes_AS_STRING(one), length);
    text[length] = ',';
    memcpy(text + length + 1, PyBytes_AS_STRING(other), more);
    return joined;
}

/* Of values of other types than str and bytes the first is kept. */
DS_COLD int ds_py_stamps_join(PyObject **place, PyObject *value) {
    PyObject *joined;
    if (PyUnicode_Check(*place) && PyUnicode_Check(value))
        joined = PyUnicode_FromFormat("%U,%U", *place, value);
    else if (PyBytes_Check(*place) && PyBytes_Check(value)) joined = join_bytes(*place, value);
    else return 0;
    if (joined == NULL) return ds_py_swallow();
    Py_DECREF(*place);
    *place = joined;
    return 0;
}
