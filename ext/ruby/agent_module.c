/*
 * DynoscaleRuby::Agent: the process's agent. ruby/lib/dynoscale_ruby.rb gathers the settings and
 * logs warnings. Only it and the middleware use this module.
 */
#include "binding.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ruby/encoding.h>
#include <ruby/thread.h>

_Atomic(ds_rb_agent *) ds_rb_agent_slot;

/* Whether `open` was called, with or without success: once a process, except for configure. */
static atomic_bool opened;

/* How many threads are opening the agent in a Ractor. */
static atomic_int opening;

/* Whether another Ractor than the main one may use the agent; never false again. */
static atomic_bool shared;

/* ---- The slot ----------------------------------------------------------------------------- */

bool ds_rb_in_main_ractor(void) {
    VALUE ractor = rb_path2class("Ractor");
    return rb_funcall(ractor, rb_intern("current"), 0) == rb_funcall(ractor, rb_intern("main"), 0);
}

/*
 * Called by every function that may run in a Ractor, before it reads the slot. In the main Ractor
 * only one thread runs at a time, so an agent that was taken out of the slot can be freed. If
 * another Ractor may be reading it, it can't: from then on the process keeps its agent.
 */
static void share(void) {
    /* seq_cst, as is the read of the slot that follows: pairs with the exchange and the load in
     * agent_close. Either agent_close sees that the agent is shared, or the Ractor sees the empty
     * slot. */
    if (!atomic_load(&shared) && !ds_rb_in_main_ractor()) atomic_store(&shared, true);
}

/* Returns the agent with one more reference, for a call without the interpreter's lock; NULL if
 * off. */
static ds_rb_agent *hold(void) {
    share();
    ds_rb_agent *current = atomic_load(&ds_rb_agent_slot);
    if (current) atomic_fetch_add(&current->holders, 1);
    return current;
}

static void release(ds_rb_agent *held) {
    if (!held || atomic_fetch_sub(&held->holders, 1) > 1) return;
    dynoscale_agent_free(held->agent);
    free(held);
}

static bool is_on(const dynoscale_options *options, dynoscale_setting setting) {
    const char *value = dynoscale_options_get(options, setting);
    return value && strcmp(value, "true") == 0;
}

/* Opens an agent for the options and puts it in the slot if that is empty. */
static dynoscale_error open_with(const dynoscale_options *options) {
    dynoscale_agent *agent = NULL;
    dynoscale_error error = dynoscale_agent_open(options, "ruby", &agent);
    if (error != DYNOSCALE_OK) return error;

    ds_rb_agent *fresh = malloc(sizeof *fresh), *there = NULL;
    if (!fresh) {
        dynoscale_agent_free(agent);
        return DYNOSCALE_ERROR_NO_MEMORY;
    }
    fresh->agent = agent;
    atomic_init(&fresh->holders, 1);
    fresh->shown = (is_on(options, DYNOSCALE_SETTING_QUEUE_TIME) ? DS_RB_SHOW_APP : 0) |
                   (is_on(options, DYNOSCALE_SETTING_SERVER_TIMING) ? DS_RB_SHOW_BROWSER : 0);
    if (!atomic_compare_exchange_strong(&ds_rb_agent_slot, &there, fresh)) release(fresh);
    return DYNOSCALE_OK;
}

/* In a Ractor, which can't read the module's settings or log: uses the environment's. */
static void open_from_environment(void) {
    atomic_fetch_add(&opening, 1); /* before `opened`: whoever sees that waits for this */
    if (!atomic_exchange(&opened, true)) {
        dynoscale_options *options = dynoscale_options_new();
        if (options && dynoscale_options_read_environment(options) == DYNOSCALE_OK)
            open_with(options);
        dynoscale_options_free(options);
    }
    atomic_fetch_sub(&opening, 1);
}

/* Ractors may begin at the same moment: none may take requests while another opens the agent. Waits
 * without Ruby's lock, since opening may need a garbage collection. */
static void wait_until_open(void) {
    const struct timeval moment = {.tv_usec = 200};
    while (atomic_load(&opening) > 0) rb_thread_wait_for(moment);
}

static VALUE module_of_ours(void) { return rb_path2class("DynoscaleRuby"); }

static void watch_exit(void); /* see "Exit" below */

