#define _GNU_SOURCE /* strchrnul */
#include "settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/address.h"
#include "log.h"
#include "platforms/mail.h"
#include "store/store.h"

enum kind { TEXT, LIST, NUMBER, SWITCH };

struct setting {
    const char *name;
    const char *value; /* its value's name in --help; NULL: a switch */
    const char *usual; /* the default, as it would be written */
    const char *meaning;
    enum kind kind;
    size_t offset;
    int64_t least, most;
    bool (*check)(const char *value, char *error, size_t size); /* error: what is allowed */
};

static bool check_listen(const char *value, char *error, size_t size) {
    char host[SETTINGS_TEXT_SIZE], port[8];
    if (strncmp(value, "unix:/", 6) == 0) return true;
    return address_split(value, host, sizeof host, port, sizeof port, error, size);
}

static bool check_proxies(const char *value, char *error, size_t size) {
    struct address_networks networks;
    return address_read_networks(&networks, value, error, size);
}

static bool check_hosts(const char *value, char *error, size_t size) {
    if (strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]*, ") ==
        strlen(value))
        return true;
    snprintf(error, size, "it must be names of hosts, as hooks.slack.com,*.example.com");
    return false;
}

static bool check_level(const char *value, char *error, size_t size) {
    enum log_level level;
    if (log_level_named(value, &level)) return true;
    snprintf(error, size, "it must be debug, info, warn or error");
    return false;
}

static bool check_url(const char *value, char *error, size_t size) {
    bool http = strncmp(value, "http://", 7) == 0, https = strncmp(value, "https://", 8) == 0;
    const char *host = value + (https ? 8 : 7);
    size_t length = http || https ? strcspn(host, "/?#") : 0;
    bool rest =
        http || https ? strcmp(host + length, "") == 0 || strcmp(host + length, "/") == 0 : false;
    for (size_t i = 0; i < length; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]",
                    host[i]))
            rest = false;
    if (length > 0 && rest) return true;
    snprintf(error, size, "it must be like https://dynoscale.example, without a path");
    return false;
}

static bool check_database(const char *value, char *error, size_t size) {
    if (store_is_url(value)) return true;
    snprintf(error, size, "it must be like postgresql://USER:PASSWORD@HOST/DATABASE");
    return false;
}

static bool check_sender(const char *value, char *error, size_t size) {
    char why[120];
    if (mail_check_address(value, why, sizeof why)) return true;
    snprintf(error, size, "it %s", why);
    return false;
}

#define AT(field) offsetof(struct settings, field)

