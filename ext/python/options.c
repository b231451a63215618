/* Options: the core's settings for Python. Nothing is parsed here. */
#include "options.h"

#include <string.h>

#include "dynoscale_cli.h"
#include "parts.h"

typedef struct options_object {
    PyObject_HEAD dynoscale_options *options;
} options_object;

static dynoscale_options *options_in(PyObject *self) { return ((options_object *)self)->options; }

/* Text of the core; None for NULL. */
static PyObject *str_or_none(const char *text) {
    if (text == NULL) Py_RETURN_NONE;
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
}

static const char *source_name(dynoscale_source source) {
    switch (source) {
    case DYNOSCALE_SOURCE_DEFAULT:
        return "default";
    case DYNOSCALE_SOURCE_ENVIRONMENT:
        return "environment";
    case DYNOSCALE_SOURCE_FRAMEWORK:
        return "framework";
    case DYNOSCALE_SOURCE_CODE:
        return "code";
    }
    return "unknown";
}

/* DYNOSCALE_SETTING_COUNT with an exception. */
static dynoscale_setting find_setting(PyObject *name) {
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(name, &length);
    if (text == NULL) return DYNOSCALE_SETTING_COUNT;
    dynoscale_setting setting = dynoscale_setting_find(text, (size_t)length);
    if (setting == DYNOSCALE_SETTING_COUNT) PyErr_SetObject(PyExc_KeyError, name);
    return setting;
}

static PyObject *read_environment(PyObject *self, PyObject *nothing) {
    (void)nothing;
    if (dynoscale_options_read_environment(options_in(self)) != DYNOSCALE_OK)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

/* set(name, value, by_framework=False) */
static PyObject *set(PyObject *self, PyObject *args) {
    PyObject *name;
    const char *value;
    Py_ssize_t length;
    int by_framework = 0;
    if (!PyArg_ParseTuple(args, "Us#|p:set", &name, &value, &length, &by_framework)) return NULL;
    dynoscale_setting setting = find_setting(name);
    if (setting == DYNOSCALE_SETTING_COUNT) return NULL;
    dynoscale_source source = by_framework ? DYNOSCALE_SOURCE_FRAMEWORK : DYNOSCALE_SOURCE_CODE;
    dynoscale_error error =
        dynoscale_options_set(options_in(self), setting, value, (size_t)length, source);
    if (error == DYNOSCALE_ERROR_NO_MEMORY) return PyErr_NoMemory();
    return PyBool_FromLong(error == DYNOSCALE_OK);
}

static PyObject *show(PyObject *self, PyObject *name) {
    if (!PyUnicode_Check(name)) return PyErr_Format(PyExc_TypeError, "a name is a str");
    dynoscale_setting setting = find_setting(name);
    if (setting == DYNOSCALE_SETTING_COUNT) return NULL;
    return str_or_none(dynoscale_options_show(options_in(self), setting));
}

static PyObject *row(const dynoscale_options *options, dynoscale_setting setting) {
    PyObject *value = str_or_none(dynoscale_options_show(options, setting));
    if (value == NULL) return NULL;
    return Py_BuildValue("(ssNsss)", dynoscale_setting_name(setting),
                         dynoscale_setting_variable(setting), value,
                         source_name(dynoscale_options_source(options, setting)),
                         dynoscale_setting_standard(setting), dynoscale_setting_meaning(setting));
}

/* Appends and consumes the reference. -1 with an exception, also if `item` is NULL. */
static int append(PyObject *list, PyObject *item) {
    if (item == NULL) return -1;
    int result = PyList_Append(list, item);
    Py_DECREF(item);
    return result;
}

static PyObject *rows(PyObject *self, PyObject *nothing) {
    (void)nothing;
    PyObject *list = PyList_New(0);
    for (int i = 0; list != NULL && i < DYNOSCALE_SETTING_COUNT; i++)
        if (append(list, row(options_in(self), (dynoscale_setting)i)) < 0) Py_CLEAR(list);
    return list;
}

static PyObject *warnings(PyObject *self, PyObject *nothing) {
    (void)nothing;
    PyObject *list = PyList_New(0);
    const char *text;
    for (size_t i = 0; list && (text = dynoscale_options_warning(options_in(self), i)) != NULL; i++)
        if (append(list, str_or_none(text)) < 0) Py_CLEAR(list);
    return list;
}

static PyObject *off_reason(PyObject *self, PyObject *nothing) {
    (void)nothing;
    dynoscale_off_reason reason = dynoscale_options_off_reason(options_in(self));
    return str_or_none(reason == DYNOSCALE_ON ? NULL : dynoscale_off_text(reason));
}

static PyObject *off_is_unusual(PyObject *self, PyObject *nothing) {
    (void)nothing;
    dynoscale_off_reason reason = dynoscale_options_off_reason(options_in(self));
    return PyBool_FromLong(dynoscale_off_is_unusual(reason));
}

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *names) {
    static char *no_names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, names, ":Options", no_names)) return NULL;
    options_object *self = (options_object *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    self->options = dynoscale_options_new();
    if (self->options != NULL) return (PyObject *)self;
    Py_DECREF(self);
    return PyErr_NoMemory();
}

