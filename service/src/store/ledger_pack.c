/*
 * A pack is a byte for its form (1: as it is, 2: compressed with zstd after its length), then the
 * count of ticks, then sections, each begun by its number, ended by a 0:
 *
 *     a column of numbers   only where one is not what the cleared tick has; `numbers` below
 *     what was learned      only where a tick has any: of each tick how many bytes of it are here,
 * or 1 where it is what the tick before left; then these bytes a text                the templates
 * that there are, which of them each tick has, and a column for each number in them
 *
 * A template is the text with its numbers taken out: "hold \1: p95 is \1 ms, below \1 ms for \2". A
 * number in a text is often one of the situation's own: then only its column's number is kept.
 */
#include "store/ledger_pack.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { PLAIN = 1, COMPRESSED = 2, LEVEL = 9, SHORTEST_COMPRESSED = 512 };
enum { RAW = 3, NUMBER = 1, DURATION = 2 }; /* markers in templates */
enum { LEARNED = 300, CHAINED = 1 };        /* the section; and a length that no stored form has */
enum { MOST_UNPACKED = 16 * 1024 * 1024, MOST_DIGITS = 15, MOST_NUMBERS = 64 };

/* ---- The columns ---------------------------------------------------------------------------- */

struct column {
    unsigned number;
    size_t offset, size; /* of an int64_t, int or enum in struct ledger_tick */
};

#define SITUATION(number, name, unknown, meaning) \
    {number, offsetof(struct ledger_tick, situation.name), sizeof(int64_t)},
#define MEMORY(number, name, unknown, meaning) \
    {200 + number, offsetof(struct ledger_tick, memory.name), sizeof(int64_t)},
#define OTHER(number, name) \
    { number, offsetof(struct ledger_tick, name), sizeof(((struct ledger_tick *)0)->name) }

static const struct column columns[] = {SITUATION_FIELDS(SITUATION) MEMORY_FIELDS(MEMORY)
                                            OTHER(400, rules_version),
                                        OTHER(401, rule_number),
                                        OTHER(402, decision.action),
                                        OTHER(403, decision.from),
                                        OTHER(404, decision.to),
                                        OTHER(405, decision.form)};
enum { COLUMNS = sizeof columns / sizeof *columns };

static const struct column texts[] = {OTHER(100, situation.queue), OTHER(101, situation.trouble),
                                      OTHER(102, situation.outsider), OTHER(410, decision.sentence),
                                      OTHER(411, decision.next)};
enum { TEXTS = sizeof texts / sizeof *texts };

static int64_t get(const struct column *column, const struct ledger_tick *tick) {
    int64_t wide;
    int narrow;
    if (column->size == sizeof wide) {
        memcpy(&wide, (const char *)tick + column->offset, sizeof wide);
        return wide;
    }
    memcpy(&narrow, (const char *)tick + column->offset, sizeof narrow);
    return narrow;
}

static void set(const struct column *column, struct ledger_tick *tick, int64_t value) {
    int narrow = (int)value;
    if (column->size == sizeof value) memcpy((char *)tick + column->offset, &value, sizeof value);
    else memcpy((char *)tick + column->offset, &narrow, sizeof narrow);
}

static const char *text_of(const struct column *text, const struct ledger_tick *tick) {
    return (const char *)tick + text->offset;
}

/* ---- Bytes ---------------------------------------------------------------------------------- */

struct bytes {
    uint8_t *at;
    size_t length, room;
    bool failed;
};

static void put(struct bytes *bytes, const void *data, size_t length) {
    if (bytes->failed || length == 0) return;
    if (bytes->length + length > bytes->room) {
        size_t room = bytes->room ? bytes->room : 1024;
        while (room < bytes->length + length) room *= 2;
        uint8_t *at = realloc(bytes->at, room);
        bytes->failed = !at;
        if (!at) return;
        bytes->at = at;
        bytes->room = room;
    }
    memcpy(bytes->at + bytes->length, data, length);
    bytes->length += length;
}

static void put_varint(struct bytes *bytes, uint64_t value) {
    uint8_t part[10];
    size_t length = 0;
    for (; value >= 0x80; value >>= 7) part[length++] = (uint8_t)(value | 0x80);
    part[length++] = (uint8_t)value;
    put(bytes, part, length);
}

struct reader {
    const uint8_t *at, *end;
    bool failed;
};

static uint64_t take_varint(struct reader *reader) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
        uint8_t byte = *reader->at++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return value;
    }
    reader->failed = true;
    return 0;
}

