/*
 * Settings from code, from a framework and from the environment, in any order and of any bytes,
 * against a table of what was taken: the value in force is that of the strongest source, a value
 * that can't be used leaves one line of warning, nothing shown has the token in it, and what an
 * agent makes of its options is fit to be sent.
 */
#include "fuzz.h"

#include <ctype.h>
#include <strings.h>

#include "dynoscale_cli.h"
#include "options.h"
#include "report.h"
#include "url.h"

/* Stands for what no one may see. A byte 1 in a value becomes it. */
static const char SECRET[] = "tokenQ7Z9x";

enum { MOST_STEPS = 24, SOURCES = DYNOSCALE_SOURCE_CODE + 1, TEXT_SIZE = 4096 };

/* What was taken, as text; NULL: nothing. */
typedef struct table {
    char *values[DYNOSCALE_SETTING_COUNT][SOURCES];
} table;

static char *text_of(input part, size_t *length) {
    char text[TEXT_SIZE], *at = text;
    for (size_t i = 0; i < part.left && at < text + TEXT_SIZE - sizeof SECRET; i++) {
        if (part.at[i] == 1) at = stpcpy(at, SECRET);
        else *at++ = (char)part.at[i];
    }
    *length = (size_t)(at - text);
    return copy_of(text, *length);
}

static bool is_secret_shown(const char *text) { return text && strstr(text, SECRET); }

/* ---- What holds for each setting ------------------------------------------------------------ */

static bool is_switch(dynoscale_setting setting) {
    const char *value = dynoscale_setting_standard(setting);
    return strcmp(value, "on") == 0 || strcmp(value, "off") == 0;
}

static bool is_printable(const char *text) {
    for (; *text; text++)
        if (*text <= ' ' || *text > '~') return false;
    return true;
}

/* Whether a value in force is one that the setting may have. */
static bool is_fit(dynoscale_setting setting, const char *value) {
    int64_t ms;
    if (is_switch(setting)) return strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
    switch (setting) {
    case DYNOSCALE_SETTING_DYNO:
    case DYNOSCALE_SETTING_APP_NAME:
        return is_printable(value) && strlen(value) >= 1 && strlen(value) <= 128;
    case DYNOSCALE_SETTING_PUBLISH_FREQUENCY:
        return ds_report_frequency(value, strlen(value), &ms);
    case DYNOSCALE_SETTING_DYNOS:
        return strcmp(value, "first") == 0 || strcmp(value, "all") == 0;
    case DYNOSCALE_SETTING_LOG_LEVEL:
        return strstr("debug info warn error", value) && strlen(value) >= 4;
    default:
        return true;
    }
}

/* Scheme and host of an address by its first "://", and nothing else of it. */
static void check_shown_url(const char *url, const char *text) {
    char expected[TEXT_SIZE];
    if (!ds_url_valid(url)) {
        REQUIRE(!is_secret_shown(text), "%s", text);
        return;
    }
    const char *host = strstr(url, "://") + 3, *end = host;
    while (*end && !strchr("/?#", *end)) end++;
    for (const char *c = host; c < end; c++)
        if (*c == '@') host = c + 1;
    bool secure = tolower((unsigned char)url[4]) == 's';
    snprintf(expected, sizeof expected, "http%s://%.*s/[hidden]", secure ? "s" : "",
             (int)(end - host), host);
    REQUIRE(strcmp(text, expected) == 0, "%s, not %s", text, expected);
}

static void check_setting(const dynoscale_options *options, const table *taken,
                          dynoscale_setting setting) {
    const char *value = dynoscale_options_get(options, setting);
    const char *text = dynoscale_options_show(options, setting), *expected = NULL;
    int source = DYNOSCALE_SOURCE_DEFAULT;
    for (int s = 0; s < SOURCES; s++)
        if (taken->values[setting][s]) expected = taken->values[setting][source = s];
    REQUIRE(dynoscale_options_source(options, setting) == (dynoscale_source)source, "%d", source);
    REQUIRE((value == NULL) == (text == NULL), "%s", dynoscale_setting_name(setting));
    if (!value) {
        REQUIRE(!expected, "%s", expected);
        return;
    }
    /* A word in any case: which is in force in lower case, see is_fit. */
    bool is_word = setting == DYNOSCALE_SETTING_DYNOS || setting == DYNOSCALE_SETTING_LOG_LEVEL;
    if (expected && !is_switch(setting))
        REQUIRE((is_word ? strcasecmp : strcmp)(value, expected) == 0, "%s, not %s", value,
                expected);
    if (setting == DYNOSCALE_SETTING_URL) {
        check_shown_url(value, text);
    } else {
        REQUIRE(is_fit(setting, value), "%s", value);
        REQUIRE(strcmp(value, text) == 0, "%s shown as %s", value, text);
    }
}

