#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *dynoscale_signal_name(dynoscale_signal signal) {
    static const char *const names[] = {
#define X(id, name) name,
        DYNOSCALE_SIGNALS(X)
#undef X
    };
    return (unsigned)signal < DYNOSCALE_SIGNAL_COUNT ? names[signal] : NULL;
}

/* ---- Rows --------------------------------------------------------------------------------- */

/* Writes the digits of a value and returns their end. */
static char *write_number(char *at, uint64_t value) {
    char digits[20];
    size_t n = 0;
    do digits[n++] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    while (n > 0) *at++ = digits[--n];
    return at;
}

static char *write_text(char *at, const char *text, size_t length) {
    memcpy(at, text, length);
    return at + length;
}

size_t ds_report_rows(char *csv, const uint64_t *samples, size_t count) {
    char second_text[20]; /* samples are nearly in order of time: a second's digits serve many rows
                           */
    size_t second_length = 0;
    uint32_t second = 0;
    char *at = csv;
    for (size_t i = 0; i < count; i++) {
        uint32_t sample_second = (uint32_t)(samples[i] >> 32);
        if (second_length == 0 || sample_second != second) {
            second = sample_second;
            second_length = (size_t)(write_number(second_text, second) - second_text);
        }
        at = write_text(at, second_text, second_length);
        *at++ = ',';
        at = write_number(at, (uint32_t)samples[i] - 1U);
        at = write_text(at, ",web,\r\n", 7);
    }
    return (size_t)(at - csv);
}

static bool backend_is_valid(const char *text, size_t length) {
    if (length == 0 || length > DS_REPORT_BACKEND_SIZE) return false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
    }
    return true;
}

/* The length of the UTF-8 character at `c`; 0 if there is none or it is a control character (RFC
 * 3629, section 4; no overlong forms, no surrogates). */
static size_t utf8_character(const unsigned char *c, size_t left) {
    if (c[0] < 0x80) return c[0] >= 0x20 && c[0] != 0x7F ? 1 : 0;
    size_t n = c[0] >= 0xC2 && c[0] <= 0xDF   ? 2
               : c[0] >= 0xE0 && c[0] <= 0xEF ? 3
               : c[0] >= 0xF0 && c[0] <= 0xF4 ? 4
                                              : 0;
    if (n == 0 || n > left) return 0;
    for (size_t i = 1; i < n; i++)
        if ((c[i] & 0xC0) != 0x80) return 0;
    if ((c[0] == 0xC2 && c[1] < 0xA0) || (c[0] == 0xE0 && c[1] < 0xA0) ||
        (c[0] == 0xED && c[1] > 0x9F) || (c[0] == 0xF0 && c[1] < 0x90) ||
        (c[0] == 0xF4 && c[1] > 0x8F))
        return 0;
    return n;
}

static bool queue_is_valid(const char *text, size_t length) {
    if (length == 0 || length > DS_REPORT_QUEUE_SIZE) return false;
    for (size_t i = 0, n; i < length; i += n) {
        n = utf8_character((const unsigned char *)text + i, length - i);
        if (n == 0) return false;
    }
    return true;
}

/* A field of RFC 4180, quoted only if necessary. Control characters were refused before. */
static char *write_source(char *at, const char *backend, size_t backend_length, const char *queue,
                          size_t queue_length) {
    bool quoted = memchr(queue, ',', queue_length) || memchr(queue, '"', queue_length);
    if (quoted) *at++ = '"';
    at = write_text(at, backend, backend_length);
    *at++ = ':';
    for (size_t i = 0; i < queue_length; i++) {
        if (queue[i] == '"') *at++ = '"';
        *at++ = queue[i];
    }
    if (quoted) *at++ = '"';
    return at;
}

static char *write_numbers(char *at, int64_t epoch_s, int64_t value) {
    at = write_number(at, (uint64_t)epoch_s);
    *at++ = ',';
    at = write_number(at, (uint64_t)value);
    *at++ = ',';
    return at;
}

