/*
 * SHA-1 (RFC 3174), only for Heroku's single sign-on as it was before 2026. Pure. SHA-1 is broken
 * where somebody else can choose what is hashed.
 */
#ifndef SHA1_H
#define SHA1_H

#include <stddef.h>

void sha1(unsigned char hash[20], const char *text, size_t length);

#endif
