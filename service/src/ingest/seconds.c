#include "ingest/seconds.h"

#include <string.h>

enum {
    STALE_S = 150,          /* older seconds say nothing about the present */
    RATE_S = 15,            /* the length of the average that gives a rate */
    LEARN_S = 30,           /* learned from at once ... */
    LEARN_AGO_S = 15,       /* ... and so long ago that all dynos have reported it */
    ARRIVALS_WITHIN_S = 60, /* arrivals are not looked for further back */
    SICK_AFTER_S = 120,
};
static const double ENOUGH = .3; /* the share of dynos that must have reported a second */
static const double HALF_AFTER_60_S = .8909; /* of a tick of 10 s */

/* ---- What comes in -------------------------------------------------------------------------- */

static struct second *second_at(struct seconds *seconds, int64_t at_s) {
    struct second *second = &seconds->ring[(uint64_t)at_s % SECONDS_KEPT];
    if (second->at_s < at_s) *second = (struct second){.at_s = at_s};
    return second;
}

/* A dyno's requests begin in the order in which they arrive, so neighbours wait for similar times.
 * If half of a second's requests waited less than 100 ms, none can have waited 2 s: its stamp is
 * forged or broken. The request still counts as load. */
static void drop_impossible(struct seconds_row *row) {
    if (row->late == 0 || 2 * row->quick < row->requests) return;
    row->slow -= row->late < row->slow ? row->late : row->slow;
    row->wait_ms -= row->late_ms < row->wait_ms ? row->late_ms : row->wait_ms;
    if (row->wait_ms > (uint64_t)SECONDS_LATE_MS * row->requests) row->wait_ms = 0;
}

void seconds_add(struct seconds *seconds, struct seconds_dyno *dyno, int64_t at_s,
                 struct seconds_row row, bool covers) {
    drop_impossible(&row);
    dyno->requests += row.requests;
    dyno->slow += row.slow;
    struct second *second = second_at(seconds, at_s);
    if (dyno->left_out || second->at_s != at_s) return;
    second->dynos += covers;
    second->requests += row.requests;
    second->slow += row.slow;
    second->wait_ms += row.wait_ms;
    second->busy_ms += row.busy_ms;
}

void seconds_arrived(struct seconds *seconds, const struct seconds_dyno *dyno, int64_t at_s,
                     uint32_t requests) {
    struct second *second = second_at(seconds, at_s);
    if (!dyno->left_out && second->at_s == at_s) second->arrived += requests;
}

void seconds_formation(struct seconds *seconds, int64_t from_s, int64_t to_s, int up) {
    if (from_s < to_s - SECONDS_KEPT) from_s = to_s - SECONDS_KEPT;
    int before = seconds->newest_up;
    seconds->newest_up = up;
    if (before > 0 && before < up) up = before; /* the other dynos may have come up just now */
    for (int64_t at_s = from_s; at_s < to_s; at_s++) {
        seconds->formation[(uint64_t)at_s % SECONDS_KEPT].at_s = at_s;
        seconds->formation[(uint64_t)at_s % SECONDS_KEPT].up = up;
    }
}

/* ---- Sick dynos ----------------------------------------------------------------------------- */

static struct seconds_dyno *dyno_at(struct seconds_dyno *first, size_t stride, size_t i) {
    return (struct seconds_dyno *)((char *)first + i * stride);
}

/* Whether to leave the dyno out: once, for two minutes, more than 20 % of its requests are slow,
 * and more than 4 times the share of the others; until it is like the others again. */
static void judge(struct seconds_dyno *dyno, double others, int64_t now_s, bool may) {
    double share = dyno->requests > 20 ? dyno->slow / dyno->requests : 0;
    bool odd = share > .2 && share > 4 * (others + .01);
    if (!odd) {
        dyno->suspect_since_s = 0;
        if (share < 2 * (others + .01)) dyno->left_out = false;
    } else if (dyno->suspect_since_s == 0) {
        dyno->suspect_since_s = now_s;
    } else if (now_s - dyno->suspect_since_s >= SICK_AFTER_S && may) {
        dyno->left_out = true;
    }
}

void seconds_screen(struct seconds *seconds, struct seconds_dyno *first, size_t count,
                    size_t stride, int64_t now_s, int up) {
    double requests = 0, slow = 0;
    size_t heard = 0;
    int left_out = 0, most = up < 8 ? 1 : up / 4;
    for (size_t i = 0; i < count; i++) {
        struct seconds_dyno *dyno = dyno_at(first, stride, i);
        dyno->requests *= HALF_AFTER_60_S;
        dyno->slow *= HALF_AFTER_60_S;
        heard += dyno->requests > 1;
        requests += dyno->left_out ? 0 : dyno->requests;
        slow += dyno->left_out ? 0 : dyno->slow;
    }
    for (size_t i = 0; i < count; i++) {
        struct seconds_dyno *dyno = dyno_at(first, stride, i);
        double own = dyno->left_out ? 0 : dyno->requests, bad = dyno->left_out ? 0 : dyno->slow;
        double others = requests - own > 1e-9 ? (slow - bad) / (requests - own) : 0;
        if (up < 2 || heard < 2) dyno->left_out = false;
        else judge(dyno, others, now_s, left_out < most);
        left_out += dyno->left_out;
    }
    seconds->left_out = left_out;
}

/* ---- What a situation carries --------------------------------------------------------------- */

static const struct second *known_second(const struct seconds *seconds, int64_t at_s) {
    const struct second *second = &seconds->ring[(uint64_t)at_s % SECONDS_KEPT];
    return second->at_s == at_s && at_s > 0 && second->dynos > 0 ? second : NULL;
}

