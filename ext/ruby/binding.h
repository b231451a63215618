/*
 * What the binding's parts know of each other. Suggested reading order: init.c, settings_class.c,
 * agent_module.c, middleware_class.c, doctor_class.c.
 *
 * Nothing in here parses, decides or remembers anything that the core or the Ruby side could: the
 * binding hands requests to the core, and tells Ruby what became of them.
 *
 * Ractors. A Ractor runs Ruby code at the same moment as others, so the agent of the process is
 * reached by atomic operations only; see ds_rb_agent_share.
 */
#ifndef DYNOSCALE_RUBY_BINDING_H
#define DYNOSCALE_RUBY_BINDING_H

#include <ruby.h>

#include <stdatomic.h>
#include <stdbool.h>

#include "dynoscale.h"

/* The settings queue_time and server_timing, as they were when the agent was opened. */
enum { DS_RB_TOLD_APP = 1, DS_RB_TOLD_BROWSER = 2 };

/* The process's agent, and who may be using it while the interpreter's lock is released. */
typedef struct ds_rb_agent {
    dynoscale_agent *agent;
    atomic_int holders; /* the slot below, and each running flush or stop */
    int told;           /* whom a request's queue time is told, of DS_RB_TOLD_* */
} ds_rb_agent;

/* NULL: off, or not opened yet. No object of Ruby's: the core's agent is the process's. */
extern _Atomic(ds_rb_agent *) ds_rb_agent_slot;

/* For the calling thread until it next calls Ruby; NULL when off. */
static inline const ds_rb_agent *ds_rb_agent_current(void) {
    /* acquire: pairs with the exchange in agent_module.c that puts a whole agent here. */
    return atomic_load_explicit(&ds_rb_agent_slot, memory_order_acquire);
}

static inline dynoscale_agent *ds_rb_agent_now(void) {
    const ds_rb_agent *current = ds_rb_agent_current();
    return current ? current->agent : NULL;
}

/* Opens the agent where that has not been done, and sees to it that it is stopped at exit. */
void ds_rb_agent_begin(void);

/* Passes what the native thread left to be said on to the logger. */
void ds_rb_agent_tell_events(void);

/* Whether the calling thread belongs to the main Ractor. Not for the path of a request. */
bool ds_rb_in_main_ractor(void);

/* The options behind a DynoscaleRuby::Settings; raises TypeError for anything else. */
const dynoscale_options *ds_rb_settings_options(VALUE settings);

void ds_rb_settings_init(VALUE module);
void ds_rb_agent_init(VALUE module);
void ds_rb_middleware_init(VALUE module);
void ds_rb_doctor_init(VALUE module);

#endif
