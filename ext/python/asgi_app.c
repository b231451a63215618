/*
 * DynoscaleAsgiApp: an ASGI application that measures each HTTP request and calls the app it wraps.
 *
 * The server gets the app's own awaitable: there is no coroutine or task of ours. If the
 * service asks for the time that requests take, the object of timed.h takes its place. The request
 * is measured when the server calls, before the app's first step. Scopes of other types (websocket,
 * and future ones) pass unchanged. So does lifespan, except for the app's last message: before it
 * is sent on, what was recorded is reported, because a server may end the process by the signal
 * that stopped it, without any exit function (uvicorn since 0.29).
 */
#include "wrapper.h"

#include <string.h>

#include "parts.h"
#include "stamps.h"
#include "timed.h"

/* ---- The headers: pairs of bytes ---------------------------------------------------------- */

/* Names are in lower case in ASGI; other cases are accepted. */
static int take(PyObject *name, PyObject *value, const ds_py_header *header, PyObject **found) {
    if (name == NULL || value == NULL) return ds_py_swallow(); /* the list has become shorter */
    if (!PyBytes_Check(name) || PyBytes_GET_SIZE(name) != header->length) return 0;
    const char *text = PyBytes_AS_STRING(name);
    bool same = memcmp(text, header->lower, (size_t)header->length) == 0;
    return same || ds_py_is_name(text, header) ? ds_py_stamps_keep(found, value) : 0;
}

/* Most servers give tuples, some give lists. */
static int look_closer(PyObject *pair, const ds_py_header *header, PyObject **found) {
    if (PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2)
        return take(PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1), header, found);
    if (!PyList_Check(pair) || PyList_GET_SIZE(pair) != 2) return 0;
    PyObject *name = PyList_GetItemRef(pair, 0);
    PyObject *value = name != NULL ? PyList_GetItemRef(pair, 1) : NULL;
    int result = take(name, value, header, found);
    Py_XDECREF(name);
    Py_XDECREF(value);
    return result;
}

/* Nearly all are plain pairs with other names. */
static inline int look_at(PyObject *pair, const ds_py_header *header, PyObject **found) {
    if (DS_UNLIKELY(!PyTuple_CheckExact(pair)) || DS_UNLIKELY(PyTuple_GET_SIZE(pair) != 2))
        return look_closer(pair, header, found);
    PyObject *name = PyTuple_GET_ITEM(pair, 0);
    if (DS_UNLIKELY(!PyBytes_CheckExact(name))) return look_closer(pair, header, found);
    if (DS_LIKELY(PyBytes_GET_SIZE(name) != header->length) ||
        !ds_py_ends_like(PyBytes_AS_STRING(name), header))
        return 0;
    return take(name, PyTuple_GET_ITEM(pair, 1), header, found);
}

/* An iterator can be read only once: leave it to the app. */
DS_COLD static int scan_other(PyObject *headers, const ds_py_header *header, PyObject **found) {
    if (PyIter_Check(headers)) return 0;
    PyObject *pairs = PyObject_GetIter(headers), *pair;
    if (pairs == NULL) return ds_py_swallow();
    int result = 0;
    while (result == 0 && (pair = PyIter_Next(pairs)) != NULL) {
        result = look_at(pair, header, found);
        Py_DECREF(pair);
    }
    Py_DECREF(pairs);
    return result == 0 && PyErr_Occurred() != NULL ? ds_py_swallow() : result;
}

static int scan(PyObject *headers, const ds_py_header *header, PyObject **found) {
    bool listed = DS_LIKELY(PyList_CheckExact(headers)) || PyTuple_CheckExact(headers);
    return DS_LIKELY(listed) ? ds_py_stamps_scan(headers, look_at, header, found)
                             : scan_other(headers, header, found);
}

/* ---- Servers that read bodies first ------------------------------------------------------- */

static const ds_py_header content_length = DS_PY_HEADER("CONTENT-LENGTH", "content-length");
static const ds_py_header chunked = DS_PY_HEADER("TRANSFER-ENCODING", "transfer-encoding");

/* Daphne does, as a program or as Django's runserver; and Django, before it calls middlewares. */
static bool reads_bodies(PyObject *app) {
    PyObject *modules = PyImport_GetModuleDict();
    return PyDict_GetItemString(modules, "daphne.cli") != NULL ||
           PyDict_GetItemString(modules, "daphne.management.commands.runserver") != NULL ||
           ds_py_wrapper_is_of_django(app);
}

