#include "replay/estimate.h"

#include <math.h>
#include <stdio.h>

static const double HOUR_S = 3600, MINUTE_S = 60;
enum { SENTENCE_SIZE = 400 };

const char *const sureness_names[] = {[SURENESS_NONE] = "none",
                                      [SURENESS_POOR] = "poor",
                                      [SURENESS_FAIR] = "fair",
                                      [SURENESS_GOOD] = "good"};

/* ---- Numbers -------------------------------------------------------------------------------- */

void estimate_actual(const struct history *history, struct actual *actual) {
    int with_dynos = 0;
    *actual = (struct actual){0};
    for (int i = 0; i < history->count; i++) {
        const struct history_minute *minute = &history->minutes[i];
        if (!minute->known) continue;
        actual->known_minutes++;
        actual->slow_minutes += history_is_slow(history, minute);
        actual->late += minute->above[HISTORY_SLOW];
        if (minute->ordered < 0) continue;
        with_dynos++;
        actual->dyno_hours += minute->ordered * MINUTE_S / HOUR_S;
        actual->scalings += minute->scalings;
    }
    if (20 * with_dynos < 19 * actual->known_minutes || with_dynos == 0)
        actual->dyno_hours = actual->scalings = -1;
}

static double within(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

/* The dynos that a rule adds beyond its minimum are roughly proportional to the load that a dyno is
 * estimated to take, and stay within the rule's range. */
static struct estimate hours_of(const struct trial *trial) {
    double hours = 0, least = trial->least_s / HOUR_S, most = trial->most_s / HOUR_S;
    for (int i = 0; i < trial->history->count; i++)
        if (trial->minutes[i].known) hours += trial->minutes[i].ordered * MINUTE_S / HOUR_S;
    struct estimate estimate = {hours, hours, hours};
    if (!trial->process->scaling) return estimate;
    double above = hours > least ? hours - least : 0;
    double coarse = trial->tick_s > 10 ? .0005 * trial->tick_s : 0;
    double off = (.03 + coarse) * hours + trial->capacity->doubt * above;
    estimate.low = within(hours - off, least < hours ? least : hours, hours);
    estimate.high = within(hours + off, hours, most > hours ? most : hours);
    return estimate;
}

static struct estimate slow_of(const struct trial *trial, const struct check *check) {
    double slow = 0, surely = 0, maybe = 0;
    for (int i = 0; i < trial->history->count; i++) {
        slow += trial->minutes[i].slow;
        surely += trial->minutes[i].surely;
        maybe += trial->minutes[i].maybe;
    }
    double times = check->done ? (check->were + 3) / (check->found + 3) : 1;
    times = within(times, .3, 3);
    double low = surely * (times < 1 ? times : 1), high = maybe * (times > 1 ? times : 1);
    low -= 2 * sqrt(low);
    high += 2 * sqrt(high + 1);
    low *= 1 - (trial->tick_s - 10) / 120.; /* with slower ticks, decisions may also come later */
    return (struct estimate){slow, floor(low < 0 ? 0 : low < slow ? low : slow), ceil(high)};
}

/* As uncertain as the minutes in which those jobs began. */
static struct estimate late_of(const struct trial *trial, const struct estimate *minutes) {
    double late = floor(trial->late + .5), by_chance = 2 * sqrt(late);
    double low = minutes->value > 0 ? late * minutes->low / minutes->value : 0;
    double high = minutes->value > 0 ? late * minutes->high / minutes->value : late + minutes->high;
    low = floor(low - by_chance);
    return (struct estimate){late, low < 0 ? 0 : low, ceil(high + by_chance)};
}

void estimate_totals(const struct trial *trial, const struct check *check, struct totals *totals) {
    double scalings = trial->scalings, off = .15 * scalings + 2 * sqrt(scalings);
    totals->dyno_hours = hours_of(trial);
    totals->slow_minutes = slow_of(trial, check);
    /* The true number may be somewhat higher: changes within a minute cause some. */
    totals->scalings = (struct estimate){scalings, floor(off < scalings ? scalings - off : 0),
                                         ceil(1.15 * scalings + off)};
    totals->late_jobs = late_of(trial, &totals->slow_minutes);
}

/* ---- Words ---------------------------------------------------------------------------------- */

enum sureness estimate_sureness(const struct estimated *all) {
    const struct capacity *capacity = all->capacity;
    const struct check *check = &all->check;
    if (!capacity->any) return SURENESS_NONE;
    if (!capacity->learned || all->other_queues) return SURENESS_POOR;
    double apart = fabs(check->found - check->were);
    bool agrees = check->done && apart <= 5 + .3 * check->were;
    return agrees && capacity->doubt < .12 ? SURENESS_GOOD : SURENESS_FAIR;
}

#define SAY(...)                                  \
    do {                                          \
        snprintf(line, sizeof line, __VA_ARGS__); \
        put(context, line);                       \
    } while (0)

static const char *plural(double count) { return count > .5 && count < 1.5 ? "" : "s"; }

static void say_capacity(const struct estimated *all, void (*put)(void *, const char *),
                         void *context) {
    char line[SENTENCE_SIZE];
    const struct capacity *capacity = all->capacity;
    if (!capacity->any) {
        put(context, "It is not known how many dynos ran while requests came, so nothing can be "
                     "said about how long they would wait.");
        return;
    }
    if (!capacity->learned) {
        SAY("Hardly any request waited in this time, so it is not known what a dyno takes: up to "
            "%.1f requests/s of one are known to go well, and beyond that slow minutes are a "
            "guess.",
            capacity->highest);
        return;
    }
    SAY("What a dyno takes is learned from how long requests waited: it fits %d request%s at once, "
        "each for %.0f ms, under a router that %s. It may be off by %.0f %%.",
        capacity->slots, plural(capacity->slots), 1000 * capacity->service_s,
        capacity->shared ? "knows which dynos are free" : "picks dynos at random",
        100 * capacity->doubt);
    SAY("Up to %.1f requests/s of one dyno were measured; beyond that, the numbers follow from the "
        "model alone.",
        capacity->highest);
}

static void say_worker(const struct estimated *all, void (*put)(void *, const char *),
                       void *context) {
    char line[SENTENCE_SIZE];
    const struct capacity *capacity = all->capacity;
    put(context,
        "How many jobs came is not reported: it is reckoned from those that waited and those "
        "that were worked on.");
    if (!capacity->learned) {
        SAY("Hardly any job waited in this time, so it is not known what a worker takes: %d job%s "
            "at "
            "once, as many as were seen, and each for %.1f s is a guess, and so are late minutes "
            "with fewer workers than there were.",
            capacity->slots, plural(capacity->slots), capacity->service_s);
        return;
    }
    SAY("What a worker takes is learned from the jobs that began while others waited: %d at once, "
        "each for %.1f s on average. It may be off by %.0f %%.",
        capacity->slots, capacity->service_s, 100 * capacity->doubt);
}

static const char *worker_hours(const struct estimated *all) {
    return all->history->jobs ? "worker-hours" : "dyno-hours";
}
static const char *late_minutes(const struct estimated *all) {
    return all->history->jobs ? "late minute" : "slow minute";
}

static void say_check(const struct estimated *all, void (*put)(void *, const char *),
                      void *context) {
    char line[SENTENCE_SIZE];
    if (all->check.done && all->capacity->any)
        SAY("With the %s that really ran, the model finds %.0f %s%s; there were %.0f.",
            all->history->jobs ? "workers" : "dynos", all->check.found, late_minutes(all),
            plural(all->check.found), all->check.were);
    if (!all->in_force || !all->were_in_force || all->actual.dyno_hours < 0) return;
    SAY("With the rules in force it finds %.0f %s and %d scaling%s; there were %.0f and %.0f.",
        all->in_force_totals.dyno_hours.value, worker_hours(all), all->in_force->scalings,
        plural(all->in_force->scalings), all->actual.dyno_hours, all->actual.scalings);
}

void estimate_sentences(const struct estimated *all, void (*put)(void *, const char *),
                        void *context) {
    char line[SENTENCE_SIZE];
    const struct trial *proposed = all->proposed;
    if (all->actual.known_minutes < all->history->count)
        SAY("Of %d minutes %d have reports; the others are left out.", all->history->count,
            all->actual.known_minutes);
    if (all->history->jobs) say_worker(all, put, context);
    else say_capacity(all, put, context);
    if (all->other_queues)
        put(context,
            "The rules that are tried count other queues than those in force: the jobs are "
            "those of the queues that counted then.");
    say_check(all, put, context);
    if (proposed->tick_s > 10)
        SAY("For so long a time rules of the automatic method decide each %d s here, not each 10 "
            "s.",
            proposed->tick_s);
    if (proposed->automatic && !proposed->began)
        put(context, "The automatic method began with nothing learned, as it would after saving.");
    if (all->history->jobs) {
        put(context, "Not known are what happened within a minute, which jobs take long, jobs that "
                     "failed and came again, a database that more workers would slow, and what "
                     "people would have done; pauses and boosts of that time are left out.");
        return;
    }
    put(context,
        "Not known are what happened within a minute, requests that gave up, a database "
        "that more dynos would slow, and what people would have done; pauses and boosts of "
        "that time are left out.");
}

/* "12 % fewer dyno-hours (412 → 363)" */
static void compare(struct text *text, const struct estimate *before, const struct estimate *after,
                    const char *what) {
    double change = after->value - before->value;
    bool unsure =
        fabs(change) < 1 || (after->value >= before->low && after->value <= before->high &&
                             fabs(change) < .02 * before->value);
    if (unsure) text_format(text, "about as many %s (%.0f)", what, after->value);
    else if (before->value >= 20)
        text_format(text, "%.0f %% %s %s (%.0f → %.0f)", fabs(100 * change / before->value),
                    change > 0 ? "more" : "fewer", what, before->value, after->value);
    else
        text_format(text, "%.0f %s %s (%.0f → %.0f)", fabs(change), change > 0 ? "more" : "fewer",
                    what, before->value, after->value);
}

void estimate_verdict(const struct estimated *all, struct text *text) {
    const struct totals *now = &all->in_force_totals, *then = &all->proposed_totals;
    bool waits = all->capacity->any;
    if (all->same_rules && all->in_force) {
        text_put(text, "These are the rules in force.");
        return;
    }
    if (!all->in_force) {
        text_format(text, "These rules would have taken %.0f %s", then->dyno_hours.value,
                    worker_hours(all));
        if (waits)
            text_format(text, " and had %.0f %ss", then->slow_minutes.value, late_minutes(all));
        text_put(text, ".");
        return;
    }
    text_put(text, "Beside the rules in force: ");
    compare(text, &now->dyno_hours, &then->dyno_hours, worker_hours(all));
    if (waits) {
        text_put(text, " and ");
        compare(text, &now->slow_minutes, &then->slow_minutes,
                all->history->jobs ? "late minutes" : "slow minutes");
    }
    text_put(text, ".");
}
