/* Turns a report's parts into rows per second. */
#include <string.h>

#include "ingest/report.h"
#include "ingest/seconds.h"

enum { ROWS = 128, FORGOTTEN_S = 90 };
static const double NEWEST_COUNTS = .2;

struct rows {
    int64_t from_s, to_s; /* the seconds [from_s, to_s) that this report is the first to cover */
    struct seconds_row rows[ROWS]; /* the last seconds before to_s */
};

/* What was sent in the second that has just begun counts in the one before. */
static struct seconds_row *row_at(struct rows *rows, int64_t at_s) {
    if (at_s >= rows->to_s) at_s = rows->to_s - 1;
    return at_s >= rows->to_s - ROWS ? &rows->rows[(uint64_t)at_s % ROWS] : NULL;
}

static void add_waits(struct seconds_row *row, uint32_t wait_ms, uint32_t count, int64_t goal_ms) {
    row->requests += count;
    row->slow += wait_ms > goal_ms ? count : 0;
    row->quick += wait_ms <= SECONDS_QUICK_MS ? count : 0;
    row->wait_ms += (uint64_t)wait_ms * count;
    if (wait_ms <= SECONDS_LATE_MS) return;
    row->late += count;
    row->late_ms += (uint64_t)wait_ms * count;
}

static void add_part(struct seconds *seconds, const struct seconds_dyno *dyno, struct rows *rows,
                     const struct part *part, enum signal signal, int64_t goal_ms) {
    for (uint32_t i = 0; i < part->length; i++) {
        int64_t at_s = part->start_s + part_second(part->entries[i]);
        uint32_t value = sketch_middle(part_bin(part->entries[i]));
        uint32_t count = part_samples(part->entries[i]);
        struct seconds_row *row = row_at(rows, at_s);
        if (!row) continue;
        if (signal == SIGNAL_BUSY) row->busy_ms += (uint64_t)value * count;
        if (signal != SIGNAL_WAIT) continue;
        add_waits(row, value, count, goal_ms);
        seconds_arrived(seconds, dyno, at_s - value / 1000, count);
    }
}

static bool is_web(const struct report_series *series) {
    return !series->refused && series->source_length == 3 && memcmp(series->source, "web", 3) == 0;
}

static int64_t first_second(const struct report *report) {
    int64_t first_s = report->arrived_s - 1;
    for (int i = 0; i < report->series_count; i++)
        for (int j = 0; j < report->series[i].part_count && is_web(&report->series[i]); j++)
            if (report->series[i].parts[j].start_s < first_s)
                first_s = report->series[i].parts[j].start_s;
    return first_s > report->arrived_s - PART_SECONDS ? first_s : report->arrived_s - PART_SECONDS;
}

static void note_report(struct seconds_dyno *dyno, int64_t arrived_s) {
    if (dyno->reported_s != 0) {
        double apart = (double)(arrived_s - dyno->reported_s);
        if (apart > FORGOTTEN_S) apart = FORGOTTEN_S;
        dyno->reports_apart += (apart - dyno->reports_apart) * NEWEST_COUNTS;
    }
    dyno->reported_s = arrived_s;
}

void seconds_report(struct seconds *seconds, struct seconds_dyno *dyno, const struct report *report,
                    int64_t goal_ms) {
    struct rows rows = {.to_s = report->arrived_s};
    bool known = dyno->reported_s > report->arrived_s - FORGOTTEN_S;
    rows.from_s = known ? dyno->reported_s : first_second(report);
    for (int i = 0; i < report->series_count; i++) {
        const struct report_series *series = &report->series[i];
        for (int j = 0; j < series->part_count && is_web(series); j++)
            add_part(seconds, dyno, &rows, &series->parts[j], series->signal, goal_ms);
    }
    for (int64_t at_s = rows.to_s - ROWS; at_s < rows.to_s; at_s++) {
        const struct seconds_row *row = &rows.rows[(uint64_t)at_s % ROWS];
        bool covers = at_s >= rows.from_s;
        if (covers || row->requests > 0 || row->busy_ms > 0)
            seconds_add(seconds, dyno, at_s, *row, covers);
    }
    note_report(dyno, report->arrived_s);
}
