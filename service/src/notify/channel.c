#define _GNU_SOURCE /* strdup */
#include "notify/channel.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "json_read.h"
#include "notify/kinds.h"
#include "platforms/client.h"
#include "text.h"

enum { DEADLINE_MS = 10000, LONGEST_ANSWER = 16 * 1024, WHY_SIZE = 160 };

struct target {
    json_t *json;
    const char *address, *secret; /* `address` points into `json`; secret "": none */
};

static bool is_email(const char *kind) { return strcmp(kind, "email") == 0; }

/* ---- What is let in -------------------------------------------------------------------------- */

static bool check_email(const char *target, char *error, size_t size) {
    char why[WHY_SIZE];
    if (mail_check_address(target, why, sizeof why)) return true;
    snprintf(error, size, "the field “target” %s", why);
    return false;
}

static bool check_url(const char *target, char *error, size_t size) {
    char why[WHY_SIZE];
    if (client_check_url(target, why, sizeof why)) return true;
    snprintf(error, size, "the field “target” %s", why);
    return false;
}

bool channel_check(const char *kind, const char *target, char hint[CHANNEL_HINT_SIZE], char *error,
                   size_t size) {
    if (is_email(kind)) {
        if (!check_email(target, error, size)) return false;
        snprintf(hint, CHANNEL_HINT_SIZE, "%s", target);
        return true;
    }
    if (strcmp(kind, "slack") != 0 && strcmp(kind, "webhook") != 0) {
        snprintf(error, size, "the field “kind” must be email, slack or webhook");
        return false;
    }
    if (!check_url(target, error, size)) return false;
    const char *host = strstr(target, "://") + 3;
    int length = (int)(host - target) + (int)strcspn(host, "/?#");
    snprintf(hint, CHANNEL_HINT_SIZE, "%.*s/...", length, target);
    return true;
}

char *channel_pack(const char *target, const char *secret) {
    json_t *json = json_pack("{s:s, s:s}", "target", target, "secret", secret ? secret : "");
    char *packed = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return packed;
}

static bool unpack(struct target *target, const char *packed) {
    target->json = json_read_string(packed, 0, NULL);
    target->address = json_string_value(json_object_get(target->json, "target"));
    target->secret = json_string_value(json_object_get(target->json, "secret"));
    return target->address && target->secret;
}

/* ---- What is sent ---------------------------------------------------------------------------- */

static void put_link(struct text *text, const struct channel_sender *sender, const char *app) {
    text_format(text, "%s/apps/%s", sender->public_url, app);
}

static bool send_email(const struct channel_sender *sender, const struct target *target,
                       const char *app, const struct notice *notice, char *error, size_t size) {
    struct text body = TEXT_EMPTY;
    char id[64];
    snprintf(id, sizeof id, "notice.%" PRId64 ".%" PRId64, notice->id, notice->at_s);
    text_format(&body, "%s\n\n%s\n", notice->title, notice->body);
    put_link(&body, sender, app);
    text_put(&body, "\n\nWhat is told, and to whom: ");
    put_link(&body, sender, app);
    text_put(&body, "/settings\n");
    const struct mail mail = {.to = target->address,
                              .subject = notice->title,
                              .body = body.bytes ? body.bytes : "",
                              .id = id,
                              .now_s = notice->at_s,
                              .deadline_ms = DEADLINE_MS};
    bool sent = false;
    if (body.failed) snprintf(error, size, "there is no memory for the mail");
    else if (!sender->mail.url)
        snprintf(error, size,
                 "this service sends no e-mail: it is to be started with --smtp and --mail-from");
    else sent = mail_send(&sender->mail, &mail, error, size);
    text_free(&body);
    return sent;
}

/* Slack only needs &, < and > escaped. */
static void put_for_slack(struct text *text, const char *words) {
    for (; *words; words++) {
        if (*words == '&') text_put(text, "&amp;");
        else if (*words == '<') text_put(text, "&lt;");
        else if (*words == '>') text_put(text, "&gt;");
        else text_char(text, *words);
    }
}

static void write_slack(struct text *body, const struct channel_sender *sender, const char *app,
                        const struct notice *notice) {
    struct text words = TEXT_EMPTY;
    text_char(&words, '*');
    put_for_slack(&words, notice->title);
    text_put(&words, "*\n");
    put_for_slack(&words, notice->body);
    text_char(&words, '<');
    put_link(&words, sender, app);
    text_put(&words, "|Open the app's page>");
    text_put(body, "{\"text\":");
    text_json(body, words.bytes);
    text_char(body, '}');
    body->failed |= words.failed;
    text_free(&words);
}

static void write_webhook(struct text *body, const struct channel_sender *sender, const char *app,
                          const struct notice *notice) {
    const struct kind *kind = kind_by_number(notice->kind);
    struct text link = TEXT_EMPTY;
    put_link(&link, sender, app);
    text_format(body, "{\"id\":%" PRId64 ",\"app\":", notice->id);
    text_json(body, app);
    text_put(body, ",\"process\":");
    text_json(body, notice->process[0] ? notice->process : NULL);
    text_put(body, ",\"kind\":");
    text_json(body, kind ? kind->name : NULL);
    text_format(body,
                ",\"state\":\"%s\",\"at\":%" PRId64 ",\"title\":", notice_state_name(notice->state),
                notice->at_s);
    text_json(body, notice->title);
    text_put(body, ",\"body\":");
    text_json(body, notice->body);
    text_put(body, ",\"url\":");
    text_json(body, link.bytes);
    text_char(body, '}');
    text_free(&link);
}

static bool post(const struct channel_sender *sender, const struct target *target,
                 const struct text *body, char *error, size_t size) {
    struct client_signature signature = {0};
    if (*target->secret)
        client_sign(&signature, target->secret, ds_clock_wall_ns() / 1000000000, body->bytes,
                    body->length);
    const char *const headers[] = {"Content-Type: application/json",
                                   *target->secret ? signature.timestamp : NULL, signature.value,
                                   NULL};
    const struct client_request request = {.method = "POST",
                                           .url = target->address,
                                           .headers = headers,
                                           .body = body->bytes,
                                           .body_length = body->length,
                                           .deadline_ms = DEADLINE_MS,
                                           .private_addresses = sender->private_addresses,
                                           .longest = LONGEST_ANSWER};
    struct client_answer answer;
    client_call(&request, &answer);
    bool sent = answer.status >= 200 && answer.status < 300;
    if (answer.status == 0) snprintf(error, size, "it could not be reached: %s", answer.reason);
    else if (!sent) snprintf(error, size, "it answered with %d", answer.status);
    client_answer_free(&answer);
    return sent;
}

bool channel_send(const struct channel_sender *sender, const char *kind, const char *packed,
                  const char *app, const struct notice *notice, char *error, size_t size) {
    struct target target;
    bool sent = false;
    if (!unpack(&target, packed)) {
        snprintf(error, size, "what was kept of it can't be read: enter it again");
    } else if (is_email(kind)) {
        sent = send_email(sender, &target, app, notice, error, size);
    } else {
        struct text body = TEXT_EMPTY;
        if (strcmp(kind, "slack") == 0) write_slack(&body, sender, app, notice);
        else write_webhook(&body, sender, app, notice);
        if (body.failed) snprintf(error, size, "there is no memory for it");
        else sent = post(sender, &target, &body, error, size);
        text_free(&body);
    }
    json_decref(target.json);
    return sent;
}
