/*
 * Rows of a report, read a second time by the rules of RFC 4180: first all fields, then what each
 * must be. The first byte says whether what old agents write is forgiven.
 */
#include "fuzz.h"

#include "ingest/rows.h"

enum { MOST = 8 };

typedef struct text_field {
    char *text; /* without quotes */
    size_t length;
    bool quoted;
} text_field;

typedef struct record {
    text_field fields[MOST]; /* more than MOST are counted, not kept */
    int count;
} record;

typedef enum outcome { SKIPPED, GOOD, REFUSED, BAD, OVER } outcome;

static bool at_end(const input *in) {
    return in->left == 0 || *in->at == '\n' ||
           (*in->at == '\r' && in->left > 1 && in->at[1] == '\n');
}

static void skip(input *in, size_t count) {
    in->at += count;
    in->left -= count;
}

static void skip_end(input *in) {
    if (in->left > 0) skip(in, *in->at == '\r' ? 2 : 1);
}

/* False where its quotes are wrong. */
static bool read_text(input *in, text_field *field) {
    field->text = copy_of(in->at, in->left);
    field->length = 0;
    field->quoted = in->left > 0 && *in->at == '"';
    if (!field->quoted) {
        for (; !at_end(in) && *in->at != ','; skip(in, 1)) {
            if (*in->at == '"') return false;
            field->text[field->length++] = (char)*in->at;
        }
        return true;
    }
    skip(in, 1);
    for (;;) {
        if (in->left == 0) return false;
        if (*in->at != '"') {
            field->text[field->length++] = (char)*in->at;
            skip(in, 1);
        } else if (in->left > 1 && in->at[1] == '"') {
            field->text[field->length++] = '"';
            skip(in, 2);
        } else {
            skip(in, 1);
            return at_end(in) || *in->at == ',';
        }
    }
}

static bool read_record(input *in, record *row) {
    row->count = 0;
    for (;;) {
        text_field spare, *field = row->count < MOST ? &row->fields[row->count] : &spare;
        bool good = read_text(in, field);
        row->count++;
        if (field == &spare) free(spare.text);
        if (!good) return false;
        if (at_end(in)) {
            skip_end(in);
            return true;
        }
        skip(in, 1);
    }
}

static void free_record(record *row) {
    for (int i = 0; i < row->count && i < MOST; i++) free(row->fields[i].text);
}

static bool is_number(const text_field *field, size_t digits, uint64_t *value) {
    *value = 0;
    for (size_t i = 0; i < field->length; i++) {
        if (field->text[i] < '0' || field->text[i] > '9') return false;
        if (i < 15) *value = *value * 10 + (uint64_t)(field->text[i] - '0');
    }
    return field->length > 0 && field->length <= digits;
}

static bool is_below_zero(const text_field *field) {
    uint64_t value;
    text_field rest = {field->text + 1, field->length - 1, false};
    return field->length > 1 && field->text[0] == '-' && is_number(&rest, 12, &value);
}

/* A character of UTF-8 by its code point; 0: none. */
static size_t utf8(const unsigned char *at, size_t left, uint32_t *point) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = *at < 0x80       ? 1
                    : *at >> 5 == 6  ? 2
                    : *at >> 4 == 14 ? 3
                    : *at >> 3 == 30 ? 4
                                     : 0;
    if (length == 0 || length > left) return 0;
    *point = length == 1 ? *at : *at & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (at[i] >> 6 != 2) return 0;
        *point = *point << 6 | (at[i] & 0x3F);
    }
    bool surrogate = *point >= 0xD800 && *point < 0xE000;
    return *point < least[length] || surrogate || *point > 0x10FFFF ? 0 : length;
}

static bool is_name(const text_field *field) {
    if (field->length == 0 || field->length > 255) return false;
    uint32_t point;
    for (size_t i = 0, length; i < field->length; i += length) {
        length = utf8((const unsigned char *)field->text + i, field->length - i, &point);
        if (length == 0 || point < 0x20 || (point >= 0x7F && point < 0xA0)) return false;
    }
    return true;
}

