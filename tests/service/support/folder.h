/* A folder of a test's own, removed at its end with all that is in it. With $TEST_DATABASE, a URL,
 * store_open finds the data in a schema of the test's own there. */
#ifndef FOLDER_H
#define FOLDER_H

#include <stdbool.h>

/* The path, which the caller gives to folder_remove. */
char *folder_make(void);
void folder_remove(char *path);

/* Whether it is so: for what one store alone has, as files. */
bool folder_is_database(void);

#endif
