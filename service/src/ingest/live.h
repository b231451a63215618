/*
 * The last 15 minutes of every app, by the second, in memory: this is what rules read. Filled by
 * the commit, once data is on disk, and from the store after a start. Any thread: it has a lock of
 * its own, held for microseconds.
 */
#ifndef LIVE_H
#define LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "decide/situation.h"
#include "rules/rule.h"

struct live;
struct part; /* series/part.h: ten seconds of one series */

struct live *live_new(void);
void live_free(struct live *live);

/* Adds a report's parts of series, and that a dyno ("web.1") was heard at `heard_s`. False without
 * memory: then something that is in the store is missing here, and must be read from there. */
bool live_add(struct live *live, int64_t app, const char *source, const char *signal,
              const struct part *part);
bool live_heard(struct live *live, int64_t app, const char *dyno, int64_t heard_s);

/* Replaces the content by that of another one, which was filled from the store, and frees the
 * other. */
void live_take(struct live *live, struct live *other);

/* The same for the automatic method, which counts by second and dyno: called after live_heard. Only
 * keeps data of apps for which live_seconds was called. */
struct report;
void live_report(struct live *live, int64_t app, const struct report *report);

/* Forgets what is older than 15 minutes; called once per tick. */
void live_expire(struct live *live, int64_t now_s);
void live_forget_app(struct live *live, int64_t app);
void live_forget_all(struct live *live);

struct live_measure {
    int64_t value_ms;             /* -1: no sample */
    int64_t samples, above;       /* above: of these, greater than the rule's threshold for up, or
                                     than the goal of the automatic method */
    char source[RULE_QUEUE_SIZE]; /* whose it is */
};

/*
 * The statistic of the queue times in the seconds [from_s, to_s). With `rule->queues`, or for a
 * process other than web, each source counts separately, and the worst (largest) value is returned.
 */
struct live_measure live_measure(struct live *live, int64_t app, const struct rule *rule, bool web,
                                 int64_t from_s, int64_t to_s);

/* A signal of the sources that count, in the seconds [from_s, to_s); -1: no reading. Of a level
 * ("depth", "working") the newest reading of each source, summed; of an amount ("busy", "slots",
 * "unstamped", "begin") the sum of all. Exact below 64 a reading, above within 1.6 %. */
int64_t live_signal(struct live *live, int64_t app, const struct rule *rule, bool web,
                    const char *signal, int64_t from_s, int64_t to_s);

/* Sets the automatic method's fields of a situation whose `now`, `report_s` and dynos are set.
 * Counts from the first call on; called once per tick. goal_ms: of the rule. */
void live_seconds(struct live *live, int64_t app, int64_t goal_ms, struct situation *situation);

/* Sets the automatic method's fields for jobs in a situation whose `now` and `report_s` are set:
 * how many wait, how long the oldest has waited, how many come and begin. */
void live_jobs(struct live *live, int64_t app, const struct rule *rule,
               struct situation *situation);

/* When a dyno of the type was last heard (NULL: any dyno); -1: not in the last 15 minutes. How many
 * different ones have been heard since a moment. Whether this one is known. */
int64_t live_heard_at(struct live *live, int64_t app, const char *type);
int live_dynos(struct live *live, int64_t app, const char *type, int64_t since_s);
bool live_knows(struct live *live, int64_t app, const char *dyno);

#endif
