/* The trace of a run: the expected requests a second, for each second. It is read from a CSV file
 * (trace=FILE) or made from the seed (trace=daily, weekly, flash, batch, steps or quiet). */
#ifndef POLICY_TRAFFIC_H
#define POLICY_TRAFFIC_H

#include <stdbool.h>

extern double *traffic_rate;
extern int traffic_seconds;

/* False, with a sentence on stderr: the trace can't be read. */
bool traffic_load(void);
/* Fills the seconds with a made trace; false: there is no such kind. traffic_make.c */
bool traffic_make(const char *kind, int from_s);
/* The largest rate of the seconds [from, to). */
double traffic_maximum(int from, int to);

#endif
