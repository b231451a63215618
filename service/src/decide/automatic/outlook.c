/* What traffic may do until a dyno that is ordered now is up. */
#include <stddef.h>

#include "decide/automatic/automatic.h"
#include "decide/automatic/number.h"

enum {
    FORECASTS = 3,
    HOUR = 360,        /* ticks */
    SPAN = 6,          /* ticks in the minute that a forecast is for */
    AVERAGED = 30,     /* ticks that the third forecast averages */
    LONGEST_LEAD = 30, /* ticks */
    CHOSEN_EACH = 6,   /* ticks */
    LEAST_OUTCOMES = 30,
};
_Static_assert(HOUR + LONGEST_LEAD + SPAN + AVERAGED <= LEARNED_LOADS, "all of it is kept");

static const double MILLION = 1e6, JUMP = 1.15, HIGH_QUANTILE = .85;

/* Requests per second at past ticks; 0 is the newest. */
struct loads {
    double ago[LEARNED_LOADS];
    int count;
};

static void read_loads(struct loads *loads, const struct learned *learned, int most) {
    loads->count = learned->ticks < most ? (int)learned->ticks : most;
    loads->ago[0] = 0; /* where none are known */
    for (int i = 0; i < loads->count; i++)
        loads->ago[i] = (double)learned->load[(learned->ticks - 1 - i) % LEARNED_LOADS] / 1000;
}

/* The mean of `ticks` ticks that end `ago` ticks before now, as far as they are known. */
static double mean_until(const struct loads *loads, int ago, int ticks) {
    double sum = 0;
    int end = ago + ticks < loads->count ? ago + ticks : loads->count;
    for (int i = ago; i < end; i++) sum += loads->ago[i];
    return sum / (end - ago);
}

static int lead_ticks(const struct moment *moment) {
    int ticks = (int)(moment->boot / moment->tick_s);
    if (ticks * moment->tick_s < moment->boot) ticks++;
    return ticks < 1 ? 1 : ticks > LONGEST_LEAD ? LONGEST_LEAD : ticks;
}

/* Three simple forecasts, as made at a past tick: the same as then; that plus half of the last
 * minute's growth, continued until a dyno is up; the mean of then and of the five minutes
 * before. */
static double forecast_at(const struct loads *loads, int ago, int which, int lead) {
    double newest = loads->ago[ago];
    if (which == 0) return newest;
    if (which == 2) return (newest + mean_until(loads, ago, AVERAGED)) / 2;
    double before = ago + SPAN < loads->count ? loads->ago[ago + SPAN] : newest;
    double growth = number_larger(0, (newest - before) / SPAN) * (lead + 2);
    return number_smaller(newest + growth / 2, 2 * newest);
}

/* Shellsort with Ciura's gaps: three times as fast as qsort for an hour of ticks. */
static void sort(double *values, int count) {
    static const int distances[] = {301, 132, 57, 23, 10, 4, 1};
    for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
        int distance = distances[i];
        for (int j = distance; j < count; j++) {
            double value = values[j];
            int to = j;
            for (; to >= distance && values[to - distance] > value; to -= distance)
                values[to] = values[to - distance];
            values[to] = value;
        }
    }
}

struct outcomes {
    double ratio[HOUR]; /* actual traffic / forecast, ascending */
    double mean;        /* of the forecasts */
    int count;
};

/* Collects how the last hour's forecasts turned out: each against the mean of the minute that began
 * when a dyno ordered then was up. `came`: that traffic, the newest first. */
static void collect(struct outcomes *outcomes, const struct loads *loads, const double *came,
                    int which, int lead) {
    double sum = 0;
    outcomes->count = 0;
    for (int i = 0; i < HOUR && lead + SPAN - 1 + i < loads->count; i++) {
        double forecast = forecast_at(loads, lead + SPAN - 1 + i, which, lead);
        if (forecast <= 0) continue;
        outcomes->ratio[outcomes->count++] = came[i] / forecast;
        sum += forecast;
    }
    outcomes->mean = outcomes->count ? sum / outcomes->count : 0;
    sort(outcomes->ratio, outcomes->count);
}

static void keep_outcomes(struct learned *learned, const struct outcomes *outcomes, double high) {
    learned->high_outcome = high;
    for (int i = 0; i < LEARNED_OUTCOMES; i++) {
        int at = (int)((i + .5) / LEARNED_OUTCOMES * outcomes->count);
        double log_ratio = number_log(number_larger(outcomes->ratio[at], 1e-3));
        learned->log_outcome[i] =
            (int32_t)(number_within(log_ratio, -10, 10) * MILLION + (log_ratio < 0 ? -.5 : .5));
    }
}

/* Chooses the forecast with which the last hour would have needed the least capacity. */
static void choose(struct learned *learned, const struct moment *moment) {
    struct outcomes outcomes;
    struct loads loads;
    double least = 0, came[HOUR];
    read_loads(&loads, learned, LEARNED_LOADS);
    for (int i = 0; i < HOUR && i < loads.count; i++) came[i] = mean_until(&loads, i, SPAN);
    for (int which = 0; which < FORECASTS; which++) {
        collect(&outcomes, &loads, came, which, lead_ticks(moment));
        if (outcomes.count < LEAST_OUTCOMES) return;
        double high = outcomes.ratio[(int)(HIGH_QUANTILE * (outcomes.count - 1))];
        if (which > 0 && outcomes.mean * high >= least) continue;
        least = outcomes.mean * high;
        learned->chosen = which;
        keep_outcomes(learned, &outcomes, high);
    }
    learned->has_outcomes = 1;
}

void outlook_remember(struct learned *learned, const struct moment *moment) {
    double load = number_within(moment->traffic * 1000 + .5, 0, 4e9);
    learned->load[learned->ticks % LEARNED_LOADS] = (uint32_t)load;
    learned->ticks++;
    learned->load_at = moment->now;
    if (learned->ticks % CHOSEN_EACH == 0 || !learned->has_outcomes) choose(learned, moment);
}

/* If traffic leaves the range of the last hour, at once or for a minute, the forecast that follows
 * growth is used. */
double outlook_expect(const struct learned *learned, const struct moment *moment) {
    int lead = lead_ticks(moment);
    struct loads loads;
    read_loads(&loads, learned, AVERAGED);
    double growing = forecast_at(&loads, 0, 1, lead);
    if (!learned->has_outcomes) return growing * JUMP;
    double chosen = forecast_at(&loads, 0, (int)learned->chosen, lead);
    double high = chosen * learned->high_outcome;
    bool left = loads.ago[0] > JUMP * high || mean_until(&loads, 0, SPAN) > high;
    return left ? growing : chosen;
}
