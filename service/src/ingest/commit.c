#define _GNU_SOURCE /* pthread_setname_np */
#include "ingest/commit.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "ingest/waiting.h"
#include "log.h"
#include "store/series.h"

enum {
    LIVE_S = 15 * 60,
    CALL_MS = 1000,
    FIRST_PLACES = 256,
    FORGET_SERIES_MS = 3600 * 1000,
    LEAST_GROUP = 32, /* a group is never smaller than this part of the largest */
};

/* Numbers of series, cached. */
struct known_series {
    char *source;
    int64_t app, number;
    enum signal signal;
};

struct commit {
    struct commit_settings settings;
    struct live *live;
    struct store *store;
    int64_t number; /* of the next report or part in the store */
    bool shared;
    bool failing; /* the last transaction failed, and that is in the log */
    bool behind;  /* memory ran out: the live windows lack something that is in the store */

    struct known_series *known;
    size_t known_places, known_count;
    int64_t known_since_ms;
    size_t group_bytes; /* of the next transaction, at most */

    struct tally *tally; /* empty between uses: puts parts in order */

    atomic_ullong count, failed_count;

    pthread_t thread;
    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t wake;
    struct waiting *waiting;
    bool call, urgent, stop;
    struct timespec next_at; /* the earliest moment for the next transaction */
    struct timespec called_at;
};

/* ---- Numbers of series --------------------------------------------------------------------- */

static void forget_series(struct commit *commit) {
    for (size_t i = 0; i < commit->known_places; i++) free(commit->known[i].source);
    free(commit->known);
    commit->known = NULL;
    commit->known_places = commit->known_count = 0;
    commit->known_since_ms = ds_clock_monotonic_ms();
}

static struct known_series *known_place(struct known_series *known, size_t places, int64_t app,
                                        const char *source, enum signal signal) {
    uint64_t mixed = 0xCBF29CE484222325u ^ (uint64_t)app << 8 ^ (uint64_t)signal; /* FNV-1a */
    for (const char *at = source; *at; at++) mixed = (mixed ^ (unsigned char)*at) * 0x100000001B3u;
    for (size_t place = (size_t)(mixed ^ mixed >> 29);; place++) {
        struct known_series *at = &known[place & (places - 1)];
        if (!at->source ||
            (at->app == app && at->signal == signal && strcmp(at->source, source) == 0))
            return at;
    }
}

static bool more_places(struct commit *commit) {
    if (commit->known_count * 2 < commit->known_places) return true;
    size_t places = commit->known_places ? commit->known_places * 2 : FIRST_PLACES;
    struct known_series *known = calloc(places, sizeof *known);
    if (!known) return false;
    for (size_t i = 0; i < commit->known_places; i++) {
        struct known_series *one = &commit->known[i];
        if (one->source) *known_place(known, places, one->app, one->source, one->signal) = *one;
    }
    free(commit->known);
    commit->known = known;
    commit->known_places = places;
    return true;
}

/* As series_number, but cached. */
static int64_t number_of(struct commit *commit, int64_t app, const char *source,
                         enum signal signal) {
    if (!more_places(commit)) return -1;
    struct known_series *place =
        known_place(commit->known, commit->known_places, app, source, signal);
    if (place->source) return place->number;
    int64_t number = series_number(commit->store, app, source, signal_name(signal));
    char *copy = number > 0 ? strdup(source) : NULL;
    if (copy) {
        *place =
            (struct known_series){.source = copy, .app = app, .number = number, .signal = signal};
        commit->known_count++;
    }
    return number;
}

static bool note_series(void *context, int64_t app, int64_t series, const char *source,
                        const char *name) {
    struct commit *commit = context;
    enum signal signal = signal_by_name(name, strlen(name));
    if (signal == SIGNAL_UNKNOWN) return true;
    if (!more_places(commit)) return false;
    struct known_series *place =
        known_place(commit->known, commit->known_places, app, source, signal);
    char *copy = place->source ? NULL : strdup(source);
    if (!copy) return true;
    *place = (struct known_series){.source = copy, .app = app, .number = series, .signal = signal};
    commit->known_count++;
    return true;
}

/* In a shared store each query takes a round trip, so all numbers are asked for in one. */
static void know_series(struct commit *commit) {
    forget_series(commit);
    if (commit->shared) series_every(commit->store, note_series, commit);
}

/* ---- One transaction ----------------------------------------------------------------------- */