void ds_rb_agent_ensure_open(void) {
    share();
    if (!ds_rb_in_main_ractor()) open_from_environment();
    else if (!atomic_load(&opened)) rb_funcall(module_of_ours(), rb_intern("start"), 0);
    wait_until_open();
    watch_exit();
}

/* mounted -> nil. A middleware was made, so this process will probably serve requests. */
static VALUE agent_mounted(VALUE self) {
    (void)self;
    ds_rb_agent_ensure_open();
    dynoscale_agent_prepare(ds_rb_agent_now());
    if (ds_rb_in_main_ractor()) rb_funcall(module_of_ours(), rb_intern("mounted"), 0);
    return Qnil;
}

/* ---- Opening and closing ------------------------------------------------------------------ */

/* close -> true, or false if the agent has to stay; see share. */
static VALUE agent_close(VALUE self) {
    (void)self;
    if (!ds_rb_in_main_ractor()) return Qfalse;
    ds_rb_agent *current = atomic_exchange(&ds_rb_agent_slot, NULL);
    if (current && atomic_load(&shared)) {
        atomic_store(&ds_rb_agent_slot, current);
        return Qfalse;
    }
    release(current);
    return Qtrue;
}

/* open(settings) -> nil, or a sentence that says why there is no agent. */
static VALUE agent_open(VALUE self, VALUE settings) {
    (void)self;
    const dynoscale_options *options = ds_rb_options_of(settings);
    atomic_fetch_add(&opening, 1);
    atomic_store(&opened, true);
    dynoscale_error error = open_with(options);
    atomic_fetch_sub(&opening, 1);
    if (error == DYNOSCALE_OK) return Qnil;
    if (error == DYNOSCALE_ERROR_OFF)
        return rb_utf8_str_new_cstr(dynoscale_off_text(dynoscale_options_off_reason(options)));
    return rb_utf8_str_new_cstr(dynoscale_error_text(error));
}

/* opened? -> whether `open` has been called, with or without success. */
static VALUE agent_opened(VALUE self) {
    (void)self;
    return atomic_load(&opened) ? Qtrue : Qfalse;
}

/* ---- Waiting without the interpreter's lock ----------------------------------------------- */

typedef dynoscale_error wait_function(dynoscale_agent *agent, int64_t timeout_ms,
                                      dynoscale_interrupted interrupted, void *context);

typedef struct wait {
    wait_function *function;
    ds_rb_agent *held; /* NULL: off, but stop waits for agents that were closed */
    int64_t deadline_ms;
    dynoscale_error error;
    atomic_bool interrupted;
} wait;

static int64_t monotonic_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

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
    int64_t left_ms = w->deadline_ms - monotonic_ms();
    dynoscale_agent *agent = w->held ? w->held->agent : NULL;
    w->error = w->function(agent, left_ms > 0 ? left_ms : 0, is_interrupted, w);
    return NULL;
}

/* If the interrupt is a signal whose handler returns, the wait goes on. If it raises (Thread#kill,
 * Timeout, Ctrl-C), that leaves this function. */
static VALUE wait_locked(VALUE context) {
    wait *w = (wait *)context;
    do {
        rb_thread_check_ints();
        atomic_store(&w->interrupted, false);
        rb_nogvl(wait_unlocked, w, interrupt, w, RB_NOGVL_UBF_ASYNC_SAFE);
    } while (w->error == DYNOSCALE_ERROR_INTERRUPTED && monotonic_ms() < w->deadline_ms);
    return Qnil;
}

static VALUE wait_over(VALUE context) {
    release(((wait *)context)->held);
    return Qnil;
}

static VALUE wait_for(wait_function *function, VALUE timeout_ms) {
    int64_t timeout = NUM2LL(timeout_ms);
    wait w = {.function = function, .error = DYNOSCALE_OK, .held = hold()};
    w.deadline_ms = monotonic_ms() + timeout;
    atomic_init(&w.interrupted, false);
    rb_ensure(wait_locked, (VALUE)&w, wait_over, (VALUE)&w);
    return w.error == DYNOSCALE_OK ? Qtrue : Qfalse;
}

/* flush(timeout_ms) -> true once everything recorded before is accepted, else false. */
static VALUE agent_flush(VALUE self, VALUE timeout_ms) {
    (void)self;
    return wait_for(dynoscale_agent_flush, timeout_ms);
}

