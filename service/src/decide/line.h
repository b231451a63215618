/* Builds a text of limited size piece by piece, and formats numbers for it. */
#ifndef LINE_H
#define LINE_H

#include <stddef.h>
#include <stdint.h>

struct line {
    char *text; /* ends in a NUL */
    size_t size, length;
};

/* What does not fit is cut after a whole character, and nothing is added after that. */
void line_put(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds at most `most` bytes of a text, in whole characters; "..." shows that it was cut. */
void line_cut(struct line *line, const char *text, size_t most);

void line_wait(struct line *line, int64_t s); /* a wait: "2:10", "4 h 27 min" */
void line_age(struct line *line, int64_t s);  /* how old: "40 s", "2:10" */
void line_ms(struct line *line, int64_t ms);  /* a setting: "140 ms", "12.5 s" */
/* A measured value, rounded: "140 ms", "3.2 s", "21 s", "2:10". With all digits if the rounded
 * value would compare differently to `low` and `high`, which the sentence also names. */
void line_measured(struct line *line, int64_t ms, int64_t low, int64_t high);
void line_rate(struct line *line, int64_t thousandths); /* "118", "12.7" */
/* "for 2:10 at most 3 would have done". */
void line_surplus(struct line *line, int64_t s, int enough);
const char *line_plural(int64_t count); /* "s", or nothing after 1 */

#endif
