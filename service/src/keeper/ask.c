/* The service's side: each function sends a message and reads the answer. */
#define _GNU_SOURCE /* SOCK_CLOEXEC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/answer.h"
#include "keeper/process.h"

struct keeper {
    bool here; /* answered in this process */
    struct answerer answerer;
    struct keeper_process process;
};

static const char no_memory[] = "there is no memory left";

/* How long to wait for an answer, beyond the time that the call itself may take. */
enum { USUAL_MS = 60 * 1000, MORE_MS = 30 * 1000 };

/* ---- Beginning and ending -------------------------------------------------------------------- */

struct keeper *keeper_here(const struct keeper_settings *settings, char *error, size_t size) {
    struct keeper *keeper = calloc(1, sizeof *keeper);
    if (!keeper) {
        snprintf(error, size, "%s", no_memory);
        return NULL;
    }
    keeper->here = true;
    if (answerer_begin(&keeper->answerer, settings, error, size)) return keeper;
    free(keeper);
    return NULL;
}

struct keeper *keeper_start(const struct keeper_settings *settings,
                            const struct keeper_begin *begin, char *error, size_t size) {
    struct keeper *keeper = calloc(1, sizeof *keeper);
    if (!keeper) {
        snprintf(error, size, "%s", no_memory);
        return NULL;
    }
    if (process_start(&keeper->process, settings, begin, error, size)) return keeper;
    free(keeper);
    return NULL;
}

void keeper_free(struct keeper *keeper) {
    if (!keeper) return;
    if (keeper->here) answerer_end(&keeper->answerer);
    else process_end(&keeper->process);
    free(keeper);
}

bool keeper_ended(struct keeper *keeper) {
    return !keeper->here && process_ended(&keeper->process);
}

/* ---- One message ----------------------------------------------------------------------------- */

static void ask(struct message *request, enum keeper_verb verb) {
    *request = MESSAGE_EMPTY;
    message_put_int(request, verb);
}

/* Wipes the request. If there is a reply, the caller wipes that. */
static enum asked try_get(const struct keeper *keeper, struct message *request,
                          struct message *reply, int64_t patience_ms) {
    enum asked asked = NOT_ASKED;
    *reply = MESSAGE_EMPTY;
    if (request->failed) asked = NOT_ASKED;
    else if (!keeper->here) asked = process_ask(&keeper->process, request, reply, patience_ms);
    else asked = answer(&keeper->answerer, request, reply) ? ANSWERED : NOT_ANSWERED;
    message_wipe(request);
    if (asked != ANSWERED) message_wipe(reply);
    return asked;
}

static bool get(const struct keeper *keeper, struct message *request, struct message *reply,
                int64_t patience_ms) {
    return try_get(keeper, request, reply, patience_ms) == ANSWERED;
}

/* Copies the sealed bytes that come next in a reply; NULL: none. */
static void *take_sealed(struct message *reply, size_t *length) {
    const void *bytes = message_bytes(reply, length);
    void *copy = bytes ? malloc(*length + 1) : NULL;
    if (copy) memcpy(copy, bytes, *length);
    return copy;
}

static void *get_sealed(const struct keeper *keeper, struct message *request, size_t *length) {
    struct message reply;
    *length = 0;
    if (!get(keeper, request, &reply, USUAL_MS)) return NULL;
    void *sealed = take_sealed(&reply, length);
    message_wipe(&reply);
    return sealed;
}

static bool get_yes(const struct keeper *keeper, struct message *request, int64_t patience_ms) {
    struct message reply;
    if (!get(keeper, request, &reply, patience_ms)) return false;
    bool yes = message_int(&reply) == 1;
    message_wipe(&reply);
    return yes;
}

static struct platform_answer no_answer(enum asked asked) {
    if (asked == NOT_ASKED)
        return platform_trouble(PLATFORM_FAILED, "the process that calls platforms can't be asked "
                                                 "now: there is no descriptor or memory left");
    struct platform_answer answer = platform_trouble(
        PLATFORM_FAILED, "the process that calls platforms ended, or did not answer: whether it "
                         "was done is not known");
    answer.lost = true;
    return answer;
}

