/*
 * Header text → queue time, against a second reading of the same rules: slower, made of decimal
 * text where queue_time.c calculates, and with nothing in common with it.
 */
#include "fuzz.h"

#include <math.h>

#include "dynoscale.h"
#include "queue_time.h"

#define SECOND_NS 1000000000LL
#define NOW_NS    1700000000123456789LL
#define LATEST_NS (INT64_MAX - 2 * SECOND_NS) /* of the clock: the year 2262 */

/* ---- The second reading -------------------------------------------------------------------- */

typedef struct reading {
    bool plausible;
    int64_t earliest_ns;
    int64_t reason;
} reading;

static size_t count_digits(const char *text, size_t length) {
    size_t n = 0;
    while (n < length && text[n] >= '0' && text[n] <= '9') n++;
    return n;
}

/* Compares whole numbers by their digits; none begins with 0. */
static int compare_digits(const char *a, size_t a_length, const char *b, size_t b_length) {
    if (a_length != b_length) return a_length < b_length ? -1 : 1;
    return memcmp(a, b, a_length);
}

/* How many digits of ns are missing at the end of a number of that size; -1: it is no time. */
static int missing_places(const char *digits, size_t length) {
    static const char year_2000[] = "946684800000000000"; /* in ns */
    for (int missing = 0; missing <= 9; missing += 3)
        if (compare_digits(digits, length, year_2000, sizeof year_2000 - 1 - (size_t)missing) >= 0)
            return missing;
    return -1;
}

/* The ns of an element without blanks around it: its digits, the fraction's digits behind them, and
 * zeros. INT64_MAX: more than an int64_t holds. False: not a time. */
static bool element_ns(const char *text, size_t length, int64_t *ns) {
    if (length >= 2 && (text[0] == 't' || text[0] == 'T') && text[1] == '=') text += 2, length -= 2;
    size_t whole = count_digits(text, length), part = 0;
    const char *fraction = text + whole;
    if (whole == 0) return false;
    if (whole < length) {
        fraction++;
        part = length - whole - 1;
        if (text[whole] != '.' || part == 0 || count_digits(fraction, part) != part) return false;
    }
    while (whole > 0 && *text == '0') text++, whole--;
    int missing = missing_places(text, whole);
    if (missing < 0) return false;

    unsigned __int128 value = 0;
    for (size_t i = 0; i < whole + (size_t)missing; i++) {
        char digit = i < whole ? text[i] : i - whole < part ? fraction[i - whole] : '0';
        value = value * 10 + (unsigned)(digit - '0');
        if (value >= INT64_MAX) value = INT64_MAX; /* and stays there */
    }
    *ns = (int64_t)value;
    return true;
}

static void read_element(const char *text, size_t length, int64_t now_ns, reading *r) {
    while (length > 0 && (*text == ' ' || *text == '\t')) text++, length--;
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t')) length--;
    if (length == 0) return;
    int64_t ns, reason;
    if (!element_ns(text, length, &ns)) reason = DYNOSCALE_STAMP_MALFORMED;
    else if (ns - now_ns > SECOND_NS) reason = DYNOSCALE_STAMP_FUTURE;
    else if (now_ns - ns > 600 * SECOND_NS) reason = DYNOSCALE_STAMP_STALE;
    else {
        if (!r->plausible || ns < r->earliest_ns) r->earliest_ns = ns;
        r->plausible = true;
        return;
    }
    if (reason < r->reason) r->reason = reason;
}

static void read_list(const char *text, size_t length, int64_t now_ns, reading *r) {
    for (size_t start = 0, i = 0; text && i <= length; i++) {
        if (i < length && text[i] != ',') continue;
        read_element(text + start, i - start, now_ns, r);
        start = i + 1;
    }
}

static int64_t in_ms(int64_t ns) { return ns > 0 ? ns / 1000000 : 0; }

static void check(int64_t ms, const reading *r, double wait_ms, int64_t now_ns) {
    if (!r->plausible) {
        REQUIRE(ms == r->reason, "%lld, not %lld", (long long)ms, (long long)r->reason);
        return;
    }
    /* The body's wait is cut to ns; in a double the product may round up to the next one. */
    long double wait_ns = isfinite(wait_ms) && wait_ms > 0 ? floorl(wait_ms * 1e6L) : 0;
    int64_t queued_ns = now_ns - r->earliest_ns;
    int64_t cut_ns = wait_ns > 1e15L ? (int64_t)1e15 : (int64_t)wait_ns;
    int64_t most = in_ms(queued_ns - cut_ns), least = in_ms(queued_ns - cut_ns - 1);
    REQUIRE(ms == most || (cut_ns > 0 && ms == least), "%lld, not %lld (wait %.17g)", (long long)ms,
            (long long)most, wait_ms);
    REQUIRE(ms >= 0 && ms <= 600 * 1000, "%lld", (long long)ms);
}

