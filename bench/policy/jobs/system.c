#include "system.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../options.h"
#include "../random.h"
#include "../service_time.h"
#include "../traffic.h"

enum { MOST_WORKERS = 200, MOST_SLOTS = 32, MOST_LATER = 1 << 18, MOST_DEPLOYS = 8 };
enum { CALLS_APART_S = 5, STOP_S = 25, WAITS = 200000, BOOTS = 16 };
static const double DAY_S = 86400, USUAL_BOOT_S = 25;

struct job {
    double came, begun, ends;
    int tries;
    bool again; /* was cut off: it does not count a second time */
};

struct worker {
    bool up;
    double boot_began, up_at, next_cycle;
    struct job slots[MOST_SLOTS]; /* ends: when the slot is free */
};

static struct {
    int slots, smallest, largest;
    double boot_low, boot_high, fails, long_share, long_s, goal_s, database_slots;
    int batch_size, batch_every;
} set;

static struct worker *workers[MOST_WORKERS];
static int ordered, up_count, scalings, pending, pending_at, last_call = -100;
static bool is_pending;
int system_last_up = -100000, system_last_down = -100000, system_release = -1, system_boot_count;
static double boots[BOOTS], deploys[MOST_DEPLOYS], next_arrival;
static int deploy_count;

/* The queue grows at both ends. */
static struct job *queue;
static int queue_head, queue_end, queue_room;
static struct job later[MOST_LATER]; /* failed jobs, until they come again */
static int later_count;

static struct {
    long jobs, late, cut, wait_count[WAITS];          /* by 10 ms */
    int *minute_jobs, *minute_late, minutes, largest; /* of the minute in which they came */
    int *begun_jobs, *begun_late;                     /* of that in which they began */
    double longest, worker_s, late_s;
} all;

/* ---- The queue ------------------------------------------------------------------------------ */

static void make_room(void) {
    int count = queue_end - queue_head, room = 4 * count + 4096;
    struct job *bigger = malloc((size_t)room * sizeof *bigger);
    if (!bigger) abort();
    int head = (room - count) / 2;
    if (count) memcpy(bigger + head, queue + queue_head, (size_t)count * sizeof *bigger);
    free(queue);
    queue = bigger;
    queue_room = room;
    queue_head = head;
    queue_end = head + count;
}

static void put_last(struct job job) {
    if (queue_end == queue_room) make_room();
    queue[queue_end++] = job;
}

static void put_first(struct job job) {
    if (queue_head == 0) make_room();
    queue[--queue_head] = job;
}

/* ---- What is counted ------------------------------------------------------------------------ */

static void count_begun(const struct job *job, double wait) {
    int minute = (int)(job->came / 60), bin = (int)(wait * 100);
    int begun = (int)((job->came + wait) / 60);
    if (job->again) return;
    all.jobs++;
    all.minute_jobs[minute]++;
    all.begun_jobs[begun]++;
    all.wait_count[bin < WAITS ? bin : WAITS - 1]++;
    if (wait > all.longest) all.longest = wait;
    if (wait <= set.goal_s) return;
    all.late++;
    all.minute_late[minute]++;
    all.begun_late[begun]++;
    all.late_s += wait - set.goal_s;
}

static double wait_quantile(double q) {
    double sum = 0;
    for (int i = 0; i < WAITS; i++) {
        sum += (double)all.wait_count[i];
        if (sum >= q * (double)all.jobs) return (i + 1) / 100.;
    }
    return all.longest;
}

static int late_minutes(const int *jobs, const int *late) {
    int count = 0;
    for (int i = 0; i < all.minutes; i++) count += jobs[i] > 0 && late[i] > .05 * jobs[i];
    return count;
}

void system_print(void) {
    for (int i = queue_head; i < queue_end; i++)
        count_begun(&queue[i], fmax(traffic_seconds - queue[i].came, 0));
    printf("%s,%s,%d,%.2f,%ld,%ld,%.2f,%d,%.1f,%.1f,%.1f,%ld,%d,%d,%d\n", option("name", ""),
           option("tag", ""), option_int("seed", 1), all.worker_s / 3600, all.jobs, all.late,
           all.jobs ? 100. * (double)all.late / (double)all.jobs : 0,
           late_minutes(all.minute_jobs, all.minute_late), wait_quantile(.95), wait_quantile(.99),
           all.longest, all.cut, scalings, all.largest,
           late_minutes(all.begun_jobs, all.begun_late));
}