static struct platform_answer take_answer(struct message *reply) {
    struct platform_answer answer = {.result = (enum platform_result)message_int(reply)};
    const char *trouble = message_text(reply);
    snprintf(answer.trouble, sizeof answer.trouble, "%s", trouble ? trouble : "");
    answer.limit = (int)message_int(reply);
    answer.wait_s = (int)message_int(reply);
    return reply->failed ? no_answer(NOT_ANSWERED) : answer;
}

/* ---- The key --------------------------------------------------------------------------------- */

bool keeper_hello(const struct keeper *keeper, void *greeting, size_t size, char *error,
                  size_t error_size) {
    struct message request, reply;
    ask(&request, VERB_HELLO);
    snprintf(error, error_size, "the process that keeps the credentials did not start");
    if (!get(keeper, &request, &reply, USUAL_MS)) return false;
    bool well = message_int(&reply) == 1;
    size_t length;
    const void *bytes = message_bytes(&reply, &length);
    if (!well) snprintf(error, error_size, "%s", bytes ? (const char *)bytes : "");
    else if (bytes && length == size) memcpy(greeting, bytes, size);
    message_wipe(&reply);
    return well;
}

bool keeper_derive(const struct keeper *keeper, int key, const char *purpose,
                   char derived[VAULT_DERIVED_SIZE]) {
    struct message request, reply;
    ask(&request, VERB_DERIVE);
    message_put_int(&request, key);
    message_put_text(&request, purpose);
    if (!get(keeper, &request, &reply, USUAL_MS)) return false;
    const char *text = message_text(&reply);
    bool there = text && strlen(text) < VAULT_DERIVED_SIZE;
    if (there) memcpy(derived, text, strlen(text) + 1);
    message_wipe(&reply);
    return there;
}

char *keeper_mark(const struct keeper *keeper) {
    struct message request;
    size_t length;
    ask(&request, VERB_MARK);
    char *mark = get_sealed(keeper, &request, &length);
    if (mark) mark[length] = '\0';
    return mark;
}

bool keeper_knows(const struct keeper *keeper, const char *mark) {
    struct message request;
    ask(&request, VERB_KNOWS);
    message_put_text(&request, mark);
    return get_yes(keeper, &request, USUAL_MS);
}

/* ---- Platforms ------------------------------------------------------------------------------- */

static void put_app(struct message *request, const struct keeper_app *app) {
    message_put_text(request, app->app);
    message_put_int(request, app->number);
    message_put_text(request, app->kind);
    message_put_text(request, app->settings);
    message_put_bytes(request, app->sealed, app->sealed_length);
    message_put_int(request, app->deadline_ms);
    message_put_int(request, app->until_ms);
    message_put_int(request, app->fresh);
    message_put_text(request, app->hook_url);
}

static void ask_of(struct message *request, enum keeper_verb verb, const struct keeper_app *app) {
    ask(request, verb);
    put_app(request, app);
}

void *keeper_seal_credential(const struct keeper *keeper, const struct keeper_app *app,
                             const char *secret, size_t *length) {
    struct message request;
    ask_of(&request, VERB_SEAL_CREDENTIAL, app);
    message_put_text(&request, secret);
    return get_sealed(keeper, &request, length);
}

enum keeper_checked keeper_check(const struct keeper *keeper, const struct keeper_app *app,
                                 bool *opens, char *error, size_t size) {
    struct message request, reply;
    ask_of(&request, VERB_CHECK, app);
    snprintf(error, size, "it could not be looked at: %s", no_answer(NOT_ANSWERED).trouble);
    *opens = true;
    if (!get(keeper, &request, &reply, USUAL_MS)) return KEEPER_SILENT;
    bool good = message_int(&reply) == 1;
    *opens = message_int(&reply) == 0;
    const char *trouble = message_text(&reply);
    snprintf(error, size, "%s", trouble ? trouble : "");
    message_wipe(&reply);
    return good ? KEEPER_GOOD : KEEPER_BAD;
}

