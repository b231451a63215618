#include "people/factor.h"

#include <ctype.h>
#include <liboath/oath.h>
#include <qrencode.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

enum {
    SECRET_BYTES = 20, /* as RFC 4226 recommends */
    RECOVERY_BYTES = 15,
    GROUP = 4,
    BORDER = 4, /* of the standard */
};

static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";

/* Base32 of 5 bytes for each 8 characters, in small letters. */
static void encode(char *text, const unsigned char *bytes, size_t count) {
    for (size_t i = 0; i < count; i += 5) {
        uint64_t five = 0;
        for (size_t j = 0; j < 5; j++) five = five << 8 | bytes[i + j];
        for (int shift = 35; shift >= 0; shift -= 5) *text++ = letters[five >> shift & 31];
    }
    *text = '\0';
}

void factor_make_secret(char secret[FACTOR_SECRET_SIZE]) {
    unsigned char bytes[SECRET_BYTES];
    randombytes_buf(bytes, sizeof bytes);
    encode(secret, bytes, sizeof bytes);
    for (char *at = secret; *at; at++) *at = (char)toupper((unsigned char)*at);
    sodium_memzero(bytes, sizeof bytes);
}

bool factor_is_code(const char *text) {
    return strlen(text) == FACTOR_DIGITS && strspn(text, "0123456789") == FACTOR_DIGITS;
}

int64_t factor_step(const char *secret, const char *code, int64_t now_s) {
    char *bytes = NULL, right[FACTOR_DIGITS + 1];
    size_t count = 0;
    int64_t found = -1, now = now_s / FACTOR_STEP_S;
    if (!factor_is_code(code) || now_s < FACTOR_STEP_S ||
        oath_base32_decode(secret, strlen(secret), &bytes, &count) != OATH_OK)
        return -1;
    for (int64_t step = now - 1; step <= now + 1; step++)
        if (oath_hotp_generate(bytes, count, (uint64_t)step, FACTOR_DIGITS, false,
                               OATH_HOTP_DYNAMIC_TRUNCATION, right) == OATH_OK &&
            sodium_memcmp(right, code, FACTOR_DIGITS) == 0)
            found = step;
    sodium_memzero(right, sizeof right);
    sodium_memzero(bytes, count);
    free(bytes);
    return found;
}

void factor_make_recovery(char code[FACTOR_RECOVERY_SIZE]) {
    unsigned char bytes[RECOVERY_BYTES];
    char text[RECOVERY_BYTES / 5 * 8 + 1];
    randombytes_buf(bytes, sizeof bytes);
    encode(text, bytes, sizeof bytes);
    factor_read_recovery(code, text);
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(text, sizeof text);
}

bool factor_read_recovery(char code[FACTOR_RECOVERY_SIZE], const char *text) {
    size_t length = 0, count = 0;
    for (; *text; text++) {
        char c = (char)tolower((unsigned char)*text);
        if (c == '-' || c == ' ') continue;
        bool begins = count > 0 && count % GROUP == 0;
        if (!strchr(letters, c) || length + 1 + begins > FACTOR_RECOVERY_SIZE - 1) return false;
        if (begins) code[length++] = '-';
        code[length++] = c;
        count++;
    }
    code[length] = '\0';
    return length == FACTOR_RECOVERY_SIZE - 1;
}

static void put_encoded(struct text *text, const char *part) {
    for (const unsigned char *at = (const unsigned char *)part; *at; at++)
        if (isalnum(*at) || strchr("-_.~", *at)) text_char(text, (char)*at);
        else text_format(text, "%%%02X", *at);
}

bool factor_uri(char *uri, size_t size, const char *secret, const char *service,
                const char *person) {
    struct text text = TEXT_EMPTY;
    text_put(&text, "otpauth://totp/");
    put_encoded(&text, service);
    text_char(&text, ':');
    put_encoded(&text, person);
    text_format(&text, "?secret=%s&issuer=", secret);
    put_encoded(&text, service);
    bool fits = !text.failed && text.length < size;
    if (fits) memcpy(uri, text.bytes, text.length + 1);
    if (text.bytes) sodium_memzero(text.bytes, text.length);
    text_free(&text);
    return fits;
}

char *factor_picture(const char *text, int *width) {
    struct text path = TEXT_EMPTY;
    QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
    if (!code) return NULL;
    for (int y = 0; y < code->width; y++)
        for (int x = 0, end; x < code->width; x = end + 1) {
            const unsigned char *row = code->data + y * code->width;
            for (end = x; end < code->width && row[end] & 1; end++) continue;
            if (end > x)
                text_format(&path, "M%d %dh%dv1h-%dz", x + BORDER, y + BORDER, end - x, end - x);
        }
    *width = code->width + 2 * BORDER;
    sodium_memzero(code->data, (size_t)code->width * (size_t)code->width);
    QRcode_free(code);
    return text_take(&path);
}
