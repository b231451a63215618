#define _GNU_SOURCE /* asprintf */
#include "keeper/answer.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addon/grant.h"
#include "clock.h"
#include "control/control.h"
#include "json_read.h"
#include "notify/channel.h"
#include "text.h"

bool answerer_begin(struct answerer *answerer, const struct keeper_settings *settings, char *error,
                    size_t size) {
    answerer->settings = *settings;
    answerer->vault = vault_open(settings->folder, error, size);
    return answerer->vault != NULL;
}

void answerer_end(struct answerer *answerer) {
    if (answerer->vault) vault_free(answerer->vault);
    answerer->vault = NULL;
}

/* ---- What secrets are sealed about ----------------------------------------------------------- */

/* The context that a credential is sealed with: its app, platform and addresses. NULL without
 * memory. */
static char *about_credential(const char *app, const char *kind, const json_t *settings) {
    static const char *const names[] = {"api", "auth", "server"};
    struct text about = TEXT_EMPTY;
    text_format(&about, "%s\n%s", app, kind);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *address = json_object_get(settings, names[i]);
        char *text = address ? json_dumps(address, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
        if (address && !text) about.failed = true;
        if (text) text_format(&about, "\n%s=%s", names[i], text);
        free(text);
    }
    return text_take(&about);
}

/* The context for an app's channel or a resource's grant. No name contains a line end. */
static char *about_other(const char *name, const char *what) {
    char *about = NULL;
    return asprintf(&about, "%s\n%s", name, what) < 0 ? NULL : about;
}

/* `before`: the context that older versions used; NULL: the same. */
static char *unseal(const struct answerer *answerer, const char *about, const char *before,
                    const void *sealed, size_t length) {
    char *secret = about ? vault_unseal(answerer->vault, about, sealed, length) : NULL;
    return secret || !before ? secret : vault_unseal(answerer->vault, before, sealed, length);
}

/* Seals the secret and adds it to the reply. */
static void put_sealed(const struct answerer *answerer, struct message *reply, const char *about,
                       const char *secret) {
    size_t length = 0;
    void *sealed = about && secret ? vault_seal(answerer->vault, about, secret, &length) : NULL;
    message_put_bytes(reply, sealed, length);
    free(sealed);
}

/* ---- The key --------------------------------------------------------------------------------- */

static bool derive(const struct answerer *answerer, struct message *request,
                   struct message *reply) {
    int64_t key = message_int(request);
    const char *purpose = message_text(request);
    char derived[VAULT_DERIVED_SIZE];
    if (!purpose || key < 0 || key > 1000) return false;
    bool done = vault_derive(answerer->vault, (int)key, purpose, derived);
    message_put_text(reply, done ? derived : NULL);
    sodium_memzero(derived, sizeof derived);
    return true;
}

static bool mark(const struct answerer *answerer, struct message *request, struct message *reply) {
    (void)request;
    char *text = vault_mark(answerer->vault);
    message_put_text(reply, text);
    free(text);
    return true;
}

static bool knows(const struct answerer *answerer, struct message *request, struct message *reply) {
    const char *text = message_text(request);
    if (!text) return false;
    message_put_int(reply, vault_knows(answerer->vault, text));
    return true;
}

static bool seal_channel(const struct answerer *answerer, struct message *request,
                         struct message *reply) {
    const char *app = message_text(request), *target = message_text(request);
    const char *secret = message_text(request);
    if (!app || !target || request->failed) return false;
    char *packed = channel_pack(target, secret), *about = about_other(app, "channel");
    put_sealed(answerer, reply, about, packed);
    vault_wipe(packed);
    free(about);
    return true;
}

static bool seal_grant(const struct answerer *answerer, struct message *request,
                       struct message *reply) {
    const char *uuid = message_text(request), *code = message_text(request);
    if (!uuid || !code) return false;
    char *secret = grant_of_code(code), *about = about_other(uuid, "grant");
    put_sealed(answerer, reply, about, secret);
    vault_wipe(secret);
    free(about);
    return true;
}

/* ---- Platforms ------------------------------------------------------------------------------- */

