#include "platform.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agents.h"
#include "dyno.h"
#include "measure.h"
#include "options.h"
#include "random.h"
#include "seen.h"
#include "service_time.h"
#include "traffic.h"

static const double NEVER = 1e18, DAY_S = 86400, CYCLE_SPREAD_S = 12960;
enum { MOST_DEPLOYS = 60, CALLS_APART_S = 5, HELD_S = 30, STOP_S = 30 };

static struct dyno *dynos[MOST_DYNOS + 1];
static int ordered, up_count, up_list[MOST_DYNOS], scalings;
static int pending, pending_at, last_call = -100; /* pending 0: no order is under way */
static double next_arrival, *held;
static int held_count, held_room, deploy_count;
static double deploys[MOST_DEPLOYS];
static double now;

static struct {
    int smallest, largest, preboot;
    double boot_low, boot_high, crash_rate;
    bool least_connections, cycles;
    double slow_from, slow_for, slow_factor, sick_factor, lock_share, database_slots;
} set;

/* ---- Requests in dynos ---------------------------------------------------------------------- */

/* How many times longer than drawn a request takes that begins on this dyno at `start`. */
static double slowdown(const struct dyno *dyno, int index, double start) {
    double factor = 1;
    if (start >= set.slow_from && start < set.slow_from + set.slow_for) factor = set.slow_factor;
    if (set.sick_factor > 1 && index == 1) factor *= set.sick_factor;
    /* The interpreter's lock: each other thread at work adds its share. */
    if (set.lock_share > 0) factor *= 1 + set.lock_share * dyno_busy(dyno, start);
    double busy = agents_busy();
    if (set.database_slots > 0 && busy > set.database_slots) factor *= busy / set.database_slots;
    return factor;
}

static void take(int index, double arrival) {
    struct dyno *dyno = dynos[index];
    double start = fmax(arrival, dyno_free_at(dyno));
    double service = service_time_draw();
    service *= slowdown(dyno, index, start);
    dyno_take(dyno, start, start - arrival, service);
    measure_request(arrival, start - arrival, start - arrival + service);
}

/* ---- Dynos ---------------------------------------------------------------------------------- */

static double boot_time(void) {
    return set.boot_low + (set.boot_high - set.boot_low) * random_uniform(&main_random);
}

static double next_crash(double t) {
    if (set.crash_rate <= 0) return NEVER;
    return t - log(1 - random_uniform(&main_random)) / set.crash_rate;
}

static double next_cycle(double t) {
    return set.cycles ? t + DAY_S + CYCLE_SPREAD_S * random_uniform(&main_random) : NEVER;
}

static struct dyno *dyno_begin(double t, bool up, int second) {
    struct dyno *dyno = dyno_new();
    dyno->up = up;
    dyno->boot_began = t;
    dyno->up_at = up ? t : t + boot_time();
    dyno->next_cycle = next_cycle(t);
    dyno->next_crash = next_crash(t);
    dyno->rows_from = second;
    dyno->next_report = dyno->up_at + agents_interval() * random_uniform(&main_random);
    return dyno;
}

/* The last report is sent while it shuts down. */
static void restart(int index, int second) {
    struct dyno *dyno = dynos[index];
    dyno->up = false;
    dyno->boot_began = second;
    dyno->up_at = second + boot_time();
    agents_last_report(dyno, index, second, now + 1);
}

static void crash(struct dyno *dyno, int second) {
    dyno->up = false;
    dyno->boot_began = second;
    dyno->up_at = second + boot_time();
    dyno->next_crash = next_crash(second);
    measure_lost(second, dyno_lose(dyno, second));
}

static void come_up(struct dyno *dyno, int index, int second) {
    dyno->up = true;
    dyno_clear_rows(dyno, second);
    dyno->next_report = second + agents_interval() * random_uniform(&main_random);
    dyno_rest_until(dyno, second);
    for (int i = 0; i < held_count; i++) take(index, held[i]);
    held_count = 0;
}

static void deploy_if_due(int second) {
    for (int i = 0; i < deploy_count; i++) {
        if (deploys[i] < second || deploys[i] >= second + 1 || set.preboot) continue;
        seen_release = second;
        for (int j = 0; j < ordered; j++)
            if (dynos[j]->up) restart(j, second);
    }
}

static void events(int second) {
    deploy_if_due(second);
    for (int i = 0; i < ordered; i++) {
        struct dyno *dyno = dynos[i];
        if (!dyno->up && dyno->up_at <= second) come_up(dyno, i, second);
        if (dyno->up && dyno->next_cycle < second) {
            restart(i, second);
            dyno->next_cycle = next_cycle(second);
        }
        if (dyno->up && dyno->next_crash < second) crash(dyno, second);
    }
    up_count = 0;
    for (int i = 0; i < ordered; i++)
        if (dynos[i]->up) up_list[up_count++] = i;
}

/* ---- The router ----------------------------------------------------------------------------- */

