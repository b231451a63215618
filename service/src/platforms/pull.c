/*
 * Nothing is called: another scaler, as KEDA's metrics-api, asks how many dynos there should be
 * (GET /api/v1/apps/APP/processes/TYPE/wanted) and runs as many. An order is done as soon as it is
 * given, and what was ordered last counts as what runs; which dynos are up, their reports tell.
 *
 * Settings and secret: none.
 */
#include <stdio.h>

#include "platforms/platform.h"

static bool pull_check(const json_t *settings, const char *secret, char *error, size_t size) {
    if (!secret && json_object_size(settings) == 0) return true;
    snprintf(error, size,
             "the platform pull takes no settings and no secret: who asks has a token");
    return false;
}

static struct platform_answer pull_read(const struct platform_app *app, const char *process,
                                        struct platform_formation *formation) {
    (void)app, (void)process;
    *formation = platform_unknown;
    return platform_ok();
}

static struct platform_answer pull_set(const struct platform_app *app, const char *process,
                                       int dynos, const char *reason) {
    (void)app, (void)process, (void)dynos, (void)reason;
    return platform_ok();
}

const struct platform platform_pull = {.kind = "pull",
                                       .local_only = false,
                                       .pulled = true,
                                       .read_every_s = 10,
                                       .check = pull_check,
                                       .read = pull_read,
                                       .set = pull_set};
