/*
 * The last 15 minutes of every app, by the second, in memory: what rules read. Filled by the
 * commit after it is on disk, and from the store after a start. Any thread: it has a lock of its
 * own, held for microseconds.
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

/* Adds what a report held: parts of series, and that a dyno ("web.1") was heard at `heard_s`. False
 * without memory: then less is here than in the store, and must be read from there again. */
bool live_add(struct live *live, int64_t app, const char *source, const char *signal,
              const struct part *part);
bool live_heard(struct live *live, int64_t app, const char *dyno, int64_t heard_s);

/* Puts what another one holds, which was filled from the store, in place of what is here, and frees
 * that one. */
void live_take(struct live *live, struct live *other);

/* The same for the automatic method, which counts by the second and by the dyno: called after
 * live_heard, kept for apps that live_seconds was asked of. */
struct report;
void live_report(struct live *live, int64_t app, const struct report *report);

/* Forgets what is older than 15 minutes; called once a tick. */
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
 * The statistic of the queue times in the seconds [from_s, to_s). With `rule->queues` or a process
 * other than web: of each source that counts by itself, and the worst (the largest value) is given.
 */
struct live_measure live_measure(struct live *live, int64_t app, const struct rule *rule, bool web,
                                 int64_t from_s, int64_t to_s);

/* A signal of the sources that count, in the seconds [from_s, to_s); -1: no reading. Of a level
 * ("depth", "working") the newest reading of each source, summed; of an amount ("busy", "slots",
 * "unstamped", "begin") the sum of all. Exact below 64 a reading, above within 1.6 %. */
int64_t live_signal(struct live *live, int64_t app, const struct rule *rule, bool web,
                    const char *signal, int64_t from_s, int64_t to_s);

/* The automatic method's fields of a situation, whose `now`, `report_s` and dynos are set; counts
 * from the first call on, and once a tick. goal_ms: of the rule. */
void live_seconds(struct live *live, int64_t app, int64_t goal_ms, struct situation *situation);

/* The automatic method's fields of a situation of jobs, whose `now` and `report_s` are set: how
 * many wait, how long the oldest has, how many come and begin. */
void live_jobs(struct live *live, int64_t app, const struct rule *rule,
               struct situation *situation);

/* The newest moment at which a dyno of the type was heard (NULL: any dyno); -1: not in the last 15
 * minutes. How many different ones were since a moment. Whether this one is known. */
int64_t live_heard_at(struct live *live, int64_t app, const char *type);
int live_dynos(struct live *live, int64_t app, const char *type, int64_t since_s);
bool live_knows(struct live *live, int64_t app, const char *dyno);

#endif
