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
    BORDER = 4, /* light modules around the code, as the standard asks */
};

static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";

/* Base32 of random bytes that fill whole groups, so that there is no padding. False without
 * memory. */
static bool make_random(char *text, size_t size, size_t count) {
    unsigned char bytes[SECRET_BYTES];
    char *encoded = NULL;
    size_t length = 0;
    randombytes_buf(bytes, count);
    bool made = oath_base32_encode((const char *)bytes, count, &encoded, &length) == OATH_OK &&
                length < size;
    if (made) memcpy(text, encoded, length + 1);
    if (encoded) sodium_memzero(encoded, length);
    free(encoded);
    sodium_memzero(bytes, sizeof bytes);
    return made;
}

bool factor_make_secret(char secret[FACTOR_SECRET_SIZE]) {
    return make_random(secret, FACTOR_SECRET_SIZE, SECRET_BYTES);
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

bool factor_make_recovery(char code[FACTOR_RECOVERY_SIZE]) {
    char text[FACTOR_RECOVERY_SIZE];
    bool made = make_random(text, sizeof text, RECOVERY_BYTES);
    if (made) factor_read_recovery(code, text);
    sodium_memzero(text, sizeof text);
    return made;
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
