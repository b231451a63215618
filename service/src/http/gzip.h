/*
 * Undoes gzip, up to a limit: a few bytes can stand for gigabytes.
 */
#ifndef GZIP_H
#define GZIP_H

#include <stddef.h>

enum gzip_result { GZIP_OK, GZIP_DAMAGED, GZIP_TOO_LARGE, GZIP_NO_MEMORY };

/* One or more members of gzip → *plain, of at most `most` bytes and a NUL, which the caller frees.
 */
enum gzip_result gzip_undo(const char *bytes, size_t length, size_t most, char **plain,
                           size_t *plain_length);

#endif
