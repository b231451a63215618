/*
 * All report tokens, by their hashes, in memory. Never changed: a new one is made instead.
 */
#ifndef TOKENS_H
#define TOKENS_H

#include <stdint.h>

#include "store/apps.h"

struct tokens;

/* NULL with store_error, or without memory. */
struct tokens *tokens_read(struct store *store);
void tokens_free(struct tokens *tokens);

/* The app of a token (any text), if it is valid now; 0: it is not. */
int64_t tokens_app(const struct tokens *tokens, const char *token, int64_t now_s);

#endif
