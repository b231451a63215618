/*
 * Looks like a coroutine, because servers and asyncio make tasks only of coroutines
 * (collections.abc.Coroutine accepts any object with its methods). Attributes that it lacks are the
 * answer's.
 *
 * It belongs to the thread that steps it, as any coroutine does.
 */
#include "timed.h"

#include "parts.h"

typedef struct timed {
    PyObject_HEAD PyObject *answer; /* what the app returned */
    PyObject *steps;                /* its iterator, once it has begun; a coroutine is its own */
    PyObject *module;               /* keeps the state */
    ds_py_state *state;
    int64_t entered_ns; /* -1: the request has left */
    bool tracked;
} timed;

static void leave(timed *self) {
    int64_t entered_ns = self->entered_ns;
    self->entered_ns = -1;
    ds_py_slot_request_leaves(&self->state->slot, entered_ns);
}

static bool is_own_iterator(PyObject *answer) {
    return PyCoro_CheckExact(answer) || PyGen_CheckExact(answer);
}

static bool is_awaitable(PyObject *answer) {
    const PyAsyncMethods *methods = Py_TYPE(answer)->tp_as_async;
    return is_own_iterator(answer) || (methods != NULL && methods->am_await != NULL);
}

/* Registers it with the garbage collector at the first wait: many answers are done without one.
 * Until then it only refers to a coroutine that servers begin at once, or that is done and refers
 * to nothing. */
static void track(timed *self) {
    if (self->tracked) return;
    self->tracked = true;
    PyObject_GC_Track((PyObject *)self);
}

/* -1 with what the answer's __await__ raised. */
static int begin(timed *self) {
    if (DS_LIKELY(self->steps != NULL)) return 0;
    if (DS_LIKELY(is_own_iterator(self->answer))) {
        self->steps = Py_NewRef(self->answer);
        return 0;
    }
    track(self);
    self->steps = Py_TYPE(self->answer)->tp_as_async->am_await(self->answer);
    return self->steps != NULL ? 0 : -1;
}

/* ---- Steps --------------------------------------------------------------------------------- */

#if PY_VERSION_HEX >= 0x030A0000
/* PyIter_Send would check whether the type has am_send: coroutines and generators have it. */
static inline PySendResult send_to(PyObject *steps, PyObject *value, PyObject **result) {
    if (DS_LIKELY(is_own_iterator(steps)))
        return Py_TYPE(steps)->tp_as_async->am_send(steps, value, result);
    return PyIter_Send(steps, value, result);
}

DS_FLAT static PySendResult step(PyObject *object, PyObject *value, PyObject **result) {
    timed *self = (timed *)object;
    *result = NULL;
    PySendResult found = begin(self) == 0 ? send_to(self->steps, value, result) : PYGEN_ERROR;
    if (found == PYGEN_NEXT) track(self);
    else leave(self);
    return found;
}
#else
typedef enum { PYGEN_RETURN = 0, PYGEN_ERROR = -1, PYGEN_NEXT = 1 } PySendResult;

/* PYGEN_ERROR stands for the end, too, with its StopIteration. */
static PySendResult step(PyObject *object, PyObject *value, PyObject **result) {
    timed *self = (timed *)object;
    *result = NULL;
    if (begin(self) == 0) {
        if (value == Py_None && PyIter_Check(self->steps))
            *result = Py_TYPE(self->steps)->tp_iternext(self->steps);
        else /* "O" would take a tuple for all arguments */
            *result = PyObject_CallMethod(self->steps, "send", "(O)", value);
    }
    if (*result != NULL) {
        track(self);
        return PYGEN_NEXT;
    }
    leave(self);
    return PYGEN_ERROR;
}
#endif

/* Calls StopIteration: PyErr_SetObject alone would take a tuple for its arguments, and an exception
 * for the one to raise. */
static void raise_stop(PyObject *value) {
    if (value == Py_None) {
        PyErr_SetNone(PyExc_StopIteration);
        return;
    }
    PyObject *stop = PyObject_CallFunctionObjArgs(PyExc_StopIteration, value, (PyObject *)NULL);
    if (stop != NULL) PyErr_SetObject(PyExc_StopIteration, stop);
    Py_XDECREF(stop);
}

static PyObject *send(PyObject *object, PyObject *value) {
    PyObject *result;
    PySendResult found = step(object, value, &result);
    if (found == PYGEN_NEXT) return result;
    if (found == PYGEN_RETURN) {
        raise_stop(result);
        Py_DECREF(result);
    } else if (PyErr_Occurred() == NULL) PyErr_SetNone(PyExc_StopIteration);
    return NULL;
}

static PyObject *next(PyObject *object) { return send(object, Py_None); }

/* Calls a method of the answer's steps, if they have it; else *missing. */
static PyObject *call_steps(timed *self, const char *name, PyObject *args, bool *missing) {
    *missing = false;
    if (begin(self) < 0) return NULL;
    PyObject *method = PyObject_GetAttrString(self->steps, name);
    if (method == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        *missing = true;
        return NULL;
    }
    PyObject *result = method != NULL ? PyObject_Call(method, args, NULL) : NULL;
    Py_XDECREF(method);
    return result;
}

