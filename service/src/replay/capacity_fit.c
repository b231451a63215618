#include "replay/capacity_fit.h"

#include <math.h>
#include <string.h>

enum {
    LOADS = 96,   /* classes of load, each 8 % wide */
    SIZES = 12,   /* classes of the number of dynos */
    CELLS = 256,  /* most cells that can hold something */
    LEAST = 10,   /* requests that a minute must have to be used */
    SETTLED = 3,  /* minutes after a restart that are left out */
    SMOOTHED = 2, /* minutes on either side that are averaged */
    COARSE = 20,
    FINE = 8,
    ROUNDS = 3,
};
static const double LOWEST_LOAD = .01, WIDTH = 1.08;
static const double USUAL_CLUSTERING = 8, MOST_CLUSTERING = 15;
static const double USUAL_SMOOTH = .8, SMOOTH_DOUBT = .6, SCALE_DOUBT = .1;
static const double USUAL_SERVICE_S = .1, SERVICE_DOUBT = 1.5;
static const double FULL =
    .98; /* share of the slots: with more load there is no stationary state */
static const int slots_tried[] = {1, 2, 3, 5, 8, 12, 20, 32};

/* Minutes of about the same load and number of dynos, added up. */
struct cell {
    double minutes, requests, load,
        dynos; /* load: of one dyno; load and dynos are weighted by the minutes */
    double above[HISTORY_MARKS];
};

struct fit {
    const struct history *history;
    struct cell cells[CELLS];
    int count;
    int place[SIZES][LOADS]; /* + 1 */
    bool busy_known;
    double heaviest; /* load of a dyno */
};

/* ---- What was measured ---------------------------------------------------------------------- */

static double busy_of(const struct history *history, int minute) {
    double busy = 0, requests = 0;
    for (int i = minute - SMOOTHED; i <= minute + SMOOTHED; i++) {
        if (i < 0 || i >= history->count || history->minutes[i].busy_s < 0) continue;
        busy += history->minutes[i].busy_s;
        requests += history->minutes[i].requests;
    }
    return requests > 0 && busy > 0 ? busy / requests : 0;
}

double capacity_service(const struct capacity *capacity, const struct history *history,
                        int minute) {
    double busy = capacity->busy_known ? busy_of(history, minute) * capacity->scale : 0;
    return busy > 0 ? busy : capacity->service_s;
}

/* Whether the minute shows a stationary state: dynos as before, and no backlog. */
static bool is_steady(const struct history *history, int minute) {
    const struct history_minute *now = &history->minutes[minute];
    if (minute < 1 || !now->known || now->requests < LEAST || now->up < .5) return false;
    if (now->wait_s > now->requests) return false;
    for (int i = minute - SETTLED < 0 ? 0 : minute - SETTLED; i <= minute; i++)
        if (history->minutes[i].restart) return false;
    const struct history_minute *before = &history->minutes[minute - 1];
    return before->known && before->up > .5 && fabs(now->up - before->up) < .02 * now->up;
}

static int class_of(double value, double lowest, double width, int classes) {
    int class = value > lowest ? (int)(log(value / lowest) / log(width)) : 0;
    return class < classes ? class : classes - 1;
}

static void add_minute(struct fit *fit, int minute) {
    const struct history_minute *now = &fit->history->minutes[minute];
    double load = now->requests / 60 / now->up;
    if (fit->busy_known) {
        double busy = busy_of(fit->history, minute);
        if (busy <= 0) return;
        load *= busy;
    }
    int size = class_of(now->up, 1, 1.5, SIZES);
    int *place = &fit->place[size][class_of(load, LOWEST_LOAD, WIDTH, LOADS)];
    if (*place == 0 && fit->count == CELLS) return;
    if (*place == 0) *place = ++fit->count;
    struct cell *cell = &fit->cells[*place - 1];
    cell->minutes++;
    cell->requests += now->requests;
    cell->load += load;
    cell->dynos += now->up;
    for (int i = 0; i < HISTORY_MARKS; i++) cell->above[i] += now->above[i];
}

static bool is_busy_known(const struct history *history) {
    int with = 0, all = 0;
    for (int i = 0; i < history->count; i++) {
        if (history->minutes[i].requests < 1) continue;
        all++;
        with += history->minutes[i].busy_s > 0;
    }
    return with > 0 && 10 * with >= 9 * all;
}

