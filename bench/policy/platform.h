/* Dynos, router, requests and agents, second by second. Requests are exact: each has its arrival,
 * its dyno, its wait and its work. */
#ifndef POLICY_PLATFORM_H
#define POLICY_PLATFORM_H

void platform_begin(void);
void platform_second(int second);         /* its requests, then what agents report */
void platform_scale(int now, int wanted); /* called each second: asks the platform's API */
int platform_ordered(void), platform_up(void), platform_scalings(void);

#endif