/* ---- Work ----------------------------------------------------------------------------------- */

static int working_at(double t) {
    int count = 0;
    for (int i = 0; i < ordered; i++)
        for (int s = 0; workers[i]->up && s < set.slots; s++)
            count += workers[i]->slots[s].ends > t;
    return count;
}

static double duration_at(double t) {
    bool is_long = set.long_share > 0 && random_uniform(&main_random) < set.long_share;
    double takes = is_long ? set.long_s * (.5 + random_uniform(&main_random)) : service_time_draw();
    double busy = set.database_slots > 0 ? working_at(t) + 1 : 0;
    return busy > set.database_slots ? takes * busy / set.database_slots : takes;
}

static void fail_later(const struct job *job) {
    if (job->tries >= 4 || later_count == MOST_LATER) return;
    double wait = pow(job->tries + 1, 4) + 15 + 10 * random_uniform(&main_random);
    later[later_count++] = (struct job){.came = job->ends + wait, .tries = job->tries + 1};
}

static struct job *free_slot(double *at) {
    struct job *first = NULL;
    *at = 1e18;
    for (int i = 0; i < ordered; i++)
        for (int s = 0; workers[i]->up && s < set.slots; s++)
            if (workers[i]->slots[s].ends < *at) {
                first = &workers[i]->slots[s];
                *at = first->ends;
            }
    return first;
}

static void begin_jobs(double until) {
    double at;
    while (queue_head < queue_end) {
        struct job *slot = free_slot(&at), job = queue[queue_head];
        double begins = fmax(at, job.came);
        if (!slot || begins >= until) return;
        queue_head++;
        count_begun(&job, begins - job.came);
        job.begun = begins;
        job.ends = begins + duration_at(begins);
        if (set.fails > 0 && random_uniform(&main_random) < set.fails) fail_later(&job);
        *slot = job;
    }
}

static int by_coming(const void *one, const void *other) {
    double a = ((const struct job *)one)->came, b = ((const struct job *)other)->came;
    return a < b ? -1 : a > b;
}

static void come(int second) {
    int first = queue_end;
    double rate = traffic_rate[second], t = second + next_arrival / fmax(rate, 1e-9);
    for (; rate > 1e-9 && t < second + 1; t += exponential_draw() / rate)
        put_last((struct job){.came = t});
    if (rate > 1e-9) next_arrival = (t - (second + 1)) * rate;
    if (set.batch_every > 0 && second % set.batch_every == set.batch_every / 2)
        for (int i = 0; i < set.batch_size; i++) put_last((struct job){.came = second});
    for (int i = 0; i < later_count; i++) {
        if (later[i].came >= second + 1) continue;
        put_last(later[i]);
        later[i--] = later[--later_count];
    }
    if (queue_end - first > 1 && first >= queue_head)
        qsort(queue + first, (size_t)(queue_end - first), sizeof *queue, by_coming);
}

/* ---- Workers -------------------------------------------------------------------------------- */

static double boot_time(void) {
    return set.boot_low + (set.boot_high - set.boot_low) * random_uniform(&main_random);
}

/* Told to stop: what does not end in time goes back. Returns how long it still runs. */
static double stop(struct worker *worker, double t) {
    double longest = 0;
    for (int s = set.slots - 1; s >= 0 && worker->up; s--) {
        struct job *job = &worker->slots[s];
        if (job->ends <= t) continue;
        longest = fmax(longest, fmin(job->ends - t, STOP_S));
        if (job->ends <= t + STOP_S) continue;
        all.cut++;
        put_first((struct job){.came = t, .tries = job->tries, .again = true});
    }
    worker->up = false;
    return longest;
}

static void boot(struct worker *worker, double t) {
    worker->boot_began = t;
    worker->up_at = t + boot_time();
}

static struct worker *add_worker(double t) {
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker) abort();
    worker->next_cycle = t + DAY_S * (1 + .15 * random_uniform(&main_random));
    boot(worker, t);
    return worker;
}

