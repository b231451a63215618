#include "decide/line.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void line_put(struct line *line, const char *format, ...) {
    va_list values;
    va_start(values, format);
    int more = vsnprintf(line->text + line->length, line->size - line->length, format, values);
    va_end(values);
    if (more > 0) line->length += (size_t)more;
    if (line->length < line->size) return;
    line->length = line->size - 1; /* cut: no part of a character stays */
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

/* ms where a thousandth matters. */
void line_ms(struct line *line, int64_t ms) {
    if (ms < 10000) {
        line_put(line, "%" PRId64 " ms", ms);
        return;
    }
    char part[8] = "";
    if (ms < 1000000 && ms % 1000) {
        snprintf(part, sizeof part, ".%03d", (int)(ms % 1000));
        for (size_t last = strlen(part) - 1; part[last] == '0'; last--) part[last] = '\0';
    }
    line_put(line, "%" PRId64 "%s s", ms / 1000, part);
}

/* A tenth where it matters. */
void line_rate(struct line *line, int64_t thousandths) {
    if (thousandths >= 100000) line_put(line, "%" PRId64, (thousandths + 500) / 1000);
    else
        line_put(line, "%" PRId64 ".%d", (thousandths + 50) / 1000,
                 (int)((thousandths + 50) / 100 % 10));
}

/* A surplus that is large enough has cost enough at once. */
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
