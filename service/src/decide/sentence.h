/*
 * The words of a decision: one form for each way in which a tick can end.
 */
#ifndef SENTENCE_H
#define SENTENCE_H

/* Stored with each decision: numbers are never reused. Name, and when it is said. */
#define SENTENCE_FORMS(X)                                                                      \
    X(1, UP_ABOVE, "the statistic was above the threshold")                                    \
    X(2, UP_RANGE, "fewer dynos than the rule's minimum or a boost")                           \
    X(3, UP_JOBS_WAIT, "no dyno, and jobs wait")                                               \
    X(4, DOWN_BELOW, "the statistic stayed below the threshold for all of the wait")           \
    X(5, DOWN_RANGE, "more dynos than the rule's maximum or the platform's limit")             \
    X(6, DOWN_DRAINED, "as DOWN_BELOW or DOWN_RANGE, and jobs were waited for long enough")    \
    X(10, HOLD_CLOCK, "the clock stepped")                                                     \
    X(11, HOLD_UNKNOWN_DYNOS, "how many dynos are ordered is not known")                       \
    X(12, HOLD_OLD_FORMATION, "the formation was read too long ago")                           \
    X(13, HOLD_UNDER_WAY, "an order is under way")                                             \
    X(14, HOLD_UNSEEN, "an order was carried out and the formation does not show it yet")      \
    X(15, HOLD_REFUSED, "the platform refused the last order")                                 \
    X(16, HOLD_ZERO, "somebody set 0 by hand")                                                 \
    X(17, HOLD_STOOD_DOWN, "somebody else scales too")                                         \
    X(18, HOLD_PAUSED, "paused both ways")                                                     \
    X(19, HOLD_PAUSED_DOWN, "paused down, and dynos would be removed")                         \
    X(20, HOLD_OUTSIDE_RANGE, "somebody else set a number outside the range a short time ago") \
    X(21, HOLD_NEVER_HEARD, "no report ever came")                                             \
    X(22, HOLD_SILENT, "no report for too long")                                               \
    X(23, HOLD_NO_READING, "reports came, without what the rule looks at")                     \
    X(24, HOLD_RELEASE, "a release or a restart a short time ago")                             \
    X(25, HOLD_OUTSIDE, "somebody else changed the number a short time ago")                   \
    X(26, HOLD_FEW, "too few slow requests")                                                   \
    X(27, HOLD_MAXIMUM, "the rule's maximum")                                                  \
    X(28, HOLD_LIMIT, "the platform's limit")                                                  \
    X(29, HOLD_FUTILE, "adding did not help")                                                  \
    X(30, HOLD_UP_WAIT, "the wait between two additions")                                      \
    X(31, HOLD_BOOTING, "dynos that were ordered are not up yet")                              \
    X(32, HOLD_MINIMUM, "below the threshold at the minimum")                                  \
    X(33, HOLD_BOOST, "below the threshold at the boost")                                      \
    X(34, HOLD_LAST, "below the threshold at the last dyno, which must stay")                  \
    X(35, HOLD_BELOW, "below the threshold, not yet for all of the wait")                      \
    X(36, HOLD_STARTED, "below, and this service started a short time ago")                    \
    X(37, HOLD_BOOTED, "below, and dynos were added less than a boot time ago")                \
    X(38, HOLD_JOBS, "below, and jobs run")                                                    \
    X(39, HOLD_RELEASING, "below, and a release is under way")                                 \
    X(40, HOLD_BETWEEN, "neither above nor below")                                             \
    X(41, UP_TRAFFIC, "automatic: more dynos are worth their price")                           \
    X(42, UP_BACKLOG, "automatic: requests wait, and more dynos work them off")                \
    X(43, UP_RESTARTS, "automatic: most dynos restart, and requests will have waited")         \
    X(44, DOWN_SURPLUS, "automatic: a surplus has cost enough")                                \
    X(45, HOLD_ENOUGH, "automatic: as many as are worth their price")                          \
    X(46, HOLD_SURPLUS, "automatic: fewer would do, and that may pass")                        \
    X(47, HOLD_CEILING, "automatic: more did not help")                                        \
    X(48, HOLD_AUTOMATIC_MOST, "automatic: the rule's maximum or the platform's limit")        \
    X(49, HOLD_TRIAL, "automatic: whether those help that were added is seen first")           \
    X(50, HOLD_UNHEARD, "above, and no report since dynos were added last")                    \
    X(51, UP_JOBS, "automatic, jobs: more workers begin them within the goal")                 \
    X(52, DOWN_JOBS, "automatic, jobs: a surplus has cost enough")                             \
    X(53, HOLD_JOBS_ENOUGH, "automatic, jobs: as many as it takes")                            \
    X(54, HOLD_JOBS_SURPLUS, "automatic, jobs: fewer would do, and that may pass")             \
    X(55, HOLD_JOBS_LAST, "automatic, jobs: none is seen, and the last worker stays a while")  \
    X(56, HOLD_JOBS_BUSY, "automatic, jobs: fewer would do, but all are at work")              \
    X(57, HOLD_JOBS_CEILING, "automatic, jobs: more did not help")                             \
    X(58, HOLD_JOBS_MOST, "automatic, jobs: the rule's maximum or the platform's limit")

enum sentence_form {
#define X(number, name, meaning) SENTENCE_##name = number,
    SENTENCE_FORMS(X)
#undef X
};

/* "UP_ABOVE"; "" for a number that there is not. */
const char *sentence_form_name(int form);

struct view;
struct outcome;
struct decision;

/* Writes the sentence and `next` of a decision whose numbers are set. Both are valid UTF-8 if the
 * situation's texts are, and never empty. */
void sentence_write(struct decision *decision, const struct view *view,
                    const struct outcome *outcome);

#endif
