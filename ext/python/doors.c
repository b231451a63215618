#include "doors.h"

#include "calls.h"
#include "dynoscale.h"

int ds_py_doors_init(ds_py_doors *doors, PyObject *key_request_start, PyObject *key_queue_start) {
    doors->key_request_start = key_request_start;
    doors->key_queue_start = key_queue_start;
    doors->mark_name = PyUnicode_InternFromString("_dynoscale_counted");
    doors->key_counted = PyUnicode_InternFromString("dynoscale.counted");
    doors->key_input = PyUnicode_InternFromString("wsgi.input");
    doors->key_asgi = PyUnicode_InternFromString("asgi");
    doors->key_content_length = PyUnicode_InternFromString("CONTENT_LENGTH");
    doors->key_chunked = PyUnicode_InternFromString("HTTP_TRANSFER_ENCODING");
    atomic_store(&doors->open, DS_PY_SERVER_UNKNOWN);
    bool made = doors->mark_name != NULL && doors->key_counted != NULL &&
                doors->key_input != NULL && doors->key_asgi != NULL &&
                doors->key_content_length != NULL && doors->key_chunked != NULL;
    return made ? 0 : -1;
}

int ds_py_doors_traverse(ds_py_doors *doors, visitproc visit, void *arg) {
    Py_VISIT(atomic_load(&doors->body_type));
    for (int i = 0; i < DS_PY_REMEMBERED; i++) Py_VISIT(atomic_load(&doors->remembered[i]));
    return 0;
}

void ds_py_doors_clear(ds_py_doors *doors) {
    Py_XDECREF(atomic_exchange(&doors->body_type, NULL));
    for (int i = 0; i < DS_PY_REMEMBERED; i++)
        Py_XDECREF(atomic_exchange(&doors->remembered[i], NULL));
    Py_CLEAR(doors->mark_name);
    Py_CLEAR(doors->key_counted);
    Py_CLEAR(doors->key_input);
    Py_CLEAR(doors->key_asgi);
    Py_CLEAR(doors->key_content_length);
    Py_CLEAR(doors->key_chunked);
}

void ds_py_doors_open_wrapper(ds_py_doors *doors) { atomic_fetch_add(&doors->open, 1); }

void ds_py_doors_close_wrapper(ds_py_doors *doors) { atomic_fetch_sub(&doors->open, 1); }

void ds_py_doors_tell(ds_py_doors *doors, long told) {
    long open = atomic_load(&doors->open);
    while (!atomic_compare_exchange_weak(&doors->open, &open, (open & ~(long)DS_PY_TOLD) | told)) {
    }
}

/* ---- The hook's side ---------------------------------------------------------------------- */

/* Not a str of one character or none: the interpreter has one of each for everybody, so that to
 * meet it again says nothing. */
static void remember(ds_py_doors *doors, PyObject *value) {
    if (!PyUnicode_Check(value) || PyUnicode_GET_LENGTH(value) < 2) return;
    unsigned place = atomic_fetch_add(&doors->next, 1) % DS_PY_REMEMBERED;
    Py_XDECREF(atomic_exchange(&doors->remembered[place], Py_NewRef(value)));
}

static int mark_body(ds_py_doors *doors, PyObject *body, int64_t queue_time_ms) {
    if (body == NULL || body == Py_None) return 0;
    PyObject *mark = PyLong_FromLongLong(queue_time_ms);
    int result = mark != NULL ? PyObject_SetAttr(body, doors->mark_name, mark) : -1;
    Py_XDECREF(mark);
    if (result < 0) return ds_py_swallow();
    if (atomic_load(&doors->body_type) == Py_TYPE(body)) return 0;
    PyObject *type = Py_NewRef((PyObject *)Py_TYPE(body));
    Py_XDECREF(atomic_exchange(&doors->body_type, (PyTypeObject *)type));
    return 0;
}

int ds_py_doors_mark_request(ds_py_doors *doors, PyObject *body, PyObject *value,
                             int64_t queue_time_ms) {
    if (value != NULL) remember(doors, value);
    return mark_body(doors, body, queue_time_ms);
}

/* ---- The wrapper's side ------------------------------------------------------------------- */

