/*
 * What the parts of the binding share. Suggested reading order: init.c, options_class.c,
 * agent_module.c, middleware_class.c, doctor_class.c.
 *
 * The binding only passes requests to the core and results to Ruby: it does not parse, decide or
 * remember what the core or the Ruby side can.
 *
 * Ractors run Ruby code in parallel, so the process's agent is read and replaced by atomic
 * operations only; see `share` in agent_module.c.
 */
#ifndef DYNOSCALE_RUBY_BINDING_H
#define DYNOSCALE_RUBY_BINDING_H

#include <ruby.h>

#include <stdatomic.h>
#include <stdbool.h>

#include "dynoscale.h"

/* Who gets the queue time besides the service: the settings queue_time and server_timing. */
enum { DS_RB_SHOW_APP = 1, DS_RB_SHOW_BROWSER = 2 };

/* The process's agent, and who may use it without the interpreter's lock. */
typedef struct ds_rb_agent {
    dynoscale_agent *agent;
    atomic_int holders; /* references: the slot below, and each running flush or stop */
    int shown;          /* of DS_RB_SHOW_* */
} ds_rb_agent;

/* NULL: off, or not opened yet. Not a Ruby object: the core's agent belongs to the process. */
extern _Atomic(ds_rb_agent *) ds_rb_agent_slot;

/* Valid for the calling thread until it calls Ruby; NULL if off. */
static inline const ds_rb_agent *ds_rb_agent_current(void) {
    /* acquire: pairs with the exchange in agent_module.c that publishes a whole agent. */
    return atomic_load_explicit(&ds_rb_agent_slot, memory_order_acquire);
}

static inline dynoscale_agent *ds_rb_agent_now(void) {
    const ds_rb_agent *current = ds_rb_agent_current();
    return current ? current->agent : NULL;
}

/* Opens the agent if nobody has, and registers the stop at exit. */
void ds_rb_agent_ensure_open(void);

/* Logs the native thread's events. */
void ds_rb_agent_log_events(void);

/* Whether the calling thread belongs to the main Ractor. Not for the request path. */
bool ds_rb_in_main_ractor(void);

/* The options behind a DynoscaleRuby::Options; raises TypeError for anything else. */
const dynoscale_options *ds_rb_options_of(VALUE settings);

void ds_rb_options_init(VALUE module);
void ds_rb_agent_init(VALUE module);
void ds_rb_middleware_init(VALUE module);
void ds_rb_doctor_init(VALUE module);

#endif
