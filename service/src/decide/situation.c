#include "decide/situation.h"

#include "decide/fields.h"

#define NUMBER(number, name, unknown, meaning) \
    {number, #name, offsetof(struct situation, name), unknown},
static const struct field numbers[] = {SITUATION_FIELDS(NUMBER)};

#define TEXT(number, name) \
    { number, #name, offsetof(struct situation, name), SITUATION_TEXT_SIZE }
static const struct field_text texts[] = {TEXT(100, queue), TEXT(101, trouble),
                                          TEXT(102, outsider)};

enum { NUMBERS = sizeof numbers / sizeof *numbers, TEXTS = sizeof texts / sizeof *texts };
_Static_assert(NUMBERS * 11 + TEXTS * (SITUATION_TEXT_SIZE + 3) <= SITUATION_STORED,
               "SITUATION_STORED has room for every field");

static const struct fields fields = {numbers, NUMBERS, texts, TEXTS};

void situation_clear(struct situation *situation) { fields_clear(&fields, situation); }

size_t situation_encode(uint8_t *bytes, const struct situation *situation,
                        const struct situation *before) {
    struct situation cleared;
    situation_clear(&cleared);
    return fields_encode(&fields, bytes, situation, before ? before : &cleared);
}

bool situation_decode(struct situation *situation, const uint8_t *bytes, size_t length,
                      const struct situation *before) {
    if (before) *situation = *before;
    else situation_clear(situation);
    return fields_decode(&fields, situation, bytes, length);
}

void situation_json(struct text *text, const struct situation *situation) {
    fields_json(&fields, text, situation);
}

bool situation_set(struct situation *situation, const char *name, const char *value) {
    return fields_set(&fields, situation, name, value);
}

const char *act_state_name(int64_t state) {
    static const char *const names[] = {
        [ACT_NONE] = "none",     [ACT_UNDER_WAY] = "under_way", [ACT_DONE] = "done",
        [ACT_FAILED] = "failed", [ACT_REFUSED] = "refused",     [ACT_LOCKED] = "locked",
    };
    return state >= ACT_NONE && state <= ACT_LOCKED ? names[state] : names[ACT_NONE];
}
