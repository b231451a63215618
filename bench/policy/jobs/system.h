/* A job system: one queue, first in, first out, and workers with slots. Each job is exact: when it
 * came, when it began, how long it takes. What can happen to it: its worker is told to stop (25 s
 * later the job goes back to the head of the queue, and all of it is done again), or it fails and
 * comes again later, as a job of its own. */
#ifndef POLICY_JOBS_SYSTEM_H
#define POLICY_JOBS_SYSTEM_H

/* A reading of the queue. */
struct reading {
    int second, waiting, working;
    double oldest_s;
};

void system_begin(void);        /* reads the options; README.md */
void system_second(int second); /* jobs come, begin and end */
struct reading system_read(int second);

void system_scale(int now, int wanted); /* as the platform's API: takes up to 3 s */
int system_ordered(void);
int system_up(void);

/* What methods may know of the formation. */
extern int system_last_up, system_last_down, system_release;
extern int system_boot_count;
double system_boot_mean(void);

void system_print(void); /* a line of CSV: the columns are in compare_jobs.py */

#endif
