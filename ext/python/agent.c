/* The functions of dynoscale._native that use the agent. */
#include "state.h"

#include <math.h>
#include <string.h>

#include "options.h"
#include "parts.h"

/* ---- Opening ------------------------------------------------------------------------------ */

/* Returns NULL with an exception, or if the agent is off, which sets *off. */
static ds_py_handle *open_handle(const dynoscale_options *options, char *settings, bool *off) {
    dynoscale_agent *agent;
    dynoscale_error error = dynoscale_agent_open(options, "python", &agent);
    *off = error == DYNOSCALE_ERROR_OFF;
    if (error == DYNOSCALE_OK) {
        ds_py_handle *handle = ds_py_handle_new(agent, settings);
        if (handle != NULL) return handle;
        dynoscale_agent_free(agent);
    }
    if (!*off) PyErr_NoMemory();
    return NULL;
}

static long shown_by(const dynoscale_options *options) {
    return (ds_py_options_on(options, DYNOSCALE_SETTING_QUEUE_TIME) ? DS_PY_SHOW_APP : 0) |
           (ds_py_options_on(options, DYNOSCALE_SETTING_SERVER_TIMING) ? DS_PY_SHOW_BROWSER : 0);
}

/* Whether the current agent was opened with the same settings and is not stopped. */
static bool is_open_with(ds_py_slot *slot, const char *settings) {
    ds_py_handle *handle = ds_py_slot_hold(slot);
    bool same =
        handle != NULL && !atomic_load(&handle->stopped) && strcmp(handle->settings, settings) == 0;
    ds_py_handle_release(handle);
    return same;
}

PyDoc_STRVAR(open_doc,
             "open($module, options, /)\n--\n\n"
             "Opens the agent with these settings and replaces the previous one; keeps it if they\n"
             "are the same. True if the agent is on.");

static PyObject *open_agent(PyObject *module, PyObject *object) {
    ds_py_state *state = ds_py_state_of(module);
    const dynoscale_options *options = ds_py_options_of(state, object);
    if (options == NULL) return NULL;
    char *settings = ds_py_options_text(options);
    if (settings == NULL) return PyErr_NoMemory();
    if (is_open_with(&state->slot, settings)) {
        PyMem_RawFree(settings);
        Py_RETURN_TRUE;
    }
    /* Release the old agent first: the core would return it again for the same URL. */
    ds_py_slot_replace(&state->slot, NULL);
    bool off;
    ds_py_handle *handle = open_handle(options, settings, &off);
    ds_py_entry_points_set_shown(&state->entry_points, handle != NULL ? shown_by(options) : 0);
    if (handle != NULL) ds_py_slot_replace(&state->slot, handle);
    else PyMem_RawFree(settings);
    atomic_store(&state->decided, true);
    return handle != NULL || off ? PyBool_FromLong(handle != NULL) : NULL;
}

PyDoc_STRVAR(is_decided_doc, "is_decided($module, /)\n--\n\n"
                             "Whether open() was called: settings were read.");

static PyObject *is_decided(PyObject *module, PyObject *nothing) {
    (void)nothing;
    return PyBool_FromLong(atomic_load(&ds_py_state_of(module)->decided));
}

/* ---- Waiting ------------------------------------------------------------------------------ */

typedef dynoscale_error (*waiting_function)(dynoscale_agent *agent, int64_t timeout_ms,
                                            dynoscale_interrupted interrupted, void *context);

static PyObject *wait_with(ds_py_handle *handle, PyObject *args, waiting_function function) {
    double timeout;
    if (!PyArg_ParseTuple(args, "d", &timeout)) return NULL;
    const double longest = 3600;                                                     /* seconds */
    int64_t timeout_ms = timeout > 0 ? (int64_t)(fmin(timeout, longest) * 1000) : 0; /* NaN: 0 */
    dynoscale_agent *agent = handle != NULL ? handle->agent : NULL;

    PyThreadState *thread = PyEval_SaveThread();
    dynoscale_error error = function(agent, timeout_ms, ds_py_is_interrupted, &thread);
    PyEval_RestoreThread(thread);
    if (PyErr_Occurred() != NULL) return NULL; /* a signal's handler raised */
    return PyBool_FromLong(error == DYNOSCALE_OK);
}

