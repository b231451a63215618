/*
 * What the gem is compared with: a middleware that only calls the app, made by the same means, and
 * the floor of reference/floor.h.
 */
#include <ruby.h>

#include "../instructions/collect.h"
#include "floor.h"

static const rb_data_type_t passthrough_type = {
    .wrap_struct_name = "Reference::Passthrough",
    .function = {.dmark = (void (*)(void *))rb_gc_mark},
    .flags = RUBY_TYPED_FREE_IMMEDIATELY,
};

static VALUE passthrough_new(VALUE class, VALUE app) {
    return TypedData_Wrap_Struct(class, &passthrough_type, (void *)app);
}

static VALUE passthrough_call(VALUE self, VALUE env) {
    return rb_funcallv((VALUE)RTYPEDDATA_DATA(self), rb_intern("call"), 1, &env);
}

static VALUE nothing(VALUE self, VALUE argument) {
    (void)argument;
    return self;
}

static VALUE floor_ns(VALUE self, VALUE calls) {
    (void)self;
    return DBL2NUM(bench_floor_ns(NUM2LONG(calls)));
}

static VALUE clock_ns(VALUE self, VALUE calls) {
    (void)self;
    return DBL2NUM(bench_clock_ns(NUM2LONG(calls)));
}

static VALUE thread_us(VALUE self) {
    (void)self;
    return DBL2NUM(bench_thread_us());
}

static VALUE post_once(VALUE self, VALUE url) {
    (void)self;
    return bench_post_once(StringValueCStr(url)) ? Qtrue : Qfalse;
}

/* Between the two instructions are counted, under a name; see bench/instructions. */
static VALUE begin_counting(VALUE self) {
    CALLGRIND_ZERO_STATS;
    CALLGRIND_TOGGLE_COLLECT;
    return self;
}

static VALUE end_counting(VALUE self, VALUE name) {
    CALLGRIND_TOGGLE_COLLECT;
    CALLGRIND_DUMP_STATS_AT(StringValueCStr(name));
    return self;
}

RUBY_FUNC_EXPORTED void Init_reference(void);
void Init_reference(void) {
    VALUE module = rb_define_module("Reference");
    rb_define_module_function(module, "nothing", nothing, 1);
    rb_define_module_function(module, "floor_ns", floor_ns, 1);
    rb_define_module_function(module, "clock_ns", clock_ns, 1);
    rb_define_module_function(module, "thread_us", thread_us, 0);
    rb_define_module_function(module, "post_once", post_once, 1);
    rb_define_module_function(module, "begin", begin_counting, 0);
    rb_define_module_function(module, "end", end_counting, 1);
    VALUE class = rb_define_class_under(module, "Passthrough", rb_cObject);
    rb_undef_alloc_func(class);
    rb_define_singleton_method(class, "new", passthrough_new, 1);
    rb_define_method(class, "call", passthrough_call, 1);
}
