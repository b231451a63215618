/* Why: the words of the automatic method for workers. */
#include "decide/sentence_parts.h"

#include <inttypes.h>

#include "decide/line.h"
#include "decide/view.h"

enum { QUEUE_SHOWN = 60 };

/* ---- What is known -------------------------------------------------------------------------- */

static void put_jobs(struct line *line, int64_t count, const char *one, const char *more) {
    if (count == 0) line_put(line, "no job %s", one);
    else line_put(line, "%" PRId64 " job%s %s", count, line_plural(count), count == 1 ? one : more);
}

/* "1240 jobs wait, the oldest for 14 s". */
static void put_waiting(struct line *line, const struct view *view) {
    const struct jobs_advice *jobs = &view->advice.jobs;
    if (jobs->waiting >= 0) {
        put_jobs(line, jobs->waiting, "waits", "wait");
        if (jobs->waiting == 0 || jobs->oldest_ms < 0) return;
        line_put(line, jobs->waiting == 1 ? ", for " : ", the oldest for ");
    } else if (jobs->oldest_ms > 0) {
        line_put(line, "the oldest job of ");
        line_cut(line, *view->now.queue ? view->now.queue : "the queues", QUEUE_SHOWN);
        line_put(line, " has waited ");
    } else {
        line_put(line, "no job waits");
        return;
    }
    line_measured(line, jobs->oldest_ms, view->rule->goal_ms, view->rule->goal_ms);
}

static void put_unknown(struct line *line, const struct jobs_advice *jobs) {
    if (jobs->waiting < 0)
        line_put(line, "; how many wait%s is not reported, so the age of the oldest decides",
                 jobs->working < 0 ? " or are worked on" : "");
    else if (jobs->working < 0) line_put(line, "; how many are worked on is not reported");
}

/* "4.9", "0.04". */
static void put_pace(struct line *line, int64_t thousandths) {
    if (thousandths >= 1000 || thousandths == 0) line_rate(line, thousandths);
    else if (thousandths >= 10) line_put(line, "0.%02d", (int)(thousandths / 10));
    else line_put(line, "0.%03d", (int)thousandths);
}

/* "; a worker works on 5.0 at once, and begins 4.9/s while jobs wait". */
static void put_worker(struct line *line, const struct jobs_advice *jobs) {
    if (jobs->slots > 0) {
        line_put(line, "; a worker works on ");
        line_rate(line, jobs->slots);
        line_put(line, " at once");
    }
    if (jobs->rate <= 0) return;
    line_put(line, jobs->slots > 0 ? ", and begins " : "; a worker begins ");
    put_pace(line, jobs->rate);
    line_put(line, "/s while jobs wait");
}

static void put_known(struct line *line, const struct view *view) {
    const struct jobs_advice *jobs = &view->advice.jobs;
    put_waiting(line, view);
    if (jobs->working == 0) line_put(line, ", none is worked on");
    else if (jobs->working > 0)
        line_put(line, ", %" PRId64 " %s worked on", jobs->working,
                 jobs->working == 1 ? "is" : "are");
    if (jobs->arrive == 0) {
        line_put(line, ", none come");
    } else if (jobs->arrive > 0) {
        line_put(line, ", ");
        put_pace(line, jobs->arrive);
        line_put(line, "/s come");
    }
    put_worker(line, jobs);
    put_unknown(line, jobs);
}

/* ---- Why ------------------------------------------------------------------------------------ */

static void put_goal(struct line *line, const struct view *view) {
    line_put(line, "1 in %d ",
             (1000 + view->rule->goal_per_mille / 2) / view->rule->goal_per_mille);
    line_put(line, "begins later than ");
    line_ms(line, view->rule->goal_ms);
}

/* Beyond the maximum the exact number is not computed. */
static void put_needed(struct line *line, const struct view *view, int need) {
    if (need > view->ceiling && need > view->now.ordered)
        line_put(line, "more than %d are needed", need - 1);
    else line_put(line, "%d %s needed", need, need == 1 ? "is" : "are");
}

static void put_load(struct line *line, const struct view *view) {
    const struct jobs_advice *jobs = &view->advice.jobs;
    if (jobs->load <= 0 || view->advice.need == 0) return;
    line_put(line, "what comes keeps ");
    line_rate(line, jobs->load);
    line_put(line, " worker%s busy, and ", jobs->load >= 950 && jobs->load < 1050 ? "" : "s");
    put_needed(line, view, view->advice.need);
    line_put(line, " that not more than ");
    put_goal(line, view);
    line_put(line, "; ");
}

