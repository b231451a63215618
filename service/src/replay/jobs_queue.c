#include "replay/jobs_queue.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "replay/chance.h"

/* What numbers of chance are for; see chance.h. */
enum { CHANCE_CUT = 40, CHANCE_OLD = 42, CHANCE_NEW = 44, CHANCE_ENDED = 46, LONG_S = 30 };

bool jobs_queue_begin(struct jobs_queue *queue, double job_s, double late_s, int minutes) {
    memset(queue, 0, sizeof *queue);
    queue->job_s = job_s;
    queue->late_s = late_s;
    queue->room = minutes * (60 / JOBS_STEP_S);
    queue->curve = calloc((size_t)queue->room + 1, sizeof *queue->curve);
    return queue->curve != NULL;
}

void jobs_queue_end(struct jobs_queue *queue) {
    free(queue->curve);
    queue->curve = NULL;
}

/* Jobs that came until so many steps, parts of one too. */
static double came_until(const struct jobs_queue *queue, double step) {
    if (step <= 0) return 0;
    int whole = (int)step;
    if (whole >= queue->steps) return queue->came;
    double before = whole > 0 ? queue->curve[whole - 1] : 0;
    return before + (step - whole) * (queue->curve[whole] - before);
}

/* Workers that went: what they work on ends in the time that they are given, or is done again. */
static void cut(struct jobs_queue *queue, int64_t now_s, double slots) {
    double cut = queue->working - slots;
    if (cut <= 0) return;
    double remains = exp(-JOBS_STOP_S / queue->job_s);
    queue->working = slots;
    queue->again += chance_binomial(cut, remains, now_s, CHANCE_CUT);
}

/* Of short jobs it is chance which of them end. Of long ones, which were few, chance would make
 * other peaks than there were: as many end as do on average. */
static double jobs_after(const struct jobs_queue *queue, int64_t now_s, double slots, double came) {
    double all = queue->waiting + queue->again + queue->working;
    double remain = exp(-JOBS_STEP_S / queue->job_s);
    double new_remain = queue->job_s / JOBS_STEP_S * (1 - remain);
    double ended = slots * JOBS_STEP_S / queue->job_s;
    if (queue->job_s > LONG_S) return fmax(all * remain + came * new_remain, all + came - ended);
    double while_free = chance_binomial(all, remain, now_s, CHANCE_OLD) +
                        chance_binomial(came, new_remain, now_s, CHANCE_NEW);
    double while_full = all + came - chance_poisson(ended, now_s, CHANCE_ENDED);
    return fmax(while_free, while_full);
}

static void find_oldest(struct jobs_queue *queue) {
    if (queue->waiting < .5) {
        queue->oldest_s = 0;
        queue->at = queue->steps;
        return;
    }
    while (queue->at < queue->steps && queue->curve[queue->at] <= queue->begun) queue->at++;
    double before = queue->at > 0 ? queue->curve[queue->at - 1] : 0;
    double rest = queue->curve[queue->at] - before;
    double part = rest > 0 ? (queue->begun - before) / rest : 0;
    queue->oldest_s = (queue->steps - queue->at - part) * JOBS_STEP_S;
}

/* Jobs that came so long ago that they are late unless they have begun. */
static double came_early(const struct jobs_queue *queue) {
    return came_until(queue, queue->steps - queue->late_s / JOBS_STEP_S);
}

double jobs_queue_late(const struct jobs_queue *queue) {
    return fmax(0, came_early(queue) - queue->begun);
}

double jobs_queue_pass(struct jobs_queue *queue, int64_t now_s, double slots, double came) {
    cut(queue, now_s, slots);
    double all = jobs_after(queue, now_s, slots, came);
    queue->came += came;
    if (queue->steps < queue->room) queue->curve[queue->steps++] = queue->came;
    queue->working = fmin(all, slots);
    double queued = all - queue->working;
    queue->again = fmin(queue->again, queued);
    queue->waiting = queued - queue->again;
    double before = queue->begun;
    queue->begun = fmax(before, queue->came - queue->waiting);
    find_oldest(queue);
    return fmax(0, fmin(came_early(queue), queue->begun) - before);
}
