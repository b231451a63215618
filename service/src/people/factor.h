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

/* Whether a text has the form of a code of an app. */
bool factor_is_code(const char *text);

/* The step of whose time the code is: the one at `now_s`, the one before or the one after it, since
 * clocks differ. -1: of none. */
int64_t factor_step(const char *secret, const char *code, int64_t now_s);

/* False without memory. */
bool factor_make_recovery(char code[FACTOR_RECOVERY_SIZE]);

/* A recovery code as it was made: small letters, dashes, no blanks. False: the text is none. */
bool factor_read_recovery(char code[FACTOR_RECOVERY_SIZE], const char *text);

/* otpauth://totp/..., which authenticator apps read; `service` is a name for this service. False:
 * it does not fit. */
bool factor_uri(char *uri, size_t size, const char *secret, const char *service,
                const char *person);

/* A picture of a text (a QR code) as the path of an SVG: each dark point is a square of 1. The
 * caller frees it. NULL without memory; *width: of the picture, with its white border. */
char *factor_picture(const char *text, int *width);

#endif
