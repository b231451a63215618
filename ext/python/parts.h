/* The classes and functions that each part adds to a new module. -1 with an exception. */
#ifndef DYNOSCALE_PYTHON_PARTS_H
#define DYNOSCALE_PYTHON_PARTS_H

#include "compat.h"

int ds_py_add_agent(PyObject *module);         /* agent.c */
int ds_py_add_wsgi_app(PyObject *module);      /* wsgi_app.c */
int ds_py_add_asgi_app(PyObject *module);      /* asgi_app.c */
int ds_py_add_gunicorn_hook(PyObject *module); /* gunicorn_hook.c */
int ds_py_add_options(PyObject *module);       /* options.c */
int ds_py_add_timed(PyObject *module);         /* timed.c */
int ds_py_add_doctor(PyObject *module);        /* doctor.c */

#endif
