/* A folder of a test's own, removed at its end with all that is in it. */
#ifndef FOLDER_H
#define FOLDER_H

/* The path, which the caller gives to folder_remove. */
char *folder_make(void);
void folder_remove(char *path);

#endif
