/*
 * DynoscaleWsgiApp: a WSGI application that measures each request and calls the one it wraps.
 *
 * The call is a vectorcall that hands the caller's own argument vector on: nothing is copied, and
 * what the app returns or raises is the caller's, untouched. A wrapper never changes the app that
 * it wraps, so that the app lives as long as the wrapper that the caller holds.
 */
#include "module.h"

typedef struct wsgi_app {
    PyObject_HEAD vectorcallfunc vectorcall;
    ds_py_state *state; /* of `module`: kept, since the type may let go of it first at the end */
    PyObject *app;      /* NULL before __init__, and after the collector has cleared it */
    PyObject *module;
    PyObject *number; /* at the doors; NULL: none opened */
    PyObject *weak_references;
} wsgi_app;

/* ---- A request ---------------------------------------------------------------------------- */

/* 1 with a new reference, 0 with NULL, -1 with an exception that is none of ours to swallow. */
static inline int lookup(PyObject *environ, PyObject *key, PyObject **value) {
    int found = PyDict_GetItemRef(environ, key, value);
    return DS_LIKELY(found >= 0) ? found : ds_py_swallow(); /* a key's own __eq__ raised */
}

static inline int measure(ds_py_state *state, PyObject *environ) {
    PyObject *start = NULL, *queue_start = NULL;
    int result = -1;
    if (lookup(environ, state->key_request_start, &start) >= 0 &&
        lookup(environ, state->key_queue_start, &queue_start) >= 0)
        result = ds_py_record(state, start, queue_start);
    Py_XDECREF(start);
    Py_XDECREF(queue_start);
    return result;
}

/* The app is done with environ when its answer is all there; an iterator may still call on. */
static bool is_finished(PyObject *result) {
    return result == NULL || PyList_CheckExact(result) || PyTuple_CheckExact(result);
}

DS_COLD static PyObject *call_marked(wsgi_app *self, PyObject *const *args, size_t flagged_count,
                                     PyObject *names) {
    ds_py_state *state = self->state;
    PyObject *environ = Py_NewRef(args[0]), *result = NULL;
    bool marked = false;
    ds_py_claim claim = ds_py_doors_claim(&state->doors, self->number, environ, &marked);
    if (claim == DS_PY_CLAIM_OURS && measure(state, environ) < 0) claim = DS_PY_CLAIM_RAISED;
    if (claim != DS_PY_CLAIM_RAISED)
        result = PyObject_Vectorcall(self->app, args, flagged_count, names);
    if (marked && is_finished(result)) ds_py_doors_unmark(&state->doors, environ);
    Py_DECREF(environ);
    return result;
}

DS_COLD static PyObject *raise_no_app(void) {
    PyErr_SetString(PyExc_RuntimeError,
                    "DynoscaleWsgiApp has no app: was __init__ of its subclass called?");
    return NULL;
}

static PyObject *call(PyObject *object, PyObject *const *args, size_t flagged_count,
                      PyObject *names) {
    wsgi_app *self = (wsgi_app *)object;
    if (DS_UNLIKELY(self->app == NULL)) return raise_no_app();
    ds_py_state *state = self->state;
    /* Misuse is the app's to complain about: without an environ there is nothing to measure. */
    if (ds_py_slot_on(&state->slot) && DS_LIKELY(PyVectorcall_NARGS(flagged_count) > 0) &&
        DS_LIKELY(PyDict_Check(args[0]))) {
        if (DS_UNLIKELY(ds_py_doors_several(&state->doors)))
            return call_marked(self, args, flagged_count, names);
        if (DS_UNLIKELY(measure(state, args[0]) < 0)) return NULL;
    }
    return PyObject_Vectorcall(self->app, args, flagged_count, names);
}

/* ---- Attributes: the wrapped app's -------------------------------------------------------- */

static bool is(PyObject *name, const char *text) {
    return PyUnicode_CompareWithASCIIString(name, text) == 0;
}

/* __wrapped__ is an instance's alone: inspect would follow a type's. */
static PyObject *get_attribute(PyObject *object, PyObject *name) {
    PyObject *app = ((wsgi_app *)object)->app;
    if (app == NULL || !PyUnicode_Check(name)) return PyObject_GenericGetAttr(object, name);
    if (is(name, "__wrapped__")) return Py_NewRef(app);
    /* The type has these for every object, but the app has its own. */
    if (is(name, "__doc__") || is(name, "__module__")) return PyObject_GetAttr(app, name);
    PyObject *own = PyObject_GenericGetAttr(object, name);
    if (own != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError)) return own;
    PyErr_Clear();
    return PyObject_GetAttr(app, name);
}

/* Deletes where `value` is NULL. */
static int set_attribute(PyObject *object, PyObject *name, PyObject *value) {
    PyObject *app = ((wsgi_app *)object)->app;
    if (app == NULL) return PyObject_GenericSetAttr(object, name, value);
    return PyObject_SetAttr(app, name, value);
}