/* stop(timeout_ms) -> true if nothing was dropped, else false. */
static VALUE agent_stop(VALUE self, VALUE timeout_ms) {
    (void)self;
    return wait_for(dynoscale_agent_stop, timeout_ms);
}

/* ---- Exit --------------------------------------------------------------------------------- */

/*
 * A process that exits sends what it recorded, in two steps. The first is an at_exit handler, which
 * runs while other threads go on. It may not be the last, because a server may run in an at_exit
 * block that was registered earlier (Sinatra's classic style). The second is the release of
 * `last_object`, after Ruby has ended all threads.
 *
 * Platforms send TERM to every process at once, and some servers send it on, so a second signal
 * often comes during the first step. Its handler runs at once; an exception that it raises is
 * raised again after the step. No signal handler runs in the second step.
 */
enum { EXIT_TIMEOUT_MS = 2000 };

/* How long the exit was delayed, and when: only the process's main thread uses them. */
static int64_t delayed_ms, delay_ended_ms;

/* What is left of the time for the exit. The full time is available again if a server in an at_exit
 * block goes on after the first step. */
static int64_t exit_left_ms(void) {
    int64_t since_ms = monotonic_ms() - delay_ended_ms;
    return delayed_ms > since_ms ? EXIT_TIMEOUT_MS - (delayed_ms - since_ms) : EXIT_TIMEOUT_MS;
}

/* Calls a function until it returns without an exception. Returns the first state of rb_protect
 * other than 0, with its exception in `raised`. */
static int call_until_it_returns(VALUE (*function)(VALUE), VALUE context, VALUE *raised) {
    int first = 0, state;
    for (;;) {
        rb_protect(function, context, &state);
        if (!state) return first;
        if (!first) *raised = rb_errinfo();
        if (!first) first = state;
        rb_set_errinfo(Qnil);
    }
}

static VALUE flush_locked(VALUE context) {
    wait *w = (wait *)context;
    return monotonic_ms() < w->deadline_ms ? wait_locked(context) : Qnil;
}

static VALUE log_events(VALUE unused) {
    (void)unused;
    return rb_funcall(module_of_ours(), rb_intern("log_events"), 0);
}

/* The first step. */
static void flush_at_exit(VALUE unused) {
    (void)unused;
    int64_t began_ms = monotonic_ms();
    wait w = {.function = dynoscale_agent_flush, .error = DYNOSCALE_OK, .held = hold()};
    w.deadline_ms = began_ms + exit_left_ms();
    atomic_init(&w.interrupted, false);
    VALUE raised = Qnil;
    int state = call_until_it_returns(flush_locked, (VALUE)&w, &raised), failed;
    release(w.held);
    delay_ended_ms = monotonic_ms();
    delayed_ms = delay_ended_ms - began_ms;
    rb_protect(log_events, Qnil, &failed);
    if (state && !failed) rb_set_errinfo(raised);
    if (state || failed) rb_jump_tag(state ? state : failed);
}

/* The second step: keeps the interpreter's lock and calls no Ruby. */
static void stop_last(void *unused) {
    (void)unused;
    dynoscale_agent_stop(ds_rb_agent_now(), exit_left_ms(), NULL, NULL);
}

static const rb_data_type_t last_type = {
    .wrap_struct_name = "DynoscaleRuby::Last",
    .function = {.dfree = stop_last},
};

/*
 * Not when the library is loaded or configured: of at_exit handlers, those registered later run
 * earlier.
 */
static void watch_exit(void) {
    static atomic_bool watched;
    static VALUE last_object;
    if (atomic_exchange(&watched, true)) return;
    last_object = TypedData_Wrap_Struct(rb_cObject, &last_type, &delayed_ms);
    rb_gc_register_mark_object(last_object);
    rb_set_end_proc(flush_at_exit, Qnil);
}

/*
 * LeavingAtOnce: exit!(status) for classes that end a process by it, without at_exit: see
 * ruby/lib/dynoscale_ruby/servers.rb. Keeps the interpreter's lock, so that no other thread serves
 * requests whose samples would be too late. Works in a signal handler.
 */
static VALUE leave_at_once(int count, VALUE *arguments, VALUE self) {
    (void)self;
    share();
    dynoscale_agent_stop(ds_rb_agent_now(), EXIT_TIMEOUT_MS, NULL, NULL);
    return rb_call_super(count, arguments);
}

