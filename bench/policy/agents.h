/* The agents' reports: when they leave, and what of them arrives at the service. */
#ifndef POLICY_AGENTS_H
#define POLICY_AGENTS_H

#include "dyno.h"

void agents_begin(void); /* reads the options: report, repjit, first, busy, silentat, silentfor */
double agents_interval(void);
int agents_busy(void); /* slots at work in all dynos at the end of the last second */

void agents_second(struct dyno **dynos, int ordered, int held, int second);
/* What a dyno has counted before `second` leaves when it stops, and arrives at a moment. */
void agents_last_report(struct dyno *dyno, int index, int second, double arrives);
void agents_deliver(int second, double now);

#endif
