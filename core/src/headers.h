/*
 * Parses headers of an answer for the doctor. Pure; any bytes of any length; no locale.
 */
#ifndef DS_HEADERS_H
#define DS_HEADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a Date such as "Sun, 06 Nov 1994 08:49:37 GMT", the only form that servers may send (RFC
 * 9110, section 5.6.7). Returns false and leaves *epoch_s unchanged for anything else. */
bool ds_headers_date(const char *text, size_t length, int64_t *epoch_s);

/* Reads the duration of the last "queue" entry of a Server-Timing header, in whole ms, rounded
 * down. Returns false and leaves *ms unchanged if there is none. */
bool ds_headers_queue_time(const char *text, size_t length, int64_t *ms);

#endif