static const struct setting table[] = {
    {"data", "DIR", "",
     "the folder of all data, made (0700) where it is not there; by default ./dynoscaled-data if "
     "there is one, else /var/lib/dynoscaled for root, ~/.local/share/dynoscaled for others",
     TEXT, AT(data), 0, 0, NULL},
    {"database", "URL", "",
     "keeps the data in PostgreSQL, 15 or newer, for any number of services: "
     "postgresql://USER@HOST/DATABASE, with a password better in DYNOSCALED_DATABASE or the file "
     "DIR/database, since others see a command line; the key and the sockets stay in the folder",
     TEXT, AT(database), 0, 0, check_database},
    {"listen", "ADDRESS", "127.0.0.1:8080",
     "where to listen: 127.0.0.1:8080, [::]:8080 or, for a proxy in front, unix:/path; up to 8, "
     "each with a --listen, in the environment separated by blanks",
     LIST, AT(listen), 0, 0, check_listen},
    {"public-url", "URL", "",
     "how browsers and agents reach the service, as https://dynoscale.example; by default the "
     "first address that it listens on",
     TEXT, AT(public_url), 0, 0, check_url},
    {"trusted-proxy", "ADDRESSES", "",
     "proxies whose X-Forwarded-For is believed, as 127.0.0.1 or 10.0.0.0/8, separated by commas",
     TEXT, AT(trusted_proxies), 0, 0, check_proxies},
    {"log-level", "LEVEL", "info", "the least that is logged: debug, info, warn or error", TEXT,
     AT(log_level), 0, 0, check_level},
    {"connections", "N", "10000", "at most so many at once", NUMBER, AT(connections), 1, 1000000,
     NULL},
    {"connections-a-peer", "N", "2000", "of one address, but of a trusted proxy", NUMBER,
     AT(connections_a_peer), 1, 1000000, NULL},
    {"held-mb", "MB", "128", "of memory for requests that are not answered yet", NUMBER,
     AT(held_mb), 2, 65536, NULL},
    {"head-ms", "MS", "10000", "until a request's head must have arrived", NUMBER, AT(head_ms), 10,
     3600000, NULL},
    {"body-ms", "MS", "30000", "until its body must have arrived after that", NUMBER, AT(body_ms),
     10, 3600000, NULL},
    {"idle-ms", "MS", "75000", "that a connection may wait for its next request", NUMBER,
     AT(idle_ms), 10, 3600000, NULL},
    {"answer-ms", "MS", "60000", "from a request to the end of its answer", NUMBER, AT(answer_ms),
     10, 3600000, NULL},
    {"stream-ms", "MS", "20000", "between signs of life in a stream of events", NUMBER,
     AT(stream_ms), 10, 3600000, NULL},
    {"api-threads", "N", "2", "for the API and the pages", NUMBER, AT(api_threads), 1, 64, NULL},
    {"act-threads", "N", "4", "for calls to platforms", NUMBER, AT(act_threads), 1, 64, NULL},
    {"act-timeout-s", "S", "30", "of one call to a platform", NUMBER, AT(act_timeout_s), 1, 600,
     NULL},
    {"private-platforms", NULL, "off",
     "lets webhooks and other platforms be at loopback, link-local and private addresses", SWITCH,
     AT(private_platforms), 0, 0, NULL},
    {"call-hosts", "NAMES", "",
     "the only hosts at which platforms and webhooks may be: names, and *.example.com for all "
     "below "
     "one, separated by commas; by default any that is public",
     TEXT, AT(call_hosts), 0, 0, check_hosts},
    {"tls-only", NULL, "off",
     "calls platforms, webhooks and the mail server by TLS alone, with certificates that are "
     "checked, and takes no database without sslmode=verify-full but over a socket file",
     SWITCH, AT(tls_only), 0, 0, NULL},
    {"hsts-subdomains", NULL, "off",
     "tells browsers that all names below the public address's take https alone, too", SWITCH,
     AT(hsts_subdomains), 0, 0, NULL},
    {"public-metrics", NULL, "off",
     "lets anybody read the service's own numbers at /metrics; those of apps always need a token",
     SWITCH, AT(public_metrics), 0, 0, NULL},
    {"heroku-addon", "FILE", "",
     "what makes the service Heroku's add-on: its manifest, plans and OAuth client, as `dynoscaled "
     "heroku manifest` writes it (0600)",
     TEXT, AT(heroku_addon), 0, 0, NULL},
    {"heroku-api", "URL", "https://api.heroku.com", "where Heroku's Platform API is", TEXT,
     AT(heroku_api), 0, 0, check_url},
    {"heroku-id", "URL", "https://id.heroku.com", "where Heroku's identity service is", TEXT,
     AT(heroku_id), 0, 0, check_url},
    {"heroku-read-s", "S", "10", "between readings of an app on Heroku, where its budget allows it",
     NUMBER, AT(heroku_read_s), 1, 50, NULL},
    {"smtp", "URL", "",
     "the server by which e-mail is sent, as smtps://user@mail.example or smtp://localhost; its "
     "password is read from DYNOSCALED_SMTP_PASSWORD",
     TEXT, AT(smtp), 0, 0, mail_check_server},
    {"mail-from", "ADDRESS", "", "who sends it", TEXT, AT(mail_from), 0, 0, check_sender},
    {"commit-ms", "MS", "15", "from one commit's begin to the next's: reports wait as long at most",
     NUMBER, AT(commit_ms), 0, 1000, NULL},
    {"tick-s", "S", "10", "between decisions", NUMBER, AT(tick_s), 1, 60, NULL},
    {"publish-s", "S", "10", "between reports, as agents are asked", NUMBER, AT(publish_s), 1, 3600,
     NULL},
    {"drain-s", "S", "20", "at the end, for requests that have begun", NUMBER, AT(drain_s), 1, 3600,
     NULL},
    {"reuse-port", NULL, "off", "lets a second process listen on the same port", SWITCH,
     AT(reuse_port), 0, 0, NULL},
    {"show-settings", NULL, "off", "prints the settings and where each is from, and ends", SWITCH,
     AT(show), 0, 0, NULL},
};
enum { SETTINGS = sizeof table / sizeof *table };
_Static_assert(sizeof table / sizeof *table <= (size_t)SETTINGS_MOST,
               "a row has no place in settings->from");

