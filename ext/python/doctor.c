/* Doctor: the core's findings, one by one. The interpreter's lock is released while it waits. */
#include "options.h"

#include <string.h>

#include "dynoscale_cli.h"
#include "parts.h"

typedef struct doctor_object {
    PyObject_HEAD dynoscale_doctor *doctor;
} doctor_object;

static doctor_object *doctor_in(PyObject *self) { return (doctor_object *)self; }

/* Text of the core, which may be cut inside a character. */
static PyObject *str_of(const char *text) {
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
}

static PyObject *tuple_of(const dynoscale_finding *finding) {
    PyObject *text = str_of(finding->text), *remedy = str_of(finding->remedy);
    if (text != NULL && remedy != NULL)
        return Py_BuildValue("(ssNNsL)", finding->check, dynoscale_health_name(finding->health),
                             text, remedy, finding->measure, (long long)finding->value);
    Py_XDECREF(text);
    Py_XDECREF(remedy);
    return NULL;
}

static PyObject *next(PyObject *self) {
    dynoscale_finding finding = {0};
    PyThreadState *thread = PyEval_SaveThread();
    dynoscale_doctor_next(doctor_in(self)->doctor, ds_py_is_interrupted, &thread, &finding);
    PyEval_RestoreThread(thread);
    if (PyErr_Occurred() != NULL || finding.check == NULL) return NULL;
    return tuple_of(&finding);
}

static PyObject *verdict(PyObject *self, PyObject *nothing) {
    (void)nothing;
    char text[DYNOSCALE_VERDICT_SIZE];
    bool well = dynoscale_doctor_verdict(doctor_in(self)->doctor, text);
    return Py_BuildValue("(Os)", well ? Py_True : Py_False, text);
}

/* A failed __new__ leaves an exception. */
static int open_doctor(doctor_object *self, PyObject *args) {
    PyObject *object;
    const char *runtime, *app_url;
    double timeout;
    if (!PyArg_ParseTuple(args, "Oszd:Doctor", &object, &runtime, &app_url, &timeout)) return -1;
    ds_py_state *state = PyType_GetModuleState(Py_TYPE(self));
    const dynoscale_options *options = ds_py_options_of(state, object);
    if (options == NULL) return -1;
    const double longest = 3600; /* seconds */
    int64_t timeout_ms =
        timeout > 0 ? (int64_t)((timeout < longest ? timeout : longest) * 1000) : 0;
    dynoscale_error error =
        dynoscale_doctor_new(options, "python", runtime, app_url, timeout_ms, &self->doctor);
    if (error == DYNOSCALE_OK) return 0;
    if (error == DYNOSCALE_ERROR_INVALID)
        PyErr_SetString(PyExc_ValueError, dynoscale_text_of(DYNOSCALE_TEXT_WRONG_URL));
    else PyErr_NoMemory();
    return -1;
}

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *names) {
    if (names != NULL && PyDict_GET_SIZE(names) > 0)
        return PyErr_Format(PyExc_TypeError, "Doctor takes no keywords");
    PyObject *self = type->tp_alloc(type, 0);
    if (self == NULL || open_doctor(doctor_in(self), args) == 0) return self;
    Py_DECREF(self);
    return NULL;
}

static void end(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    dynoscale_doctor_free(doctor_in(self)->doctor);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"verdict", verdict, METH_NOARGS, "Whether all findings so far are good, and a sentence."},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(doc,
             "Doctor(options, runtime, app_url, timeout, /)\n--\n\n"
             "Checks whether a process with these options reports, and whether reports arrive.\n"
             "An iterator of (check, health, text, remedy, measure, value); see dynoscale_cli.h.\n"
             "app_url: an address of the app, or None; timeout: of an answer, in seconds.");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)doc},
    {Py_tp_new, DS_SLOT(make)},
    {Py_tp_dealloc, DS_SLOT(end)},
    {Py_tp_iter, DS_SLOT(PyObject_SelfIter)},
    {Py_tp_iternext, DS_SLOT(next)},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "dynoscale._native.Doctor",
    .basicsize = sizeof(doctor_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

static int add_type(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);
    if (type == NULL) return -1;
    int added = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return added;
}

static int add_texts(PyObject *module) {
    PyObject *texts = PyDict_New();
    for (int i = 0; texts != NULL && i < DYNOSCALE_TEXT_COUNT; i++) {
        PyObject *text = PyUnicode_FromString(dynoscale_text_of((dynoscale_text)i));
        const char *name = dynoscale_text_name((dynoscale_text)i);
        if (text == NULL || PyDict_SetItemString(texts, name, text) < 0) Py_CLEAR(texts);
        Py_XDECREF(text);
    }
    if (texts == NULL) return -1;
    int added = PyObject_SetAttrString(module, "TEXTS", texts);
    Py_DECREF(texts);
    return added;
}

int ds_py_add_doctor(PyObject *module) { return add_type(module) < 0 ? -1 : add_texts(module); }
