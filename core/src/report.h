/*
 * The format of reports: writes samples as CSV and the headers, and reads the service's answer.
 * Pure: no clock, no allocation, no locale. core/README.md describes the format under "Reports".
 */
#ifndef DS_REPORT_H
#define DS_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dynoscale.h"

/* ---- Samples ------------------------------------------------------------------------------ */

/* A request's sample in one word, never 0: the epoch second, and the queue time plus 1. */
static inline uint64_t ds_sample(int64_t epoch_s, int64_t queue_time_ms) {
    return (uint64_t)epoch_s << 32 | (uint32_t)(queue_time_ms + 1);
}

/* ---- Rows --------------------------------------------------------------------------------- */

enum {
    DS_REPORT_ROW_SIZE = 28,     /* the longest row of a request: 10 + 1 + 10 + ",web," + CRLF */
    DS_REPORT_BACKEND_SIZE = 32, /* the longest name of a backend */
    DS_REPORT_QUEUE_SIZE = 200,  /* the longest name of a queue */
    DS_REPORT_READING_SIZE =
        496, /* the longest row of a reading, with each byte of its queue's name quoted */
};

/* Writes one row for each sample. Returns the bytes written, at most count * DS_REPORT_ROW_SIZE. No
 * NUL. */
size_t ds_report_rows(char *csv, const uint64_t *samples, size_t count);

/* Writes one row for a reading of a job queue. Returns its bytes, or 0 if a name is unusable
 * (backend: 1 to 32 of a-z 0-9 _; queue: 1 to 200 bytes of UTF-8 without control characters).
 * `metadata` is "" for a queue time in ms, else the name of a signal. */
size_t ds_report_reading(char csv[DS_REPORT_READING_SIZE], int64_t epoch_s, int64_t value,
                         const char *backend, size_t backend_length, const char *queue,
                         size_t queue_length, const char *metadata);

/* Writes one row for a signal of this process's requests. Returns its bytes. */
size_t ds_report_signal(char csv[DS_REPORT_READING_SIZE], int64_t epoch_s, int64_t value,
                        dynoscale_signal signal);

/* ---- Headers ------------------------------------------------------------------------------ */

enum { DS_REPORT_HEADERS = 7, DS_REPORT_HEADER_SIZE = 320 };

typedef struct ds_report_sender {
    const char *user_agent; /* "dynoscale-ruby;2.0.0" */
    const char *dyno;
    const char *app_name; /* NULL: left out */
} ds_report_sender;

/* Writes "Name: value" lines and returns their number. A value that is too long is cut. */
size_t ds_report_headers(char lines[DS_REPORT_HEADERS][DS_REPORT_HEADER_SIZE],
                         const ds_report_sender *sender, const char *key, int64_t epoch_s);

/* ---- Answers ------------------------------------------------------------------------------ */

/* Reads a publish frequency: a number of seconds from 1 to 3600, whole or not, as in JSON. Writes
 * it in ms. Returns false and leaves *ms unchanged for anything else. */
bool ds_report_frequency(const char *text, size_t length, int64_t *ms);

/* What the service asks of an agent. */
typedef struct ds_report_config {
    int64_t frequency_ms; /* between reports */
    uint32_t signals;     /* 1 << dynoscale_signal each: those that are asked for */
    bool jobs;            /* false: another dyno reads the job queues */
    int64_t heartbeat_ms; /* after so long without a report, send one without rows; 0: never */
} ds_report_config;

/*
 * Reads the "config" of an answer's body. Returns false and leaves *config unchanged unless the
 * body is JSON and its config is an object. An unusable value leaves the one before it, as does a
 * publish_frequency that is absent. Anything else that is absent is no longer asked for. Any bytes.
 */
bool ds_report_answer(const char *body, size_t length, ds_report_config *config);

/* Reads a Retry-After of whole seconds, as ms, at most 2 minutes. Returns false for anything else,
 * also for a date: to use it the agent would have to know the service's clock. */
bool ds_report_retry_after(const char *text, size_t length, int64_t *ms);

#endif
