/*
 * Samples and readings → CSV, read back by the rules of RFC 4180: each is one row, and says what
 * was put in. A name that can't be reported is one that the rules below refuse too.
 */
#include "fuzz.h"

#include <inttypes.h>

#include "report.h"

enum { FIELDS = 4, FIELD_SIZE = 512 };

/* ---- A reader of RFC 4180 ------------------------------------------------------------------ */

typedef struct csv {
    const char *at;
    const char *end;
    char fields[FIELDS][FIELD_SIZE];
} csv;

static bool ends_field(const csv *c) { return c->at == c->end || *c->at == ',' || *c->at == '\r'; }

static void read_field(csv *c, char *field) {
    size_t n = 0;
    bool quoted = c->at < c->end && *c->at == '"', special = false;
    if (quoted) c->at++;
    for (;; c->at++) {
        REQUIRE(n + 1 < FIELD_SIZE, "a field goes on and on");
        if (!quoted && ends_field(c)) break;
        REQUIRE(c->at < c->end, "a quoted field has no end");
        if (*c->at == '"') {
            REQUIRE(quoted, "a quote in a field without quotes");
            c->at++;
            if (c->at == c->end || *c->at != '"') break; /* the closing one */
        }
        special = special || strchr(",\"\r\n", *c->at);
        field[n++] = *c->at;
    }
    field[n] = '\0';
    REQUIRE(ends_field(c), "'%c' behind a closing quote", *c->at);
    REQUIRE(quoted == special, "%s: quotes where none are needed, or none where they are", field);
}

static void read_row(csv *c) {
    for (int i = 0; i < FIELDS; i++) {
        read_field(c, c->fields[i]);
        if (i == FIELDS - 1) break;
        REQUIRE(c->at < c->end && *c->at == ',', "%d fields", i + 1);
        c->at++;
    }
    REQUIRE(c->end - c->at >= 2 && memcmp(c->at, "\r\n", 2) == 0, "no line end after %d fields",
            FIELDS);
    c->at += 2;
}

static void check_row(csv *c, uint64_t epoch_s, uint64_t ms, const char *source) {
    char expected[24];
    read_row(c);
    snprintf(expected, sizeof expected, "%" PRIu64, epoch_s);
    REQUIRE(strcmp(c->fields[0], expected) == 0, "%s, not %s", c->fields[0], expected);
    snprintf(expected, sizeof expected, "%" PRIu64, ms);
    REQUIRE(strcmp(c->fields[1], expected) == 0, "%s, not %s", c->fields[1], expected);
    REQUIRE(strcmp(c->fields[2], source) == 0, "%s, not %s", c->fields[2], source);
    REQUIRE(c->fields[3][0] == '\0', "%s", c->fields[3]);
}

/* ---- Names that can be reported ------------------------------------------------------------ */

static bool backend_usable(const input *name) {
    for (size_t i = 0; i < name->left; i++)
        if (!memchr("abcdefghijklmnopqrstuvwxyz0123456789_", name->at[i], 37)) return false;
    return name->left >= 1 && name->left <= 32;
}

/* Decodes a character; its shortest form must be as long. Gives its length, 0: there is none. */
static size_t decode(const uint8_t *at, size_t left, uint32_t *character) {
    size_t more = at[0] < 0x80       ? 0
                  : at[0] >> 5 == 6  ? 1
                  : at[0] >> 4 == 14 ? 2
                  : at[0] >> 3 == 30 ? 3
                                     : 9;
    if (more >= left) return 0;
    *character = more == 0 ? at[0] : at[0] & 0x3FU >> more;
    for (size_t i = 1; i <= more; i++) {
        if (at[i] >> 6 != 2) return 0;
        *character = *character << 6 | (at[i] & 0x3F);
    }
    size_t shortest = *character < 0x80 ? 0 : *character < 0x800 ? 1 : *character < 0x10000 ? 2 : 3;
    bool surrogate = *character >= 0xD800 && *character <= 0xDFFF;
    return shortest == more && !surrogate && *character <= 0x10FFFF ? more + 1 : 0;
}

static bool queue_usable(const input *name) {
    for (size_t i = 0, n; i < name->left; i += n) {
        uint32_t c;
        n = decode(name->at + i, name->left - i, &c);
        if (n == 0 || c < 0x20 || (c >= 0x7F && c <= 0x9F)) return false;
    }
    return name->left >= 1 && name->left <= 200;
}

/* ---- The input ----------------------------------------------------------------------------- */

static size_t check_reading(char *text, uint64_t epoch_s, uint64_t ms, const input *backend,
                            const input *queue) {
    char *b = copy_of(backend->at, backend->left), *q = copy_of(queue->at, queue->left);
    size_t length = ds_report_reading(text, (int64_t)epoch_s, (int64_t)ms, b, backend->left, q,
                                      queue->left, "");
    free(b);
    free(q);
    REQUIRE((length > 0) == (backend_usable(backend) && queue_usable(queue)), "%zu bytes", length);
    if (length == 0) return 0;

    char source[FIELD_SIZE];
    snprintf(source, sizeof source, "%.*s:%.*s", (int)backend->left, (const char *)backend->at,
             (int)queue->left, (const char *)queue->at);
    csv c = {.at = text, .end = text + length};
    check_row(&c, epoch_s, ms, source);
    REQUIRE(c.at == c.end, "%td bytes behind the row", c.end - c.at);
    return length;
}

static void check_samples(input in) {
    size_t count = in.left / 8;
    uint64_t *samples = (uint64_t *)(void *)copy_of(in.at, count * 8);
    char *text = malloc(count * DS_REPORT_ROW_SIZE + 1);
    if (!text) exit(1);
    size_t length = ds_report_rows(text, samples, count);
    REQUIRE(length <= count * DS_REPORT_ROW_SIZE, "%zu bytes for %zu samples", length, count);
    csv c = {.at = text, .end = text + length};
    for (size_t i = 0; i < count; i++)
        check_row(&c, samples[i] >> 32, (uint32_t)(samples[i] - 1), "web");
    REQUIRE(c.at == c.end, "more rows than samples");
    free(text);
    free(samples);
}

/* 5 bytes each of the time and the age, the backend, a line end, the queue. The same bytes are
 * samples, too. */
void fuzz_rows(const uint8_t *data, size_t size) {
    input in = {data, size};
    check_samples(in);
    char *row = copy_of("", 0);
    free(row);
    row = malloc(DS_REPORT_READING_SIZE);
    if (!row) exit(1);
    uint64_t epoch_s = take(&in, 5), ms = take(&in, 5);
    input backend = take_until(&in, '\n');
    check_reading(row, epoch_s, ms, &backend, &in);
    free(row);
}

FUZZ(fuzz_rows)
