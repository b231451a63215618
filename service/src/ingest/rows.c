/*
 * Most rows are two plain numbers followed by the same bytes as in a row shortly before. Those are
 * read eight bytes at a time, without parsing source and metadata again. All other rows are parsed
 * field by field. In an eight-byte word the first byte is the lowest.
 */
#include "ingest/rows.h"

#include <stdio.h>
#include <string.h>

#include "text.h"

enum {
    FIELDS = 4,
    TIMESTAMP_DIGITS = 12,
    METRIC_DIGITS = 10,
    METADATA_SIZE = 32, /* longer than any signal's name */
    SHOWN = 24,         /* bytes of a value that an error quotes */
};

static const char *const names[FIELDS] = {"timestamp", "metric", "source", "metadata"};
static const char *const allowed[FIELDS] = {
    "a whole number of seconds since 1970 is needed",
    "a whole number from 0 to 4294967295 is needed",
    "1 to 255 bytes of UTF-8 without control characters are needed",
    "nothing or the name of a signal is needed",
};

/* A field as it stands in the row; `quoted`: without the quotes around it, "" in it is ". */
struct field {
    const char *at;
    size_t length;
    bool quoted;
};

void rows_begin(struct rows *rows, const char *bytes, size_t length, enum rows_leniency leniency) {
    memset(rows, 0, offsetof(struct rows, slots));
    for (int i = 0; i < ROWS_SLOTS; i++) rows->slots[i].tail = NULL;
    rows->at = bytes;
    rows->end = bytes + length;
    rows->leniency = leniency;
    rows->sentence[0] = '\0';
}

/* ---- Sentences ----------------------------------------------------------------------------- */

static enum rows_result wrong_field(struct rows *rows, int number, const struct field *field) {
    char shown[SHOWN + 1];
    size_t length = field->length < SHOWN ? field->length : SHOWN;
    for (size_t i = 0; i < length; i++) {
        char c = field->at[i];
        shown[i] = c >= ' ' && c < 0x7F ? c : '?';
    }
    shown[length] = '\0';
    snprintf(rows->sentence, sizeof rows->sentence, "row %d: %s is '%s%s': %s", rows->number,
             names[number], shown, field->length > SHOWN ? "..." : "", allowed[number]);
    return ROWS_MALFORMED;
}

static enum rows_result wrong_quotes(struct rows *rows, int number) {
    snprintf(rows->sentence, sizeof rows->sentence,
             "row %d: the quotes of %s are wrong: a field with a quote in it is put in quotes, and "
             "that quote is doubled",
             rows->number, number < FIELDS ? names[number] : "the last field");
    return ROWS_MALFORMED;
}

static enum rows_result wrong_count(struct rows *rows, int count) {
    snprintf(rows->sentence, sizeof rows->sentence,
             "row %d has %d field%s: timestamp,metric,source,metadata are needed", rows->number,
             count, count == 1 ? "" : "s");
    return ROWS_MALFORMED;
}

/* ---- Fields -------------------------------------------------------------------------------- */

/* Whether the row ends at `at`, and how long its end is (0: the input ends). */
static bool row_ends(const struct rows *rows, const char *at, size_t *length) {
    *length = 0;
    if (at == rows->end) return true;
    *length = 1;
    if (*at == '\n') return true;
    *length = 2;
    return *at == '\r' && rows->end - at > 1 && at[1] == '\n';
}

/* The end of the field that begins at `at`; NULL: its quotes are wrong. */
static const char *read_field(const struct rows *rows, const char *at, struct field *field) {
    size_t ending;
    *field = (struct field){.at = at};
    if (at == rows->end || *at != '"') {
        while (!row_ends(rows, at, &ending) && *at != ',') {
            if (*at == '"') return NULL;
            at++;
        }
        field->length = (size_t)(at - field->at);
        return at;
    }
    *field = (struct field){.at = at + 1, .quoted = true};
    for (at++;; at += 2) {
        at = memchr(at, '"', (size_t)(rows->end - at));
        if (!at) return NULL;
        if (rows->end - at < 2 || at[1] != '"') break;
    }
    field->length = (size_t)(at++ - field->at);
    return row_ends(rows, at, &ending) || *at == ',' ? at : NULL;
}

static bool read_number(const struct field *field, size_t digits, int64_t *number) {
    if (field->length == 0 || field->length > digits) return false;
    *number = 0;
    for (size_t i = 0; i < field->length; i++) {
        if (field->at[i] < '0' || field->at[i] > '9') return false;
        *number = *number * 10 + (field->at[i] - '0');
    }
    return true;
}

static bool is_negative(const struct field *field) {
    int64_t number;
    if (field->length < 2 || field->at[0] != '-') return false;
    struct field digits = {.at = field->at + 1, .length = field->length - 1};
    return read_number(&digits, TIMESTAMP_DIGITS, &number);
}

