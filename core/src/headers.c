#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strncasecmp */
#endif
#include "headers.h"

#include <string.h>
#include <strings.h>

typedef struct reader {
    const char *at;
    const char *end;
} reader;

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The next word of `length` bytes, or NULL at the end of the text. */
static const char *take(reader *r, size_t length) {
    const char *word = r->at;
    if ((size_t)(r->end - r->at) < length) return NULL;
    r->at += length;
    return word;
}

static bool skip(reader *r, const char *text) {
    const char *word = take(r, strlen(text));
    return word && memcmp(word, text, strlen(text)) == 0;
}

/* ---- Date --------------------------------------------------------------------------------- */

/* Exactly so many digits; -1 for anything else. */
static int64_t number(reader *r, size_t digits) {
    const char *word = take(r, digits);
    int64_t value = 0;
    for (size_t i = 0; word && i < digits; i++) {
        if (!is_digit(word[i])) return -1;
        value = value * 10 + (word[i] - '0');
    }
    return word ? value : -1;
}

/* The index in a list of three-letter names; -1 for none. */
static int64_t name_in(reader *r, const char *names) {
    const char *word = take(r, 3);
    for (int64_t i = 0; word && names[i * 3]; i++)
        if (memcmp(word, names + i * 3, 3) == 0) return i;
    return -1;
}

/* Days since 1970 (Gregorian). Years are counted from March, so that a leap day is the last day of
 * its year. */
static int64_t days_until(int64_t year, int64_t month, int64_t day) {
    int64_t y = month < 3 ? year - 1 : year, m = (month + 9) % 12;
    return y * 365 + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1 - 719468;
}

bool ds_headers_date(const char *text, size_t length, int64_t *epoch_s) {
    reader r = {text, text + length};
    if (name_in(&r, "SunMonTueWedThuFriSat") < 0 || !skip(&r, ", ")) return false;
    int64_t day = number(&r, 2);
    if (day < 1 || day > 31 || !skip(&r, " ")) return false;
    int64_t month = name_in(&r, "JanFebMarAprMayJunJulAugSepOctNovDec") + 1;
    if (month < 1 || !skip(&r, " ")) return false;
    int64_t year = number(&r, 4);
    if (year < 1970 || !skip(&r, " ")) return false;
    int64_t hour = number(&r, 2);
    if (hour < 0 || hour > 23 || !skip(&r, ":")) return false;
    int64_t minute = number(&r, 2);
    if (minute < 0 || minute > 59 || !skip(&r, ":")) return false;
    int64_t second = number(&r, 2);
    if (second < 0 || second > 60 || !skip(&r, " GMT") || r.at != r.end) return false;
    *epoch_s = ((days_until(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    return true;
}

/* ---- Server-Timing ------------------------------------------------------------------------ */

/* name[;parameter[=value]]..., ...: https://www.w3.org/TR/server-timing/. A value may be quoted. */

static void skip_blanks(reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t')) r->at++;
}

/* The text before the next of these characters, without blanks around it. */
static reader word_before(reader *r, const char *ends) {
    skip_blanks(r);
    reader word = {r->at, r->at};
    for (; r->at < r->end && (*r->at == '\0' || !strchr(ends, *r->at)); r->at++)
        if (*r->at != ' ' && *r->at != '\t') word.end = r->at + 1;
    return word;
}

static reader value_of(reader *r) {
    skip_blanks(r);
    if (r->at == r->end || *r->at != '"') return word_before(r, ";,");
    r->at++;
    reader quoted = {r->at, r->at};
    for (; r->at < r->end && *r->at != '"'; r->at++)
        if (*r->at == '\\' && r->at + 1 < r->end) r->at++;
    quoted.end = r->at;
    word_before(r, ";,");
    return quoted;
}

static bool is_word(reader word, const char *name) {
    size_t length = (size_t)(word.end - word.at);
    return length == strlen(name) && strncasecmp(word.at, name, length) == 0;
}

/* Digits, and a fraction that is ignored. */
static bool whole_ms(reader text, int64_t *ms) {
    const int64_t most = 1000000000;
    int64_t value = 0;
    const char *first = text.at;
    for (; text.at < text.end && is_digit(*text.at); text.at++)
        if (value < most) value = value * 10 + (*text.at - '0');
    if (text.at == first || (text.at < text.end && *text.at != '.')) return false;
    *ms = value;
    return true;
}

bool ds_headers_queue_time(const char *text, size_t length, int64_t *ms) {
    reader r = {text, text + length};
    bool found = false;
    while (r.at < r.end) {
        bool ours = is_word(word_before(&r, ";,"), "queue");
        while (r.at < r.end && *r.at == ';') {
            r.at++;
            bool duration = is_word(word_before(&r, "=;,"), "dur");
            if (r.at == r.end || *r.at != '=') continue;
            r.at++;
            reader value = value_of(&r);
            if (ours && duration && whole_ms(value, ms)) found = true;
        }
        if (r.at < r.end) r.at++; /* the comma */
    }
    return found;
}
