/*
 * Ways to tell people: e-mail, an incoming webhook of Slack (which Mattermost, Discord's /slack and
 * others take too), and a signed webhook. Blocks; any thread.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "platforms/mail.h"
#include "store/notices.h"

/*
 * Whether a kind of channel may send to a target ("ops@shop.example",
 * "https://hooks.slack.com/..."). `hint` is how people recognise it: the address, or a URL's scheme
 * and host, since its path is often secret. False with a sentence that names the field.
 */
bool channel_check(const char *kind, const char *target, char hint[CHANNEL_HINT_SIZE], char *error,
                   size_t size);

/* What is sealed: the target, and the secret that signs (NULL: none). The caller wipes it with
 * vault_wipe; NULL without memory. */
char *channel_pack(const char *target, const char *secret);

struct channel_sender {
    const char *public_url;  /* for links */
    struct mail_server mail; /* url NULL: no e-mail is sent */
    bool private_addresses;  /* webhooks may be at loopback and private addresses */
};
/* Sends a notice about an app; only the keeper does. `packed` comes from channel_pack. False with a
 * sentence without secrets. */
bool channel_send(const struct channel_sender *sender, const char *kind, const char *packed,
                  const char *app, const struct notice *notice, char *error, size_t size);

#endif
