/*
 * DynoscaleRuby::Doctor: the core's findings, one by one, for the command line in
 * ruby/lib/dynoscale_ruby/cli.rb. Threads that share a doctor take turns in the core.
 */
#include "binding.h"

#include <ruby/thread.h>

#include "dynoscale_cli.h"

typedef struct holder {
    dynoscale_doctor *doctor; /* NULL before initialize */
} holder;

static void holder_free(void *data) {
    dynoscale_doctor_free(((holder *)data)->doctor);
    xfree(data);
}

static const rb_data_type_t doctor_type = {
    .wrap_struct_name = "DynoscaleRuby::Doctor",
    .function = {.dfree = holder_free},
    .flags = RUBY_TYPED_FREE_IMMEDIATELY,
};

static VALUE doctor_allocate(VALUE class) {
    holder *h;
    return TypedData_Make_Struct(class, holder, &doctor_type, h);
}

static holder *holder_of(VALUE self) { return rb_check_typeddata(self, &doctor_type); }

/* initialize(settings, runtime, app's address or nil, timeout_ms) */
static VALUE doctor_initialize(VALUE self, VALUE settings, VALUE runtime, VALUE app_url,
                               VALUE timeout_ms) {
    dynoscale_doctor *doctor;
    const char *runtime_text = StringValueCStr(runtime);
    const char *url = NIL_P(app_url) ? NULL : StringValueCStr(app_url);
    int64_t timeout = NUM2LL(timeout_ms);
    if (holder_of(self)->doctor) rb_raise(rb_eArgError, "already initialized");
    dynoscale_error error = dynoscale_doctor_new(ds_rb_options_of(settings), "ruby", runtime_text,
                                                 url, timeout, &doctor);
    if (error == DYNOSCALE_ERROR_NO_MEMORY) rb_memerror();
    if (error != DYNOSCALE_OK)
        rb_raise(rb_eArgError, "%s", dynoscale_text_of(DYNOSCALE_TEXT_WRONG_URL));
    holder_of(self)->doctor = doctor;
    return self;
}

static dynoscale_doctor *doctor_of(VALUE self) {
    dynoscale_doctor *doctor = holder_of(self)->doctor;
    if (!doctor) rb_raise(rb_eArgError, "uninitialized");
    return doctor;
}

/* ---- Waiting without the interpreter's lock ----------------------------------------------- */

typedef struct wait {
    dynoscale_doctor *doctor;
    dynoscale_finding finding;
    dynoscale_error error;
    atomic_bool interrupted;
} wait;

/* Called without the lock: must not call Ruby. */
static bool is_interrupted(void *context) {
    wait *w = context;
    return atomic_load(&w->interrupted);
}

/* Called by the interrupting thread or by Ruby's signal handler, without the lock: must not call
 * Ruby. Ruby is told so (RB_NOGVL_UBF_ASYNC_SAFE): otherwise it starts a thread for it. */
static void interrupt(void *context) {
    wait *w = context;
    atomic_store(&w->interrupted, true);
}

/* Called without the lock: must not call Ruby. */
static void *wait_unlocked(void *context) {
    wait *w = context;
    w->error = dynoscale_doctor_next(w->doctor, is_interrupted, w, &w->finding);
    return NULL;
}

/* A text of the core: UTF-8, but may be cut inside a character. */
static VALUE text_of(const char *text) {
    return rb_funcall(rb_utf8_str_new_cstr(text), rb_intern("scrub"), 0);
}

/* next -> [check, health, text, remedy, measure, value], or nil past the last. If an interrupt is a
 * signal whose handler returns, the wait goes on; if it raises, that leaves this function. */
static VALUE doctor_next(VALUE self) {
    wait w = {.doctor = doctor_of(self)};
    do {
        rb_thread_check_ints();
        atomic_store(&w.interrupted, false);
        rb_nogvl(wait_unlocked, &w, interrupt, &w, RB_NOGVL_UBF_ASYNC_SAFE);
    } while (w.error == DYNOSCALE_ERROR_INTERRUPTED);
    RB_GC_GUARD(self);
    const dynoscale_finding *found = &w.finding;
    if (!found->check) return Qnil;
    return rb_ary_new_from_args(6, rb_utf8_str_new_cstr(found->check),
                                rb_utf8_str_new_cstr(dynoscale_health_name(found->health)),
                                text_of(found->text), text_of(found->remedy),
                                rb_utf8_str_new_cstr(found->measure), LL2NUM(found->value));
}

/* verdict -> [whether all findings so far are good, a sentence] */
static VALUE doctor_verdict(VALUE self) {
    char text[DYNOSCALE_VERDICT_SIZE];
    bool well = dynoscale_doctor_verdict(doctor_of(self), text);
    return rb_assoc_new(well ? Qtrue : Qfalse, rb_utf8_str_new_cstr(text));
}

/* {name: text}, deeply frozen. */
static VALUE texts(void) {
    VALUE texts = rb_hash_new();
    for (int i = 0; i < DYNOSCALE_TEXT_COUNT; i++) {
        dynoscale_text text = (dynoscale_text)i;
        rb_hash_aset(texts, ID2SYM(rb_intern(dynoscale_text_name(text))),
                     rb_obj_freeze(rb_utf8_str_new_cstr(dynoscale_text_of(text))));
    }
    return rb_obj_freeze(texts);
}

void ds_rb_doctor_init(VALUE module) {
    VALUE class = rb_define_class_under(module, "Doctor", rb_cObject);
    rb_define_const(class, "TEXTS", texts());
    rb_define_alloc_func(class, doctor_allocate);
    rb_undef_method(class, "initialize_copy");
    rb_define_method(class, "initialize", doctor_initialize, 4);
    rb_define_method(class, "next", doctor_next, 0);
    rb_define_method(class, "verdict", doctor_verdict, 0);
}
