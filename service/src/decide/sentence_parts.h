/*
 * Inside decide/: what the files of the sentence share.
 */
#ifndef SENTENCE_PARTS_H
#define SENTENCE_PARTS_H

#include <stdbool.h>
#include <stdint.h>

struct line;
struct outcome;
struct view;

/* sentence.c */
/* "p95", "p95 of sidekiq:default", "the mean". */
void sentence_put_statistic(struct line *line, const struct view *view);
/* A measured time, rounded such that it still compares to the rule's thresholds as it does. */
void sentence_put_measured(struct line *line, const struct view *view, int64_t ms);

/* sentence_next.c */
void sentence_say_next(struct line *line, const struct view *view, const struct outcome *outcome);
/* Of what the automatic method and jobs would do next: why not more than `from`, `at_ceiling` where
 * more did not help; why not fewer. False: nothing forbids it, and nothing was put. */
bool sentence_put_no_more(struct line *line, const struct view *view, bool at_ceiling, int from);
bool sentence_put_no_fewer(struct line *line, const struct view *view, int from);

/* sentence_automatic.c: why, for forms from SENTENCE_UP_TRAFFIC to SENTENCE_HOLD_TRIAL. */
void automatic_say(struct line *line, const struct view *view, const struct outcome *outcome);

/* sentence_jobs.c: why, for forms from SENTENCE_UP_JOBS to SENTENCE_HOLD_JOBS_MOST; and what would
 * change the decision. */
void jobs_say(struct line *line, const struct view *view, const struct outcome *outcome);
void jobs_say_next(struct line *line, const struct view *view, const struct outcome *outcome);

#endif