PyDoc_STRVAR(flush_doc, "flush($module, timeout, /)\n--\n\n"
                        "Sends what was recorded; True once the service has accepted it.");

static PyObject *flush(PyObject *module, PyObject *args) {
    ds_py_handle *handle = ds_py_slot_hold(&ds_py_state_of(module)->slot);
    PyObject *result = wait_with(handle, args, dynoscale_agent_flush);
    ds_py_handle_release(handle);
    return result;
}

PyDoc_STRVAR(stop_doc,
             "stop($module, timeout, /)\n--\n\n"
             "Sends what was recorded and stops the agent in this process. True if nothing was\n"
             "dropped.");

static PyObject *stop(PyObject *module, PyObject *args) {
    ds_py_handle *handle = ds_py_slot_hold(&ds_py_state_of(module)->slot);
    if (handle != NULL) atomic_store(&handle->stopped, true);
    PyObject *result = wait_with(handle, args, dynoscale_agent_stop);
    ds_py_handle_release(handle);
    return result;
}

/* ---- Signals ------------------------------------------------------------------------------ */

PyDoc_STRVAR(send_at_signals_doc,
             "send_at_signals($module, /)\n--\n\n"
             "Where SIGTERM, SIGQUIT and SIGHUP have the default action, installs a handler that\n"
             "first sends what was recorded. Python's own signal handling does not see it.");

static PyObject *send_at_signals(PyObject *module, PyObject *nothing) {
    (void)module, (void)nothing;
    dynoscale_send_at_signals();
    Py_RETURN_NONE;
}

PyDoc_STRVAR(hold_signals_doc,
             "hold_signals($module, /, *numbers)\n--\n\n"
             "Holds signals back until release_signals(); False if they are held back already.");

static PyObject *hold_signals(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    int numbers[8];
    size_t known = 0;
    for (Py_ssize_t i = 0; i < count && known < sizeof numbers / sizeof *numbers; i++) {
        long number = PyLong_AsLong(args[i]);
        if (number == -1 && PyErr_Occurred() != NULL) return NULL;
        numbers[known++] = (int)number;
    }
    return PyBool_FromLong(dynoscale_hold_signals(numbers, known));
}

static PyObject *release_signals(PyObject *module, PyObject *nothing) {
    (void)module, (void)nothing;
    dynoscale_release_signals();
    Py_RETURN_NONE;
}

/* ---- Job queues --------------------------------------------------------------------------- */

static ds_py_text name_of(PyObject *object) {
    Py_ssize_t length;
    const char *text = PyUnicode_Check(object) ? PyUnicode_AsUTF8AndSize(object, &length) : NULL;
    if (text != NULL) return (ds_py_text){text, (size_t)length};
    PyErr_Clear();
    return (ds_py_text){NULL, 0};
}

/* The ms, or -1 if it is not a number of ms; with an exception only if that is not an Exception. */
static int64_t ms_of(PyObject *object) {
    double ms = PyFloat_AsDouble(object); /* asks __float__, then __index__ */
    if (ms == -1.0 && PyErr_Occurred() != NULL) return (void)ds_py_swallow(), -1;
    const double most = 9007199254740992.0; /* 2^53: whole numbers end there */
    return ms >= 0 && ms <= most ? (int64_t)ms : -1;
}

PyDoc_STRVAR(
    job_queue_time_doc,
    "job_queue_time($module, /, backend, queue, ms)\n--\n\n"
    "Records how long the oldest of a queue's jobs that are ready has waited, in ms; 0 for\n"
    "an empty queue. Reported as BACKEND:QUEUE.\n"
    "\n"
    "backend: 1 to 32 of a-z, 0-9 and _; queue: 1 to 200 bytes of UTF-8 without control\n"
    "characters. False if it was not recorded: an unusable name or number (counted as\n"
    "jobs_refused), too many unsent readings (dropped_full), stopped, or off.");