static void come_up(struct worker *worker, int second) {
    worker->up = true;
    boots[system_boot_count++ % BOOTS] = second - worker->boot_began;
    for (int s = 0; s < set.slots; s++) worker->slots[s] = (struct job){.ends = second};
}

double system_boot_mean(void) {
    int count = system_boot_count < BOOTS ? system_boot_count : BOOTS;
    double sum = 2 * USUAL_BOOT_S;
    for (int i = 0; i < count; i++) sum += boots[i];
    return sum / (count + 2);
}

static void platform_events(int second) {
    bool deploy = false;
    for (int i = 0; i < deploy_count; i++) deploy = deploy || (int)deploys[i] == second;
    if (deploy) system_release = second;
    up_count = 0;
    for (int i = 0; i < ordered; i++) {
        struct worker *worker = workers[i];
        bool cycle = worker->next_cycle < second;
        if (worker->up && (deploy || cycle)) {
            stop(worker, second);
            boot(worker, second);
            if (cycle) worker->next_cycle = second + DAY_S;
        }
        if (!worker->up && worker->up_at <= second) come_up(worker, second);
        up_count += worker->up;
    }
}

void system_scale(int now, int wanted) {
    wanted = wanted < set.smallest ? set.smallest : wanted > set.largest ? set.largest : wanted;
    if (wanted != ordered && !is_pending && now - last_call >= CALLS_APART_S) {
        pending = wanted;
        is_pending = true;
        pending_at = now + (int)(3 * random_uniform(&main_random));
        last_call = now;
    }
    if (!is_pending || now < pending_at) return;
    is_pending = false;
    scalings += pending != ordered;
    if (pending > ordered) system_last_up = now;
    if (pending < ordered) system_last_down = now;
    while (ordered < pending) workers[ordered++] = add_worker(now);
    while (ordered > pending) {
        struct worker *last = workers[--ordered];
        all.worker_s += stop(last, now);
        free(last);
    }
}

int system_ordered(void) { return ordered; }
int system_up(void) { return up_count; }

struct reading system_read(int second) {
    struct reading reading = {.second = second, .working = working_at(second)};
    for (int i = queue_head; i < queue_end && queue[i].came <= second; i++) reading.waiting++;
    if (reading.waiting) reading.oldest_s = second - queue[queue_head].came;
    return reading;
}

void system_second(int second) {
    platform_events(second);
    come(second);
    begin_jobs(second + 1);
    all.worker_s += ordered;
    if (ordered > all.largest) all.largest = ordered;
}

void system_begin(void) {
    uint64_t seed = (uint64_t)option_int("seed", 1);
    random_seed(&main_random, seed * 104729 + 7);
    set.slots = option_int("c", 5);
    set.smallest = option_int("min", 0);
    set.largest = option_int("max", 40);
    set.boot_low = option_number("bootlo", 10);
    set.boot_high = option_number("boothi", 40);
    set.fails = option_number("fail", .01);
    set.long_share = option_number("long", 0);
    set.long_s = option_number("longs", 300);
    set.goal_s = option_number("goal", 30);
    set.database_slots = option_number("dbslots", 0);
    set.batch_size = option_int("batch", 0);
    set.batch_every = option_int("every", 3600);
    all.minutes = traffic_seconds / 60 + 1;
    all.minute_jobs = calloc((size_t)all.minutes + 2, sizeof(int));
    all.minute_late = calloc((size_t)all.minutes + 2, sizeof(int));
    all.begun_jobs = calloc((size_t)all.minutes + 2, sizeof(int));
    all.begun_late = calloc((size_t)all.minutes + 2, sizeof(int));
    if (!all.minute_jobs || !all.minute_late || !all.begun_jobs || !all.begun_late) abort();
    for (int i = 0; i < option_int("deploys", 1) && i < MOST_DEPLOYS; i++)
        deploys[deploy_count++] = 28800 + 43200 * random_uniform(&main_random);
    next_arrival = exponential_draw();
    for (int i = option_int("start", 1); i > 0; i--) {
        workers[ordered] = add_worker(0);
        come_up(workers[ordered++], 0);
    }
    system_boot_count = 0;
}
