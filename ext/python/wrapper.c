#include "wrapper.h"

/* ---- Requests that need more than counting ------------------------------------------------ */

/* Sets the queue time in the request's dict, or removes an earlier request's, if the dict allows
 * it. -1 with an exception that is not an Exception: propagate it. */
static int show_app(ds_py_state *state, PyObject *request, int64_t queue_time_ms) {
    int result;
    if (queue_time_ms >= 0) {
        PyObject *value = PyLong_FromLongLong(queue_time_ms);
        result = value != NULL ? PyDict_SetItem(request, state->key_queue_time, value) : -1;
        Py_XDECREF(value);
    } else {
        result = PyDict_Contains(request, state->key_queue_time);
        if (result == 1) result = PyDict_DelItem(request, state->key_queue_time);
    }
    return result < 0 ? ds_py_swallow() : 0;
}

/* For RecursionError: users may nest wrappers deeper than the stack allows. */
static const char deep[] = " of wrapped apps";

DS_COLD PyObject *ds_py_wrapper_call_app(ds_py_wrapper *self, PyObject *const *args,
                                         size_t flagged_count, PyObject *names) {
    if (Py_EnterRecursiveCall(deep)) return NULL;
    PyObject *result = PyObject_Vectorcall(self->app, args, flagged_count, names);
    Py_LeaveRecursiveCall();
    return result;
}

enum { MOST_ARGUMENTS = 8 };

PyObject *ds_py_wrapper_call_answered_by(ds_py_wrapper *self, PyObject *const *args,
                                         size_t flagged_count, PyObject *names, const char *module,
                                         const char *function, PyObject *more) {
    Py_ssize_t count = PyVectorcall_NARGS(flagged_count), answer = self->kind->answer;
    Py_ssize_t all = count + (names != NULL ? PyTuple_GET_SIZE(names) : 0);
    if (count <= answer || all > MOST_ARGUMENTS) /* the app raises for wrong arguments */
        return ds_py_wrapper_call_app(self, args, flagged_count, names);

    PyObject *stand_in = ds_py_call(module, function, args[answer], more);
    if (stand_in == NULL) {
        if (ds_py_swallow() < 0) return NULL;
        return ds_py_wrapper_call_app(self, args, flagged_count, names);
    }
    PyObject *changed[MOST_ARGUMENTS];
    for (Py_ssize_t i = 0; i < all; i++) changed[i] = i == answer ? stand_in : args[i];
    PyObject *result = ds_py_wrapper_call_app(self, changed, (size_t)count, names);
    Py_DECREF(stand_in);
    return result;
}

/* Calls the app with another start_response or send, which adds the header. */
static PyObject *call_with_server_timing(ds_py_wrapper *self, PyObject *const *args,
                                         size_t flagged_count, PyObject *names,
                                         int64_t queue_time_ms) {
    PyObject *ms = PyLong_FromLongLong(queue_time_ms);
    if (ms == NULL) return NULL;
    PyObject *result = ds_py_wrapper_call_answered_by(
        self, args, flagged_count, names, "dynoscale._server_timing", self->kind->timed, ms);
    Py_DECREF(ms);
    return result;
}

/* Calls the app, and adds the header for the browser if `shown` says so. */
static PyObject *call_and_show(ds_py_wrapper *self, PyObject *const *args, size_t flagged_count,
                               PyObject *names, long shown, int64_t queue_time_ms) {
    if ((shown & DS_PY_SHOW_BROWSER) != 0 && queue_time_ms >= 0)
        return call_with_server_timing(self, args, flagged_count, names, queue_time_ms);
    return ds_py_wrapper_call_app(self, args, flagged_count, names);
}

int ds_py_wrapper_find_slots(ds_py_wrapper *self, PyObject *const *args, size_t flagged_count) {
    Py_ssize_t answer = self->kind->answer;
    if (PyVectorcall_NARGS(flagged_count) <= answer) return 0;
    return ds_py_find_slots("find_slots", args[0], args[answer]);
}

/* Called at the first request, because the server is loaded by then. Calls Python code only for two
 * servers: in a forked process each page that Python writes to is copied. -1 with an exception that
 * is not an Exception: propagate it. */