static bool store_part(struct commit *commit, int64_t app, int64_t series, int64_t number,
                       struct part *part) {
    return part_store(part, commit->tally) &&
           series_add_part(commit->store, app, series, part->start_s, number, part->stored,
                           part->stored_length);
}

static bool store_series(struct commit *commit, struct commit_item *item,
                         struct report_series *series, int64_t *part) {
    int64_t number = number_of(commit, item->app, series->source, series->signal);
    if (number < 0) return false;
    for (int i = 0; i < series->part_count; i++) {
        if (number == 0) item->series_refused += part_count(&series->parts[i]);
        else if (!store_part(commit, item->app, number, ++*part, &series->parts[i])) return false;
    }
    series->refused = number == 0;
    return true;
}

static int64_t part_count_of(const struct report *report) {
    int64_t count = 0;
    for (int i = 0; i < report->series_count; i++) count += report->series[i].part_count;
    return count;
}

/* Writes a report's number, its parts' numbers and its key. */
static bool note_report(struct commit *commit, struct commit_item *item) {
    const struct report *report = &item->report;
    item->number = commit->number;
    commit->number += 1 + part_count_of(report);
    item->noted = series_add_report(commit->store, item->app, report->key, report->arrived_s,
                                    report->dyno, item->number);
    return item->noted >= 0;
}

static bool store_report(struct commit *commit, struct commit_item *item) {
    struct report *report = &item->report;
    int64_t part = item->number;
    switch (series_report_added(commit->store, item->noted)) {
    case REPORT_FAILED:
        return false;
    case REPORT_REPEATED:
        item->result = COMMIT_REPEATED;
        return true;
    case REPORT_ADDED:
        break;
    }
    item->result = COMMIT_DONE;
    for (int i = 0; i < report->series_count; i++)
        if (!store_series(commit, item, &report->series[i], &part)) return false;
    return true;
}

static bool store_all(struct commit *commit, struct commit_item *first) {
    if (!store_begin_append(commit->store)) return false;
    bool ok = true;
    for (struct commit_item *item = first; item && ok; item = item->next)
        ok = note_report(commit, item);
    for (struct commit_item *item = first; item && ok; item = item->next)
        ok = store_report(commit, item);
    if (ok) return store_commit(commit->store);
    store_rollback(commit->store);
    return false;
}

static void show_live(struct commit *commit, const struct commit_item *item) {
    const struct report *report = &item->report;
    bool shown = live_heard(commit->live, item->app, report->dyno, report->arrived_s);
    if (item->result != COMMIT_DONE) return;
    live_report(commit->live, item->app, report);
    for (int i = 0; i < report->series_count; i++) {
        const struct report_series *series = &report->series[i];
        for (int j = 0; j < series->part_count && !series->refused; j++)
            shown = live_add(commit->live, item->app, series->source, signal_name(series->signal),
                             &series->parts[j]) &&
                    shown;
    }
    commit->behind = commit->behind || !shown;
}

/* ---- The live windows from the store -------------------------------------------------------- */

struct filling {
    struct live *live;
    bool complete;
};

static bool fill_part(void *context, const struct series_part *stored) {
    struct filling *filling = context;
    struct part part = PART_EMPTY(stored->start_s);
    errno = 0;
    if (part_decode(&part, stored->data, stored->length))
        filling->complete =
            live_add(filling->live, stored->app, stored->source, stored->signal, &part);
    else if (errno == ENOMEM) filling->complete = false;
    else
        log_line(LOG_ERROR, "ingest", "a part of series %lld at %lld can't be read",
                 (long long)stored->series, (long long)stored->start_s);
    part_free(&part);
    return filling->complete;
}

static void fill_heard(void *context, int64_t app, const char *dyno, int64_t at_s) {
    struct filling *filling = context;
    filling->complete = live_heard(filling->live, app, dyno, at_s) && filling->complete;
}

static bool fill_live(struct commit *commit, struct live *live) {
    struct filling filling = {live, true};
    int64_t from_s = store_wall_ns() / 1000000000 - LIVE_S;
    return series_each_part(commit->store, from_s - PART_SECONDS, fill_part, &filling) &&
           filling.complete && series_each_heard(commit->store, from_s, fill_heard, &filling) &&
           filling.complete;
}

/* Fills the live windows from the store again: rules must not use windows that lack reports, which
 * would look like no wait. */