/* Returns 1 if the header says that there is a body, 0 if not, -1 with an exception that is not an
 * Exception: propagate it. */
static int says_body(PyObject *headers, const ds_py_header *header) {
    PyObject *value = NULL;
    int result = scan(headers, header, &value);
    if (result == 0) result = ds_py_wrapper_says_body(value);
    Py_XDECREF(value);
    return result;
}

static int has_body(ds_py_state *state, PyObject *scope) {
    PyObject *headers;
    int found = ds_py_lookup(scope, state->name_headers, &headers);
    if (found <= 0) return found;
    int has = says_body(headers, &content_length);
    if (has == 0) has = says_body(headers, &chunked);
    Py_DECREF(headers);
    return has;
}

/* ---- A request ---------------------------------------------------------------------------- */

DS_COLD static int measure_by_both(ds_py_state *state, PyObject *headers, PyObject *start,
                                   int64_t *queue_time_ms) {
    PyObject *queue_start = NULL;
    int result = headers != NULL ? scan(headers, &ds_py_queue_start, &queue_start) : 0;
    if (result == 0) ds_py_record(state, start, queue_start, queue_time_ms);
    Py_XDECREF(queue_start);
    return result;
}

/* `late`: the stamp may be from before the body arrived, so the request gives no sample. */
static inline ds_py_counted_by measure(ds_py_wrapper *self, PyObject *scope, bool late,
                                       int64_t *entered_ns, int64_t *queue_time_ms) {
    ds_py_state *state = self->state;
    PyObject *headers, *start = NULL;
    ds_py_counted_by counted_by = DS_PY_COUNTED_BY_NONE;
    int result = ds_py_lookup(scope, state->name_headers, &headers);
    if (DS_LIKELY(result > 0)) result = scan(headers, &ds_py_request_start, &start);
    if (DS_LIKELY(result == 0))
        counted_by = ds_py_entry_points_mark(&state->entry_points, self, scope,
                                             state->entry_points.key_asgi, start);
    if (DS_LIKELY(result == 0) && DS_LIKELY(counted_by == DS_PY_COUNTED_BY_NONE)) {
        result = ds_py_record_start(state, late ? NULL : start, entered_ns, queue_time_ms);
        if (late && result == 0) ds_py_record(state, NULL, NULL, queue_time_ms);
        else if (DS_LIKELY(result == 0) && DS_UNLIKELY(*queue_time_ms < 0))
            result = measure_by_both(state, headers, start, queue_time_ms);
    }
    Py_XDECREF(start);
    Py_XDECREF(headers);
    return DS_LIKELY(result == 0) ? counted_by : DS_PY_COUNTED_RAISED;
}

typedef enum scope_type {
    SCOPE_RAISED = -1, /* an exception that is not an Exception: propagate it */
    SCOPE_OTHER,
    SCOPE_HTTP,
    SCOPE_LIFESPAN,
} scope_type;

static scope_type type_of_text(PyObject *text) {
    if (!PyUnicode_Check(text)) return SCOPE_OTHER;
    if (PyUnicode_CompareWithASCIIString(text, "http") == 0) return SCOPE_HTTP;
    if (PyUnicode_CompareWithASCIIString(text, "lifespan") == 0) return SCOPE_LIFESPAN;
    return SCOPE_OTHER;
}

static inline scope_type type_of(ds_py_state *state, PyObject *scope) {
    PyObject *text;
    int found = ds_py_lookup(scope, state->key_type, &text);
    if (DS_UNLIKELY(found <= 0)) return found == 0 ? SCOPE_OTHER : SCOPE_RAISED;
    scope_type type = DS_LIKELY(text == state->text_http) ? SCOPE_HTTP : type_of_text(text);
    Py_DECREF(text);
    return type;
}

/* Where the service asks something of requests: for instance their time until the answer is done.
 */
__attribute__((noinline)) DS_FLAT static PyObject *call_asked(ds_py_wrapper *self,
                                                              PyObject *const *args,
                                                              size_t flagged_count, PyObject *names,
                                                              int asked) {
    if (DS_UNLIKELY((asked & DYNOSCALE_ASKED_SLOTS) != 0) &&
        ds_py_wrapper_find_slots(self, args, flagged_count) < 0)
        return NULL;
    int64_t entered_ns = -1, queue_time_ms;
    PyObject *result = NULL;
    int64_t *timed = (asked & DYNOSCALE_ASKED_BUSY) != 0 ? &entered_ns : NULL;
    if (DS_LIKELY(measure(self, args[0], false, timed, &queue_time_ms) >= 0))
        result = PyObject_Vectorcall(self->app, args, flagged_count, names);
    return ds_py_timed_new(self->state, result, entered_ns);
}

