/*
 * The C part of DynoscaleRuby::Middleware, and DynoscaleRuby::EntryPoint. The class is in
 * ruby/lib/dynoscale_ruby/rack.rb.
 */
#include "binding.h"
#include "env.h"

/* ---- Entry points: living middlewares ----------------------------------------------------- */

typedef struct entry_point {
    bool open; /* counted */
} entry_point;

/* The living entry points of the process. */
static atomic_int entry_points;

static void entry_point_free(void *data) {
    const entry_point *d = data;
    if (d->open) atomic_fetch_sub(&entry_points, 1);
    xfree(data);
}

static size_t entry_point_size(const void *data) {
    (void)data;
    return sizeof(entry_point);
}

static const rb_data_type_t entry_point_type = {
    .wrap_struct_name = "DynoscaleRuby::EntryPoint",
    .function = {.dfree = entry_point_free, .dsize = entry_point_size},
    .flags = RUBY_TYPED_FREE_IMMEDIATELY | RUBY_TYPED_WB_PROTECTED,
};

static VALUE entry_point_allocate(VALUE class) {
    entry_point *d;
    VALUE self = TypedData_Make_Struct(class, entry_point, &entry_point_type, d);
    d->open = true;
    atomic_fetch_add(&entry_points, 1);
    return self;
}

/* ---- A request ---------------------------------------------------------------------------- */

typedef struct text {
    const char *start; /* NULL: none */
    size_t length;
} text;

/* Nil is no value. Anything but a String becomes a text that is not a time. */
static inline text text_of(VALUE value) {
    if (RB_LIKELY(NIL_P(value))) return (text){NULL, 0};
    if (RB_LIKELY(RB_TYPE_P(value, T_STRING)))
        return (text){RSTRING_PTR(value), (size_t)RSTRING_LEN(value)};
    return (text){"?", 1};
}

/* An unknown wait: see ruby/lib/dynoscale_ruby/body_waits.rb. */
static const VALUE unknown_wait = Qfalse;

static double body_wait_of(VALUE value) {
    if (NIL_P(value)) return 0;
    if (FIXNUM_P(value)) return (double)FIX2LONG(value);
    if (RB_FLOAT_TYPE_P(value)) return RFLOAT_VALUE(value);
    /* Converting a Bignum warns if it is out of a double's range. Any of them is longer than every
     * queue time. */
    if (RB_TYPE_P(value, T_BIGNUM)) return RBIGNUM_POSITIVE_P(value) ? 1e18 : 0;
    return 0;
}

/* ---- Requests that come again ------------------------------------------------------------- */

/*
 * An outer middleware may call the app again for the same request: a retry, a forward, a batch of
 * requests made from one. Its env may be a copy, but the header's String is the same object, which
 * no server gives to two requests. (Programs that make an env by hand may; theirs has no
 * rack.input.) So the Strings counted last are kept, and while one is kept no other object has its
 * address. Two requests whose Strings share a place replace each other: if the first comes again,
 * it is counted twice.
 *
 * Ractors share the table. If two change a place at once, it may have the stamp of one and the
 * queue time of the other. That affects only the queue time shown for a request that comes again.
 */
enum { COUNTED_PLACES = 256 };

typedef struct counted {
    _Atomic(VALUE) stamp; /* 0: none yet */
    int64_t queue_time_ms;
} counted;

static counted counted_last[COUNTED_PLACES];

static void counted_mark(void *unused) {
    (void)unused;
    for (int i = 0; i < COUNTED_PLACES; i++) {
        VALUE stamp = atomic_load_explicit(&counted_last[i].stamp, memory_order_relaxed);
        if (stamp) rb_gc_mark(stamp); /* and not moved */
    }
}

/* Without write barriers, so that each garbage collection marks it. */
static const rb_data_type_t counted_type = {
    .wrap_struct_name = "DynoscaleRuby::Counted",
    .function = {.dmark = counted_mark},
};

static void keep_counted(void) {
    rb_gc_register_mark_object(TypedData_Wrap_Struct(rb_cObject, &counted_type, counted_last));
}

/* The place of a request's stamp. NULL for anything but a String: a number is the same object each
 * time. Addresses of Strings are multiples of 8. */