static char *write_metadata(char *at, const char *metadata) {
    *at++ = ',';
    at = write_text(at, metadata, strlen(metadata));
    return write_text(at, "\r\n", 2);
}

size_t ds_report_signal(char csv[DS_REPORT_READING_SIZE], int64_t epoch_s, int64_t value,
                        dynoscale_signal signal) {
    char *at = write_text(write_numbers(csv, epoch_s, value), "web", 3);
    return (size_t)(write_metadata(at, dynoscale_signal_name(signal)) - csv);
}

size_t ds_report_reading(char csv[DS_REPORT_READING_SIZE], int64_t epoch_s, int64_t value,
                         const char *backend, size_t backend_length, const char *queue,
                         size_t queue_length, const char *metadata) {
    enum { NAME_SIZE = 9 }; /* "unstamped" */
    _Static_assert(DS_REPORT_READING_SIZE >= 2 * 20 + 2 + 2 + DS_REPORT_BACKEND_SIZE + 1 +
                                                 2 * DS_REPORT_QUEUE_SIZE + 3 + NAME_SIZE,
                   "the longest row fits");
    if (!backend_is_valid(backend, backend_length)) return 0;
    if (!queue_is_valid(queue, queue_length)) return 0;

    char *at = write_numbers(csv, epoch_s, value);
    at = write_source(at, backend, backend_length, queue, queue_length);
    return (size_t)(write_metadata(at, metadata) - csv);
}

/* ---- Headers ------------------------------------------------------------------------------ */

size_t ds_report_headers(char lines[DS_REPORT_HEADERS][DS_REPORT_HEADER_SIZE],
                         const ds_report_sender *sender, const char *key, int64_t epoch_s) {
    size_t n = 0;
    snprintf(lines[n++], DS_REPORT_HEADER_SIZE, "Content-Type: text/csv");
    snprintf(lines[n++], DS_REPORT_HEADER_SIZE, "User-Agent: %s", sender->user_agent);
    snprintf(lines[n++], DS_REPORT_HEADER_SIZE, "X_DYNO: %s", sender->dyno);
    snprintf(lines[n++], DS_REPORT_HEADER_SIZE, "HTTP_X_DYNO: %s", sender->dyno);
    snprintf(lines[n++], DS_REPORT_HEADER_SIZE, "X_REQUEST_START: t=%" PRId64, epoch_s);
    snprintf(lines[n++], DS_REPORT_HEADER_SIZE, "Idempotency-Key: %s", key);
    if (sender->app_name)
        snprintf(lines[n++], DS_REPORT_HEADER_SIZE, "X_APP_NAME: %s", sender->app_name);
    return n;
}

/* ---- Answers: a JSON reader that knows a few paths ---------------------------------------- */

/* More than any answer of the service needs, and far less than overflows the thread's stack. */
enum { DEEPEST = 32 };

/* The place of a value in {"config": {"publish_frequency": N, "signals": ["NAME"], "jobs": true,
 * "heartbeat": N}}. */
typedef enum place {
    ROOT,
    CONFIG,
    FREQUENCY,
    SIGNALS,
    SIGNAL,
    JOBS,
    HEARTBEAT,
    ELSEWHERE,
} place;

enum { ABSENT, USABLE, UNUSABLE };

/* The last value of a member that was read. */
typedef struct member {
    int state; /* ABSENT ... */
    int64_t value;
} member;

typedef struct reader {
    const char *at;
    const char *end;
    int depth;
    bool has_config; /* an object, the last one read */
    member members[ELSEWHERE];
} reader;

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool skip_one_of(reader *r, const char *characters) {
    if (r->at == r->end || *r->at == '\0' || !strchr(characters, *r->at)) return false;
    r->at++;
    return true;
}

static void skip_blanks(reader *r) {
    while (skip_one_of(r, " \t\r\n")) continue;
}

static bool skip_char(reader *r, char c) {
    if (r->at == r->end || *r->at != c) return false;
    r->at++;
    return true;
}

