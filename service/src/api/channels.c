/*
 * Channels: where notices about an app are sent, which ones, and which were sent. A channel's
 * address is stored and never shown.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/resources.h"
#include "notify/channel.h"
#include "notify/kinds.h"
#include "people/token.h"
#include "store/notices.h"

enum { CHANNELS = 20, LONGEST_TARGET = 2000, NOTICES = 100, MOST_NOTICES = 1000 };

static void begin_item(struct text *text) {
    if (text_last(text) != '[') text_char(text, ',');
}

/* ---- What there is --------------------------------------------------------------------------- */

static void put_tells(struct text *text, unsigned tells) {
    text_char(text, '[');
    for (const struct kind *kind = kinds; kind->name; kind++) {
        if (!(tells & 1u << kind->number)) continue;
        begin_item(text);
        text_json(text, kind->name);
    }
    text_char(text, ']');
}

static void put_members(struct text *text, const struct channel *channel) {
    text_format(text, "\"id\":%" PRId64 ",\"kind\":", channel->id);
    text_json(text, channel->kind);
    text_put(text, ",\"target\":");
    text_json(text, channel->hint);
    text_put(text, ",\"tells\":");
    put_tells(text, channel->tells);
    text_format(text, ",\"created\":%" PRId64 ",\"told\":", channel->created_s);
    api_put_time(text, channel->told_s);
    text_put(text, ",\"trouble\":");
    text_json(text, channel->trouble[0] ? channel->trouble : NULL);
}

static void put_channel(void *context, const struct channel *channel) {
    struct text *text = context;
    begin_item(text);
    text_char(text, '{');
    put_members(text, channel);
    text_char(text, '}');
}

void channels_list(struct api_call *call) {
    struct text *text = &call->answer;
    if (!input_query(call, NULL, 0)) return;
    text_format(text, "{\"email\":%s,\"kinds\":[", call->mails ? "true" : "false");
    for (const struct kind *kind = kinds; kind->name; kind++) {
        begin_item(text);
        text_format(text, "{\"kind\":\"%s\",\"usual\":%s,\"meaning\":", kind->name,
                    kind->usual ? "true" : "false");
        text_json(text, kind->meaning);
        text_char(text, '}');
    }
    text_put(text, "],\"channels\":[");
    if (!channel_each(call->store, call->app.id, put_channel, text)) api_store_failed(call);
    else text_put(text, "]}");
}

static bool find_channel(struct api_call *call, struct channel *channel) {
    char *end;
    int64_t id = strtoll(call->parameters[1], &end, 10);
    if (!*end && id > 0 && channel_get(call->store, call->app.id, id, channel)) return true;
    api_problem(call, 404, "%s has no channel %.20s", call->app.name, call->parameters[1]);
    return false;
}

/* ---- Changes --------------------------------------------------------------------------------- */

/* Reads an array of kinds of notices; NULL: the default ones. */
static bool read_tells(struct api_call *call, const json_t *list, unsigned *tells) {
    size_t i;
    json_t *item;
    *tells = list ? 0 : kinds_usual();
    json_array_foreach(list, i, item) {
        const struct kind *kind =
            json_is_string(item) ? kind_by_name(json_string_value(item)) : NULL;
        if (!kind) {
            api_problem(call, 400,
                        "the field “tells”, item %zu, must be maximum, silent, platform, others, "
                        "futile, scaled or weekly",
                        i + 1);
            return false;
        }
        *tells |= 1u << kind->number;
    }
    return true;
}

static void count_channel(void *context, const struct channel *channel) {
    (void)channel;
    ++*(int *)context;
}

static bool has_room(struct api_call *call) {
    int count = 0;
    if (!channel_each(call->store, call->app.id, count_channel, &count)) api_store_failed(call);
    else if (count >= CHANNELS)
        api_problem(call, 409, "%s has %d channels, and more are not possible: remove one",
                    call->app.name, CHANNELS);
    return !api_failed(call);
}

static void keep(struct api_call *call, struct channel *channel, const char *target,
                 const char *secret) {
    size_t length = 0;
    void *sealed = keeper_seal_channel(call->keeper, call->app.name, target, secret, &length);
    if (!sealed) api_problem(call, 503, "it can't be sealed now; try again");
    else if (!channel_add(call->store, channel, sealed, length)) api_store_failed(call);
    free(sealed);
    if (api_failed(call)) return;
    call->status = 201;
    text_char(&call->answer, '{');
    put_members(&call->answer, channel);
    text_put(&call->answer, ",\"secret\":");
    text_json(&call->answer, secret);
    text_char(&call->answer, '}');
    api_audit(call, call->app.id, NULL, "tells what happens to %s by %s: %s", call->app.name,
              channel->kind, channel->hint);
}

