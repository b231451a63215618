/*
 * What DynoscaleRuby::Middleware does with a request, and DynoscaleRuby::Door. The class itself is
 * in ruby/lib/dynoscale_ruby/rack.rb.
 */
#include "binding.h"
#include "env.h"

/* ---- Doors: middlewares that are alive ---------------------------------------------------- */

typedef struct door {
    bool open; /* counted */
} door;

/* The doors of the process that requests may come through. */
static atomic_int doors;

static void door_free(void *data) {
    const door *d = data;
    if (d->open) atomic_fetch_sub(&doors, 1);
    xfree(data);
}

static size_t door_size(const void *data) {
    (void)data;
    return sizeof(door);
}

static const rb_data_type_t door_type = {
    .wrap_struct_name = "DynoscaleRuby::Door",
    .function = {.dfree = door_free, .dsize = door_size},
    .flags = RUBY_TYPED_FREE_IMMEDIATELY | RUBY_TYPED_WB_PROTECTED,
};

static VALUE door_allocate(VALUE class) {
    door *d;
    VALUE self = TypedData_Make_Struct(class, door, &door_type, d);
    d->open = true;
    atomic_fetch_add(&doors, 1);
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

/* Where X-Request-Start is not one plausible time. */
__attribute__((cold, noinline)) static int64_t count_by_both(VALUE env, const ds_rb_env *values) {
    VALUE stand_in = RB_TYPE_P(env, T_HASH) ? ds_rb_env_queue_start(env) : Qnil;
    dynoscale_agent *agent = ds_rb_agent_now(); /* a key of the env's may be code of the app's */
    text start = text_of(values->start), queue_start = text_of(stand_in);
    return dynoscale_agent_request(agent, start.start, start.length, queue_start.start,
                                   queue_start.length, body_wait_of(values->body_wait));
}

/* The queue time in ms, negative where there is none. */
static int64_t count_request(VALUE env) {
    ds_rb_env values = {Qnil, Qnil};
    if (RB_LIKELY(RB_TYPE_P(env, T_HASH))) values = ds_rb_env_read(env);
    dynoscale_agent *agent = ds_rb_agent_now(); /* a key of the env's may be code of the app's */
    if (RB_UNLIKELY(!agent)) return -1;
    text start = text_of(values.start);
    int64_t queue_time_ms = dynoscale_agent_request_start(agent, start.start, start.length,
                                                          body_wait_of(values.body_wait));
    return RB_LIKELY(queue_time_ms >= 0) ? queue_time_ms : count_by_both(env, &values);
}

static VALUE call_app(VALUE app, VALUE env) {
    return rb_funcallv_public(app, rb_intern("call"), 1, &env);
}

typedef struct marked_call {
    VALUE app, env;
} marked_call;

static VALUE call_app_marked(VALUE context) {
    const marked_call *call = (marked_call *)context;
    return call_app(call->app, call->env);
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

static bool needs_care(const ds_rb_agent *current, VALUE env) {
    return RB_UNLIKELY(current->told || atomic_load_explicit(&doors, memory_order_relaxed) > 1) &&
           RB_TYPE_P(env, T_HASH);
}

/* count(env) -> false: done, the app may be called; true: call_with_care is to do both. All that is
 * called on a request's way, the core's part too, becomes one piece of code here, which saves a
 * tenth of its instructions. */
__attribute__((flatten)) static VALUE middleware_count(VALUE self, VALUE env) {
    (void)self;
    const ds_rb_agent *current = ds_rb_agent_current();
    if (!current) return Qfalse;
    if (RB_UNLIKELY(dynoscale_agent_has_event(current->agent))) {
        ds_rb_agent_tell_events();
        current = ds_rb_agent_current(); /* the logger's code may have configured anew */
        if (!current) return Qfalse;
    }
    if (needs_care(current, env)) return Qtrue;
    count_request(env);
    return Qfalse;
}

/* call_with_care(app, env) -> the answer. With several doors in the process, or somebody to tell
 * the queue time. */
static VALUE middleware_call_with_care(VALUE self, VALUE app, VALUE env) {
    (void)self;
    const ds_rb_agent *current = ds_rb_agent_current();
    if (!current || !RB_TYPE_P(env, T_HASH)) return call_app(app, env);
    int told = current->told; /* now: `current` may be gone once Ruby was called, as by a mark */
    bool marks = atomic_load_explicit(&doors, memory_order_relaxed) > 1;
    ds_rb_env_claim claim = DS_RB_ENV_UNMARKABLE;
    if (marks) claim = ds_rb_env_mark(env);
    if (claim == DS_RB_ENV_COUNTED) return call_app(app, env);

    int64_t queue_time_ms = count_request(env);
    if (told & DS_RB_TOLD_APP) ds_rb_env_tell(env, queue_time_ms);
    marked_call call = {app, env};
    VALUE answer = claim == DS_RB_ENV_MARKED ? rb_ensure(call_app_marked, (VALUE)&call, unmark, env)
                                             : call_app(app, env);
    return told & DS_RB_TOLD_BROWSER ? tell_browser(answer, queue_time_ms) : answer;
}

void ds_rb_middleware_init(VALUE module) {
    ds_rb_env_init();
    VALUE door_class = rb_define_class_under(module, "Door", rb_cObject);
    rb_define_alloc_func(door_class, door_allocate);
    rb_undef_method(door_class, "initialize_copy");
    VALUE class = rb_define_class_under(module, "Middleware", rb_cObject);
    rb_define_private_method(class, "count", middleware_count, 1);
    rb_define_private_method(class, "call_with_care", middleware_call_with_care, 2);
}
