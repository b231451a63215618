#include "decide/fields.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

static int64_t number_of(const struct field *field, const void *of) {
    int64_t value;
    memcpy(&value, (const char *)of + field->offset, sizeof value);
    return value;
}

static void set_number(const struct field *field, void *of, int64_t value) {
    memcpy((char *)of + field->offset, &value, sizeof value);
}

static const char *text_of(const struct field_text *field, const void *of) {
    return (const char *)of + field->offset;
}

/* Clears the bytes behind the NUL, so that equal texts are equal bytes. */
static void set_text(const struct field_text *field, void *of, const void *bytes, size_t length) {
    char *to = (char *)of + field->offset;
    memset(to, 0, field->size);
    memcpy(to, bytes, length);
}

void fields_clear(const struct fields *fields, void *of) {
    for (size_t i = 0; i < fields->number_count; i++)
        set_number(&fields->numbers[i], of, fields->numbers[i].unknown);
    for (size_t i = 0; i < fields->text_count; i++) set_text(&fields->texts[i], of, "", 0);
}

/* ---- The stored form ------------------------------------------------------------------------ */

static size_t put_varint(uint8_t *bytes, uint64_t value) {
    size_t length = 0;
    for (; value >= 0x80; value >>= 7) bytes[length++] = (uint8_t)(value | 0x80);
    bytes[length++] = (uint8_t)value;
    return length;
}

/* False: the number is cut off, has more than 64 bits, or is longer than needed. */
static bool take_varint(const uint8_t **at, const uint8_t *end, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        if (shift == 63 && byte > 1) return false;
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return byte != 0 || shift == 0;
    }
    return false;
}

/* Maps small differences of either sign to small numbers, which take few bytes. Unsigned, because a
 * difference may wrap around. */
static uint64_t zigzag(uint64_t value) { return value << 1 ^ (0 - (value >> 63)); }
static uint64_t unzigzag(uint64_t value) { return value >> 1 ^ (0 - (value & 1)); }

size_t fields_encode(const struct fields *fields, uint8_t *bytes, const void *of,
                     const void *before) {
    size_t length = 0;
    for (size_t i = 0; i < fields->number_count; i++) {
        const struct field *field = &fields->numbers[i];
        uint64_t value = (uint64_t)number_of(field, of), old = (uint64_t)number_of(field, before);
        if (value == old) continue;
        length += put_varint(bytes + length, field->number);
        length += put_varint(bytes + length, zigzag(value - old));
    }
    for (size_t i = 0; i < fields->text_count; i++) {
        const struct field_text *field = &fields->texts[i];
        const char *value = text_of(field, of);
        size_t size = strlen(value);
        if (strcmp(value, text_of(field, before)) == 0) continue;
        length += put_varint(bytes + length, field->number);
        length += put_varint(bytes + length, size);
        memcpy(bytes + length, value, size);
        length += size;
    }
    return length;
}

static bool take_text(const struct field_text *field, void *of, uint64_t size, const uint8_t **at,
                      const uint8_t *end) {
    if (size >= field->size || size > (size_t)(end - *at)) return false;
    if (memchr(*at, '\0', (size_t)size)) return false;
    const char *old = text_of(field, of);
    if (strlen(old) == size && memcmp(old, *at, (size_t)size) == 0) return false;
    set_text(field, of, *at, (size_t)size);
    *at += size;
    return true;
}

static bool take_field(const struct fields *fields, void *of, uint64_t number, const uint8_t **at,
                       const uint8_t *end) {
    uint64_t value;
    if (!take_varint(at, end, &value)) return false;
    for (size_t i = 0; i < fields->text_count; i++)
        if (fields->texts[i].number == number)
            return take_text(&fields->texts[i], of, value, at, end);
    for (size_t i = 0; i < fields->number_count; i++) {
        const struct field *field = &fields->numbers[i];
        if (field->number != number) continue;
        set_number(field, of, (int64_t)((uint64_t)number_of(field, of) + unzigzag(value)));
        return value != 0;
    }
    return false;
}

size_t fields_decode_some(const struct fields *fields, void *of, const uint8_t *bytes,
                          size_t length) {
    const uint8_t *at = bytes, *end = bytes + length;
    for (uint64_t number = 0, last = 0; at < end && *at != 0; last = number) {
        if (!take_varint(&at, end, &number) || number <= last) return length + 1;
        if (!take_field(fields, of, number, &at, end)) return length + 1;
    }
    return (size_t)(at - bytes);
}

bool fields_decode(const struct fields *fields, void *of, const uint8_t *bytes, size_t length) {
    return fields_decode_some(fields, of, bytes, length) == length;
}

/* ---- Words ---------------------------------------------------------------------------------- */

void fields_json(const struct fields *fields, struct text *text, const void *of) {
    const char *before = "{";
    for (size_t i = 0; i < fields->number_count; i++, before = ",") {
        const struct field *field = &fields->numbers[i];
        int64_t value = number_of(field, of);
        text_format(text, "%s\"%s\":", before, field->name);
        if (value == -1 && field->unknown == -1) text_put(text, "null");
        else text_int(text, value);
    }
    for (size_t i = 0; i < fields->text_count; i++, before = ",") {
        text_format(text, "%s\"%s\":", before, fields->texts[i].name);
        text_json(text, text_of(&fields->texts[i], of));
    }
    text_char(text, '}');
}

static bool is_number(const char *value, int64_t *number) {
    const char *digits = value + (*value == '-');
    if (*digits == '\0' || strspn(digits, "0123456789") != strlen(digits)) return false;
    errno = 0;
    *number = strtoll(value, NULL, 10);
    return errno == 0;
}

bool fields_set(const struct fields *fields, void *of, const char *name, const char *value) {
    for (size_t i = 0; i < fields->number_count; i++) {
        int64_t number;
        if (strcmp(fields->numbers[i].name, name) != 0) continue;
        if (!is_number(value, &number)) return false;
        set_number(&fields->numbers[i], of, number);
        return true;
    }
    for (size_t i = 0; i < fields->text_count; i++) {
        if (strcmp(fields->texts[i].name, name) != 0) continue;
        if (strlen(value) >= fields->texts[i].size) return false;
        set_text(&fields->texts[i], of, value, strlen(value));
        return true;
    }
    return false;
}

bool fields_equal(const struct fields *fields, const void *one, const void *other) {
    for (size_t i = 0; i < fields->number_count; i++)
        if (number_of(&fields->numbers[i], one) != number_of(&fields->numbers[i], other))
            return false;
    for (size_t i = 0; i < fields->text_count; i++)
        if (strcmp(text_of(&fields->texts[i], one), text_of(&fields->texts[i], other)) != 0)
            return false;
    return true;
}
