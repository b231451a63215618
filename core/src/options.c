#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strdup */
#endif
#include "options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dynoscale_cli.h"
#include "platform.h"
#include "report.h"
#include "url.h"

enum {
    TIMEOUT_MS = 15000,
    LONGEST_NAME = 128, /* of a dyno or an app */
    MOST_WARNINGS = 16,
    WARNING_SIZE = 320,
    SHOWN_URL_SIZE = DS_URL_LONGEST + 32,
    SOURCES = DYNOSCALE_SOURCE_CODE + 1,
};

/* Variables that are not settings: those that every HTTP client reads, and TMPDIR. */
typedef enum connection_variable {
    HTTP_PROXY,
    HTTPS_PROXY,
    ALL_PROXY,
    NO_PROXY,
    CA_FILE,
    CA_PATH,
    TEMPORARY_FOLDER,
    CONNECTION_VARIABLES
} connection_variable;

struct dynoscale_options {
    char *values[DYNOSCALE_SETTING_COUNT][SOURCES]; /* NULL: that source gives none */
    char *connection[CONNECTION_VARIABLES];
    const char *dyno_variable; /* the variable that gave the dyno's name instead of DYNO, or NULL */
    char shown_url[SHOWN_URL_SIZE];
    char warnings[MOST_WARNINGS][WARNING_SIZE];
    size_t warning_count;
};

typedef struct row {
    const char *name;
    const char *variable;
    const char *standard;
    const char *meaning;
} row;

static const row TABLE[DYNOSCALE_SETTING_COUNT] = {
#define X(id, name, variable, standard, meaning) {name, variable, standard, meaning},
    DYNOSCALE_SETTINGS(X)
#undef X
};

static bool known(dynoscale_setting setting) { return (unsigned)setting < DYNOSCALE_SETTING_COUNT; }

const char *dynoscale_setting_name(dynoscale_setting setting) {
    return known(setting) ? TABLE[setting].name : NULL;
}

const char *dynoscale_setting_variable(dynoscale_setting setting) {
    return known(setting) ? TABLE[setting].variable : NULL;
}

const char *dynoscale_setting_standard(dynoscale_setting setting) {
    return known(setting) ? TABLE[setting].standard : NULL;
}

const char *dynoscale_setting_meaning(dynoscale_setting setting) {
    return known(setting) ? TABLE[setting].meaning : NULL;
}

dynoscale_setting dynoscale_setting_find(const char *name, size_t length) {
    for (int i = 0; i < DYNOSCALE_SETTING_COUNT; i++)
        if (strlen(TABLE[i].name) == length && memcmp(TABLE[i].name, name, length) == 0)
            return (dynoscale_setting)i;
    return DYNOSCALE_SETTING_COUNT;
}

const char *dynoscale_off_text(dynoscale_off_reason reason) {
    switch (reason) {
#define X(name, text) \
    case name:        \
        return text;
        DYNOSCALE_OFF_REASONS(X)
#undef X
    }
    return "unknown reason";
}

/* A wrong address has a warning of its own; the other reasons are intended. */
bool dynoscale_off_is_unusual(dynoscale_off_reason reason) {
    return reason == DYNOSCALE_OFF_NO_DYNO;
}

/* ---- Validation --------------------------------------------------------------------------- */

/* Further warnings are left out: sixteen say enough. */
__attribute__((format(printf, 2, 3))) static void warn(dynoscale_options *options,
                                                       const char *format, ...) {
    if (options->warning_count == MOST_WARNINGS) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(options->warnings[options->warning_count++], WARNING_SIZE, format, arguments);
    va_end(arguments);
}

/* Shows a wrong value only if it is short and printable, and never a URL. */
static const char *shown(const char *value, char text[40]) {
    size_t n = 0;
    for (; n < 32 && value[n]; n++) text[n] = value[n] >= 0x20 && value[n] < 0x7F ? value[n] : '?';
    strcpy(text + n, value[n] ? "..." : "");
    return text;
}

/* Set and not 0, false or empty. "off" and "no" are false too, except for skip, which is documented
 * to be switched on by any other text. */
