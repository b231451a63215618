/*
 * DynoscaleRuby::Options: a set of settings that is being filled, over the core's options. Its
 * subclass Settings, in ruby/lib/dynoscale_ruby/settings.rb, converts Ruby's types to text and
 * back.
 */
#include "binding.h"

#include <string.h>

#include "dynoscale_cli.h"

static void options_free(void *options) { dynoscale_options_free(options); }

static size_t options_size(const void *options) {
    size_t size = 0;
    for (int i = 0; options && i < DYNOSCALE_SETTING_COUNT; i++) {
        const char *value = dynoscale_options_get(options, (dynoscale_setting)i);
        size += value ? strlen(value) : 0;
    }
    return size;
}

static const rb_data_type_t options_type = {
    .wrap_struct_name = "DynoscaleRuby::Options",
    .function = {.dfree = options_free, .dsize = options_size},
    .flags = RUBY_TYPED_FREE_IMMEDIATELY | RUBY_TYPED_WB_PROTECTED,
};

static VALUE options_allocate(VALUE class) {
    VALUE self = TypedData_Wrap_Struct(class, &options_type, NULL);
    dynoscale_options *options = dynoscale_options_new();
    if (!options) rb_memerror();
    RTYPEDDATA_DATA(self) = options;
    return self;
}

static dynoscale_options *unwrap(VALUE self) { return rb_check_typeddata(self, &options_type); }

const dynoscale_options *ds_rb_options_of(VALUE settings) { return unwrap(settings); }

static dynoscale_setting setting_of(VALUE name) {
    VALUE text = rb_sym2str(rb_to_symbol(name));
    dynoscale_setting setting =
        dynoscale_setting_find(RSTRING_PTR(text), (size_t)RSTRING_LEN(text));
    if (setting == DYNOSCALE_SETTING_COUNT)
        rb_raise(rb_eArgError, "there is no setting %" PRIsVALUE, rb_inspect(name));
    return setting;
}

static VALUE text_or_nil(const char *text) { return text ? rb_utf8_str_new_cstr(text) : Qnil; }

static VALUE source_symbol(dynoscale_source source) {
    switch (source) {
    case DYNOSCALE_SOURCE_ENVIRONMENT:
        return ID2SYM(rb_intern("environment"));
    case DYNOSCALE_SOURCE_FRAMEWORK:
        return ID2SYM(rb_intern("framework"));
    case DYNOSCALE_SOURCE_CODE:
        return ID2SYM(rb_intern("code"));
    default:
        return ID2SYM(rb_intern("default"));
    }
}

static dynoscale_source source_of(VALUE symbol) {
    if (symbol == source_symbol(DYNOSCALE_SOURCE_FRAMEWORK)) return DYNOSCALE_SOURCE_FRAMEWORK;
    if (symbol == source_symbol(DYNOSCALE_SOURCE_CODE)) return DYNOSCALE_SOURCE_CODE;
    rb_raise(rb_eArgError, "a setting is given by :framework or :code, not by %" PRIsVALUE,
             rb_inspect(symbol));
}

/* read_environment -> self: reads the environment's current values. */
static VALUE options_read_environment(VALUE self) {
    if (dynoscale_options_read_environment(unwrap(self)) != DYNOSCALE_OK) rb_memerror();
    return self;
}

/* store(name, text or nil, source) -> true, or false if the value is unusable. */
static VALUE options_store(VALUE self, VALUE name, VALUE value, VALUE source) {
    const char *text = NIL_P(value) ? NULL : StringValuePtr(value);
    size_t length = NIL_P(value) ? 0 : (size_t)RSTRING_LEN(value);
    dynoscale_error error =
        dynoscale_options_set(unwrap(self), setting_of(name), text, length, source_of(source));
    if (error == DYNOSCALE_ERROR_NO_MEMORY) rb_memerror();
    return error == DYNOSCALE_OK ? Qtrue : Qfalse;
}

/* text(name) -> the value that counts as text, secrets in full; nil if there is none. */
static VALUE options_text(VALUE self, VALUE name) {
    return text_or_nil(dynoscale_options_get(unwrap(self), setting_of(name)));
}

/* shown(name) -> the same, without secrets. */
static VALUE options_shown(VALUE self, VALUE name) {
    return text_or_nil(dynoscale_options_show(unwrap(self), setting_of(name)));
}

/* source(name) -> :default, :environment, :framework or :code. */
static VALUE options_source(VALUE self, VALUE name) {
    return source_symbol(dynoscale_options_source(unwrap(self), setting_of(name)));
}

/* core_warnings -> an Array of lines. */
static VALUE options_core_warnings(VALUE self) {
    const dynoscale_options *options = unwrap(self);
    VALUE warnings = rb_ary_new();
    const char *text;
    for (size_t i = 0; (text = dynoscale_options_warning(options, i)); i++)
        rb_ary_push(warnings, rb_utf8_str_new_cstr(text));
    return warnings;
}

/* off_reason -> a sentence that says why the agent stays off with these settings, or nil. */
static VALUE options_off_reason(VALUE self) {
    dynoscale_off_reason reason = dynoscale_options_off_reason(unwrap(self));
    return reason == DYNOSCALE_ON ? Qnil : rb_utf8_str_new_cstr(dynoscale_off_text(reason));
}

/* off_unusual? -> whether that reason deserves a warning. */
static VALUE options_off_unusual(VALUE self) {
    dynoscale_off_reason reason = dynoscale_options_off_reason(unwrap(self));
    return dynoscale_off_is_unusual(reason) ? Qtrue : Qfalse;
}

static VALUE frozen_text(const char *text) { return rb_obj_freeze(rb_utf8_str_new_cstr(text)); }

/* {name: {variable:, standard:, meaning:}}, deeply frozen. */
static VALUE options_table(void) {
    VALUE table = rb_hash_new();
    for (int i = 0; i < DYNOSCALE_SETTING_COUNT; i++) {
        dynoscale_setting setting = (dynoscale_setting)i;
        VALUE row = rb_hash_new();
        rb_hash_aset(row, ID2SYM(rb_intern("variable")),
                     frozen_text(dynoscale_setting_variable(setting)));
        rb_hash_aset(row, ID2SYM(rb_intern("standard")),
                     frozen_text(dynoscale_setting_standard(setting)));
        rb_hash_aset(row, ID2SYM(rb_intern("meaning")),
                     frozen_text(dynoscale_setting_meaning(setting)));
        rb_hash_aset(table, ID2SYM(rb_intern(dynoscale_setting_name(setting))), rb_obj_freeze(row));
    }
    return rb_obj_freeze(table);
}

void ds_rb_options_init(VALUE module) {
    VALUE class = rb_define_class_under(module, "Options", rb_cObject);
    rb_define_const(class, "TABLE", options_table());
    rb_define_alloc_func(class, options_allocate);
    rb_undef_method(class, "initialize_copy");
    rb_define_private_method(class, "read_environment", options_read_environment, 0);
    rb_define_private_method(class, "store", options_store, 3);
    rb_define_private_method(class, "text", options_text, 1);
    rb_define_private_method(class, "core_warnings", options_core_warnings, 0);
    rb_define_method(class, "shown", options_shown, 1);
    rb_define_method(class, "source", options_source, 1);
    rb_define_method(class, "off_reason", options_off_reason, 0);
    rb_define_method(class, "off_unusual?", options_off_unusual, 0);
}