/* A field without its quotes; NULL: it does not fit the buffer. */
static const char *unquoted(const struct field *field, char *buffer, size_t size, size_t *length) {
    *length = field->length;
    if (!field->quoted || !memchr(field->at, '"', field->length)) return field->at;
    *length = 0;
    for (size_t i = 0; i < field->length; i++) {
        if (*length == size) return NULL;
        buffer[(*length)++] = field->at[i];
        if (field->at[i] == '"') i++;
    }
    return buffer;
}

static bool is_source(const char *source, size_t length) {
    if (!source || length == 0 || length >= ROWS_SOURCE_SIZE) return false;
    for (size_t i = 0, size; i < length; i += size) {
        unsigned char c = (unsigned char)source[i];
        size = text_character(source + i, length - i);
        if (size == 0 || c < 0x20 || c == 0x7F) return false;
        /* U+0080 to U+009F */
        if (c == 0xC2 && (unsigned char)source[i + 1] < 0xA0) return false;
    }
    return true;
}

/* ---- Rows ---------------------------------------------------------------------------------- */

/* Reads the fields of the row at rows->at; *after is its end. Returns their number, -1: quotes are
 * wrong. Of more than four, the last one is stored in fields[3]. */
static int read_fields(struct rows *rows, struct field fields[FIELDS], const char **after) {
    const char *at = rows->at;
    int count = 0;
    for (;; at++) {
        struct field *field = &fields[count < FIELDS ? count : FIELDS - 1];
        at = read_field(rows, at, field);
        if (!at) {
            wrong_quotes(rows, count);
            return -1;
        }
        count++;
        size_t ending;
        if (row_ends(rows, at, &ending)) {
            *after = at + ending;
            return count;
        }
    }
}

/* The gem before 2.0 never quotes, so everything before the last comma is the source. */
static void join_source(struct field fields[FIELDS]) {
    const char *end = fields[3].at - (fields[3].quoted ? 1 : 0) - 1;
    fields[2].length = (size_t)(end - fields[2].at);
}