static bool is_on(dynoscale_setting setting, const char *value) {
    static const char *const off[] = {"", "0", "false", "off", "no"};
    const size_t words = setting == DYNOSCALE_SETTING_SKIP ? 3 : sizeof off / sizeof *off;
    for (size_t i = 0; value && i < words; i++)
        if (strcasecmp(value, off[i]) == 0) return false;
    return value != NULL;
}

static bool is_one_of(const char *value, const char *const *words) {
    for (; *words; words++)
        if (strcasecmp(value, *words) == 0) return true;
    return false;
}

static bool is_a_word(dynoscale_setting setting) {
    return setting == DYNOSCALE_SETTING_DYNOS || setting == DYNOSCALE_SETTING_LOG_LEVEL;
}

static void to_lower_case(char *text) {
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'Z') *text = (char)(*text + ('a' - 'A'));
}

static bool is_header_text(const char *value) {
    if (strlen(value) > LONGEST_NAME) return false;
    for (; *value; value++)
        if (*value <= 0x20 || *value >= 0x7F) return false;
    return true;
}

static dynoscale_error refuse_url(dynoscale_options *options, const char *label) {
    warn(options,
         "%s is not an http or https address of at most %d printable ASCII characters without "
         "blanks (its value is not shown, since it may hold a token): the agent stays off",
         label, DS_URL_LONGEST);
    return DYNOSCALE_ERROR_INVALID;
}

/* What is wrong with a value, or NULL. */
static const char *fault_of(dynoscale_setting setting, const char *value) {
    static const char *const dynos[] = {"first", "all", NULL};
    static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
    int64_t ms;
    switch (setting) {
    case DYNOSCALE_SETTING_DYNO:
    case DYNOSCALE_SETTING_APP_NAME:
        return is_header_text(value)
                   ? NULL
                   : "text of at most 128 printable ASCII characters without blanks";
    case DYNOSCALE_SETTING_PUBLISH_FREQUENCY:
        return ds_report_frequency(value, strlen(value), &ms) ? NULL : "a number from 1 to 3600";
    case DYNOSCALE_SETTING_DYNOS:
        return is_one_of(value, dynos) ? NULL : "\"first\" or \"all\"";
    case DYNOSCALE_SETTING_LOG_LEVEL:
        return is_one_of(value, levels) ? NULL : "debug, info, warn or error";
    default:
        return NULL; /* switches: any text means something */
    }
}

/* ---- Values ------------------------------------------------------------------------------- */

dynoscale_options *dynoscale_options_new(void) { return calloc(1, sizeof(dynoscale_options)); }

void dynoscale_options_free(dynoscale_options *options) {
    if (!options) return;
    for (int i = 0; i < DYNOSCALE_SETTING_COUNT; i++)
        for (int s = 0; s < SOURCES; s++) free(options->values[i][s]);
    for (int i = 0; i < CONNECTION_VARIABLES; i++) free(options->connection[i]);
    free(options);
}

static void store(char **place, char *value) {
    free(*place);
    *place = value;
}

/* The setting as the user knows it: its variable, or its name in code. */
static const char *label_of(const dynoscale_options *options, dynoscale_setting setting,
                            dynoscale_source source) {
    if (setting == DYNOSCALE_SETTING_DYNO && source == DYNOSCALE_SOURCE_ENVIRONMENT &&
        options->dyno_variable)
        return options->dyno_variable;
    return source == DYNOSCALE_SOURCE_ENVIRONMENT ? TABLE[setting].variable : TABLE[setting].name;
}

static dynoscale_error refuse(dynoscale_options *options, dynoscale_setting setting,
                              const char *value, const char *fault, dynoscale_source source) {
    char text[40];
    const char *instead = dynoscale_options_get(options, setting);
    warn(options, "%s is \"%s\", which is not %s: using %s instead",
         label_of(options, setting, source), shown(value, text), fault, instead ? instead : "none");
    return DYNOSCALE_ERROR_INVALID;
}

