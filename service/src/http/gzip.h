/*
 * Unpacks gzip, up to a limit, since a few bytes can stand for gigabytes. Packs gzip.
 */
#ifndef GZIP_H
#define GZIP_H

#include <stdbool.h>
#include <stddef.h>

enum gzip_result { GZIP_OK, GZIP_DAMAGED, GZIP_TOO_LARGE, GZIP_NO_MEMORY };

/* Unpacks one or more gzip members into *plain, of at most `most` bytes and a NUL, which the caller
 * frees. */
enum gzip_result gzip_undo(const char *bytes, size_t length, size_t most, char **plain,
                           size_t *plain_length);

/* The caller frees *packed. False without memory. */
bool gzip_make(const char *bytes, size_t length, char **packed, size_t *packed_length);

#endif
