/*
 * A service in memory: takes requests like core/src/transport_curl.c, keeps what it accepted, and
 * answers as a test says. One at a time; its counters are safe to read on any thread.
 */
#ifndef FALSE_TRANSPORT_H
#define FALSE_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport.h"

extern const ds_transport false_transport;

/* Resets everything: every report is answered with an empty 200. */
void false_transport_reset(void);

/* Sets the answer to later reports. Status 0: no answer, for the given reason. */
void false_transport_answer(int status, const char *text);
void false_transport_retry_after(int64_t ms);

/* Sets how far the next request gets. */
void false_transport_path(const ds_path *path);

/* Never answers, until told otherwise. */
void false_transport_stall(void);

/* Refuses to open a connection, to start a request, or to be loaded. */
void false_transport_refuse_open(bool refuse);
void false_transport_refuse_start(bool refuse);
void false_transport_refuse_load(bool refuse);

/* Attempts so far; those accepted; rows in them. */
size_t false_transport_attempts(void);
size_t false_transport_accepted(void);
size_t false_transport_rows(void);

/* Connections open now; closed while a request was in flight. */
size_t false_transport_open(void);
size_t false_transport_cancelled(void);

/* For attempt `i` from 0: its body with a NUL, whether it was a POST, and the value of a header (""
 * if absent). */
const char *false_transport_body(size_t i);
bool false_transport_posted(size_t i);
const char *false_transport_header(size_t i, const char *name);

#endif
