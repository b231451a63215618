/*
 * The keeper of the credentials: it alone has the key, opens what was sealed, and calls platforms,
 * Heroku's identity service, channels and the mail server. The service's own process, which hears
 * the network, has none of it: it asks the keeper, which is a process of its own (process.h), for
 * what is to be done, and is told what came of it.
 *
 * The command line has both in one process: keeper_here.
 *
 * Reading order: keeper.h and ask.c (what is asked), answer.c (what is done), message.h (how it is
 * said), process.c (the process), filter.h (what each of both may not do).
 *
 * All functions block, most of them until a platform has answered. Any thread.
 */
#ifndef KEEPER_H
#define KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "people/factor.h"
#include "people/vault.h"
#include "platforms/mail.h"
#include "platforms/platform.h"
#include "store/notices.h"

struct keeper;

struct keeper_settings {
    const char *folder;      /* whose key it is, as of vault_open */
    struct mail_server mail; /* url NULL: no e-mail is sent */
    bool private_addresses;  /* calls may go to loopback and private addresses */
};

/* A keeper in this process. The settings' texts stay the caller's. NULL with a sentence. */
struct keeper *keeper_here(const struct keeper_settings *settings, char *error, size_t size);
void keeper_free(struct keeper *keeper);

/* ---- The key --------------------------------------------------------------------------------- */

/* Like the vault's functions. The caller frees sealed bytes; NULL: no memory, or no keeper. */
bool keeper_derive(const struct keeper *keeper, int key, const char *purpose,
                   char derived[VAULT_DERIVED_SIZE]);
char *keeper_mark(const struct keeper *keeper);
bool keeper_knows(const struct keeper *keeper, const char *mark);

/* ---- Platforms ------------------------------------------------------------------------------- */

/* An app on its platform. Its credential only opens for this app, this kind of platform and the
 * addresses in these settings (api, auth, server), so it can only be sent where it was meant to
 * go. */
struct keeper_app {
    const char *app;      /* its name */
    int64_t number;       /* 0: it has none yet */
    const char *kind;     /* of its platform */
    const char *settings; /* JSON */
    const void *sealed;   /* the credential; NULL: none */
    size_t sealed_length;
    int64_t deadline_ms;
    int64_t until_ms;     /* no call begins after this, by the monotonic clock; 0: no limit */
    bool fresh;           /* as of platform_app */
    const char *hook_url; /* NULL: nowhere */
};

void *keeper_seal_credential(const struct keeper *keeper, const struct keeper_app *app,
                             const char *secret, size_t *length);

/* The functions of struct platform. If the keeper ends before it answers, the result is
 * PLATFORM_FAILED and `lost` is set. */
/* `opens`: false where the credential can't be opened. */
enum keeper_checked { KEEPER_GOOD, KEEPER_BAD, KEEPER_SILENT /* not known: *error says why */ };
enum keeper_checked keeper_check(const struct keeper *keeper, const struct keeper_app *app,
                                 bool *opens, char *error, size_t size);
/* *renewed: the new credential, sealed, which the caller keeps and frees; NULL: it is as before. */
struct platform_answer keeper_renew(const struct keeper *keeper, const struct keeper_app *app,
                                    int64_t now_s, void **renewed, size_t *length);
struct platform_answer keeper_read(const struct keeper *keeper, const struct keeper_app *app,
                                   const char *process, struct platform_formation *formation);
/* One order or several, in one call where the platform can; fills each answer. */
enum { KEEPER_CHANGES = 32 };
void keeper_set(const struct keeper *keeper, const struct keeper_app *app,
                struct platform_change *changes, int count);
void keeper_undo(const struct keeper *keeper, const struct keeper_app *app); /* `forget` */
bool keeper_told(const struct keeper *keeper, const char *kind, int64_t app, const char *body,
                 size_t length);

/* ---- Channels -------------------------------------------------------------------------------- */

/* Seals where an app's channel sends to, and the secret that it signs with (NULL: none). */
void *keeper_seal_channel(const struct keeper *keeper, const char *app, const char *target,
                          const char *secret, size_t *length);
/* Sends a notice. True, or false with a sentence. */
bool keeper_tell(const struct keeper *keeper, const char *app, const char *channel_kind,
                 const void *sealed, size_t sealed_length, const char *public_url,
                 const struct notice *notice, char *error, size_t size);

/* ---- The second factor of people ------------------------------------------------------------- */

/* Makes a new secret and seals it for this person; `secret` is shown to the person only now. */
void *keeper_factor_make(const struct keeper *keeper, int64_t person,
                         char secret[FACTOR_SECRET_SIZE], size_t *length);
/* Like factor_step; *opens: false if the secret can't be opened. False: the keeper did not
 * answer. */
bool keeper_factor_step(const struct keeper *keeper, int64_t person, const void *sealed,
                        size_t length, const char *code, int64_t now_s, bool *opens, int64_t *step);

/* ---- Heroku's add-on ------------------------------------------------------------------------- */

/* What Heroku gave for a resource, sealed about its uuid. */
struct keeper_grant {
    const char *uuid;
    const void *sealed;
    size_t sealed_length;
};
void *keeper_seal_grant(const struct keeper *keeper, const char *uuid, const char *code,
                        size_t *length);
/* Exchanges a code for tokens, or renews tokens: *renewed as in keeper_renew. */
struct platform_answer keeper_grant_renew(const struct keeper *keeper,
                                          const struct keeper_grant *grant, int64_t now_s,
                                          void **renewed, size_t *length);
/* The name of the app that the resource is of. */
struct platform_answer keeper_grant_app(const struct keeper *keeper,
                                        const struct keeper_grant *grant, char *name, size_t size);
/* Sets config vars, a JSON object of texts; tells Heroku that the resource is ready. */
struct platform_answer keeper_grant_config(const struct keeper *keeper,
                                           const struct keeper_grant *grant, const char *config);
struct platform_answer keeper_grant_ready(const struct keeper *keeper,
                                          const struct keeper_grant *grant);
/* The grant's credential, sealed as that of an app on Heroku. */
void *keeper_grant_credential(const struct keeper *keeper, const struct keeper_grant *grant,
                              const struct keeper_app *app, size_t *length);

#endif
