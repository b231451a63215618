#define _GNU_SOURCE /* O_CLOEXEC */
#include "addon/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json_read.h"
#include "platforms/platform.h"

enum { LONGEST_FILE = 64 * 1024, LEAST_SECRET = 16, USUAL_HISTORY_DAYS = 30 };

static struct addon_settings configured;
static struct settings operator_settings; /* its texts are the platforms' */

const struct addon_settings *addon_settings(void) { return &configured; }

void addon_take(const struct addon_settings *settings) { configured = *settings; }

const struct addon_plan *addon_plan(const char *name) {
    for (int i = 0; i < configured.plan_count; i++)
        if (strcmp(configured.plans[i].name, name) == 0) return &configured.plans[i];
    return NULL;
}

/* ---- Files ---------------------------------------------------------------------------------- */

/* Reads a whole file that only its owner may read; the caller frees it. */
static char *read_private(const char *path, char *error, size_t size) {
    struct stat status;
    char *text = NULL;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0) {
        snprintf(error, size, "the file %s can't be opened: %s", path, strerror(errno));
    } else if (status.st_mode & 077) {
        snprintf(error, size, "the file %s holds secrets and can be read by others: chmod 600 it",
                 path);
    } else if (status.st_size > LONGEST_FILE) {
        snprintf(error, size, "the file %s is longer than %d bytes", path, LONGEST_FILE);
    } else {
        text = malloc(LONGEST_FILE + 1);
        ssize_t length = text ? read(file, text, LONGEST_FILE) : -1;
        if (length >= 0) text[length] = '\0';
        if (length < 0) {
            snprintf(error, size, "the file %s can't be read", path);
            free(text);
            text = NULL;
        }
    }
    if (file >= 0) close(file);
    return text;
}

bool addon_write_new(const char *path, const json_t *json, char *error, size_t size) {
    char *text = json_dumps(json, JSON_INDENT(2));
    int file = text ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    bool written = file >= 0;
    for (size_t at = 0, length = text ? strlen(text) : 0; written && at < length;) {
        ssize_t some = write(file, text + at, length - at);
        written = some > 0;
        at += written ? (size_t)some : 0;
    }
    written = written && write(file, "\n", 1) == 1;
    if (!written) snprintf(error, size, "the file %s could not be made: %s", path, strerror(errno));
    if (file >= 0) close(file);
    free(text);
    return written;
}

static json_t *parse(const char *text, const char *what, char *error, size_t size) {
    json_error_t mistake;
    json_t *json = json_read_string(text, JSON_REJECT_DUPLICATES, &mistake);
    if (json_is_object(json)) return json;
    if (json) snprintf(error, size, "%s must be a JSON object", what);
    else snprintf(error, size, "%s is no JSON: line %d: %.100s", what, mistake.line, mistake.text);
    json_decref(json);
    return NULL;
}

/* ---- The manifest --------------------------------------------------------------------------- */

static bool take_text(char *to, size_t room, const json_t *object, const char *name, size_t least,
                      char *error, size_t size) {
    const char *text = json_string_value(json_object_get(object, name));
    if (text && strlen(text) >= least && strlen(text) < room) {
        memcpy(to, text, strlen(text) + 1);
        return true;
    }
    snprintf(error, size, "“%s” must be a text of %zu to %zu bytes", name, least, room - 1);
    return false;
}

static bool take_manifest(struct addon_settings *settings, const json_t *manifest, char *error,
                          size_t size) {
    const json_t *api = json_object_get(manifest, "api");
    char why[160];
    bool right = take_text(settings->id, sizeof settings->id, manifest, "id", 1, why, sizeof why) &&
                 take_text(settings->password, sizeof settings->password, api, "password",
                           LEAST_SECRET, why, sizeof why) &&
                 take_text(settings->salt, sizeof settings->salt, api, "sso_salt", LEAST_SECRET,
                           why, sizeof why);
    if (right && strchr(settings->id, ':')) {
        snprintf(why, sizeof why, "“id” must have no colon");
        right = false;
    }
    if (!right) snprintf(error, size, "the add-on's manifest: %s", why);
    return right;
}

bool addon_read_manifest(struct addon_settings *settings, const char *text, char *error,
                         size_t size) {
    json_t *manifest = parse(text, "the add-on's manifest", error, size);
    bool right = manifest && take_manifest(settings, manifest, error, size);
    json_decref(manifest);
    return right;
}

/* ---- The rest ------------------------------------------------------------------------------- */

static bool take_plan(struct addon_settings *settings, const char *name, const json_t *plan,
                      char *error, size_t size) {
    const json_t *dynos = json_object_get(plan, "dynos");
    const json_t *days = json_object_get(plan, "history_days");
    struct addon_plan *to = &settings->plans[settings->plan_count];
    if (settings->plan_count == ADDON_PLANS || strlen(name) >= sizeof to->name || !*name) {
        snprintf(error, size, "there may be %d plans, with names of at most %d bytes", ADDON_PLANS,
                 ADDON_PLAN_SIZE - 1);
        return false;
    }
    to->dynos = json_is_integer(dynos) ? json_integer_value(dynos) : 0;
    to->history_days = json_is_integer(days) ? json_integer_value(days) : USUAL_HISTORY_DAYS;
    memcpy(to->name, name, strlen(name) + 1);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)plan, key, value) {
        if (strcmp(key, "dynos") != 0 && strcmp(key, "history_days") != 0) {
            snprintf(error, size,
                     "the plan %s: “%.40s” is not known; there are dynos and "
                     "history_days",
                     name, key);
            return false;
        }
    }
    if (!json_is_object(plan) || (dynos && !json_is_integer(dynos)) ||
        (days && !json_is_integer(days)) || to->dynos < 0 || to->dynos > 1000 ||
        to->history_days < 1 || to->history_days > USUAL_HISTORY_DAYS) {
        snprintf(error, size,
                 "the plan %s: dynos must be 0 to 1000 (0: no limit), history_days 1 "
                 "to %d",
                 name, USUAL_HISTORY_DAYS);
        return false;
    }
    settings->plan_count++;
    return true;
}