dynoscale_error dynoscale_options_set(dynoscale_options *options, dynoscale_setting setting,
                                      const char *value, size_t length, dynoscale_source source) {
    if (!known(setting) || (unsigned)source >= SOURCES) return DYNOSCALE_ERROR_INVALID;
    char **place = &options->values[setting][source];
    if (!value || length == 0) {
        store(place, NULL);
        return DYNOSCALE_OK;
    }
    char *copy = malloc(length + 1);
    if (!copy) return DYNOSCALE_ERROR_NO_MEMORY;
    for (size_t i = 0; i < length; i++) copy[i] = value[i] ? value[i] : 0x1A; /* no NUL is valid */
    copy[length] = '\0';

    /* A wrong URL is kept, so that the reason for being off is right. */
    if (setting == DYNOSCALE_SETTING_URL) {
        store(place, copy);
        return ds_url_valid(copy) ? DYNOSCALE_OK
                                  : refuse_url(options, label_of(options, setting, source));
    }
    const char *fault = fault_of(setting, copy);
    if (!fault) {
        if (is_a_word(setting)) to_lower_case(copy);
        store(place, copy);
        return DYNOSCALE_OK;
    }
    dynoscale_error error = refuse(options, setting, copy, fault, source);
    free(copy);
    return error;
}

static dynoscale_error read_connection(dynoscale_options *options) {
    /* Lower case first, as curl does; HTTP_PROXY in capitals is a request header in CGI. */
    static const char *const names[CONNECTION_VARIABLES][2] = {
        [HTTP_PROXY] = {"http_proxy", NULL},      [HTTPS_PROXY] = {"https_proxy", "HTTPS_PROXY"},
        [ALL_PROXY] = {"all_proxy", "ALL_PROXY"}, [NO_PROXY] = {"no_proxy", "NO_PROXY"},
        [CA_FILE] = {"SSL_CERT_FILE", NULL},      [CA_PATH] = {"SSL_CERT_DIR", NULL},
        [TEMPORARY_FOLDER] = {"TMPDIR", NULL},
    };
    for (int i = 0; i < CONNECTION_VARIABLES; i++) {
        const char *value = getenv(names[i][0]);
        if (!value && names[i][1]) value = getenv(names[i][1]);
        store(&options->connection[i], NULL);
        if (!value || !*value) continue;
        options->connection[i] = strdup(value);
        if (!options->connection[i]) return DYNOSCALE_ERROR_NO_MEMORY;
    }
    return DYNOSCALE_OK;
}

static const char *variable_value(dynoscale_setting setting) {
    const char *value = getenv(TABLE[setting].variable);
    if (setting == DYNOSCALE_SETTING_DEV_MODE && (!value || !*value))
        return getenv("DYNOSCALE_DEV"); /* the older agents' name for it */
    return value;
}

/* Strips a pair of quotes around the value: they remain if a file of variables is not read by a
 * shell, as with docker's --env-file. */
static size_t without_quotes(const char **value) {
    size_t length = *value ? strlen(*value) : 0;
    if (length < 2 || !strchr("\"'", **value) || (*value)[length - 1] != **value) return length;
    ++*value;
    return length - 2;
}

static dynoscale_error read_variable(dynoscale_options *options, dynoscale_setting setting) {
    char name[DS_PLATFORM_NAME_SIZE];
    const char *value = variable_value(setting);
    size_t length = without_quotes(&value);
    if (setting == DYNOSCALE_SETTING_DYNO) {
        options->dyno_variable = length == 0 ? ds_platform_name(name) : NULL;
        if (options->dyno_variable) length = strlen(value = name);
    }
    return dynoscale_options_set(options, setting, value, length, DYNOSCALE_SOURCE_ENVIRONMENT);
}

dynoscale_error dynoscale_options_read_environment(dynoscale_options *options) {
    /* These first: the others' defaults, which warnings name, depend on them. */
    dynoscale_error error = read_variable(options, DYNOSCALE_SETTING_DEV_MODE);
    for (int i = 0; i < DYNOSCALE_SETTING_COUNT && error != DYNOSCALE_ERROR_NO_MEMORY; i++)
        error = read_variable(options, (dynoscale_setting)i);
    return error == DYNOSCALE_ERROR_NO_MEMORY ? error : read_connection(options);
}

dynoscale_source dynoscale_options_source(const dynoscale_options *options,
                                          dynoscale_setting setting) {
    if (!known(setting)) return DYNOSCALE_SOURCE_DEFAULT;
    for (int s = DYNOSCALE_SOURCE_CODE; s > DYNOSCALE_SOURCE_DEFAULT; s--)
        if (options->values[setting][s]) return (dynoscale_source)s;
    return DYNOSCALE_SOURCE_DEFAULT;
}

