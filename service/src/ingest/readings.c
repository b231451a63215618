#include "ingest/readings.h"

void readings_note_age(void *of, int64_t at_s, int64_t age_ms) {
    struct readings *readings = of;
    if (readings->count == JOBS_READINGS) return;
    readings->reading[readings->count++] = (struct jobs_reading){at_s, -1, age_ms};
}

void readings_note_depth(void *of, int64_t at_s, int64_t depth) {
    struct readings *readings = of;
    for (size_t i = 0; i < readings->count; i++) {
        struct jobs_reading *reading = &readings->reading[i];
        if (reading->at_s == at_s || reading->at_s + 1 == at_s || reading->at_s - 1 == at_s)
            reading->waiting = depth;
    }
}

static void take_oldest(const struct readings *readings, struct situation *situation) {
    const struct jobs_reading *newest = &readings->reading[readings->count - 1];
    if (newest->oldest_ms <= situation->oldest_ms) return;
    situation->oldest_ms = newest->oldest_ms;
    situation->oldest_past_ms = situation->oldest_apart_s = -1;
    for (size_t i = readings->count - 1; i > 0; i--) {
        const struct jobs_reading *before = &readings->reading[i - 1];
        situation->oldest_past_ms = before->oldest_ms;
        situation->oldest_apart_s = newest->at_s - before->at_s;
        if (2 * situation->oldest_apart_s >= situation->report_s) return;
    }
}

static void add_known(int64_t *sum, int64_t more) {
    if (more >= 0) *sum = (*sum < 0 ? 0 : *sum) + more;
}

bool readings_into_situation(const struct readings *readings, struct situation *situation) {
    const struct jobs_reading *newest = &readings->reading[readings->count - 1];
    take_oldest(readings, situation);
    add_known(&situation->jobs_waiting, newest->waiting);
    size_t first = readings->count; /* of the last readings that all have a depth */
    while (first > 0 && readings->reading[first - 1].waiting >= 0) first--;
    struct jobs_flow flow = jobs_flow(readings->reading + first, readings->count - first);
    add_known(&situation->jobs_arrive, flow.arrive);
    add_known(&situation->jobs_start, flow.start);
    return newest->waiting >= 0 || newest->oldest_ms == 0;
}
