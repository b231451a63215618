#include "entry_points.h"

#include <string.h>

#include "calls.h"
#include "dynoscale.h"
#include "text.h"

int ds_py_entry_points_init(ds_py_entry_points *entry_points, PyObject *key_request_start,
                            PyObject *key_queue_start) {
    entry_points->key_request_start = key_request_start;
    entry_points->key_queue_start = key_queue_start;
    entry_points->mark_name = PyUnicode_InternFromString("_dynoscale_counted");
    entry_points->key_counted = PyUnicode_InternFromString("dynoscale.counted");
    entry_points->key_input = PyUnicode_InternFromString("wsgi.input");
    entry_points->key_asgi = PyUnicode_InternFromString("asgi");
    entry_points->key_content_length = PyUnicode_InternFromString("CONTENT_LENGTH");
    entry_points->key_chunked = PyUnicode_InternFromString("HTTP_TRANSFER_ENCODING");
    entry_points->inside = PyContextVar_New("dynoscale.inside", NULL);
    atomic_store(&entry_points->open, DS_PY_SERVER_UNKNOWN | DS_PY_MARKS);
    bool made = entry_points->mark_name != NULL && entry_points->key_counted != NULL &&
                entry_points->key_input != NULL && entry_points->key_asgi != NULL &&
                entry_points->key_content_length != NULL && entry_points->key_chunked != NULL &&
                entry_points->inside != NULL;
    return made ? 0 : -1;
}

int ds_py_entry_points_traverse(ds_py_entry_points *entry_points, visitproc visit, void *arg) {
    Py_VISIT(atomic_load(&entry_points->body_type));
    for (int i = 0; i < DS_PY_REMEMBERED; i++) Py_VISIT(atomic_load(&entry_points->remembered[i]));
    Py_VISIT(entry_points->inside);
    return 0;
}

void ds_py_entry_points_clear(ds_py_entry_points *entry_points) {
    Py_XDECREF(atomic_exchange(&entry_points->body_type, NULL));
    for (int i = 0; i < DS_PY_REMEMBERED; i++)
        Py_XDECREF(atomic_exchange(&entry_points->remembered[i], NULL));
    for (int i = 0; i < DS_PY_REMEMBERED; i++) Py_CLEAR(entry_points->last[i]);
    for (int i = 0; i < DS_PY_REMEMBERED; i++) Py_CLEAR(entry_points->last_input[i]);
    Py_CLEAR(entry_points->mark_name);
    Py_CLEAR(entry_points->key_counted);
    Py_CLEAR(entry_points->key_input);
    Py_CLEAR(entry_points->key_asgi);
    Py_CLEAR(entry_points->key_content_length);
    Py_CLEAR(entry_points->key_chunked);
    Py_CLEAR(entry_points->inside);
}

void ds_py_entry_points_open_wrapper(ds_py_entry_points *entry_points, int kind) {
    atomic_fetch_or(&entry_points->made, kind);
    atomic_fetch_add(&entry_points->open, 1);
}

void ds_py_entry_points_close_wrapper(ds_py_entry_points *entry_points) {
    atomic_fetch_sub(&entry_points->open, 1);
}

void ds_py_entry_points_set_shown(ds_py_entry_points *entry_points, long shown) {
    long open = atomic_load(&entry_points->open);
    while (!atomic_compare_exchange_weak(&entry_points->open, &open,
                                         (open & ~(long)DS_PY_SHOW) | shown)) {
    }
}

/* ---- The hook's marks ---------------------------------------------------------------------- */

/* Not a str of up to one character: the interpreter shares those, so that the same object says
 * nothing. */
static void remember(ds_py_entry_points *entry_points, PyObject *value) {
    if (!PyUnicode_Check(value) || PyUnicode_GET_LENGTH(value) < 2) return;
    unsigned place = atomic_fetch_add(&entry_points->next, 1) % DS_PY_REMEMBERED;
    Py_XDECREF(atomic_exchange(&entry_points->remembered[place], Py_NewRef(value)));
}