/* The value as a source gave it, or NULL. */
static const char *given(const dynoscale_options *options, dynoscale_setting setting) {
    return options->values[setting][dynoscale_options_source(options, setting)];
}

static bool is_given_on(const dynoscale_options *options, dynoscale_setting setting) {
    return is_on(setting, given(options, setting));
}

static bool in_dev_mode(const dynoscale_options *options) {
    return is_given_on(options, DYNOSCALE_SETTING_DEV_MODE);
}

static bool is_switch(dynoscale_setting setting) {
    return setting == DYNOSCALE_SETTING_SKIP || setting == DYNOSCALE_SETTING_DEV_MODE ||
           setting == DYNOSCALE_SETTING_QUEUE_TIME || setting == DYNOSCALE_SETTING_SERVER_TIMING ||
           setting == DYNOSCALE_SETTING_JOBS;
}

static const char *standard_value(const dynoscale_options *options, dynoscale_setting setting) {
    switch (setting) {
    case DYNOSCALE_SETTING_DYNO:
        return in_dev_mode(options) ? "dev.1" : NULL;
    case DYNOSCALE_SETTING_PUBLISH_FREQUENCY:
        return in_dev_mode(options) ? "1" : TABLE[setting].standard;
    case DYNOSCALE_SETTING_DYNOS:
    case DYNOSCALE_SETTING_LOG_LEVEL:
    case DYNOSCALE_SETTING_JOBS:
        return TABLE[setting].standard;
    default:
        return NULL;
    }
}

const char *dynoscale_options_get(const dynoscale_options *options, dynoscale_setting setting) {
    if (!known(setting)) return NULL;
    const char *value = given(options, setting);
    if (!value) value = standard_value(options, setting);
    if (is_switch(setting)) return is_on(setting, value) ? "true" : "false";
    return value;
}

const char *dynoscale_options_show(const dynoscale_options *options, dynoscale_setting setting) {
    const char *value = dynoscale_options_get(options, setting);
    if (setting != DYNOSCALE_SETTING_URL || !value) return value;
    if (!ds_url_valid(value)) return "[not an address; hidden]";

    /* A cache of shown text: it does not change what the options mean. */
    char *text = ((dynoscale_options *)options)->shown_url;
    const char *host;
    size_t length = ds_url_authority(value, &host);
    snprintf(text, SHOWN_URL_SIZE, "%s://%.*s/[hidden]", ds_url_is_https(value) ? "https" : "http",
             (int)length, host);
    return text;
}

const char *dynoscale_options_warning(const dynoscale_options *options, size_t index) {
    return index < options->warning_count ? options->warnings[index] : NULL;
}

/* ---- On or off ---------------------------------------------------------------------------- */

const char *ds_options_dyno_variable(const dynoscale_options *options) {
    dynoscale_source source = dynoscale_options_source(options, DYNOSCALE_SETTING_DYNO);
    return source == DYNOSCALE_SOURCE_ENVIRONMENT ? options->dyno_variable : NULL;
}

/* Only Heroku and Scalingo name one-off dynos: a Kubernetes deployment may be called scheduler. */
static bool is_one_off(const dynoscale_options *options, const char *dyno) {
    const char *variable = ds_options_dyno_variable(options);
    return (!variable || strcmp(variable, "CONTAINER") == 0) && ds_platform_is_one_off(dyno);
}

dynoscale_off_reason dynoscale_options_off_reason(const dynoscale_options *options) {
    const char *url = dynoscale_options_get(options, DYNOSCALE_SETTING_URL);
    const char *dyno = dynoscale_options_get(options, DYNOSCALE_SETTING_DYNO);
    if (is_given_on(options, DYNOSCALE_SETTING_SKIP)) return DYNOSCALE_OFF_SKIPPED;
    if (!url) return DYNOSCALE_OFF_NO_URL;
    if (!ds_url_valid(url)) return DYNOSCALE_OFF_BAD_URL;
    if (!dyno) return DYNOSCALE_OFF_NO_DYNO;
    if (is_one_off(options, dyno)) return DYNOSCALE_OFF_ONE_OFF;
    if (strcmp(dynoscale_options_get(options, DYNOSCALE_SETTING_DYNOS), "all") == 0)
        return DYNOSCALE_ON;
    return ds_platform_is_not_first(dyno) ? DYNOSCALE_OFF_NOT_FIRST : DYNOSCALE_ON;
}

