/*
 * Most rows are two plain numbers and then the same bytes as the row before: those are read without
 * looking at source and metadata again. All others are taken apart into fields.
 */
#include "ingest/rows.h"

#include <stdio.h>
#include <string.h>

#include "text.h"

enum {
    FIELDS = 4,
    TIMESTAMP_DIGITS = 12,
    METRIC_DIGITS = 10,
    METADATA_SIZE = 32, /* longer than the longest name of a signal */
    SHOWN = 24,         /* bytes of a value in a sentence */
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
    memset(rows, 0, offsetof(struct rows, buffer));
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

/* Whether a row ends at `at`, and how many bytes its end has (0: with the bytes). */
static bool row_ends(const struct rows *rows, const char *at, size_t *length) {
    *length = 0;
    if (at == rows->end) return true;
    *length = 1;
    if (*at == '\n') return true;
    *length = 2;
    return *at == '\r' && rows->end - at > 1 && at[1] == '\n';
}

/* What follows the field that begins at `at`; NULL where its quotes are wrong. */
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
    *field = (struct field){.at = ++at, .quoted = true};
    for (;; at += 2) {
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

/* A field without its quotes; NULL where it is longer than the buffer. */
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

/* Fields of the row at rows->at, of which *after is the end; their count, -1 where quotes are
 * wrong. More than four are counted, and the last one is then fields[3]. */
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

/* The gem before 2.0 never quotes: what stands before the last comma is the source. */
static void join_source(struct field fields[FIELDS]) {
    const char *end = fields[3].at - (fields[3].quoted ? 1 : 0) - 1;
    fields[2].length = (size_t)(end - fields[2].at);
}

static enum rows_result take_apart(struct rows *rows) {
    struct field fields[FIELDS];
    char metadata[METADATA_SIZE];
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
    rows->source = unquoted(&fields[2], rows->buffer, sizeof rows->buffer, &rows->source_length);
    if (!is_source(rows->source, rows->source_length)) return wrong_field(rows, 2, &fields[2]);
    size_t length;
    const char *name = unquoted(&fields[3], metadata, sizeof metadata, &length);
    rows->signal = name ? signal_of_metadata(name, length) : SIGNAL_UNKNOWN;
    rows->tail = fields[2].quoted ? fields[2].at - 1 : fields[2].at;
    rows->tail_length = (size_t)(after - rows->tail);
    rows->at = after;
    if (negative || metric > UINT32_MAX) {
        /* Not by these bytes alone is the next row one to refuse. */
        rows->tail = NULL;
        return ROWS_REFUSED;
    }
    rows->metric = (uint32_t)metric;
    return rows->signal == SIGNAL_UNKNOWN ? ROWS_REFUSED : ROWS_ROW;
}

/* Digits and a comma; NULL for anything else. */
static inline const char *plain_number(const char *at, const char *end, int digits,
                                       uint64_t *number) {
    const char *limit = end - at > digits ? at + digits : end - 1;
    const char *from = at;
    uint64_t value = 0;
    for (; at < limit && (unsigned char)(*at - '0') < 10; at++)
        value = value * 10 + (unsigned char)(*at - '0');
    if (at == from || *at != ',') return NULL;
    *number = value;
    return at + 1;
}

enum rows_result rows_next(struct rows *rows) {
    size_t ending;
    while (rows->at < rows->end && row_ends(rows, rows->at, &ending)) rows->at += ending;
    rows->again = false;
    if (rows->at == rows->end) return ROWS_END;
    rows->number++;
    if (!rows->tail) return take_apart(rows);

    uint64_t second, metric;
    const char *at = plain_number(rows->at, rows->end, TIMESTAMP_DIGITS, &second);
    if (at) at = plain_number(at, rows->end, METRIC_DIGITS, &metric);
    if (!at || metric > UINT32_MAX || (size_t)(rows->end - at) < rows->tail_length ||
        memcmp(at, rows->tail, rows->tail_length) != 0)
        return take_apart(rows);
    rows->at = at + rows->tail_length;
    rows->second = (int64_t)second;
    rows->metric = (uint32_t)metric;
    rows->again = true;
    return rows->signal == SIGNAL_UNKNOWN ? ROWS_REFUSED : ROWS_ROW;
}
