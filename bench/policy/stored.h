/* What the service would have stored of a run, by the minute: the input of a trial of rules. */
#ifndef POLICY_STORED_H
#define POLICY_STORED_H

#include <stdbool.h>

void stored_begin(int seconds);
void stored_request(double arrival, double wait);
/* busy: slots at work; -1: agents do not report it. release: the second of the last one, or -1. */
void stored_second(int second, int ordered, int up, int busy, int release, int scalings);
/* A line a minute; boot_s: the mean as it was learned. */
bool stored_write(const char *name, double boot_s);

#endif
