/*
 * The thread that decides: each ten seconds, for each process type of each app, situation → rule →
 * decide → ledger → act. Acts run on a pool of their own, one at a time for each app.
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

/* Something that control obeys was changed: it reads it at once and ticks the app. Any thread. */
void control_changed(struct control *control);

/* The service's public address, of which platforms are told addresses for what changes there. Any
 * thread; before it is known, they are told none. */
void control_set_public_url(struct control *control, const char *public_url);

/* A platform told of a change of an app: its formation is read at once. Any thread. */
void control_told(struct control *control, int64_t app);

/* The address for that of one app, and the secret that it is signed with: keeper_derive's purpose.
 */
enum { CONTROL_HOOK_URL_SIZE = 1100, CONTROL_HOOK_PURPOSE_SIZE = 48 };
void control_hook_url(char url[CONTROL_HOOK_URL_SIZE], const char *public_url, int64_t app);
void control_hook_purpose(char purpose[CONTROL_HOOK_PURPOSE_SIZE], int64_t app);

/* Calls `tell(context, app)` after each tick of an app that the pages should show. On control's
 * thread. */
void control_on_tick(struct control *control, void (*tell)(void *context, int64_t app),
                     void *context);

/* Calls `changed(context)` when another process changed what is set. On control's thread. */
void control_on_change(struct control *control, void (*changed)(void *context), void *context);

/* Ends the thread: nobody is told of anything any more. */
void control_stop(struct control *control);
/* Ends that too; acts under way are waited for up to their deadline. */
void control_free(struct control *control);

struct control_counts {
    uint64_t ticks, late_ticks, decisions, acts, failed_acts;
    int64_t last_tick_s, last_tick_us;
    int apps, processes;
};
struct control_counts control_counts(const struct control *control);

#endif
