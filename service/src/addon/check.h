/*
 * Plays Heroku against a running service: makes each request that Heroku would make, and checks the
 * answers as Heroku would. Makes a resource of its own and removes it again. Blocks.
 */
#ifndef ADDON_CHECK_H
#define ADDON_CHECK_H

#include "addon/setup.h"

/* `url`: "https://scale.example.com". Prints a line per requirement; returns how many are not
 * met. */
int addon_check(const struct addon_settings *settings, const char *url);

/* Writes a new manifest and new settings into two files of a folder, with mode 0600; they must not
 * exist yet. False with a sentence. */
bool addon_make_manifest(const char *folder, const char *id, const char *url, char *error,
                         size_t size);

#endif