static int up_at(const struct seconds *seconds, int64_t at_s) {
    size_t place = (uint64_t)at_s % SECONDS_KEPT;
    return seconds->formation[place].at_s == at_s ? seconds->formation[place].up : 0;
}

/* The most dynos that reported any second of the last minute. If only the first dyno reports, it
 * stands for all. */
static int most_reporting(const struct seconds *seconds, int64_t now_s) {
    int most = 1;
    for (int64_t at_s = now_s - 60; at_s < now_s; at_s++) {
        const struct second *second = known_second(seconds, at_s);
        if (second && (int)second->dynos > most) most = (int)second->dynos;
    }
    return most;
}

struct span {
    const struct seconds *seconds;
    int most; /* reporting */
};

static bool enough(const struct span *span, int64_t at_s) {
    const struct second *second = known_second(span->seconds, at_s);
    int up = up_at(span->seconds, at_s), expected = up - span->seconds->left_out;
    if (!second || up < 1) return false;
    if (expected > span->most) expected = span->most;
    return second->dynos >= ENOUGH * expected;
}

enum counted { BEGUN, ARRIVED };

/* Requests in 1000 s of all dynos, from the sufficiently known seconds in [from_s, to_s); -1: there
 * are none. */
static int64_t rate(const struct span *span, int64_t from_s, int64_t to_s, enum counted what) {
    double sum = 0;
    int count = 0;
    for (int64_t at_s = from_s; at_s < to_s; at_s++) {
        if (!enough(span, at_s)) continue;
        const struct second *second = known_second(span->seconds, at_s);
        double requests = what == ARRIVED ? second->arrived : second->requests;
        int up = up_at(span->seconds, at_s), heard = (int)second->dynos;
        sum += requests / heard * (up > heard ? up : heard);
        count++;
    }
    return count ? (int64_t)(sum / count * 1000 + .5) : -1;
}

struct sums {
    int64_t requests, slow, wait_ms, busy_ms, dyno_s;
};

static struct sums sums_of(const struct seconds *seconds, int64_t from_s, int64_t to_s) {
    struct sums sums = {0};
    for (int64_t at_s = from_s; at_s < to_s; at_s++) {
        const struct second *second = known_second(seconds, at_s);
        if (!second) continue;
        sums.requests += second->requests;
        sums.slow += second->slow;
        sums.wait_ms += (int64_t)second->wait_ms;
        sums.busy_ms += (int64_t)second->busy_ms;
        sums.dyno_s += second->dynos;
    }
    return sums;
}

static bool was_steady(const struct seconds *seconds, int64_t from_s, int64_t to_s) {
    int low = 1 << 30, high = 0;
    for (int64_t at_s = from_s; at_s < to_s; at_s++) {
        int up = up_at(seconds, at_s);
        if (up < low) low = up;
        if (up > high) high = up;
    }
    return high > 0 && 4 * low >= 3 * high;
}

/* A request is counted when it begins, so arrivals are complete only up to one wait ago. */
static int64_t complete_ago(const struct sums *last) {
    if (last->requests == 0 || last->wait_ms <= 300 * last->requests) return 0;
    int64_t ago = (last->wait_ms * 3 / 2 / last->requests + 500) / 1000;
    return ago < ARRIVALS_WITHIN_S ? ago : ARRIVALS_WITHIN_S;
}

static void measure_rates(const struct span *span, int64_t known_s, struct situation *situation) {
    struct sums last = sums_of(span->seconds, known_s - 10, known_s);
    struct sums both = sums_of(span->seconds, known_s - 20, known_s);
    int64_t ago = complete_ago(&last);
    situation->begin_rate = rate(span, known_s - RATE_S, known_s, BEGUN);
    situation->serve_rate = rate(span, known_s - 20, known_s, BEGUN);
    situation->arrive_rate = rate(span, known_s - ago - RATE_S, known_s - ago, ARRIVED);
    situation->last_requests = last.requests;
    situation->last_slow = last.slow;
    situation->last_wait_ms = last.wait_ms;
    situation->last_busy_ms = last.busy_ms;
    situation->last_dyno_s = last.dyno_s;
    situation->both_requests = both.requests;
    situation->both_slow = both.slow;
    situation->both_busy_ms = both.busy_ms;
}

static void measure_past(const struct seconds *seconds, int64_t known_s,
                         struct situation *situation) {
    struct sums past = sums_of(seconds, known_s - 70, known_s - 60);
    int64_t to_s = known_s - LEARN_AGO_S, from_s = to_s - LEARN_S;
    struct sums learn = sums_of(seconds, from_s, to_s);
    situation->past_requests = past.requests;
    situation->past_wait_ms = past.wait_ms;
    situation->learn_requests = learn.requests;
    situation->learn_slow = learn.slow;
    situation->learn_wait_ms = learn.wait_ms;
    situation->learn_dyno_s = learn.dyno_s;
    situation->learn_steady = was_steady(seconds, from_s, to_s);
}

void seconds_measure(struct seconds *seconds, int64_t now_s, int lag_s,
                     struct situation *situation) {
    const struct span span = {seconds, most_reporting(seconds, now_s)};
    int64_t known_s = now_s - lag_s;
    situation->left_out = seconds->left_out;
    while (known_s > now_s - STALE_S && !enough(&span, known_s - 1)) known_s--;
    if (known_s <= now_s - STALE_S) return;
    situation->known_age = now_s - known_s;
    measure_rates(&span, known_s, situation);
    measure_past(seconds, known_s, situation);
}
