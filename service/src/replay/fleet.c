#include "replay/fleet.h"

#include <math.h>
#include <string.h>

void fleet_begin(struct fleet *fleet, const struct capacity *capacity, int dynos) {
    memset(fleet, 0, sizeof *fleet);
    fleet->capacity = capacity;
    fleet->ordered = fleet->up = dynos;
    if (dynos == 0) return;
    fleet->groups[0].dynos = dynos;
    fleet->group_count = 1;
}

/* ---- Groups --------------------------------------------------------------------------------- */

static void remove_group(struct fleet *fleet, int which) {
    fleet->group_count--;
    for (int i = which; i < fleet->group_count; i++) fleet->groups[i] = fleet->groups[i + 1];
}

static void join(struct fleet *fleet, int which) {
    int one = fleet->groups[which].dynos, other = fleet->groups[which + 1].dynos;
    fleet->groups[which].number =
        (fleet->groups[which].number * one + fleet->groups[which + 1].number * other) /
        (one + other);
    fleet->groups[which].dynos = one + other;
    remove_group(fleet, which + 1);
}

/* Merges neighbouring groups that have become alike; if there are too many groups, the two most
 * alike. */
static void join_alike(struct fleet *fleet) {
    for (int i = 0; i + 1 < fleet->group_count;) {
        double one = fleet->groups[i].number, other = fleet->groups[i + 1].number;
        if (fabs(one - other) <= .01 * (one + other) + .001) join(fleet, i);
        else i++;
    }
    while (fleet->group_count >= FLEET_GROUPS) {
        int best = 0;
        double least = HUGE_VAL;
        for (int i = 0; i + 1 < fleet->group_count; i++) {
            double apart = fabs(fleet->groups[i].number - fleet->groups[i + 1].number);
            if (apart >= least) continue;
            least = apart;
            best = i;
        }
        join(fleet, best);
    }
}

static void come_up(struct fleet *fleet, int dynos) {
    join_alike(fleet);
    fleet->groups[fleet->group_count].dynos = dynos;
    fleet->groups[fleet->group_count].number = fleet->held / dynos;
    fleet->group_count++;
    fleet->held = 0;
    fleet->up += dynos;
}

void fleet_pass(struct fleet *fleet, double now_s) {
    int kept = 0, ready = 0;
    for (int i = 0; i < fleet->start_count; i++) {
        if (fleet->starts[i].ready_s <= now_s) ready += fleet->starts[i].dynos;
        else fleet->starts[kept++] = fleet->starts[i];
    }
    fleet->start_count = kept;
    if (ready > 0) come_up(fleet, ready);
}

/* ---- Orders --------------------------------------------------------------------------------- */

static void begin_start(struct fleet *fleet, int dynos, double ready_s) {
    int last = fleet->start_count - 1;
    if (fleet->start_count == FLEET_STARTS) {
        fleet->starts[last].dynos += dynos;
        return;
    }
    fleet->starts[fleet->start_count].dynos = dynos;
    fleet->starts[fleet->start_count++].ready_s = ready_s;
}

/* Removes the newest dynos first; each ends what it is working on. */
static void take_away(struct fleet *fleet, int dynos) {
    while (dynos > 0 && fleet->start_count > 0) {
        int *last = &fleet->starts[fleet->start_count - 1].dynos;
        int taken = *last < dynos ? *last : dynos;
        *last -= taken;
        dynos -= taken;
        if (*last == 0) fleet->start_count--;
    }
    while (dynos > 0 && fleet->group_count > 0) {
        int *last = &fleet->groups[fleet->group_count - 1].dynos;
        int taken = *last < dynos ? *last : dynos;
        *last -= taken;
        dynos -= taken;
        fleet->up -= taken;
        if (*last == 0) fleet->group_count--;
    }
}

void fleet_order(struct fleet *fleet, int dynos, double ready_s) {
    if (dynos > fleet->ordered) begin_start(fleet, dynos - fleet->ordered, ready_s);
    else take_away(fleet, fleet->ordered - dynos);
    fleet->ordered = dynos;
}

void fleet_restart(struct fleet *fleet, double ready_s) {
    int dynos = fleet->up;
    fleet->group_count = 0;
    fleet->up = 0;
    if (dynos > 0) begin_start(fleet, dynos, ready_s);
}

/* ---- Time ----------------------------------------------------------------------------------- */

static const struct queue *queue_of(struct fleet *fleet, int slots) {
    const struct capacity *capacity = fleet->capacity;
    int place = (slots / (capacity->slots > 0 ? capacity->slots : 1)) % FLEET_QUEUES;
    if (fleet->queues[place].slots != slots) {
        queue_begin(&fleet->queues[place].queue, slots, capacity->service_s, capacity->smooth);
        fleet->queues[place].slots = slots;
    }
    return &fleet->queues[place].queue;
}

/* All dynos share one queue: the groups no longer differ. */
static double run_shared(struct fleet *fleet, double seconds, double rate, double service_s,
                         struct waits *waits) {
    double number = 0, served;
    for (int i = 0; i < fleet->group_count; i++)
        number += fleet->groups[i].number * fleet->groups[i].dynos;
    const struct queue *queue = queue_of(fleet, fleet->capacity->slots * fleet->up);
    number = queue_after(queue, number, rate, service_s, seconds, &served);
    struct queue_wait wait = queue_wait(queue, number, service_s);
    waits_add(waits, &wait, rate * seconds);
    fleet->group_count = 1;
    fleet->groups[0].dynos = fleet->up;
    fleet->groups[0].number = number / fleet->up;
    return served * seconds;
}

/* Requests that come while no dyno is up wait for the first one. */
static void hold(struct fleet *fleet, double now_s, double requests, struct waits *waits) {
    double first_s = now_s + 60;
    for (int i = 0; i < fleet->start_count; i++)
        if (fleet->starts[i].ready_s < first_s) first_s = fleet->starts[i].ready_s;
    struct queue_wait wait = {.chance = 1, .delay = first_s - now_s, .drop = 10};
    waits_add(waits, &wait, requests);
    fleet->held += requests;
}

double fleet_run(struct fleet *fleet, double now_s, double seconds, double rate, double service_s,
                 struct waits *waits) {
    double began = 0, served;
    fleet_pass(fleet, now_s);
    if (fleet->up == 0) {
        hold(fleet, now_s, rate * seconds, waits);
        return 0;
    }
    if (fleet->capacity->shared) return run_shared(fleet, seconds, rate, service_s, waits);
    const struct queue *queue = queue_of(fleet, fleet->capacity->slots);
    for (int i = 0; i < fleet->group_count; i++) {
        double share = (double)fleet->groups[i].dynos / fleet->up;
        double *number = &fleet->groups[i].number;
        *number = queue_after(queue, *number, rate / fleet->up, service_s, seconds, &served);
        struct queue_wait wait = queue_wait(queue, *number, service_s);
        waits_add(waits, &wait, rate * seconds * share);
        began += served * seconds * fleet->groups[i].dynos;
    }
    join_alike(fleet);
    return began;
}