/* ---- Warnings ------------------------------------------------------------------------------- */

static size_t count_warnings(const dynoscale_options *options) {
    size_t n = 0;
    for (const char *text; (text = dynoscale_options_warning(options, n)); n++) {
        REQUIRE(strlen(text) > 20, "%s", text);
        for (const char *c = text; *c; c++) REQUIRE(*c >= ' ' && *c <= '~', "byte %d", *c);
        REQUIRE(strstr(text, " instead") || strstr(text, "stays off"), "%s", text);
    }
    return n;
}

/* ---- Steps ---------------------------------------------------------------------------------- */

static void note(char **place, const char *text, size_t length) {
    free(*place);
    *place = NULL;
    if (length == 0) return;
    *place = calloc(1, length + 1);
    if (!*place) exit(1);
    for (size_t i = 0; i < length; i++) (*place)[i] = text[i] ? text[i] : 0x1A;
}

/* Gives a value in code or, as the bindings do, for a framework. */
static void give(dynoscale_options *options, table *taken, uint8_t byte, input part) {
    dynoscale_setting setting = (dynoscale_setting)(byte % (DYNOSCALE_SETTING_COUNT + 1));
    dynoscale_source source = (dynoscale_source)(byte / 16 % SOURCES);
    size_t length, warnings = count_warnings(options);
    char *text = text_of(part, &length);
    dynoscale_error error = dynoscale_options_set(options, setting, text, length, source);
    bool known = setting < DYNOSCALE_SETTING_COUNT;
    if (known && (error == DYNOSCALE_OK || setting == DYNOSCALE_SETTING_URL))
        note(&taken->values[setting][source], text, length);
    bool warned = count_warnings(options) > warnings;
    REQUIRE(known || error == DYNOSCALE_ERROR_INVALID, "%d", error);
    if (known && warnings < 16) REQUIRE(warned == (error == DYNOSCALE_ERROR_INVALID), "%d", error);
    if (warned && setting == DYNOSCALE_SETTING_URL) {
        const char *warning = dynoscale_options_warning(options, warnings);
        REQUIRE(!is_secret_shown(warning), "%s", warning);
    }
    free(text);
}

static const char *const VARIABLES[] = {
    "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",     "ALL_PROXY",    "no_proxy",
    "NO_PROXY",   "HTTP_PROXY",  "TMPDIR",      "SSL_CERT_FILE", "SSL_CERT_DIR", "DYNOSCALE_DEV",
};
enum { VARIABLE_COUNT = sizeof VARIABLES / sizeof *VARIABLES };

static char environment[DYNOSCALE_SETTING_COUNT + VARIABLE_COUNT][TEXT_SIZE];

static const char *variable_at(size_t i) {
    return i < DYNOSCALE_SETTING_COUNT ? dynoscale_setting_variable((dynoscale_setting)i)
                                       : VARIABLES[i - DYNOSCALE_SETTING_COUNT];
}

static void clear_environment(void) {
    for (size_t i = 0; i < sizeof environment / sizeof *environment; i++) {
        unsetenv(variable_at(i));
        environment[i][0] = '\0';
    }
}

/* putenv: setenv would keep a copy of each value for ever. */
static void set_variable(uint8_t byte, input part) {
    size_t i = byte % (sizeof environment / sizeof *environment), length;
    char *text = text_of(part, &length), *at = stpcpy(environment[i], variable_at(i));
    *at++ = '=';
    if (length > (size_t)(environment[i] + TEXT_SIZE - at) - 1)
        length = (size_t)(environment[i] + TEXT_SIZE - at) - 1;
    memcpy(at, text, length);
    at[length] = '\0';
    putenv(environment[i]);
    free(text);
}