void channels_add(struct api_call *call) {
    const char *kind = NULL, *target = NULL;
    json_t *tells = NULL;
    char error[256], secret[TOKEN_SIZE];
    struct channel channel = {.app = call->app.id, .created_s = call->now_s};
    const struct field fields[] = {
        {.name = "kind", .kind = FIELD_TEXT, .needed = true, .to = &kind},
        {.name = "target",
         .kind = FIELD_NAME,
         .needed = true,
         .least = 1,
         .most = LONGEST_TARGET,
         .to = &target},
        {.name = "tells", .kind = FIELD_ARRAY, .to = &tells},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields))) return;
    if (!channel_check(kind, target, channel.hint, error, sizeof error)) {
        api_problem(call, 400, "%s", error);
        return;
    }
    if (!read_tells(call, tells, &channel.tells) || !has_room(call)) return;
    snprintf(channel.kind, sizeof channel.kind, "%s", kind);
    bool is_signed = strcmp(kind, "webhook") == 0;
    if (is_signed) token_make(secret, "wh_");
    keep(call, &channel, target, is_signed ? secret : NULL);
}

void channels_change(struct api_call *call) {
    json_t *tells = NULL;
    struct channel channel;
    const struct field fields[] = {
        {.name = "tells", .kind = FIELD_ARRAY, .needed = true, .to = &tells},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields)) || !find_channel(call, &channel) ||
        !read_tells(call, tells, &channel.tells))
        return;
    if (!channel_set_tells(call->store, call->app.id, channel.id, channel.tells)) {
        api_store_failed(call);
        return;
    }
    text_char(&call->answer, '{');
    put_members(&call->answer, &channel);
    text_char(&call->answer, '}');
    api_audit(call, call->app.id, NULL, "changed what %s is told of %s", channel.hint,
              call->app.name);
}

void channels_remove(struct api_call *call) {
    struct channel channel;
    if (!input_body(call, NULL, 0) || !find_channel(call, &channel)) return;
    if (!channel_remove(call->store, call->app.id, channel.id)) {
        api_store_failed(call);
        return;
    }
    call->status = 204;
    api_audit(call, call->app.id, NULL, "no longer tells what happens to %s by %s: %s",
              call->app.name, channel.kind, channel.hint);
}

/* ---- Trying one ------------------------------------------------------------------------------ */

static bool send_test(struct api_call *call, const struct channel *channel, char *error,
                      size_t size) {
    struct notice notice = {.app = call->app.id, .state = NOTICE_TEST, .at_s = call->now_s};
    size_t length = 0;
    void *sealed = channel_sealed(call->store, channel->id, &length);
    bool sent = false;
    snprintf(notice.title, sizeof notice.title, "%s: a test", call->app.name);
    snprintf(notice.body, sizeof notice.body,
             "%s asked Dynoscale to try this. What happens to the app is told here.\n",
             call->who.name);
    if (sealed)
        sent = keeper_tell(call->keeper, call->app.name, channel->kind, sealed, length,
                           call->public_url ? call->public_url : "", &notice, error, size);
    else snprintf(error, size, "it was removed meanwhile");
    free(sealed);
    return sent;
}

void channels_test(struct api_call *call) {
    struct channel channel;
    char trouble[CHANNEL_TROUBLE_SIZE] = "";
    if (!input_body(call, NULL, 0) || !find_channel(call, &channel)) return;
    bool sent = send_test(call, &channel, trouble, sizeof trouble);
    text_format(&call->answer, "{\"result\":\"%s\",\"trouble\":", sent ? "ok" : "failed");
    text_json(&call->answer, sent ? NULL : trouble);
    text_char(&call->answer, '}');
}

/* ---- What was told --------------------------------------------------------------------------- */

static void put_notice(void *context, const struct notice *notice) {
    struct text *text = context;
    const struct kind *kind = kind_by_number(notice->kind);
    begin_item(text);
    text_format(text, "{\"id\":%" PRId64 ",\"process\":", notice->id);
    text_json(text, notice->process[0] ? notice->process : NULL);
    text_put(text, ",\"kind\":");
    text_json(text, kind ? kind->name : "");
    text_format(text,
                ",\"state\":\"%s\",\"at\":%" PRId64 ",\"title\":", notice_state_name(notice->state),
                notice->at_s);
    text_json(text, notice->title);
    text_put(text, ",\"body\":");
    text_json(text, notice->body);
    text_char(text, '}');
}

void notices_list(struct api_call *call) {
    int64_t limit = NOTICES;
    const struct field fields[] = {
        {.name = "limit", .kind = FIELD_INTEGER, .least = 1, .most = MOST_NOTICES, .to = &limit},
    };
    if (!input_query(call, fields, INPUT_COUNT(fields))) return;
    text_put(&call->answer, "{\"notices\":[");
    if (!notice_each(call->store, call->app.id, (int)limit, put_notice, &call->answer))
        api_store_failed(call);
    else text_put(&call->answer, "]}");
}