static void gather(struct fit *fit, const struct history *history) {
    fit->history = history;
    fit->busy_known = is_busy_known(history);
    for (int i = 0; i < history->count; i++)
        if (is_steady(history, i)) add_minute(fit, i);
    for (int i = 0; i < fit->count; i++) {
        struct cell *cell = &fit->cells[i];
        cell->load /= cell->minutes;
        cell->dynos /= cell->minutes;
        if (cell->load > fit->heaviest) fit->heaviest = cell->load;
    }
}

/* ---- The likelihood of a queue -------------------------------------------------------------- */

struct tried {
    int slots;
    bool shared;
    /* The load times this is the number of busy slots: the load is in requests or in busy seconds.
     */
    double scale;
    double smooth, likelihood;
};

static struct queue_wait wait_of(const struct tried *tried, double service_s, double load,
                                 double dynos) {
    int slots = tried->shared ? (int)(tried->slots * dynos + .5) : tried->slots;
    double used = load * tried->scale / tried->slots;
    if (used > FULL) used = FULL;
    struct queue_wait wait = {.chance = queue_chance(slots, used)};
    wait.drop = slots * (1 - used) * tried->smooth / service_s;
    return wait;
}

static double log_share(double count, double share) {
    return count > 0 ? count * log(share > 1e-12 ? share : 1e-12) : 0;
}

/* The likelihood of a cell's counts between the marks. Everything quicker than the first mark is
 * one class, since small queue times mostly come from the router. */
static double cell_likelihood(const struct tried *tried, const struct cell *cell,
                              double service_s) {
    struct queue_wait wait = wait_of(tried, service_s, cell->load, cell->dynos);
    double sum = 0, longer = 1, counted = cell->requests;
    for (int i = 0; i < HISTORY_MARKS - 1; i++) {
        double next = queue_longer(&wait, history_marks_ms[i] / 1000.);
        sum += log_share(counted - cell->above[i], longer - next);
        longer = next;
        counted = cell->above[i];
    }
    return sum + log_share(counted, longer);
}

static double service_of(const struct fit *fit, const struct tried *tried, double mean_busy) {
    return fit->busy_known ? mean_busy * tried->scale : tried->scale;
}

static double square(double x) { return x * x; }

static void judge(const struct fit *fit, struct tried *tried, double mean_busy) {
    double service_s = service_of(fit, tried, mean_busy), sum = 0;
    for (int i = 0; i < fit->count; i++) sum += cell_likelihood(tried, &fit->cells[i], service_s);
    sum /= USUAL_CLUSTERING;
    sum -= square(log(tried->smooth / USUAL_SMOOTH) / SMOOTH_DOUBT) / 2;
    if (fit->busy_known) sum -= square(log(tried->scale) / SCALE_DOUBT) / 2;
    else sum -= square(log(tried->scale / USUAL_SERVICE_S) / SERVICE_DOUBT) / 2;
    tried->likelihood = sum;
}

/* ---- The search ----------------------------------------------------------------------------- */

struct square_searched {
    double scale, scale_width, smooth,
        smooth_width; /* in logarithms: the middle of the search's range, and half its width */
};

static void search_square(const struct fit *fit, const struct square_searched *in, int steps,
                          double mean_busy, struct tried *best) {
    for (int i = 0; i <= steps; i++) {
        for (int j = 0; j <= FINE; j++) {
            struct tried tried = *best;
            tried.scale = exp(in->scale + in->scale_width * (2. * i / steps - 1));
            tried.smooth = exp(in->smooth + in->smooth_width * (2. * j / FINE - 1));
            judge(fit, &tried, mean_busy);
            if (tried.likelihood > best->likelihood) *best = tried;
        }
    }
}

static void search(const struct fit *fit, double mean_busy, struct tried *best) {
    /* The heaviest load took 5 to 120 % of the slots; if busy time is known, so is that share. */
    double low = log(.05 * best->slots / fit->heaviest);
    double high = log(1.2 * best->slots / fit->heaviest);
    struct square_searched in = {(low + high) / 2, (high - low) / 2, log(.55), log(4)};
    if (fit->busy_known) in.scale = 0, in.scale_width = log(1.5);
    best->likelihood = -HUGE_VAL;
    search_square(fit, &in, COARSE, mean_busy, best);
    in.scale_width *= 1.5 / COARSE;
    in.smooth_width *= 1.5 / FINE;
    for (int round = 0; round < ROUNDS; round++) {
        in.scale = log(best->scale);
        in.smooth = log(best->smooth);
        search_square(fit, &in, FINE, mean_busy, best);
        in.scale_width *= .35;
        in.smooth_width *= .35;
    }
}

