/* The least that `require` of an extension can take. */
#include <ruby.h>

RUBY_FUNC_EXPORTED void Init_reference_empty(void);
void Init_reference_empty(void) { rb_define_module("ReferenceEmpty"); }
