#include "calls.h"

#include "dynoscale.h"

int ds_py_swallow(void) {
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return -1;
    PyErr_Clear();
    return 0;
}

int ds_py_call_agent(const char *function, PyObject *settings) {
    PyObject *result = NULL, *nothing = PyTuple_New(0), *callable = NULL;
    PyObject *module = PyImport_ImportModule("dynoscale._agent");
    if (module != NULL) callable = PyObject_GetAttrString(module, function);
    if (callable != NULL && nothing != NULL) result = PyObject_Call(callable, nothing, settings);
    Py_XDECREF(callable);
    Py_XDECREF(module);
    Py_XDECREF(nothing);
    if (result == NULL) return ds_py_swallow();
    Py_DECREF(result);
    return 0;
}

PyObject *ds_py_call(const char *module, const char *function, PyObject *first, PyObject *second) {
    PyObject *result = NULL, *callable = NULL, *imported = PyImport_ImportModule(module);
    if (imported != NULL) callable = PyObject_GetAttrString(imported, function);
    if (callable != NULL)
        result = PyObject_CallFunctionObjArgs(callable, first, second, (PyObject *)NULL);
    Py_XDECREF(callable);
    Py_XDECREF(imported);
    return result;
}

int ds_py_find_slots(const char *function, PyObject *first, PyObject *second) {
    enum { MOST = 1000 * 1000 };
    PyObject *found = ds_py_call("dynoscale._servers", function, first, second);
    if (found == NULL && ds_py_swallow() < 0) return -1;
    long slots = found != NULL && PyLong_Check(found) ? PyLong_AsLong(found) : 0;
    PyErr_Clear(); /* too large for a long */
    Py_XDECREF(found);
    dynoscale_set_slots(slots > 0 && slots < MOST ? (int)slots : 0);
    return 0;
}

bool ds_py_is_interrupted(void *context) {
    PyThreadState **thread = context;
    PyEval_RestoreThread(*thread);
    bool raised = PyErr_CheckSignals() < 0;
    *thread = PyEval_SaveThread();
    return raised;
}
