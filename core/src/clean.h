/* Makes text from outside safe for a log line or a terminal. Pure. */
#ifndef DS_CLEAN_H
#define DS_CLEAN_H

#include <stddef.h>

/*
 * Copies any bytes as UTF-8, as many whole characters as fit. Control characters and bytes that are
 * not UTF-8 become "?"; an incomplete character at the end is left out.
 */
void ds_clean_text(char *place, size_t size, const char *text);

#endif
