/* DynoscaleWsgiApp: a WSGI application that measures each request and calls the app it wraps. */
#include <string.h>

#include "parts.h"
#include "wrapper.h"

DS_COLD static int measure_by_both(ds_py_state *state, PyObject *environ, PyObject *start,
                                   int64_t *queue_time_ms) {
    PyObject *queue_start;
    if (ds_py_lookup(environ, state->key_queue_start, &queue_start) < 0) return -1;
    ds_py_record(state, start, queue_start, queue_time_ms);
    Py_XDECREF(queue_start);
    return 0;
}

/* ---- Servers that read bodies first ------------------------------------------------------- */

/* Whether the body is of a type that servers put there which have read it: bodies in memory or in a
 * file, and Twisted's. Returns as is_unusual_server. */
static int is_read(ds_py_state *state, PyObject *environ) {
    static const char *const types[] = {"_io.BytesIO", "SpooledTemporaryFile", "_InputStream"};
    PyObject *body;
    if (ds_py_lookup(environ, state->entry_points.key_input, &body) < 0) return -1;
    bool known = false;
    for (size_t i = 0; body != NULL && i < sizeof types / sizeof *types; i++)
        known = known || strcmp(Py_TYPE(body)->tp_name, types[i]) == 0;
    Py_XDECREF(body);
    return known;
}

/* Whether Python code has to look at the server: not for gunicorn, whose processes are forked. The
 * first request of a forked process waits for it, and each page that Python writes to there is
 * copied. Returns 1 or 0, or -1 with an exception that is not an Exception: propagate it. */
static int is_unusual_server(ds_py_state *state, PyObject *environ) {
    static const char gunicorn[] = "gunicorn/";
    PyObject *software;
    if (ds_py_lookup(environ, state->key_server_software, &software) < 0) return -1;
    ds_py_text text = ds_py_text_of(software);
    bool is_gunicorn =
        text.length >= sizeof gunicorn - 1 && memcmp(text.data, gunicorn, sizeof gunicorn - 1) == 0;
    Py_XDECREF(software);
    return is_gunicorn ? is_read(state, environ) : 1;
}

DS_COLD int ds_py_look_at_wsgi_server(ds_py_state *state, PyObject *environ) {
    int unusual = is_unusual_server(state, environ);
    if (unusual < 0) return -1;
    if (unusual == 0) {
        ds_py_entry_points_know_server(&state->entry_points, false);
        return 0;
    }
    PyObject *answer = ds_py_call("dynoscale._servers", "reads_bodies", environ, NULL);
    int reads = answer != NULL ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    if (reads < 0 && ds_py_swallow() < 0) return -1;
    ds_py_entry_points_know_server(&state->entry_points, reads > 0);
    return 0;
}

/* Returns 1 if the value at the key says that there is a body, 0 if not, -1 with an exception that
 * is not an Exception: propagate it. */
static int says_body(PyObject *environ, PyObject *key) {
    PyObject *value;
    if (ds_py_lookup(environ, key, &value) < 0) return -1;
    bool says = ds_py_wrapper_says_body(value);
    Py_XDECREF(value);
    return says;
}

static int has_body(ds_py_entry_points *entry_points, PyObject *environ) {
    int has = says_body(environ, entry_points->key_content_length);
    return has != 0 ? has : says_body(environ, entry_points->key_chunked);
}

/* ---- A request ---------------------------------------------------------------------------- */

/* Records a request that was not counted. `late`: its stamp may be from before the body arrived, so
 * it gives no sample. -1 with an exception that is not an Exception: propagate it. */
static inline int record(ds_py_state *state, PyObject *environ, PyObject *start, bool late,
                         int64_t *entered_ns, int64_t *queue_time_ms) {
    int result = ds_py_record_start(state, late ? NULL : start, entered_ns, queue_time_ms);
    if (late && result == 0) ds_py_record(state, NULL, NULL, queue_time_ms);
    else if (DS_UNLIKELY(*queue_time_ms < 0) && result == 0)
        result = measure_by_both(state, environ, start, queue_time_ms);
    return result;
}

static inline ds_py_counted_by measure(ds_py_wrapper *self, PyObject *environ, int64_t *entered_ns,
                                       int64_t *queue_time_ms) {
    ds_py_state *state = self->state;
    PyObject *start;
    if (ds_py_lookup(environ, state->key_request_start, &start) < 0) return DS_PY_COUNTED_RAISED;
    ds_py_counted_by counted_by = DS_PY_COUNTED_BY_NONE;
    if (DS_UNLIKELY(!ds_py_entry_points_is_new(&state->entry_points, start)))
        counted_by = ds_py_entry_points_mark_old(&state->entry_points, self, environ, start);
    if (DS_LIKELY(counted_by == DS_PY_COUNTED_BY_NONE) &&
        DS_UNLIKELY(record(state, environ, start, false, entered_ns, queue_time_ms) < 0))
        counted_by = DS_PY_COUNTED_RAISED;
    Py_XDECREF(start);
    return counted_by;
}