static struct tried search_all(const struct fit *fit, double mean_busy) {
    struct tried best = {.likelihood = -HUGE_VAL};
    int known = fit->history->slots;
    int count = known > 0 ? 1 : (int)(sizeof slots_tried / sizeof *slots_tried);
    for (int i = 0; i < count; i++) {
        for (int shared = 0; shared < 2; shared++) {
            struct tried tried = {.slots = known > 0 ? known : slots_tried[i], .shared = shared};
            search(fit, mean_busy, &tried);
            if (tried.likelihood > best.likelihood) best = tried;
        }
    }
    return best;
}

/* ---- How sure it is ------------------------------------------------------------------------- */

/* How much more the slow requests of a minute vary than independent ones would. */
static double clustering_of(const struct fit *fit, const struct capacity *capacity) {
    const struct history *history = fit->history;
    struct tried tried = {.slots = capacity->slots,
                          .shared = capacity->shared,
                          .scale = 1,
                          .smooth = capacity->smooth};
    double sum = 0;
    int minutes = 0;
    for (int i = 0; i < history->count; i++) {
        const struct history_minute *now = &history->minutes[i];
        if (!is_steady(history, i)) continue;
        double service_s = capacity_service(capacity, history, i);
        double load = now->requests / 60 / now->up * service_s;
        struct queue_wait wait = wait_of(&tried, service_s, load, now->up);
        double expected = now->requests * queue_longer(&wait, history->slow_ms / 1000.);
        if (expected < 2) continue;
        sum += square(now->above[HISTORY_SLOW] - expected) / expected;
        minutes++;
    }
    double usual = 20; /* weight of the usual value, in minutes */
    double mean = (sum + usual * USUAL_CLUSTERING) / (minutes + usual);
    return mean < 1 ? 1 : mean > MOST_CLUSTERING ? MOST_CLUSTERING : mean;
}

static void find_doubt(const struct fit *fit, struct capacity *capacity) {
    double slow = 0;
    for (int i = 0; i < fit->count; i++) {
        const struct cell *cell = &fit->cells[i];
        slow += cell->above[HISTORY_SLOW] / capacity->clustering;
        double rate = cell->load / (fit->busy_known ? capacity->service_s / capacity->scale : 1);
        if (cell->minutes >= 3 && rate > capacity->highest) capacity->highest = rate;
    }
    capacity->learned = slow >= 5;
    capacity->doubt = slow > 0 ? .03 + .25 / sqrt(slow) : .3;
    if (capacity->doubt > .3) capacity->doubt = .3;
}

void capacity_fit(struct capacity *capacity, const struct history *history) {
    struct fit fit;
    memset(&fit, 0, sizeof fit);
    gather(&fit, history);
    double busy = 0, requests = 0;
    for (int i = 0; i < history->count && fit.busy_known; i++) {
        if (history->minutes[i].busy_s < 0) continue;
        busy += history->minutes[i].busy_s;
        requests += history->minutes[i].requests;
    }
    double mean_busy = requests > 0 ? busy / requests : USUAL_SERVICE_S;
    *capacity = (struct capacity){.slots = history->slots > 0 ? history->slots : 1,
                                  .busy_known = fit.busy_known,
                                  .service_s = mean_busy,
                                  .scale = 1,
                                  .smooth = USUAL_SMOOTH,
                                  .clustering = USUAL_CLUSTERING,
                                  .doubt = .3,
                                  .any = fit.count > 0};
    if (fit.count == 0) return;
    struct tried best = search_all(&fit, mean_busy);
    capacity->slots = best.slots;
    capacity->shared = best.shared;
    capacity->smooth = best.smooth;
    capacity->service_s = service_of(&fit, &best, mean_busy);
    if (fit.busy_known) capacity->scale = best.scale;
    capacity->clustering = clustering_of(&fit, capacity);
    find_doubt(&fit, capacity);
}