/* A requested app with its credential opened. */
struct opened {
    struct platform_app app;
    const struct platform *platform;
    json_t *settings;
    char *secret, *about;
    bool sealed; /* there is a credential */
    int64_t until_ms;
    char hook_secret[VAULT_DERIVED_SIZE];
};

static void close_app(struct opened *opened) {
    vault_wipe(opened->secret);
    json_decref(opened->settings);
    free(opened->about);
    sodium_memzero(opened->hook_secret, sizeof opened->hook_secret);
}

/* False: the request is malformed; else close_app frees it. */
static bool open_app(const struct answerer *answerer, struct message *request,
                     struct opened *opened) {
    errno = 0;
    size_t length;
    *opened = (struct opened){0};
    const char *app = message_text(request);
    int64_t number = message_int(request);
    const char *kind = message_text(request), *settings = message_text(request);
    const void *sealed = message_bytes(request, &length);
    int64_t deadline_ms = message_int(request);
    opened->until_ms = message_int(request);
    int64_t fresh = message_int(request);
    const char *hook_url = message_text(request);
    if (request->failed || !app || !kind || !settings) return false;
    opened->platform = platform_find(kind);
    opened->settings = json_read_string(settings, 0, NULL);
    opened->about = about_credential(app, kind, opened->settings);
    opened->sealed = sealed != NULL;
    if (sealed) opened->secret = unseal(answerer, opened->about, app, sealed, length);
    char purpose[CONTROL_HOOK_PURPOSE_SIZE];
    control_hook_purpose(purpose, number);
    bool hook = hook_url && vault_derive(answerer->vault, 0, purpose, opened->hook_secret);
    opened->app = (struct platform_app){.app = app,
                                        .number = number,
                                        .settings = opened->settings,
                                        .secret = opened->secret,
                                        .deadline_ms = deadline_ms,
                                        .private_addresses = answerer->settings.private_addresses,
                                        .fresh = fresh != 0,
                                        .hook_url = hook ? hook_url : NULL,
                                        .hook_secret = hook ? opened->hook_secret : NULL};
    return true;
}

/* After open_app, which sets errno to 0. Whether the app's platform may be called; if not, *answer
 * is the answer. */
static bool usable(const struct opened *opened, struct platform_answer *answer) {
    char error[160];
    *answer = platform_ok();
    if (opened->until_ms && ds_clock_monotonic_ms() >= opened->until_ms)
        *answer =
            platform_trouble(PLATFORM_FAILED, "this service's lease ended before the call began");
    else if (!opened->platform || !opened->settings)
        *answer = platform_trouble(PLATFORM_REFUSED, "this version knows no such platform");
    else if (opened->sealed && !opened->secret)
        *answer = platform_trouble(PLATFORM_REFUSED, "the platform's credential can't be opened "
                                                     "with this service's key: set it again");
    else if (!opened->platform->check(opened->settings, opened->secret, error, sizeof error))
        *answer =
            platform_trouble(PLATFORM_REFUSED, "the platform's settings can't be used: %s", error);
    /* A refusal stands until a person acts, so a passing failure must not look like one. */
    if (answer->result == PLATFORM_REFUSED && errno == ENOMEM)
        *answer = platform_trouble(PLATFORM_FAILED, "there was no memory to call the platform");
    return answer->result == PLATFORM_OK;
}

static void put_answer(struct message *reply, const struct platform_answer *answer) {
    message_put_int(reply, answer->result);
    message_put_text(reply, answer->trouble);
    message_put_int(reply, answer->limit);
    message_put_int(reply, answer->wait_s);
}

static bool seal_credential(const struct answerer *answerer, struct message *request,
                            struct message *reply) {
    struct opened opened;
    if (!open_app(answerer, request, &opened)) return false;
    const char *secret = message_text(request);
    if (secret) put_sealed(answerer, reply, opened.about, secret);
    close_app(&opened);
    return secret != NULL;
}

