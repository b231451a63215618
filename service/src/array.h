/*
 * Arrays that grow.
 */
#ifndef ARRAY_H
#define ARRAY_H

#include <stddef.h>
#include <stdlib.h>

enum { ARRAY_FIRST_ROOM = 4 };

/* The array with room for `wanted` items of `size` bytes, and *room set to what it has now. NULL
 * without memory: then the array is as it was. */
static inline void *array_grown(void *array, size_t *room, size_t wanted, size_t size) {
    if (wanted <= *room) return array;
    size_t more = *room ? *room : ARRAY_FIRST_ROOM;
    while (more < wanted) more *= 2;
    void *grown = realloc(array, more * size);
    if (grown) *room = more;
    return grown;
}

#endif
