#include "decide/line.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void line_put(struct line *line, const char *format, ...) {
    va_list values;
    va_start(values, format);
    int more = vsnprintf(line->text + line->length, line->size - line->length, format, values);
    va_end(values);
    if (more > 0) line->length += (size_t)more;
    if (line->length < line->size) return;
    line->length = line->size - 1; /* cut, and not within a character */
    while (line->length > 0 && ((unsigned char)line->text[line->length - 1] & 0xC0) == 0x80)
        line->length--;
    if (line->length > 0 && (unsigned char)line->text[line->length - 1] >= 0xC0) line->length--;
    line->text[line->length] = '\0';
    line->size = line->length + 1;
}

void line_cut(struct line *line, const char *text, size_t most) {
    size_t length = strlen(text);
    if (length <= most) {
        line_put(line, "%s", text);
        return;
    }
    while (most > 0 && ((unsigned char)text[most] & 0xC0) == 0x80) most--;
    line_put(line, "%.*s...", (int)most, text);
}

void line_wait(struct line *line, int64_t s) {
    if (s < 3600) line_put(line, "%" PRId64 ":%02d", s / 60, (int)(s % 60));
    else line_put(line, "%" PRId64 " h %d min", s / 3600, (int)(s / 60 % 60));
}

void line_age(struct line *line, int64_t s) {
    if (s < 120) line_put(line, "%" PRId64 " s", s);
    else line_wait(line, s);
}

/* Seconds, with as many digits as needed: "30 s", "12.5 s". */
void line_ms(struct line *line, int64_t ms) {
    if (ms < 1000) {
        line_put(line, "%" PRId64 " ms", ms);
        return;
    }
    int part = (int)(ms % 1000), digits = 3;
    for (; digits > 0 && part % 10 == 0; digits--) part /= 10;
    if (digits > 0) line_put(line, "%" PRId64 ".%0*d s", ms / 1000, digits, part);
    else line_put(line, "%" PRId64 " s", ms / 1000);
}

enum { TENTHS_BELOW_MS = 10000, WAIT_FROM_S = 120 };

static int64_t rounded(int64_t ms) {
    int64_t to = ms < 1000 ? 1 : ms < TENTHS_BELOW_MS ? 100 : 1000;
    return (ms + to / 2) / to * to;
}

static bool same_side(int64_t one, int64_t other, int64_t limit) {
    return (one > limit) == (other > limit) && (one < limit) == (other < limit);
}

void line_measured(struct line *line, int64_t ms, int64_t low, int64_t high) {
    int64_t about = rounded(ms);
    if (!same_side(ms, about, low) || !same_side(ms, about, high)) line_ms(line, ms);
    else if (about < WAIT_FROM_S * 1000) line_ms(line, about);
    else line_wait(line, about / 1000);
}

/* With a tenth if that matters. */
void line_rate(struct line *line, int64_t thousandths) {
    int64_t tenths = (thousandths + 50) / 100;
    if (thousandths >= 100000 || tenths % 10 == 0)
        line_put(line, "%" PRId64, (thousandths + 500) / 1000);
    else line_put(line, "%" PRId64 ".%d", tenths / 10, (int)(tenths % 10));
}

/* How long the surplus has lasted: 0 s is enough for a large one. */
void line_surplus(struct line *line, int64_t s, int enough) {
    if (s <= 0) {
        line_put(line, "%d would do, and so many more have cost enough at once", enough);
        return;
    }
    line_put(line, "for ");
    line_age(line, s);
    line_put(line, " at most %d would have done", enough);
}

const char *line_plural(int64_t count) { return count == 1 ? "" : "s"; }
