/*
 * Reads tests/vectors/NAME: rows of columns separated by tabs, as each file describes at its top.
 */
#ifndef VECTORS_H
#define VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VECTOR_COLUMNS = 6, VECTOR_SIZE = 32 * 1024 };

typedef struct vectors {
    void *file;
    char line[VECTOR_SIZE];
    char *columns[VECTOR_COLUMNS]; /* as written */
    size_t count;
} vectors;

/* Fails the test if there is no such file. The compiler is given the folder VECTORS. */
void vectors_open(vectors *v, const char *name);
bool vectors_next(vectors *v);
void vectors_close(vectors *v);

/* Writes a column with escapes and times replaced. Returns the bytes; a NUL follows. */
size_t vectors_text(const char *column, int64_t now_ns, char text[VECTOR_SIZE]);

#endif