/* Where the service asks something of requests. */
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
    if (DS_LIKELY(measure(self, args[0], timed, &queue_time_ms) >= 0))
        result = PyObject_Vectorcall(self->app, args, flagged_count, names);
    ds_py_slot_request_leaves(&self->state->slot, entered_ns);
    return result;
}

DS_FLAT static PyObject *call(PyObject *object, PyObject *const *args, size_t flagged_count,
                              PyObject *names) {
    ds_py_wrapper *self = (ds_py_wrapper *)object;
    if (DS_UNLIKELY(self->app == NULL)) return ds_py_wrapper_raise_no_app(self);
    ds_py_state *state = self->state;
    /* Without an environ there is nothing to measure; the app raises for wrong arguments. */
    if (ds_py_slot_on(&state->slot) && DS_LIKELY(PyVectorcall_NARGS(flagged_count) > 0) &&
        DS_LIKELY(PyDict_Check(args[0]))) {
        int64_t queue_time_ms;
        int asked = dynoscale_asked_of_requests();
        if (DS_UNLIKELY(ds_py_entry_points_need_slow_path(&state->entry_points)))
            return ds_py_wrapper_call_slow_path(self, args, flagged_count, names);
        if (DS_UNLIKELY(asked != 0)) return call_asked(self, args, flagged_count, names, asked);
        if (DS_UNLIKELY(measure(self, args[0], NULL, &queue_time_ms) < 0)) return NULL;
        return PyObject_Vectorcall(self->app, args, flagged_count, names);
    }
    return ds_py_wrapper_call_app(self, args, flagged_count, names);
}

/* The hook may have counted the request, or another wrapper. */
static ds_py_counted_by mark(ds_py_wrapper *self, PyObject *environ, PyObject *start,
                             int64_t *queue_time_ms) {
    ds_py_entry_points *entry_points = &self->state->entry_points;
    ds_py_counted_by counted_by =
        ds_py_entry_points_mark(entry_points, self, environ, entry_points->key_input, start);
    if (counted_by == DS_PY_COUNTED_BY_NONE && ds_py_entry_points_several(entry_points)) {
        int hooked = ds_py_entry_points_counted_by_hook(entry_points, environ, queue_time_ms);
        if (hooked < 0) return DS_PY_COUNTED_RAISED;
        if (hooked > 0) counted_by = DS_PY_COUNTED_BY_HOOK;
    }
    if (counted_by == DS_PY_COUNTED_BY_NONE)
        counted_by = ds_py_entry_points_compare(entry_points, environ, start);
    ds_py_entry_points_marked(entry_points, start, counted_by);
    return counted_by;
}

static ds_py_counted_by measure_slow_path(ds_py_wrapper *self, PyObject *environ,
                                          int64_t *entered_ns, int64_t *queue_time_ms) {
    ds_py_state *state = self->state;
    long flags = ds_py_entry_points_flags(&state->entry_points);
    if ((flags & DS_PY_SERVER_UNKNOWN) != 0 && ds_py_look_at_wsgi_server(state, environ) < 0)
        return DS_PY_COUNTED_RAISED;
    int late = 0;
    if ((ds_py_entry_points_flags(&state->entry_points) & DS_PY_SERVER_READS_BODIES) != 0)
        late = has_body(&state->entry_points, environ);
    PyObject *start;
    if (late < 0 || ds_py_lookup(environ, state->key_request_start, &start) < 0)
        return DS_PY_COUNTED_RAISED;
    ds_py_counted_by counted_by = mark(self, environ, start, queue_time_ms);
    if (counted_by == DS_PY_COUNTED_BY_NONE &&
        record(state, environ, start, late > 0, entered_ns, queue_time_ms) < 0)
        counted_by = DS_PY_COUNTED_RAISED;
    Py_XDECREF(start);
    return counted_by;
}

static int find_stamp(ds_py_state *state, PyObject *environ, PyObject **stamp) {
    return ds_py_lookup(environ, state->key_request_start, stamp);
}

static const ds_py_wrapper_kind kind = {
    .kind = DS_PY_KIND_WSGI,
    .name = "DynoscaleWsgiApp",
    .call = call,
    .measure = measure_slow_path,
    .find_stamp = find_stamp,
    .answer = 1,
    .timed = "StartResponse",
};

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *settings) {
    (void)args, (void)settings;
    return ds_py_wrapper_new(type, &kind);
}

PyDoc_STRVAR(doc,
             "DynoscaleWsgiApp(app, /, **settings)\n--\n\n"
             "A WSGI application that measures each request and calls `app`.\n\n"
             "Transparent: attributes are the app's, its answer and its exceptions are passed\n"
             "on untouched. Settings given here are given to dynoscale.configure().");

int ds_py_add_wsgi_app(PyObject *module) {
    return ds_py_add_wrapper(module, "dynoscale.wsgi.DynoscaleWsgiApp", doc, make);
}