static int mark_body(ds_py_entry_points *entry_points, PyObject *body, int64_t queue_time_ms) {
    if (body == NULL || body == Py_None) return 0;
    PyObject *mark = PyLong_FromLongLong(queue_time_ms);
    int result = mark != NULL ? PyObject_SetAttr(body, entry_points->mark_name, mark) : -1;
    Py_XDECREF(mark);
    if (result < 0) return ds_py_swallow();
    if (atomic_load(&entry_points->body_type) == Py_TYPE(body)) return 0;
    PyObject *type = Py_NewRef((PyObject *)Py_TYPE(body));
    Py_XDECREF(atomic_exchange(&entry_points->body_type, (PyTypeObject *)type));
    return 0;
}

/* ---- The wrapper's side ------------------------------------------------------------------- */

/* Whether the hook remembered this very object. Removes it. */
static bool take_remembered(ds_py_entry_points *entry_points, PyObject *value) {
    for (int i = 0; i < DS_PY_REMEMBERED; i++) {
        PyObject *expected = value;
        if (!atomic_compare_exchange_strong(&entry_points->remembered[i], &expected, NULL))
            continue;
        Py_DECREF(value);
        return true;
    }
    return false;
}

/* Returns 1 if environ's value at `key` was remembered, 0 if not, -1 with an exception. */
static int take_remembered_at(ds_py_entry_points *entry_points, PyObject *environ, PyObject *key) {
    PyObject *value;
    if (PyDict_GetItemRef(environ, key, &value) < 0) return ds_py_swallow();
    bool taken = value != NULL && take_remembered(entry_points, value);
    Py_XDECREF(value);
    return taken;
}

static int take_value(ds_py_entry_points *entry_points, PyObject *environ) {
    int taken = take_remembered_at(entry_points, environ, entry_points->key_request_start);
    if (taken != 0) return taken;
    return take_remembered_at(entry_points, environ, entry_points->key_queue_start);
}

/* Removes the hook's mark from the body. Returns 1 if it had one, 0 if not, -1 with an
 * exception. */
static int take_mark(ds_py_entry_points *entry_points, PyObject *body, int64_t *queue_time_ms) {
    PyObject *mark = PyObject_GetAttr(body, entry_points->mark_name);
    if (mark == NULL) return ds_py_swallow();
    *queue_time_ms = PyLong_CheckExact(mark) ? PyLong_AsLongLong(mark) : DYNOSCALE_STAMP_OFF;
    if (PyErr_Occurred() != NULL) PyErr_Clear(); /* not the hook's: too large */
    Py_DECREF(mark);
    if (PyObject_SetAttr(body, entry_points->mark_name, NULL) < 0 && ds_py_swallow() < 0) return -1;
    return 1;
}

int ds_py_entry_points_counted_by_hook(ds_py_entry_points *entry_points, PyObject *environ,
                                       int64_t *queue_time_ms) {
    if (!atomic_load_explicit(&entry_points->hook_called, memory_order_relaxed)) return 0;
    PyObject *body;
    if (PyDict_GetItemRef(environ, entry_points->key_input, &body) < 0) return ds_py_swallow();
    if (body == NULL) return take_value(entry_points, environ);

    /* For a body of a type that can be marked, the mark alone decides. */
    bool takes_marks = Py_TYPE(body) == atomic_load(&entry_points->body_type);
    int marked = takes_marks ? take_mark(entry_points, body, queue_time_ms) : 0;
    Py_DECREF(body);
    if (marked < 0 || (takes_marks && marked == 0)) return marked;
    int remembered = take_value(entry_points, environ);
    return remembered != 0 ? remembered : marked;
}

/* Whether two values of a header are the same object or equal: a server with a list of headers may
 * make the value again. */
static bool is_same(PyObject *one, PyObject *other) {
    if (one == other) return true;
    bool comparable = (PyUnicode_CheckExact(one) && PyUnicode_CheckExact(other)) ||
                      (PyBytes_CheckExact(one) && PyBytes_CheckExact(other));
    return comparable && PyObject_RichCompareBool(one, other, Py_EQ) > 0;
}

/* Returns 1 or 0, or -1 with an exception that is not an Exception: propagate it. */
static int is_of_server(PyObject *request, PyObject *key) {
    PyObject *value;
    if (PyDict_GetItemRef(request, key, &value) < 0) return ds_py_swallow();
    bool given = value != NULL && value != Py_None;
    Py_XDECREF(value);
    return given;
}

