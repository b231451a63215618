#include "text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local uint64_t failures;

uint64_t text_failures(void) { return failures; }

void text_free(struct text *text) {
    free(text->bytes);
    *text = TEXT_EMPTY;
}

void text_clear(struct text *text) {
    text->length = 0;
    text->failed = false;
    if (text->bytes) text->bytes[0] = '\0';
}

/* Makes room for `more` bytes and a NUL. */
static bool grow(struct text *text, size_t more) {
    if (text->failed) return false;
    size_t needed = text->length + more + 1;
    if (needed <= text->room) return true;
    size_t room = text->room ? text->room : 128;
    while (room < needed) room *= 2;
    char *bytes = realloc(text->bytes, room);
    if (!bytes) {
        text->failed = true;
        failures++;
        return false;
    }
    text->bytes = bytes;
    text->room = room;
    return true;
}

void text_add(struct text *text, const char *bytes, size_t length) {
    if (!grow(text, length)) return;
    if (length > 0) memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

char text_last(const struct text *text) {
    return text->length > 0 ? text->bytes[text->length - 1] : '\0';
}

void text_put(struct text *text, const char *string) { text_add(text, string, strlen(string)); }

void text_char(struct text *text, char c) { text_add(text, &c, 1); }

/* Charts consist of numbers, and printf would take most of their time. */
void text_int(struct text *text, int64_t number) {
    char digits[20], *at = digits + sizeof digits;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (number < 0) *--at = '-';
    text_add(text, at, (size_t)(digits + sizeof digits - at));
}

void text_format(struct text *text, const char *format, ...) {
    va_list values, again;
    va_start(values, format);
    va_copy(again, values);
    int length = vsnprintf(NULL, 0, format, values);
    va_end(values);
    if (length >= 0 && grow(text, (size_t)length)) {
        vsnprintf(text->bytes + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
}

const char *text_span(char span[TEXT_SPAN_SIZE], int64_t seconds) {
    if (seconds < 120) snprintf(span, TEXT_SPAN_SIZE, "%" PRId64 " s", seconds);
    else if (seconds < 7200) snprintf(span, TEXT_SPAN_SIZE, "%" PRId64 " min", seconds / 60);
    else if (seconds < 172800) snprintf(span, TEXT_SPAN_SIZE, "%" PRId64 " h", seconds / 3600);
    else snprintf(span, TEXT_SPAN_SIZE, "%" PRId64 " days", seconds / 86400);
    return span;
}

enum { WORD_LONGEST = 31 };

size_t text_distance(const char *one, size_t one_length, const char *other) {
    size_t row[WORD_LONGEST + 1], length = strlen(other);
    if (length > WORD_LONGEST || one_length > WORD_LONGEST) return SIZE_MAX;
    for (size_t j = 0; j <= length; j++) row[j] = j;
    for (size_t i = 1; i <= one_length; i++) {
        size_t before = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t changed = before + (one[i - 1] != other[j - 1]);
            before = row[j];
            row[j] = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            if (changed < row[j]) row[j] = changed;
        }
    }
    return row[length];
}

size_t text_character(const char *bytes, size_t left) {
    const unsigned char *at = (const unsigned char *)bytes;
    unsigned char first = at[0];
    if (first < 0x80) return 1;
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || left < length) return 0;
    unsigned char low = 0x80, high = 0xBF;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
    if (at[1] < low || at[1] > high) return 0;
    for (size_t i = 2; i < length; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    return length;
}

/* By the Unicode Character Database, version 15: Default_Ignorable_Code_Point, among them
 * Bidi_Control, and the marks of annotations and of lines. */
static const struct {
    uint32_t first, last;
} unseen[] = {
    {0x00, 0x1F},     {0x7F, 0x9F},     {0xAD, 0xAD},       {0x34F, 0x34F},     {0x61C, 0x61C},
    {0x115F, 0x1160}, {0x17B4, 0x17B5}, {0x180B, 0x180F},   {0x200B, 0x200F},   {0x2028, 0x202E},
    {0x2060, 0x206F}, {0x3164, 0x3164}, {0xFDD0, 0xFDEF},   {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},
    {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFFB}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF},
};

size_t text_seen(const char *bytes, size_t left) {
    const unsigned char *at = (const unsigned char *)bytes;
    size_t length = text_character(bytes, left);
    if (length == 0) return 0;
    uint32_t character = length == 1 ? at[0] : at[0] & (0x7FU >> length);
    for (size_t i = 1; i < length; i++) character = character << 6 | (at[i] & 0x3F);
    if ((character & 0xFFFE) == 0xFFFE) return 0; /* the last two of each plane are none */
    for (size_t i = 0; i < sizeof unseen / sizeof *unseen; i++)
        if (character >= unseen[i].first && character <= unseen[i].last) return 0;
    return length;
}

bool text_is_seen(const char *text) {
    size_t left = strlen(text), size = 1;
    for (; left > 0 && size > 0; text += size, left -= size) size = text_seen(text, left);
    return size > 0;
}

void text_make_seen(char *text, size_t length) {
    for (size_t i = 0, size; i < length; i += size) {
        size = text_character(text + i, length - i);
        if (size == 0) size = 1;
        if (text_seen(text + i, length - i) == 0) memset(text + i, '?', size);
    }
}

static void escape(struct text *text, unsigned char c) {
    switch (c) {
    case '"':
        text_put(text, "\\\"");
        break;
    case '\\':
        text_put(text, "\\\\");
        break;
    case '\n':
        text_put(text, "\\n");
        break;
    case '\r':
        text_put(text, "\\r");
        break;
    case '\t':
        text_put(text, "\\t");
        break;
    default:
        text_format(text, "\\u%04x", c);
    }
}

static bool plain(unsigned char c) {
    return c >= 0x20 && c < 0x7F && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

void text_json_bytes(struct text *text, const char *bytes, size_t length) {
    const unsigned char *at = (const unsigned char *)bytes, *end = at + length;
    text_char(text, '"');
    while (at < end) {
        const unsigned char *from = at;
        while (at < end && plain(*at)) at++;
        text_add(text, (const char *)from, (size_t)(at - from));
        if (at == end) break;
        size_t size = text_character((const char *)at, (size_t)(end - at));
        if (size > 1) {
            text_add(text, (const char *)at, size);
        } else if (size == 1) {
            escape(text, *at);
        } else {
            text_put(text, "\\ufffd");
            size = 1;
        }
        at += size;
    }
    text_char(text, '"');
}

void text_json(struct text *text, const char *string) {
    if (string) text_json_bytes(text, string, strlen(string));
    else text_put(text, "null");
}

char *text_take(struct text *text) {
    if (!text->bytes) text_add(text, "", 0);
    char *bytes = text->failed ? NULL : text->bytes;
    if (!bytes) free(text->bytes);
    *text = TEXT_EMPTY;
    return bytes;
}
