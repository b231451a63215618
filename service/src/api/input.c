#define _GNU_SOURCE /* timegm, strndup */
#include "api/input.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "json_read.h"
#include "rules/zone.h"

/* The last second of the year 9999; moments begin in 1970. */
static const int64_t latest_s = INT64_C(253402300799);

/* ---- Moments ------------------------------------------------------------------------------- */

/* Reads up to `most` digits; NULL: there are none. */
static const char *digits(const char *text, int most, int64_t *number) {
    const char *at = text;
    *number = 0;
    while (at - text < most && isdigit((unsigned char)*at)) *number = *number * 10 + (*at++ - '0');
    return at > text ? at : NULL;
}

/* Reads exactly two digits, of a number of at most `most`. */
static const char *two(const char *text, int64_t most, int64_t *number) {
    const char *end = digits(text, 2, number);
    return end && end - text == 2 && *number <= most ? end : NULL;
}

/* Reads "10:42" or "10:42:10", and ignores a fraction; gives the second of the day. */
static const char *clock_time(const char *text, int64_t *second) {
    int64_t hour, minute, seconds = 0, fraction;
    const char *at = two(text, 23, &hour);
    if (!at || *at++ != ':' || !(at = two(at, 59, &minute))) return NULL;
    if (*at == ':') {
        if (!(at = two(at + 1, 60, &seconds))) return NULL;
        if (*at == '.' && !(at = digits(at + 1, 9, &fraction))) return NULL;
    }
    *second = hour * 3600 + minute * 60 + seconds;
    return at;
}

static bool relative(const char *text, int64_t now_s, int64_t *epoch_s) {
    int64_t number;
    const char *at = digits(text + 1, 9, &number);
    if (!at || !*at || at[1]) return false;
    int64_t unit = *at == 's' ? 1 : *at == 'm' ? 60 : *at == 'h' ? 3600 : *at == 'd' ? 86400 : 0;
    *epoch_s = now_s + (text[0] == '-' ? -1 : 1) * number * unit;
    return unit > 0;
}

/* Finds the moment at which the wall clock shows this day and second, given as if it were UTC. For
 * an hour that is skipped: the moment after it; for an hour that comes twice: the first one. */
static int64_t from_wall(const struct zone *zone, int64_t wall_s) {
    int64_t early = wall_s - zone_time(zone, wall_s - 86400).offset;
    int64_t late = wall_s - zone_time(zone, wall_s + 86400).offset;
    int64_t first = early < late ? early : late, second = early < late ? late : early;
    return first + zone_time(zone, first).offset == wall_s ? first : second;
}

static bool of_today(const char *text, const struct zone *zone, int64_t now_s, bool ahead,
                     int64_t *epoch_s) {
    int64_t second;
    const char *end = clock_time(text, &second);
    if (!end || *end) return false;
    struct zone_time now = zone_time(zone, now_s);
    int64_t day = now_s + now.offset - now.second;
    *epoch_s = from_wall(zone, day + second);
    if (ahead && *epoch_s <= now_s) *epoch_s = from_wall(zone, day + 86400 + second);
    if (!ahead && *epoch_s > now_s) *epoch_s = from_wall(zone, day - 86400 + second);
    return true;
}

static bool days_exist(int year, int month, int day) {
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return year >= 1970 && month >= 1 && month <= 12 && day >= 1 &&
           day <= lengths[month - 1] + (month == 2 && leap);
}

static bool rfc3339(const char *text, const struct zone *zone, int64_t *epoch_s) {
    int64_t year, month, day, second = 0, offset;
    const char *at = digits(text, 4, &year);
    if (!at || at - text != 4 || *at++ != '-' || !(at = two(at, 12, &month))) return false;
    if (*at++ != '-' || !(at = two(at, 31, &day))) return false;
    if (!days_exist((int)year, (int)month, (int)day)) return false;
    struct tm date = {.tm_year = (int)year - 1900, .tm_mon = (int)month - 1, .tm_mday = (int)day};
    int64_t wall = timegm(&date);
    if (*at == 'T' || *at == 't' || *at == ' ') {
        if (!(at = clock_time(at + 1, &second))) return false;
        wall += second;
    }
    if (!*at) {
        *epoch_s = from_wall(zone, wall);
        return true;
    }
    if ((*at == 'Z' || *at == 'z') && !at[1]) {
        *epoch_s = wall;
        return true;
    }
    char sign = *at;
    if ((sign != '+' && sign != '-') || strlen(at) != 6 || !(at = clock_time(at + 1, &offset)))
        return false;
    *epoch_s = wall - (sign == '+' ? offset : -offset);
    return true;
}

