#include "queue_time.h"

#include "dynoscale.h"

#include <float.h>
#include <stdbool.h>
#include <string.h>

#define NS_PER_MS 1000000LL
#define YEAR_2000 946684800ULL /* epoch seconds */

/* Heroku keeps a request for 30 s, the slowest known routers for a few minutes. */
#define OLDEST_NS (600 * 1000 * NS_PER_MS)
/* Clocks of routers and dynos differ by some ms. A second or more means a wrong unit or a wrong
 * clock. */
#define AHEAD_NS (1000 * NS_PER_MS)

typedef struct cursor {
    const char *at;
    const char *end;
} cursor;

/* What was found so far for one request. */
typedef struct findings {
    int64_t earliest_ns; /* the earliest plausible element; INT64_MAX: none yet */
    int64_t reason;      /* DYNOSCALE_STAMP_*; the lowest counts */
} findings;

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static void skip_blanks(cursor *c) {
    while (c->at < c->end && is_blank(*c->at)) c->at++;
}

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ZEROS 0x3030303030303030U /* eight '0' */

static uint64_t eight_bytes(const char *text) {
    uint64_t bytes;
    memcpy(&bytes, text, sizeof bytes);
    return bytes;
}

/* Returns 0 if all eight bytes, less '0', are digits, else a mask with a high bit set for at least
 * one that is not. A byte below '0' is now 128 or more, and has borrowed from the next. */
static uint64_t strays(uint64_t digits) {
    return (digits | (digits + 0x7676767676767676U)) & 0x8080808080808080U;
}

/*
 * Converts eight bytes from 0 to 9 to a number: joins neighbours to pairs, pairs to fours, fours to
 * eight (D. Lemire, "Quickly parsing eight digits", 2018).
 */
static uint64_t join_digits(uint64_t digits) {
    uint64_t pairs = digits * 10 + (digits >> 8);
    const uint64_t mask = 0x000000FF000000FFU;
    const uint64_t first = 100 + (1000000ULL << 32), second = 1 + (10000ULL << 32);
    return ((pairs & mask) * first + ((pairs >> 16) & mask) * second) >> 32;
}

/* For 9 to 16 digits and nothing else, as in most stamps: converts the first eight, and the last
 * eight without the digits that are among the first. */
static inline bool read_plain(const char *text, size_t length, uint64_t *value) {
    static const uint64_t powers[] = {1,      10,      100,      1000,     10000,
                                      100000, 1000000, 10000000, 100000000};
    if (length < 9 || length > 16) return false;
    const uint64_t first = eight_bytes(text) - ZEROS, last = eight_bytes(text + length - 8) - ZEROS;
    if ((strays(first) | strays(last)) != 0) return false;
    const size_t shared_bits = 8 * (16 - length); /* the lower bytes come first */
    *value =
        join_digits(first) * powers[length - 8] + join_digits(last >> shared_bits << shared_bits);
    return true;
}

/* If the text begins with eight digits, puts their value into *value and returns their end. */
static const char *read_eight(const char *text, const char *end, uint64_t *value) {
    if (end - text < 8) return text;
    const uint64_t digits = eight_bytes(text) - ZEROS;
    if (strays(digits) != 0) return text;
    *value = join_digits(digits);
    return text + 8;
}
#else
static bool read_plain(const char *text, size_t length, uint64_t *value) {
    (void)text, (void)length, (void)value;
    return false;
}

static const char *read_eight(const char *text, const char *end, uint64_t *value) {
    (void)end, (void)value;
    return text;
}
#endif

/* Reads the digits at the cursor. Returns false if there are none. A number too large for a
 * uint64_t gives UINT64_MAX, which is no plausible time in any unit. */
static bool read_digits(cursor *c, uint64_t *value) {
    const char *start = c->at;
    uint64_t v = 0;
    c->at = read_eight(start, c->end, &v);
    while (c->at < c->end && is_digit(*c->at)) {
        uint64_t digit = (uint64_t)(*c->at++ - '0');
        v = v > (UINT64_MAX - digit) / 10 ? UINT64_MAX : v * 10 + digit;
    }
    *value = v;
    return c->at > start;
}

/* Reads the digits after a point as billionths; ignores those after the ninth. */
static bool read_fraction(cursor *c, uint64_t *billionths) {
    const char *first = c->at;
    uint64_t v = 0, scale = 1000000000;
    for (; c->at < c->end && is_digit(*c->at); c->at++) {
        scale /= 10;
        v += (uint64_t)(*c->at - '0') * scale;
    }
    *billionths = v;
    return c->at > first;
}

/* Chooses the unit by the number's size. Returns false for a number that is not a time. Gives
 * INT64_MAX for a time beyond what ns can hold. */