static bool check(const struct answerer *answerer, struct message *request, struct message *reply) {
    struct opened opened;
    char error[256] = "";
    if (!open_app(answerer, request, &opened)) return false;
    bool shut = opened.sealed && !opened.secret;
    if (shut && errno == ENOMEM) { /* it may open later */
        close_app(&opened);
        return false;
    }
    bool good = opened.platform && opened.settings &&
                opened.platform->check(opened.settings, opened.secret, error, sizeof error);
    message_put_int(reply, good);
    message_put_int(reply, shut);
    message_put_text(reply, error);
    close_app(&opened);
    return true;
}

static bool renew(const struct answerer *answerer, struct message *request, struct message *reply) {
    struct opened opened;
    struct platform_answer answer;
    char *renewed = NULL;
    if (!open_app(answerer, request, &opened)) return false;
    int64_t now_s = message_int(request);
    if (usable(&opened, &answer) && opened.platform->renew && opened.secret)
        answer = opened.platform->renew(&opened.app, now_s, &renewed);
    put_answer(reply, &answer);
    put_sealed(answerer, reply, opened.about, renewed);
    vault_wipe(renewed);
    close_app(&opened);
    return true;
}

static bool read_formation(const struct answerer *answerer, struct message *request,
                           struct message *reply) {
    struct opened opened;
    struct platform_answer answer;
    struct platform_formation formation = platform_unknown;
    if (!open_app(answerer, request, &opened)) return false;
    const char *process = message_text(request);
    if (process && usable(&opened, &answer))
        answer = opened.platform->read(&opened.app, process, &formation);
    close_app(&opened);
    if (!process) return false;
    put_answer(reply, &answer);
    message_put_bytes(reply, &formation, sizeof formation);
    return true;
}

static bool take_changes(struct message *request, struct platform_change *changes, int *count) {
    int64_t told = message_int(request);
    if (told < 1 || told > KEEPER_CHANGES) return false;
    *count = (int)told;
    for (int i = 0; i < *count; i++) {
        changes[i] = (struct platform_change){.process = message_text(request)};
        int64_t dynos = message_int(request);
        changes[i].reason = message_text(request);
        if (!changes[i].process || !changes[i].reason || dynos < 0 || dynos > PLATFORM_DYNOS)
            return false;
        changes[i].dynos = (int)dynos;
    }
    return true;
}

static bool set(const struct answerer *answerer, struct message *request, struct message *reply) {
    struct opened opened;
    struct platform_change changes[KEEPER_CHANGES];
    struct platform_answer wrong;
    int count = 0;
    if (!open_app(answerer, request, &opened)) return false;
    bool right = take_changes(request, changes, &count);
    if (right && !usable(&opened, &wrong))
        for (int i = 0; i < count; i++) changes[i].answer = wrong;
    else if (right && count > 1 && opened.platform->set_many)
        opened.platform->set_many(&opened.app, changes, count);
    else if (right)
        for (int i = 0; i < count; i++)
            changes[i].answer = opened.platform->set(&opened.app, changes[i].process,
                                                     changes[i].dynos, changes[i].reason);
    for (int i = 0; right && i < count; i++) put_answer(reply, &changes[i].answer);
    close_app(&opened);
    return right;
}

static bool undo(const struct answerer *answerer, struct message *request, struct message *reply) {
    struct opened opened;
    if (!open_app(answerer, request, &opened)) return false;
    bool can = opened.platform && opened.platform->forget && opened.settings && opened.secret;
    if (can) opened.platform->forget(&opened.app);
    message_put_int(reply, can);
    close_app(&opened);
    return true;
}

static bool told(const struct answerer *answerer, struct message *request, struct message *reply) {
    (void)answerer;
    size_t length;
    const char *kind = message_text(request);
    int64_t app = message_int(request);
    const char *body = message_bytes(request, &length);
    const struct platform *platform = kind ? platform_find(kind) : NULL;
    if (!body || !platform || !platform->hook_told) return false;
    message_put_int(reply, platform->hook_told(app, body, length));
    return true;
}

/* ---- Channels -------------------------------------------------------------------------------- */

