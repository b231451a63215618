/* SHA-256 (FIPS 180-4), for names that must not reveal what they were made from. Pure. */
#ifndef DS_DIGEST_H
#define DS_DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum { DS_DIGEST_SIZE = 32 };

void ds_digest(uint8_t digest[DS_DIGEST_SIZE], const void *data, size_t length);

#endif
