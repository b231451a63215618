#define _GNU_SOURCE /* strdup */
/*
 * The platform of an app. Its credential comes in, is tried at once, and is never given out. What
 * runs a program is set on the service's machine alone.
 *
 * Trying it may take as long as the platform does, so it happens before the transaction.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/resources.h"
#include "clock.h"
#include "control/control.h"
#include "json_read.h"
#include "people/token.h"
#include "platforms/platform.h"
#include "store/ledger.h"

enum { DEADLINE_MS = 15000, WHOLE_MS = 30000, UNDO_MS = 5000, LONGEST_SECRET = 16384, TRIED = 10 };

static const char *const results[] = {"ok", "failed", "refused", "locked", "limited", "busy"};

void platforms_list(struct api_call *call) {
    if (!input_query(call, NULL, 0)) return;
    text_put(&call->answer, "{\"platforms\":[");
    for (size_t i = 0; platforms[i]; i++) {
        if (i > 0) text_char(&call->answer, ',');
        text_put(&call->answer, "{\"kind\":");
        text_json(&call->answer, platforms[i]->kind);
        text_format(&call->answer, ",\"local_only\":%s}",
                    platforms[i]->local_only ? "true" : "false");
    }
    text_put(&call->answer, "]}");
}

/* ---- What is set ----------------------------------------------------------------------------- */

struct setting {
    char *kind, *settings;
    void *sealed;
    size_t sealed_length;
};

static bool find_setting(struct api_call *call, struct setting *setting) {
    if (platform_get(call->store, call->app.id, &setting->kind, &setting->settings,
                     &setting->sealed, &setting->sealed_length))
        return true;
    api_problem(call, 404, "no platform is set for %s", call->app.name);
    return false;
}

static void free_setting(struct setting *setting) {
    free(setting->kind);
    free(setting->settings);
    free(setting->sealed);
}

/* How the last platform call of each process ended. */
static void put_health(struct api_call *call) {
    struct text *text = &call->answer;
    struct ledger_tick tick;
    struct rule_set *set = api_rules(call->store, &call->app, 0, NULL, NULL);
    text_put(text, ",\"health\":[");
    for (int i = 0; set && i < set->process_count; i++) {
        if (i > 0) text_char(text, ',');
        text_put(text, "{\"process\":");
        text_json(text, set->processes[i].name);
        bool ticked =
            ledger_last(call->store, call->app.id, set->processes[i].name, call->now_s, &tick);
        text_put(text, ",\"ordered\":");
        api_put_known(text, ticked ? tick.situation.ordered : -1);
        text_put(text, ",\"read\":");
        api_put_time(text, ticked && tick.situation.formation_age >= 0
                               ? tick.situation.now - tick.situation.formation_age
                               : 0);
        text_put(text, ",\"trouble\":");
        text_json(text, ticked && tick.situation.trouble[0] ? tick.situation.trouble : NULL);
        text_char(text, '}');
    }
    text_char(text, ']');
    rule_free(set);
}

void platform_show(struct api_call *call) {
    struct setting setting;
    if (!input_query(call, NULL, 0) || !find_setting(call, &setting)) return;
    const struct platform *platform = platform_find(setting.kind);
    text_put(&call->answer, "{\"kind\":");
    text_json(&call->answer, setting.kind);
    text_format(&call->answer, ",\"local_only\":%s,\"has_secret\":%s,\"settings\":%s",
                platform && platform->local_only ? "true" : "false",
                setting.sealed ? "true" : "false", setting.settings);
    put_health(call);
    text_char(&call->answer, '}');
    free_setting(&setting);
}

/* ---- Trying it ------------------------------------------------------------------------------- */

/* The call's app on a platform, in the form that the keeper needs. */
static struct keeper_app app_of(const struct api_call *call, const char *kind, const char *settings,
                                const void *sealed, size_t sealed_length) {
    return (struct keeper_app){.app = call->app.name,
                               .number = call->app.id,
                               .kind = kind,
                               .settings = settings,
                               .sealed = sealed,
                               .sealed_length = sealed_length,
                               .deadline_ms = DEADLINE_MS,
                               .fresh = true};
}

static struct keeper_app app_of_setting(const struct api_call *call,
                                        const struct setting *setting) {
    return app_of(call, setting->kind, setting->settings, setting->sealed, setting->sealed_length);
}

