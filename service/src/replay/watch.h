/*
 * What decide() is told in a trial: the last ten minutes as reports would have shown them. Pure.
 */
#ifndef WATCH_H
#define WATCH_H

#include "decide/situation.h"
#include "replay/waits.h"

enum { WATCH_TICKS = 64 };

struct watch_tick {
    struct waits waits;
    double arrived, began, service_s;
    int up;
    bool heard;
};

struct watch {
    int tick_s;
    int64_t count; /* ticks so far */
    struct watch_tick ring[WATCH_TICKS];
};

/* The tick that is over now. */
struct watch_tick *watch_next(struct watch *watch);

/* The fields of a situation that are measured; `now` is set. busy_known: agents report it. */
void watch_tell(const struct watch *watch, const struct rule *rule, bool busy_known,
                struct situation *situation);

#endif