static void put_why_more(struct line *line, const struct view *view,
                         const struct outcome *outcome) {
    const struct advice *advice = &view->advice;
    const struct jobs_advice *jobs = &advice->jobs;
    if (advice->limited == ADVICE_TRIAL)
        line_put(line,
                 "%s%d would be right, and whether more help is seen first with half as many more, "
                 "since they did not a while ago; ",
                 advice->would > view->ceiling ? "at least " : "", advice->would);
    else if (jobs->why == JOBS_BACKLOG) {
        line_put(line,
                 "%" PRId64 " will wait when a worker ordered now is up (%" PRId64 " s), and ",
                 jobs->later, advice->boot_s);
        put_needed(line, view, outcome->would);
        line_put(line, " to begin them in %" PRId64 " s; ", jobs->drain_s);
    } else if (jobs->why == JOBS_UNLEARNED) {
        line_put(line, "how fast a worker works is not known yet, so %s tried; ",
                 view->now.ordered == 0 ? "one is" : "twice as many are");
    } else if (jobs->why == JOBS_AGE && view->now.ordered == 0) {
        line_put(line, "a job waits, and none is worked on while 0 run; ");
    } else if (jobs->why == JOBS_AGE) {
        line_put(line, "by how the wait grows, ");
        line_rate(line, jobs->times);
        line_put(line, " times as many come as begin; ");
    } else {
        put_load(line, view);
    }
}

static void put_most(struct line *line, const struct view *view, const struct outcome *outcome) {
    line_put(line, "at least %d would be right, and %d is the %s; ", outcome->would, view->ceiling,
             view->ceiling < view->rule->max ? "platform's limit" : "rule's maximum");
}

static void put_down(struct line *line, const struct view *view, const struct outcome *outcome) {
    if (outcome->would == 0) {
        line_put(line, "no job has been seen for ");
        line_age(line, view->advice.jobs.idle_s);
    } else {
        int enough = view->advice.jobs.held ? view->advice.need : outcome->would;
        line_surplus(line, view->advice.surplus_s, enough);
        if (view->advice.jobs.held) line_put(line, ", and %d are at work", outcome->would);
    }
    if (view->rule->hold_while_jobs_run && view->now.jobs_running < 0)
        line_put(line, "; whether jobs run is not known");
    line_put(line, "; ");
}

static void put_ceiling(struct line *line, const struct view *view) {
    line_put(line,
             "%s%d would be right, but more workers did not help: no more jobs began, or each "
             "took longer; what does not scale is often a database, a lock or another service; ",
             view->advice.would > view->ceiling ? "at least " : "", view->advice.would);
}

static void put_last(struct line *line, const struct view *view) {
    const struct jobs_advice *jobs = &view->advice.jobs;
    if (jobs->idle_s > 0) {
        line_put(line, "no job has been seen for ");
        line_age(line, jobs->idle_s);
        line_put(line, ", and ");
    }
    line_put(line, "the last worker stays for ");
    line_wait(line, jobs->keep_s);
    line_put(line, "%s, since a job that comes without one waits for a start; ",
             jobs->idle_s > 0 ? "" : " after the last job");
}

void jobs_say(struct line *line, const struct view *view, const struct outcome *outcome) {
    const struct advice *advice = &view->advice;
    switch (outcome->form) {
    case SENTENCE_UP_JOBS:
        if (outcome->would > outcome->to) put_most(line, view, outcome);
        put_why_more(line, view, outcome);
        break;
    case SENTENCE_HOLD_JOBS_MOST:
        put_most(line, view, outcome);
        break;
    case SENTENCE_DOWN_JOBS:
        put_down(line, view, outcome);
        break;
    case SENTENCE_HOLD_JOBS_SURPLUS:
        line_put(line, "%d would do now, and the surplus has cost %" PRId64 " %% of %d starts; ",
                 advice->need, advice->surplus_per_cent, AUTOMATIC_PATIENCE);
        break;
    case SENTENCE_HOLD_JOBS_LAST:
        put_last(line, view);
        break;
    case SENTENCE_HOLD_JOBS_BUSY:
        line_put(line, "%d would do, but all are at work; ", advice->need);
        break;
    case SENTENCE_HOLD_JOBS_CEILING:
        put_ceiling(line, view);
        break;
    default:
        put_load(line, view);
    }
    put_known(line, view);
}

void jobs_say_next(struct line *line, const struct view *view, const struct outcome *outcome) {
    const struct advice *advice = &view->advice;
    int from = view->on ? outcome->to : (int)view->now.ordered;
    if (!sentence_put_no_more(line, view, outcome->form == SENTENCE_HOLD_JOBS_CEILING, from)) {
        line_put(line, from == 0 ? "up when a job waits" : "up when jobs would wait longer than ");
        if (from > 0) line_ms(line, view->rule->goal_ms);
    }
    if (sentence_put_no_fewer(line, view, from)) return;
    if (outcome->form == SENTENCE_HOLD_JOBS_LAST) {
        line_put(line, "; down to 0 in ");
        line_wait(line, advice->jobs.keep_s - advice->jobs.idle_s);
        line_put(line, " if no job comes");
    } else if (outcome->to == view->now.ordered && advice->need < view->now.ordered)
        line_put(line,
                 "; down when the surplus has cost %d starts, %" PRId64
                 " %% of that so far, and as many are not at work",
                 AUTOMATIC_PATIENCE, advice->surplus_per_cent);
    else line_put(line, "; down when fewer have been enough for long");
}
