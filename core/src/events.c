#include "events.h"

#include <stdio.h>
#include <string.h>

#include "clean.h"

void ds_events_add_list(ds_events *events, dynoscale_level level, const char *format,
                        va_list arguments) {
    if (events->count == DS_EVENTS) {
        events->first = (events->first + 1) % DS_EVENTS;
        events->count--;
    }
    ds_event *event = &events->items[(events->first + events->count++) % DS_EVENTS];
    event->level = level;
    char text[2 * DYNOSCALE_EVENT_SIZE]; /* longer than what is kept, so that ds_clean_text cuts
                                            between characters */
    vsnprintf(text, sizeof text, format, arguments);
    ds_clean_text(event->text, sizeof event->text, text);
    atomic_store_explicit(&events->any, true, memory_order_relaxed);
}

void ds_events_add(ds_events *events, dynoscale_level level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    ds_events_add_list(events, level, format, arguments);
    va_end(arguments);
}

bool ds_events_take(ds_events *events, dynoscale_level *level, char text[DYNOSCALE_EVENT_SIZE]) {
    if (events->count == 0) return false;
    const ds_event *event = &events->items[events->first];
    *level = event->level;
    memcpy(text, event->text, sizeof event->text);
    events->first = (events->first + 1) % DS_EVENTS;
    events->count--;
    atomic_store_explicit(&events->any, events->count > 0, memory_order_relaxed);
    return true;
}
