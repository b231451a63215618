/* The words of the automatic method for workers. */
#ifndef SENTENCE_JOBS_H
#define SENTENCE_JOBS_H

struct line;
struct view;
struct outcome;

/* Says what was decided, for forms from SENTENCE_UP_JOBS to SENTENCE_HOLD_JOBS_MOST. */
void jobs_say(struct line *line, const struct view *view, const struct outcome *outcome);
/* Says what would change the decision. */
void jobs_say_next(struct line *line, const struct view *view, const struct outcome *outcome);

#endif
