/*
 * What the package is compared with: a WSGI wrapper that only calls the app, a hook that does
 * nothing, both made by the same means, and the floor of reference/floor.h.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <structmember.h>

#include "../instructions/collect.h"
#include "floor.h"

typedef struct passthrough {
    PyObject_HEAD vectorcallfunc vectorcall;
    PyObject *app;
} passthrough;

static PyObject *pass_on(PyObject *self, PyObject *const *args, size_t flags, PyObject *names) {
    return PyObject_Vectorcall(((passthrough *)self)->app, args, flags, names);
}

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *settings) {
    PyObject *app;
    (void)settings;
    if (!PyArg_ParseTuple(args, "O", &app)) return NULL;
    passthrough *self = (passthrough *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    self->vectorcall = pass_on;
    Py_INCREF(app);
    self->app = app;
    return (PyObject *)self;
}

static void end(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    Py_DECREF(((passthrough *)self)->app);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(passthrough, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, (void *)(uintptr_t)make},
    {Py_tp_dealloc, (void *)(uintptr_t)end},
    {Py_tp_call, (void *)(uintptr_t)PyVectorcall_Call},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "reference.Passthrough",
    .basicsize = sizeof(passthrough),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = slots,
};

static PyObject *empty_hook(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module, (void)args, (void)count;
    Py_RETURN_NONE;
}

static PyObject *floor_ns(PyObject *module, PyObject *calls) {
    (void)module;
    long n = PyLong_AsLong(calls);
    return PyErr_Occurred() ? NULL : PyFloat_FromDouble(bench_floor_ns(n));
}

static PyObject *clock_ns(PyObject *module, PyObject *calls) {
    (void)module;
    long n = PyLong_AsLong(calls);
    return PyErr_Occurred() ? NULL : PyFloat_FromDouble(bench_clock_ns(n));
}

static PyObject *ns_since(double start, long calls) {
    return PyFloat_FromDouble((bench_cpu_ns() - start) / (double)calls);
}

/* The cost of looking for the header in environ. */
static PyObject *lookups_ns(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *environ;
    long calls, found = 0;
    if (!PyArg_ParseTuple(args, "O!l", &PyDict_Type, &environ, &calls)) return NULL;
    PyObject *start = PyUnicode_InternFromString("HTTP_X_REQUEST_START");
    if (start == NULL) return NULL;
    double began = bench_cpu_ns();
    for (long i = 0; i < calls; i++) {
        found += PyDict_GetItemWithError(environ, start) != NULL;
        if (PyErr_Occurred() != NULL) return NULL;
    }
    PyObject *ns = ns_since(began, calls);
    Py_DECREF(start);
    if (found == calls) return ns;
    Py_XDECREF(ns);
    PyErr_SetString(PyExc_ValueError, "environ does not have the header");
    return NULL;
}

/* The number of pairs in a list whose first str has the length of the header's name. */
static long of_their_length(PyObject *headers) {
    long n = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(headers); i++) {
        PyObject *pair = PyList_GET_ITEM(headers, i);
        if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2) continue;
        PyObject *name = PyTuple_GET_ITEM(pair, 0);
        if (!PyUnicode_CheckExact(name)) continue;
        Py_ssize_t length = PyUnicode_GET_LENGTH(name);
        n += length == 15;
    }
    return n;
}

/* The cost of getting a request's headers and checking the length of each name. */
static PyObject *look_ns(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *request;
    long calls;
    volatile long found = 0;
    if (!PyArg_ParseTuple(args, "Ol", &request, &calls)) return NULL;
    PyObject *name = PyUnicode_InternFromString("headers");
    if (name == NULL) return NULL;
    double began = bench_cpu_ns();
    for (long i = 0; i < calls; i++) {
        PyObject *headers = PyObject_GetAttr(request, name);
        if (headers == NULL || !PyList_CheckExact(headers)) return NULL;
        found += of_their_length(headers);
        Py_DECREF(headers);
    }
    PyObject *ns = ns_since(began, calls);
    Py_DECREF(name);
    return ns;
}

static PyObject *thread_us(PyObject *module, PyObject *nothing) {
    (void)module, (void)nothing;
    return PyFloat_FromDouble(bench_thread_us());
}

static PyObject *post_once(PyObject *module, PyObject *url) {
    (void)module;
    const char *text = PyUnicode_AsUTF8(url);
    return text == NULL ? NULL : PyBool_FromLong(bench_post_once(text));
}

/* Between the two instructions are counted, under a name; see bench/instructions. */
static PyObject *begin_counting(PyObject *module, PyObject *nothing) {
    (void)module, (void)nothing;
    CALLGRIND_ZERO_STATS;
    CALLGRIND_TOGGLE_COLLECT;
    Py_RETURN_NONE;
}

static PyObject *end_counting(PyObject *module, PyObject *name) {
    (void)module;
    CALLGRIND_TOGGLE_COLLECT;
    const char *text = PyUnicode_AsUTF8(name);
    if (text == NULL) return NULL;
    CALLGRIND_DUMP_STATS_AT(text);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"begin", begin_counting, METH_NOARGS, NULL},
    {"end", end_counting, METH_O, NULL},
    {"empty_hook", (PyCFunction)(void (*)(void))empty_hook, METH_FASTCALL, NULL},
    {"floor_ns", floor_ns, METH_O, NULL},
    {"clock_ns", clock_ns, METH_O, NULL},
    {"lookups_ns", lookups_ns, METH_VARARGS, NULL},
    {"look_ns", look_ns, METH_VARARGS, NULL},
    {"thread_us", thread_us, METH_NOARGS, NULL},
    {"post_once", post_once, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static int execute(PyObject *module) {
    PyObject *type = PyType_FromSpec(&spec);
    if (type == NULL) return -1;
    int added = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return added;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, (void *)(uintptr_t)execute}, {0, NULL}};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "reference",
    .m_methods = functions,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit_reference(void) { return PyModuleDef_Init(&definition); }