/* Whether the hook remembered this very object; forgets it. */
static bool take_remembered(ds_py_doors *doors, PyObject *value) {
    for (int i = 0; i < DS_PY_REMEMBERED; i++) {
        PyObject *expected = value;
        if (!atomic_compare_exchange_strong(&doors->remembered[i], &expected, NULL)) continue;
        Py_DECREF(value);
        return true;
    }
    return false;
}

/* 1 when environ's value at `key` was remembered, 0 when not, -1 with an exception. */
static int take_remembered_at(ds_py_doors *doors, PyObject *environ, PyObject *key) {
    PyObject *value;
    if (PyDict_GetItemRef(environ, key, &value) < 0) return ds_py_swallow();
    bool taken = value != NULL && take_remembered(doors, value);
    Py_XDECREF(value);
    return taken;
}

static int take_value(ds_py_doors *doors, PyObject *environ) {
    int taken = take_remembered_at(doors, environ, doors->key_request_start);
    if (taken != 0) return taken;
    return take_remembered_at(doors, environ, doors->key_queue_start);
}

/* 1 when the body carries the hook's mark, which is taken off; 0 when not; -1 with an exception. */
static int take_mark(ds_py_doors *doors, PyObject *body, int64_t *queue_time_ms) {
    PyObject *mark = PyObject_GetAttr(body, doors->mark_name);
    if (mark == NULL) return ds_py_swallow();
    *queue_time_ms = PyLong_CheckExact(mark) ? PyLong_AsLongLong(mark) : DYNOSCALE_STAMP_OFF;
    if (PyErr_Occurred() != NULL) PyErr_Clear(); /* not the hook's: too large */
    Py_DECREF(mark);
    if (PyObject_SetAttr(body, doors->mark_name, NULL) < 0 && ds_py_swallow() < 0) return -1;
    return 1;
}

int ds_py_doors_hooked(ds_py_doors *doors, PyObject *environ, int64_t *queue_time_ms) {
    if (!atomic_load_explicit(&doors->hook_called, memory_order_relaxed)) return 0;
    PyObject *body;
    if (PyDict_GetItemRef(environ, doors->key_input, &body) < 0) return ds_py_swallow();
    if (body == NULL) return take_value(doors, environ);

    /* A body of the type that takes marks answers for itself. */
    bool takes_marks = Py_TYPE(body) == atomic_load(&doors->body_type);
    int marked = takes_marks ? take_mark(doors, body, queue_time_ms) : 0;
    Py_DECREF(body);
    if (marked < 0 || (takes_marks && marked == 0)) return marked;
    int remembered = take_value(doors, environ);
    return remembered != 0 ? remembered : marked;
}

/* Of two values of a header, whether they are the same object or say the same: a server that has a
 * list of headers may make the value anew. */
static bool is_same(PyObject *one, PyObject *other) {
    if (one == other) return true;
    bool comparable = (PyUnicode_CheckExact(one) && PyUnicode_CheckExact(other)) ||
                      (PyBytes_CheckExact(one) && PyBytes_CheckExact(other));
    return comparable && PyObject_RichCompareBool(one, other, Py_EQ) > 0;
}

/* 1 or 0; -1 with an exception that is not an Exception: propagate it. */
static int is_of_server(PyObject *request, PyObject *key) {
    PyObject *value;
    if (PyDict_GetItemRef(request, key, &value) < 0) return ds_py_swallow();
    bool given = value != NULL && value != Py_None;
    Py_XDECREF(value);
    return given;
}

ds_py_claim ds_py_doors_claim_again(ds_py_doors *doors, const void *wrapper, PyObject *request,
                                    PyObject *key_of_server, PyObject *stamp, PyObject *found,
                                    int there) {
    if (there < 0) return ds_py_swallow() < 0 ? DS_PY_CLAIM_RAISED : DS_PY_CLAIM_OURS;
    bool same = is_same(found, stamp);
    Py_DECREF(found);
    if (same) {
        int of_server = is_of_server(request, key_of_server);
        if (of_server < 0) return DS_PY_CLAIM_RAISED;
        if (of_server || atomic_load(&doors->counted_last) != wrapper) return DS_PY_CLAIM_COUNTED;
    } else if (PyDict_SetItem(request, doors->key_counted, stamp) < 0 && ds_py_swallow() < 0) {
        return DS_PY_CLAIM_RAISED;
    }
    atomic_store(&doors->counted_last, wrapper);
    return DS_PY_CLAIM_OURS;
}
