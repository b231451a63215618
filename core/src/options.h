/*
 * Settings: the table of dynoscale.h, filled from defaults, environment and code. Values are
 * checked and copied.
 */
#ifndef DS_OPTIONS_H
#define DS_OPTIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dynoscale.h"
#include "leader.h"

enum { DS_HEADER_VALUE_SIZE = 256 };

/* What an agent keeps of its options: immutable, shared by the agent and its workers. */
typedef struct ds_settings {
    _Atomic(int) references;
    char *url;
    char *proxy;    /* "": none, so that curl does not read the environment */
    char *no_proxy; /* NULL: none */
    char *ca_file;  /* NULL: the system's */
    char *ca_path;
    char host[DS_HEADER_VALUE_SIZE]; /* the only part of the URL that messages may show */
    char user_agent[64];
    char dyno[DS_HEADER_VALUE_SIZE];
    char app_name[DS_HEADER_VALUE_SIZE]; /* "": unset */
    char lock_path[DS_LEADER_PATH_SIZE]; /* of the dyno's leader, see leader.h */
    int64_t publish_frequency_ms;
    int64_t timeout_ms; /* of a whole request */
    bool dev_mode;
} ds_settings;

/* The variable of another platform that gave the dyno's name; NULL if DYNO or code gave it. */
const char *ds_options_dyno_variable(const dynoscale_options *options);

/* Returns one reference, or NULL without memory. */
ds_settings *ds_settings_new(const dynoscale_options *options, const char *language);

/* The same for another valid address than the options': an app's. No proxy is used for an address
 * of this machine. */
ds_settings *ds_settings_for_app(const dynoscale_options *options, const char *language,
                                 const char *url);

/* Whether agents with these settings would behave the same. */
bool ds_settings_equal(const ds_settings *one, const ds_settings *other);

ds_settings *ds_settings_hold(ds_settings *settings);
void ds_settings_release(ds_settings *settings);

#endif
