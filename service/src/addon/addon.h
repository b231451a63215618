/*
 * What Heroku asks of us: the add-on partner API v3
 * (https://devcenter.heroku.com/articles/add-on-partner-api-reference), single sign-on
 * (https://devcenter.heroku.com/articles/add-on-single-sign-on), and where webhooks of apps arrive.
 *
 *     POST   /heroku/resources         provision     PUT     /heroku/resources/UUID   change the
 * plan DELETE /heroku/resources/UUID    deprovision   POST    /heroku/sso              sign in POST
 * /heroku/webhooks/APP      something changed
 *
 * Reading order: setup.h (what the operator sets), addon.c (which request is which, who may),
 * resources.c (the life of a resource), pending.c (what is done after the answer), sso.c, hooks.c;
 * check.c plays Heroku's side.
 */
#ifndef ADDON_H
#define ADDON_H

#include "addon/setup.h"
#include "api/api.h"

/* Whether a path is one of these. */
bool addon_has(const char *path);

/* Answers a call like api_run, on a thread that may block. `call->app.id` is then the app that
 * changed, if any. */
void addon_run(struct api_call *call, const char *path);

/* Does the remaining work for provisioned resources: exchanges grants, sets config vars, tells
 * Heroku that they are ready. Blocks for some seconds at most. Returns whether control must
 * look. */
bool addon_work(struct store *store, const struct keeper *keeper, const char *public_url,
                int64_t now_s);

#endif