static bool skip_word(reader *r, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0) return false;
    r->at += length;
    return true;
}

static size_t skip_digits(reader *r) {
    const char *first = r->at;
    while (r->at < r->end && is_digit(*r->at)) r->at++;
    return (size_t)(r->at - first);
}

static double scaled(double value, int exponent) {
    for (; exponent > 0; exponent--) value *= 10;
    for (; exponent < 0; exponent++) value /= 10;
    return value;
}

/* -? (0 | [1-9][0-9]*) (.[0-9]+)? ([eE][+-]?[0-9]+)?: RFC 8259, section 6. strtod would read the
 * point of the app's locale. */
static bool read_number(reader *r, double *value) {
    bool negative = skip_char(r, '-');
    const char *whole = r->at;
    size_t whole_digits = skip_digits(r);
    if (whole_digits == 0 || (whole_digits > 1 && *whole == '0')) return false;

    double v = 0;
    for (const char *c = whole; c < r->at; c++) v = v * 10 + (*c - '0');
    if (skip_char(r, '.')) {
        const char *part = r->at;
        if (skip_digits(r) == 0) return false;
        double unit = 1;
        for (const char *c = part; c < r->at; c++) v += (*c - '0') * (unit /= 10);
    }
    if (skip_char(r, 'e') || skip_char(r, 'E')) {
        bool down = skip_char(r, '-');
        if (!down) skip_char(r, '+');
        const char *digits = r->at;
        if (skip_digits(r) == 0) return false;
        int exponent = 0;
        for (const char *c = digits; c < r->at; c++)
            if (exponent < 400) exponent = exponent * 10 + (*c - '0'); /* 1e400 is infinite */
        v = scaled(v, down ? -exponent : exponent);
    }
    *value = negative ? -v : v;
    return true;
}

static bool to_frequency_ms(double seconds, int64_t *ms) {
    if (!(seconds >= 1 && seconds <= 3600)) return false;
    *ms = (int64_t)(seconds * 1000 + 0.5);
    return true;
}

/* The part of an escape after the backslash: RFC 8259, section 7. */
static bool skip_escape(reader *r) {
    if (!skip_char(r, 'u')) return skip_one_of(r, "\"\\/bfnrt");
    for (int i = 0; i < 4; i++)
        if (!skip_one_of(r, "0123456789ABCDEFabcdef")) return false;
    return true;
}

/* Gives the text between the quotes unchanged: no name that we know is written with escapes. */
static bool read_string(reader *r, const char **text, size_t *length) {
    if (!skip_char(r, '"')) return false;
    *text = r->at;
    while (r->at < r->end && *r->at != '"') {
        if ((unsigned char)*r->at < 0x20) return false;
        if (*r->at++ == '\\' && !skip_escape(r)) return false;
    }
    *length = (size_t)(r->at - *text);
    return skip_char(r, '"');
}

static bool same(const char *text, size_t length, const char *word) {
    return length == strlen(word) && memcmp(text, word, length) == 0;
}

static place place_of(place object, const char *name, size_t length) {
    if (object == ROOT && same(name, length, "config")) return CONFIG;
    if (object != CONFIG) return ELSEWHERE;
    if (same(name, length, "publish_frequency")) return FREQUENCY;
    if (same(name, length, "signals")) return SIGNALS;
    if (same(name, length, "jobs")) return JOBS;
    if (same(name, length, "heartbeat")) return HEARTBEAT;
    return ELSEWHERE;
}

static bool read_value(reader *r, place where);

static bool read_members(reader *r, place object) {
    skip_blanks(r);
    if (skip_char(r, '}')) return true;
    do {
        const char *name;
        size_t length;
        skip_blanks(r);
        if (!read_string(r, &name, &length)) return false;
        skip_blanks(r);
        if (!skip_char(r, ':') || !read_value(r, place_of(object, name, length))) return false;
    } while (skip_char(r, ','));
    return skip_char(r, '}');
}

