#include "doors.h"

#include "dynoscale.h"

int ds_py_swallow(void) {
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return -1;
    PyErr_Clear();
    return 0;
}

int ds_py_doors_init(ds_py_doors *doors, PyObject *key_request_start, PyObject *key_queue_start) {
    doors->key_request_start = key_request_start;
    doors->key_queue_start = key_queue_start;
    doors->mark_name = PyUnicode_InternFromString("_dynoscale_counted");
    doors->key_counted = PyUnicode_InternFromString("dynoscale.counted");
    doors->key_input = PyUnicode_InternFromString("wsgi.input");
    bool made = doors->mark_name != NULL && doors->key_counted != NULL && doors->key_input != NULL;
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
}

PyObject *ds_py_doors_open_wrapper(ds_py_doors *doors) {
    PyObject *number = PyLong_FromLong(atomic_fetch_add(&doors->wrappers_made, 1) + 1);
    if (number != NULL) atomic_fetch_add(&doors->open, 1);
    return number;
}

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

/* 1 when the hook counted this request, 0 when not, -1 with an exception. */
static int counted_by_hook(ds_py_doors *doors, PyObject *environ, int64_t *queue_time_ms) {
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

static int counted_by_wrapper(ds_py_doors *doors, PyObject *number, PyObject *environ) {
    PyObject *mark;
    if (PyDict_GetItemRef(environ, doors->key_counted, &mark) < 0) return ds_py_swallow();
    if (mark == NULL) return 0;
    bool other = mark != number;
    Py_DECREF(mark);
    return other;
}

ds_py_claim ds_py_doors_claim(ds_py_doors *doors, PyObject *number, PyObject *environ, bool *marked,
                              int64_t *queue_time_ms) {
    int counted = counted_by_wrapper(doors, number, environ);
    if (counted != 0) return counted < 0 ? DS_PY_CLAIM_RAISED : DS_PY_CLAIM_COUNTED;
    counted = counted_by_hook(doors, environ, queue_time_ms);
    if (counted < 0) return DS_PY_CLAIM_RAISED;
    if (PyDict_SetItem(environ, doors->key_counted, number) == 0) *marked = true;
    else if (ds_py_swallow() < 0) return DS_PY_CLAIM_RAISED;
    return counted ? DS_PY_CLAIM_HOOKED : DS_PY_CLAIM_OURS;
}

void ds_py_doors_unmark(ds_py_doors *doors, PyObject *environ) {
    PyObject *type, *value, *traceback; /* the app's exception stays as it was */
    PyErr_Fetch(&type, &value, &traceback);
    if (PyDict_DelItem(environ, doors->key_counted) < 0) PyErr_Clear(); /* the app took it off */
    PyErr_Restore(type, value, traceback);
}
