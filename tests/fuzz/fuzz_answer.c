/*
 * The service's answer, against Jansson, a strict reader of JSON: it leaves the agent as it was, or
 * gives the interval that is in it. And the two other texts that are numbers: Retry-After, and a
 * publish frequency among the settings.
 */
#include "fuzz.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>

#include "report.h"

enum { DEEPEST = 32, UNTOUCHED = -1 };

static void check_seconds(bool usable, double seconds, bool read, int64_t ms) {
    bool meant = usable && seconds >= 1 && seconds <= 3600;
    /* Digits beyond what a double holds may be rounded either way. */
    bool at_limit = usable && (fabs(seconds - 1) < 1e-9 || fabs(seconds - 3600) < 1e-9);
    if (!at_limit) REQUIRE(read == meant, "%.17g read as %lld", seconds, (long long)ms);
    if (!read) REQUIRE(ms == UNTOUCHED, "%lld", (long long)ms);
    else
        REQUIRE(fabs((double)ms - seconds * 1000) < 0.501, "%.17g read as %lld", seconds,
                (long long)ms);
}

/* How deep values are nested: 1 for a number alone. */
static int depth_of(json_t *value) {
    int deepest = 0, depth;
    size_t i;
    const char *name;
    json_t *inner;
    json_array_foreach(value, i, inner) if ((depth = depth_of(inner)) > deepest) deepest = depth;
    json_object_foreach(value, name, inner) if ((depth = depth_of(inner)) > deepest) deepest =
        depth;
    return deepest + 1;
}

/* Jansson refuses numbers too large for it, and text that is not UTF-8: we need not. */
static bool is_broken(const json_error_t *error) {
    return json_error_code(error) != json_error_numeric_overflow &&
           json_error_code(error) != json_error_invalid_utf8;
}

static uint32_t signals_in(json_t *list) {
    uint32_t signals = 0;
    size_t i;
    json_t *name;
    json_array_foreach(list, i, name) for (int s = 0; s < DYNOSCALE_SIGNAL_COUNT; s++) {
        const char *known = dynoscale_signal_name((dynoscale_signal)s);
        if (json_is_string(name) && strcmp(json_string_value(name), known) == 0 &&
            json_string_length(name) == strlen(known))
            signals |= 1U << s;
    }
    return signals;
}

/* What was not asked before. */
static void check_asked(json_t *object, const ds_report_config *config) {
    json_t *jobs = json_object_get(object, "jobs"), *beat = json_object_get(object, "heartbeat");
    uint32_t signals = signals_in(json_object_get(object, "signals"));
    REQUIRE(json_is_object(object), "a config that is no object");
    REQUIRE(config->signals == signals, "%x for %x", config->signals, signals);
    REQUIRE(config->jobs == (!jobs || json_is_true(jobs)), "jobs");
    if (!beat) REQUIRE(config->heartbeat_ms == 0, "%lld", (long long)config->heartbeat_ms);
    else
        check_seconds(json_is_number(beat), json_number_value(beat),
                      config->heartbeat_ms != UNTOUCHED, config->heartbeat_ms);
}

static void check_answer(const char *text, size_t length) {
    const size_t flags = JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL;
    json_error_t error;
    ds_report_config config = {.frequency_ms = UNTOUCHED, .heartbeat_ms = UNTOUCHED};
    bool applied = ds_report_answer(text, length, &config);
    int64_t ms = config.frequency_ms;
    bool read = ms != UNTOUCHED;
    if (!applied) REQUIRE(!read && config.signals == 0 && config.heartbeat_ms == UNTOUCHED, "kept");
    if (read) REQUIRE(ms >= 1000 && ms <= 3600 * 1000, "%lld", (long long)ms);
    if (memchr(text, '\0', length)) { /* Jansson may overlook it */
        REQUIRE(!applied, "a NUL is no JSON");
        return;
    }
    /* Names are not unescaped, and half a surrogate pair is let through. */
    if (length == 0 || memmem(text, length, "\\u", 2)) return;

    json_t *root = json_loadb(text, length, flags, &error);
    if (!root) {
        if (is_broken(&error)) REQUIRE(!applied, "no JSON: %s", error.text);
        return;
    }
    json_t *seconds = json_object_get(json_object_get(root, "config"), "publish_frequency");
    if (depth_of(root) > DEEPEST) REQUIRE(!applied, "nested %d deep", depth_of(root));
    else check_seconds(json_is_number(seconds), json_number_value(seconds), read, ms);
    if (applied) check_asked(json_object_get(root, "config"), &config);
    json_decref(root);
}

static void check_frequency(const char *text, size_t length) {
    json_error_t error;
    int64_t ms = UNTOUCHED;
    bool read = ds_report_frequency(text, length, &ms);
    bool blank = length > 0 && (strchr(" \t\r\n", text[0]) || strchr(" \t\r\n", text[length - 1]));
    json_t *number =
        length > 0 ? json_loadb(text, length, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error)
                   : NULL;
    check_seconds(number && json_is_number(number) && !blank, json_number_value(number), read, ms);
    json_decref(number);
}

static void check_retry_after(const char *text, size_t length) {
    int64_t ms = UNTOUCHED;
    bool read = ds_report_retry_after(text, length, &ms), digits = length > 0;
    double seconds = 0;
    for (size_t i = 0; i < length; i++) {
        digits = digits && isdigit((unsigned char)text[i]);
        seconds = seconds * 10 + (text[i] - '0');
    }
    REQUIRE(read == digits, "%lld", (long long)ms);
    if (!read) REQUIRE(ms == UNTOUCHED, "%lld", (long long)ms);
    else REQUIRE(ms == (seconds < 120 ? (int64_t)seconds * 1000 : 120000), "%lld", (long long)ms);
}

/* The text as it is, for all three. */
void fuzz_answer(const uint8_t *data, size_t size) {
    char *text = copy_of(data, size);
    check_answer(text, size);
    check_frequency(text, size);
    check_retry_after(text, size);
    free(text);
}

FUZZ(fuzz_answer)
