/*
 * gunicorn's pre_request(worker, req): req.headers is a list of (NAME, value) pairs of str. Only
 * the service gets the queue time: gunicorn makes environ later.
 */
#include "state.h"

#include <string.h>

#include "parts.h"
#include "stamps.h"

/* `name` is compact ASCII and as long as the wanted one. */
static inline int take(PyObject *name, PyObject *value, const ds_py_header *wanted,
                       PyObject **found) {
    const char *text = (const char *)((PyASCIIObject *)name + 1);
    bool same = memcmp(text, wanted->capitals, (size_t)wanted->length) == 0;
    return same || ds_py_is_name(text, wanted) ? ds_py_stamps_keep(found, value) : 0;
}

DS_COLD static int look_closer(PyObject *header, const ds_py_header *wanted, PyObject **found) {
    if (!PyTuple_Check(header) || PyTuple_GET_SIZE(header) != 2) return 0;
    PyObject *name = PyTuple_GET_ITEM(header, 0);
    if (!PyUnicode_Check(name) || !PyUnicode_IS_COMPACT_ASCII(name)) return 0;
    if (((PyASCIIObject *)name)->length != wanted->length) return 0;
    return take(name, PyTuple_GET_ITEM(header, 1), wanted, found);
}

/* Nearly all are plain pairs with other names. Comparing types, not their flags, saves a load for
 * each header. */
static inline int look_at(PyObject *header, const ds_py_header *wanted, PyObject **found) {
    if (DS_UNLIKELY(!PyTuple_CheckExact(header)) || DS_UNLIKELY(PyTuple_GET_SIZE(header) != 2))
        return look_closer(header, wanted, found);
    PyObject *name = PyTuple_GET_ITEM(header, 0);
    if (DS_UNLIKELY(!PyUnicode_CheckExact(name))) return look_closer(header, wanted, found);
    if (DS_LIKELY(((PyASCIIObject *)name)->length != wanted->length)) return 0;
    if (DS_UNLIKELY(!PyUnicode_IS_COMPACT_ASCII(name))) return 0;
    const char *text = (const char *)((PyASCIIObject *)name + 1);
    if (!ds_py_ends_like(text, wanted)) return 0;
    return take(name, PyTuple_GET_ITEM(header, 1), wanted, found);
}

static int scan(PyObject *headers, const ds_py_header *wanted, PyObject **found) {
    bool listed = PyList_Check(headers) || PyTuple_Check(headers);
    return DS_LIKELY(listed) ? ds_py_stamps_scan(headers, look_at, wanted, found) : 0;
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

/* As PyObject_GetAttr, which checks first that the name is a str. */
static inline PyObject *get_attribute(PyObject *object, PyObject *name) {
    getattrofunc get = Py_TYPE(object)->tp_getattro;
    return DS_LIKELY(get != NULL) ? get(object, name) : PyObject_GetAttr(object, name);
}

__attribute__((always_inline)) static inline int record(ds_py_state *state, PyObject *request,
                                                        int64_t *entered_ns) {
    PyObject *stamp = NULL, *headers = get_attribute(request, state->name_headers);
    if (DS_UNLIKELY(headers == NULL) && ds_py_swallow() < 0) return -1;
    int result = DS_LIKELY(headers != NULL) ? scan(headers, &ds_py_request_start, &stamp) : 0;
    int64_t queue_time_ms = DYNOSCALE_STAMP_OFF;
    if (DS_LIKELY(result == 0))
        result = ds_py_record_start(state, stamp, entered_ns, &queue_time_ms);
    if (DS_LIKELY(result == 0) && DS_UNLIKELY(queue_time_ms < 0))
        result = record_by_both(state, headers, &stamp, &queue_time_ms);
    if (result == 0 && DS_UNLIKELY(ds_py_entry_points_need_slow_path(&state->entry_points)))
        result = mark(state, request, stamp, queue_time_ms);
    Py_XDECREF(stamp);
    Py_XDECREF(headers);
    return result;
}

/* Parses a call with keywords. Returns the request, borrowed, or NULL with a TypeError. */
DS_COLD static PyObject *parse(const char *function, Py_ssize_t most, PyObject *const *args,
                               Py_ssize_t count, PyObject *names) {
    PyObject *worker = count > 0 ? args[0] : NULL, *request = count > 1 ? args[1] : NULL;
    Py_ssize_t named = names != NULL ? PyTuple_GET_SIZE(names) : 0;
    for (Py_ssize_t i = 0; i < named; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i), *value = args[count + i];
        if (PyUnicode_CompareWithASCIIString(name, "worker") == 0 && worker == NULL) worker = value;
        else if (PyUnicode_CompareWithASCIIString(name, "req") == 0 && request == NULL)
            request = value;
    }
    if (worker != NULL && request != NULL && count + named <= most) return request;
    PyErr_Format(PyExc_TypeError, "%s takes %s arguments: worker and req", function,
                 most == 2 ? "2" : "2 to 4");
    return NULL;
}

/* ---- From pre_request to post_request ------------------------------------------------------- */

enum { NEIGHBOURS = 4 };

static size_t place_of(const PyObject *request, size_t i) {
    uintptr_t address = (uintptr_t)request;
    return ((address >> 4 ^ address >> 11) + i) % DS_PY_INSIDE;
}

/* Takes a place that is free. One that has the request already is left from a fork, or from a
 * request that never left. */
static inline bool take_place(_Atomic(const void *) *place, const PyObject *request) {
    const void *there = NULL;
#ifdef Py_GIL_DISABLED
    return atomic_compare_exchange_strong(place, &there, request) || there == request;
#else
    there = atomic_load_explicit(place, memory_order_relaxed); /* others wait for the lock */
    if (there != NULL && there != request) return false;
    atomic_store_explicit(place, request, memory_order_relaxed);
    return true;
#endif
}

