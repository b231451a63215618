/* Apps: the list, one app, its zone, its token for reports, its removal. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/resources.h"
#include "people/token.h"
#include "rules/zone.h"
#include "store/addon.h"

enum { APPS = 10000, OVERLAP_S = 86400, LONGEST_OVERLAP_S = 30 * 86400, MOST_KEPT_DAYS = 30 };

/* The rules of a new app: everything is decided and shown, nothing is scaled. */
static const char first_rules[] = "processes:\n"
                                  "  web:\n"
                                  "    scaling: off\n"
                                  "    rules:\n"
                                  "      - name: default\n"
                                  "        dynos: {min: 1, max: 2}\n";

/* ---- The list and one app -------------------------------------------------------------------- */

struct listing {
    struct api_call *call;
    bool first;
};

static bool put_app(void *context, const struct app *app) {
    struct listing *listing = context;
    struct api_call *call = listing->call;
    if (call->who.app && call->who.app != app->id) return true;
    if (!listing->first) text_char(&call->answer, ',');
    listing->first = false;
    api_put_app(&call->answer, call->store, app, call->now_s);
    return !call->answer.failed;
}

void apps_list(struct api_call *call) {
    struct listing listing = {call, true};
    if (!input_query(call, NULL, 0)) return;
    text_put(&call->answer, "{\"apps\":[");
    if (!app_each(call->store, put_app, &listing)) {
        api_store_failed(call);
        return;
    }
    text_put(&call->answer, "]}");
}

static void put_token(void *context, const char *hint, int64_t created_s, int64_t expires_s) {
    struct text *text = context;
    if (text_last(text) != '[') text_char(text, ',');
    text_put(text, "{\"hint\":");
    text_json(text, hint);
    text_format(text, ",\"created\":%" PRId64 ",\"expires\":", created_s);
    api_put_time(text, expires_s);
    text_char(text, '}');
}

static void put_one(struct api_call *call, const struct app *app) {
    struct text *text = &call->answer;
    api_put_app(text, call->store, app, call->now_s);
    if (text->failed || text->length == 0) return;
    text->bytes[--text->length] = '\0'; /* without the closing brace: more is added */
    text_format(text, ",\"kept_days\":%" PRId64 ",\"report_tokens\":[",
                app->kept_days ? app->kept_days : 30);
    if (!report_token_of_app(call->store, app->id, call->now_s, put_token, text)) {
        api_store_failed(call);
        return;
    }
    text_put(text, "]}");
}

void apps_show(struct api_call *call) {
    if (input_query(call, NULL, 0)) put_one(call, &call->app);
}

/* ---- A new one ------------------------------------------------------------------------------- */

static bool check_name(struct api_call *call, const char *name) {
    size_t length = strlen(name);
    bool good = length > 0 && length < APP_NAME_SIZE && name[0] != '-' && name[0] != '_' &&
                name[0] != '.' && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == length;
    if (!good)
        api_problem(call, 400,
                    "the field “name” must be 1 to %d of a-z, 0-9, -, _ and ., and begin with a "
                    "letter or a digit",
                    APP_NAME_SIZE - 1);
    return good;
}

static bool check_zone(struct api_call *call, const char *zone) {
    if (strlen(zone) < APP_ZONE_SIZE && zone_find(zone)) return true;
    api_problem(
        call, 400,
        "the field “zone”: there is no time zone “%.64s”; names are as Europe/Berlin or UTC", zone);
    return false;
}

/* Makes a token for reports. Its address is written into the answer, and shown only there. */
static bool add_token(struct api_call *call, int64_t app, int64_t overlap_s) {
    char token[TOKEN_SIZE];
    uint8_t hash[TOKEN_HASH_SIZE];
    token_make(token, "rt_");
    token_hash(hash, token, strlen(token));
    const char *hint = token + strlen(token) - (TOKEN_HINT_SIZE - 1);
    if (!report_token_add(call->store, app, hash, hint, call->now_s) ||
        !report_token_expire_others(call->store, app, hash, call->now_s + overlap_s) ||
        !report_token_tidy(call->store, call->now_s)) {
        api_store_failed(call);
        return false;
    }
    struct text url = TEXT_EMPTY;
    api_put_report_url(&url, call, token);
    text_put(&call->answer, "\"report_url\":");
    text_json(&call->answer, url.bytes);
    text_format(&call->answer, ",\"environment\":{\"DYNOSCALE_DYNOS\":\"all\",\"DYNOSCALE_URL\":");
    text_json(&call->answer, url.bytes);
    text_char(&call->answer, '}');
    text_free(&url);
    call->tokens_changed = true;
    return true;
}

void apps_add(struct api_call *call) {
    const char *name = NULL, *zone = "UTC";
    const struct field fields[] = {
        {.name = "name", .kind = FIELD_TEXT, .needed = true, .to = &name},
        {.name = "zone", .kind = FIELD_TEXT, .to = &zone},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields))) return;
    if (!check_name(call, name) || !check_zone(call, zone)) return;
    struct app app = {.created_s = call->now_s};
    memcpy(app.name, name, strlen(name) + 1);
    memcpy(app.zone, zone, strlen(zone) + 1);
    if (app_by_name(call->store, name, &app)) {
        api_problem(call, 409, "there is an app “%s” already", name);
        return;
    }
    if (!app_add(call->store, &app) ||
        rules_put(call->store, app.id, first_rules, call->who.name, call->now_s) < 0) {
        api_store_failed(call);
        return;
    }
    text_put(&call->answer, "{\"name\":");
    text_json(&call->answer, name);
    text_put(&call->answer, ",\"zone\":");
    text_json(&call->answer, zone);
    text_char(&call->answer, ',');
    if (!add_token(call, app.id, 0)) return;
    text_char(&call->answer, '}');
    call->status = 201;
    call->config_changed = true;
    api_audit(call, app.id, NULL, "added the app %s in the time zone %s", name, zone);
}