static PyObject *call_by_names(ds_py_wrapper *self, PyObject *const *args, PyObject *names);

DS_FLAT static PyObject *call(PyObject *object, PyObject *const *args, size_t flagged_count,
                              PyObject *names) {
    ds_py_wrapper *self = (ds_py_wrapper *)object;
    if (DS_UNLIKELY(self->app == NULL)) return ds_py_wrapper_raise_no_app(self);
    ds_py_state *state = self->state;
    /* Without a scope there is nothing to measure; the app raises for wrong arguments. */
    if (ds_py_slot_on(&state->slot) && DS_LIKELY(PyVectorcall_NARGS(flagged_count) > 0) &&
        DS_LIKELY(PyDict_Check(args[0]))) {
        int64_t queue_time_ms;
        int asked = dynoscale_asked_of_requests();
        scope_type type = type_of(state, args[0]);
        if (DS_UNLIKELY(type == SCOPE_RAISED)) return NULL;
        if (DS_UNLIKELY(type == SCOPE_LIFESPAN))
            return ds_py_wrapper_call_answered_by(self, args, flagged_count, names,
                                                  "dynoscale.asgi", "_lifespan_send", NULL);
        if (DS_LIKELY(type == SCOPE_HTTP)) {
            if (DS_UNLIKELY(ds_py_entry_points_need_slow_path(&state->entry_points)))
                return ds_py_wrapper_call_slow_path(self, args, flagged_count, names);
            if (DS_UNLIKELY(asked != 0)) return call_asked(self, args, flagged_count, names, asked);
            if (DS_UNLIKELY(measure(self, args[0], false, NULL, &queue_time_ms) < 0)) return NULL;
            return PyObject_Vectorcall(self->app, args, flagged_count, names);
        }
    } else if (names != NULL && PyVectorcall_NARGS(flagged_count) == 0 &&
               PyTuple_GET_SIZE(names) == 3) {
        return call_by_names(self, args, names);
    }
    return ds_py_wrapper_call_app(self, args, flagged_count, names);
}

/* Daphne calls app(scope=..., receive=..., send=...). The app gets them by their positions, as from
 * the other servers. */
DS_COLD static PyObject *call_by_names(ds_py_wrapper *self, PyObject *const *args,
                                       PyObject *names) {
    static const char *const positions[] = {"scope", "receive", "send"};
    PyObject *in_order[3] = {NULL, NULL, NULL};
    for (Py_ssize_t i = 0; i < 3; i++)
        for (Py_ssize_t j = 0; j < 3; j++)
            if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, i), positions[j]) == 0)
                in_order[j] = args[i];
    if (in_order[0] == NULL || in_order[1] == NULL || in_order[2] == NULL)
        return ds_py_wrapper_call_app(self, args, 0, names);
    return call((PyObject *)self, in_order, 3, NULL);
}

/* Servers recognise the version of ASGI by whether __call__ is a coroutine function. All known
 * servers call the wrapper itself, not this function. */
static PyObject *get_call(PyObject *object) {
    return ds_py_call("dynoscale.asgi", "_coroutine_function", object, NULL);
}

static int find_stamp(ds_py_state *state, PyObject *scope, PyObject **stamp) {
    PyObject *headers;
    *stamp = NULL;
    int found = ds_py_lookup(scope, state->name_headers, &headers);
    if (found <= 0) return found;
    int result = scan(headers, &ds_py_request_start, stamp);
    Py_DECREF(headers);
    return result;
}

/* ---- Under a WSGI server, by an adapter ------------------------------------------------------ */

/* Gives the environ from which a2wsgi made the scope, a new reference; NULL: none. -1 with an
 * exception that is not an Exception: propagate it. */
static int find_environ(ds_py_state *state, PyObject *scope, PyObject **environ) {
    int found = ds_py_lookup(scope, state->key_environ, environ);
    if (found > 0 && !PyDict_Check(*environ)) Py_CLEAR(*environ);
    return found < 0 ? -1 : 0;
}

