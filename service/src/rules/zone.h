/*
 * Time zones by their IANA names: what the clock on the wall says at a moment. The only part that
 * knows the library for it. Zones are loaded once and shared; any thread.
 */
#ifndef ZONE_H
#define ZONE_H

#include <stdbool.h>
#include <stdint.h>

struct zone;

/* NULL for a name that the system's database does not have. Kept for ever: never freed. */
const struct zone *zone_find(const char *name);
const char *zone_name(const struct zone *zone);

struct zone_time {
    int year, month, day; /* 2026, 1 to 12, 1 to 31 */
    int weekday;          /* 0: Monday ... 6: Sunday */
    int second;           /* of the day by the wall clock, 0 to 86399 */
    int offset;           /* seconds east of UTC */
};
struct zone_time zone_time(const struct zone *zone, int64_t epoch_s);

/* The first moment after `epoch_s`, and before `limit`, at which the offset changes; else `limit`.
 */
int64_t zone_next_change(const struct zone *zone, int64_t epoch_s, int64_t limit);

#endif
