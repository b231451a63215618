#include "dyno.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "random.h"

enum { FIRST_ROOM = 256 };
static const double SLOW_S = .1, FORGED_S = 60;

static int slots;
static double forged_share;

void dyno_begin_all(void) {
    slots = option_int("c", 4);
    if (slots > MOST_SLOTS) slots = MOST_SLOTS;
    forged_share = option_number("forge", 0);
}

int dyno_slots(void) { return slots; }

struct dyno *dyno_new(void) {
    struct dyno *dyno = calloc(1, sizeof *dyno);
    if (!dyno) abort();
    dyno->queue_room = FIRST_ROOM;
    dyno->queue = malloc((size_t)dyno->queue_room * sizeof *dyno->queue);
    if (!dyno->queue) abort();
    return dyno;
}

void dyno_free(struct dyno *dyno) {
    free(dyno->queue);
    free(dyno);
}

double dyno_free_at(const struct dyno *dyno) {
    double first = dyno->free_at[0];
    for (int i = 1; i < slots; i++) first = fmin(first, dyno->free_at[i]);
    return first;
}

double dyno_longest(const struct dyno *dyno, double t) {
    double longest = 0;
    for (int i = 0; i < slots; i++) longest = fmax(longest, dyno->free_at[i] - t);
    return longest;
}

int dyno_busy(const struct dyno *dyno, double t) {
    int count = 0;
    for (int i = 0; i < slots; i++) count += dyno->free_at[i] > t;
    return count;
}

int dyno_in_flight(const struct dyno *dyno, double t) {
    int count = dyno_busy(dyno, t);
    if (count < slots) return count;
    for (int i = dyno->queue_tail; i-- > dyno->queue_head && dyno->queue[i].start > t;) count++;
    return count;
}

void dyno_rest_until(struct dyno *dyno, double t) {
    for (int i = 0; i < slots; i++) dyno->free_at[i] = fmax(dyno->free_at[i], t);
}

static void make_room(struct dyno *dyno) {
    if (dyno->queue_tail < dyno->queue_room) return;
    size_t count = (size_t)(dyno->queue_tail - dyno->queue_head);
    if (dyno->queue_head > dyno->queue_room / 2) {
        memmove(dyno->queue, dyno->queue + dyno->queue_head, count * sizeof *dyno->queue);
        dyno->queue_tail -= dyno->queue_head;
        dyno->queue_head = 0;
        return;
    }
    dyno->queue_room *= 2;
    dyno->queue = realloc(dyno->queue, (size_t)dyno->queue_room * sizeof *dyno->queue);
    if (!dyno->queue) abort();
}

void dyno_take(struct dyno *dyno, double start, double wait, double service) {
    int slot = 0;
    for (int i = 1; i < slots; i++)
        if (dyno->free_at[i] < dyno->free_at[slot]) slot = i;
    dyno->free_at[slot] = start + service;
    make_room(dyno);
    dyno->queue[dyno->queue_tail++] = (struct begun){start, wait};
}

void dyno_count(struct dyno *dyno, int second, double now) {
    struct row *row = &dyno->rows[second % ROWS_KEPT];
    while (dyno->queue_head < dyno->queue_tail && dyno->queue[dyno->queue_head].start <= now) {
        const struct begun *begun = &dyno->queue[dyno->queue_head++];
        double wait = begun->wait;
        bool forged = forged_share > 0 && random_uniform(&scenario_random) < forged_share;
        if (forged) wait = FORGED_S;
        int arrived = (int)floor(begun->start - wait);
        row->requests++;
        row->wait_sum += wait;
        row->histogram[wait_bucket_of(wait)]++;
        row->slow += wait > SLOW_S;
        if (arrived > second - ROWS_KEPT && arrived >= 0) dyno->rows[arrived % ROWS_KEPT].arrived++;
    }
    row->busy += dyno_busy(dyno, now);
    row->queued = dyno->queue_tail - dyno->queue_head;
}

void dyno_clear_rows(struct dyno *dyno, int from) {
    memset(dyno->rows, 0, sizeof dyno->rows);
    dyno->rows_from = from;
}

int dyno_lose(struct dyno *dyno, int second) {
    int lost = 0;
    for (int i = dyno->queue_head; i < dyno->queue_tail; i++) lost += dyno->queue[i].start > second;
    for (int i = 0; i < slots; i++) {
        lost += dyno->free_at[i] > second;
        dyno->free_at[i] = second;
    }
    dyno->queue_head = dyno->queue_tail;
    dyno_clear_rows(dyno, second);
    return lost;
}
