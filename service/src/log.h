/*
 * One line an event, on standard error: "2026-11-29T12:00:00.123Z info control: shop web: up 2 →
 * 3". Any thread. Control characters and what is not UTF-8 are replaced by '?', and a line is cut
 * at 2,047 bytes; no caller passes a secret.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* At first LOG_INFO. */
void log_set_level(enum log_level least);
/* "debug", "info", "warn" or "error"; else false. */
bool log_level_named(const char *name, enum log_level *level);
void log_line(enum log_level level, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The same for what anybody can cause as often as they like: of each kind LOG_A_MINUTE lines, and
 * one more each as many seconds as that takes. What is left out is counted, and told by the next
 * line of its kind.
 */
enum log_flood { LOG_ACCESS, LOG_FRAMES, LOG_CONNECTIONS, LOG_FLOODS };
enum { LOG_A_MINUTE = 20 };
void log_refusal(enum log_flood kind, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
