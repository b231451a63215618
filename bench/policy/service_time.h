/* How long requests take, as drawn from a table of quantiles. */
#ifndef POLICY_SERVICE_TIME_H
#define POLICY_SERVICE_TIME_H

void service_time_begin(void);
double service_time_draw(void);
double exponential_draw(void); /* mean 1 */

#endif