static void end(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    dynoscale_options_free(options_in(self));
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"read_environment", read_environment, METH_NOARGS, NULL},
    {"set", set, METH_VARARGS, NULL},
    {"show", show, METH_O, NULL},
    {"rows", rows, METH_NOARGS, NULL},
    {"warnings", warnings, METH_NOARGS, NULL},
    {"off_reason", off_reason, METH_NOARGS, NULL},
    {"off_is_unusual", off_is_unusual, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(doc, "A set of settings: the defaults at first.");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)doc},
    {Py_tp_new, DS_SLOT(make)},
    {Py_tp_dealloc, DS_SLOT(end)},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "dynoscale._native.Options",
    .basicsize = sizeof(options_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

static int add_setting_names(PyObject *module) {
    PyObject *names = PyTuple_New(DYNOSCALE_SETTING_COUNT);
    for (int i = 0; names != NULL && i < DYNOSCALE_SETTING_COUNT; i++) {
        PyObject *name = PyUnicode_FromString(dynoscale_setting_name((dynoscale_setting)i));
        if (name == NULL) Py_CLEAR(names);
        else PyTuple_SET_ITEM(names, i, name);
    }
    if (names == NULL) return -1;
    int added = PyObject_SetAttrString(module, "SETTING_NAMES", names);
    Py_DECREF(names);
    return added;
}

int ds_py_add_options(PyObject *module) {
    ds_py_state *state = ds_py_state_of(module);
    state->options_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    if (state->options_type == NULL || PyModule_AddType(module, state->options_type) < 0) return -1;
    return add_setting_names(module);
}

/* ---- For the other parts ------------------------------------------------------------------ */

const dynoscale_options *ds_py_options_of(ds_py_state *state, PyObject *object) {
    if (Py_TYPE(object) == state->options_type) return options_in(object);
    PyErr_SetString(PyExc_TypeError, "an Options object is needed");
    return NULL;
}

bool ds_py_options_on(const dynoscale_options *options, dynoscale_setting setting) {
    const char *value = dynoscale_options_get(options, setting);
    return value != NULL && strcmp(value, "true") == 0;
}

char *ds_py_options_text(const dynoscale_options *options) {
    size_t size = 1;
    const char *values[DYNOSCALE_SETTING_COUNT];
    for (int i = 0; i < DYNOSCALE_SETTING_COUNT; i++) {
        const char *value = dynoscale_options_get(options, (dynoscale_setting)i);
        values[i] = value != NULL ? value : "";
        size += strlen(values[i]) + 1;
    }
    char *text = PyMem_RawMalloc(size), *end_of_text = text;
    if (text == NULL) return NULL;
    for (int i = 0; i < DYNOSCALE_SETTING_COUNT; i++) {
        size_t length = strlen(values[i]);
        memcpy(end_of_text, values[i], length);
        end_of_text[length] = '\n';
        end_of_text += length + 1;
    }
    *end_of_text = '\0';
    return text;
}