static bool take_plans(struct addon_settings *settings, const json_t *plans, char *error,
                       size_t size) {
    const char *name;
    json_t *plan;
    if (plans && !json_is_object(plans)) {
        snprintf(error, size, "“plans” must be an object of plans by their names");
        return false;
    }
    json_object_foreach((json_t *)plans, name, plan) {
        if (!take_plan(settings, name, plan, error, size)) return false;
    }
    return true;
}

static bool take_switch(bool *to, const json_t *json, const char *name, char *error, size_t size) {
    const json_t *value = json_object_get(json, name);
    *to = json_is_true(value);
    if (!value || json_is_boolean(value)) return true;
    snprintf(error, size, "“%s” must be true or false", name);
    return false;
}

static bool check_names(const json_t *json, char *error, size_t size) {
    static const char *const names[] = {"manifest", "client_secret", "plans", "asynchronous",
                                        "sso_sha1"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)json, key, value) {
        bool known = false;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            known = known || strcmp(key, names[i]) == 0;
        if (known) continue;
        snprintf(error, size,
                 "“%.40s” is not known; there are manifest, client_secret, plans, "
                 "asynchronous and sso_sha1",
                 key);
        return false;
    }
    return true;
}

/* The manifest is an object here, or a file, named relative to the folder of `path`. */
static bool take_manifest_of(struct addon_settings *settings, const json_t *manifest,
                             const char *path, char *error, size_t size) {
    if (!manifest) return true;
    if (json_is_object(manifest)) return take_manifest(settings, manifest, error, size);
    const char *name = json_string_value(manifest), *slash = path ? strrchr(path, '/') : NULL;
    char beside[2 * SETTINGS_TEXT_SIZE];
    if (!name) {
        snprintf(error, size, "“manifest” must be the name of a file, or the object");
        return false;
    }
    snprintf(beside, sizeof beside, "%.*s%.1000s",
             *name != '/' && slash ? (int)(slash + 1 - path) : 0, path ? path : "", name);
    char *text = read_private(beside, error, size);
    bool right = text && addon_read_manifest(settings, text, error, size);
    free(text);
    return right;
}

static bool take(struct addon_settings *settings, const char *text, const char *path, char *error,
                 size_t size) {
    json_t *json = parse(text, "the add-on's settings", error, size);
    bool right = json && check_names(json, error, size) &&
                 take_manifest_of(settings, json_object_get(json, "manifest"), path, error, size) &&
                 take_plans(settings, json_object_get(json, "plans"), error, size) &&
                 take_switch(&settings->asynchronous, json, "asynchronous", error, size) &&
                 take_switch(&settings->sso_sha1, json, "sso_sha1", error, size);
    if (right && json_object_get(json, "client_secret"))
        right = take_text(settings->client_secret, sizeof settings->client_secret, json,
                          "client_secret", 8, error, size);
    settings->exchanges = *settings->client_secret;
    if (right && *settings->id && settings->plan_count == 0) {
        snprintf(error, size, "“plans” must name at least one plan");
        right = false;
    }
    if (right && settings->asynchronous && !*settings->client_secret) {
        snprintf(error, size,
                 "“asynchronous” needs the “client_secret”: Heroku is called with "
                 "what it gives");
        right = false;
    }
    json_decref(json);
    return right;
}

bool addon_read_settings(struct addon_settings *settings, const char *path, char *error,
                         size_t size) {
    char why[400], *text = read_private(path, error, size);
    memset(settings, 0, sizeof *settings);
    bool right = text && take(settings, text, path, why, sizeof why);
    if (text && !right) snprintf(error, size, "%.200s: %s", path, why);
    free(text);
    return right;
}

bool addon_configure(const struct settings *settings, char *error, size_t size) {
    const char *given = getenv("DYNOSCALED_HEROKU_ADDON_JSON");
    char why[400];
    bool right = true;
    memset(&configured, 0, sizeof configured);
    operator_settings = *settings;
    if (*settings->heroku_addon)
        right = addon_read_settings(&configured, settings->heroku_addon, error, size);
    else if (given && *given) {
        right = take(&configured, given, NULL, why, sizeof why);
        if (!right) snprintf(error, size, "DYNOSCALED_HEROKU_ADDON_JSON: %s", why);
    }
    const struct platform_operator operator= {
        .heroku_api = operator_settings.heroku_api,
        .heroku_id = operator_settings.heroku_id,
        .heroku_client_secret = *configured.client_secret ? configured.client_secret : NULL,
        .heroku_read_ms = operator_settings.heroku_read_s * 1000};
    platform_configure(&operator);
    return right;
}
