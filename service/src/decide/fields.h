/*
 * Structs of whole numbers that a table describes, and what follows from the table: a stored form,
 * JSON, and setting a field by name. Used by situation.c and memory.c. Pure.
 */
#ifndef FIELDS_H
#define FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text;

struct field {
    unsigned number; /* in the stored form: 1 to 99, ascending in the table */
    const char *name;
    size_t offset; /* of an int64_t in the struct */
    int64_t unknown;
};

/* A text of `size` bytes with its NUL, kept under a number above those of the numbers. */
struct field_text {
    unsigned number;
    const char *name;
    size_t offset, size;
};

struct fields {
    const struct field *numbers;
    size_t number_count;
    const struct field_text *texts;
    size_t text_count;
};

void fields_clear(const struct fields *fields, void *of);

/* Encodes the fields that differ from `before` as varints; returns the bytes written. A number
 * takes at most 11 bytes, a text its length and 3. */
size_t fields_encode(const struct fields *fields, uint8_t *bytes, const void *of,
                     const void *before);
/* Decodes stored fields into `of`, which holds `before`. False: fields_encode can't have written
 * this, and `of` is then undefined. */
bool fields_decode(const struct fields *fields, void *of, const uint8_t *bytes, size_t length);
/* The same, but stops at a byte 0 where a field would begin. Returns the bytes before it; `length`
 * if there is none; more than that where fields_decode would return false. */
size_t fields_decode_some(const struct fields *fields, void *of, const uint8_t *bytes,
                          size_t length);

/* Writes an object with every field; null for an unknown one. */
void fields_json(const struct fields *fields, struct text *text, const void *of);

/* False, and nothing changes: no such name, no whole number, or a text that is too long. */
bool fields_set(const struct fields *fields, void *of, const char *name, const char *value);

bool fields_equal(const struct fields *fields, const void *one, const void *other);

#endif