static inline uint64_t load(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Puts source and signal into a slot. False: the source is invalid. */
static bool fill_slot(struct rows *rows, const struct field *source, const struct field *metadata,
                      const char *after) {
    char buffer[METADATA_SIZE];
    size_t length;
    struct rows_slot *slot = &rows->slots[rows->next_slot];
    rows->slot = rows->next_slot;
    rows->next_slot = (rows->next_slot + 1) % ROWS_SLOTS;
    rows->fresh = true;
    slot->tail = NULL;
    slot->source = unquoted(source, slot->buffer, sizeof slot->buffer, &slot->source_length);
    if (!is_source(slot->source, slot->source_length)) return false;
    const char *name = unquoted(metadata, buffer, sizeof buffer, &length);
    slot->signal = name ? signal_of_metadata(name, length) : SIGNAL_UNKNOWN;
    rows->source = slot->source;
    rows->source_length = slot->source_length;
    rows->signal = slot->signal;
    slot->tail = source->quoted ? source->at - 1 : source->at;
    slot->tail_length = (size_t)(after - slot->tail);
    /* A tail without a line end belongs to the last row, so no row can repeat it. */
    size_t head = slot->tail_length < 8 ? slot->tail_length : 8;
    char first[8] = "";
    memcpy(first, slot->tail, head);
    slot->head = load(first);
    slot->head_mask = head < 8 ? ((uint64_t)1 << (8 * head)) - 1 : UINT64_MAX;
    return true;
}

static enum rows_result take_apart(struct rows *rows) {
    struct field fields[FIELDS];
    const char *after;
    int count = read_fields(rows, fields, &after);
    if (count < 0) return ROWS_MALFORMED;
    bool old = rows->leniency == ROWS_OLD;
    if (old && count > FIELDS && !fields[2].quoted) join_source(fields);
    else if (count != FIELDS) return wrong_count(rows, count);

    int64_t metric = 0;
    if (!read_number(&fields[0], TIMESTAMP_DIGITS, &rows->second))
        return wrong_field(rows, 0, &fields[0]);
    bool negative = old && is_negative(&fields[1]);
    if (!negative && (!read_number(&fields[1], old ? TIMESTAMP_DIGITS : METRIC_DIGITS, &metric) ||
                      (!old && metric > UINT32_MAX)))
        return wrong_field(rows, 1, &fields[1]);
    if (!fill_slot(rows, &fields[2], &fields[3], after)) return wrong_field(rows, 2, &fields[2]);
    rows->at = after;
    if (negative || metric > UINT32_MAX) {
        /* The caller sees only rows that count, and the first of those must be new to it. */
        rows->slots[rows->slot].tail = NULL;
        return ROWS_REFUSED;
    }
    rows->metric = (uint32_t)metric;
    return rows->signal == SIGNAL_UNKNOWN ? ROWS_REFUSED : ROWS_ROW;
}

/* ---- Rows like one before ------------------------------------------------------------------ */

#define EACH_BYTE(byte) (0x0101010101010101u * (byte))

/* Whether eight bytes are digits: the high half of each is 3, and stays 3 when 6 is added. */
static inline bool are_digits(uint64_t word) {
    return ((word & (word + EACH_BYTE(6)) & EACH_BYTE(0xF0)) ^ EACH_BYTE(0x30)) == 0 &&
           (word & EACH_BYTE(0xF0)) == EACH_BYTE(0x30);
}

/* The value of eight digits, the first in the lowest byte: adds them up in pairs, pairs of pairs,
 * then both halves. */
static inline uint64_t eight_digits(uint64_t word) {
    word = (word & EACH_BYTE(0x0F)) * ((10 << 8) + 1) >> 8;
    word = (word & 0x00FF00FF00FF00FFu) * ((100 << 16) + 1) >> 16;
    return (word & 0x0000FFFF0000FFFFu) * ((10000ull << 32) + 1) >> 32;
}

/* Reads a timestamp of ten digits and its comma; NULL: it is something else. */
static inline const char *quick_second(struct rows *rows, const char *at) {
    uint64_t word = load(at);
    uint16_t rest;
    memcpy(&rest, at + 8, sizeof rest);
    if (at[10] != ',') return NULL;
    if (word != rows->stamp || rest != rows->stamp_rest) {
        unsigned tens = (unsigned char)(at[8] - '0'), ones = (unsigned char)(at[9] - '0');
        if (!are_digits(word) || tens > 9 || ones > 9) return NULL;
        rows->stamp = word;
        rows->stamp_rest = rest;
        rows->stamp_second = (int64_t)(eight_digits(word) * 100 + tens * 10 + ones);
    }
    rows->second = rows->stamp_second;
    return at + 11;
}

/* Reads a metric of up to seven digits and its comma; NULL: it is something else. */
static inline const char *quick_metric(struct rows *rows, const char *at) {
    uint64_t word = load(at), differs = word ^ EACH_BYTE(',');
    uint64_t commas = (differs - EACH_BYTE(1)) & ~differs & EACH_BYTE(0x80);
    if (commas == 0) return NULL;
    int digits = __builtin_ctzll(commas) / 8;
    if (digits == 0) return NULL;
    /* Leading zeros make it eight digits. */
    word = word << (64 - 8 * digits) | EACH_BYTE('0') >> (8 * digits);
    if (!are_digits(word)) return NULL;
    rows->metric = (uint32_t)eight_digits(word);
    return at + digits + 1;
}

/* `left`: bytes from `at` on, 8 at least. */
static inline bool is_tail(const struct rows_slot *slot, const char *at, size_t left) {
    if (!slot->tail || ((load(at) ^ slot->head) & slot->head_mask) != 0) return false;
    if (slot->tail_length <= 8) return true;
    return left >= slot->tail_length && memcmp(at + 8, slot->tail + 8, slot->tail_length - 8) == 0;
}

/* False: it is no such row, and nothing was consumed. */
static inline bool quick_row(struct rows *rows) {
    enum { NUMBERS = 11 + 8, MARGIN = NUMBERS + 8 };
    if (rows->end - rows->at < MARGIN) return false;
    const char *at = quick_second(rows, rows->at);
    if (at) at = quick_metric(rows, at);
    if (!at) return false;
    size_t left = (size_t)(rows->end - at);
    int slot = rows->slot;
    if (!is_tail(&rows->slots[slot], at, left)) {
        for (slot = 0; slot < ROWS_SLOTS && !is_tail(&rows->slots[slot], at, left);) slot++;
        if (slot == ROWS_SLOTS) return false;
    }
    rows->slot = slot;
    rows->at = at + rows->slots[slot].tail_length;
    return true;
}

enum rows_result rows_next(struct rows *rows) {
    rows->number++;
    if (quick_row(rows)) {
        const struct rows_slot *slot = &rows->slots[rows->slot];
        rows->fresh = false;
        rows->source = slot->source;
        rows->source_length = slot->source_length;
        rows->signal = slot->signal;
        return rows->signal == SIGNAL_UNKNOWN ? ROWS_REFUSED : ROWS_ROW;
    }
    size_t ending;
    while (rows->at < rows->end && row_ends(rows, rows->at, &ending)) rows->at += ending;
    if (rows->at < rows->end) return take_apart(rows);
    rows->number--;
    return ROWS_END;
}
