/* The words of the automatic method for workers. */
#ifndef SENTENCE_JOBS_H
#define SENTENCE_JOBS_H

struct line;
struct view;
struct outcome;

/* What was decided, by its form: from SENTENCE_UP_JOBS to SENTENCE_HOLD_JOBS_MOST. */
void jobs_say(struct line *line, const struct view *view, const struct outcome *outcome);
/* What would change its mind. */
void jobs_say_next(struct line *line, const struct view *view, const struct outcome *outcome);

#endif
