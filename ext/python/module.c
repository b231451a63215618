/*
 * dynoscale._native: the core for Python.
 *
 * Suggested reading order: state.h (what an interpreter has), agent.c (the functions), wsgi_app.c,
 * asgi_app.c and gunicorn_hook.c (the request path), wrapper.h (what both wrappers share),
 * entry_points.h (how a request is counted once), slot.h (how the agent is replaced), options.c
 * (settings), doctor.c (for the command line). python/dynoscale/_agent.py has what need not be
 * fast: opening the agent, logging, exit.
 */
#include "parts.h"
#include "state.h"

static int execute(PyObject *module) {
    ds_py_state_of(module)->module = module;
    bool added = ds_py_state_init(ds_py_state_of(module)) == 0 && ds_py_add_options(module) == 0 &&
                 ds_py_add_doctor(module) == 0 && ds_py_add_agent(module) == 0 &&
                 ds_py_add_timed(module) == 0 && ds_py_add_wsgi_app(module) == 0 &&
                 ds_py_add_asgi_app(module) == 0 && ds_py_add_gunicorn_hook(module) == 0;
    return added ? PyModule_AddStringConstant(module, "VERSION", DYNOSCALE_VERSION) : -1;
}

static int traverse(PyObject *module, visitproc visit, void *arg) {
    return ds_py_state_traverse(ds_py_state_of(module), visit, arg);
}

static int clear(PyObject *module) {
    ds_py_state_clear(ds_py_state_of(module));
    return 0;
}

static void end(void *module) { clear(module); }

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, DS_SLOT(execute)},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "dynoscale._native",
    .m_doc = "Dynoscale's core for Python; the public names are in the package dynoscale.",
    .m_size = sizeof(ds_py_state),
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = end,
};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&definition); }
