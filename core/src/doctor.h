/*
 * Lets tests replace the doctor's transport.
 */
#ifndef DS_DOCTOR_H
#define DS_DOCTOR_H

#include "dynoscale_cli.h"
#include "transport.h"

/* The age of the stamp in the request to the app. */
enum { DS_DOCTOR_STAMP_MS = 1000 };

/* dynoscale_doctor_new with the given transport. */
dynoscale_error ds_doctor_new(const dynoscale_options *options, const char *language,
                              const char *runtime, const char *app_url, int64_t timeout_ms,
                              const ds_transport *transport, dynoscale_doctor **doctor);

#endif