static inline counted *counted_place(VALUE stamp) {
    if (RB_UNLIKELY(!RB_TYPE_P(stamp, T_STRING))) return NULL;
    return &counted_last[(stamp >> 3) % COUNTED_PLACES];
}

/* Rarely executed. Kept out of line so that flattening the hot path does not inline it. */
__attribute__((cold, noinline)) static bool is_of_server(VALUE env) {
    return ds_rb_env_has_input(env);
}

static inline bool is_counted(const counted *place, VALUE stamp, VALUE env) {
    return RB_UNLIKELY(place &&
                       atomic_load_explicit(&place->stamp, memory_order_relaxed) == stamp) &&
           is_of_server(env);
}

static inline void remember(counted *place, VALUE stamp, int64_t queue_time_ms) {
    if (!place) return;
    place->queue_time_ms = queue_time_ms;
    atomic_store_explicit(&place->stamp, stamp, memory_order_relaxed);
}

/* ---- Counting ----------------------------------------------------------------------------- */

/* For requests whose X-Request-Start is not one plausible time. */
__attribute__((cold, noinline)) static int64_t count_by_both(VALUE env, const ds_rb_env *values,
                                                             int64_t entered_ns) {
    VALUE stand_in = RB_TYPE_P(env, T_HASH) ? ds_rb_env_queue_start(env) : Qnil;
    if (values->body_wait == unknown_wait) stand_in = Qnil;
    dynoscale_agent *agent =
        ds_rb_agent_now(); /* the lookup may have run the app's code, for a key of its own */
    counted *place = NIL_P(values->start) ? counted_place(stand_in) : NULL;
    if (is_counted(place, stand_in, env)) return place->queue_time_ms;

    text start = text_of(values->start), queue_start = text_of(stand_in);
    int64_t queue_time_ms =
        dynoscale_agent_request_at(agent, entered_ns, start.start, start.length, queue_start.start,
                                   queue_start.length, body_wait_of(values->body_wait));
    remember(place, stand_in, queue_time_ms);
    return queue_time_ms;
}

/* Returns the queue time in ms, negative if there is none. For a request that comes again it
 * returns the first queue time, and does not enter the app again. `entered_ns` is NULL if the
 * service does not ask for it. */
static inline int64_t count_request(VALUE env, int64_t *entered_ns) {
    ds_rb_env values = {Qnil, Qnil};
    if (RB_LIKELY(RB_TYPE_P(env, T_HASH))) values = ds_rb_env_read(env);
    if (RB_UNLIKELY(values.body_wait == unknown_wait)) values.start = Qnil;
    dynoscale_agent *agent =
        ds_rb_agent_now(); /* the lookup may have run the app's code, for a key of its own */
    if (RB_UNLIKELY(!agent)) return -1;
    counted *place = counted_place(values.start);
    if (is_counted(place, values.start, env)) return place->queue_time_ms;
    if (entered_ns) *entered_ns = dynoscale_agent_enter(agent);
    int64_t now_ns = entered_ns ? *entered_ns : -1;

    text start = text_of(values.start);
    int64_t queue_time_ms = dynoscale_agent_request_start_at(
        agent, now_ns, start.start, start.length, body_wait_of(values.body_wait));
    if (RB_UNLIKELY(queue_time_ms < 0)) queue_time_ms = count_by_both(env, &values, now_ns);
    remember(place, values.start, queue_time_ms);
    return queue_time_ms;
}

static VALUE call_app(VALUE app, VALUE env) {
    return rb_funcallv_public(app, rb_intern("call"), 1, &env);
}

typedef struct marked_call {
    VALUE app, env;
    bool marked;
    int64_t entered_ns; /* -1: not measured */
} marked_call;

static VALUE call_app_marked(VALUE context) {
    const marked_call *call = (marked_call *)context;
    return call_app(call->app, call->env);
}

static VALUE after_call(VALUE context) {
    const marked_call *call = (marked_call *)context;
    dynoscale_agent_leave(ds_rb_agent_now(), call->entered_ns);
    if (call->marked) ds_rb_env_unmark(call->env);
    return Qnil;
}

