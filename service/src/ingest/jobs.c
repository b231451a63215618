#include "ingest/jobs.h"

#include <stdbool.h>

/* The number of jobs that had come by each moment, counted from the oldest that the first reading
 * saw. */
struct curve {
    struct {
        double at_s, jobs;
    } points[2 * JOBS_READINGS];
    int count;
};

static void add_point(struct curve *curve, double at_s, double jobs) {
    curve->points[curve->count].at_s = at_s;
    curve->points[curve->count++].jobs = jobs;
}

/* Between two points, jobs are taken to come evenly. */
static double came_until(const struct curve *curve, double at_s) {
    int i = 0;
    while (i < curve->count && curve->points[i].at_s < at_s) i++;
    if (i == 0) return curve->points[0].jobs;
    if (i == curve->count) return curve->points[i - 1].jobs;
    double from_s = curve->points[i - 1].at_s, before = curve->points[i - 1].jobs;
    double part = (at_s - from_s) / (curve->points[i].at_s - from_s);
    return before + part * (curve->points[i].jobs - before);
}

static double oldest_at(const struct jobs_reading *reading) {
    return (double)reading->at_s - (double)reading->oldest_ms / 1000;
}

struct count {
    double came, begun;
    bool seen; /* jobs waited all the time since the previous reading */
};

/* The jobs that have begun are those that came before the oldest one that still waits. If several
 * came at the same moment, the oldest one's age shows nothing while they begin: then the jobs that
 * are missing have begun. */
static struct count count_at(struct curve *curve, const struct jobs_reading *reading,
                             const struct jobs_reading *before, struct count last) {
    double oldest = oldest_at(reading), waiting = (double)reading->waiting;
    struct count count = {.seen =
                              waiting > 0 && before->waiting > 0 && oldest <= (double)before->at_s};
    count.came = count.seen ? came_until(curve, oldest) + waiting : last.came + waiting;
    if (count.came < last.came) count.came = last.came;
    count.begun = count.came - waiting;
    if (count.begun < last.begun) {
        count.begun = last.begun;
        count.came = last.begun + waiting;
    }
    if (!count.seen && oldest > (double)before->at_s) add_point(curve, oldest, last.came);
    add_point(curve, (double)reading->at_s, count.came);
    return count;
}

static int64_t in_1000_s(double jobs, int64_t seconds) {
    return (int64_t)(jobs * 1000 / (double)seconds + .5);
}

struct jobs_flow jobs_flow(const struct jobs_reading *readings, size_t count) {
    struct jobs_flow flow = {-1, -1};
    if (count < 2 || count > JOBS_READINGS || readings[0].waiting < 0) return flow;
    struct curve curve = {.count = 0};
    struct count last = {.came = (double)readings[0].waiting};
    double came = 0, begun = 0;
    int64_t seconds = 0, apart_s = 1, newest_s = readings[count - 1].at_s;
    add_point(&curve, oldest_at(&readings[0]), 0);
    add_point(&curve, (double)readings[0].at_s, last.came);
    for (size_t i = 1; i < count; i++) {
        const struct jobs_reading *reading = &readings[i], *before = &readings[i - 1];
        if (reading->waiting < 0 || reading->at_s <= before->at_s) return flow;
        struct count now = count_at(&curve, reading, before, last);
        if (!now.seen) {
            seconds = 0;
            came = 0;
        } else if (reading->at_s > newest_s - JOBS_FLOW_S) {
            apart_s = reading->at_s - before->at_s;
            came += now.came - last.came;
            begun = now.begun - last.begun;
            seconds += apart_s;
        }
        last = now;
    }
    if (seconds == 0) return flow;
    return (struct jobs_flow){in_1000_s(came, seconds), in_1000_s(begun, apart_s)};
}