/* ---- What an agent keeps ------------------------------------------------------------------ */

static bool copied(char **place, const char *value) {
    *place = value ? strdup(value) : NULL;
    return *place || !value;
}

static void copy_text(char *place, size_t size, const char *value) {
    snprintf(place, size, "%s", value ? value : "");
}

static const char *proxy_for(const dynoscale_options *options, const char *url) {
    const char *proxy = options->connection[ds_url_is_https(url) ? HTTPS_PROXY : HTTP_PROXY];
    if (!proxy) proxy = options->connection[ALL_PROXY];
    return proxy ? proxy : "";
}

static ds_settings *settings_for(const dynoscale_options *options, const char *language,
                                 const char *url, const char *proxy) {
    ds_settings *settings = calloc(1, sizeof *settings);
    if (!settings) return NULL;
    atomic_init(&settings->references, 1);

    settings->timeout_ms = TIMEOUT_MS;
    const char *seconds = dynoscale_options_get(options, DYNOSCALE_SETTING_PUBLISH_FREQUENCY);
    ds_report_frequency(seconds, strlen(seconds), &settings->publish_frequency_ms);
    settings->dev_mode = in_dev_mode(options);
    const char *host;
    size_t host_length = ds_url_authority(url, &host);
    snprintf(settings->host, sizeof settings->host, "%.*s", (int)host_length, host);
    copy_text(settings->dyno, sizeof settings->dyno,
              dynoscale_options_get(options, DYNOSCALE_SETTING_DYNO));
    copy_text(settings->app_name, sizeof settings->app_name,
              dynoscale_options_get(options, DYNOSCALE_SETTING_APP_NAME));
    snprintf(settings->user_agent, sizeof settings->user_agent, "dynoscale-%s;%s", language,
             DYNOSCALE_VERSION);

    const char *folder = options->connection[TEMPORARY_FOLDER];
    ds_leader_path(settings->lock_path, folder ? folder : "/tmp", settings->dyno, url);

    bool whole = copied(&settings->url, url) && copied(&settings->proxy, proxy) &&
                 copied(&settings->no_proxy, options->connection[NO_PROXY]) &&
                 copied(&settings->ca_file, options->connection[CA_FILE]) &&
                 copied(&settings->ca_path, options->connection[CA_PATH]);
    if (whole) return settings;
    ds_settings_release(settings);
    return NULL;
}

ds_settings *ds_settings_new(const dynoscale_options *options, const char *language) {
    const char *url = dynoscale_options_get(options, DYNOSCALE_SETTING_URL);
    return settings_for(options, language, url, proxy_for(options, url));
}

ds_settings *ds_settings_for_app(const dynoscale_options *options, const char *language,
                                 const char *url) {
    const char *proxy = ds_url_is_local(url) ? "" : proxy_for(options, url);
    return settings_for(options, language, url, proxy);
}

static bool same(const char *one, const char *other) {
    return one && other ? strcmp(one, other) == 0 : one == other;
}

bool ds_settings_equal(const ds_settings *one, const ds_settings *other) {
    return same(one->url, other->url) && same(one->proxy, other->proxy) &&
           same(one->no_proxy, other->no_proxy) && same(one->ca_file, other->ca_file) &&
           same(one->ca_path, other->ca_path) && same(one->user_agent, other->user_agent) &&
           same(one->dyno, other->dyno) && same(one->app_name, other->app_name) &&
           same(one->lock_path, other->lock_path) &&
           one->publish_frequency_ms == other->publish_frequency_ms &&
           one->timeout_ms == other->timeout_ms && one->dev_mode == other->dev_mode;
}

ds_settings *ds_settings_hold(ds_settings *settings) {
    atomic_fetch_add(&settings->references, 1);
    return settings;
}

void ds_settings_release(ds_settings *settings) {
    if (atomic_fetch_sub(&settings->references, 1) > 1) return;
    free(settings->url);
    free(settings->proxy);
    free(settings->no_proxy);
    free(settings->ca_file);
    free(settings->ca_path);
    free(settings);
}