/* Returns 0, or -1 with an exception that is not an Exception: propagate it. */
DS_COLD static int look_at_server(ds_py_wrapper *self, PyObject *scope) {
    PyObject *environ;
    if (find_environ(self->state, scope, &environ) < 0) return -1;
    int result = 0;
    if (environ != NULL) result = ds_py_look_at_wsgi_server(self->state, environ);
    else
        ds_py_entry_points_know_server(&self->state->entry_points,
                                       self->app != NULL && reads_bodies(self->app));
    Py_XDECREF(environ);
    return result;
}

/* The same as the next function, by the environ of the scope. */
static int environ_counted_by_hook(ds_py_wrapper *self, PyObject *scope, PyObject *stamp,
                                   int64_t *queue_time_ms) {
    ds_py_entry_points *entry_points = &self->state->entry_points;
    PyObject *environ;
    if (find_environ(self->state, scope, &environ) < 0) return -1;
    if (environ == NULL) return 0;
    int counted = ds_py_entry_points_counted_by_hook(entry_points, environ, queue_time_ms);
    Py_DECREF(environ);
    if (counted <= 0) return counted;
    /* The scope may come again; the hook's mark is gone. */
    ds_py_counted_by before =
        ds_py_entry_points_mark(entry_points, self, scope, entry_points->key_asgi, stamp);
    return before == DS_PY_COUNTED_RAISED ? -1 : 1;
}

/* Returns 1 if gunicorn's hook has counted the request, 0 if not, -1 with an exception that is not
 * an Exception: propagate it. */
static int is_counted_by_hook(ds_py_wrapper *self, PyObject *scope, int64_t *queue_time_ms) {
    PyObject *stamp;
    ds_py_entry_points *entry_points = &self->state->entry_points;
    if (!atomic_load_explicit(&entry_points->hook_called, memory_order_relaxed)) return 0;
    if (find_stamp(self->state, scope, &stamp) < 0) return -1;
    int counted = environ_counted_by_hook(self, scope, stamp, queue_time_ms);
    if (counted == 0)
        counted = ds_py_entry_points_hooked_in_context(entry_points, stamp, queue_time_ms);
    Py_XDECREF(stamp);
    return counted;
}

static ds_py_counted_by measure_slow_path(ds_py_wrapper *self, PyObject *scope, int64_t *entered_ns,
                                          int64_t *queue_time_ms) {
    ds_py_entry_points *entry_points = &self->state->entry_points;
    ds_py_entry_points_mark_no_more(entry_points); /* an ASGI wrapper marks in any case */
    if ((ds_py_entry_points_flags(entry_points) & DS_PY_SERVER_UNKNOWN) != 0 &&
        look_at_server(self, scope) < 0)
        return DS_PY_COUNTED_RAISED;
    int hooked = is_counted_by_hook(self, scope, queue_time_ms);
    if (hooked != 0) return hooked > 0 ? DS_PY_COUNTED_BY_HOOK : DS_PY_COUNTED_RAISED;
    int late = 0;
    if ((ds_py_entry_points_flags(entry_points) & DS_PY_SERVER_READS_BODIES) != 0)
        late = has_body(self->state, scope);
    if (late < 0) return DS_PY_COUNTED_RAISED;
    return measure(self, scope, late > 0, entered_ns, queue_time_ms);
}

static const ds_py_wrapper_kind kind = {
    .kind = DS_PY_KIND_ASGI,
    .name = "DynoscaleAsgiApp",
    .call = call,
    .measure = measure_slow_path,
    .find_stamp = find_stamp,
    .answer = 2,
    .time_answer = ds_py_timed_new,
    .timed = "Send",
    .get_call = get_call,
};

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *settings) {
    (void)args, (void)settings;
    return ds_py_wrapper_new(type, &kind);
}

PyDoc_STRVAR(doc,
             "DynoscaleAsgiApp(app, /, **settings)\n--\n\n"
             "An ASGI application that measures each HTTP request and calls `app`.\n\n"
             "Transparent: attributes are the app's, its awaitable is passed on untouched, and so\n"
             "are other scopes, but that the end of lifespan reports first. Settings given here "
             "are given to dynoscale.configure().");

int ds_py_add_asgi_app(PyObject *module) {
    return ds_py_add_wrapper(module, "dynoscale.asgi.DynoscaleAsgiApp", doc, make);
}