static bool remember(ds_py_inside *inside, const PyObject *request, int64_t entered_ns) {
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        size_t place = place_of(request, i);
        if (!take_place(&inside->requests[place], request)) continue;
        inside->entered_ns[place] = entered_ns;
        return true;
    }
    return false;
}

/* When the request entered, and it is forgotten; -1 where it has no place. */
static int64_t take_out(ds_py_inside *inside, const PyObject *request) {
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        size_t place = place_of(request, i);
        if (atomic_load_explicit(&inside->requests[place], memory_order_relaxed) != request)
            continue;
        int64_t entered_ns = inside->entered_ns[place];
        /* release: pairs with the exchange in `take_place`; the place is the next one's. */
        atomic_store_explicit(&inside->requests[place], NULL, memory_order_release);
        return entered_ns;
    }
    return -1;
}

/* Keeps the moment for post_request. -1 with an exception that is not an Exception: propagate it.
 */
static int keep(ds_py_state *state, PyObject *request, int64_t entered_ns) {
    if (entered_ns < 0 || DS_LIKELY(remember(&state->inside, request, entered_ns))) return 0;
    atomic_fetch_add(&state->inside.with_attribute, 1);
    PyObject *entered = PyLong_FromLongLong(entered_ns);
    int result = entered != NULL ? PyObject_SetAttr(request, state->name_entered, entered) : -1;
    Py_XDECREF(entered);
    if (result == 0) return 0;
    ds_py_slot_request_leaves(&state->slot, entered_ns);
    return ds_py_swallow();
}

/* Where the service asks something of requests. Enters only where post_request is known to be
 * called. */
__attribute__((noinline)) DS_FLAT static int record_asked(ds_py_state *state, PyObject *worker,
                                                          PyObject *request, int asked) {
    int64_t entered_ns = -1;
    if (DS_UNLIKELY((asked & DYNOSCALE_ASKED_SLOTS) != 0) &&
        ds_py_find_slots("find_slots_of_worker", worker, NULL) < 0)
        return -1;
    if ((asked & DYNOSCALE_ASKED_BUSY) == 0 || !ds_py_entry_points_hook_times(&state->entry_points))
        return record(state, request, NULL);
    if (DS_LIKELY(record(state, request, &entered_ns) == 0))
        return keep(state, request, entered_ns);
    ds_py_slot_request_leaves(&state->slot, entered_ns);
    return -1;
}

PyDoc_STRVAR(pre_request_doc,
             "pre_request($module, worker, req)\n--\n\n"
             "Measures the request that gunicorn is about to pass to the app.\n\n"
             "Put it in gunicorn.conf.py, or call it from a pre_request of your own.");

DS_FLAT static PyObject *pre_request(PyObject *module, PyObject *const *args, Py_ssize_t count,
                                     PyObject *names) {
    PyObject *request;
    if (DS_LIKELY(count == 2 && names == NULL)) request = args[1];
    else if ((request = parse("pre_request", 2, args, count, names)) == NULL) return NULL;
    ds_py_state *state = ds_py_state_of(module);
    if (ds_py_need_agent(state) < 0) return NULL;
    if (ds_py_slot_on(&state->slot)) {
        ds_py_entry_points_open_hook(&state->entry_points);
        int asked = dynoscale_asked_of_requests();
        PyObject *worker = count > 0 ? args[0] : Py_None;
        int result = DS_UNLIKELY(asked != 0) ? record_asked(state, worker, request, asked)
                                             : record(state, request, NULL);
        if (DS_UNLIKELY(result < 0)) return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(post_request_doc, "post_request($module, worker, req, environ=None, resp=None)\n--\n\n"
                               "The request that pre_request measured has been answered.");

/* Of a request that found no place. -1 with an exception that is not an Exception: propagate it. */
DS_COLD static int leave_by_attribute(ds_py_state *state, PyObject *request) {
    PyObject *entered = PyObject_GetAttr(request, state->name_entered);
    if (entered == NULL) return ds_py_swallow();
    long long entered_ns = PyLong_AsLongLong(entered);
    Py_DECREF(entered);
    if (entered_ns == -1 && PyErr_Occurred() != NULL) return ds_py_swallow();
    atomic_fetch_sub(&state->inside.with_attribute, 1);
    ds_py_slot_request_leaves(&state->slot, entered_ns);
    return 0;
}

/* From the first call on it is known that gunicorn calls it: only then pre_request enters. */
static PyObject *post_request(PyObject *module, PyObject *const *args, Py_ssize_t count,
                              PyObject *names) {
    PyObject *request;
    if (DS_LIKELY(count >= 2 && count <= 4 && names == NULL)) request = args[1];
    else if ((request = parse("post_request", 4, args, count, names)) == NULL) return NULL;
    ds_py_state *state = ds_py_state_of(module);
    atomic_store_explicit(&state->entry_points.hook_times, true, memory_order_relaxed);
    int64_t entered_ns = take_out(&state->inside, request);
    if (DS_LIKELY(entered_ns >= 0)) ds_py_slot_request_leaves(&state->slot, entered_ns);
    else if (DS_UNLIKELY(atomic_load(&state->inside.with_attribute) > 0) &&
             leave_by_attribute(state, request) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"pre_request", DS_METHOD(pre_request), METH_FASTCALL | METH_KEYWORDS, pre_request_doc},
    {"post_request", DS_METHOD(post_request), METH_FASTCALL | METH_KEYWORDS, post_request_doc},
    {NULL, NULL, 0, NULL},
};

int ds_py_add_gunicorn_hook(PyObject *module) { return PyModule_AddFunctions(module, functions); }