/* ---- Job queues --------------------------------------------------------------------------- */

/* A Symbol's or String's text, in UTF-8 if possible; nil for anything else. */
static VALUE name_text(VALUE name) {
    if (RB_SYMBOL_P(name)) name = rb_sym2str(name);
    if (!RB_TYPE_P(name, T_STRING)) return Qnil;
    rb_encoding *encoding = rb_enc_get(name);
    if (encoding == rb_ascii8bit_encoding()) return name;
    return rb_str_conv_enc(name, encoding, rb_utf8_encoding());
}

/* Whole ms, or -1, which the core refuses, for anything but a number of ms. */
static int64_t age_of(VALUE ms) {
    if (FIXNUM_P(ms)) return FIX2LONG(ms);
    if (!RB_FLOAT_TYPE_P(ms)) return -1;
    double value = RFLOAT_VALUE(ms);
    return value >= 0 && value < 1e15 ? (int64_t)value : -1;
}

/* job_queue_time(backend, queue, ms) -> true, or false if it was not recorded. */
static VALUE agent_job_queue_time(VALUE self, VALUE backend, VALUE queue, VALUE ms) {
    (void)self;
    ds_rb_agent_ensure_open();
    VALUE backend_text = name_text(backend), queue_text = name_text(queue);
    const char *names[] = {NIL_P(backend_text) ? NULL : RSTRING_PTR(backend_text),
                           NIL_P(queue_text) ? NULL : RSTRING_PTR(queue_text)};
    dynoscale_error error = dynoscale_agent_job_queue_time(
        ds_rb_agent_now(), names[0], names[0] ? (size_t)RSTRING_LEN(backend_text) : 0, names[1],
        names[1] ? (size_t)RSTRING_LEN(queue_text) : 0, age_of(ms));
    RB_GC_GUARD(backend_text);
    RB_GC_GUARD(queue_text);
    return error == DYNOSCALE_OK ? Qtrue : Qfalse;
}

/* job_signal(backend, queue, name, jobs) -> true, or false if it is unusable; names are "depth" and
 * "working". */
static VALUE agent_job_signal(VALUE self, VALUE backend, VALUE queue, VALUE name, VALUE jobs) {
    (void)self;
    VALUE backend_text = name_text(backend), queue_text = name_text(queue);
    if (NIL_P(backend_text) || NIL_P(queue_text)) return Qfalse;
    bool depth = strcmp(StringValueCStr(name), dynoscale_signal_name(DYNOSCALE_SIGNAL_DEPTH)) == 0;
    dynoscale_error error = dynoscale_agent_job_signal(
        ds_rb_agent_now(), RSTRING_PTR(backend_text), (size_t)RSTRING_LEN(backend_text),
        RSTRING_PTR(queue_text), (size_t)RSTRING_LEN(queue_text),
        depth ? DYNOSCALE_SIGNAL_DEPTH : DYNOSCALE_SIGNAL_WORKING, age_of(jobs));
    RB_GC_GUARD(backend_text);
    RB_GC_GUARD(queue_text);
    return error == DYNOSCALE_OK ? Qtrue : Qfalse;
}

/* The text of an optional argument, or NULL. */
static const char *topic_of(int count, VALUE *arguments) {
    rb_check_arity(count, 0, 1);
    return count == 0 || NIL_P(arguments[0]) ? NULL : StringValueCStr(arguments[0]);
}

/* leads?(topic = nil) -> whether this process reads the job queues of a topic, for instance a
 * backend's name, for its dyno. */
static VALUE agent_leads(int count, VALUE *arguments, VALUE self) {
    (void)self;
    const char *topic = topic_of(count, arguments);
    ds_rb_agent *held = hold(); /* another Ractor may configure during this call */
    bool leads = held && dynoscale_agent_leads(held->agent, topic);
    release(held);
    return leads ? Qtrue : Qfalse;
}

/* watch_leader(topic = nil) -> a descriptor that becomes readable when the process that leads in
 * the topic has ended, for the caller to close; nil if there is none. */
static VALUE agent_watch_leader(int count, VALUE *arguments, VALUE self) {
    (void)self;
    const char *topic = topic_of(count, arguments);
    ds_rb_agent *held = hold();
    int ended = held ? dynoscale_agent_watch_leader(held->agent, topic) : -1;
    release(held);
    return ended < 0 ? Qnil : INT2NUM(ended);
}