static bool to_ns(uint64_t whole, uint64_t billionths, int64_t *ns) {
    uint64_t unit_ns; /* ns in one unit */
    if (whole >= YEAR_2000 * 1000000000) unit_ns = 1;
    else if (whole >= YEAR_2000 * 1000000) unit_ns = 1000;
    else if (whole >= YEAR_2000 * 1000) unit_ns = 1000000;
    else if (whole >= YEAR_2000) unit_ns = 1000000000;
    else return false;

    if (whole >= (uint64_t)INT64_MAX / unit_ns) *ns = INT64_MAX;
    else *ns = (int64_t)(whole * unit_ns + billionths * unit_ns / 1000000000);
    return true;
}

/* Reads [t=]digits[.digits] up to a comma or the end. */
static inline bool read_time(cursor *c, int64_t *ns) {
    if (c->end - c->at >= 2 && (c->at[0] | 0x20) == 't' && c->at[1] == '=') c->at += 2;

    uint64_t whole, billionths = 0;
    if (read_plain(c->at, (size_t)(c->end - c->at), &whole)) {
        c->at = c->end;
        return to_ns(whole, 0, ns);
    }
    if (!read_digits(c, &whole)) return false;
    if (c->at < c->end && *c->at == '.') {
        c->at++;
        if (!read_fraction(c, &billionths)) return false;
    }
    skip_blanks(c);
    if (c->at < c->end && *c->at != ',') return false;
    return to_ns(whole, billionths, ns);
}

/* DYNOSCALE_STAMP_FUTURE or _STALE, or 0 for a plausible time. */
static int64_t judge(int64_t ns, int64_t now_ns) {
    if (ns > now_ns + AHEAD_NS) return DYNOSCALE_STAMP_FUTURE;
    return ns < now_ns - OLDEST_NS ? DYNOSCALE_STAMP_STALE : 0;
}

static void note_reason(findings *f, int64_t reason) {
    if (reason < f->reason) f->reason = reason;
}

static void read_element(cursor *c, int64_t now_ns, findings *f) {
    skip_blanks(c);
    if (c->at == c->end || *c->at == ',') return; /* RFC 9110, 5.6.1: ignore empty elements */

    int64_t ns;
    int64_t reason = read_time(c, &ns) ? judge(ns, now_ns) : DYNOSCALE_STAMP_MALFORMED;
    if (reason != 0) note_reason(f, reason);
    else if (ns < f->earliest_ns) f->earliest_ns = ns;
}

static void read_list(const char *text, size_t length, int64_t now_ns, findings *f) {
    cursor c = {text, text + length};
    for (;;) {
        read_element(&c, now_ns, f);
        if (c.at == c.end) return;
        if (*c.at != ',') c.at = memchr(c.at, ',', (size_t)(c.end - c.at));
        if (!c.at) return;
        c.at++;
    }
}

static int64_t wait_ns(double ms) {
    const double longest_ms = OLDEST_NS / NS_PER_MS + 1000; /* more leaves no queue time anyway */
    if (!(ms > 0 && ms <= DBL_MAX)) return 0;               /* NaN too */
    return (int64_t)((ms < longest_ms ? ms : longest_ms) * NS_PER_MS);
}

static inline int64_t queue_time_ms(int64_t start_ns, double body_wait_ms, int64_t now_ns) {
    int64_t queued_ns = now_ns - start_ns - wait_ns(body_wait_ms);
    return queued_ns > 0 ? queued_ns / NS_PER_MS : 0;
}

int64_t ds_queue_time_of_one_ms(const char *start, size_t length, double body_wait_ms,
                                int64_t now_ns) {
    cursor c = {start, start + length};
    int64_t ns;
    skip_blanks(&c);
    if (!read_time(&c, &ns) || c.at < c.end) return DYNOSCALE_STAMP_MALFORMED;
    int64_t reason = judge(ns, now_ns);
    return reason != 0 ? reason : queue_time_ms(ns, body_wait_ms, now_ns);
}

int64_t ds_queue_time_ms(const char *start, size_t start_length, const char *queue_start,
                         size_t queue_start_length, double body_wait_ms, int64_t now_ns) {
    findings f = {INT64_MAX, DYNOSCALE_STAMP_MISSING};
    if (start) read_list(start, start_length, now_ns, &f);
    if (queue_start && f.earliest_ns == INT64_MAX)
        read_list(queue_start, queue_start_length, now_ns, &f);
    if (f.earliest_ns == INT64_MAX) return f.reason;
    return queue_time_ms(f.earliest_ns, body_wait_ms, now_ns);
}