struct platform_answer keeper_renew(const struct keeper *keeper, const struct keeper_app *app,
                                    int64_t now_s, void **renewed, size_t *length) {
    struct message request, reply;
    *renewed = NULL;
    ask_of(&request, VERB_RENEW, app);
    message_put_int(&request, now_s);
    enum asked asked = try_get(keeper, &request, &reply, app->deadline_ms + MORE_MS);
    if (asked != ANSWERED) return no_answer(asked);
    struct platform_answer answer = take_answer(&reply);
    *renewed = take_sealed(&reply, length);
    message_wipe(&reply);
    return answer;
}

struct platform_answer keeper_read(const struct keeper *keeper, const struct keeper_app *app,
                                   const char *process, struct platform_formation *formation) {
    struct message request, reply;
    size_t length;
    *formation = platform_unknown;
    ask_of(&request, VERB_READ, app);
    message_put_text(&request, process);
    enum asked asked = try_get(keeper, &request, &reply, app->deadline_ms + MORE_MS);
    if (asked != ANSWERED) return no_answer(asked);
    struct platform_answer answer = take_answer(&reply);
    /* Both processes run the same program, so the struct is the same. */
    const void *bytes = message_bytes(&reply, &length);
    if (bytes && length == sizeof *formation) memcpy(formation, bytes, sizeof *formation);
    message_wipe(&reply);
    return answer;
}

void keeper_set(const struct keeper *keeper, const struct keeper_app *app,
                struct platform_change *changes, int count) {
    struct message request, reply;
    ask_of(&request, VERB_SET, app);
    message_put_int(&request, count);
    for (int i = 0; i < count; i++) {
        message_put_text(&request, changes[i].process);
        message_put_int(&request, changes[i].dynos);
        message_put_text(&request, changes[i].reason);
    }
    enum asked asked = try_get(keeper, &request, &reply, count * app->deadline_ms + MORE_MS);
    for (int i = 0; i < count; i++)
        changes[i].answer = asked == ANSWERED ? take_answer(&reply) : no_answer(asked);
    message_wipe(&reply);
}

void keeper_undo(const struct keeper *keeper, const struct keeper_app *app) {
    struct message request;
    ask_of(&request, VERB_UNDO, app);
    get_yes(keeper, &request, app->deadline_ms + MORE_MS);
}

bool keeper_told(const struct keeper *keeper, const char *kind, int64_t app, const char *body,
                 size_t length) {
    struct message request;
    ask(&request, VERB_TOLD);
    message_put_text(&request, kind);
    message_put_int(&request, app);
    message_put_bytes(&request, body, length);
    return get_yes(keeper, &request, USUAL_MS);
}

/* ---- Channels -------------------------------------------------------------------------------- */

void *keeper_seal_channel(const struct keeper *keeper, const char *app, const char *target,
                          const char *secret, size_t *length) {
    struct message request;
    ask(&request, VERB_SEAL_CHANNEL);
    message_put_text(&request, app);
    message_put_text(&request, target);
    message_put_text(&request, secret);
    return get_sealed(keeper, &request, length);
}

bool keeper_tell(const struct keeper *keeper, const char *app, const char *channel_kind,
                 const void *sealed, size_t sealed_length, const char *public_url,
                 const struct notice *notice, char *error, size_t size) {
    struct message request, reply;
    ask(&request, VERB_TELL);
    message_put_text(&request, app);
    message_put_text(&request, channel_kind);
    message_put_bytes(&request, sealed, sealed_length);
    message_put_text(&request, public_url);
    message_put_int(&request, notice->id);
    message_put_int(&request, notice->app);
    message_put_text(&request, notice->process);
    message_put_int(&request, notice->kind);
    message_put_int(&request, notice->state);
    message_put_int(&request, notice->at_s);
    message_put_text(&request, notice->title);
    message_put_text(&request, notice->body);
    snprintf(error, size, "%s", "the process that sends it ended, or did not answer");
    if (!get(keeper, &request, &reply, USUAL_MS)) return false;
    bool sent = message_int(&reply) == 1;
    const char *trouble = message_text(&reply);
    snprintf(error, size, "%s", sent || !trouble ? "" : trouble);
    message_wipe(&reply);
    return sent;
}

/* ---- The second factor of people ------------------------------------------------------------- */