/* ---- What happened ------------------------------------------------------------------------ */

/* stats -> {counter: Integer} */
static VALUE agent_stats(VALUE self) {
    (void)self;
    int64_t values[DYNOSCALE_COUNTER_COUNT];
    share();
    dynoscale_agent_counters(ds_rb_agent_now(), values);
    VALUE stats = rb_hash_new();
    for (int i = 0; i < DYNOSCALE_COUNTER_COUNT; i++)
        rb_hash_aset(stats, ID2SYM(rb_intern(dynoscale_counter_name((dynoscale_counter)i))),
                     LL2NUM(values[i]));
    return stats;
}

/* asked -> [[signal's name, ...], whether to read job queues, ms between heartbeats or 0]: what the
 * service asks for. */
static VALUE agent_asked(VALUE self) {
    (void)self;
    dynoscale_asked asked;
    ds_rb_agent *held = hold();
    dynoscale_agent_asked(held ? held->agent : NULL, &asked);
    release(held);
    VALUE names = rb_ary_new();
    for (int i = 0; i < DYNOSCALE_SIGNAL_COUNT; i++)
        if (asked.signals >> i & 1)
            rb_ary_push(names, rb_utf8_str_new_cstr(dynoscale_signal_name((dynoscale_signal)i)));
    return rb_ary_new_from_args(3, names, asked.jobs ? Qtrue : Qfalse, LL2NUM(asked.heartbeat_ms));
}

/* slots=(number): requests that this process can run at once. */
static VALUE agent_set_slots(VALUE self, VALUE slots) {
    (void)self;
    if (FIXNUM_P(slots)) dynoscale_set_slots(FIX2INT(slots));
    return slots;
}

static VALUE level_symbol(dynoscale_level level) {
    switch (level) {
    case DYNOSCALE_LEVEL_DEBUG:
        return ID2SYM(rb_intern("debug"));
    case DYNOSCALE_LEVEL_INFO:
        return ID2SYM(rb_intern("info"));
    case DYNOSCALE_LEVEL_WARN:
        return ID2SYM(rb_intern("warn"));
    default:
        return ID2SYM(rb_intern("error"));
    }
}

/* next_event -> [level, text], or nil; nil in a Ractor, which can't use the logger. */
static VALUE agent_next_event(VALUE self) {
    (void)self;
    dynoscale_level level;
    char text[DYNOSCALE_EVENT_SIZE];
    if (!ds_rb_in_main_ractor() || !dynoscale_agent_next_event(ds_rb_agent_now(), &level, text))
        return Qnil;
    VALUE line = rb_funcall(rb_utf8_str_new_cstr(text), rb_intern("scrub"), 0);
    return rb_assoc_new(level_symbol(level), line);
}

void ds_rb_agent_log_events(void) {
    if (ds_rb_in_main_ractor()) rb_funcall(module_of_ours(), rb_intern("log_events"), 0);
}

void ds_rb_agent_init(VALUE module) {
    VALUE agent = rb_define_module_under(module, "Agent");
    rb_define_singleton_method(agent, "mounted", agent_mounted, 0);
    rb_define_singleton_method(agent, "open", agent_open, 1);
    rb_define_singleton_method(agent, "close", agent_close, 0);
    rb_define_singleton_method(agent, "opened?", agent_opened, 0);
    rb_define_singleton_method(agent, "flush", agent_flush, 1);
    rb_define_singleton_method(agent, "stop", agent_stop, 1);
    rb_define_singleton_method(agent, "job_queue_time", agent_job_queue_time, 3);
    rb_define_singleton_method(agent, "leads?", agent_leads, -1);
    rb_define_singleton_method(agent, "watch_leader", agent_watch_leader, -1);
    rb_define_singleton_method(agent, "job_signal", agent_job_signal, 4);
    rb_define_singleton_method(agent, "asked", agent_asked, 0);
    rb_define_singleton_method(agent, "slots=", agent_set_slots, 1);
    rb_define_singleton_method(agent, "stats", agent_stats, 0);
    rb_define_singleton_method(agent, "next_event", agent_next_event, 0);
    VALUE leaving_at_once = rb_define_module_under(agent, "LeavingAtOnce");
    rb_define_private_method(leaving_at_once, "exit!", leave_at_once, -1);
}
