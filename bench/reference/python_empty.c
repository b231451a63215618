/* The least that `import` of an extension can take. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyModuleDef_Slot slots[] = {{0, NULL}};
static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "reference_empty",
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit_reference_empty(void) { return PyModuleDef_Init(&definition); }
