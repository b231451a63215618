#include "binding.h"

RUBY_FUNC_EXPORTED void Init_dynoscale_ruby(void);

void Init_dynoscale_ruby(void) {
    rb_ext_ractor_safe(true); /* tests/ruby/ractor_test.rb */
    VALUE module = rb_define_module("DynoscaleRuby");
    rb_define_const(module, "VERSION", rb_obj_freeze(rb_str_new_cstr(DYNOSCALE_VERSION)));
    ds_rb_options_init(module);
    ds_rb_agent_init(module);
    ds_rb_middleware_init(module);
    ds_rb_doctor_init(module);
}
