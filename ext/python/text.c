#include "text.h"

static const ds_py_text NO_TIME = {"?", 1};

static ds_py_text of_str(PyObject *value) {
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(value) < 0) {
        PyErr_Clear();
        return NO_TIME;
    }
#endif
    /* WSGI strings hold the request's bytes as Latin-1: used without a copy. */
    if (PyUnicode_KIND(value) == PyUnicode_1BYTE_KIND)
        return (ds_py_text){(const char *)PyUnicode_1BYTE_DATA(value),
                            (size_t)PyUnicode_GET_LENGTH(value)};
    Py_ssize_t length;
    const char *data = PyUnicode_AsUTF8AndSize(value, &length);
    if (data != NULL) return (ds_py_text){data, (size_t)length};
    PyErr_Clear(); /* a lone surrogate, or no memory */
    return NO_TIME;
}

ds_py_text ds_py_text_of_other(PyObject *value) {
    if (value == Py_None) return (ds_py_text){NULL, 0};
    if (PyUnicode_Check(value)) return of_str(value);
    if (PyBytes_Check(value))
        return (ds_py_text){PyBytes_AS_STRING(value), (size_t)PyBytes_GET_SIZE(value)};
    return NO_TIME;
}
