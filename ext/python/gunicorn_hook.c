/*
 * gunicorn's pre_request(worker, req): req.headers is a list of (NAME, value) pairs of str. Only
 * the service gets the queue time: gunicorn makes environ later.
 */
#include "state.h"

#include <string.h>

#include "parts.h"
#include "stamps.h"

static int look_closer(PyObject *header, const ds_py_header *wanted, PyObject **found) {
    if (!PyTuple_Check(header) || PyTuple_GET_SIZE(header) != 2) return 0;
    PyObject *name = PyTuple_GET_ITEM(header, 0);
    if (!PyUnicode_Check(name) || !PyUnicode_IS_COMPACT_ASCII(name)) return 0;
    Py_ssize_t length = ((PyASCIIObject *)name)->length;
    if (length != wanted->length) return 0;
    const char *text = (const char *)((PyASCIIObject *)name + 1);
    bool same = memcmp(text, wanted->capitals, (size_t)length) == 0;
    if (!same && !ds_py_is_name(text, wanted)) return 0;
    return ds_py_stamps_keep(found, PyTuple_GET_ITEM(header, 1));
}

/* Skips plain pairs whose names have another length: nearly all. Comparing types, not their flags,
 * saves a load for each header. */
static inline int look_at(PyObject *header, const ds_py_header *wanted, PyObject **found) {
    if (DS_LIKELY(PyTuple_CheckExact(header)) && DS_LIKELY(PyTuple_GET_SIZE(header) == 2)) {
        PyObject *name = PyTuple_GET_ITEM(header, 0);
        if (DS_LIKELY(PyUnicode_CheckExact(name)) &&
            DS_LIKELY(((PyASCIIObject *)name)->length != wanted->length))
            return 0;
    }
    return look_closer(header, wanted, found);
}

/* No Python code runs here, so with the interpreter's lock the list can't change. */
static int scan(PyObject *headers, const ds_py_header *wanted, PyObject **found) {
    if (PyList_Check(headers)) {
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(headers); i++) {
#ifdef Py_GIL_DISABLED
            PyObject *header = PyList_GetItemRef(headers, i);
            if (header == NULL) return ds_py_swallow();
            int result = look_at(header, wanted, found);
            Py_DECREF(header);
            if (result < 0) return -1;
#else
            if (DS_UNLIKELY(look_at(PyList_GET_ITEM(headers, i), wanted, found) < 0)) return -1;
#endif
        }
    } else if (PyTuple_Check(headers)) {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(headers); i++)
            if (look_at(PyTuple_GET_ITEM(headers, i), wanted, found) < 0) return -1;
    }
    return 0;
}

/* `stamp` is the value of the header that counted, or NULL. */
DS_COLD static int mark(ds_py_state *state, PyObject *request, PyObject *stamp,
                        int64_t queue_time_ms) {
    if (!ds_py_entry_points_several(&state->entry_points)) return 0;
    PyObject *body = PyObject_GetAttr(request, state->name_body);
    if (body == NULL && ds_py_swallow() < 0) return -1;
    int result = ds_py_entry_points_mark_by_hook(&state->entry_points, body, stamp, queue_time_ms);
    Py_XDECREF(body);
    return result;
}

/* Sets *stamp to the one of the two headers that is present. */
DS_COLD static int record_by_both(ds_py_state *state, PyObject *headers, PyObject **stamp,
                                  int64_t *queue_time_ms) {
    PyObject *queue_start = NULL;
    int result = headers != NULL ? scan(headers, &ds_py_queue_start, &queue_start) : 0;
    if (result == 0) ds_py_record(state, *stamp, queue_start, queue_time_ms);
    if (*stamp == NULL) *stamp = queue_start;
    else Py_XDECREF(queue_start);
    return result;
}

static int record(ds_py_state *state, PyObject *request) {
    PyObject *stamp = NULL, *headers = PyObject_GetAttr(request, state->name_headers);
    if (DS_UNLIKELY(headers == NULL) && ds_py_swallow() < 0) return -1;
    int result = DS_LIKELY(headers != NULL) ? scan(headers, &ds_py_request_start, &stamp) : 0;
    int64_t queue_time_ms = DYNOSCALE_STAMP_OFF;
    if (DS_LIKELY(result == 0)) result = ds_py_record_start(state, stamp, &queue_time_ms);
    if (DS_LIKELY(result == 0) && DS_UNLIKELY(queue_time_ms < 0))
        result = record_by_both(state, headers, &stamp, &queue_time_ms);
    if (result == 0 && DS_UNLIKELY(ds_py_entry_points_need_slow_path(&state->entry_points)))
        result = mark(state, request, stamp, queue_time_ms);
    Py_XDECREF(stamp);
    Py_XDECREF(headers);
    return result;
}

