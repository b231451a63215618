/* How many workers it takes that jobs begin within the goal. */
#include "decide/automatic/jobs.h"
#include "decide/automatic/number.h"

static const double FULL = .9;     /* share of workers that may be busy where slots are unknown */
static const double FASTEST = .75; /* growth of a wait, seconds a second, that is believed */
static const double HARDLY = .01;  /* workers busy: none is */
static const double SOON_S = 60;   /* so far ahead an age that grows is looked at */
enum { MOST_SLOTS = 20000 };

static int round_up(double x, int most) {
    x = number_within(x, 0, most);
    return (int)x < x ? (int)x + 1 : (int)x;
}

/* Erlang's formula: the share of jobs that find all slots taken, one slot after the other; then the
 * share of these that still wait when the goal is over. */
static int workers_for(double busy, double slots, double job_s, const struct jobs *jobs) {
    int most = jobs->moment.most + 1;
    double lost = 1;
    int taken = 0;
    for (int n = 1; n <= most; n++) {
        for (; taken < (int)(n * slots) && taken < MOST_SLOTS; taken++)
            lost = busy * lost / (taken + 1 + busy * lost);
        if (taken <= busy) continue;
        double waits = lost / (1 - busy / taken * (1 - lost));
        if (waits * number_exp(-(taken - busy) * jobs->goal_s / job_s) <= jobs->share) return n;
    }
    return most;
}

int jobs_for_load(const struct jobs *jobs) {
    if (jobs->load <= HARDLY) return 0;
    if (jobs->slots < 1) return round_up(jobs->load / FULL, jobs->moment.most + 1);
    return workers_for(jobs->load * jobs->slots, jobs->slots, jobs->job_s, jobs);
}

/* Until those are up that are ordered, then until one is that is ordered now, jobs come and begin.
 * What waits then begins in the time to drain it: a new worker takes as many at once as it has
 * slots, and then as many a second as it begins. */
int jobs_for_backlog(const struct jobs *jobs, double *later) {
    const struct moment *moment = &jobs->moment;
    double now = moment->up * jobs->rate, then = moment->ordered * jobs->rate;
    double arrive = jobs->queued && jobs->arrive >= 0 ? jobs->arrive
                    : jobs->load >= 0                 ? jobs->load * jobs->rate
                                                      : now;
    double waits = jobs->waiting + (arrive - now) * jobs->coming_s;
    waits -= (moment->ordered - moment->up) * jobs->slots;
    waits = number_larger(waits, 0) + (arrive - then) * (moment->boot - jobs->coming_s);
    *later = number_larger(waits, 0);
    double taken = moment->ordered * jobs->slots;
    return round_up((*later + taken) / (jobs->rate * jobs->drain_s + jobs->slots),
                    moment->most + 1);
}

/* The oldest job's moment moves on by 1 - g seconds a second: what began in a second came in so
 * much of one. */
int jobs_by_age(const struct jobs *jobs, double *times) {
    const struct moment *moment = &jobs->moment;
    double grows = number_within(jobs->grows, -1, FASTEST);
    *times = 1 / (1 - grows);
    double soon = jobs->oldest_s + grows * (moment->boot + SOON_S);
    if (soon <= jobs->goal_s || moment->up < moment->ordered) return moment->ordered;
    double then = number_larger(jobs->oldest_s + grows * moment->boot, 0);
    double need = moment->up * *times * number_larger(1, then / jobs->drain_s);
    return round_up(number_within(need, 1, 2 * (double)moment->up + 1), moment->most + 1);
}
