#include "agents.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "random.h"
#include "service.h"

enum { MOST_UNDER_WAY = 4096 };

struct report {
    double arrives;
    int dyno, from, to;
    struct row rows[ROWS_KEPT];
};

static struct report *under_way[MOST_UNDER_WAY];
static int under_way_count, busy_slots, first_only, report_busy;
static double interval, jitter, silent_from, silent_for;

void agents_begin(void) {
    interval = option_number("report", 10);
    jitter = option_number("repjit", .1);
    first_only = option_int("first", 0);
    report_busy = option_int("busy", 1);
    silent_from = option_number("silentat", 1e18);
    silent_for = option_number("silentfor", 600);
}

double agents_interval(void) { return interval; }
int agents_busy(void) { return busy_slots; }

static void send(struct dyno *dyno, int index, int to, double arrives) {
    if (to <= dyno->rows_from || under_way_count == MOST_UNDER_WAY) return;
    if (to - dyno->rows_from > ROWS_KEPT) dyno->rows_from = to - ROWS_KEPT;
    struct report *report = malloc(sizeof *report);
    if (!report) abort();
    report->arrives = arrives;
    report->dyno = index;
    report->from = dyno->rows_from;
    report->to = to;
    memcpy(report->rows, dyno->rows, sizeof report->rows);
    for (int i = 0; i < ROWS_KEPT && !report_busy; i++) report->rows[i].busy = 0;
    under_way[under_way_count++] = report;
    dyno_clear_rows(dyno, to);
}

void agents_last_report(struct dyno *dyno, int index, int second, double arrives) {
    if (!first_only || index == 0) send(dyno, index, second, arrives);
}

static void report_if_due(struct dyno *dyno, int index, int second) {
    double now = second + 1;
    if (now < dyno->next_report) return;
    send(dyno, index, second + 1, now + .2 + .8 * random_uniform(&main_random));
    dyno->next_report += interval * (1 + jitter * (random_uniform(&main_random) - .5));
    if (dyno->next_report < now) dyno->next_report = now;
}

void agents_second(struct dyno **dynos, int ordered, int held, int second) {
    int busy = 0, waiting = held;
    for (int i = 0; i < ordered; i++) {
        struct dyno *dyno = dynos[i];
        if (!dyno->up) continue;
        dyno_count(dyno, second, second + 1);
        struct row *row = &dyno->rows[second % ROWS_KEPT];
        busy += dyno_busy(dyno, second + 1);
        waiting += row->queued;
        if (!first_only || i == 0) {
            report_if_due(dyno, i, second);
        } else {
            memset(row, 0, sizeof *row);
            dyno->rows_from = second + 1;
        }
    }
    busy_slots = busy;
    truth_busy[second % SEEN_RING] = busy;
    truth_in_flight[second % SEEN_RING] = busy + waiting;
}

static void deliver(const struct report *report, int second) {
    for (int s = report->from; s < report->to; s++)
        seen_report(second, s, &report->rows[s % ROWS_KEPT]);
    service_report(second, report->dyno, report->from, report->to, report->rows);
}

void agents_deliver(int second, double now) {
    bool silent = second >= silent_from && second < silent_from + silent_for;
    for (int i = 0; i < under_way_count;) {
        struct report *report = under_way[i];
        if (report->arrives > now) {
            i++;
            continue;
        }
        if (!silent) deliver(report, second);
        free(report);
        under_way[i] = under_way[--under_way_count];
    }
}
