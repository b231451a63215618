#include "replay/queue.h"

#include <math.h>

/* Above that, what waits is mostly a backlog that is worked off in order, and not chance. */
static const double KNEE = .95;

double queue_chance(int slots, double used) {
    if (used <= 0) return 0;
    if (used >= 1) return 1;
    double load = used * slots, blocked = 1; /* Erlang's B by its recursion, then C of it */
    for (int i = 1; i <= slots; i++) blocked = load * blocked / (i + load * blocked);
    return blocked / (1 - used * (1 - blocked));
}

static double waiting(double chance, double used, double smooth) {
    return chance * used / (1 - used) / smooth;
}

void queue_begin(struct queue *queue, int slots, double service_s, double smooth) {
    queue->slots = slots < 1 ? 1 : slots > QUEUE_SLOTS ? QUEUE_SLOTS : slots;
    queue->service_s = service_s;
    queue->smooth = smooth;
    for (int i = 0; i < QUEUE_POINTS; i++) {
        double free = 1 - (double)i / QUEUE_POINTS;
        double used = 1 - free * free; /* close points where a queue grows fast */
        queue->used[i] = used;
        queue->chance[i] = queue_chance(queue->slots, used);
        queue->number[i] = queue->slots * used + waiting(queue->chance[i], used, smooth);
    }
}

/* The place between two points at which number + weight * used is `sum`, which rises. */
static double place_of(const struct queue *queue, double sum, double weight) {
    int low = 0, high = QUEUE_POINTS - 1;
    if (sum <= 0) return 0;
    if (sum >= queue->number[high] + weight * queue->used[high]) return high;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (queue->number[middle] + weight * queue->used[middle] <= sum) low = middle;
        else high = middle;
    }
    double from = queue->number[low] + weight * queue->used[low];
    double to = queue->number[high] + weight * queue->used[high];
    return low + (sum - from) / (to - from);
}

static double at(const double *values, double place) {
    int low = (int)place;
    if (low >= QUEUE_POINTS - 1) return values[QUEUE_POINTS - 1];
    return values[low] + (place - low) * (values[low + 1] - values[low]);
}

/* Euler's backward step: any length is stable, and where nothing waits it is the stationary state.
 */
double queue_after(const struct queue *queue, double number, double rate, double service_s,
                   double seconds, double *served) {
    double flat_out = queue->slots / service_s, all = number + rate * seconds;
    double place = place_of(queue, all, flat_out * seconds);
    double rate_out = flat_out * at(queue->used, place);
    double after = all - rate_out * seconds;
    if (served) *served = rate_out;
    return after > 0 ? after : 0;
}

static double knee_number(const struct queue *queue) {
    double place = (1 - sqrt(1 - KNEE)) * QUEUE_POINTS;
    return at(queue->number, place);
}

struct queue_wait queue_wait(const struct queue *queue, double number, double service_s) {
    double knee = knee_number(queue), flat_out = queue->slots / service_s;
    struct queue_wait wait = {.delay = number > knee ? (number - knee) / flat_out : 0};
    double place = place_of(queue, number < knee ? number : knee, 0);
    double used = at(queue->used, place);
    wait.chance = at(queue->chance, place);
    wait.drop = flat_out * (1 - used) * queue->smooth;
    return wait;
}

struct queue_wait queue_stationary(const struct queue *queue, double used, double service_s) {
    double within = used < 0 ? 0 : used > KNEE ? KNEE : used;
    double place = (1 - sqrt(1 - within)) * QUEUE_POINTS;
    struct queue_wait wait = {.chance = at(queue->chance, place)};
    wait.drop = queue->slots / service_s * (1 - within) * queue->smooth;
    if (used > KNEE) wait.delay = 60 * (used - KNEE); /* what a minute of it leaves behind */
    return wait;
}

double queue_longer(const struct queue_wait *wait, double seconds) {
    if (seconds < wait->delay) return 1;
    return wait->chance * exp(-(seconds - wait->delay) * wait->drop);
}

double queue_mean_wait(const struct queue_wait *wait) {
    return wait->delay + wait->chance / wait->drop;
}
