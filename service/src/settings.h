/*
 * What `dynoscaled serve` can be told, as --NAME VALUE, --NAME=VALUE or DYNOSCALED_NAME=VALUE in
 * the environment (the command line wins). One table in settings.c is the parser, the
 * documentation (--help) and the dump (--show-settings).
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

enum { SETTINGS_LISTENERS = 8, SETTINGS_TEXT_SIZE = 1024, SETTINGS_MOST = 40 };

struct settings {
    char data[SETTINGS_TEXT_SIZE];
    char database[SETTINGS_TEXT_SIZE]; /* a URL; "": the data is in the folder */
    char listen[SETTINGS_LISTENERS][SETTINGS_TEXT_SIZE];
    int listen_count;
    char public_url[SETTINGS_TEXT_SIZE]; /* without a slash at the end; "": of the first listener */
    char trusted_proxies[SETTINGS_TEXT_SIZE];
    char log_level[SETTINGS_TEXT_SIZE];
    char heroku_api[SETTINGS_TEXT_SIZE], heroku_id[SETTINGS_TEXT_SIZE]; /* without a slash */
    char heroku_addon[SETTINGS_TEXT_SIZE];                              /* a file; "": none */
    char smtp[SETTINGS_TEXT_SIZE], mail_from[SETTINGS_TEXT_SIZE];       /* "": no e-mail */
    int64_t connections, connections_a_peer, held_mb;
    int64_t head_ms, body_ms, idle_ms, answer_ms, stream_ms;
    int64_t api_threads, act_threads, act_timeout_s;
    int64_t commit_ms, tick_s, publish_s, drain_s, heroku_read_s;
    char call_hosts[SETTINGS_TEXT_SIZE];
    bool private_platforms, tls_only, hsts_subdomains, public_metrics, reuse_port, show;

    unsigned char from[SETTINGS_MOST]; /* of each row of the table: enum settings_from */
};

enum settings_from { SETTINGS_USUAL, SETTINGS_ENVIRONMENT, SETTINGS_ARGUMENT };

/* Reads the environment and the arguments (without "dynoscaled serve"). False with a sentence that
 * names what is wrong and what is allowed. */
bool settings_read(struct settings *settings, int count, char **arguments, char *error,
                   size_t size);

/* The data folder where nobody says --data: $DYNOSCALED_DATA, else $STATE_DIRECTORY (systemd's),
 * else for root /var/lib/dynoscaled, for others $XDG_DATA_HOME/dynoscaled or
 * ~/.local/share/dynoscaled. The commands beside `serve` use the same. False with a sentence where
 * none can be told. */
bool settings_data_folder(char *folder, size_t folder_size, char *error, size_t size);

/* What store_open is given: the database's URL, else the folder. */
const char *settings_place(const struct settings *settings);

void settings_help(struct text *text);
/* name = value, and where it is from; one a line. */
void settings_show(struct text *text, const struct settings *settings);

#endif
