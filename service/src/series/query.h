/*
 * What was measured, for charts: windows of a series merged to the steps of a chart.
 */
#ifndef QUERY_H
#define QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "series/sketch.h"
#include "store/store.h"
#include "text.h"

/* {"step":10,"points":[{"t":...,"count":...,"p50":...,"p95":...,"p99":...,"max":...}]} of the queue
 * times of `source` ("web") in [from_s, to_s): step a multiple of 10, at most 20,000 points. Empty
 * windows are "count":0 without percentiles. Other signals ("busy", "depth") give "sum" and "max".
 * False with store_error. */
bool series_points_json(struct text *text, struct store *store, int64_t app, const char *source,
                        const char *signal, int64_t from_s, int64_t to_s, int64_t step_s);

/* The same windows as sketches, for calculations: calls `each` for each step in order of time, with
 * its samples (count 0: none). False with store_error. */
bool series_each_step(struct store *store, int64_t app, const char *source, const char *signal,
                      int64_t from_s, int64_t to_s, int64_t step_s,
                      void (*each)(void *context, int64_t at_s, const struct sketch *sketch),
                      void *context);

/* [{"source":"sidekiq:default","signals":["wait","depth"],"newest":EPOCH}] of an app. */
bool series_list_json(struct text *text, struct store *store, int64_t app);

/* Folds parts older than 15 minutes into windows, windows into minutes and hours, and removes what
 * is older than kept (10 s: 2 hours, minutes: 30 days, hours: 13 months; days of the app's plan if
 * fewer). Called for each minute, does what has its turn in it; `rest` may be NULL. False with
 * store_error. */
bool series_compact(struct store *store, int64_t now_s, const struct store_rest *rest);

#endif
