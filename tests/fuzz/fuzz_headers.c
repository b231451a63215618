/*
 * What the doctor reads of an answer's headers. A date, against the C library, which writes it out
 * again; a Server-Timing, which may be anything, must not be read beyond its end, and what is found
 * in it must be there without its other parts too.
 */
#include "fuzz.h"

#include <inttypes.h>
#include <time.h>

#include "headers.h"

enum { UNTOUCHED = -1 };

static void check_date(const char *text, size_t length) {
    char again[64];
    struct tm parts;
    int64_t epoch_s = UNTOUCHED;
    if (!ds_headers_date(text, length, &epoch_s)) {
        REQUIRE(epoch_s == UNTOUCHED, "%" PRId64, epoch_s);
        return;
    }
    REQUIRE(length == 29 && epoch_s >= 0, "%zu bytes are %" PRId64, length, epoch_s);
    time_t t = (time_t)epoch_s;
    strftime(again, sizeof again, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&t, &parts));
    /* The name of the day is not looked at. A 31 June is 1 July, a second 60 the next minute. */
    bool exists = atoi(text + 5) <= 28 && memcmp(text + 23, "60", 2) != 0;
    REQUIRE(!exists || memcmp(text + 3, again + 3, 26) == 0, "%s", again);
}

static void check_queue_time(const char *text, size_t length) {
    int64_t ms = UNTOUCHED, alone = UNTOUCHED;
    if (!ds_headers_queue_time(text, length, &ms)) {
        REQUIRE(ms == UNTOUCHED, "%" PRId64, ms);
        return;
    }
    char written[64];
    REQUIRE(ms >= 0, "%" PRId64, ms);
    int size = snprintf(written, sizeof written, "queue;dur=%" PRId64, ms);
    REQUIRE(ds_headers_queue_time(written, (size_t)size, &alone) && alone == ms,
            "%" PRId64 ", alone %" PRId64, ms, alone);
    REQUIRE(memmem(text, length, "=", 1) && length >= 11, "%.*s", (int)length, text);
}

void fuzz_headers(const uint8_t *data, size_t size) {
    char *text = copy_of(data, size);
    check_date(text, size);
    check_queue_time(text, size);
    free(text);
}

FUZZ(fuzz_headers)
