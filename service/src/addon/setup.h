/*
 * What the operator sets to be Heroku's add-on: a JSON file that others can't read, or the same
 * text in the environment as DYNOSCALED_HEROKU_ADDON_JSON:
 *
 *     {"manifest": "addon-manifest.json",   the file beside it that Heroku has too, or its object
 *      "client_secret": "...",              of the add-on's OAuth client, from the partner portal
 *      "plans": {"free": {"dynos": 5, "history_days": 7}, "pro": {"dynos": 100}},
 *      "asynchronous": false,               provision by 202 and calls of our own
 *      "sso_sha1": false}                   also take single sign-on as it was before 2026
 *
 * "manifest" and "plans" may be missing where only the OAuth client is used. Read once, at the
 * start; then any thread reads it.
 */
#ifndef ADDON_SETUP_H
#define ADDON_SETUP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "settings.h"

enum { ADDON_PLANS = 32, ADDON_PLAN_SIZE = 64, ADDON_SECRET_SIZE = 256 };

struct addon_plan {
    char name[ADDON_PLAN_SIZE];
    int64_t dynos; /* of a process type, at most; 0: as many as the rules say */
    int64_t history_days;
};

struct addon_settings {
    char id[ADDON_PLAN_SIZE]; /* "": this service is no add-on */
    char password[ADDON_SECRET_SIZE], salt[ADDON_SECRET_SIZE];
    char client_secret[ADDON_SECRET_SIZE]; /* "": none, or only the keeper has it */
    bool exchanges;                        /* there is one, so that grants can be exchanged */
    bool asynchronous, sso_sha1;
    int plan_count;
    struct addon_plan plans[ADDON_PLANS];
};

/* Reads the settings, if there are any, and gives the platforms theirs. False with a sentence. */
bool addon_configure(const struct settings *settings, char *error, size_t size);
const struct addon_settings *addon_settings(void);
/* Takes over what addon_configure read in another process. */
void addon_take(const struct addon_settings *settings);

/* NULL: no such plan is sold. */
const struct addon_plan *addon_plan(const char *name);

/* Reads a manifest's text only, for check.c. */
bool addon_read_manifest(struct addon_settings *settings, const char *text, char *error,
                         size_t size);
bool addon_read_settings(struct addon_settings *settings, const char *path, char *error,
                         size_t size);

/* Writes a JSON value into a new file with mode 0600. False with a sentence. */
bool addon_write_new(const char *path, const json_t *json, char *error, size_t size);

#endif
