/*
 * What can be done with the grant that Heroku gave for a resource: calls to Heroku, which only the
 * keeper makes. They block; any thread.
 */
#ifndef ADDON_GRANT_H
#define ADDON_GRANT_H

#include "platforms/platform.h"

struct grant {
    const char *uuid;
    char *secret; /* the credential */
    bool private_addresses;
};

/* The credential that holds a grant's code; the caller wipes it. NULL without memory. */
char *grant_of_code(const char *code);
/* Like a platform's `renew`. */
struct platform_answer grant_renew(const struct grant *grant, int64_t now_s, char **secret);
struct platform_answer grant_find_app(const struct grant *grant, char *name, size_t size);
/* `config`: a JSON object of texts. */
struct platform_answer grant_set_config(const struct grant *grant, const char *config);
struct platform_answer grant_say_ready(const struct grant *grant);

#endif