/* The answer, or a copy with the header: see server_timing.rb. */
static VALUE add_server_timing(VALUE answer, int64_t queue_time_ms) {
    if (queue_time_ms < 0) return answer;
    VALUE module = rb_path2class("DynoscaleRuby::ServerTiming");
    return rb_funcall(module, rb_intern("add"), 2, answer, LL2NUM(queue_time_ms));
}

static bool needs_slow_path(const ds_rb_agent *current, VALUE env) {
    return RB_UNLIKELY(current->shown ||
                       atomic_load_explicit(&entry_points, memory_order_relaxed) > 1) &&
           RB_TYPE_P(env, T_HASH);
}

/* leave(entered) -> nil. The request has left the app. */
static VALUE middleware_leave(VALUE self, VALUE entered_ns) {
    (void)self;
    dynoscale_agent_leave(ds_rb_agent_now(), NUM2LL(entered_ns));
    return Qnil;
}

/* If the service asks how long requests spend in the app. */
__attribute__((flatten, noinline)) static VALUE count_timed(VALUE env) {
    int64_t entered_ns = -1;
    count_request(env, &entered_ns);
    return LL2NUM(entered_ns);
}

/* count(env) -> false: counted, call the app; an Integer: the same, then call `leave` with it; -2:
 * nothing is done, call call_slow_path. Everything on the request path, the core's part too, is
 * inlined here, which saves a tenth of its instructions. */
__attribute__((flatten)) static VALUE middleware_count(VALUE self, VALUE env) {
    (void)self;
    const ds_rb_agent *current = ds_rb_agent_current();
    if (!current) return Qfalse;
    if (RB_UNLIKELY(dynoscale_agent_has_event(current->agent))) {
        ds_rb_agent_log_events();
        current = ds_rb_agent_current(); /* the logger's code may have called configure */
        if (!current) return Qfalse;
    }
    if (needs_slow_path(current, env)) return INT2FIX(-2);
    if (RB_UNLIKELY(dynoscale_busy_asked())) return count_timed(env);
    count_request(env, NULL);
    return Qfalse;
}

/* call_slow_path(app, env) -> the answer. For several entry points in the process, or a queue time
 * to show. */
static VALUE middleware_call_slow_path(VALUE self, VALUE app, VALUE env) {
    (void)self;
    const ds_rb_agent *current = ds_rb_agent_current();
    if (!current || !RB_TYPE_P(env, T_HASH)) return call_app(app, env);
    int shown = current->shown; /* read it now: `current` may be freed once Ruby was called, for
                                   instance by a mark */
    bool marks = atomic_load_explicit(&entry_points, memory_order_relaxed) > 1;
    ds_rb_env_mark_result result = DS_RB_ENV_UNMARKABLE;
    if (marks) result = ds_rb_env_mark(env);
    if (result == DS_RB_ENV_COUNTED) return call_app(app, env);

    marked_call call = {app, env, result == DS_RB_ENV_MARKED, -1};
    int64_t queue_time_ms = count_request(env, dynoscale_busy_asked() ? &call.entered_ns : NULL);
    if (shown & DS_RB_SHOW_APP) ds_rb_env_set_queue_time(env, queue_time_ms);
    bool ends = call.marked || call.entered_ns >= 0;
    VALUE answer = ends ? rb_ensure(call_app_marked, (VALUE)&call, after_call, (VALUE)&call)
                        : call_app(app, env);
    return shown & DS_RB_SHOW_BROWSER ? add_server_timing(answer, queue_time_ms) : answer;
}

void ds_rb_middleware_init(VALUE module) {
    ds_rb_env_init();
    keep_counted();
    VALUE entry_point_class = rb_define_class_under(module, "EntryPoint", rb_cObject);
    rb_define_alloc_func(entry_point_class, entry_point_allocate);
    rb_undef_method(entry_point_class, "initialize_copy");
    VALUE class = rb_define_class_under(module, "Middleware", rb_cObject);
    rb_define_private_method(class, "count", middleware_count, 1);
    rb_define_private_method(class, "leave", middleware_leave, 1);
    rb_define_private_method(class, "call_slow_path", middleware_call_slow_path, 2);
}
