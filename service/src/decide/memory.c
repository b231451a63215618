#include "decide/memory.h"

#include <string.h>

#include "decide/fields.h"

#define NUMBER(number, name, unknown, meaning) \
    {number, #name, offsetof(struct memory, name), unknown},
static const struct field numbers[] = {MEMORY_FIELDS(NUMBER)};

enum { NUMBERS = sizeof numbers / sizeof *numbers };
_Static_assert(NUMBERS * 11 + 1 + LEARNED_STORED <= MEMORY_STORED,
               "MEMORY_STORED has room for every field");

static const struct fields fields = {numbers, NUMBERS, NULL, 0};

void memory_clear(struct memory *memory) {
    fields_clear(&fields, memory);
    memset(&memory->learned, 0, sizeof memory->learned);
}

size_t memory_encode(uint8_t *bytes, const struct memory *memory) {
    struct memory cleared;
    memory_clear(&cleared);
    size_t length = fields_encode(&fields, bytes, memory, &cleared);
    if (learned_is_empty(&memory->learned)) return length;
    bytes[length++] = 0; /* no field has this number */
    return length + learned_encode(bytes + length, &memory->learned);
}

bool memory_decode(struct memory *memory, const uint8_t *bytes, size_t length) {
    memory_clear(memory);
    size_t used = fields_decode_some(&fields, memory, bytes, length);
    if (used == length) return true;
    if (used > length || bytes[used] != 0 || used + 1 == length) return false;
    return learned_decode(&memory->learned, bytes + used + 1, length - used - 1);
}

void memory_json(struct text *text, const struct memory *memory) {
    fields_json(&fields, text, memory);
}

bool memory_set(struct memory *memory, const char *name, const char *value) {
    return fields_set(&fields, memory, name, value);
}

bool memory_equal(const struct memory *one, const struct memory *other) {
    return fields_equal(&fields, one, other) &&
           memcmp(&one->learned, &other->learned, sizeof one->learned) == 0;
}