static bool read_elements(reader *r, place list) {
    skip_blanks(r);
    if (skip_char(r, ']')) return true;
    do
        if (!read_value(r, list == SIGNALS ? SIGNAL : ELSEWHERE)) return false;
    while (skip_char(r, ','));
    return skip_char(r, ']');
}

static void found(reader *r, place where, int64_t value) {
    r->members[where] = (member){USABLE, value};
}

static void found_signal(reader *r, const char *name, size_t length) {
    for (int i = 0; i < DYNOSCALE_SIGNAL_COUNT; i++)
        if (same(name, length, dynoscale_signal_name((dynoscale_signal)i)))
            r->members[SIGNALS].value |= 1 << i;
}

static bool read_scalar(reader *r, place where) {
    const char *text;
    size_t length;
    double number;
    int64_t ms;
    bool truth = r->at < r->end && *r->at == 't';
    if (*r->at == '"') {
        if (!read_string(r, &text, &length)) return false;
        if (where == SIGNAL) found_signal(r, text, length);
        return true;
    }
    if (*r->at == 'n') return skip_word(r, "null");
    if (truth || *r->at == 'f') {
        if (where == JOBS) found(r, JOBS, truth);
        return skip_word(r, truth ? "true" : "false");
    }
    if (!read_number(r, &number)) return false;
    if ((where == FREQUENCY || where == HEARTBEAT) && to_frequency_ms(number, &ms))
        found(r, where, ms);
    return true;
}

/* If a name occurs twice, the last one counts. */
static void forget(reader *r, place where) {
    if (where == ROOT || where == CONFIG) {
        memset(r->members, 0, sizeof r->members);
        r->has_config = false;
    } else if (where != SIGNAL && where != ELSEWHERE) {
        r->members[where] = (member){UNUSABLE, 0};
    }
}

/* Reads a value and the blanks around it. */
static bool read_value(reader *r, place where) {
    skip_blanks(r);
    if (r->at == r->end || r->depth == DEEPEST) return false;
    forget(r, where);
    if (where == CONFIG) r->has_config = *r->at == '{';
    if (where == SIGNALS && *r->at == '[') found(r, SIGNALS, 0);

    r->depth++;
    bool valid = skip_char(r, '{')   ? read_members(r, where)
                 : skip_char(r, '[') ? read_elements(r, where)
                                     : read_scalar(r, where);
    r->depth--;
    skip_blanks(r);
    return valid;
}

static int64_t value_of(const member *m, int64_t absent, int64_t before) {
    return m->state == USABLE ? m->value : m->state == ABSENT ? absent : before;
}

bool ds_report_answer(const char *body, size_t length, ds_report_config *config) {
    reader r = {.at = body, .end = body + length};
    if (!read_value(&r, ROOT) || r.at != r.end || !r.has_config) return false;
    const member *m = r.members;
    config->frequency_ms = value_of(&m[FREQUENCY], config->frequency_ms, config->frequency_ms);
    config->signals = (uint32_t)value_of(&m[SIGNALS], 0, config->signals);
    config->jobs = value_of(&m[JOBS], true, config->jobs);
    config->heartbeat_ms = value_of(&m[HEARTBEAT], 0, config->heartbeat_ms);
    return true;
}

bool ds_report_frequency(const char *text, size_t length, int64_t *ms) {
    reader r = {.at = text, .end = text + length};
    double seconds;
    return read_number(&r, &seconds) && r.at == r.end && to_frequency_ms(seconds, ms);
}

bool ds_report_retry_after(const char *text, size_t length, int64_t *ms) {
    const int64_t longest_s = 120;
    int64_t seconds = 0;
    if (length == 0) return false;
    for (size_t i = 0; i < length; i++) {
        if (!is_digit(text[i])) return false;
        if (seconds < longest_s) seconds = seconds * 10 + (text[i] - '0');
    }
    *ms = (seconds < longest_s ? seconds : longest_s) * 1000;
    return true;
}
