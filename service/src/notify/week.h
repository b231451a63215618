/*
 * The weekly summary: how slow an app was, what it ran and what that cost.
 */
#ifndef NOTIFY_WEEK_H
#define NOTIFY_WEEK_H

#include "store/apps.h"
#include "store/notices.h"

/* The last Monday at 8:00 by the app's clock, at or before a moment; 0: the zone is unknown. */
int64_t week_end(const char *zone, int64_t now_s);

/* Writes the title and body for the seven days before `end_s`. False: nothing ran, or the store
 * failed. */
bool week_write(struct store *store, const struct app *app, const struct rule_set *rules,
                int64_t end_s, struct notice *notice);

#endif
