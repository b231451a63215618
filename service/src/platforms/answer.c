/* Reads what a program or a webhook's receiver answers about a formation. */
#include <inttypes.h>
#include <string.h>

#include "json_read.h"
#include "platforms/platform.h"

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static void trim(const char **text, size_t *length) {
    while (*length > 0 && blank(**text)) (*text)++, (*length)--;
    while (*length > 0 && blank((*text)[*length - 1])) (*length)--;
}

/* The beginning of an answer, made printable, for an error. */
static const char *shown(char out[48], const char *text, size_t length) {
    size_t kept = length < 40 ? length : 40;
    for (size_t i = 0; i < kept; i++) out[i] = text[i] >= 0x20 && text[i] < 0x7F ? text[i] : '?';
    memcpy(out + kept, kept < length ? "..." : "", kept < length ? 4 : 1);
    return out;
}

static struct platform_answer too_many(const char *who, const char *field) {
    return platform_trouble(PLATFORM_FAILED,
                            "%s gave %s that is not from 0 to %d: nothing is done on it", who,
                            field, PLATFORM_DYNOS);
}

static struct platform_answer read_number(struct platform_formation *formation, const char *text,
                                          size_t length, const char *who) {
    int64_t number = 0;
    size_t digits = 0;
    bool minus = text[0] == '-' && length > 1;
    for (size_t i = minus; i < length && text[i] >= '0' && text[i] <= '9'; i++, digits++)
        if (number <= PLATFORM_DYNOS) number = number * 10 + (text[i] - '0');
    if (digits == 0 || digits + minus != length) {
        char start[48];
        return platform_trouble(
            PLATFORM_FAILED,
            "%s gave \"%s\": one whole number, or JSON with \"ordered\", is what it should give",
            who, shown(start, text, length));
    }
    if (minus || number > PLATFORM_DYNOS) return too_many(who, "a number");
    formation->ordered = (int)number;
    return platform_ok();
}

/* Reads a field that may be missing. False: it is there, but not a number of dynos. */
static bool read_field(const json_t *object, const char *name, int *value) {
    const json_t *field = json_object_get(object, name);
    if (!field || json_is_null(field)) return true;
    if (!json_is_integer(field)) return false;
    json_int_t number = json_integer_value(field);
    if (number < 0 || number > PLATFORM_DYNOS) return false;
    *value = (int)number;
    return true;
}

static struct platform_answer read_object(struct platform_formation *formation,
                                          const json_t *object, const char *who) {
    struct platform_answer answer = platform_ok();
    struct {
        const char *name;
        int *value;
    } fields[] = {{"\"ordered\"", &formation->ordered},
                  {"\"up\"", &formation->up},
                  {"\"booting\"", &formation->booting},
                  {"\"stopping\"", &formation->stopping},
                  {"\"limit\"", &answer.limit}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char name[16] = "";
        memcpy(name, fields[i].name + 1, strlen(fields[i].name) - 2);
        if (!read_field(object, name, fields[i].value)) return too_many(who, fields[i].name);
    }
    if (formation->ordered < 0)
        return platform_trouble(PLATFORM_FAILED, "%s gave JSON without \"ordered\"", who);
    const json_t *releasing = json_object_get(object, "releasing");
    if (releasing && !json_is_boolean(releasing))
        return platform_trouble(PLATFORM_FAILED,
                                "%s gave \"releasing\" that is neither true nor false", who);
    if (releasing) formation->releasing = json_is_true(releasing);
    return answer;
}

struct platform_answer platform_read_answer(struct platform_formation *formation, const char *text,
                                            size_t length, const char *who) {
    *formation = platform_unknown;
    trim(&text, &length);
    if (length == 0)
        return platform_trouble(PLATFORM_FAILED,
                                "%s gave nothing: the number of dynos is what it should give", who);
    if (text[0] != '{') return read_number(formation, text, length, who);
    json_error_t error;
    json_t *object = json_read(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!object)
        return platform_trouble(PLATFORM_FAILED, "%s gave JSON with a mistake in line %d: %.100s",
                                who, error.line, error.text);
    struct platform_answer answer = read_object(formation, object, who);
    json_decref(object);
    if (answer.result != PLATFORM_OK) *formation = platform_unknown;
    return answer;
}