/* Parses pre_request(worker=..., req=...). Returns the request, borrowed, or NULL with a
 * TypeError. */
DS_COLD static PyObject *parse(PyObject *const *args, Py_ssize_t count, PyObject *names) {
    PyObject *worker = count > 0 ? args[0] : NULL, *request = count > 1 ? args[1] : NULL;
    Py_ssize_t named = names != NULL ? PyTuple_GET_SIZE(names) : 0;
    for (Py_ssize_t i = 0; i < named; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i), *value = args[count + i];
        if (PyUnicode_CompareWithASCIIString(name, "worker") == 0 && worker == NULL) worker = value;
        else if (PyUnicode_CompareWithASCIIString(name, "req") == 0 && request == NULL)
            request = value;
    }
    if (worker != NULL && request != NULL && count + named == 2) return request;
    PyErr_SetString(PyExc_TypeError, "pre_request takes 2 arguments: worker and req");
    return NULL;
}

/* Asks gunicorn's worker how many requests it runs at once. -1 with an exception that is not an
 * Exception: propagate it. */
DS_COLD static int find_slots(PyObject *worker) {
    PyObject *found = ds_py_call("dynoscale._slots", "find_of_worker", worker, NULL);
    Py_XDECREF(found);
    return found == NULL ? ds_py_swallow() : 0;
}

/* Stores the time on the request for post_request. */
DS_COLD static int enter(ds_py_state *state, PyObject *request) {
    if (!ds_py_entry_points_hook_times(&state->entry_points)) return 0;
    int64_t entered_ns = ds_py_slot_request_enters(&state->slot);
    PyObject *entered = PyLong_FromLongLong(entered_ns);
    int result = entered != NULL ? PyObject_SetAttr(request, state->name_entered, entered) : -1;
    Py_XDECREF(entered);
    if (result == 0) return 0;
    ds_py_slot_request_leaves(&state->slot, entered_ns);
    return ds_py_swallow();
}

PyDoc_STRVAR(pre_request_doc,
             "pre_request($module, worker, req)\n--\n\n"
             "Measures the request that gunicorn is about to pass to the app.\n\n"
             "Put it in gunicorn.conf.py, or call it from a pre_request of your own.");

DS_FLAT static PyObject *pre_request(PyObject *module, PyObject *const *args, Py_ssize_t count,
                                     PyObject *names) {
    PyObject *request;
    if (DS_LIKELY(count == 2 && names == NULL)) request = args[1];
    else if ((request = parse(args, count, names)) == NULL) return NULL;
    ds_py_state *state = ds_py_state_of(module);
    if (ds_py_need_agent(state) < 0) return NULL;
    if (ds_py_slot_on(&state->slot)) {
        bool first = !atomic_load_explicit(&state->entry_points.hook_called, memory_order_relaxed);
        if (DS_UNLIKELY(first) && find_slots(count > 0 ? args[0] : Py_None) < 0) return NULL;
        ds_py_entry_points_open_hook(&state->entry_points);
        if (DS_UNLIKELY(record(state, request) < 0)) return NULL;
        if (DS_UNLIKELY(dynoscale_busy_asked()) && enter(state, request) < 0) return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(post_request_doc, "post_request($module, req, /)\n--\n\n"
                               "The request of a pre_request has left the app.");

/* The first call shows that gunicorn calls it: only then pre_request enters. */
static PyObject *post_request(PyObject *module, PyObject *request) {
    ds_py_state *state = ds_py_state_of(module);
    atomic_store_explicit(&state->entry_points.hook_times, true, memory_order_relaxed);
    PyObject *entered = PyObject_GetAttr(request, state->name_entered);
    if (entered == NULL) {
        if (ds_py_swallow() < 0) return NULL;
        Py_RETURN_NONE;
    }
    long long entered_ns = PyLong_AsLongLong(entered);
    Py_DECREF(entered);
    if (entered_ns == -1 && PyErr_Occurred() != NULL && ds_py_swallow() < 0) return NULL;
    ds_py_slot_request_leaves(&state->slot, entered_ns);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"pre_request", DS_METHOD(pre_request), METH_FASTCALL | METH_KEYWORDS, pre_request_doc},
    {"post_request", post_request, METH_O, post_request_doc},
    {NULL, NULL, 0, NULL},
};

int ds_py_add_gunicorn_hook(PyObject *module) { return PyModule_AddFunctions(module, functions); }