static int follow_server(ds_py_state *state) {
    if ((ds_py_entry_points_flags(&state->entry_points) & DS_PY_SERVER_UNKNOWN) == 0) return 0;
    PyObject *modules = PyImport_GetModuleDict();
    int loaded = PyDict_Contains(modules, state->name_uvicorn);
    if (loaded == 0) loaded = PyDict_Contains(modules, state->name_twisted);
    if (loaded <= 0) return loaded < 0 ? ds_py_swallow() : 0;
    return ds_py_call_agent("follow_server", NULL);
}

bool ds_py_wrapper_says_body(PyObject *value) {
    ds_py_text text = ds_py_text_of(value);
    return text.length > 1 || (text.length == 1 && text.data[0] != '0');
}

/* Counts the request, unless it was counted. Returns as the kind's `measure`. */
static ds_py_counted_by measure(ds_py_wrapper *self, PyObject *request, int64_t *entered_ns,
                                int64_t *queue_time_ms) {
    ds_py_entry_points *entry_points = &self->state->entry_points;
    const ds_py_wrapper_kind *kind = self->kind;
    PyObject *stamp;
    if (!ds_py_entry_points_need_context(entry_points, kind->kind))
        return kind->measure(self, request, entered_ns, queue_time_ms);

    if (kind->find_stamp(self->state, request, &stamp) < 0) return DS_PY_COUNTED_RAISED;
    ds_py_counted_by counted_by = DS_PY_COUNTED_RAISED;
    int inside = ds_py_entry_points_is_inside(entry_points, kind->kind, stamp, queue_time_ms);
    if (inside > 0) counted_by = DS_PY_COUNTED_AROUND;
    if (inside == 0) counted_by = kind->measure(self, request, entered_ns, queue_time_ms);
    if (inside == 0 && counted_by != DS_PY_COUNTED_RAISED &&
        ds_py_entry_points_enter_context(entry_points, kind->kind, stamp, *queue_time_ms) < 0)
        counted_by = DS_PY_COUNTED_RAISED;
    Py_XDECREF(stamp);
    return counted_by;
}

DS_COLD PyObject *ds_py_wrapper_call_slow_path(ds_py_wrapper *self, PyObject *const *args,
                                               size_t flagged_count, PyObject *names) {
    ds_py_state *state = self->state;
    PyObject *request = args[0];
    int64_t queue_time_ms = DYNOSCALE_STAMP_OFF;
    long shown = ds_py_entry_points_shown(&state->entry_points);
    if (follow_server(state) < 0) return NULL;
    int asked = dynoscale_asked_of_requests();
    if ((asked & DYNOSCALE_ASKED_SLOTS) != 0 &&
        ds_py_wrapper_find_slots(self, args, flagged_count) < 0)
        return NULL;
    bool timed = (asked & DYNOSCALE_ASKED_BUSY) != 0;
    int64_t entered_ns = -1;
    ds_py_counted_by counted_by =
        measure(self, request, timed ? &entered_ns : NULL, &queue_time_ms);
    bool raised = counted_by == DS_PY_COUNTED_RAISED;
    if (counted_by == DS_PY_COUNTED_BY_WRAPPER) shown = 0;                /* by who counted */
    if (counted_by == DS_PY_COUNTED_AROUND) shown &= ~DS_PY_SHOW_BROWSER; /* likewise */
    if (!raised && (shown & DS_PY_SHOW_APP) != 0)
        raised = show_app(state, request, queue_time_ms) < 0;
    if (timed && counted_by == DS_PY_COUNTED_BY_HOOK &&
        !ds_py_entry_points_hook_times(&state->entry_points))
        entered_ns = ds_py_slot_request_enters(&state->slot);
    PyObject *result =
        raised ? NULL : call_and_show(self, args, flagged_count, names, shown, queue_time_ms);
    if (self->kind->time_answer != NULL && !raised)
        return self->kind->time_answer(state, result, entered_ns);
    ds_py_slot_request_leaves(&state->slot, entered_ns);
    return result;
}

DS_COLD PyObject *ds_py_wrapper_raise_no_app(const ds_py_wrapper *self) {
    return PyErr_Format(PyExc_RuntimeError, "%s has no app: was __init__ of its subclass called?",
                        self->kind->name);
}

