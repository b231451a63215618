#define _GNU_SOURCE /* gmtime_r */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

enum { LINE_SIZE = 2048 };

static const char *const names[] = {"debug", "info", "warn", "error"};
static atomic_int least_level = LOG_INFO;

void log_set_level(enum log_level least) { atomic_store(&least_level, (int)least); }

bool log_level_named(const char *name, enum log_level *level) {
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++)
        if (strcmp(name, names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

/* Bytes of the UTF-8 character at `at`; 0 where there is none: cut off, too long, a surrogate. */
static size_t utf8_length(const unsigned char *at, size_t left) {
    if (at[0] < 0x80) return 1;
    size_t length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || length > left) return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80) return 0;
    if (at[0] == 0xe0 && at[1] < 0xa0) return 0;
    if (at[0] == 0xed && at[1] > 0x9f) return 0;
    if (at[0] == 0xf0 && at[1] < 0x90) return 0;
    if (at[0] == 0xf4 && at[1] > 0x8f) return 0;
    return length;
}

/* Replaces by '?' what could forge a line or move a terminal's cursor: control characters, C1 ones
 * (U+0080 to U+009F) among them, and what is not UTF-8. */
static void clean(char *text, size_t length) {
    unsigned char *bytes = (unsigned char *)text;
    for (size_t i = 0; i < length;) {
        size_t bytes_of = utf8_length(bytes + i, length - i);
        bool control = bytes[i] < 0x20 || bytes[i] == 0x7f ||
                       (bytes_of == 2 && bytes[i] == 0xc2 && bytes[i + 1] < 0xa0);
        if (bytes_of == 0 || control) memset(bytes + i, '?', bytes_of == 0 ? 1 : bytes_of);
        i += bytes_of == 0 ? 1 : bytes_of;
    }
}

static size_t write_start(char *line, size_t size, enum log_level level, const char *part) {
    int64_t ms = ds_clock_wall_ns() / 1000000;
    time_t seconds = (time_t)(ms / 1000);
    struct tm day;
    gmtime_r(&seconds, &day);
    size_t length = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &day);
    int more = snprintf(line + length, size - length, ".%03dZ %s %s: ", (int)(ms % 1000),
                        names[level], part);
    return length + (size_t)more;
}

void log_line(enum log_level level, const char *part, const char *format, ...) {
    if ((int)level < atomic_load(&least_level)) return;
    char line[LINE_SIZE];
    size_t length = write_start(line, sizeof line / 2, level, part);
    va_list values;
    va_start(values, format);
    int wanted = vsnprintf(line + length, sizeof line - length, format, values);
    va_end(values);
    if (wanted < 0) return;
    size_t room = sizeof line - length - 1;
    size_t text = (size_t)wanted < room ? (size_t)wanted : room;
    clean(line + length, text);
    if ((size_t)wanted > room) memcpy(line + sizeof line - 4, "...", 3);
    length += text;
    line[length++] = '\n'; /* where the NUL stood */
    /* One write a line, so that lines of several threads do not mix. Nobody can be told that the
     * log is full. */
    while (write(STDERR_FILENO, line, length) < 0 && errno == EINTR) continue;
}
