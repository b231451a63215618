/*
 * What platforms other than Heroku call a dyno, and what a dyno's name says.
 */
#ifndef DS_PLATFORM_H
#define DS_PLATFORM_H

#include <stdbool.h>

enum { DS_PLATFORM_NAME_SIZE = 256 };

/*
 * For processes without DYNO: finds the name that another platform set in the environment. Writes
 * the name and returns its variable, or returns NULL.
 */
const char *ds_platform_name(char name[DS_PLATFORM_NAME_SIZE]);

/*
 * Whether a dyno with that name runs one command and ends: run.1234, release.5 and scheduler.9 of
 * Heroku, run-12a34b56d-e78f9 of its Fir generation, one-off-1234 of Scalingo.
 */
bool ds_platform_is_one_off(const char *dyno);

/* Whether the name has a number other than 1: web.2. A name without a number, such as Fir's
 * web-12a34b56d-e78f9, does not say which dyno is the first. */
bool ds_platform_is_not_first(const char *dyno);

#endif