static int signal_number(const text_field *field) {
    static const char *const names[] = {"",      "busy",  "slots",  "unstamped",
                                        "begin", "depth", "working"};
    for (int i = 0; i < 7; i++)
        if (field->length == strlen(names[i]) && memcmp(field->text, names[i], field->length) == 0)
            return i;
    return -1;
}

/* Sources with commas become one field again, as the old gem meant them. */
static void join(record *row) {
    size_t length = 0;
    for (int i = 2; i < row->count - 1; i++) length += row->fields[i].length + 1;
    char *text = copy_of("", 0);
    text = realloc(text, length);
    if (!text) exit(1);
    length = 0;
    for (int i = 2; i < row->count - 1; i++) {
        if (i > 2) text[length++] = ',';
        memcpy(text + length, row->fields[i].text, row->fields[i].length);
        length += row->fields[i].length;
        free(row->fields[i].text);
    }
    row->fields[2].text = text;
    row->fields[2].length = length;
    row->fields[3] = row->fields[row->count - 1];
    row->count = 4;
}

static outcome judge(record *row, bool old, struct rows *wanted) {
    uint64_t second, metric = 0;
    bool plain = row->count <= MOST;
    for (int i = 2; i < row->count - 1 && plain; i++) plain = !row->fields[i].quoted;
    /* Rare, and of no interest: a quote inside an unquoted source of an old agent. */
    if (old && row->count > 4 && !plain) return SKIPPED;
    if (old && row->count > 4) join(row);
    if (row->count != 4) return BAD;
    if (!is_number(&row->fields[0], 12, &second)) return BAD;
    bool below = old && is_below_zero(&row->fields[1]);
    if (!below && !is_number(&row->fields[1], old ? 12 : 10, &metric)) return BAD;
    if (!old && metric > UINT32_MAX) return BAD;
    if (!is_name(&row->fields[2])) return BAD;
    if (below || metric > UINT32_MAX || signal_number(&row->fields[3]) < 0) return REFUSED;
    wanted->second = (int64_t)second;
    wanted->metric = (uint32_t)metric;
    wanted->signal = (enum signal)signal_number(&row->fields[3]);
    return GOOD;
}

static outcome read_again(input *in, bool old, struct rows *wanted, record *row) {
    row->count = 0;
    while (in->left > 0 && at_end(in)) skip_end(in);
    if (in->left == 0) return OVER;
    return read_record(in, row) ? judge(row, old, wanted) : BAD;
}

void fuzz_report_rows(const uint8_t *data, size_t size) {
    input in = {data, size};
    bool old = take(&in, 1) & 1, more = true;
    char *text = copy_of(in.at, in.left);
    struct rows rows, wanted;
    rows_begin(&rows, text, in.left, old ? ROWS_OLD : ROWS_STRICT);
    while (more) {
        record row;
        enum rows_result found = rows_next(&rows);
        outcome again = read_again(&in, old, &wanted, &row);
        if (again == GOOD) {
            REQUIRE(found == ROWS_ROW, "row %d: %d, %s", rows.number, found, rows.sentence);
            REQUIRE(rows.second == wanted.second && rows.metric == wanted.metric &&
                        rows.signal == wanted.signal,
                    "row %d", rows.number);
            REQUIRE(rows.source_length == row.fields[2].length &&
                        memcmp(rows.source, row.fields[2].text, rows.source_length) == 0,
                    "source of row %d", rows.number);
        } else if (again == REFUSED) {
            REQUIRE(found == ROWS_REFUSED, "row %d: %d, %s", rows.number, found, rows.sentence);
        } else if (again == BAD) {
            REQUIRE(found == ROWS_MALFORMED, "row %d: %d", rows.number, found);
            REQUIRE(strncmp(rows.sentence, "row ", 4) == 0, "%s", rows.sentence);
        } else if (again == OVER) {
            REQUIRE(found == ROWS_END, "row %d: %d", rows.number, found);
        }
        more = again == GOOD || again == REFUSED;
        free_record(&row);
    }
    free(text);
}

FUZZ(fuzz_report_rows)