static void read_environment(dynoscale_options *options, table *taken) {
    dynoscale_options *alone = dynoscale_options_new();
    if (!alone) exit(1);
    REQUIRE(dynoscale_options_read_environment(alone) == DYNOSCALE_OK, "no memory");
    dynoscale_options_read_environment(options);
    for (int i = 0; i < DYNOSCALE_SETTING_COUNT; i++) {
        dynoscale_setting setting = (dynoscale_setting)i;
        const char *value = getenv(dynoscale_setting_variable(setting));
        if (setting == DYNOSCALE_SETTING_DEV_MODE && (!value || !*value))
            value = getenv("DYNOSCALE_DEV");
        size_t length = value ? strlen(value) : 0;
        bool quoted =
            length >= 2 && (*value == '"' || *value == '\'') && value[length - 1] == *value;
        if (quoted) value++, length -= 2;
        bool refused =
            length > 0 && dynoscale_options_source(alone, setting) == DYNOSCALE_SOURCE_DEFAULT;
        if (!refused) note(&taken->values[i][DYNOSCALE_SOURCE_ENVIRONMENT], value, length);
    }
    count_warnings(alone);
    dynoscale_options_free(alone);
}

/* ---- What an agent makes of them ------------------------------------------------------------ */

static void check_headers(const ds_settings *settings) {
    char lines[DS_REPORT_HEADERS][DS_REPORT_HEADER_SIZE];
    ds_report_sender sender = {settings->user_agent, settings->dyno,
                               settings->app_name[0] ? settings->app_name : NULL};
    size_t count =
        ds_report_headers(lines, &sender, "00112233445566778899aabbccddeeff", 1700000000);
    REQUIRE(count == DS_REPORT_HEADERS - !sender.app_name, "%zu", count);
    for (size_t i = 0; i < count; i++) {
        char *value = strstr(lines[i], ": ");
        REQUIRE(value, "%s", lines[i]);
        REQUIRE(is_printable(value + 2), "%s", lines[i]);
    }
}

static void check_agents_settings(const dynoscale_options *options) {
    ds_settings *s = ds_settings_new(options, "fuzz");
    if (!s) exit(1);
    REQUIRE(s->publish_frequency_ms >= 1000 && s->publish_frequency_ms <= 3600 * 1000, "%lld",
            (long long)s->publish_frequency_ms);
    REQUIRE(strcmp(s->user_agent, "dynoscale-fuzz;" DYNOSCALE_VERSION) == 0, "%s", s->user_agent);
    REQUIRE(strcmp(s->url, dynoscale_options_get(options, DYNOSCALE_SETTING_URL)) == 0, "%s",
            s->url);
    REQUIRE(s->host[0] && is_printable(s->host) && !strpbrk(s->host, "/?#@"), "%s", s->host);
    REQUIRE(s->proxy, "curl would look into the environment");
    check_headers(s);
    ds_settings_release(s);
}

/* ---- The input ------------------------------------------------------------------------------ */

/* Steps: a byte that says where to, a byte of length, the value. The highest bit: a variable. */
void fuzz_settings(const uint8_t *data, size_t size) {
    input in = {data, size};
    table taken = {0};
    dynoscale_options *options = dynoscale_options_new();
    if (!options) exit(1);
    clear_environment();
    for (int step = 0; in.left > 0 && step < MOST_STEPS; step++) {
        uint8_t byte = (uint8_t)take(&in, 1);
        input part = take_bytes(&in, take(&in, 1));
        if (byte & 0x80) set_variable(byte & 0x7F, part);
        else give(options, &taken, byte, part);
    }
    read_environment(options, &taken);
    for (int i = 0; i < DYNOSCALE_SETTING_COUNT; i++)
        check_setting(options, &taken, (dynoscale_setting)i);
    count_warnings(options);
    dynoscale_off_reason reason = dynoscale_options_off_reason(options);
    REQUIRE(strlen(dynoscale_off_text(reason)) > 20, "%d", reason);
    if (reason == DYNOSCALE_ON) check_agents_settings(options);

    dynoscale_options_free(options);
    for (int i = 0; i < DYNOSCALE_SETTING_COUNT; i++)
        for (int s = 0; s < SOURCES; s++) free(taken.values[i][s]);
    clear_environment();
}

FUZZ(fuzz_settings)