/* For a platform that is not called: the last number that was ordered. */
static struct platform_answer recall(struct api_call *call, const char *process,
                                     struct platform_formation *formation) {
    struct ledger_tick tick;
    if (ledger_last(call->store, call->app.id, process, call->now_s, &tick))
        formation->ordered = (int)tick.situation.ordered;
    return platform_ok();
}

/* Tries one process; `left_ms` is what remains of the time for all of them. */
static struct platform_answer try_process(struct api_call *call, const struct keeper_app *app,
                                          const char *process, int64_t left_ms,
                                          struct platform_formation *formation) {
    struct keeper_app tried = *app;
    if (left_ms < DEADLINE_MS) tried.deadline_ms = left_ms;
    *formation = platform_unknown;
    if (platform_find(app->kind)->pulled) return recall(call, process, formation);
    if (left_ms <= 0)
        return platform_trouble(PLATFORM_FAILED, "not tried: the others took %d s",
                                WHOLE_MS / 1000);
    return keeper_read(call->keeper, &tried, process, formation);
}

/* Reads the formation of each process of the rules; returns the worst result. */
static enum platform_result try_platform(struct api_call *call, struct text *text,
                                         const struct keeper_app *app, char *trouble, size_t size) {
    enum platform_result worst = PLATFORM_OK;
    int64_t end_ms = ds_clock_monotonic_ms() + WHOLE_MS;
    struct rule_set *set = api_rules(call->store, &call->app, 0, NULL, NULL);
    int count = set && set->process_count < TRIED ? set->process_count : TRIED;
    trouble[0] = '\0';
    text_put(text, "[");
    for (int i = 0; set && i < count; i++) {
        struct platform_formation formation;
        struct platform_answer answer = try_process(call, app, set->processes[i].name,
                                                    end_ms - ds_clock_monotonic_ms(), &formation);
        if (i > 0) text_char(text, ',');
        text_put(text, "{\"process\":");
        text_json(text, set->processes[i].name);
        text_format(text, ",\"result\":\"%s\",\"ordered\":", results[answer.result]);
        api_put_known(text, answer.result == PLATFORM_OK ? formation.ordered : -1);
        text_put(text, ",\"trouble\":");
        text_json(text, answer.result == PLATFORM_OK ? NULL : answer.trouble);
        text_char(text, '}');
        if (answer.result == PLATFORM_OK || worst == PLATFORM_REFUSED) continue;
        worst = answer.result;
        snprintf(trouble, size, "%s", answer.trouble);
    }
    text_char(text, ']');
    rule_free(set);
    return worst;
}

/* Renews or exchanges the platform's credential if that must happen first. *renewed is then the
 * app's new credential, which the caller frees. */
static struct platform_answer renew(struct api_call *call, struct keeper_app *app, void **renewed) {
    size_t length = 0;
    struct platform_answer answer = keeper_renew(call->keeper, app, call->now_s, renewed, &length);
    if (*renewed) {
        app->sealed = *renewed;
        app->sealed_length = length;
    }
    return answer;
}

/* Stores a renewed credential: the previous one may no longer work. */
static void keep_renewed(struct api_call *call, const struct setting *setting,
                         const struct keeper_app *app) {
    if (!api_begin(call)) return;
    if (!platform_renew(call->store, call->app.id, setting->sealed, setting->sealed_length,
                        app->sealed, app->sealed_length) ||
        !store_touch_config(call->store))
        api_store_failed(call);
    call->config_changed = true;
    api_end(call);
}

/* Answers that the credential can't be used, in place of a test. */
static void put_refused(struct api_call *call, const struct platform_answer *answer) {
    text_format(&call->answer, "{\"result\":\"%s\",\"test\":[", results[answer->result]);
    text_format(&call->answer,
                "{\"process\":\"web\",\"result\":\"%s\",\"ordered\":null,"
                "\"trouble\":",
                results[answer->result]);
    text_json(&call->answer, answer->trouble);
    text_put(&call->answer, "}]}");
}

/* False: the call is answered. */
static bool can_be_tried(struct api_call *call, const struct keeper_app *app) {
    char error[256];
    bool opens;
    if (!platform_find(app->kind)) {
        api_problem(call, 422, "this version does not know the platform “%.40s”", app->kind);
        return false;
    }
    bool known = keeper_check(call->keeper, app, &opens, error, sizeof error) != KEEPER_SILENT;
    if (!known) api_problem(call, 503, "%s", error);
    else if (!opens)
        api_problem(call, 422,
                    "the credential can't be opened: it was sealed with another key than the one "
                    "in use; enter it again");
    return known && opens;
}