/* ---- Attributes: the wrapped app's -------------------------------------------------------- */

static bool is(PyObject *name, const char *text) {
    return PyUnicode_CompareWithASCIIString(name, text) == 0;
}

/* A subclass's own __call__, else the kind's get_call. */
static PyObject *get_call(PyObject *object, PyObject *name) {
    PyObject *(*get)(PyObject *) = ((ds_py_wrapper *)object)->kind->get_call;
    bool own = Py_TYPE(object)->tp_call == PyVectorcall_Call;
    PyObject *found = get != NULL && own ? get(object) : NULL;
    if (found != NULL) return found;
    if (PyErr_Occurred() != NULL && ds_py_swallow() < 0) return NULL;
    return PyObject_GenericGetAttr(object, name);
}

static PyObject *get_of_app(PyObject *app, PyObject *name) {
    if (Py_EnterRecursiveCall(deep)) return NULL;
    PyObject *value = PyObject_GetAttr(app, name);
    Py_LeaveRecursiveCall();
    return value;
}

/* Only an instance has __wrapped__: inspect would follow it on a type. */
static PyObject *get_attribute(PyObject *object, PyObject *name) {
    PyObject *app = ((ds_py_wrapper *)object)->app;
    if (app == NULL || !PyUnicode_Check(name)) return PyObject_GenericGetAttr(object, name);
    if (is(name, "__wrapped__")) return Py_NewRef(app);
    /* The type has these for every object, but the app has its own. */
    if (is(name, "__doc__") || is(name, "__module__")) return get_of_app(app, name);
    if (is(name, "__call__")) return get_call(object, name);
    PyObject *own = PyObject_GenericGetAttr(object, name);
    if (own != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError)) return own;
    PyErr_Clear();
    return get_of_app(app, name);
}

/* Deletes where `value` is NULL. */
static int set_attribute(PyObject *object, PyObject *name, PyObject *value) {
    PyObject *app = ((ds_py_wrapper *)object)->app;
    if (app == NULL) return PyObject_GenericSetAttr(object, name, value);
    if (Py_EnterRecursiveCall(deep)) return -1;
    int result = PyObject_SetAttr(app, name, value);
    Py_LeaveRecursiveCall();
    return result;
}

static PyObject *list_attributes(PyObject *object, PyObject *nothing) {
    (void)nothing;
    PyObject *app = ((ds_py_wrapper *)object)->app;
    if (app == NULL) return PyList_New(0);
    if (Py_EnterRecursiveCall(deep)) return NULL;
    PyObject *names = PyObject_Dir(app);
    Py_LeaveRecursiveCall();
    return names;
}

static PyObject *represent(PyObject *object) {
    PyObject *app = ((ds_py_wrapper *)object)->app;
    const char *name = ((ds_py_wrapper *)object)->kind->name;
    int entered = Py_ReprEnter(object);
    if (entered != 0) return entered > 0 ? PyUnicode_FromFormat("<%s ...>", name) : NULL;
    PyObject *text = app != NULL ? PyUnicode_FromFormat("<%s of %R>", name, app)
                                 : PyUnicode_FromFormat("<%s of no app>", name);
    Py_ReprLeave(object);
    return text;
}

/* ---- Life --------------------------------------------------------------------------------- */

/* Gives the app, borrowed, and the other keywords as a new dict (NULL: none). -1 with an
 * exception. */
static int parse(const ds_py_wrapper *self, PyObject *args, PyObject *names, PyObject **app,
                 PyObject **settings) {
    *settings = names != NULL && PyDict_GET_SIZE(names) > 0 ? PyDict_Copy(names) : NULL;
    if (PyErr_Occurred() != NULL) return -1;
    if (PyTuple_GET_SIZE(args) == 0 && *settings != NULL) {
        *app = PyDict_GetItemString(names, "app"); /* the older agent's name for it */
        if (*app != NULL) return PyDict_DelItemString(*settings, "app");
    }
    if (PyTuple_GET_SIZE(args) == 1) {
        *app = PyTuple_GET_ITEM(args, 0);
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "%s takes one app, not %zd", self->kind->name,
                 PyTuple_GET_SIZE(args));
    return -1;
}

static void end(PyObject *object);

