#include "decide/automatic/learned.h"

#include <string.h>

enum { VERSION = 1 };
static const double MOST = 1e60;
static const int64_t LATEST = INT64_C(1) << 40;

#define OFFSET(name, meaning) offsetof(struct learned, name),
static const size_t numbers[] = {LEARNED_NUMBERS(OFFSET)};
static const size_t doubles[] = {LEARNED_DOUBLES(OFFSET)};
enum { NUMBERS = sizeof numbers / sizeof *numbers, DOUBLES = sizeof doubles / sizeof *doubles };
_Static_assert(sizeof(struct learned) == (NUMBERS + DOUBLES + LEARNED_EXPONENTS) * 8 +
                                             (LEARNED_OUTCOMES + LEARNED_LOADS) * 4,
               "no padding");
_Static_assert(1 + NUMBERS * 10 + (DOUBLES + LEARNED_EXPONENTS) * 8 +
                       (LEARNED_OUTCOMES + LEARNED_LOADS) * 5 <=
                   LEARNED_STORED,
               "LEARNED_STORED has room for everything");

bool learned_is_empty(const struct learned *learned) {
    static const struct learned empty;
    return memcmp(learned, &empty, sizeof empty) == 0;
}

/* ---- The stored form ------------------------------------------------------------------------ */

static size_t put_varint(uint8_t *bytes, uint64_t value) {
    size_t length = 0;
    for (; value >= 0x80; value >>= 7) bytes[length++] = (uint8_t)(value | 0x80);
    bytes[length++] = (uint8_t)value;
    return length;
}

static uint64_t zigzag(int64_t value) {
    return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}
static int64_t unzigzag(uint64_t value) { return (int64_t)(value >> 1 ^ (0 - (value & 1))); }

static size_t put_double(uint8_t *bytes, const void *value) {
    uint64_t bits;
    memcpy(&bits, value, sizeof bits);
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(bits >> 8 * i);
    return 8;
}

static int64_t load_count(const struct learned *learned) {
    return learned->ticks < LEARNED_LOADS ? learned->ticks : LEARNED_LOADS;
}

static size_t place_of(const struct learned *learned, int64_t i) {
    return (size_t)((learned->ticks - load_count(learned) + i) % LEARNED_LOADS);
}

size_t learned_encode(uint8_t *bytes, const struct learned *learned) {
    if (learned_is_empty(learned)) return 0;
    size_t length = 0;
    bytes[length++] = VERSION;
    for (size_t i = 0; i < NUMBERS; i++) {
        int64_t value;
        memcpy(&value, (const char *)learned + numbers[i], sizeof value);
        length += put_varint(bytes + length, zigzag(value));
    }
    for (size_t i = 0; i < DOUBLES; i++)
        length += put_double(bytes + length, (const char *)learned + doubles[i]);
    for (size_t i = 0; i < LEARNED_EXPONENTS; i++)
        length += put_double(bytes + length, &learned->power[i]);
    int64_t before = 0;
    for (size_t i = 0; i < LEARNED_OUTCOMES; before = learned->log_outcome[i++])
        length += put_varint(bytes + length, zigzag(learned->log_outcome[i] - before));
    before = 0;
    for (int64_t i = 0; i < load_count(learned);
         i++) { /* oldest first, so that neighbouring values are alike */
        int64_t load = learned->load[place_of(learned, i)];
        length += put_varint(bytes + length, zigzag(load - before));
        before = load;
    }
    return length;
}

struct reader {
    const uint8_t *at, *end;
    bool failed;
};

static int64_t take_varint(struct reader *reader) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
        uint8_t byte = *reader->at++;
        if (shift == 63 && byte > 1) break;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte >= 0x80) continue;
        if (byte == 0 && shift > 0) break;
        return unzigzag(value);
    }
    reader->failed = true;
    return 0;
}

/* The value must be finite: the method never produces anything else. */
static void take_double(struct reader *reader, void *value) {
    uint64_t bits = 0;
    reader->failed = reader->failed || reader->end - reader->at < 8;
    if (reader->failed) return;
    for (int i = 0; i < 8; i++) bits |= (uint64_t)*reader->at++ << 8 * i;
    reader->failed = (bits >> 52 & 0x7FF) == 0x7FF;
    if (!reader->failed) memcpy(value, &bits, sizeof bits);
}

static int64_t take_within(struct reader *reader, int64_t before, int64_t low, int64_t high) {
    int64_t more = take_varint(reader);
    if (more < -LATEST || more > LATEST) reader->failed = true;
    else before += more;
    if (before >= low && before <= high) return before;
    reader->failed = true;
    return low;
}

static void take_series(struct reader *reader, struct learned *learned) {
    int64_t before = 0;
    for (size_t i = 0; i < LEARNED_OUTCOMES; i++) {
        before = take_within(reader, before, INT32_MIN, INT32_MAX);
        learned->log_outcome[i] = (int32_t)before;
    }
    before = 0;
    for (int64_t i = 0; i < load_count(learned) && !reader->failed; i++) {
        before = take_within(reader, before, 0, UINT32_MAX);
        learned->load[place_of(learned, i)] = (uint32_t)before;
    }
}

bool learned_decode(struct learned *learned, const uint8_t *bytes, size_t length) {
    memset(learned, 0, sizeof *learned);
    if (length == 0) return true;
    struct reader reader = {bytes + 1, bytes + length, bytes[0] != VERSION};
    for (size_t i = 0; i < NUMBERS; i++) {
        int64_t value = take_varint(&reader);
        memcpy((char *)learned + numbers[i], &value, sizeof value);
    }
    if (learned->ticks < 0 || learned->ticks > LATEST) reader.failed = true;
    for (size_t i = 0; i < DOUBLES; i++) take_double(&reader, (char *)learned + doubles[i]);
    for (size_t i = 0; i < LEARNED_EXPONENTS; i++) take_double(&reader, &learned->power[i]);
    if (!reader.failed) take_series(&reader, learned);
    bool good = !reader.failed && reader.at == reader.end && !learned_is_empty(learned);
    if (!good) memset(learned, 0, sizeof *learned);
    return good;
}

/* ---- Bounds --------------------------------------------------------------------------------- */

void learned_bound(struct learned *learned) {
#define X(name, meaning) \
    learned->name = learned->name < 0 ? 0 : learned->name > LATEST ? LATEST : learned->name;
    LEARNED_NUMBERS(X)
#undef X
#define X(name, meaning) \
    learned->name = learned->name > MOST ? MOST : learned->name < -MOST ? -MOST : learned->name;
    LEARNED_DOUBLES(X)
#undef X
    if (learned->chosen > 2) learned->chosen = 0;
    if (!(learned->capacity > 1e-9) || !(learned->exponent >= 1)) learned->windows = 0;
}

void learned_move(struct learned *learned, int64_t by, int64_t now) {
    int64_t *const moments[] = {&learned->load_at, &learned->restart_at, &learned->trouble_at,
                                &learned->trial_grown_at, &learned->surplus_since};
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        if (*moments[i] == 0) continue;
        *moments[i] += by;
        if (*moments[i] < 1) *moments[i] = 1;
        if (*moments[i] > now) *moments[i] = now;
    }
    if (learned->ceiling_until != 0) learned->ceiling_until += by;
}
