/*
 * What a request of the API brings, as JSON or as a query: refused with one sentence that prints,
 * or each field is of its kind, within its bounds and what jansson reads.
 *
 * The input: a byte whose lowest bit says that it is a query; then the text.
 */
#include "fuzz.h"

#include "api/input.h"
#include "rules/tree.h"

enum { MOST_TEXT = 40, MOST_NUMBER = 1000 };

static const int64_t now_s = 1800000000, latest_s = INT64_C(253402300799);

struct taken {
    const char *text, *name;
    int64_t number, whole, moment;
    bool yes;
    json_t *object, *list;
};

static const struct taken untouched = {.number = -1, .whole = -1, .moment = -1};

static bool read_input(struct api_call *call, struct taken *to, bool query) {
    const struct field fields[] = {
        {.name = "text", .kind = FIELD_TEXT, .least = 1, .most = MOST_TEXT, .to = &to->text},
        {.name = "name", .kind = FIELD_NAME, .to = &to->name},
        {.name = "number", .kind = FIELD_INTEGER, .most = MOST_NUMBER, .to = &to->number},
        {.name = "whole", .kind = FIELD_INTEGER, .to = &to->whole},
        {.name = "moment", .kind = FIELD_TIME, .to = &to->moment},
        {.name = "yes", .kind = FIELD_BOOL, .to = &to->yes},
        {.name = "object", .kind = FIELD_OBJECT, .to = &to->object},
        {.name = "list", .kind = FIELD_ARRAY, .to = &to->list},
    };
    return (query ? input_query : input_body)(call, fields, INPUT_COUNT(fields));
}

static void check_refusal(const struct api_call *call) {
    json_t *problem = json_loadb(call->answer.bytes, call->answer.length, 0, NULL);
    REQUIRE(problem, "%.*s", (int)call->answer.length, call->answer.bytes);
    REQUIRE(call->status == 400, "%d", call->status);
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    REQUIRE(detail && strlen(detail) > 10, "%s", call->answer.bytes);
    REQUIRE(tree_is_printable(detail, strlen(detail)), "%s", detail);
    json_decref(problem);
}

static void check_text(const char *text, json_t *value, size_t least, size_t most) {
    if (!text) {
        REQUIRE(!value || json_is_null(value), "a text is left out");
        return;
    }
    REQUIRE(strlen(text) >= least && strlen(text) <= most, "%s", text);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        REQUIRE(*c >= 0x20 && *c != 0x7F, "byte %d", *c);
    REQUIRE(value && strcmp(text, json_string_value(value)) == 0, "%s", text);
}

static void check_number(int64_t number, json_t *value) {
    if (json_is_integer(value))
        REQUIRE(number == json_integer_value(value), "%lld", (long long)number);
    else if (json_is_string(value))
        REQUIRE(number == strtoll(json_string_value(value), NULL, 10), "%lld", (long long)number);
    else REQUIRE(number == -1, "%lld", (long long)number);
}

/* `read`: the whole of it, by jansson, or by the query's own reading. */
static void check_taken(const struct taken *taken, json_t *read, bool query) {
    static const char *const known[] = {"text",   "name", "number", "whole",
                                        "moment", "yes",  "object", "list"};
    const char *name;
    json_t *value;
    json_object_foreach(read, name, value) {
        bool is_known = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            is_known |= strcmp(known[i], name) == 0;
        REQUIRE(is_known, "%s is let pass", name);
    }
    check_text(taken->text, json_object_get(read, "text"), 1, MOST_TEXT);
    check_text(taken->name, json_object_get(read, "name"), 0, SIZE_MAX);
    REQUIRE(taken->number >= -1 && taken->number <= MOST_NUMBER, "%lld", (long long)taken->number);
    check_number(taken->number, json_object_get(read, "number"));
    check_number(taken->whole, json_object_get(read, "whole"));
    REQUIRE(taken->moment >= -1 && taken->moment <= latest_s, "%lld", (long long)taken->moment);
    value = json_object_get(read, "moment");
    if (json_is_integer(value)) check_number(taken->moment, value);
    value = json_object_get(read, "yes");
    if (!query) REQUIRE(taken->yes == json_is_true(value), "%d", taken->yes);
    REQUIRE(!taken->object ||
                (!query && json_equal(taken->object, json_object_get(read, "object"))),
            "an object");
    REQUIRE(!taken->list || (!query && json_equal(taken->list, json_object_get(read, "list"))),
            "a list");
}

void fuzz_body(const uint8_t *data, size_t size) {
    input in = {data, size};
    bool query = take(&in, 1) & 1;
    char *bytes = copy_of(in.at, in.left), *text = calloc(1, in.left + 1);
    if (!text) exit(1);
    /* No query has a NUL. */
    for (size_t i = 0; i < in.left; i++) text[i] = bytes[i] || !query ? bytes[i] : '0';
    struct taken taken = untouched;
    struct api_call call = {.now_s = now_s,
                            .query = query ? text : NULL,
                            .body = query ? NULL : bytes,
                            .body_length = query ? 0 : in.left};
    if (!read_input(&call, &taken, query)) {
        check_refusal(&call);
    } else {
        json_t *read = query ? json_incref(call.input)
                             : json_loadb(bytes, in.left, JSON_REJECT_DUPLICATES, NULL);
        REQUIRE(read || in.left == 0, "what is no JSON is let pass");
        check_taken(&taken, read, query);
        json_decref(read);
    }
    api_call_free(&call);
    free(text);
    free(bytes);
}

FUZZ(fuzz_body)
