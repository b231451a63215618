/*
 * Python.h, and functions of newer versions for Python 3.9 to 3.12, each as in the newest version.
 */
#ifndef DYNOSCALE_PYTHON_COMPAT_H
#define DYNOSCALE_PYTHON_COMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stddef.h>
#include <structmember.h>

#if defined(__GNUC__) || defined(__clang__)
#define DS_LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define DS_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define DS_COLD                __attribute__((cold, noinline))
/* The request path: inlines everything that is called, the core's part too. Saves a tenth of its
 * instructions. */
#define DS_FLAT __attribute__((flatten))
#else
#define DS_LIKELY(condition)   (condition)
#define DS_UNLIKELY(condition) (condition)
#define DS_COLD
#define DS_FLAT
#endif

/* A function pointer for a slot. ISO C has no conversion from function pointers to void *. */
#define DS_SLOT(function) ((void *)(uintptr_t)(function))

/* A function whose flags say that its signature is not PyCFunction's. The cast to void (*)(void)
 * between keeps compilers from warning. */
#define DS_METHOD(function) ((PyCFunction)(void (*)(void))(function))

#if PY_VERSION_HEX < 0x030A0000
#define Py_TPFLAGS_IMMUTABLETYPE 0

static inline PyObject *Py_NewRef(PyObject *object) {
    Py_INCREF(object);
    return object;
}

static inline PyObject *Py_XNewRef(PyObject *object) {
    Py_XINCREF(object);
    return object;
}
#endif

#if PY_VERSION_HEX < 0x030D0000
/* Returns 1 and a new reference, 0 and NULL if there is none, -1 and NULL with an exception. */
static inline int PyDict_GetItemRef(PyObject *dict, PyObject *key, PyObject **value) {
    PyObject *found = PyDict_GetItemWithError(dict, key);
    if (found != NULL) {
        *value = Py_NewRef(found);
        return 1;
    }
    *value = NULL;
    return PyErr_Occurred() != NULL ? -1 : 0;
}

/* Puts `standard` at the key if nothing is there; *value is a new reference to what is there then.
 * Returns 1 if there was a value before, 0 if not, -1 and NULL with an exception. */
static inline int PyDict_SetDefaultRef(PyObject *dict, PyObject *key, PyObject *standard,
                                       PyObject **value) {
    Py_ssize_t before = PyDict_GET_SIZE(dict);
    *value = Py_XNewRef(PyDict_SetDefault(dict, key, standard));
    if (*value == NULL) return -1;
    return PyDict_GET_SIZE(dict) == before;
}

/* Returns 1 and a new reference, 0 and NULL if the object is gone, -1 and NULL with an exception.
 */
static inline int PyWeakref_GetRef(PyObject *reference, PyObject **object) {
    PyObject *found = PyWeakref_GetObject(reference);
    *object = found != NULL && found != Py_None ? Py_NewRef(found) : NULL;
    return found != NULL ? *object != NULL : -1;
}

static inline PyObject *PyList_GetItemRef(PyObject *list, Py_ssize_t index) {
    return Py_XNewRef(PyList_GetItem(list, index));
}
#endif

#endif
