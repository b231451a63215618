#define _GNU_SOURCE /* gmtime_r */
#include "log.h"

#include <errno.h>
#include <pthread.h>
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

static void write_line(enum log_level level, const char *part, const char *format, va_list values) {
    char line[LINE_SIZE];
    size_t length = write_start(line, sizeof line / 2, level, part);
    int wanted = vsnprintf(line + length, sizeof line - length, format, values);
    if (wanted < 0) return;
    size_t room = sizeof line - length - 1;
    size_t text = (size_t)wanted < room ? (size_t)wanted : room;
    text_make_seen(line + length, text); /* so that it can't forge a line or move a cursor */
    if ((size_t)wanted > room) memcpy(line + sizeof line - 4, "...", 3);
    length += text;
    line[length++] = '\n'; /* in place of the NUL */
    /* One write per line, so that lines of several threads do not mix. If the log is full, nobody
     * can be told. */
    while (write(STDERR_FILENO, line, length) < 0 && errno == EINTR) continue;
}

void log_line(enum log_level level, const char *part, const char *format, ...) {
    if ((int)level < atomic_load(&least_level)) return;
    va_list values;
    va_start(values, format);
    write_line(level, part, format, values);
    va_end(values);
}

/* ---- Refusals -------------------------------------------------------------------------------- */

static pthread_mutex_t floods_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    int64_t at_ms, used_ms; /* each line uses up its share of a minute */
    int64_t omitted;
} floods[LOG_FLOODS];

/* Whether one more line may be written; *omitted: how many were left out before it. */
static bool take(enum log_flood kind, int64_t *omitted) {
    const int64_t now_ms = ds_clock_monotonic_ms(), most_ms = 60000, line_ms = 60000 / LOG_A_MINUTE;
    pthread_mutex_lock(&floods_lock);
    int64_t used_ms = floods[kind].used_ms - (now_ms - floods[kind].at_ms);
    if (used_ms < 0) used_ms = 0;
    bool may = used_ms + line_ms <= most_ms;
    *omitted = floods[kind].omitted;
    floods[kind].omitted = may ? 0 : floods[kind].omitted + 1;
    floods[kind].used_ms = may ? used_ms + line_ms : used_ms;
    floods[kind].at_ms = now_ms;
    pthread_mutex_unlock(&floods_lock);
    return may;
}

void log_refusal(enum log_flood kind, const char *part, const char *format, ...) {
    static const char *const kinds[] = {"refused accesses", "malformed requests", "connections"};
    int64_t omitted;
    if (LOG_WARN < atomic_load(&least_level) || !take(kind, &omitted)) return;
    if (omitted > 0)
        log_line(LOG_WARN, part, "%lld more %s were not logged one by one", (long long)omitted,
                 kinds[kind]);
    va_list values;
    va_start(values, format);
    write_line(LOG_WARN, part, format, values);
    va_end(values);
}
