#include "clean.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The length of the UTF-8 character that begins with this byte; 0 if none does. */
static size_t length_of(uint8_t first) {
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first < 0xE0) return 2;
    if (first >= 0xE0 && first < 0xF0) return 3;
    return first >= 0xF0 && first < 0xF5 ? 4 : 0;
}

static bool is_continued(const uint8_t *at, size_t length) {
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80) return false;
    return true;
}

/* An overlong form, a surrogate, or beyond the last code point. */
static bool is_out_of_range(const uint8_t *at) {
    return (at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) ||
           (at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F);
}

/* The control characters of ASCII and Latin-1, and the Unicode line and paragraph separators. */
static bool is_control(const uint8_t *at) {
    if (at[0] < 0x20 || at[0] == 0x7F) return true;
    if (at[0] == 0xC2) return at[1] < 0xA0;
    return at[0] == 0xE2 && at[1] == 0x80 && (at[2] == 0xA8 || at[2] == 0xA9);
}

void ds_clean_text(char *place, size_t size, const char *text) {
    const uint8_t *at = (const uint8_t *)text;
    size_t left = strlen(text), used = 0;
    while (left > 0) {
        size_t length = length_of(*at);
        bool cut = length > left && is_continued(at, left);
        if (cut) break;
        bool whole = length > 0 && length <= left && is_continued(at, length) &&
                     (length == 1 || !is_out_of_range(at));
        bool shown = whole && !is_control(at);
        size_t needed = shown ? length : 1;
        if (used + needed >= size) break;
        if (shown) memcpy(place + used, at, length);
        else place[used] = '?';
        used += needed;
        at += whole ? length : 1;
        left -= whole ? length : 1;
    }
    place[used] = '\0';
}
