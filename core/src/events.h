/*
 * The last few log lines, until the host takes them. One thread at a time, except for
 * ds_events_any: the worker's lock guards it.
 */
#ifndef DS_EVENTS_H
#define DS_EVENTS_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "dynoscale.h"

enum { DS_EVENTS = 16 };

typedef struct ds_event {
    dynoscale_level level;
    char text[DYNOSCALE_EVENT_SIZE];
} ds_event;

/* All zero: none. */
typedef struct ds_events {
    ds_event items[DS_EVENTS];
    size_t first;
    size_t count;
    _Atomic(bool) any;
} ds_events;

/* Adds a line. Of more than DS_EVENTS the oldest is dropped. */
__attribute__((format(printf, 3, 4))) void ds_events_add(ds_events *events, dynoscale_level level,
                                                         const char *format, ...);

void ds_events_add_list(ds_events *events, dynoscale_level level, const char *format,
                        va_list arguments);

/* Takes the oldest. */
bool ds_events_take(ds_events *events, dynoscale_level *level, char text[DYNOSCALE_EVENT_SIZE]);

/* Whether there is one; may be outdated. Any thread. */
static inline bool ds_events_any(const ds_events *events) {
    return atomic_load_explicit(&events->any, memory_order_relaxed);
}

#endif
