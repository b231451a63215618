/* A folder of a test's own, removed at its end with all that is in it. With $TEST_DATABASE, a URL,
 * store_open finds the data in a schema of the test's own there. */
#ifndef FOLDER_H
#define FOLDER_H

#include <stdbool.h>

/* The path, which the caller gives to folder_remove. */
char *folder_make(void);
void folder_remove(char *path);

/* Of a file in it. The path is good for three more calls. */
const char *folder_path(const char *folder, const char *name);
void folder_write(const char *folder, const char *name, const char *text);
/* The first 4,095 bytes, good until the next call; "": there is no such file. */
const char *folder_read(const char *folder, const char *name);

/* Whether it is so: for what one store alone has, as files. */
bool folder_is_database(void);

#endif
