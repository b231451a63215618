/*
 * A worker without a thread, over the false clock and the false transport: the test takes the
 * thread's place.
 */
#ifndef FALSE_WORKER_H
#define FALSE_WORKER_H

#include "suite.h"

#include "worker.h"

/* Set-up and tear-down of a test: *state is a ds_worker of web.1 of the app shop, at NOW_NS. */
int false_worker_new(void **state);
int false_worker_free(void **state);

/* Steps until the worker asks for a wait, and returns that wait. */
int64_t run_until_idle(ds_worker *worker);

/* Lets `ms` pass as the thread would: in the waits that the worker asks for. */
void live_for(ds_worker *worker, int64_t ms);

#endif