static void *field(const struct settings *settings, const struct setting *setting) {
    return (char *)settings + setting->offset;
}

/* ---- Reading -------------------------------------------------------------------------------- */

static bool read_number(int64_t *number, const struct setting *setting, const char *value,
                        char *error, size_t size) {
    char *end;
    errno = 0;
    long long read = strtoll(value, &end, 10);
    bool digits = *value && strspn(value, "0123456789") == strlen(value);
    if (digits && errno == 0 && read >= setting->least && read <= setting->most) {
        *number = read;
        return true;
    }
    snprintf(error, size, "it must be a number from %" PRId64 " to %" PRId64, setting->least,
             setting->most);
    return false;
}

static bool read_switch(bool *on, const char *value, char *error, size_t size) {
    static const char *const yes[] = {"on", "true", "yes", "1"};
    static const char *const no[] = {"off", "false", "no", "0"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        *on = strcmp(value, yes[i]) == 0;
        if (*on || strcmp(value, no[i]) == 0) return true;
    }
    snprintf(error, size, "it must be on or off");
    return false;
}

static bool read_text(char *text, const struct setting *setting, const char *value, char *error,
                      size_t size) {
    if (strlen(value) >= SETTINGS_TEXT_SIZE) {
        snprintf(error, size, "it is longer than %d bytes", SETTINGS_TEXT_SIZE - 1);
        return false;
    }
    if (!*value) {
        snprintf(error, size, "it is empty");
        return false;
    }
    if (setting->check && !setting->check(value, error, size)) return false;
    strcpy(text, value);
    return true;
}

static bool add_listener(struct settings *settings, const struct setting *setting,
                         const char *value, char *error, size_t size) {
    if (settings->listen_count == SETTINGS_LISTENERS) {
        snprintf(error, size, "there may be %d addresses", SETTINGS_LISTENERS);
        return false;
    }
    return read_text(settings->listen[settings->listen_count++], setting, value, error, size);
}

static bool read_value(struct settings *settings, const struct setting *setting, const char *value,
                       char *error, size_t size) {
    switch (setting->kind) {
    case NUMBER:
        return read_number(field(settings, setting), setting, value, error, size);
    case SWITCH:
        return read_switch(field(settings, setting), value, error, size);
    case LIST:
        return add_listener(settings, setting, value, error, size);
    default:
        return read_text(field(settings, setting), setting, value, error, size);
    }
}

/* `written`: how the setting was written, for errors. */
static bool set(struct settings *settings, size_t number, const char *value, const char *written,
                enum settings_from from, char *error, size_t size) {
    const struct setting *setting = &table[number];
    char why[300];
    /* A higher source replaces a list; the same source adds to it. */
    if (setting->kind == LIST && settings->from[number] != from) settings->listen_count = 0;
    settings->from[number] = (unsigned char)from;
    if (read_value(settings, setting, value, why, sizeof why)) return true;
    snprintf(error, size, "%s is \"%.100s\", but %s", written, value, why);
    return false;
}

static bool set_words(struct settings *settings, size_t number, const char *value,
                      const char *written, enum settings_from from, char *error, size_t size) {
    if (table[number].kind != LIST) return set(settings, number, value, written, from, error, size);
    char word[SETTINGS_TEXT_SIZE];
    for (value += strspn(value, " ,"); *value; value += strspn(value, " ,")) {
        size_t length = strcspn(value, " ,");
        snprintf(word, sizeof word, "%.*s", (int)length, value);
        if (!set(settings, number, word, written, from, error, size)) return false;
        value += length;
    }
    return true;
}

static void variable_of(char variable[64], const struct setting *setting) {
    size_t length = (size_t)snprintf(variable, 64, "DYNOSCALED_%s", setting->name);
    for (size_t i = 0; i < length; i++) {
        if (variable[i] == '-') variable[i] = '_';
        if (variable[i] >= 'a' && variable[i] <= 'z') variable[i] = (char)(variable[i] - 32);
    }
}

