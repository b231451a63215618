/*
 * Channels (whom to tell about an app), watches (what holds of a process now), notices (what is
 * told) and deliveries (what is still to be sent). Writes are made in the caller's transaction,
 * but for delivery_claim and delivery_end, which are one each.
 */
#ifndef NOTICES_H
#define NOTICES_H

#include "rules/rule.h"
#include "store/store.h"

enum { CHANNEL_KIND_SIZE = 16, CHANNEL_HINT_SIZE = 255, CHANNEL_TROUBLE_SIZE = 256 };

struct channel {
    int64_t id, app;
    char kind[CHANNEL_KIND_SIZE];
    char hint[CHANNEL_HINT_SIZE];
    unsigned tells; /* bits: 1 << the kind of a notice */
    int64_t created_s;
    int64_t told_s;                     /* when something was last sent; 0: never */
    char trouble[CHANNEL_TROUBLE_SIZE]; /* why sending last failed; "": it did not */
};

/* Sets id. The sealed bytes stay the caller's. */
bool channel_add(struct store *store, struct channel *channel, const void *sealed, size_t length);
/* False where there is none, or it failed (store_error not ""). */
bool channel_get(struct store *store, int64_t app, int64_t id, struct channel *channel);
bool channel_set_tells(struct store *store, int64_t app, int64_t id, unsigned tells);
/* With what was to be sent to it. */
bool channel_remove(struct store *store, int64_t app, int64_t id);
bool channel_each(struct store *store, int64_t app,
                  void (*each)(void *context, const struct channel *channel), void *context);
/* The sealed target, which the caller frees; NULL: none. */
void *channel_sealed(struct store *store, int64_t id, size_t *length);

/* Apps that have a channel, in the order of their ids. */
bool channel_each_app(struct store *store, void (*each)(void *context, int64_t app), void *context);

struct watch {
    int64_t since_s, seen_s, told_s;
};
/* False where there is none, or it failed. */
bool watch_get(struct store *store, int64_t app, const char *process, int kind,
               struct watch *watch);
bool watch_put(struct store *store, int64_t app, const char *process, int kind,
               const struct watch *watch);
bool watch_remove(struct store *store, int64_t app, const char *process, int kind);

enum notice_state { NOTICE_TEST, NOTICE_BEGAN, NOTICE_ENDED, NOTICE_HAPPENED };
enum { NOTICE_TITLE_SIZE = 320, NOTICE_BODY_SIZE = 2048 };

struct notice {
    int64_t id, app;
    char process[RULE_PROCESS_SIZE]; /* "": of the whole app */
    int kind;
    enum notice_state state;
    int64_t at_s;
    char title[NOTICE_TITLE_SIZE], body[NOTICE_BODY_SIZE];
};

/* "began". Any thread. */
const char *notice_state_name(enum notice_state state);

/* Adds it and, for each channel of the app that tells this kind, a delivery that is due now. */
bool notice_add(struct store *store, struct notice *notice);
/* An app's notices, newest first, at most `most`. */
bool notice_each(struct store *store, int64_t app, int most,
                 void (*each)(void *context, const struct notice *notice), void *context);
/* How many of a kind there were since a moment; -1: failed. */
int64_t notice_count(struct store *store, int64_t app, int kind, int64_t since_s);
/* Removes those of before a moment. */
bool notice_tidy(struct store *store, int64_t before_s);

struct delivery {
    struct notice notice;
    struct channel channel;
    int64_t due_s;
    int tries; /* including this one */
};

/* Takes the next due delivery of a channel that has no earlier one left, and makes it due again at
 * `again_s`, so that nobody else takes it before. False: there is none, or it failed. */
bool delivery_claim(struct store *store, int64_t now_s, int64_t again_s, struct delivery *delivery);
/* Called after sending (trouble ""), or after a failure: then the delivery is due again at
 * `again_s`; 0: given up. */
bool delivery_end(struct store *store, const struct delivery *delivery, int64_t now_s,
                  const char *trouble, int64_t again_s);

#endif
