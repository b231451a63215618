/*
 * Parses a header into a queue time. Pure: reads no clock, allocates nothing, accepts any bytes.
 */
#ifndef DS_QUEUE_TIME_H
#define DS_QUEUE_TIME_H

#include <stddef.h>
#include <stdint.h>

/*
 * Returns the queue time in whole ms (0 or more, rounded down) of a request that the app got at
 * `now_ns` (ns since the epoch), or one of DYNOSCALE_STAMP_MISSING, _MALFORMED, _STALE, _FUTURE.
 *
 * Both texts may be NULL, and may be lists with commas: the earliest plausible element of a list
 * counts. `queue_start` is read only if `start` has no plausible element: a router overwrites the
 * header that it sets, but a client can send the other one. If no element is plausible, the result
 * is the first of these that applies to an element: FUTURE, STALE, MALFORMED.
 *
 * `body_wait_ms` is subtracted; anything but a positive finite number counts as 0.
 */
int64_t ds_queue_time_ms(const char *start, size_t start_length, const char *queue_start,
                         size_t queue_start_length, double body_wait_ms, int64_t now_ns);

/* The same for X-Request-Start alone, if it is one plausible time; a negative result if it is a
 * list or no plausible time. */
int64_t ds_queue_time_of_one_ms(const char *start, size_t length, double body_wait_ms,
                                int64_t now_ns);

#endif