static bool read_environment(struct settings *settings, char *error, size_t size) {
    for (size_t i = 0; i < SETTINGS; i++) {
        char variable[64];
        variable_of(variable, &table[i]);
        const char *value = getenv(variable);
        if (!value || !*value) continue;
        if (!set_words(settings, i, value, variable, SETTINGS_ENVIRONMENT, error, size))
            return false;
    }
    return true;
}

static int find(const char *name, size_t length) {
    for (int i = 0; i < SETTINGS; i++)
        if (strlen(table[i].name) == length && memcmp(table[i].name, name, length) == 0) return i;
    return -1;
}

static bool unknown(const char *argument, char *error, size_t size) {
    const char *name = argument + strspn(argument, "-");
    size_t length = (size_t)(strchrnul(name, '=') - name), least = 4;
    const char *nearest = NULL;
    for (size_t i = 0; i < SETTINGS; i++) {
        size_t far = text_distance(name, length, table[i].name);
        if (far < least) least = far, nearest = table[i].name;
    }
    snprintf(error, size, "serve does not know \"%.100s\"%s%s%s. See dynoscaled serve --help",
             argument, nearest ? " (it knows --" : "", nearest ? nearest : "", nearest ? ")" : "");
    return false;
}

static bool read_arguments(struct settings *settings, int count, char **arguments, char *error,
                           size_t size) {
    for (int i = 0; i < count; i++) {
        const char *argument = arguments[i], *name = argument + 2;
        const char *equals = strchrnul(argument, '=');
        int number = strncmp(argument, "--", 2) == 0 ? find(name, (size_t)(equals - name)) : -1;
        if (number < 0) return unknown(argument, error, size);
        const char *value = *equals ? equals + 1 : "on";
        char written[40];
        snprintf(written, sizeof written, "--%s", table[number].name);
        if (!*equals && table[number].kind != SWITCH) {
            if (i + 1 == count) {
                snprintf(error, size, "%s needs a value: %s %s", written, written,
                         table[number].value);
                return false;
            }
            value = arguments[++i];
        }
        if (!set(settings, (size_t)number, value, written, SETTINGS_ARGUMENT, error, size))
            return false;
    }
    return true;
}

static bool set_usual(struct settings *settings, char *error, size_t size) {
    for (size_t i = 0; i < SETTINGS; i++)
        if (*table[i].usual &&
            !set(settings, i, table[i].usual, table[i].name, SETTINGS_USUAL, error, size))
            return false;
    return true;
}

static bool put_folder(char *folder, size_t size, const char *parent, const char *name) {
    return parent && *parent && snprintf(folder, size, "%s%s", parent, name) < (int)size;
}

static bool is_folder(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool settings_data_folder(char *folder, size_t folder_size, char *error, size_t size) {
    if (put_folder(folder, folder_size, getenv("DYNOSCALED_DATA"), "") ||
        put_folder(folder, folder_size, getenv("STATE_DIRECTORY"), "") ||
        (is_folder("dynoscaled-data") && put_folder(folder, folder_size, "dynoscaled-data", "")) ||
        (geteuid() == 0 && put_folder(folder, folder_size, "/var/lib", "/dynoscaled")) ||
        put_folder(folder, folder_size, getenv("XDG_DATA_HOME"), "/dynoscaled") ||
        put_folder(folder, folder_size, getenv("HOME"), "/.local/share/dynoscaled"))
        return true;
    snprintf(error, size, "there is no folder for the data: say one with --data DIR");
    return false;
}

/* Whether the connection to a database uses TLS with a verified certificate, or is a socket
 * file. */
static bool database_is_checked(const char *url) {
    const char *host = strstr(url, "://"), *query = strchr(url, '?');
    if (!*url || strstr(query ? query : "", "sslmode=verify-full")) return true;
    if (query && (strstr(query, "host=/") || strstr(query, "host=%2F"))) return true;
    host = host ? host + 3 : "";
    size_t length = strcspn(host, "/?");
    const char *at = memchr(host, '@', length);
    return at && strncasecmp(at + 1, "%2F", 3) == 0;
}

/* Sets defaults that depend on other settings, and checks settings against each other. */
static bool complete(struct settings *settings, char *error, size_t size) {
    if (!*settings->data &&
        !settings_data_folder(settings->data, sizeof settings->data, error, size))
        return false;
    char *const urls[] = {settings->public_url, settings->heroku_api, settings->heroku_id};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        size_t length = strlen(urls[i]);
        if (length > 0 && urls[i][length - 1] == '/') urls[i][length - 1] = '\0';
    }
    if (settings->tls_only && !database_is_checked(settings->database)) {
        snprintf(error, size,
                 "--tls-only needs sslmode=verify-full in the database's URL (and sslrootcert), or "
                 "a socket file: ?host=/var/run/postgresql");
        return false;
    }
    if (*settings->smtp && !*settings->mail_from) {
        snprintf(error, size, "--smtp needs --mail-from: the address that sends");
        return false;
    }
    return true;
}