/* Returns the module, borrowed. A subclass has the layout, so the tp_base, of a class that
 * ds_py_add_wrapper made. */
static PyObject *module_of(PyTypeObject *type) {
    while (type->tp_dealloc != end) type = type->tp_base;
    return PyType_GetModule(type);
}

bool ds_py_wrapper_is_of_django(PyObject *app) {
    PyObject *module = PyFunction_Check(app) ? PyFunction_GetModule(app) : NULL;
    return module != NULL && PyUnicode_Check(module) &&
           PyUnicode_CompareWithASCIIString(module, "dynoscale.django") == 0;
}

/* Django's middleware makes a wrapper of each kind. An ASGI one of it is in no WSGI app. */
static int kind_for_others(const ds_py_wrapper *self, PyObject *app) {
    bool is_of_django = self->kind->kind == DS_PY_KIND_ASGI && ds_py_wrapper_is_of_django(app);
    return is_of_django ? 0 : (int)self->kind->kind;
}

static int wrap(ds_py_wrapper *self, PyObject *app) {
    if (self->app != NULL) {
        PyErr_Format(PyExc_RuntimeError, "%s wraps an app already", self->kind->name);
        return -1;
    }
    PyObject *module = module_of(Py_TYPE(self));
    if (module == NULL) return -1;
    ds_py_state *state = ds_py_state_of(module);
    ds_py_entry_points_open_wrapper(&state->entry_points, kind_for_others(self, app));
    self->open = true;
    self->state = state;
    self->module = Py_NewRef(module);
    self->app = Py_NewRef(app);
    return 0;
}

/* While the app is loaded, no request waits. */
static void prepare(ds_py_slot *slot) {
    ds_py_handle *handle = ds_py_slot_hold(slot);
    if (handle != NULL) dynoscale_agent_prepare(handle->agent);
    ds_py_handle_release(handle);
}

static int set_up(PyObject *object, PyObject *args, PyObject *names) {
    ds_py_wrapper *self = (ds_py_wrapper *)object;
    PyObject *app, *settings;
    int result = parse(self, args, names, &app, &settings);
    if (result == 0) result = wrap(self, app);
    if (result == 0)
        result = settings != NULL && PyDict_GET_SIZE(settings) > 0
                     ? ds_py_call_agent("configure", settings)
                     : ds_py_need_agent(self->state);
    if (result == 0) prepare(&self->state->slot);
    Py_XDECREF(settings);
    return result;
}

/* __init__ takes the arguments, so that subclasses may have others. */
PyObject *ds_py_wrapper_new(PyTypeObject *type, const ds_py_wrapper_kind *kind) {
    ds_py_wrapper *self = (ds_py_wrapper *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    self->vectorcall = kind->call;
    self->kind = kind;
    return (PyObject *)self;
}

static int traverse(PyObject *object, visitproc visit, void *arg) {
    ds_py_wrapper *self = (ds_py_wrapper *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->app);
    Py_VISIT(self->module);
    return 0;
}

/* Keeps the module, which owns the state. */
static int clear(PyObject *object) {
    Py_CLEAR(((ds_py_wrapper *)object)->app);
    return 0;
}

static void end(PyObject *object) {
    ds_py_wrapper *self = (ds_py_wrapper *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_TRASHCAN_BEGIN(self, end) /* the app may be a wrapper, whose app may be one ... */
        if (self->weak_references != NULL) PyObject_ClearWeakRefs(object);
    if (self->open) ds_py_entry_points_close_wrapper(&self->state->entry_points);
    Py_XDECREF(self->app);
    Py_XDECREF(self->module);
    type->tp_free(object);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(ds_py_wrapper, vectorcall), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ds_py_wrapper, weak_references), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef methods[] = {
    {"__dir__", list_attributes, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int ds_py_add_wrapper(PyObject *module, const char *name, const char *doc, newfunc make) {
    PyType_Slot slots[] = {
        {Py_tp_doc, (void *)(uintptr_t)doc},
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
    PyType_Spec spec = {
        .name = name,
        .basicsize = sizeof(ds_py_wrapper),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC |
                 Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE,
        .slots = slots,
    };
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);
    if (type == NULL) return -1;
    int added = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return added;
}
