/* Text from outside, made fit for a line of a log or a terminal. Pure. */
#ifndef DS_CLEAN_H
#define DS_CLEAN_H

#include <stddef.h>

/*
 * Copies a text of any bytes: whole characters of UTF-8, as many as fit. Control characters, and
 * bytes that are no UTF-8, become "?"; a character that the text's own end cuts off is left out.
 */
void ds_clean_text(char *place, size_t size, const char *text);

#endif
