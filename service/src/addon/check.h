/*
 * Heroku's side, played against a running service: each request that Heroku would make, and what it
 * would refuse of the answers. Makes a resource of its own and removes it again. Blocks.
 */
#ifndef ADDON_CHECK_H
#define ADDON_CHECK_H

#include "addon/setup.h"

/* `url`: "https://scale.example.com". Prints a line for each thing that Heroku asks for; returns
 * how many are not as it asks. */
int addon_check(const struct addon_settings *settings, const char *url);

/* Writes a new manifest and settings into two files of a folder, 0600, which must not be there.
 * False with a sentence. */
bool addon_make_manifest(const char *folder, const char *id, const char *url, char *error,
                         size_t size);

#endif
