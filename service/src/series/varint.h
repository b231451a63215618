/*
 * Whole numbers in 7 bits a byte, the lowest first; the high bit says that more follow. Only the
 * shortest form is read. Signed numbers alternate: 0, -1, 1, -2 ...
 */
#ifndef VARINT_H
#define VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VARINT_SIZE = 10 }; /* the longest */

static inline uint8_t *varint_put(uint8_t *at, uint64_t value) {
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

/* NULL where the bytes end too early, or where varint_put can't have written them. */
static inline const uint8_t *varint_get(const uint8_t *at, const uint8_t *end, uint64_t *value) {
    if (at < end && *at < 0x80) {
        *value = *at;
        return at + 1;
    }
    uint64_t found = 0;
    for (int shift = 0; at < end && shift < 64; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1) return NULL;
        found |= (uint64_t)(byte & 0x7F) << shift;
        if (byte >= 0x80) continue;
        if (byte == 0 && shift > 0) return NULL;
        *value = found;
        return at;
    }
    return NULL;
}

static inline uint64_t varint_signed(int64_t value) {
    return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t varint_unsigned(uint64_t value) {
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

#endif