bool settings_read(struct settings *settings, int count, char **arguments, char *error,
                   size_t size) {
    memset(settings, 0, sizeof *settings);
    return set_usual(settings, error, size) && read_environment(settings, error, size) &&
           read_arguments(settings, count, arguments, error, size) &&
           complete(settings, error, size);
}

/* ---- Writing -------------------------------------------------------------------------------- */

enum { MEANING_COLUMN = 30, HELP_WIDTH = 96 };

/* Prints the words, broken into lines. */
static void put_meaning(struct text *text, const char *words) {
    size_t column = MEANING_COLUMN;
    while (*words) {
        size_t length = strcspn(words, " ");
        if (column + length + 1 > HELP_WIDTH) {
            text_format(text, "\n%*s", MEANING_COLUMN, "");
            column = MEANING_COLUMN;
        } else if (column > MEANING_COLUMN) {
            text_char(text, ' ');
            column++;
        }
        text_add(text, words, length);
        column += length;
        words += length;
        words += strspn(words, " ");
    }
}

const char *settings_place(const struct settings *settings) {
    return *settings->database ? settings->database : settings->data;
}

void settings_help(struct text *text) {
    for (size_t i = 0; i < SETTINGS; i++) {
        const struct setting *setting = &table[i];
        char name[64];
        struct text meaning = TEXT_EMPTY;
        snprintf(name, sizeof name, "--%s %s", setting->name, setting->value ? setting->value : "");
        text_put(&meaning, setting->meaning);
        if (*setting->usual && setting->kind != SWITCH)
            text_format(&meaning, " (%s)", setting->usual);
        text_format(text, "  %-*s", MEANING_COLUMN - 2, name);
        if (meaning.bytes) put_meaning(text, meaning.bytes);
        text_char(text, '\n');
        text_free(&meaning);
    }
}

/* Prints a URL without its password. */
static void put_url(struct text *text, const char *url) {
    const char *begin = strstr(url, "://"), *at = begin ? strchr(begin + 3, '@') : NULL;
    const char *colon = at ? memchr(begin + 3, ':', (size_t)(at - begin - 3)) : NULL;
    if (strstr(url, "password="))
        text_put(text, "postgresql://... (not shown: it holds a password)");
    else if (colon) text_format(text, "%.*s:***%s", (int)(colon - url), url, at);
    else text_put(text, url);
}

static void put_value(struct text *text, const struct settings *settings,
                      const struct setting *setting) {
    const void *at = field(settings, setting);
    switch (setting->kind) {
    case NUMBER:
        text_int(text, *(const int64_t *)at);
        break;
    case SWITCH:
        text_put(text, *(const bool *)at ? "on" : "off");
        break;
    case LIST:
        for (int i = 0; i < settings->listen_count; i++)
            text_format(text, "%s%s", i > 0 ? " " : "", settings->listen[i]);
        break;
    default:
        if (setting->offset == AT(database)) put_url(text, at);
        else text_put(text, at);
        break;
    }
}

void settings_show(struct text *text, const struct settings *settings) {
    static const char *const from[] = {"usual", "environment", "command line"};
    for (size_t i = 0; i < SETTINGS; i++) {
        if (table[i].offset == AT(show)) continue;
        text_format(text, "%s = ", table[i].name);
        put_value(text, settings, &table[i]);
        text_format(text, "  (%s)\n", from[settings->from[i]]);
    }
}
