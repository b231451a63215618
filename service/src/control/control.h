/*
 * The thread that decides: every ten seconds, for each process type of each app, situation → rule →
 * decision → ledger → order. Orders run on a pool of their own, at most one at a time for each app.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "ingest/live.h"

struct control;
struct keeper;

struct control_settings {
    const char *folder;
    const char *place;           /* what store_open is given; NULL: the folder */
    const struct keeper *keeper; /* calls platforms; NULL where none is called */
    int tick_s;                  /* 10 */
    int act_threads;             /* 4 */
    int act_timeout_s;           /* 30: of one call of a platform */
    int report_s;                /* 10: seconds between reports that agents are asked for */
};

struct control *control_new(struct live *live, const struct control_settings *settings, char *error,
                            size_t size);

/* Tells control that its configuration changed: it reads it at once and ticks the app. Any
 * thread. */
void control_changed(struct control *control);

/* Sets the service's public address, from which platforms get addresses for their webhooks. Any
 * thread; until it is set, they get none. */
void control_set_public_url(struct control *control, const char *public_url);

/* Tells control that a platform announced a change of an app: its formation is read at once. Any
 * thread. */
void control_told(struct control *control, int64_t app);

/* The address for an app's webhook, and the purpose of the secret that signs it (keeper_derive). */
enum { CONTROL_HOOK_URL_SIZE = 1100, CONTROL_HOOK_PURPOSE_SIZE = 48 };
void control_hook_url(char url[CONTROL_HOOK_URL_SIZE], const char *public_url, int64_t app);
void control_hook_purpose(char purpose[CONTROL_HOOK_PURPOSE_SIZE], int64_t app);

/* Sets `tell(context, app)`, called after each tick of an app that pages should show. Runs on
 * control's thread. */
void control_on_tick(struct control *control, void (*tell)(void *context, int64_t app),
                     void *context);

/* Sets `changed(context)`, called when another process changed the configuration. Runs on control's
 * thread. */
void control_on_change(struct control *control, void (*changed)(void *context), void *context);

/* Ends the thread: no callback is called any more. */
void control_stop(struct control *control);
/* Waits for calls under way, up to their deadline, and frees everything. */
void control_free(struct control *control);

struct control_counts {
    uint64_t ticks, late_ticks, decisions, acts, failed_acts;
    int64_t last_tick_s, last_tick_us;
    int apps, processes;
};
struct control_counts control_counts(const struct control *control);

#endif
