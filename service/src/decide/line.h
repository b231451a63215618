/* A text of limited size that is put together piece by piece, and how numbers stand in it. */
#ifndef LINE_H
#define LINE_H

#include <stddef.h>
#include <stdint.h>

struct line {
    char *text; /* ends in a NUL */
    size_t size, length;
};

/* What has no room is cut, whole characters, and nothing follows it. */
void line_put(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* At most `most` bytes of a text, whole characters, "..." where it was cut. */
void line_cut(struct line *line, const char *text, size_t most);

void line_wait(struct line *line, int64_t s); /* a wait: "2:10", "4 h 27 min" */
void line_age(struct line *line, int64_t s);  /* how old: "40 s", "2:10" */
void line_ms(struct line *line, int64_t ms);  /* what was set: "140 ms", "12.5 s" */
/* What was measured, rounded: "140 ms", "3.2 s", "21 s", "2:10". All its digits where a rounded one
 * would not compare to `low` and `high`, which the sentence names too, as it does. */
void line_measured(struct line *line, int64_t ms, int64_t low, int64_t high);
void line_rate(struct line *line, int64_t thousandths); /* "118", "12.7" */
/* "for 2:10 at most 3 would have done". */
void line_surplus(struct line *line, int64_t s, int enough);
const char *line_plural(int64_t count); /* "s", or nothing after 1 */

#endif
