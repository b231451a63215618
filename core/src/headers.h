/*
 * What the doctor reads of an answer's headers. Pure; any bytes of any length; no locale.
 */
#ifndef DS_HEADERS_H
#define DS_HEADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a Date: "Sun, 06 Nov 1994 08:49:37 GMT", the one form that servers may send (RFC 9110,
 * section 5.6.7). False, and *epoch_s untouched, for anything else. */
bool ds_headers_date(const char *text, size_t length, int64_t *epoch_s);

/* Reads the duration of the last entry "queue" of a Server-Timing, in whole ms rounded down. False,
 * and *ms untouched, where there is none. */
bool ds_headers_queue_time(const char *text, size_t length, int64_t *ms);

#endif