static const uint8_t *take(struct reader *reader, uint64_t length) {
    const uint8_t *at = reader->at;
    reader->failed = reader->failed || length > (uint64_t)(reader->end - reader->at);
    if (!reader->failed) reader->at += length;
    return at;
}

static uint64_t zigzag(uint64_t value) { return value << 1 ^ (0 - (value >> 63)); }
static uint64_t unzigzag(uint64_t value) { return value >> 1 ^ (0 - (value & 1)); }

/* ---- A column of numbers -------------------------------------------------------------------- */

/* Replaces each number by its difference from the previous one. Unsigned, since a difference may
 * wrap around. */
static void subtract(uint64_t *values, size_t count) {
    for (size_t i = count; i-- > 1;) values[i] -= values[i - 1];
}

static void sum(uint64_t *values, size_t count) {
    for (size_t i = 1; i < count; i++) values[i] += values[i - 1];
}

/* Roughly how many bits the numbers need. */
static uint64_t weight(const uint64_t *values, size_t count) {
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i++)
        for (uint64_t value = zigzag(values[i]); value; value >>= 1) bits++;
    return bits;
}

/* Writes the order of differences and the numbers; after a 0 comes how many more zeros follow.
 * Destroys the values. */
static void put_numbers(struct bytes *bytes, uint64_t *values, size_t count) {
    uint64_t weights[3];
    unsigned best = 0;
    for (unsigned order = 0; order < 3; order++) {
        if (order > 0) subtract(values, count);
        weights[order] = weight(values, count);
        if (weights[order] < weights[best]) best = order;
    }
    for (unsigned order = 2; order > best; order--) sum(values, count);
    put_varint(bytes, best);
    for (size_t i = 0; i < count; i++) {
        put_varint(bytes, zigzag(values[i]));
        if (values[i] != 0) continue;
        size_t from = i;
        while (i + 1 < count && values[i + 1] == 0) i++;
        put_varint(bytes, i - from);
    }
}

static void take_numbers(struct reader *reader, uint64_t *values, size_t count) {
    uint64_t order = take_varint(reader);
    reader->failed = reader->failed || order > 2;
    for (size_t i = 0; i < count && !reader->failed; i++) {
        values[i] = unzigzag(take_varint(reader));
        if (values[i] != 0) continue;
        uint64_t more = take_varint(reader);
        reader->failed = reader->failed || more > count - 1 - i;
        for (; more > 0 && !reader->failed; more--) values[++i] = 0;
    }
    for (; order > 0 && !reader->failed; order--) sum(values, count);
}

/* ---- Texts ---------------------------------------------------------------------------------- */

struct template {
    char words[DECISION_SENTENCE_SIZE + 1]; /* room for the longest text, and RAW */
    size_t length;
    uint64_t numbers[MOST_NUMBERS];
    size_t count;
};

static bool digit(char c) { return c >= '0' && c <= '9'; }

/* Reads the digits at `at` as a number, if printing it gives the same digits; else returns 0. */
static size_t number_at(const char *at, uint64_t *number) {
    size_t length = 0;
    *number = 0;
    for (; length <= MOST_DIGITS && digit(at[length]); length++)
        *number = *number * 10 + (uint64_t)(at[length] - '0');
    if (length > MOST_DIGITS || (at[0] == '0' && length > 1)) return 0;
    return length;
}

/* Reads "2:10", minutes and seconds, as 130. */
static size_t duration_at(const char *at, uint64_t *number) {
    uint64_t minutes;
    size_t length = number_at(at, &minutes);
    const char *rest = at + length;
    if (length == 0 || length > 9 || rest[0] != ':' || rest[1] < '0' || rest[1] > '5') return 0;
    if (!digit(rest[2]) || digit(rest[3])) return 0;
    *number = minutes * 60 + (uint64_t)((rest[1] - '0') * 10 + (rest[2] - '0'));
    return length + 3;
}

static void split(const char *text, struct template *into) {
    into->count = into->length = 0;
    if (strpbrk(text, "\1\2\3")) {
        into->words[into->length++] = RAW;
        strcpy(into->words + 1, text);
        into->length += strlen(text);
        return;
    }
    while (*text) {
        uint64_t number;
        bool full = into->count == MOST_NUMBERS;
        size_t length = full ? 0 : duration_at(text, &number);
        char mark = DURATION;
        if (length == 0 && !full) {
            length = number_at(text, &number);
            mark = NUMBER;
        }
        if (length > 0) {
            into->words[into->length++] = mark;
            into->numbers[into->count++] = number;
            text += length;
        } else { /* digits that are no number are copied as they are */
            do into->words[into->length++] = *text++;
            while (digit(text[-1]) && digit(*text));
        }
    }
    into->words[into->length] = '\0';
}