static bool take_notice(struct message *request, struct notice *notice) {
    *notice = (struct notice){.id = message_int(request), .app = message_int(request)};
    const char *process = message_text(request);
    notice->kind = (int)message_int(request);
    notice->state = (enum notice_state)message_int(request);
    notice->at_s = message_int(request);
    const char *title = message_text(request), *body = message_text(request);
    if (!process || !title || !body || notice->state > NOTICE_HAPPENED) return false;
    snprintf(notice->process, sizeof notice->process, "%s", process);
    snprintf(notice->title, sizeof notice->title, "%s", title);
    snprintf(notice->body, sizeof notice->body, "%s", body);
    return true;
}

static bool tell(const struct answerer *answerer, struct message *request, struct message *reply) {
    size_t length;
    struct notice notice;
    char error[CHANNEL_TROUBLE_SIZE] = "";
    const char *app = message_text(request), *kind = message_text(request);
    const void *sealed = message_bytes(request, &length);
    const char *public_url = message_text(request);
    if (!app || !kind || !sealed || !public_url || !take_notice(request, &notice)) return false;
    char *about = about_other(app, "channel");
    char *packed = unseal(answerer, about, app, sealed, length);
    const struct channel_sender sender = {.public_url = public_url,
                                          .mail = answerer->settings.mail,
                                          .private_addresses =
                                              answerer->settings.private_addresses};
    bool sent = packed && channel_send(&sender, kind, packed, app, &notice, error, sizeof error);
    if (!packed)
        snprintf(error, sizeof error,
                 "what was kept of it can't be opened: it was sealed with another key than the one "
                 "in use; remove the channel and add it again");
    message_put_int(reply, sent);
    message_put_text(reply, error);
    vault_wipe(packed);
    free(about);
    return true;
}

/* ---- Heroku's add-on ------------------------------------------------------------------------- */

/* False: the request is malformed; else the caller wipes the secret, which is NULL if it does not
 * open. */
static bool open_grant(const struct answerer *answerer, struct message *request,
                       struct grant *grant) {
    size_t length;
    const char *uuid = message_text(request);
    const void *sealed = message_bytes(request, &length);
    if (!uuid || !sealed) return false;
    char *about = about_other(uuid, "grant");
    *grant = (struct grant){.uuid = uuid,
                            .secret = unseal(answerer, about, uuid, sealed, length),
                            .private_addresses = answerer->settings.private_addresses};
    free(about);
    return true;
}

static struct platform_answer not_opened(void) {
    return platform_trouble(PLATFORM_REFUSED, "its grant can't be opened with this service's key");
}

static bool grant_answer(const struct answerer *answerer, struct message *request,
                         struct message *reply, enum keeper_verb verb) {
    struct grant grant;
    struct platform_answer answer = not_opened();
    char *renewed = NULL, name[64] = "";
    if (!open_grant(answerer, request, &grant)) return false;
    int64_t now_s = verb == VERB_GRANT_RENEW ? message_int(request) : 0;
    const char *config = verb == VERB_GRANT_CONFIG ? message_text(request) : NULL;
    bool right = !request->failed && (verb != VERB_GRANT_CONFIG || config);
    if (right && grant.secret) {
        if (verb == VERB_GRANT_RENEW) answer = grant_renew(&grant, now_s, &renewed);
        else if (verb == VERB_GRANT_APP) answer = grant_find_app(&grant, name, sizeof name);
        else if (verb == VERB_GRANT_CONFIG) answer = grant_set_config(&grant, config);
        else answer = grant_say_ready(&grant);
    }
    put_answer(reply, &answer);
    if (verb == VERB_GRANT_RENEW) {
        char *about = about_other(grant.uuid, "grant");
        put_sealed(answerer, reply, about, renewed);
        free(about);
    }
    if (verb == VERB_GRANT_APP) message_put_text(reply, name);
    vault_wipe(renewed);
    vault_wipe(grant.secret);
    return right;
}

static bool grant_renewed(const struct answerer *answerer, struct message *request,
                          struct message *reply) {
    return grant_answer(answerer, request, reply, VERB_GRANT_RENEW);
}

static bool grant_app(const struct answerer *answerer, struct message *request,
                      struct message *reply) {
    return grant_answer(answerer, request, reply, VERB_GRANT_APP);
}

static bool grant_config(const struct answerer *answerer, struct message *request,
                         struct message *reply) {
    return grant_answer(answerer, request, reply, VERB_GRANT_CONFIG);
}