bool input_time(const char *text, const char *zone_name, int64_t now_s, bool ahead,
                int64_t *epoch_s) {
    int64_t value;
    const struct zone *zone = zone_find(zone_name && *zone_name ? zone_name : "UTC");
    if (!zone) zone = zone_find("UTC");
    const char *end = digits(text, 12, &value);
    bool read = true;
    if (strcmp(text, "now") == 0) value = now_s;
    else if (text[0] == '-' || text[0] == '+') read = relative(text, now_s, &value);
    else if (end && !*end) read = true;
    else read = zone && (of_today(text, zone, now_s, ahead, &value) || rfc3339(text, zone, &value));
    if (!read || value < 0 || value > latest_s) return false;
    *epoch_s = value;
    return true;
}

/* ---- Texts --------------------------------------------------------------------------------- */

/* jansson accepts only valid UTF-8, so that need not be checked here. */
bool input_printable(const char *text) {
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at < 0x20 || *at == 0x7F) return false;
        if (*at == 0xC2 && at[1] < 0xA0) return false; /* C1 control characters */
    }
    json_t *string = json_string(text);
    json_decref(string);
    return string != NULL;
}

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool input_decode(char *text, bool plus) {
    char *to = text;
    for (const char *at = text; *at; at++) {
        if (*at == '%') {
            int high = hex(at[1]), low = high < 0 ? -1 : hex(at[2]);
            if (low < 0 || (high == 0 && low == 0)) return false;
            *to++ = (char)(high * 16 + low);
            at += 2;
        } else {
            *to++ = plus && *at == '+' ? ' ' : *at;
        }
    }
    *to = '\0';
    return true;
}

/* ---- Fields -------------------------------------------------------------------------------- */

static bool wrong(struct api_call *call, const struct field *field, const char *what) {
    api_problem(call, 400, "the field “%s” %s", field->name, what);
    return false;
}

static bool take_text(struct api_call *call, const struct field *field, const json_t *value) {
    char what[120];
    const char *text = json_string_value(value);
    if (!text) return wrong(call, field, "must be a text");
    int64_t length = (int64_t)json_string_length(value);
    if (length < field->least || (field->most > 0 && length > field->most)) {
        snprintf(what, sizeof what, "must have %" PRId64 " to %" PRId64 " bytes; it has %" PRId64,
                 field->least, field->most, length);
        return wrong(call, field, what);
    }
    if (!input_printable(text)) return wrong(call, field, "must not have control characters");
    if (field->kind == FIELD_NAME && !text_is_seen(text))
        return wrong(call, field,
                     "must not have characters that are not seen, or that turn the "
                     "direction of text");
    if (field->kind == FIELD_NAME && length > 0 && (text[0] == ' ' || text[length - 1] == ' '))
        return wrong(call, field, "must not begin or end with a blank");
    *(const char **)field->to = text;
    return true;
}

/* Reads a JSON number, or a number in a query's text. */
static bool integer_of(const json_t *value, int64_t *number) {
    if (json_is_integer(value)) {
        *number = json_integer_value(value);
        return true;
    }
    const char *text = json_string_value(value);
    if (!text) return false;
    const char *end = digits(text + (text[0] == '-'), 15, number);
    if (text[0] == '-') *number = -*number;
    return end && !*end;
}

static bool take_integer(struct api_call *call, const struct field *field, const json_t *value,
                         bool query) {
    char what[120];
    int64_t number;
    bool bounded = field->least != 0 || field->most != 0;
    if ((query || !json_is_string(value)) && integer_of(value, &number) &&
        (!bounded || (number >= field->least && number <= field->most))) {
        *(int64_t *)field->to = number;
        return true;
    }
    if (!bounded) return wrong(call, field, "must be a whole number");
    snprintf(what, sizeof what, "must be a whole number from %" PRId64 " to %" PRId64, field->least,
             field->most);
    return wrong(call, field, what);
}

static bool take_bool(struct api_call *call, const struct field *field, const json_t *value,
                      bool query) {
    const char *text = query ? json_string_value(value) : NULL;
    bool yes = json_is_true(value) || (text && (!strcmp(text, "true") || !strcmp(text, "1")));
    bool no = json_is_false(value) || (text && (!strcmp(text, "false") || !strcmp(text, "0")));
    if (!yes && !no) return wrong(call, field, "must be true or false");
    *(bool *)field->to = yes;
    return true;
}