static size_t write_number(char out[32], char mark, uint64_t number) {
    char digits[24];
    size_t count = 0, length = 0;
    uint64_t whole = mark == DURATION ? number / 60 : number;
    do digits[count++] = (char)('0' + whole % 10);
    while (whole /= 10);
    while (count > 0) out[length++] = digits[--count];
    if (mark == DURATION) {
        out[length++] = ':';
        out[length++] = (char)('0' + number % 60 / 10);
        out[length++] = (char)('0' + number % 10);
    }
    return length;
}

/* False: it does not fit. */
static bool join(char *text, size_t size, const char *words, size_t length,
                 const uint64_t *numbers) {
    size_t at = 0;
    bool raw = length > 0 && words[0] == RAW;
    for (size_t i = raw; i < length; i++) {
        char part[32] = {words[i]};
        size_t more = 1;
        if (!raw && (words[i] == NUMBER || words[i] == DURATION))
            more = write_number(part, words[i], *numbers++);
        if (at + more >= size) return false;
        memcpy(text + at, part, more);
        at += more;
    }
    memset(text + at, 0, size - at);
    return true;
}

/* The parts of one text in all ticks. */
struct texts {
    size_t count; /* of templates */
    uint64_t *which;
    struct template *of; /* per tick */
    size_t *first;       /* the first tick with the template */
};

static void find_templates(struct texts *all, const struct column *text,
                           const struct ledger_tick *ticks, size_t count) {
    all->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct template *own = &all->of[i];
        split(text_of(text, &ticks[i]), own);
        size_t known = all->count; /* newest first: a text usually follows the same template as the
                                      one before */
        while (known > 0) {
            const struct template *other = &all->of[all->first[known - 1]];
            if (other->length == own->length && memcmp(other->words, own->words, own->length) == 0)
                break;
            known--;
        }
        if (known == 0) all->first[all->count++] = i;
        all->which[i] = known == 0 ? all->count - 1 : known - 1;
    }
}

/* The column that has exactly these numbers; 0: none. */
static unsigned same_column(const struct texts *all, size_t template, size_t slot,
                            const struct ledger_tick *ticks, size_t count) {
    for (size_t c = 0; c < COLUMNS; c++) {
        bool same = true;
        for (size_t i = 0; i < count && same; i++)
            same = all->which[i] != template ||
                   (uint64_t)get(&columns[c], &ticks[i]) == all->of[i].numbers[slot];
        if (same) return columns[c].number;
    }
    return 0;
}

static void put_slot(struct bytes *bytes, const struct texts *all, size_t template, size_t slot,
                     const struct ledger_tick *ticks, size_t count, uint64_t *values) {
    unsigned column = same_column(all, template, slot, ticks, count);
    put_varint(bytes, column);
    if (column) return;
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        if (all->which[i] == template) values[used++] = all->of[i].numbers[slot];
    put_numbers(bytes, values, used);
}

static void put_text(struct bytes *bytes, const struct column *text, struct texts *all,
                     const struct ledger_tick *ticks, size_t count, uint64_t *values) {
    find_templates(all, text, ticks, count);
    if (all->count == 1 && all->of[0].length == 0) return;
    put_varint(bytes, text->number);
    put_varint(bytes, all->count);
    memcpy(values, all->which, count * sizeof *values);
    put_numbers(bytes, values, count);
    for (size_t t = 0; t < all->count; t++) {
        const struct template *template = &all->of[all->first[t]];
        put_varint(bytes, template->length);
        put(bytes, template->words, template->length);
        for (size_t slot = 0; slot < template->count; slot++)
            put_slot(bytes, all, t, slot, ticks, count, values);
    }
}

/* ---- Packing -------------------------------------------------------------------------------- */

static void put_columns(struct bytes *bytes, const struct ledger_tick *ticks, size_t count,
                        uint64_t *values) {
    struct ledger_tick cleared = {0};
    situation_clear(&cleared.situation);
    memory_clear(&cleared.memory);
    for (size_t c = 0; c < COLUMNS; c++) {
        bool known = false;
        int64_t usual = get(&columns[c], &cleared);
        for (size_t i = 0; i < count; i++) {
            int64_t value = get(&columns[c], &ticks[i]);
            values[i] = (uint64_t)value;
            known = known || value != usual;
        }
        if (!known) continue;
        put_varint(bytes, columns[c].number);
        put_numbers(bytes, values, count);
    }
}