/* ---- The input ----------------------------------------------------------------------------- */

/* Moments at which the answer changes, in ns from now. */
static const int64_t MOMENTS[16] = {
    -601 * SECOND_NS,
    -600 * SECOND_NS - 1,
    -600 * SECOND_NS,
    -600 * SECOND_NS + 1,
    -250000000,
    -1000000,
    -999999,
    -1,
    0,
    1,
    1000000,
    SECOND_NS - 1,
    SECOND_NS,
    SECOND_NS + 1,
    2 * SECOND_NS,
    -3600 * SECOND_NS,
};

/* Writes one of these in one of eight forms. */
static int write_moment(char *at, uint8_t byte, int64_t now_ns) {
    static const struct form {
        int64_t unit_ns;
        int decimals;
    } forms[8] = {{1, 0},         {1000, 0},      {1000000, 0},   {SECOND_NS, 0},
                  {SECOND_NS, 3}, {SECOND_NS, 6}, {SECOND_NS, 9}, {1000000, 3}};
    struct form form = forms[byte >> 4 & 7];
    int64_t ns = now_ns + MOMENTS[byte & 15], part = ns % form.unit_ns;
    if (ns < 0) ns = part = 0;
    for (int64_t unit = form.unit_ns, i = 0; unit > 1; unit /= 10)
        if (i++ >= form.decimals) part /= 10;
    if (form.decimals == 0) return sprintf(at, "%lld", (long long)(ns / form.unit_ns));
    return sprintf(at, "%lld.%0*lld", (long long)(ns / form.unit_ns), form.decimals,
                   (long long)part);
}

/* A text of its own block; bytes from 0x80 on become moments if asked for. */
static char *text_of(input part, bool moments, int64_t now_ns, size_t *length) {
    char *text = malloc(part.left * 40 + 1), *at = text;
    if (!text) exit(1);
    for (size_t i = 0; i < part.left; i++) {
        if (moments && part.at[i] >= 0x80) at += write_moment(at, part.at[i], now_ns);
        else *at++ = (char)part.at[i];
    }
    *length = (size_t)(at - text);
    char *exact = copy_of(text, *length);
    free(text);
    return exact;
}

/* One byte of flags, 8 of the body's wait, 8 of the clock if flagged; then both texts, between them
 * a line end. */
void fuzz_queue_time(const uint8_t *data, size_t size) {
    enum { NO_START = 1, NO_QUEUE_START = 2, MOMENTS_MEANT = 4, OTHER_CLOCK = 8 };
    input in = {data, size};
    uint64_t flags = take(&in, 1), bits = take(&in, 8);
    double wait_ms;
    memcpy(&wait_ms, &bits, sizeof wait_ms);
    int64_t now_ns = NOW_NS;
    if (flags & OTHER_CLOCK) now_ns = (int64_t)(take(&in, 8) % (uint64_t)LATEST_NS);

    size_t a_length, b_length;
    char *a = text_of(take_until(&in, '\n'), flags & MOMENTS_MEANT, now_ns, &a_length);
    char *b = text_of(in, flags & MOMENTS_MEANT, now_ns, &b_length);
    const char *start = flags & NO_START ? NULL : a,
               *queue_start = flags & NO_QUEUE_START ? NULL : b;

    int64_t ms = ds_queue_time_ms(start, a_length, queue_start, b_length, wait_ms, now_ns);
    reading r = {false, 0, DYNOSCALE_STAMP_MISSING};
    read_list(start, a_length, now_ns, &r);
    if (!r.plausible) read_list(queue_start, b_length, now_ns, &r);
    check(ms, &r, wait_ms, now_ns);

    int64_t one = start ? ds_queue_time_of_one_ms(start, a_length, wait_ms, now_ns) : -1;
    bool one_time = one >= 0 && !memchr(start, ',', a_length);
    REQUIRE(one < 0 || (one_time && one == ms), "%lld from one header alone, not %lld",
            (long long)one, (long long)ms);
    free(a);
    free(b);
}

FUZZ(fuzz_queue_time)