ds_py_counted_by ds_py_entry_points_mark_again(ds_py_entry_points *entry_points,
                                               const void *wrapper, PyObject *request,
                                               PyObject *key_of_server, PyObject *stamp,
                                               PyObject *found, int there) {
    if (there < 0) return ds_py_swallow() < 0 ? DS_PY_COUNTED_RAISED : DS_PY_COUNTED_BY_NONE;
    bool same = is_same(found, stamp);
    Py_DECREF(found);
    if (same) {
        int of_server = is_of_server(request, key_of_server);
        if (of_server < 0) return DS_PY_COUNTED_RAISED;
        if (of_server || atomic_load(&entry_points->counted_last) != wrapper)
            return DS_PY_COUNTED_BY_WRAPPER;
    } else if (PyDict_SetItem(request, entry_points->key_counted, stamp) < 0 &&
               ds_py_swallow() < 0) {
        return DS_PY_COUNTED_RAISED;
    }
    atomic_store(&entry_points->counted_last, wrapper);
    return DS_PY_COUNTED_BY_NONE;
}

/* ---- Copies of environ --------------------------------------------------------------------- */

static bool refers_to(PyObject *reference, PyObject *object) {
    PyObject *found = NULL;
    if (reference != NULL && PyWeakref_GetRef(reference, &found) < 0) PyErr_Clear();
    Py_XDECREF(found);
    return found == object; /* only compared */
}

/* By a weak reference, since a server's input may hold its connection. */
static void remember_input(PyObject **place, PyObject *input) {
    PyObject *before = *place;
    *place = PyType_SUPPORTS_WEAKREFS(Py_TYPE(input)) ? PyWeakref_NewRef(input, NULL) : NULL;
    if (*place == NULL) PyErr_Clear(); /* no memory */
    Py_XDECREF(before);
}

ds_py_counted_by ds_py_entry_points_compare(ds_py_entry_points *entry_points, PyObject *environ,
                                            PyObject *stamp) {
    PyObject **place = ds_py_entry_points_place(entry_points, stamp), *input;
    if (place == NULL) return DS_PY_COUNTED_BY_NONE;
    if (PyDict_GetItemRef(environ, entry_points->key_input, &input) < 0)
        return ds_py_swallow() < 0 ? DS_PY_COUNTED_RAISED : DS_PY_COUNTED_BY_NONE;
    if (input == NULL) return DS_PY_COUNTED_BY_NONE;
    PyObject **known = &entry_points->last_input[place - entry_points->last];
    bool same = *place == stamp && refers_to(*known, input);
    if (!same) remember_input(known, input);
    Py_DECREF(input);
    return same ? DS_PY_COUNTED_BY_WRAPPER : DS_PY_COUNTED_BY_NONE;
}

/* ---- The last stamps ----------------------------------------------------------------------- */

ds_py_counted_by ds_py_entry_points_mark_old(ds_py_entry_points *entry_points, const void *wrapper,
                                             PyObject *environ, PyObject *stamp) {
    PyObject *key_of_server = entry_points->key_input;
    PyObject **place = ds_py_entry_points_place(entry_points, stamp);
    bool again = place != NULL && *place == stamp;
    ds_py_counted_by counted_by =
        ds_py_entry_points_mark(entry_points, wrapper, environ, key_of_server, stamp);
    if (!again) return counted_by;
    atomic_store(&entry_points->marked, DS_PY_MARKED); /* for good */
    atomic_fetch_or(&entry_points->open, DS_PY_MARKS);
    if (counted_by == DS_PY_COUNTED_BY_NONE)
        counted_by = ds_py_entry_points_compare(entry_points, environ, stamp);
    if (counted_by != DS_PY_COUNTED_BY_NONE) return counted_by;
    int of_server = is_of_server(environ, key_of_server);
    if (of_server < 0) return DS_PY_COUNTED_RAISED;
    return of_server ? DS_PY_COUNTED_BY_WRAPPER : DS_PY_COUNTED_BY_NONE;
}

