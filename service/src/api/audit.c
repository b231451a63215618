/* The audit log: who changed what, when, and how. This file only reads it. */
#include <inttypes.h>
#include <string.h>

#include "api/resources.h"

enum { USUAL = 100, MOST = 1000 };

struct listing {
    struct api_call *call;
    bool first;
};

static bool put_entry(void *context, int64_t id, int64_t at_s, const char *who, int64_t app,
                      const char *what, const char *difference) {
    struct listing *listing = context;
    struct text *text = &listing->call->answer;
    (void)app;
    if (!listing->first) text_char(text, ',');
    listing->first = false;
    text_format(text, "{\"id\":%" PRId64 ",\"at\":%" PRId64 ",\"who\":", id, at_s);
    text_json(text, who);
    text_put(text, ",\"what\":");
    text_json(text, what);
    text_put(text, ",\"changes\":");
    api_put_lines(text, difference);
    text_char(text, '}');
    return true;
}

static void list(struct api_call *call, int64_t app) {
    struct listing listing = {call, true};
    int64_t before = 0, limit = USUAL;
    const struct field fields[] = {
        {.name = "before", .kind = FIELD_INTEGER, .least = 1, .most = INT64_MAX, .to = &before},
        {.name = "limit", .kind = FIELD_INTEGER, .least = 1, .most = MOST, .to = &limit},
    };
    if (!input_query(call, fields, INPUT_COUNT(fields))) return;
    text_put(&call->answer, "{\"entries\":[");
    if (!audit_each(call->store, app, before, (int)limit, put_entry, &listing))
        api_store_failed(call);
    else text_put(&call->answer, "]}");
}

void audit_list(struct api_call *call) { list(call, 0); }

void audit_list_app(struct api_call *call) { list(call, call->app.id); }
