/* The service in the loop: its situation, its rule, its memory and its own decide(). */
#ifndef POLICY_SERVICE_H
#define POLICY_SERVICE_H

#include "seen.h"

void service_begin(void); /* reads the options: method, care, min, max, goal and the steps' knobs */
/* The rows of a dyno's report that covers the seconds [from, to), by second % ROWS_KEPT. */
void service_report(int now, int dyno, int from, int to, const struct row *rows);
int method_service(int now, int ordered, int up);
void service_forget(bool keep_memory); /* it restarts */
const char *service_sentence(void);    /* of the last decision */
/* How many decisions were made, and the CPU time that decide() took of them. */
void service_cost(long *decisions, double *seconds);

#endif
