/*
 * Tokens: 256 random bits, given out once, kept as a hash. A hash without salt or stretching is
 * enough, because nobody can try 2^256 of them. Any thread.
 */
#ifndef TOKEN_H
#define TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "store/apps.h" /* TOKEN_HASH_SIZE */

enum {
    TOKEN_SIZE = 48,       /* with its NUL: 3 characters of the kind, 43 of base64url */
    TOKEN_PREFIX_SIZE = 9, /* what people know a token by: its first 8 characters */
    TOKEN_HINT_SIZE = 6,   /* or its last 5 */
};

/* kind: "rt_" of an address for reports, "ds_" of the API, "se_" of a session, "li_" of a link. */
void token_make(char token[TOKEN_SIZE], const char *kind);

/* SHA-256. */
void token_hash(uint8_t hash[TOKEN_HASH_SIZE], const char *token, size_t length);

#endif
