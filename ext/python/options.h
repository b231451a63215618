/* Options: the settings, in the core's form. */
#ifndef DYNOSCALE_PYTHON_OPTIONS_H
#define DYNOSCALE_PYTHON_OPTIONS_H

#include "state.h"

/* The core's options in an Options object; NULL with a TypeError. */
const dynoscale_options *ds_py_options_of(ds_py_state *state, PyObject *object);
/* Whether a boolean setting is on. */
bool ds_py_options_on(const dynoscale_options *options, dynoscale_setting setting);
/* All settings as one text from PyMem_RawMalloc; NULL without memory. */
char *ds_py_options_text(const dynoscale_options *options);

#endif