static int route(double t) {
    if (!set.least_connections || up_count == 1)
        return up_list[random_below(&main_random, up_count)];
    int best = 0, fewest = 1 << 30, offset = random_below(&main_random, up_count);
    for (int i = 0; i < up_count; i++) {
        int index = up_list[(i + offset) % up_count], count = dyno_in_flight(dynos[index], t);
        if (count >= fewest) continue;
        fewest = count;
        best = index;
    }
    return best;
}

/* No dyno is up: the router waits, 30 s at most. */
static void hold(double arrival) {
    if (held_count == held_room) {
        held_room = held_room ? 2 * held_room : 1024;
        held = realloc(held, (size_t)held_room * sizeof *held);
        if (!held) abort();
    }
    held[held_count++] = arrival;
}

static int arrivals_of(int second) {
    double rate = traffic_rate[second], t;
    int count = 0;
    if (rate <= 1e-9) return 0;
    for (t = second + next_arrival / rate; t < second + 1; t += exponential_draw() / rate) {
        now = t;
        count++;
        if (up_count) take(route(t), t);
        else hold(t);
    }
    next_arrival = (t - (second + 1)) * rate;
    return count;
}

static void give_up(void) {
    int kept = 0;
    for (int i = 0; i < held_count; i++) {
        if (now - held[i] > HELD_S) measure_request(held[i], HELD_S, HELD_S + 1);
        else held[kept++] = held[i];
    }
    held_count = kept;
}

/* ---- The platform's API --------------------------------------------------------------------- */

static void stop_last(int t) {
    struct dyno *dyno = dynos[--ordered];
    if (dyno->up) {
        measure_dyno_seconds(fmin(dyno_longest(dyno, now), STOP_S));
        agents_last_report(dyno, ordered, t, now + 1);
    }
    dyno_free(dyno);
}

void platform_scale(int t, int wanted) {
    if (wanted < set.smallest) wanted = set.smallest;
    if (wanted > set.largest) wanted = set.largest;
    if (wanted != ordered && !pending && t - 1 - last_call >= CALLS_APART_S) {
        pending = wanted;
        pending_at = t + (int)(3 * random_uniform(&main_random));
        last_call = t - 1;
    }
    if (!pending || t < pending_at) return;
    scalings += pending != ordered;
    if (pending > ordered) seen_last_up = t;
    if (pending < ordered) seen_last_down = t;
    while (ordered < pending) {
        dynos[ordered] = dyno_begin(t, false, t - 1);
        ordered++;
    }
    while (ordered > pending) stop_last(t);
    pending = 0;
}

int platform_ordered(void) { return ordered; }
int platform_up(void) { return up_count; }
int platform_scalings(void) { return scalings; }

/* ---- A run ---------------------------------------------------------------------------------- */

static void read_options(void) {
    set.boot_low = option_number("bootlo", 10);
    set.boot_high = option_number("boothi", 40);
    set.crash_rate = option_number("crash", .1) / DAY_S;
    set.least_connections = strcmp(option("route", "random"), "lc") == 0;
    set.preboot = option_int("preboot", 0);
    set.cycles = option_int("cycle", 1);
    set.smallest = option_int("min", 2);
    set.largest = option_int("max", 60);
    set.slow_factor = option_number("slowx", 2);
    set.slow_from = option_number("slowat", NEVER);
    set.slow_for = option_number("slowfor", 7200);
    set.sick_factor = option_number("sick", 1);
    set.lock_share = option_number("lock", 0);
    set.database_slots = option_number("dbslots", 0);
}

static void first_dynos(void) {
    double at_half = dyno_slots() / option_number("mean", .15) * .5;
    ordered = option_int("start", 0);
    if (ordered <= 0) ordered = (int)ceil(traffic_rate[0] / at_half);
    if (ordered < set.smallest) ordered = set.smallest;
    if (ordered > set.largest) ordered = set.largest;
    for (int i = 0; i < ordered; i++) {
        dynos[i] = dyno_begin(0, true, 0);
        if (set.cycles) dynos[i]->next_cycle = DAY_S * random_uniform(&main_random);
        dynos[i]->next_report = agents_interval() * random_uniform(&main_random);
    }
}

void platform_begin(void) {
    uint64_t seed = (uint64_t)option_int("seed", 1);
    read_options();
    dyno_begin_all();
    agents_begin();
    random_seed(&main_random, seed * 104729 + 7);
    random_seed(&scenario_random, seed * 31337 + 5);
    measure_begin(traffic_seconds);
    first_dynos();
    for (int day = 0; day < traffic_seconds / (int)DAY_S + 1; day++) /* between 8 and 20 o'clock */
        for (int i = 0; i < option_int("deploys", 1) && deploy_count < MOST_DEPLOYS; i++)
            deploys[deploy_count++] = day * DAY_S + 28800 + 43200 * random_uniform(&main_random);
    next_arrival = exponential_draw();
}

void platform_second(int second) {
    now = second;
    events(second);
    seen_formation(second, ordered, up_count);
    measure_dyno_seconds(ordered);
    measure_formation(ordered);
    truth_arrivals[second % SEEN_RING] = arrivals_of(second);
    now = second + 1;
    give_up();
    agents_second(dynos, ordered, held_count, second);
    agents_deliver(second, now);
}
