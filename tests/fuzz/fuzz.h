/*
 * What the harnesses share. A harness is a function that takes any bytes and ends the process when
 * the core breaks a promise. libFuzzer calls it with bytes of its own making (make fuzz), and the
 * core's suite with those that failed once (tests/core/test_fuzz_failures.c).
 */
#ifndef FUZZ_H
#define FUZZ_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem, stpcpy, putenv */
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fuzz_answer(const uint8_t *data, size_t size);
void fuzz_body(const uint8_t *data, size_t size);
void fuzz_decide(const uint8_t *data, size_t size);
void fuzz_frame(const uint8_t *data, size_t size);
void fuzz_headers(const uint8_t *data, size_t size);
void fuzz_moment(const uint8_t *data, size_t size);
void fuzz_part(const uint8_t *data, size_t size);
void fuzz_queue_time(const uint8_t *data, size_t size);
void fuzz_report(const uint8_t *data, size_t size);
void fuzz_report_rows(const uint8_t *data, size_t size);
void fuzz_rows(const uint8_t *data, size_t size);
void fuzz_rule(const uint8_t *data, size_t size);
void fuzz_settings(const uint8_t *data, size_t size);
void fuzz_sketch(const uint8_t *data, size_t size);
void fuzz_tree(const uint8_t *data, size_t size);
void fuzz_url(const uint8_t *data, size_t size);
void fuzz_week(const uint8_t *data, size_t size);
void fuzz_zone(const uint8_t *data, size_t size);

/* Makes `harness` the one that libFuzzer calls in this program. */
#ifdef FUZZING
#define FUZZ(harness)                                              \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);  \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { \
        harness(data, size);                                       \
        return 0;                                                  \
    }
#else
#define FUZZ(harness)
#endif

#define REQUIRE(condition, ...)                                                           \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: %s does not hold: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                                 \
            fputc('\n', stderr);                                                          \
            abort();                                                                      \
        }                                                                                 \
    } while (0)

/* The bytes not yet used. */
typedef struct input {
    const uint8_t *at;
    size_t left;
} input;

/* Bytes that are not there are 0. */
static inline uint64_t take(input *in, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        uint64_t byte = in->left > 0 ? *in->at : 0;
        value |= byte << 8 * i;
        if (in->left > 0) in->at++, in->left--;
    }
    return value;
}

/* The bytes before the next `end`, or all; `end` itself is used up. */
static inline input take_until(input *in, uint8_t end) {
    input part = *in;
    const uint8_t *found = in->left > 0 ? memchr(in->at, end, in->left) : NULL;
    if (found) part.left = (size_t)(found - in->at);
    in->at += part.left + (found != NULL);
    in->left -= part.left + (found != NULL);
    return part;
}

static inline input take_bytes(input *in, size_t count) {
    input part = {in->at, count < in->left ? count : in->left};
    in->at += part.left;
    in->left -= part.left;
    return part;
}

/* A block of its own, and no byte more: AddressSanitizer sees whoever reads behind it. */
static inline char *copy_of(const void *text, size_t length) {
    char *copy = calloc(length > 0 ? length : 1, 1);
    if (!copy) exit(1);
    if (length > 0) memcpy(copy, text, length);
    return copy;
}

#endif