static bool take_time(struct api_call *call, const struct field *field, const json_t *value) {
    int64_t *to = field->to;
    const char *text = json_string_value(value);
    if (json_is_integer(value)) {
        int64_t number = json_integer_value(value);
        if (number >= 0 && number <= latest_s) {
            *to = number;
            return true;
        }
    } else if (text && input_time(text, call->app.zone, call->now_s, field->ahead, to)) {
        return true;
    }
    return wrong(call, field,
                 "must be a moment: epoch seconds, 2026-11-29T10:42:00Z, 10:42 in the app's time "
                 "zone, now, -2h or +30m");
}

static bool take(struct api_call *call, const struct field *field, json_t *value, bool query) {
    switch (field->kind) {
    case FIELD_TEXT:
    case FIELD_NAME:
        return take_text(call, field, value);
    case FIELD_INTEGER:
        return take_integer(call, field, value, query);
    case FIELD_BOOL:
        return take_bool(call, field, value, query);
    case FIELD_TIME:
        return take_time(call, field, value);
    case FIELD_OBJECT:
        if (!json_is_object(value)) return wrong(call, field, "must be an object");
        *(json_t **)field->to = value;
        return true;
    case FIELD_ARRAY:
        if (!json_is_array(value)) return wrong(call, field, "must be an array");
        *(json_t **)field->to = value;
        return true;
    case FIELD_ANY:
        *(json_t **)field->to = value;
        return true;
    }
    return false;
}

static bool none_unknown(struct api_call *call, const struct field *fields, size_t count) {
    const char *name;
    json_t *value;
    json_object_foreach(call->input, name, value) {
        size_t i = 0;
        while (i < count && strcmp(fields[i].name, name) != 0) i++;
        if (i < count) continue;
        struct text known = TEXT_EMPTY;
        for (i = 0; i < count; i++) text_format(&known, "%s“%s”", i ? ", " : "", fields[i].name);
        api_problem(call, 400, "there is no field “%.100s” here; %s%s", name,
                    count ? "there are " : "there are none", known.bytes ? known.bytes : "");
        text_free(&known);
        return false;
    }
    return true;
}

static bool take_all(struct api_call *call, const struct field *fields, size_t count, bool query) {
    if (!none_unknown(call, fields, count)) return false;
    for (size_t i = 0; i < count; i++) {
        json_t *value = json_object_get(call->input, fields[i].name);
        bool absent = !value || (json_is_null(value) && !query);
        if (absent && fields[i].needed) return wrong(call, &fields[i], "is missing");
        if (!absent && !take(call, &fields[i], value, query)) return false;
    }
    return true;
}

static bool is_json(const char *type) {
    if (!type || !*type) return true;
    size_t length = strcspn(type, "; \t");
    return length == 16 && strncasecmp(type, "application/json", 16) == 0;
}

bool input_body(struct api_call *call, const struct field *fields, size_t count) {
    json_error_t trouble;
    json_decref(call->input);
    call->input = NULL;
    if (call->body_length == 0) {
        call->input = json_object();
    } else {
        if (!is_json(call->content_type)) {
            api_problem(call, 415, "the body must be JSON, with Content-Type: application/json");
            return false;
        }
        call->input = json_read(call->body, call->body_length, JSON_REJECT_DUPLICATES, &trouble);
        if (!call->input) {
            api_problem(call, 400, "the body is not JSON: line %d, column %d: %.120s", trouble.line,
                        trouble.column, trouble.text);
            return false;
        }
    }
    if (!json_is_object(call->input)) {
        api_problem(call, 400, "the body must be a JSON object");
        return false;
    }
    return take_all(call, fields, count, false);
}

/* Adds one name=value of a query to the object. */
static bool add_pair(struct api_call *call, const char *pair, size_t length) {
    char *name = strndup(pair, length);
    if (!name) {
        api_problem(call, 503, "there is no memory left");
        return false;
    }
    char *value = strchr(name, '=');
    if (value) *value++ = '\0';
    bool decoded = input_decode(name, true) && (!value || input_decode(value, true));
    json_t *string = decoded ? json_string(value ? value : "") : NULL;
    bool added = false;
    if (!string || !input_printable(name))
        api_problem(call, 400, "the query must be UTF-8, percent-encoded, without NUL");
    else if (json_object_get(call->input, name))
        api_problem(call, 400, "the field “%.100s” is given twice", name);
    else added = json_object_set(call->input, name, string) == 0;
    json_decref(string);
    free(name);
    return added;
}

bool input_query(struct api_call *call, const struct field *fields, size_t count) {
    json_decref(call->input);
    call->input = json_object();
    const char *at = call->query ? call->query : "";
    while (*at) {
        size_t length = strcspn(at, "&");
        if (length > 0 && !add_pair(call, at, length)) return false;
        at += length + (at[length] == '&');
    }
    return take_all(call, fields, count, true);
}