static PyObject *list_attributes(PyObject *object, PyObject *nothing) {
    (void)nothing;
    PyObject *app = ((wsgi_app *)object)->app;
    return app != NULL ? PyObject_Dir(app) : PyList_New(0);
}

static PyObject *represent(PyObject *object) {
    PyObject *app = ((wsgi_app *)object)->app;
    int entered = Py_ReprEnter(object);
    if (entered != 0) return entered > 0 ? PyUnicode_FromString("<DynoscaleWsgiApp ...>") : NULL;
    PyObject *text = app != NULL ? PyUnicode_FromFormat("<DynoscaleWsgiApp of %R>", app)
                                 : PyUnicode_FromString("<DynoscaleWsgiApp of no app>");
    Py_ReprLeave(object);
    return text;
}

/* ---- Life --------------------------------------------------------------------------------- */

/* The app, borrowed, and the settings without it, new (NULL: none). -1 with an exception. */
static int parse(PyObject *args, PyObject *names, PyObject **app, PyObject **settings) {
    *settings = names != NULL && PyDict_GET_SIZE(names) > 0 ? PyDict_Copy(names) : NULL;
    if (PyErr_Occurred() != NULL) return -1;
    if (PyTuple_GET_SIZE(args) == 0 && *settings != NULL) {
        *app = PyDict_GetItemString(names, "app"); /* the older agent's name for it */
        if (*app != NULL) return PyDict_DelItemString(*settings, "app");
    }
    return PyArg_ParseTuple(args, "O:DynoscaleWsgiApp", app) ? 0 : -1;
}

static int wrap(wsgi_app *self, PyObject *app) {
    if (self->app != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "DynoscaleWsgiApp wraps an app already");
        return -1;
    }
    PyObject *module = PyType_GetModuleByDef(Py_TYPE(self), &ds_py_module);
    if (module == NULL) return -1;
    ds_py_state *state = ds_py_state_of(module);
    self->number = ds_py_doors_open_wrapper(&state->doors);
    if (self->number == NULL) return -1;
    self->state = state;
    self->module = Py_NewRef(module);
    self->app = Py_NewRef(app);
    return 0;
}

static int set_up(PyObject *object, PyObject *args, PyObject *names) {
    wsgi_app *self = (wsgi_app *)object;
    PyObject *app, *settings;
    int result = parse(args, names, &app, &settings);
    if (result == 0) result = wrap(self, app);
    if (result == 0)
        result = settings != NULL && PyDict_GET_SIZE(settings) > 0
                     ? ds_py_call_agent("configure", settings)
                     : ds_py_need_agent(self->state);
    Py_XDECREF(settings);
    return result;
}

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *settings) {
    (void)args, (void)settings; /* __init__'s, so that subclasses are free to have others */
    wsgi_app *self = (wsgi_app *)type->tp_alloc(type, 0);
    if (self != NULL) self->vectorcall = call;
    return (PyObject *)self;
}

static int traverse(PyObject *object, visitproc visit, void *arg) {
    wsgi_app *self = (wsgi_app *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->app);
    Py_VISIT(self->module);
    return 0;
}

/* The module stays: the state is its. */
static int clear(PyObject *object) {
    Py_CLEAR(((wsgi_app *)object)->app);
    return 0;
}

static void end(PyObject *object) {
    wsgi_app *self = (wsgi_app *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (self->weak_references != NULL) PyObject_ClearWeakRefs(object);
    if (self->number != NULL) ds_py_doors_close_wrapper(&self->state->doors);
    Py_XDECREF(self->app);
    Py_XDECREF(self->number);
    Py_XDECREF(self->module);
    type->tp_free(object);
    Py_DECREF(type);
}

PyDoc_STRVAR(doc,
             "DynoscaleWsgiApp(app, /, **settings)\n--\n\n"
             "A WSGI application that measures each request and calls `app`.\n\n"
             "Transparent: attributes are the app's, its answer and its exceptions are passed\n"
             "on untouched. Settings given here are given to dynoscale.configure().");

static PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(wsgi_app, vectorcall), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(wsgi_app, weak_references), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef methods[] = {
    {"__dir__", list_attributes, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)doc},
    {Py_tp_new, DS_SLOT(make)},
    {Py_tp_init, DS_SLOT(set_up)},
    {Py_tp_dealloc, DS_SLOT(end)},
    {Py_tp_traverse, DS_SLOT(traverse)},
    {Py_tp_clear, DS_SLOT(clear)},
    {Py_tp_call, DS_SLOT(PyVectorcall_Call)},
    {Py_tp_repr, DS_SLOT(represent)},
    {Py_tp_getattro, DS_SLOT(get_attribute)},
    {Py_tp_setattro, DS_SLOT(set_attribute)},
    {Py_tp_members, members},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "dynoscale.wsgi.DynoscaleWsgiApp",
    .basicsize = sizeof(wsgi_app),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

int ds_py_add_wsgi_app(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);
    if (type == NULL) return -1;
    int added = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return added;
}