void ds_py_entry_points_marked(ds_py_entry_points *entry_points, PyObject *stamp,
                               ds_py_counted_by counted_by) {
    if (counted_by == DS_PY_COUNTED_BY_WRAPPER) atomic_store(&entry_points->marked, DS_PY_MARKED);
    if (counted_by != DS_PY_COUNTED_BY_NONE) return;
    bool is_new = ds_py_entry_points_is_new(entry_points, stamp);
    if (atomic_load(&entry_points->marked) >= DS_PY_MARKED) return;
    if (!is_new && ds_py_entry_points_place(entry_points, stamp) != NULL)
        atomic_store(&entry_points->marked, DS_PY_MARKED); /* a program's, with one str for many */
    else if (atomic_fetch_add(&entry_points->marked, 1) + 1 == DS_PY_MARKED)
        ds_py_entry_points_mark_no_more(entry_points);
}

/* ---- From one kind of wrapper to the other ------------------------------------------------ */

static bool is_same_text(PyObject *one, PyObject *other) {
    ds_py_text a = ds_py_text_of(one), b = ds_py_text_of(other);
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/* `called`: (kind, thread, stamp, queue time) of the wrapper that was called last in this context.
 */
static bool is_around(PyObject *called, ds_py_kind kind, PyObject *stamp) {
    return PyLong_AsLong(PyTuple_GET_ITEM(called, 0)) != (long)kind &&
           PyLong_AsUnsignedLong(PyTuple_GET_ITEM(called, 1)) != PyThread_get_thread_ident() &&
           is_same_text(PyTuple_GET_ITEM(called, 2), stamp);
}

int ds_py_entry_points_is_inside(ds_py_entry_points *entry_points, ds_py_kind kind, PyObject *stamp,
                                 int64_t *queue_time_ms) {
    PyObject *called;
    if (PyContextVar_Get(entry_points->inside, NULL, &called) < 0) return ds_py_swallow();
    bool inside = called != NULL && is_around(called, kind, stamp);
    if (inside) *queue_time_ms = PyLong_AsLongLong(PyTuple_GET_ITEM(called, 3));
    Py_XDECREF(called);
    return inside;
}

static int set_context(ds_py_entry_points *entry_points, ds_py_kind kind, PyObject *stamp,
                       int64_t queue_time_ms) {
    PyObject *own = Py_BuildValue("(ikOL)", (int)kind, PyThread_get_thread_ident(),
                                  stamp != NULL ? stamp : Py_None, (long long)queue_time_ms);
    PyObject *token = own != NULL ? PyContextVar_Set(entry_points->inside, own) : NULL;
    Py_XDECREF(own);
    if (token == NULL) return ds_py_swallow();
    Py_DECREF(token);
    return 0;
}

int ds_py_entry_points_enter_context(ds_py_entry_points *entry_points, ds_py_kind kind,
                                     PyObject *stamp, int64_t queue_time_ms) {
    if ((atomic_load(&entry_points->made) & ds_py_entry_points_other(kind)) == 0) return 0;
    return set_context(entry_points, kind, stamp, queue_time_ms);
}

int ds_py_entry_points_hooked_in_context(ds_py_entry_points *entry_points, PyObject *stamp,
                                         int64_t *queue_time_ms) {
    PyObject *called;
    if (!atomic_load_explicit(&entry_points->hook_called, memory_order_relaxed)) return 0;
    if (PyContextVar_Get(entry_points->inside, NULL, &called) < 0) return ds_py_swallow();
    bool hooked = called != NULL && PyLong_AsLong(PyTuple_GET_ITEM(called, 0)) == DS_PY_KIND_HOOK &&
                  is_same_text(PyTuple_GET_ITEM(called, 2), stamp);
    if (hooked) *queue_time_ms = PyLong_AsLongLong(PyTuple_GET_ITEM(called, 3));
    Py_XDECREF(called);
    return hooked;
}

/* ---- The hook's side ---------------------------------------------------------------------- */

int ds_py_entry_points_mark_by_hook(ds_py_entry_points *entry_points, PyObject *body,
                                    PyObject *value, int64_t queue_time_ms) {
    if (value != NULL) remember(entry_points, value);
    if ((atomic_load(&entry_points->made) & DS_PY_KIND_ASGI) != 0 &&
        set_context(entry_points, DS_PY_KIND_HOOK, value, queue_time_ms) < 0)
        return -1;
    return mark_body(entry_points, body, queue_time_ms);
}
