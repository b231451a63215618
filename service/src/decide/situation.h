/*
 * Everything that a decision may know. One table makes the struct, its stored form, its JSON and
 * what `explain` prints: a field added here is in all of them. Whole numbers; ages in seconds, -1:
 * never or unknown.
 */
#ifndef SITUATION_H
#define SITUATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Stored number (never reused), name, what stands for "not known", meaning. */
#define SITUATION_FIELDS(X)                                                                       \
    X(1, now, 0, "the moment of the tick, epoch seconds")                                         \
    X(2, tick_s, 0, "seconds between ticks; 0: 10")                                               \
    X(3, scaling, 0, "1: the switch is on; 0: decided, not done")                                 \
    X(4, started_age, -1, "since this service began to hear reports")                             \
    X(5, value_ms, -1, "the rule's statistic over its window; -1: no sample")                     \
    X(6, samples, 0, "in the window")                                                             \
    X(7, samples_above, 0, "of these, above the rule's threshold for up")                         \
    X(8, heard_age, -1, "since the newest report of the process, or of anyone about its queues")  \
    X(9, report_s, 0, "seconds between reports that the agents were asked for; 0: 10")            \
    X(10, dynos_heard, 0, "dynos that reported within three intervals")                           \
    X(11, ordered, -1, "dynos that the platform was last seen to be told to run; -1: never read") \
    X(12, up, -1, "of these running; -1: the platform does not say")                              \
    X(13, booting, -1, "of these starting; -1: the platform does not say")                        \
    X(14, stopping, -1, "dynos that still run and will not; -1: the platform does not say")       \
    X(15, formation_age, -1, "since the formation was last read without an error")                \
    X(16, limit, -1, "the platform's own limit of dynos; -1: none known")                         \
    X(17, boot_s, -1, "how long a dyno takes to start, as learned; -1: not known")                \
    X(18, release_age, -1, "since the last release began")                                        \
    X(19, releasing, 0, "1: a release or a restart of all dynos is under way")                    \
    X(20, act_state, 0, "of the last order to the platform: enum act_state")                      \
    X(21, act_wanted, -1, "the number that was ordered last; -1: none")                           \
    X(22, act_age, -1, "since it was ordered")                                                    \
    X(23, outside_age, -1, "since somebody else last changed the formation")                      \
    X(24, outside_count, 0, "how often somebody else did so in the last ten minutes")             \
    X(25, paused, 0, "0: no; 1: down only; 2: both ways")                                         \
    X(26, paused_left, -1, "seconds until the pause ends; -1: no end")                            \
    X(27, boost, -1, "dynos that a person asked to have at least; -1: none")                      \
    X(28, boost_left, -1, "seconds until the boost ends; -1: no end")                             \
    X(29, jobs_running, -1, "jobs being worked on in the queues that count; -1: not known")       \
    X(30, clock_jump, 0, "seconds by which the wall clock stepped since the last tick; 0: none")  \
    X(31, rule_age, -1, "since the rule in force came into force")                                \
    X(32, jobs, 0, "1: what waits are jobs in queues; 0: requests, as for web")                   \
    X(33, person_age, -1, "since a person last changed the rules or ended a pause of this app")   \
    X(34, known_age, -1, "since the newest second that enough dynos have reported; -1: none")     \
    X(35, arrive_rate, -1, "requests that arrive in 1000 s, of all dynos; -1: not known")         \
    X(36, begin_rate, -1, "requests that begin in 1000 s: fewer while more and more wait")        \
    X(37, serve_rate, -1, "the same, of the last 20 known seconds instead of 15")                 \
    X(38, last_requests, 0, "that began in the last 10 known seconds, where dynos reported")      \
    X(39, last_slow, 0, "of these, that waited longer than the goal")                             \
    X(40, last_wait_ms, 0, "their waits, summed")                                                 \
    X(41, last_busy_ms, 0, "time that threads spent in the app in these seconds, summed")         \
    X(42, last_dyno_s, 0, "seconds of dynos that these 10 s were reported of")                    \
    X(43, both_requests, 0, "that began in the last 20 known seconds")                            \
    X(44, both_slow, 0, "of these, that waited longer than the goal")                             \
    X(45, both_busy_ms, 0, "time that threads spent in the app in these seconds, summed")         \
    X(46, past_requests, 0, "that began in 10 s, a minute before")                                \
    X(47, past_wait_ms, 0, "their waits, summed")                                                 \
    X(48, learn_requests, 0, "that began in 30 s which all dynos have reported")                  \
    X(49, learn_slow, 0, "of these, that waited longer than the goal")                            \
    X(50, learn_wait_ms, 0, "their waits, summed")                                                \
    X(51, learn_dyno_s, 0, "seconds of dynos that these 30 s were reported of")                   \
    X(52, learn_steady, 0, "1: about as many dynos were up in all of these 30 s")                 \
    X(53, boot_mean_ms, -1, "how long a dyno takes to start on average; -1: not known")           \
    X(54, left_out, 0, "dynos that are set aside, since they alone are slow")                     \
    X(55, jobs_waiting, -1, "jobs that are ready in the queues that count; -1: not known")        \
    X(56, oldest_ms, -1, "how long the oldest of them has waited, newest reading; -1: none")      \
    X(57, oldest_past_ms, -1, "the same, of a reading before; -1: none")                          \
    X(58, oldest_apart_s, -1, "seconds between these two readings")                               \
    X(59, jobs_arrive, -1, "jobs that come in 1000 s, where more wait all the time; -1: unknown") \
    X(60, jobs_start, -1, "jobs that begin in 1000 s meanwhile; -1: not known")

enum act_state {
    ACT_NONE,
    ACT_UNDER_WAY,
    ACT_DONE,
    ACT_FAILED,  /* may pass: is tried again */
    ACT_REFUSED, /* does not pass by itself, as a bad credential: a person must act */
    ACT_LOCKED,  /* by a release: tried again */
};

/* "under_way"; "none" for an unknown number. */
const char *act_state_name(int64_t state);

enum { SITUATION_TEXT_SIZE = 256 };

struct situation {
#define X(number, name, unknown, meaning) int64_t name;
    SITUATION_FIELDS(X)
#undef X
    char queue[SITUATION_TEXT_SIZE];   /* the queue whose statistic this is: the worst of those that
                                          count */
    char trouble[SITUATION_TEXT_SIZE]; /* what the platform said of the last order or reading; "" */
    char outsider[SITUATION_TEXT_SIZE]; /* who else changed the formation, if the platform says */
};

/* Sets every field to unknown, and the texts to "". */
void situation_clear(struct situation *situation);

/* The stored form: fields that differ from `before` (NULL: from the cleared one), as varints.
 * encode: returns the bytes written, at most SITUATION_STORED. decode: false for what encode can't
 * have written. */
enum { SITUATION_STORED = 1536 };
size_t situation_encode(uint8_t *bytes, const struct situation *situation,
                        const struct situation *before);
bool situation_decode(struct situation *situation, const uint8_t *bytes, size_t length,
                      const struct situation *before);

struct text;
/* Writes an object with every field; null for an unknown one. */
void situation_json(struct text *text, const struct situation *situation);
/* Sets a number or text by name. False, and nothing changes: an unknown name, no whole number, or a
 * text that is too long. */
bool situation_set(struct situation *situation, const char *name, const char *value);

#endif