static PyObject *job_queue_time(PyObject *module, PyObject *args, PyObject *names) {
    static char *parameters[] = {"backend", "queue", "ms", NULL};
    PyObject *backend, *queue, *number;
    if (!PyArg_ParseTupleAndKeywords(args, names, "OOO:job_queue_time", parameters, &backend,
                                     &queue, &number))
        return NULL;
    ds_py_state *state = ds_py_state_of(module);
    if (ds_py_need_agent(state) < 0) return NULL;
    ds_py_text backend_name = name_of(backend), queue_name = name_of(queue);
    int64_t ms = ms_of(number);
    if (PyErr_Occurred() != NULL) return NULL;
    ds_py_reader reader = ds_py_slot_enter(&state->slot);
    dynoscale_error error =
        dynoscale_agent_job_queue_time(reader.agent, backend_name.data, backend_name.length,
                                       queue_name.data, queue_name.length, ms);
    ds_py_slot_leave(&reader);
    return PyBool_FromLong(error == DYNOSCALE_OK);
}

PyDoc_STRVAR(
    leads_doc,
    "leads($module, topic=None, /)\n--\n\n"
    "Whether this process reads the job queues of a topic, for instance a backend's name,\n"
    "for its dyno: the first living process that asked. Takes a system call or two: ask once\n"
    "an interval.");

static PyObject *leads(PyObject *module, PyObject *args) {
    const char *topic = NULL;
    if (!PyArg_ParseTuple(args, "|z:leads", &topic)) return NULL;
    ds_py_handle *handle = ds_py_slot_hold(&ds_py_state_of(module)->slot);
    bool answer = handle != NULL && dynoscale_agent_leads(handle->agent, topic);
    ds_py_handle_release(handle);
    return PyBool_FromLong(answer);
}

PyDoc_STRVAR(
    watch_leader_doc,
    "watch_leader($module, topic=None, /)\n--\n\n"
    "A file descriptor that becomes readable when the process that leads in the topic has\n"
    "ended, for the caller to close; None if there is none.");

static PyObject *watch_leader(PyObject *module, PyObject *args) {
    const char *topic = NULL;
    if (!PyArg_ParseTuple(args, "|z:watch_leader", &topic)) return NULL;
    ds_py_handle *handle = ds_py_slot_hold(&ds_py_state_of(module)->slot);
    int ended = handle != NULL ? dynoscale_agent_watch_leader(handle->agent, topic) : -1;
    ds_py_handle_release(handle);
    if (ended < 0) Py_RETURN_NONE;
    return PyLong_FromLong(ended);
}

/* ---- What the service asks for -------------------------------------------------------------- */

PyDoc_STRVAR(asked_doc,
             "asked($module, /)\n--\n\n"
             "What the service asks for: names of signals, whether this process may read job\n"
             "queues, ms between heartbeats or 0.");

static PyObject *asked(PyObject *module, PyObject *nothing) {
    (void)nothing;
    dynoscale_asked asked;
    ds_py_handle *handle = ds_py_slot_hold(&ds_py_state_of(module)->slot);
    dynoscale_agent_asked(handle != NULL ? handle->agent : NULL, &asked);
    ds_py_handle_release(handle);
    PyObject *names = PyList_New(0);
    for (int i = 0; names != NULL && i < DYNOSCALE_SIGNAL_COUNT; i++) {
        if ((asked.signals >> i & 1) == 0) continue;
        PyObject *name = PyUnicode_FromString(dynoscale_signal_name((dynoscale_signal)i));
        if (name == NULL || PyList_Append(names, name) < 0) Py_CLEAR(names);
        Py_XDECREF(name);
    }
    if (names == NULL) return NULL;
    return Py_BuildValue("(NOL)", names, asked.jobs ? Py_True : Py_False,
                         (long long)asked.heartbeat_ms);
}

PyDoc_STRVAR(
    job_signal_doc,
    "job_signal($module, backend, queue, signal, jobs, /)\n--\n\n"
    "Records how many jobs of a queue are ready (\"depth\") or running (\"working\"), if the\n"
    "service asks for it.");