static size_t learned_bytes(uint8_t *bytes, const struct ledger_tick *tick) {
    return tick->chained ? CHAINED : learned_encode(bytes, &tick->memory.learned);
}

static void put_learned(struct bytes *bytes, const struct ledger_tick *ticks, size_t count,
                        uint64_t *values) {
    uint8_t learned[LEARNED_STORED];
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        values[i] = learned_bytes(learned, &ticks[i]);
        any = any || values[i] != 0;
    }
    if (!any) return;
    put_varint(bytes, LEARNED);
    put_numbers(bytes, values, count);
    for (size_t i = 0; i < count; i++)
        if (!ticks[i].chained) put(bytes, learned, learned_bytes(learned, &ticks[i]));
}

/* Takes the plain bytes over and returns the stored form. */
static uint8_t *finish(struct bytes *plain, size_t *length) {
    struct bytes out = {0};
    put(&out, &(uint8_t){PLAIN}, 1);
    put(&out, plain->at, plain->length);
    if (plain->length >= SHORTEST_COMPRESSED) {
        size_t room = ZSTD_compressBound(plain->length);
        uint8_t *packed = malloc(room);
        size_t size = packed ? ZSTD_compress(packed, room, plain->at, plain->length, LEVEL) : 0;
        if (packed && !ZSTD_isError(size) && size < plain->length) {
            out.length = 0;
            put(&out, &(uint8_t){COMPRESSED}, 1);
            put_varint(&out, plain->length);
            put(&out, packed, size);
        }
        free(packed);
    }
    bool failed = plain->failed || out.failed;
    free(plain->at);
    if (failed) free(out.at);
    *length = failed ? 0 : out.length;
    return failed ? NULL : out.at;
}

uint8_t *ledger_pack(const struct ledger_tick *ticks, size_t count, size_t *length) {
    struct bytes plain = {0};
    struct texts all = {.which = malloc(count * sizeof *all.which),
                        .of = malloc(count * sizeof *all.of),
                        .first = malloc(count * sizeof *all.first)};
    uint64_t *values = malloc(count * sizeof *values);
    plain.failed = !all.which || !all.of || !all.first || !values || count == 0;
    if (!plain.failed) {
        put_varint(&plain, count);
        put_columns(&plain, ticks, count, values);
        put_learned(&plain, ticks, count, values);
        for (size_t t = 0; t < TEXTS; t++) put_text(&plain, &texts[t], &all, ticks, count, values);
        put_varint(&plain, 0);
    }
    free(all.which);
    free(all.of);
    free(all.first);
    free(values);
    return finish(&plain, length);
}

/* ---- Unpacking ------------------------------------------------------------------------------ */

struct unpacking {
    struct reader reader;
    struct ledger_tick *ticks;
    size_t count;
    uint64_t *values, *which;
    uint64_t (*numbers)[MOST_NUMBERS]; /* per tick, of the text being read */
};

static const struct column *find(const struct column *among, size_t count, uint64_t number) {
    for (size_t i = 0; i < count; i++)
        if (among[i].number == number) return &among[i];
    return NULL;
}

static void take_column(struct unpacking *pack, const struct column *column) {
    take_numbers(&pack->reader, pack->values, pack->count);
    if (pack->reader.failed) return;
    for (size_t i = 0; i < pack->count; i++) set(column, &pack->ticks[i], (int64_t)pack->values[i]);
}

static void take_slot(struct unpacking *pack, size_t template, size_t slot) {
    uint64_t number = take_varint(&pack->reader);
    const struct column *column = number ? find(columns, COLUMNS, number) : NULL;
    size_t used = 0;
    for (size_t i = 0; i < pack->count; i++) used += pack->which[i] == template;
    pack->reader.failed = pack->reader.failed || (number && !column);
    if (!column) take_numbers(&pack->reader, pack->values, used);
    if (pack->reader.failed) return;
    for (size_t i = 0, next = 0; i < pack->count; i++) {
        if (pack->which[i] != template) continue;
        pack->numbers[i][slot] =
            column ? (uint64_t)get(column, &pack->ticks[i]) : pack->values[next++];
    }
}

static size_t slots_of(const uint8_t *words, uint64_t length) {
    size_t slots = 0;
    if (length > 0 && words[0] == RAW) return 0;
    for (uint64_t i = 0; i < length; i++) slots += words[i] == NUMBER || words[i] == DURATION;
    return slots;
}