void platform_test(struct api_call *call) {
    struct setting setting;
    char trouble[256];
    if (!input_body(call, NULL, 0) || !find_setting(call, &setting)) return;
    struct keeper_app app = app_of_setting(call, &setting);
    if (can_be_tried(call, &app)) {
        struct text test = TEXT_EMPTY;
        void *renewed;
        struct platform_answer usable = renew(call, &app, &renewed);
        if (renewed) keep_renewed(call, &setting, &app);
        enum platform_result worst = usable.result;
        if (usable.result == PLATFORM_OK && !api_failed(call))
            worst = try_platform(call, &test, &app, trouble, sizeof trouble);
        if (usable.result != PLATFORM_OK) put_refused(call, &usable);
        else if (!api_failed(call))
            text_format(&call->answer, "{\"result\":\"%s\",\"test\":%s}", results[worst],
                        test.bytes ? test.bytes : "[]");
        text_free(&test);
        free(renewed);
    }
    free_setting(&setting);
}

/* ---- Setting it ------------------------------------------------------------------------------ */

struct wish {
    const struct platform *platform;
    json_t *settings;
    char *text;   /* the same, as it is stored */
    void *sealed; /* the credential; NULL: none */
    size_t sealed_length;
    char made[TOKEN_SIZE]; /* a secret that was made here, and is shown once; "" */
    bool force;
};

/* A stored credential is sent only to the address that it was given for. */
static bool same_address(const char *before, const json_t *now) {
    static const char *const names[] = {"api", "auth", "server"};
    json_t *old = json_read_string(before, 0, NULL);
    bool same = old != NULL;
    for (size_t i = 0; same && i < sizeof names / sizeof *names; i++) {
        const json_t *a = json_object_get(old, names[i]), *b = json_object_get(now, names[i]);
        same = (!a && !b) || (a && b && json_equal(a, b));
    }
    json_decref(old);
    return same;
}

static struct keeper_app app_of_wish(const struct api_call *call, const struct wish *wish) {
    return app_of(call, wish->platform->kind, wish->text, wish->sealed, wish->sealed_length);
}

/* Keeps the stored credential if the same kind of platform is set again without one. */
static void take_kept(struct api_call *call, struct wish *wish) {
    struct setting setting;
    char error[256];
    bool opens;
    if (!platform_get(call->store, call->app.id, &setting.kind, &setting.settings, &setting.sealed,
                      &setting.sealed_length))
        return;
    bool same = setting.sealed && strcmp(setting.kind, wish->platform->kind) == 0 &&
                same_address(setting.settings, wish->settings);
    struct keeper_app app = app_of_setting(call, &setting);
    if (same && keeper_check(call->keeper, &app, &opens, error, sizeof error) == KEEPER_SILENT)
        api_problem(call, 503, "%s", error);
    else if (same && opens) {
        wish->sealed = setting.sealed;
        wish->sealed_length = setting.sealed_length;
        setting.sealed = NULL;
    }
    free_setting(&setting);
}

static bool seal(struct api_call *call, struct wish *wish, const char *secret) {
    struct keeper_app app = app_of_wish(call, wish);
    wish->sealed = keeper_seal_credential(call->keeper, &app, secret, &wish->sealed_length);
    if (!wish->sealed) api_problem(call, 503, "the credential can't be sealed now; try again");
    return wish->sealed != NULL;
}

/* Both sides of a webhook need the signing secret: if none is given, it is made here. */
static bool find_secret(struct api_call *call, struct wish *wish, const char *given) {
    char error[256];
    bool opens;
    if (!given) take_kept(call, wish);
    if (api_failed(call)) return false;
    if (!given && !wish->sealed && strcmp(wish->platform->kind, "webhook") == 0) {
        token_make(wish->made, "wh_");
        given = wish->made;
    }
    if (given && !seal(call, wish, given)) return false;
    struct keeper_app app = app_of_wish(call, wish);
    enum keeper_checked checked = keeper_check(call->keeper, &app, &opens, error, sizeof error);
    if (checked != KEEPER_GOOD)
        api_problem(call, checked == KEEPER_SILENT ? 503 : 400, "%s", error);
    return checked == KEEPER_GOOD;
}

