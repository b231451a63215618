/*
 * DynoscaleRuby::Settings: a set of settings that is being filled, over the core's options.
 * ruby/lib/dynoscale_ruby/settings.rb converts Ruby's types to text and back.
 */
#include "binding.h"

#include <string.h>

#include "dynoscale_cli.h"

static void settings_free(void *options) { dynoscale_options_free(options); }

static size_t settings_size(const void *options) {
    size_t size = 0;
    for (int i = 0; options && i < DYNOSCALE_SETTING_COUNT; i++) {
        const char *value = dynoscale_options_get(options, (dynoscale_setting)i);
        size += value ? strlen(value) : 0;
    }
    return size;
}

static const rb_data_type_t settings_type = {
    .wrap_struct_name = "DynoscaleRuby::Settings",
    .function = {.dfree = settings_free, .dsize = settings_size},
    .flags = RUBY_TYPED_FREE_IMMEDIATELY | RUBY_TYPED_WB_PROTECTED,
};

static VALUE settings_allocate(VALUE class) {
    VALUE self = TypedData_Wrap_Struct(class, &settings_type, NULL);
    dynoscale_options *options = dynoscale_options_new();
    if (!options) rb_memerror();
    RTYPEDDATA_DATA(self) = options;
    return self;
}

static dynoscale_options *options_of(VALUE self) {
    return rb_check_typeddata(self, &settings_type);
}

const dynoscale_options *ds_rb_settings_options(VALUE settings) { return options_of(settings); }

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
static VALUE settings_read_environment(VALUE self) {
    if (dynoscale_options_read_environment(options_of(self)) != DYNOSCALE_OK) rb_memerror();
    return self;
}

/* store(name, text or nil, source) -> true, or false if the value is unusable. */
static VALUE settings_store(VALUE self, VALUE name, VALUE value, VALUE source) {
    const char *text = NIL_P(value) ? NULL : StringValuePtr(value);
    size_t length = NIL_P(value) ? 0 : (size_t)RSTRING_LEN(value);
    dynoscale_error error =
        dynoscale_options_set(options_of(self), setting_of(name), text, length, source_of(source));
    if (error == DYNOSCALE_ERROR_NO_MEMORY) rb_memerror();
    return error == DYNOSCALE_OK ? Qtrue : Qfalse;
}

/* text(name) -> the value that counts as text, secrets in full; nil if there is none. */
static VALUE settings_text(VALUE self, VALUE name) {
    return text_or_nil(dynoscale_options_get(options_of(self), setting_of(name)));
}

/* shown(name) -> the same, without secrets. */
static VALUE settings_shown(VALUE self, VALUE name) {
    return text_or_nil(dynoscale_options_show(options_of(self), setting_of(name)));
}

/* source(name) -> :default, :environment, :framework or :code. */
static VALUE settings_source(VALUE self, VALUE name) {
    return source_symbol(dynoscale_options_source(options_of(self), setting_of(name)));
}

/* core_warnings -> an Array of lines. */
static VALUE settings_core_warnings(VALUE self) {
    const dynoscale_options *options = options_of(self);
    VALUE warnings = rb_ary_new();
    const char *text;
    for (size_t i = 0; (text = dynoscale_options_warning(options, i)); i++)
        rb_ary_push(warnings, rb_utf8_str_new_cstr(text));
    return warnings;
}

/* off_reason -> a sentence that says why the agent stays off with these settings, or nil. */
static VALUE settings_off_reason(VALUE self) {
    dynoscale_off_reason reason = dynoscale_options_off_reason(options_of(self));
    return reason == DYNOSCALE_ON ? Qnil : rb_utf8_str_new_cstr(dynoscale_off_text(reason));
}

/* off_unusual? -> whether that reason deserves a warning. */
static VALUE settings_off_unusual(VALUE self) {
    dynoscale_off_reason reason = dynoscale_options_off_reason(options_of(self));
    return dynoscale_off_is_unusual(reason) ? Qtrue : Qfalse;
}

static VALUE frozen_text(const char *text) { return rb_obj_freeze(rb_utf8_str_new_cstr(text)); }

/* {name: {variable:, standard:, meaning:}}, deeply frozen. */
static VALUE settings_table(void) {
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

void ds_rb_settings_init(VALUE module) {
    VALUE class = rb_define_class_under(module, "Settings", rb_cObject);
    rb_define_const(class, "TABLE", settings_table());
    rb_define_alloc_func(class, settings_allocate);
    rb_undef_method(class, "initialize_copy");
    rb_define_private_method(class, "read_environment", settings_read_environment, 0);
    rb_define_private_method(class, "store", settings_store, 3);
    rb_define_private_method(class, "text", settings_text, 1);
    rb_define_private_method(class, "core_warnings", settings_core_warnings, 0);
    rb_define_method(class, "shown", settings_shown, 1);
    rb_define_method(class, "source", settings_source, 1);
    rb_define_method(class, "off_reason", settings_off_reason, 0);
    rb_define_method(class, "off_unusual?", settings_off_unusual, 0);
}
