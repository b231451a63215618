/*
 * Webhooks of apps: POST /heroku/webhooks/APP, signed with a secret of this service and the app.
 * Without a valid signature the answer is the same whether the app exists or not.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "addon/inside.h"
#include "control/control.h"
#include "log.h"
#include "platforms/platform.h"

static bool is_signed(const struct api_call *call, const struct platform *platform, int64_t app) {
    char purpose[CONTROL_HOOK_PURPOSE_SIZE], secret[VAULT_DERIVED_SIZE];
    bool right = false;
    control_hook_purpose(purpose, app);
    for (int key = 0; !right && keeper_derive(call->keeper, key, purpose, secret); key++)
        right = platform->hook_right(secret, call->signature, call->body, call->body_length);
    return right;
}

static const struct platform *platform_of(struct store *store, int64_t app) {
    char *kind, *settings;
    void *sealed;
    size_t length;
    if (!platform_get(store, app, &kind, &settings, &sealed, &length)) return NULL;
    const struct platform *platform = platform_find(kind);
    free(kind);
    free(settings);
    free(sealed);
    return platform;
}

void hook_take(struct api_call *call, const char *text) {
    char *end;
    int64_t app = strtoll(text, &end, 10);
    const struct platform *asked = platform_find("heroku");
    bool number = *text >= '1' && *text <= '9' && !*end && app > 0;
    if (!number || !call->signature || !is_signed(call, asked, app)) {
        log_refusal(LOG_ACCESS, "heroku",
                    "a webhook's call from %s was refused: its signature is wrong",
                    call->address ? call->address : "this machine");
        addon_answer(call, 401, "the signature is not right");
        return;
    }
    /* The signature is this app's, but by now the app may be on another platform, or removed. */
    const struct platform *platform = platform_of(call->store, app);
    if (!platform || !platform->hook_told) {
        addon_answer(call, 410, "there is nothing here any more: remove this webhook");
        return;
    }
    if (keeper_told(call->keeper, platform->kind, app, call->body, call->body_length))
        call->told_app = app;
    call->status = 204;
}
