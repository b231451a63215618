/*
 * The second factor: codes of an authenticator app by RFC 6238 (six digits, 30 s, HMAC-SHA-1, which
 * is what all of these apps know), and recovery codes. Any thread; no data is kept here.
 */
#ifndef FACTOR_H
#define FACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FACTOR_SECRET_SIZE = 33, /* 160 bits in base32, and the NUL */
    FACTOR_STEP_S = 30,
    FACTOR_DIGITS = 6,
    FACTOR_RECOVERY_CODES = 10,
    FACTOR_RECOVERY_SIZE = 30, /* 120 bits in base32, in six groups, and the NUL */
};

/* False without memory. */
bool factor_make_secret(char secret[FACTOR_SECRET_SIZE]);

/* Whether a text looks like a code of an authenticator app. */
bool factor_is_code(const char *text);

/* The time step that the code belongs to: that of `now_s` or one of its neighbours, since clocks
 * differ. -1: none of them. */
int64_t factor_step(const char *secret, const char *code, int64_t now_s);

/* False without memory. */
bool factor_make_recovery(char code[FACTOR_RECOVERY_SIZE]);

/* Normalises a recovery code: small letters, dashes, no blanks. False: it can't be one. */
bool factor_read_recovery(char code[FACTOR_RECOVERY_SIZE], const char *text);

/* otpauth://totp/..., which authenticator apps read; `service` is a name for this service. False:
 * it does not fit. */
bool factor_uri(char *uri, size_t size, const char *secret, const char *service,
                const char *person);

/* Draws a text as a QR code: the path of an SVG in which each dark point is a square of side 1. The
 * caller frees it; NULL without memory. *width: of the picture, with its white border. */
char *factor_picture(const char *text, int *width);

#endif
