/* A method says each second how many workers it wants. */
#ifndef POLICY_JOBS_METHOD_H
#define POLICY_JOBS_METHOD_H

#include "system.h"

enum { READINGS = 64 };

/* The newest readings that have arrived, one each ten seconds: reading(0) is the newest. */
const struct reading *newest_reading(int back);

int method_service(int now, int ordered, int up);
int method_judoscale(int now, int ordered, int up);
int method_hirefire_latency(int now, int ordered, int up);
int method_hirefire_queue(int now, int ordered, int up);
int method_keda(int now, int ordered, int up);
int method_static(int now, int ordered, int up);

void service_begin(void);
const char *service_sentence(void);
void service_cost(long *decisions, double *seconds);

#endif
