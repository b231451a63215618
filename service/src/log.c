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
#include "text.h"

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

/* Replaces by '?' what could forge a line or move a terminal's cursor: control characters, C1 ones
 * (U+0080 to U+009F) among them, and what is not UTF-8. */
static void clean(char *text, size_t length) {
    unsigned char *bytes = (unsigned char *)text;
    for (size_t i = 0; i < length;) {
        size_t bytes_of = text_character(text + i, length - i);
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
