/*
 * The thread that decides: each ten seconds, for each process type of each app, situation → rule →
 * decide → ledger → act. Acts run on a pool of their own, one at a time for each app.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "ingest/live.h"
#include "people/vault.h"

struct control;

struct control_settings {
    const char *folder;
    const struct vault *vault; /* opens platforms' credentials */
    int tick_s;                /* 10 */
    int act_threads;           /* 4 */
    int act_timeout_s;         /* 30: of one call of a platform */
    int report_s;              /* 10: seconds between reports that agents are asked for */
    bool private_addresses;    /* platforms may be called on loopback and private addresses */
};

struct control *control_new(struct live *live, const struct control_settings *settings, char *error,
                            size_t size);

/* Something that control obeys was changed: it reads it at once and ticks the app. Any thread. */
void control_changed(struct control *control);

/* Calls `tell(context, app)` after each tick of an app that the pages should show. On control's
 * thread. */
void control_on_tick(struct control *control, void (*tell)(void *context, int64_t app),
                     void *context);

/* Ends the thread; acts under way are waited for up to their deadline. */
void control_free(struct control *control);

struct control_counts {
    uint64_t ticks, late_ticks, decisions, acts, failed_acts;
    int64_t last_tick_s, last_tick_us;
    int apps, processes;
};
struct control_counts control_counts(const struct control *control);

#endif
