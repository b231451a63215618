#include "seconds.h"

enum {
    US = 1000000,
    LONGEST_SPAN_US = 60 * US, /* the thread reads every second; a suspended process reads later */
    CLOCK_SET_MS = 1000,       /* if the clocks disagree by more, one of them was set */
};

static const uint64_t count_mask = (UINT64_C(1) << DS_SECONDS_COUNT_BITS) - 1;
static const uint64_t busy_mask = UINT64_MAX >> DS_SECONDS_COUNT_BITS;

void ds_seconds_unstamped(ds_seconds *s, int64_t epoch_s) {
    _Atomic(uint64_t) *place = &s->unstamped[(uint64_t)epoch_s % DS_SECONDS_KEPT];
    uint64_t word = atomic_load(place), next;
    /* A count that nobody took for 8 seconds is added to this second. seq_cst: pairs with the load
     * in ds_seconds_active. */
    do next = ((uint64_t)epoch_s << 32 | (uint32_t)word) + 1;
    while (!atomic_compare_exchange_weak(place, &word, next));
}

/* The time spent in the app until `now_us`, modulo 2^44. */
static uint64_t busy_until(uint64_t word, int64_t now_us) {
    return ((word >> DS_SECONDS_COUNT_BITS) + (word & count_mask) * (uint64_t)now_us) & busy_mask;
}

/* Reads the word. Returns the time spent since the last reading, negative if a clock was set. */
static int64_t read_busy(ds_seconds *s, int64_t now_us, int64_t monotonic_ms) {
    uint64_t word = atomic_load(&s->busy), busy = busy_until(word, now_us);
    uint64_t passed = (busy - s->read_busy) & busy_mask;
    int64_t drift_ms = (now_us - s->read_us) / 1000 - (monotonic_ms - s->read_ms);
    bool set = drift_ms > CLOCK_SET_MS || drift_ms < -CLOCK_SET_MS || passed > busy_mask / 2;
    s->read_busy = busy;
    s->read_us = now_us;
    s->read_ms = monotonic_ms;
    s->read_count = (uint32_t)(word & count_mask);
    return set ? -1 : (int64_t)passed;
}

/* Less than a ms is carried to the next sum. */
static void give(ds_seconds *s, ds_seconds_sink *sink, void *context) {
    if (s->sum_us >= 1000) sink(context, true, s->second, s->sum_us / 1000);
    s->sum_us %= 1000;
}

static void add(ds_seconds *s, int64_t second, int64_t us, ds_seconds_sink *sink, void *context) {
    if (second != s->second) give(s, sink, context);
    s->second = second;
    s->sum_us += us;
}

/* Spreads the time evenly over the seconds from `since_us` to `now_us`. */
static void spread(ds_seconds *s, int64_t us, int64_t since_us, int64_t now_us,
                   ds_seconds_sink *sink, void *context) {
    if (now_us - since_us > LONGEST_SPAN_US) since_us = now_us - LONGEST_SPAN_US;
    while (since_us / US < now_us / US) {
        int64_t turn_us = (since_us / US + 1) * US;
        double share = (double)(turn_us - since_us) / (double)(now_us - since_us);
        int64_t part_us = (int64_t)((double)us * share);
        add(s, since_us / US, part_us, sink, context);
        us -= part_us;
        since_us = turn_us;
    }
    add(s, now_us / US, us, sink, context);
}

void ds_seconds_begin(ds_seconds *s, int64_t wall_ns, int64_t monotonic_ms) {
    for (int i = 0; i < DS_SECONDS_KEPT; i++) atomic_store(&s->unstamped[i], 0);
    read_busy(s, wall_ns / 1000, monotonic_ms);
    s->begun = true;
    s->second = wall_ns / 1000000000;
    s->sum_us = 0;
}

static void take_busy(ds_seconds *s, int64_t now_us, int64_t monotonic_ms, ds_seconds_sink *sink,
                      void *context) {
    int64_t since_us = s->read_us;
    bool was_empty = s->read_count == 0;
    int64_t us = read_busy(s, now_us, monotonic_ms);
    if (us < 0) us = 0;
    /* No request was in the app at the last reading, which may be long ago. */
    if (was_empty && since_us < now_us - us) since_us = now_us - us;
    if (since_us > now_us) since_us = now_us;
    spread(s, us, since_us, now_us, sink, context);
}

void ds_seconds_take(ds_seconds *s, int64_t wall_ns, int64_t monotonic_ms, bool all,
                     ds_seconds_sink *sink, void *context) {
    int64_t second = wall_ns / 1000000000;
    if (!s->begun) ds_seconds_begin(s, wall_ns, monotonic_ms);
    take_busy(s, wall_ns / 1000, monotonic_ms, sink, context);
    if (all) give(s, sink, context);
    for (int i = 0; i < DS_SECONDS_KEPT; i++) {
        uint64_t word = atomic_load(&s->unstamped[i]);
        if (word == 0 || ((int64_t)(word >> 32) == second && !all)) continue;
        word = atomic_exchange(&s->unstamped[i], 0);
        sink(context, false, (int64_t)(word >> 32), (int64_t)(uint32_t)word);
    }
}

bool ds_seconds_active(const ds_seconds *s) {
    uint64_t word = atomic_load(&s->busy);
    if ((word & count_mask) > 0 || busy_until(word, s->read_us) != s->read_busy) return true;
    if (s->sum_us >= 1000) return true;
    for (int i = 0; i < DS_SECONDS_KEPT; i++)
        if (atomic_load(&s->unstamped[i]) != 0) return true;
    return false;
}