static void catch_up(struct commit *commit) {
    struct live *live = live_new();
    bool filled = live && fill_live(commit, live);
    if (filled) live_take(commit->live, live);
    else live_free(live);
    commit->behind = !filled;
    log_line(filled ? LOG_WARN : LOG_ERROR, "ingest",
             filled ? "memory had run out: what was reported was read from the store again"
                    : "there is no memory for what was reported; it is read from the store again "
                      "with the next reports");
}

static void log_change(struct commit *commit, bool ok) {
    if (ok == !commit->failing) return;
    commit->failing = !ok;
    if (ok) log_line(LOG_INFO, "ingest", "reports are kept again");
    else
        log_line(LOG_ERROR, "ingest", "reports can't be kept, and are answered with 503: %s",
                 store_error(commit->store));
}

static void commit_all(struct commit *commit, struct commit_item *first) {
    if (ds_clock_monotonic_ms() - commit->known_since_ms > FORGET_SERIES_MS) know_series(commit);
    bool ok = store_all(commit, first);
    atomic_fetch_add(ok ? &commit->count : &commit->failed_count, 1);
    log_change(commit, ok);
    /* Series made in the transaction were undone with it. */
    if (!ok) forget_series(commit);
    for (struct commit_item *item = first; item; item = item->next) {
        if (ok && !commit->shared)
            show_live(commit, item); /* a shared store is followed instead: ingest/follow.h */
        else if (!ok) item->result = COMMIT_FAILED;
    }
    if (commit->behind) catch_up(commit);
    commit->settings.done(commit->settings.context, first);
}

/* ---- The thread ---------------------------------------------------------------------------- */

static struct timespec monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now;
}

static struct timespec later(struct timespec when, int ms) {
    when.tv_sec += ms / 1000;
    when.tv_nsec += (long)(ms % 1000) * 1000000;
    if (when.tv_nsec >= 1000000000) {
        when.tv_nsec -= 1000000000;
        when.tv_sec++;
    }
    return when;
}

static bool is_over(struct timespec when) {
    struct timespec now = monotonic();
    return now.tv_sec > when.tv_sec || (now.tv_sec == when.tv_sec && now.tv_nsec >= when.tv_nsec);
}

/* Waits, with the lock held, until there is something to do. */
static void wait_for_work(struct commit *commit) {
    while (!commit->stop) {
        struct timespec due = {0};
        bool any = waiting_any(commit->waiting);
        if (any) due = commit->next_at;
        else if (commit->call && !commit->urgent) due = later(commit->called_at, CALL_MS);
        if (commit->call && commit->urgent) return;
        if (!any && !commit->call) {
            pthread_cond_wait(&commit->wake, &commit->lock);
        } else {
            if (is_over(due)) return;
            pthread_cond_timedwait(&commit->wake, &commit->lock, &due);
        }
    }
}

static bool take_call(struct commit *commit) {
    bool due = commit->call &&
               (commit->urgent || commit->stop || is_over(later(commit->called_at, CALL_MS)));
    if (!due) return false;
    commit->call = commit->urgent = false;
    commit->called_at = monotonic();
    return true;
}

/* How long a byte takes depends on the number of series and on the disk. In a flood a report waits
 * for about one group, so groups that take too long get smaller. */
static void adapt_group(struct commit *commit, int64_t took_ms) {
    int most_ms = commit->settings.group_ms;
    if (most_ms <= 0) return;
    if (took_ms > most_ms) commit->group_bytes /= 2;
    else if (took_ms < most_ms / 2) commit->group_bytes *= 2;
    size_t most = commit->settings.group_bytes;
    if (commit->group_bytes < most / LEAST_GROUP) commit->group_bytes = most / LEAST_GROUP;
    if (commit->group_bytes > most) commit->group_bytes = most;
}

static void commit_timed(struct commit *commit, struct commit_item *first) {
    int64_t began_ms = ds_clock_monotonic_ms();
    commit_all(commit, first);
    adapt_group(commit, ds_clock_monotonic_ms() - began_ms);
}