/* ---- Changes --------------------------------------------------------------------------------- */

/* Rules may name a zone themselves, which would win over the app's: they are changed too. */
static bool move_rules(struct api_call *call, const char *zone) {
    struct rule_set *before = api_rules(call->store, &call->app, 0, NULL, NULL);
    if (!before) return true;
    struct rule_set *after = api_rules(call->store, &call->app, 0, NULL, NULL);
    bool done = true;
    if (after && strcmp(before->zone_name, zone) != 0) {
        struct text text = TEXT_EMPTY;
        int64_t version;
        memcpy(after->zone_name, zone, strlen(zone) + 1);
        after->zone = zone_find(zone);
        rule_write_yaml(&text, after);
        done = !text.failed && api_put_rules(call, before, after, text.bytes,
                                             "changed the time zone of the rules", &version);
        text_free(&text);
    }
    rule_free(before);
    rule_free(after);
    return done;
}

static bool set_zone(struct api_call *call, const char *zone) {
    if (!zone || strcmp(zone, call->app.zone) == 0) return true;
    struct text difference = TEXT_EMPTY;
    if (!check_zone(call, zone) || !move_rules(call, zone)) return false;
    if (!app_set_zone(call->store, call->app.id, zone)) {
        api_store_failed(call);
        return false;
    }
    text_format(&difference, "time zone %s → %s", call->app.zone, zone);
    api_audit(call, call->app.id, difference.bytes, "changed the time zone of %s", call->app.name);
    text_free(&difference);
    memcpy(call->app.zone, zone, strlen(zone) + 1);
    return !api_failed(call);
}

static bool set_kept_days(struct api_call *call, int64_t days) {
    struct text difference = TEXT_EMPTY;
    int64_t before = call->app.kept_days ? call->app.kept_days : 30;
    if (days == 0 || days == before) return true;
    if (!app_set_kept_days(call->store, call->app.id, days)) {
        api_store_failed(call);
        return false;
    }
    text_format(&difference, "days %" PRId64 " → %" PRId64, before, days);
    api_audit(call, call->app.id, difference.bytes, "changed how long minutes of %s are kept",
              call->app.name);
    text_free(&difference);
    call->app.kept_days = days;
    return !api_failed(call);
}

void apps_change(struct api_call *call) {
    const char *zone = NULL;
    int64_t days = 0;
    const struct field fields[] = {
        {.name = "zone", .kind = FIELD_TEXT, .to = &zone},
        {.name = "kept_days",
         .kind = FIELD_INTEGER,
         .least = 1,
         .most = MOST_KEPT_DAYS,
         .to = &days},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields))) return;
    if (!set_zone(call, zone) || !set_kept_days(call, days)) return;
    call->config_changed = true;
    put_one(call, &call->app);
}

void apps_remove(struct api_call *call) {
    const char *name = NULL;
    const struct field fields[] = {
        {.name = "name", .kind = FIELD_TEXT, .needed = true, .to = &name},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields))) return;
    if (strcmp(name, call->app.name) != 0) {
        api_problem(call, 409,
                    "the field “name” must be the app's name, %s: its measurements, rules, "
                    "decisions and audit log are destroyed",
                    call->app.name);
        return;
    }
    struct addon_resource resource;
    if (addon_of_app(call->store, call->app.id, &resource)) {
        api_problem(call, 409,
                    "%s is an add-on at Heroku, and is removed there: heroku addons:destroy %s",
                    call->app.name, resource.name[0] ? resource.name : resource.uuid);
        return;
    }
    if (!app_remove(call->store, call->app.id)) {
        api_store_failed(call);
        return;
    }
    api_audit(call, 0, NULL, "removed the app %s with all its data", call->app.name);
    call->config_changed = call->tokens_changed = true;
    if (!api_failed(call)) call->status = 204;
}

/* "ends 24 h later", in the largest unit that divides the time. */
static void put_end(char *words, size_t size, int64_t overlap_s) {
    if (overlap_s == 0) snprintf(words, size, "ended at once");
    else if (overlap_s % 3600) snprintf(words, size, "ends %" PRId64 " min later", overlap_s / 60);
    else snprintf(words, size, "ends %" PRId64 " h later", overlap_s / 3600);
}

void apps_rotate_token(struct api_call *call) {
    char end[48];
    int64_t overlap_s = OVERLAP_S;
    const struct field fields[] = {
        {.name = "overlap", .kind = FIELD_INTEGER, .most = LONGEST_OVERLAP_S, .to = &overlap_s},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields))) return;
    text_char(&call->answer, '{');
    if (!add_token(call, call->app.id, overlap_s)) return;
    text_format(&call->answer, ",\"old_ones_expire\":%" PRId64 "}", call->now_s + overlap_s);
    call->status = 201;
    put_end(end, sizeof end, overlap_s);
    api_audit(call, call->app.id, NULL, "made a new address for reports of %s; the old one %s",
              call->app.name, end);
}
