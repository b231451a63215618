#include "people/token.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN_BYTES = 32 };

void token_make(char token[TOKEN_SIZE], const char *kind) {
    uint8_t bytes[TOKEN_BYTES];
    size_t begin = strlen(kind);
    if (sodium_init() < 0) abort(); /* there is no source of random numbers */
    randombytes_buf(bytes, sizeof bytes);
    memcpy(token, kind, begin);
    sodium_bin2base64(token + begin, TOKEN_SIZE - begin, bytes, sizeof bytes,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(bytes, sizeof bytes);
}

void token_hash(uint8_t hash[TOKEN_HASH_SIZE], const char *token, size_t length) {
    crypto_hash_sha256(hash, (const unsigned char *)token, length);
}
