/* The text of a header's value, whatever its type is. */
#ifndef DYNOSCALE_PYTHON_TEXT_H
#define DYNOSCALE_PYTHON_TEXT_H

#include "compat.h"

/* Borrowed from the object. If there is no value, data is NULL. */
typedef struct ds_py_text {
    const char *data;
    size_t length;
} ds_py_text;

DS_COLD ds_py_text ds_py_text_of_other(PyObject *value);

/*
 * NULL and None are no value. str and bytes are their text. Anything else becomes a text that is
 * not a time. Never raises, and calls no code of the object.
 */
static inline ds_py_text ds_py_text_of(PyObject *value) {
    if (value == NULL) return (ds_py_text){NULL, 0};
    if (DS_LIKELY(PyUnicode_CheckExact(value)) && DS_LIKELY(PyUnicode_IS_COMPACT_ASCII(value)))
        return (ds_py_text){(const char *)((PyASCIIObject *)value + 1),
                            (size_t)((PyASCIIObject *)value)->length};
    if (DS_LIKELY(PyBytes_CheckExact(value)))
        return (ds_py_text){PyBytes_AS_STRING(value), (size_t)PyBytes_GET_SIZE(value)};
    return ds_py_text_of_other(value);
}

#endif
