/*
 * What other platforms than Heroku call a process's dyno, and what a dyno's name says.
 */
#ifndef DS_PLATFORM_H
#define DS_PLATFORM_H

#include <stdbool.h>

enum { DS_PLATFORM_NAME_SIZE = 256 };

/*
 * Looks for the name that the platform gives this process in the environment, where DYNO is not
 * set. Returns the variable that has it, and writes the name; NULL where there is none.
 */
const char *ds_platform_name(char name[DS_PLATFORM_NAME_SIZE]);

/*
 * Whether a dyno of that name runs one command and ends: run.1234, release.5, scheduler.9 of
 * Heroku; run-12a34b56d-e78f9 of its Fir generation; one-off-1234 of Scalingo.
 */
bool ds_platform_is_one_off(const char *dyno);

/* Whether the name has a number, and not 1: web.2. Names without a number, as Fir's
 * web-12a34b56d-e78f9, tell no first one. */
bool ds_platform_is_not_first(const char *dyno);

#endif