void *keeper_factor_make(const struct keeper *keeper, int64_t person,
                         char secret[FACTOR_SECRET_SIZE], size_t *length) {
    struct message request, reply;
    ask(&request, VERB_FACTOR_MAKE);
    message_put_int(&request, person);
    *length = 0;
    if (!get(keeper, &request, &reply, USUAL_MS)) return NULL;
    void *sealed = take_sealed(&reply, length);
    const char *text = message_text(&reply);
    snprintf(secret, FACTOR_SECRET_SIZE, "%s", text ? text : "");
    message_wipe(&reply);
    return sealed;
}

bool keeper_factor_step(const struct keeper *keeper, int64_t person, const void *sealed,
                        size_t length, const char *code, int64_t now_s, bool *opens,
                        int64_t *step) {
    struct message request, reply;
    ask(&request, VERB_FACTOR_STEP);
    message_put_int(&request, person);
    message_put_bytes(&request, sealed, length);
    message_put_text(&request, code);
    message_put_int(&request, now_s);
    if (!get(keeper, &request, &reply, USUAL_MS)) return false;
    *opens = message_int(&reply) == 1;
    *step = message_int(&reply);
    message_wipe(&reply);
    return true;
}

/* ---- Heroku's add-on ------------------------------------------------------------------------- */

static void ask_of_grant(struct message *request, enum keeper_verb verb,
                         const struct keeper_grant *grant) {
    ask(request, verb);
    message_put_text(request, grant->uuid);
    message_put_bytes(request, grant->sealed, grant->sealed_length);
}

void *keeper_seal_grant(const struct keeper *keeper, const char *uuid, const char *code,
                        size_t *length) {
    struct message request;
    ask(&request, VERB_SEAL_GRANT);
    message_put_text(&request, uuid);
    message_put_text(&request, code);
    return get_sealed(keeper, &request, length);
}

struct platform_answer keeper_grant_renew(const struct keeper *keeper,
                                          const struct keeper_grant *grant, int64_t now_s,
                                          void **renewed, size_t *length) {
    struct message request, reply;
    *renewed = NULL;
    ask_of_grant(&request, VERB_GRANT_RENEW, grant);
    message_put_int(&request, now_s);
    enum asked asked = try_get(keeper, &request, &reply, USUAL_MS);
    if (asked != ANSWERED) return no_answer(asked);
    struct platform_answer answer = take_answer(&reply);
    *renewed = take_sealed(&reply, length);
    message_wipe(&reply);
    return answer;
}

/* `name`: what else the reply holds; NULL: nothing. */
static struct platform_answer call_grant(const struct keeper *keeper, struct message *request,
                                         char *name, size_t size) {
    struct message reply;
    enum asked asked = try_get(keeper, request, &reply, USUAL_MS);
    if (asked != ANSWERED) return no_answer(asked);
    struct platform_answer answer = take_answer(&reply);
    const char *told = name ? message_text(&reply) : NULL;
    if (name) snprintf(name, size, "%s", told ? told : "");
    message_wipe(&reply);
    return answer;
}

struct platform_answer keeper_grant_app(const struct keeper *keeper,
                                        const struct keeper_grant *grant, char *name, size_t size) {
    struct message request;
    ask_of_grant(&request, VERB_GRANT_APP, grant);
    return call_grant(keeper, &request, name, size);
}

struct platform_answer keeper_grant_config(const struct keeper *keeper,
                                           const struct keeper_grant *grant, const char *config) {
    struct message request;
    ask_of_grant(&request, VERB_GRANT_CONFIG, grant);
    message_put_text(&request, config);
    return call_grant(keeper, &request, NULL, 0);
}

struct platform_answer keeper_grant_ready(const struct keeper *keeper,
                                          const struct keeper_grant *grant) {
    struct message request;
    ask_of_grant(&request, VERB_GRANT_READY, grant);
    return call_grant(keeper, &request, NULL, 0);
}

void *keeper_grant_credential(const struct keeper *keeper, const struct keeper_grant *grant,
                              const struct keeper_app *app, size_t *length) {
    struct message request;
    ask_of_grant(&request, VERB_GRANT_CREDENTIAL, grant);
    put_app(&request, app);
    return get_sealed(keeper, &request, length);
}