static void take_template(struct unpacking *pack, const struct column *text, size_t t) {
    struct reader *reader = &pack->reader;
    uint64_t length = take_varint(reader);
    const uint8_t *words = take(reader, length);
    if (reader->failed) return;
    size_t slots = slots_of(words, length);
    reader->failed = slots > MOST_NUMBERS;
    for (size_t slot = 0; slot < slots && !reader->failed; slot++) take_slot(pack, t, slot);
    for (size_t i = 0; i < pack->count && !reader->failed; i++)
        if (pack->which[i] == t)
            reader->failed = !join((char *)&pack->ticks[i] + text->offset, text->size,
                                   (const char *)words, length, pack->numbers[i]);
}

static void take_text(struct unpacking *pack, const struct column *text) {
    uint64_t templates = take_varint(&pack->reader);
    take_numbers(&pack->reader, pack->which, pack->count);
    for (size_t i = 0; i < pack->count; i++)
        pack->reader.failed = pack->reader.failed || pack->which[i] >= templates;
    pack->reader.failed = pack->reader.failed || templates > pack->count;
    for (uint64_t t = 0; t < templates && !pack->reader.failed; t++)
        take_template(pack, text, (size_t)t);
}

static void take_learned(struct unpacking *pack) {
    struct reader *reader = &pack->reader;
    take_numbers(reader, pack->values, pack->count);
    for (size_t i = 0; i < pack->count && !reader->failed; i++) {
        struct ledger_tick *tick = &pack->ticks[i];
        tick->chained = pack->values[i] == CHAINED;
        uint64_t length = tick->chained ? 0 : pack->values[i];
        const uint8_t *bytes = take(reader, length);
        reader->failed =
            reader->failed || !learned_decode(&tick->memory.learned, bytes, (size_t)length);
    }
}

static void take_sections(struct unpacking *pack) {
    for (uint64_t number; (number = take_varint(&pack->reader)) && !pack->reader.failed;) {
        const struct column *column = find(columns, COLUMNS, number);
        const struct column *text = find(texts, TEXTS, number);
        if (column) take_column(pack, column);
        else if (text) take_text(pack, text);
        else if (number == LEARNED) take_learned(pack);
        else pack->reader.failed = true;
    }
    pack->reader.failed = pack->reader.failed || pack->reader.at != pack->reader.end;
}

static struct ledger_tick *unpack_plain(const uint8_t *bytes, size_t length, size_t *count) {
    struct unpacking pack = {.reader = {.at = bytes, .end = bytes + length}};
    uint64_t ticks = take_varint(&pack.reader);
    if (pack.reader.failed || ticks == 0 || ticks > LEDGER_PACK_TICKS) return NULL;
    pack.count = (size_t)ticks;
    pack.ticks = calloc(pack.count, sizeof *pack.ticks);
    pack.values = malloc(pack.count * sizeof *pack.values);
    pack.which = malloc(pack.count * sizeof *pack.which);
    pack.numbers = malloc(pack.count * sizeof *pack.numbers);
    pack.reader.failed = !pack.ticks || !pack.values || !pack.which || !pack.numbers;
    if (!pack.reader.failed) {
        for (size_t i = 0; i < pack.count; i++) {
            situation_clear(&pack.ticks[i].situation);
            memory_clear(&pack.ticks[i].memory);
        }
        take_sections(&pack);
    }
    free(pack.values);
    free(pack.which);
    free(pack.numbers);
    if (pack.reader.failed) free(pack.ticks);
    *count = pack.count;
    return pack.reader.failed ? NULL : pack.ticks;
}

struct ledger_tick *ledger_unpack(const uint8_t *bytes, size_t length, size_t *count) {
    if (length == 0) return NULL;
    if (bytes[0] == PLAIN) return unpack_plain(bytes + 1, length - 1, count);
    struct reader reader = {.at = bytes + 1, .end = bytes + length};
    uint64_t size = take_varint(&reader);
    if (bytes[0] != COMPRESSED || reader.failed || size == 0 || size > MOST_UNPACKED) return NULL;
    uint8_t *plain = malloc((size_t)size);
    struct ledger_tick *ticks = NULL;
    if (plain &&
        ZSTD_decompress(plain, (size_t)size, reader.at, (size_t)(reader.end - reader.at)) == size)
        ticks = unpack_plain(plain, (size_t)size, count);
    free(plain);
    return ticks;
}