static void *run(void *context) {
    struct commit *commit = context;
    pthread_mutex_lock(&commit->lock);
    for (;;) {
        wait_for_work(commit);
        bool call = take_call(commit);
        struct commit_item *first = waiting_take(commit->waiting, commit->group_bytes);
        if (first) commit->next_at = later(monotonic(), commit->settings.commit_ms);
        if (!first && !call && commit->stop) break;
        pthread_mutex_unlock(&commit->lock);
        if (call) commit->settings.called(commit->settings.context, commit->store);
        if (first) commit_timed(commit, first);
        pthread_mutex_lock(&commit->lock);
    }
    pthread_mutex_unlock(&commit->lock);
    return NULL;
}

bool commit_has_room(struct commit *commit, int64_t app, size_t bytes) {
    pthread_mutex_lock(&commit->lock);
    bool room = waiting_has_room(commit->waiting, app, bytes);
    pthread_mutex_unlock(&commit->lock);
    return room;
}

bool commit_add(struct commit *commit, struct commit_item *item) {
    pthread_mutex_lock(&commit->lock);
    bool wake = !waiting_any(commit->waiting), added = waiting_add(commit->waiting, item);
    if (wake && added) pthread_cond_signal(&commit->wake);
    pthread_mutex_unlock(&commit->lock);
    return added;
}

void commit_release(struct commit *commit, const struct commit_item *item) {
    pthread_mutex_lock(&commit->lock);
    waiting_release(commit->waiting, item);
    pthread_mutex_unlock(&commit->lock);
}

size_t commit_waiting_bytes(struct commit *commit) {
    pthread_mutex_lock(&commit->lock);
    size_t bytes = waiting_bytes(commit->waiting);
    pthread_mutex_unlock(&commit->lock);
    return bytes;
}

void commit_call(struct commit *commit, bool urgent) {
    pthread_mutex_lock(&commit->lock);
    commit->call = true;
    commit->urgent |= urgent;
    pthread_cond_signal(&commit->wake);
    pthread_mutex_unlock(&commit->lock);
}

/* ---- Starting ------------------------------------------------------------------------------ */

static bool set_up(struct commit *commit, char *error, size_t size) {
    commit->store = store_open(commit->settings.folder, STORE_CREATE, error, size);
    if (!commit->store) return false;
    commit->shared = store_is_shared(commit->store);
    int64_t receiver = series_receiver(commit->store);
    if (receiver >= 0) commit->number = receiver << SERIES_NUMBER_BITS;
    know_series(commit);
    if (receiver >= 0 && (commit->shared || fill_live(commit, commit->live))) {
        commit->settings.called(commit->settings.context, commit->store);
        return true;
    }
    const char *why = store_error(commit->store);
    snprintf(error, size, "can't read what was reported before: %s", *why ? why : "out of memory");
    return false;
}

static void free_all(struct commit *commit) {
    forget_series(commit);
    store_close(commit->store);
    waiting_free(commit->waiting);
    pthread_cond_destroy(&commit->wake);
    pthread_mutex_destroy(&commit->lock);
    free(commit->tally);
    free(commit);
}

struct commit *commit_new(struct live *live, const struct commit_settings *settings, char *error,
                          size_t size) {
    struct commit *commit = calloc(1, sizeof *commit);
    struct waiting *waiting = waiting_new(settings->waiting_bytes);
    struct tally *tally = tally_new();
    if (!commit || !waiting || !tally) {
        snprintf(error, size, "out of memory");
        waiting_free(waiting);
        free(tally);
        free(commit);
        return NULL;
    }
    commit->waiting = waiting;
    commit->tally = tally;
    commit->settings = *settings;
    commit->group_bytes = settings->group_bytes;
    commit->live = live;
    commit->called_at = monotonic();
    pthread_mutex_init(&commit->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&commit->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    if (set_up(commit, error, size)) {
        int failed = pthread_create(&commit->thread, NULL, run, commit);
        if (failed == 0) {
            pthread_setname_np(commit->thread, "commit");
            return commit;
        }
        snprintf(error, size, "can't start a thread: %s", strerror(failed));
    }
    free_all(commit);
    return NULL;
}

void commit_end(struct commit *commit) {
    pthread_mutex_lock(&commit->lock);
    commit->stop = true;
    pthread_cond_signal(&commit->wake);
    pthread_mutex_unlock(&commit->lock);
    pthread_join(commit->thread, NULL);
}

void commit_free(struct commit *commit) {
    if (commit) free_all(commit);
}

uint64_t commit_count(const struct commit *commit) { return atomic_load(&commit->count); }

uint64_t commit_failed_count(const struct commit *commit) {
    return atomic_load(&commit->failed_count);
}
