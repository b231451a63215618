/*
 * DynoscaleRuby::Middleware: counts a request and hands it on. All of `call` is in C: a method in
 * Ruby that calls one in C takes as long (with YJIT a few ns less), and is one more of everything.
 */
#include "binding.h"
#include "env.h"

typedef struct middleware {
    VALUE app;
    bool living; /* counted as a door */
} middleware;

/* The doors of the process that requests may come through: instances alive. */
static atomic_int doors;

static void middleware_mark(void *data) { rb_gc_mark(((middleware *)data)->app); }

static void middleware_free(void *data) {
    const middleware *m = data;
    if (m->living) atomic_fetch_sub(&doors, 1);
    xfree(data);
}

static size_t middleware_size(const void *data) {
    (void)data;
    return sizeof(middleware);
}

static const rb_data_type_t middleware_type = {
    .wrap_struct_name = "DynoscaleRuby::Middleware",
    .function = {.dmark = middleware_mark, .dfree = middleware_free, .dsize = middleware_size},
    .flags = RUBY_TYPED_FREE_IMMEDIATELY | RUBY_TYPED_WB_PROTECTED,
};

static VALUE middleware_allocate(VALUE class) {
    middleware *m;
    VALUE self = TypedData_Make_Struct(class, middleware, &middleware_type, m);
    m->app = Qnil;
    return self;
}

static void become_a_door(VALUE self, VALUE app) {
    middleware *m = rb_check_typeddata(self, &middleware_type);
    RB_OBJ_WRITE(self, &m->app, app);
    if (m->living) return;
    m->living = true;
    atomic_fetch_add(&doors, 1);
}

/* Middleware.new(app): what `use DynoscaleRuby::Middleware` calls. */
static VALUE middleware_initialize(VALUE self, VALUE app) {
    become_a_door(self, app);
    ds_rb_agent_begin();
    if (ds_rb_in_main_ractor())
        rb_funcall(rb_path2class("DynoscaleRuby::Jobs"), rb_intern("mounted"), 0);
    return self;
}

static VALUE middleware_initialize_copy(VALUE self, VALUE original) {
    const middleware *m = rb_check_typeddata(original, &middleware_type);
    become_a_door(self, m->app);
    return self;
}

/* ---- A request ---------------------------------------------------------------------------- */

typedef struct text {
    const char *start; /* NULL: none */
    size_t length;
} text;

/* Nil is no value. What is no String has a meaning to the app, maybe, but is no time. */
static inline text text_of(VALUE value) {
    if (RB_LIKELY(NIL_P(value))) return (text){NULL, 0};
    if (RB_LIKELY(RB_TYPE_P(value, T_STRING)))
        return (text){RSTRING_PTR(value), (size_t)RSTRING_LEN(value)};
    return (text){"?", 1};
}

static double body_wait_of(VALUE value) {
    if (NIL_P(value)) return 0;
    if (FIXNUM_P(value)) return (double)FIX2LONG(value);
    if (RB_FLOAT_TYPE_P(value)) return RFLOAT_VALUE(value);
    /* Converting a big one warns where it is out of a double's range; any of them is longer than
     * every queue time. */
    if (RB_TYPE_P(value, T_BIGNUM)) return RBIGNUM_POSITIVE_P(value) ? 1e18 : 0;
    return 0;
}

/* The queue time in ms, negative where there is none. Raises nothing, and calls no code of the
 * app's. */
static int64_t count_request(dynoscale_agent *agent, VALUE env) {
    ds_rb_env values = {Qnil, Qnil, Qnil};
    if (RB_LIKELY(RB_TYPE_P(env, T_HASH))) values = ds_rb_env_read(env);
    text start = text_of(values.start), queue_start = text_of(values.queue_start);
    return dynoscale_agent_request(agent, start.start, start.length, queue_start.start,
                                   queue_start.length, body_wait_of(values.body_wait));
}

static VALUE call_app(const middleware *m, VALUE env) {
    return rb_funcallv_public(m->app, rb_intern("call"), 1, &env);
}

typedef struct marked_call {
    const middleware *middleware;
    VALUE env;
} marked_call;

static VALUE call_app_marked(VALUE context) {
    const marked_call *call = (marked_call *)context;
    return call_app(call->middleware, call->env);
}

static VALUE unmark(VALUE env) {
    ds_rb_env_unmark(env);
    return Qnil;
}

/* The answer, or one like it that has the header, too: see server_timing.rb. */
static VALUE tell_browser(VALUE answer, int64_t queue_time_ms) {
    if (queue_time_ms < 0) return answer;
    VALUE module = rb_path2class("DynoscaleRuby::ServerTiming");
    return rb_funcall(module, rb_intern("add"), 2, answer, LL2NUM(queue_time_ms));
}

/* With several doors in the process, or somebody to tell the queue time. */
COLDFUNC static VALUE call_with_care(const middleware *m, const ds_rb_agent *current, VALUE env) {
    /* Now: `current` is no more than a number once Ruby has been called. */
    int told = current->told;
    bool marks = atomic_load_explicit(&doors, memory_order_relaxed) > 1;
    ds_rb_env_claim claim = DS_RB_ENV_UNMARKABLE;
    if (marks) claim = ds_rb_env_mark(env);
    if (claim == DS_RB_ENV_COUNTED) return call_app(m, env);

    int64_t queue_time_ms = count_request(current->agent, env);
    if (told & DS_RB_TOLD_APP) ds_rb_env_tell(env, queue_time_ms);
    marked_call call = {m, env};
    VALUE answer = claim == DS_RB_ENV_MARKED ? rb_ensure(call_app_marked, (VALUE)&call, unmark, env)
                                             : call_app(m, env);
    return told & DS_RB_TOLD_BROWSER ? tell_browser(answer, queue_time_ms) : answer;
}

/* call(env) -> the app's answer, untouched, unless server_timing is on; and so are its exceptions.
 */
static VALUE middleware_call(VALUE self, VALUE env) {
    /* Unchecked: Ruby calls this with instances of the class only, and all are allocated above. */
    const middleware *m = RTYPEDDATA_DATA(self);
    const ds_rb_agent *current = ds_rb_agent_current();
    if (!current) return call_app(m, env);
    if (RB_UNLIKELY(dynoscale_agent_has_event(current->agent))) {
        ds_rb_agent_tell_events();
        current = ds_rb_agent_current(); /* the logger's code may have configured anew */
        if (!current) return call_app(m, env);
    }
    if (RB_UNLIKELY(current->told || atomic_load_explicit(&doors, memory_order_relaxed) > 1) &&
        RB_TYPE_P(env, T_HASH))
        return call_with_care(m, current, env);
    count_request(current->agent, env);
    return call_app(m, env);
}

void ds_rb_middleware_init(VALUE module) {
    ds_rb_env_init();
    VALUE class = rb_define_class_under(module, "Middleware", rb_cObject);
    rb_define_alloc_func(class, middleware_allocate);
    rb_define_method(class, "initialize", middleware_initialize, 1);
    rb_define_method(class, "initialize_copy", middleware_initialize_copy, 1);
    rb_define_method(class, "call", middleware_call, 1);
}