static PyObject *job_signal(PyObject *module, PyObject *args) {
    const char *signal;
    PyObject *backend, *queue;
    long long jobs;
    if (!PyArg_ParseTuple(args, "OOsL:job_signal", &backend, &queue, &signal, &jobs)) return NULL;
    ds_py_text backend_name = name_of(backend), queue_name = name_of(queue);
    bool depth = strcmp(signal, dynoscale_signal_name(DYNOSCALE_SIGNAL_DEPTH)) == 0;
    ds_py_reader reader = ds_py_slot_enter(&ds_py_state_of(module)->slot);
    dynoscale_error error = dynoscale_agent_job_signal(
        reader.agent, backend_name.data, backend_name.length, queue_name.data, queue_name.length,
        depth ? DYNOSCALE_SIGNAL_DEPTH : DYNOSCALE_SIGNAL_WORKING, jobs);
    ds_py_slot_leave(&reader);
    return PyBool_FromLong(error == DYNOSCALE_OK);
}

/* ---- What happened ------------------------------------------------------------------------ */

PyDoc_STRVAR(counters_doc, "counters($module, /)\n--\n\nThe counters of this process by name.");

static PyObject *counters(PyObject *module, PyObject *nothing) {
    (void)nothing;
    int64_t values[DYNOSCALE_COUNTER_COUNT];
    ds_py_handle *handle = ds_py_slot_hold(&ds_py_state_of(module)->slot);
    dynoscale_agent_counters(handle != NULL ? handle->agent : NULL, values);
    ds_py_handle_release(handle);

    PyObject *dict = PyDict_New();
    for (int i = 0; dict != NULL && i < DYNOSCALE_COUNTER_COUNT; i++) {
        PyObject *value = PyLong_FromLongLong(values[i]);
        const char *name = dynoscale_counter_name((dynoscale_counter)i);
        if (value == NULL || PyDict_SetItemString(dict, name, value) < 0) Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    return dict;
}

PyDoc_STRVAR(next_event_doc,
             "next_event($module, /)\n--\n\n"
             "The oldest event to log, as (level, text), or None; levels are logging's.");

static PyObject *next_event(PyObject *module, PyObject *nothing) {
    (void)nothing;
    dynoscale_level level;
    char text[DYNOSCALE_EVENT_SIZE];
    ds_py_handle *handle = ds_py_slot_hold(&ds_py_state_of(module)->slot);
    bool taken = handle != NULL && dynoscale_agent_next_event(handle->agent, &level, text);
    ds_py_handle_release(handle);
    if (!taken) Py_RETURN_NONE;
    PyObject *line = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
    if (line == NULL) return NULL;
    return Py_BuildValue("(iN)", ((int)level + 1) * 10, line);
}

PyDoc_STRVAR(in_main_interpreter_doc,
             "in_main_interpreter($module, /)\n--\n\nFalse in a sub-interpreter.");

static PyObject *in_main_interpreter(PyObject *module, PyObject *nothing) {
    (void)module, (void)nothing;
    return PyBool_FromLong(PyInterpreterState_Get() == PyInterpreterState_Main());
}

/* ---- The functions ------------------------------------------------------------------------ */

static PyMethodDef functions[] = {
    {"open", open_agent, METH_O, open_doc},
    {"is_decided", is_decided, METH_NOARGS, is_decided_doc},
    {"flush", flush, METH_VARARGS, flush_doc},
    {"stop", stop, METH_VARARGS, stop_doc},
    {"send_at_signals", send_at_signals, METH_NOARGS, send_at_signals_doc},
    {"hold_signals", DS_METHOD(hold_signals), METH_FASTCALL, hold_signals_doc},
    {"release_signals", release_signals, METH_NOARGS, NULL},
    {"job_queue_time", DS_METHOD(job_queue_time), METH_VARARGS | METH_KEYWORDS, job_queue_time_doc},
    {"leads", leads, METH_VARARGS, leads_doc},
    {"watch_leader", watch_leader, METH_VARARGS, watch_leader_doc},
    {"asked", asked, METH_NOARGS, asked_doc},
    {"job_signal", job_signal, METH_VARARGS, job_signal_doc},
    {"counters", counters, METH_NOARGS, counters_doc},
    {"next_event", next_event, METH_NOARGS, next_event_doc},
    {"in_main_interpreter", in_main_interpreter, METH_NOARGS, in_main_interpreter_doc},
    {NULL, NULL, 0, NULL},
};

int ds_py_add_agent(PyObject *module) { return PyModule_AddFunctions(module, functions); }