static bool grant_ready(const struct answerer *answerer, struct message *request,
                        struct message *reply) {
    return grant_answer(answerer, request, reply, VERB_GRANT_READY);
}

/* The grant's credential may only be used for Heroku, at the addresses that the operator set. */
static bool grant_credential(const struct answerer *answerer, struct message *request,
                             struct message *reply) {
    struct grant grant;
    struct opened opened;
    if (!open_grant(answerer, request, &grant)) return false;
    bool right = open_app(answerer, request, &opened);
    if (right) {
        put_sealed(answerer, reply, opened.about, grant.secret);
        close_app(&opened);
    }
    vault_wipe(grant.secret);
    return right;
}

/* ---- The second factor of people ------------------------------------------------------------- */

static char *about_factor(int64_t person) {
    char *about = NULL;
    return asprintf(&about, "person %lld\nfactor", (long long)person) < 0 ? NULL : about;
}

static bool factor_make(const struct answerer *answerer, struct message *request,
                        struct message *reply) {
    char secret[FACTOR_SECRET_SIZE];
    char *about = about_factor(message_int(request));
    bool made = factor_make_secret(secret);
    if (made) {
        put_sealed(answerer, reply, about, secret);
        message_put_text(reply, secret);
    }
    sodium_memzero(secret, sizeof secret);
    free(about);
    return made && !request->failed;
}

static bool factor_find_step(const struct answerer *answerer, struct message *request,
                             struct message *reply) {
    size_t length;
    int64_t person = message_int(request);
    const void *sealed = message_bytes(request, &length);
    const char *code = message_text(request);
    int64_t now_s = message_int(request);
    if (request->failed || !sealed || !code) return false;
    char *about = about_factor(person);
    char *secret = unseal(answerer, about, NULL, sealed, length);
    message_put_int(reply, secret != NULL);
    message_put_int(reply, secret ? factor_step(secret, code, now_s) : -1);
    vault_wipe(secret);
    free(about);
    return true;
}

/* ---- All of them ----------------------------------------------------------------------------- */

static bool hello(const struct answerer *answerer, struct message *request, struct message *reply) {
    (void)request;
    message_put_int(reply, true);
    message_put_bytes(reply, answerer->greeting, answerer->greeting_length);
    return true;
}

static bool (*const verbs[VERBS])(const struct answerer *, struct message *, struct message *) = {
    [VERB_HELLO] = hello,
    [VERB_DERIVE] = derive,
    [VERB_MARK] = mark,
    [VERB_KNOWS] = knows,
    [VERB_SEAL_CREDENTIAL] = seal_credential,
    [VERB_SEAL_CHANNEL] = seal_channel,
    [VERB_SEAL_GRANT] = seal_grant,
    [VERB_CHECK] = check,
    [VERB_RENEW] = renew,
    [VERB_READ] = read_formation,
    [VERB_SET] = set,
    [VERB_UNDO] = undo,
    [VERB_TOLD] = told,
    [VERB_TELL] = tell,
    [VERB_GRANT_RENEW] = grant_renewed,
    [VERB_GRANT_APP] = grant_app,
    [VERB_GRANT_CONFIG] = grant_config,
    [VERB_GRANT_READY] = grant_ready,
    [VERB_GRANT_CREDENTIAL] = grant_credential,
    [VERB_FACTOR_MAKE] = factor_make,
    [VERB_FACTOR_STEP] = factor_find_step,
};

bool answer_starts_program(const struct message *request) {
    struct message copy = *request;
    int64_t verb = message_int(&copy);
    bool calls = verb == VERB_READ || verb == VERB_SET;
    if (calls) message_text(&copy), message_int(&copy);
    const char *kind = calls ? message_text(&copy) : NULL;
    const struct platform *platform = kind ? platform_find(kind) : NULL;
    return platform && platform->local_only;
}

bool answer(const struct answerer *answerer, struct message *request, struct message *reply) {
    int64_t verb = message_int(request);
    if (request->failed || verb < 0 || verb >= VERBS) return false;
    return verbs[verb](answerer, request, reply) && !reply->failed;
}
