/*
 * Parses JSON, and gives jansson its memory. JSON from outside may hold a credential, so that
 * memory is wiped when it is freed.
 *
 * jansson (2.14) goes on after the buffer of a word could not grow, and then reads past its end. So
 * everything that this program parses is parsed here: such a buffer grows into memory that was
 * reserved before, and the text ends there.
 */
#ifndef JSON_READ_H
#define JSON_READ_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* From now on: jansson's memory is wiped, and where it gets none this is noted. Any thread, any
 * number of times; json_read does it, too. */
void json_watch(void);

/* Whether jansson got no memory on this thread since json_forget. */
bool json_ran_out(void);
void json_forget(void);

/* As json_loadb: NULL with `mistake` (which may be NULL) where it is no JSON or memory ran out. Of
 * no length the text may be NULL. */
json_t *json_read(const char *text, size_t length, size_t flags, json_error_t *mistake);
/* The same of a text that ends with NUL; NULL is no JSON. */
json_t *json_read_string(const char *text, size_t flags, json_error_t *mistake);

#endif
