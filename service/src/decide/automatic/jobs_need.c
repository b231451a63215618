/* How many workers are needed so that jobs begin within the goal. */
#include "decide/automatic/jobs.h"
#include "decide/automatic/number.h"

static const double FULL = .9;     /* share of workers that may be busy if slots are unknown */
static const double FASTEST = .75; /* the fastest growth of a wait that is believed, in s per s */
static const double HARDLY = .01;  /* fewer busy workers than this count as none */
static const double SOON_S = 60;   /* how far ahead a growing age is extrapolated */
enum { MOST_SLOTS = 20000 };

static int round_up(double x, int most) {
    x = number_within(x, 0, most);
    return (int)x < x ? (int)x + 1 : (int)x;
}

/* Erlang's formula: the share of jobs that find all slots busy, computed slot by slot; then the
 * share of those that still wait when the goal has passed. */
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

/* Jobs come and begin until the ordered workers are up, and then until one ordered now is up. What
 * still waits must begin within the drain time: a new worker begins as many at once as it has
 * slots, and then its rate. */
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

/* If the oldest job's age grows by g seconds per second, only the jobs of 1 - g seconds begin each
 * second. */
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
