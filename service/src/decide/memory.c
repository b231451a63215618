#include "decide/memory.h"

#include "decide/fields.h"

#define NUMBER(number, name, unknown, meaning) \
    {number, #name, offsetof(struct memory, name), unknown},
static const struct field numbers[] = {MEMORY_FIELDS(NUMBER)};

enum { NUMBERS = sizeof numbers / sizeof *numbers };
_Static_assert(NUMBERS * 11 <= MEMORY_STORED, "MEMORY_STORED has room for every field");

static const struct fields fields = {numbers, NUMBERS, NULL, 0};

void memory_clear(struct memory *memory) { fields_clear(&fields, memory); }

size_t memory_encode(uint8_t *bytes, const struct memory *memory) {
    struct memory cleared;
    memory_clear(&cleared);
    return fields_encode(&fields, bytes, memory, &cleared);
}

bool memory_decode(struct memory *memory, const uint8_t *bytes, size_t length) {
    memory_clear(memory);
    return fields_decode(&fields, memory, bytes, length);
}

void memory_json(struct text *text, const struct memory *memory) {
    fields_json(&fields, text, memory);
}

bool memory_set(struct memory *memory, const char *name, const char *value) {
    return fields_set(&fields, memory, name, value);
}

bool memory_equal(const struct memory *one, const struct memory *other) {
    return fields_equal(&fields, one, other);
}
