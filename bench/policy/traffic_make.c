/* Traces that need no file: each is made of a day's and a week's shape and of what is particular to
 * its kind, from the option `shape` (a seed of its own, so that the seeds of a run share a trace).
 */
#include <math.h>
#include <string.h>

#include "options.h"
#include "random.h"
#include "traffic.h"

static const double PI = 3.14159265358979323846;
enum { DAY_S = 86400, MOST_EVENTS = 64 };

struct event {
    double at_s, rise_s, fall_s, size;
};

static struct random shape_random;

static double between(double low, double high) {
    return low + (high - low) * random_uniform(&shape_random);
}

/* Low at night, two hills by day. */
static double day_shape(double second) {
    double hour = fmod(second, DAY_S) / 3600;
    double main_hill = exp(-pow((hour - 14) / 4.5, 2)), evening = exp(-pow((hour - 20.5) / 1.8, 2));
    return .12 + .8 * main_hill + .5 * evening;
}

static double week_shape(double second) {
    int day = (int)(second / DAY_S) % 7;
    return day >= 5 ? .45 : 1 - .04 * day;
}

/* What all events add at a moment: each rises in a straight line and then fades. */
static double events_at(const struct event *events, int count, double second) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
        double since = second - events[i].at_s;
        if (since < 0) continue;
        sum += since < events[i].rise_s
                   ? events[i].size * since / events[i].rise_s
                   : events[i].size * exp(-(since - events[i].rise_s) / events[i].fall_s);
    }
    return sum;
}

static int make_events(const char *kind, struct event *events) {
    int count = 0, days = traffic_seconds / DAY_S + 1;
    for (int day = 0; day < days; day++) {
        int some = strcmp(kind, "flash") == 0 ? 4 : strcmp(kind, "quiet") == 0 ? 2 : 0;
        for (int i = 0; i < some && count < MOST_EVENTS; i++)
            events[count++] = (struct event){day * DAY_S + between(0, DAY_S), between(20, 400),
                                             between(300, 2400), between(.4, 2.5)};
    }
    return count;
}

/* Batch work: whole quarters of an hour in which another program calls. */
static double batch_at(double second) {
    int hour = (int)(second / 3600) % 24;
    bool on = hour % 3 == 1 && fmod(second, 3600) < 900;
    return on ? .6 : 0;
}

/* A level that changes at once, some times a day. */
static double level_at(double second, const double levels[16]) {
    return levels[(int)(second / 5400) % 16];
}

bool traffic_make(const char *kind, int from_s) {
    static const char *const kinds[] = {"daily", "weekly", "flash", "batch", "steps", "quiet"};
    struct event events[MOST_EVENTS];
    double levels[16], drift = 0;
    bool known = false;
    for (int i = 0; i < 6; i++) known = known || strcmp(kind, kinds[i]) == 0;
    random_seed(&shape_random, (uint64_t)option_int("shape", 1) * 6364136223846793005u + 1);
    int count = make_events(kind, events);
    for (int i = 0; i < 16; i++) levels[i] = between(.2, 1);
    for (int i = 0; i < traffic_seconds; i++) {
        double second = from_s + i, rate = day_shape(second);
        if (strcmp(kind, "weekly") == 0) rate *= week_shape(second);
        if (strcmp(kind, "batch") == 0) rate += batch_at(second);
        if (strcmp(kind, "steps") == 0) rate = level_at(second, levels);
        if (strcmp(kind, "quiet") == 0) rate = .05 * (1 + sin(2 * PI * second / DAY_S));
        rate += events_at(events, count, i);
        if (i % 60 == 0) drift = .97 * drift + between(-.03, .03); /* wanders within hours */
        traffic_rate[i] = rate * exp(drift);
    }
    return known;
}