static bool read_wish(struct api_call *call, struct wish *wish) {
    const char *kind = NULL, *secret = NULL;
    json_t *settings = NULL;
    const struct field fields[] = {
        {.name = "kind", .kind = FIELD_TEXT, .needed = true, .to = &kind},
        {.name = "settings", .kind = FIELD_OBJECT, .to = &settings},
        {.name = "secret", .kind = FIELD_TEXT, .least = 1, .most = LONGEST_SECRET, .to = &secret},
        {.name = "force", .kind = FIELD_BOOL, .to = &wish->force},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields))) return false;
    wish->platform = platform_find(kind);
    wish->settings = settings ? json_incref(settings) : json_object();
    if (!wish->platform) {
        api_problem(call, 400, "the field “kind”: there is no platform “%.40s”", kind);
        return false;
    }
    if (wish->platform->local_only && call->who.role != API_LOCAL) {
        api_problem(call, 403,
                    "the platform “%s” runs a program: it is set by the command line on the "
                    "service's machine alone, as `dynoscaled platform set %s %s ...`",
                    kind, call->app.name, kind);
        return false;
    }
    wish->text = json_dumps(wish->settings, JSON_COMPACT);
    if (wish->text) return find_secret(call, wish, secret);
    api_problem(call, 503, "there is no memory left");
    return false;
}

static void put_set(struct api_call *call, const struct wish *wish, enum platform_result result,
                    const struct text *test) {
    text_put(&call->answer, "{\"kind\":");
    text_json(&call->answer, wish->platform->kind);
    text_format(&call->answer, ",\"result\":\"%s\",\"test\":%s", results[result],
                test->bytes ? test->bytes : "[]");
    if (*wish->made) {
        text_put(&call->answer, ",\"secret\":");
        text_json(&call->answer, wish->made);
    }
    text_char(&call->answer, '}');
}

static void store_wish(struct api_call *call, const struct wish *wish, enum platform_result result,
                       const struct text *test) {
    struct app app;
    if (!api_begin(call)) return;
    if (!app_by_id(call->store, call->app.id, &app))
        api_problem(call, 404, "the app was removed meanwhile");
    else if (!platform_put(call->store, call->app.id, wish->platform->kind, wish->text,
                           wish->sealed, wish->sealed_length))
        api_store_failed(call);
    else
        api_audit(call, call->app.id, NULL, "set the platform of %s: %s", call->app.name,
                  wish->platform->kind);
    call->config_changed = true;
    if (!api_failed(call)) put_set(call, wish, result, test);
    api_end(call);
}

/* Tries the platform, and stores it unless the platform refuses. */
static void set_wish(struct api_call *call, struct wish *wish) {
    struct text test = TEXT_EMPTY;
    char trouble[256];
    void *renewed;
    struct keeper_app app = app_of_wish(call, wish);
    struct platform_answer usable = renew(call, &app, &renewed);
    enum platform_result worst = usable.result;
    if (renewed) {
        free(wish->sealed);
        wish->sealed = renewed;
        wish->sealed_length = app.sealed_length;
    }
    snprintf(trouble, sizeof trouble, "%s", usable.trouble);
    if (worst == PLATFORM_OK) worst = try_platform(call, &test, &app, trouble, sizeof trouble);
    if (worst == PLATFORM_REFUSED && !wish->force)
        api_problem(call, 422, "%s. Nothing was changed; with “force” it is set all the same",
                    trouble);
    else store_wish(call, wish, worst, &test);
    text_free(&test);
}

void platform_change(struct api_call *call) {
    struct wish wish = {0};
    if (read_wish(call, &wish)) set_wish(call, &wish);
    free(wish.sealed);
    free(wish.text);
    json_decref(wish.settings);
}

/* Before the app is removed: undoes what was set up at the platform, as far as that works. */
void platform_undo(struct api_call *call) {
    struct setting setting;
    if (!platform_get(call->store, call->app.id, &setting.kind, &setting.settings, &setting.sealed,
                      &setting.sealed_length))
        return;
    char hook_url[CONTROL_HOOK_URL_SIZE];
    control_hook_url(hook_url, call->public_url ? call->public_url : "", call->app.id);
    struct keeper_app app = app_of_setting(call, &setting);
    app.deadline_ms = UNDO_MS;
    app.fresh = false;
    app.hook_url = hook_url;
    keeper_undo(call->keeper, &app);
    free_setting(&setting);
}

void platform_forget(struct api_call *call) {
    if (!input_body(call, NULL, 0)) return;
    platform_undo(call);
    if (!api_begin(call)) return;
    if (!platform_remove(call->store, call->app.id)) api_store_failed(call);
    else api_audit(call, call->app.id, NULL, "removed the platform of %s", call->app.name);
    call->status = api_failed(call) ? call->status : 204;
    call->config_changed = true;
    api_end(call);
}