/* throw(type[, value[, traceback]]) */
static PyObject *throw_in(PyObject *object, PyObject *args) {
    timed *self = (timed *)object;
    bool missing;
    PyObject *result = call_steps(self, "throw", args, &missing);
    if (missing && PyTuple_GET_SIZE(args) > 0) { /* an iterator that nothing can be thrown into */
        PyObject *type = PyTuple_GET_ITEM(args, 0);
        PyObject *value = PyTuple_GET_SIZE(args) > 1 ? PyTuple_GET_ITEM(args, 1) : NULL;
        if (PyExceptionInstance_Check(type)) PyErr_SetObject((PyObject *)Py_TYPE(type), type);
        else PyErr_SetObject(type, value);
    } else if (missing) PyErr_SetString(PyExc_TypeError, "throw expected at least 1 argument");
    if (result != NULL) track(self);
    else leave(self);
    return result;
}

static PyObject *close_steps(PyObject *object, PyObject *nothing) {
    timed *self = (timed *)object;
    bool missing;
    PyObject *args = PyTuple_New(0);
    (void)nothing;
    if (args == NULL) return NULL;
    PyObject *result = call_steps(self, "close", args, &missing);
    Py_DECREF(args);
    leave(self);
    return missing ? Py_NewRef(Py_None) : result;
}

/* ---- Attributes, life ---------------------------------------------------------------------- */

static PyObject *get_attribute(PyObject *object, PyObject *name) {
    PyObject *own = PyObject_GenericGetAttr(object, name);
    if (own != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError)) return own;
    PyErr_Clear();
    return PyObject_GetAttr(((timed *)object)->answer, name);
}

static int traverse(PyObject *object, visitproc visit, void *arg) {
    timed *self = (timed *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->answer);
    Py_VISIT(self->steps);
    Py_VISIT(self->module);
    return 0;
}

/* Without the interpreter's lock, threads would have to share the spare ones by a lock of ours. */
#ifdef Py_GIL_DISABLED
static timed *take_spare(ds_py_state *state) { return (void)state, NULL; }
static bool keep_spare(ds_py_state *state, timed *self) { return (void)state, (void)self, false; }
#else
static timed *take_spare(ds_py_state *state) {
    if (DS_UNLIKELY(state->spare_count == 0)) return NULL;
    PyObject *spare = state->spare[--state->spare_count];
    return (timed *)PyObject_Init(spare, state->timed_type);
}

static bool keep_spare(ds_py_state *state, timed *self) {
    if (DS_UNLIKELY(state->spare_count == DS_PY_SPARE) || state->timed_type == NULL) return false;
    state->spare[state->spare_count++] = (PyObject *)self;
    return true;
}
#endif

void ds_py_timed_clear(ds_py_state *state) {
    while (state->spare_count > 0) PyObject_GC_Del(state->spare[--state->spare_count]);
    Py_CLEAR(state->timed_type); /* from now on none is kept */
}

DS_FLAT static void end(PyObject *object) {
    timed *self = (timed *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject *module = self->module;
    if (self->tracked) PyObject_GC_UnTrack(object);
    leave(self);
    Py_XDECREF(self->steps);
    Py_DECREF(self->answer);
    if (!keep_spare(self->state, self)) PyObject_GC_Del(object);
    Py_DECREF(module); /* the last one frees the state */
    Py_DECREF(type);
}

PyObject *ds_py_timed_new(ds_py_state *state, PyObject *answer, int64_t entered_ns) {
    if (entered_ns < 0) return answer;
    timed *self = NULL;
    if (answer != NULL && is_awaitable(answer)) {
        self = take_spare(state);
        if (self == NULL) self = PyObject_GC_New(timed, state->timed_type);
        if (self == NULL) PyErr_Clear(); /* without memory it is not timed */
    }
    if (self == NULL) {
        ds_py_slot_request_leaves(&state->slot, entered_ns);
        return answer;
    }
    self->answer = answer;
    self->steps = NULL;
    self->module = Py_NewRef(state->module);
    self->state = state;
    self->entered_ns = entered_ns;
    self->tracked = false;
    return (PyObject *)self;
}

static PyMethodDef methods[] = {
    {"send", send, METH_O, NULL},
    {"throw", throw_in, METH_VARARGS, NULL},
    {"close", close_steps, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, DS_SLOT(end)},
    {Py_tp_traverse, DS_SLOT(traverse)},
    {Py_tp_getattro, DS_SLOT(get_attribute)},
    {Py_tp_iter, DS_SLOT(PyObject_SelfIter)},
    {Py_tp_iternext, DS_SLOT(next)},
    {Py_am_await, DS_SLOT(PyObject_SelfIter)},
#if PY_VERSION_HEX >= 0x030A0000
    {Py_am_send, DS_SLOT(step)},
#endif
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "dynoscale._native.TimedAnswer",
    .basicsize = sizeof(timed),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

/* Python code can't make instances. */
int ds_py_add_timed(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);
    if (type == NULL) return -1;
    ((PyTypeObject *)type)->tp_new = NULL;
    ds_py_state_of(module)->timed_type = (PyTypeObject *)type;
    return 0;
}
