#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pthread_setname_np */
#endif
#include "notify/notify.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "array.h"
#include "clock.h"
#include "keeper/keeper.h"
#include "log.h"
#include "notify/channel.h"
#include "notify/kinds.h"
#include "notify/week.h"
#include "pool.h"
#include "store/apps.h"

enum {
    FRESH_S = 60,      /* an older tick says nothing about the present */
    SEEN_EVERY_S = 60, /* how often the store notes that a condition lasts */
    SENDERS = 2,
    CLAIMED_S = 120, /* nobody else sends a delivery within this time after it was begun */
    SCALED_AN_HOUR = 12,
    KEPT_S = 90 * 86400,
    TIDY_EVERY_S = 3600,
};

/* How long a failed delivery waits before the next try, by tries so far; the last one repeats. */
static const int waits_s[] = {30, 120, 300, 900, 1800, 3600};
static const int64_t GIVEN_UP_S = 86400;

struct notify {
    struct notify_settings settings;
    struct store *store;
    struct pool *senders;
    pthread_t thread;
    bool has_thread;
    int64_t next_tidy_s;

    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t wake;
    bool ending;
    int sending;
};

static int64_t now_s(void) { return ds_clock_wall_ns() / 1000000000; }

/* ---- Conditions ------------------------------------------------------------------------------ */

struct look {
    struct notify *notify;
    struct app app;
    const struct rule *rule;
    struct ledger_tick tick;
    int64_t now_s;
};

static bool tell(struct look *look, int kind, enum notice_state state) {
    struct notice notice = {.app = look->app.id, .kind = kind, .state = state, .at_s = look->now_s};
    memcpy(notice.process, look->tick.process, sizeof notice.process);
    kinds_write(&notice, look->app.name, &look->tick, look->rule);
    return notice_add(look->notify->store, &notice);
}

/* The condition holds: noted, and reported once it has lasted long enough. */
static bool goes_on(struct look *look, const struct kind *kind, const struct watch *before) {
    struct watch watch = before ? *before : (struct watch){.since_s = look->now_s};
    bool due = !watch.told_s && look->now_s - watch.since_s >= kind->after_s;
    if (before && !due && look->now_s - before->seen_s < SEEN_EVERY_S) return true;
    watch.seen_s = look->now_s;
    if (due) watch.told_s = look->now_s;
    return (!due || tell(look, kind->number, NOTICE_BEGAN)) &&
           watch_put(look->notify->store, look->app.id, look->tick.process, kind->number, &watch);
}

/* The condition does not hold: over once that has lasted long enough. If it was never reported, its
 * end is not either. */
static bool is_over(struct look *look, const struct kind *kind, const struct watch *before) {
    if (before->told_s && look->now_s - before->seen_s < KINDS_CALM_S) return true;
    return (!before->told_s || tell(look, kind->number, NOTICE_ENDED)) &&
           watch_remove(look->notify->store, look->app.id, look->tick.process, kind->number);
}

static bool look_at_conditions(struct look *look) {
    unsigned holding = kinds_look(&look->tick, look->rule);
    bool ok = true;
    for (const struct kind *kind = kinds; kind->name && ok; kind++) {
        if (kind->number > NOTICE_FUTILE) continue;
        struct watch watch;
        bool known =
            watch_get(look->notify->store, look->app.id, look->tick.process, kind->number, &watch);
        if (holding & 1u << kind->number) ok = goes_on(look, kind, known ? &watch : NULL);
        else if (known) ok = is_over(look, kind, &watch);
    }
    return ok;
}

/* ---- Scalings -------------------------------------------------------------------------------- */

struct scaled {
    struct act last;
    int count, from;
};

static bool take_act(void *context, const struct act *act) {
    struct scaled *scaled = context;
    if (act->state != ACT_DONE) return true;
    if (scaled->count++ == 0) scaled->from = act->from;
    scaled->last = *act;
    return true;
}

static bool tell_scaled(struct look *look, const struct scaled *scaled) {
    int64_t told =
        notice_count(look->notify->store, look->app.id, NOTICE_SCALED, look->now_s - 3600);
    if (told < 0 || told >= SCALED_AN_HOUR) return told >= 0;
    struct ledger_tick tick;
    struct notice notice = {
        .app = look->app.id, .kind = NOTICE_SCALED, .state = NOTICE_HAPPENED, .at_s = look->now_s};
    memcpy(notice.process, look->tick.process, sizeof notice.process);
    snprintf(notice.title, sizeof notice.title, "%s %s: %d → %d dynos", look->app.name,
             look->tick.process, scaled->from, scaled->last.to);
    bool why = ledger_last(look->notify->store, look->app.id, look->tick.process,
                           scaled->last.ordered_s, &tick);
    snprintf(notice.body, sizeof notice.body, "%s\n%s", why ? tick.decision.sentence : "",
             told + 1 == SCALED_AN_HOUR ? "This is the last one that is told in this hour.\n" : "");
    return notice_add(look->notify->store, &notice);
}

static void take_oldest(void *context, const struct channel *channel) {
    int64_t *oldest_s = context;
    if (channel->created_s < *oldest_s) *oldest_s = channel->created_s;
}

/* The watch of SCALED stores up to which order was looked at. At first: up to now. */
static bool look_at_scalings(struct look *look) {
    struct store *store = look->notify->store;
    struct scaled scaled = {0};
    struct watch watch;
    bool known = watch_get(store, look->app.id, look->tick.process, NOTICE_SCALED, &watch);
    if (!known) {
        watch = (struct watch){.since_s = look->now_s, .seen_s = look->now_s};
        if (!channel_each(store, look->app.id, take_oldest, &watch.seen_s)) return false;
        watch.seen_s--;
    }
    if (!act_each(store, look->app.id, look->tick.process, watch.seen_s + 1, look->now_s + 1,
                  take_act, &scaled))
        return false;
    if (known && scaled.count == 0) return true;
    if (scaled.count > 0) watch.seen_s = scaled.last.ordered_s;
    return (scaled.count == 0 || tell_scaled(look, &scaled)) &&
           watch_put(store, look->app.id, look->tick.process, NOTICE_SCALED, &watch);
}

/* ---- The week -------------------------------------------------------------------------------- */

/* Reported in the ten minutes after the week's end, or later if the service did not run then; never
 * for a week in which nobody had subscribed yet. */
static bool look_at_week(struct look *look, const struct rule_set *rules) {
    struct store *store = look->notify->store;
    int64_t end_s = week_end(look->app.zone, look->now_s);
    struct watch watch;
    bool known = watch_get(store, look->app.id, "", NOTICE_WEEKLY, &watch);
    if (end_s == 0 || (known && watch.since_s >= end_s)) return true;
    struct notice notice = {
        .app = look->app.id, .kind = NOTICE_WEEKLY, .state = NOTICE_HAPPENED, .at_s = look->now_s};
    if (known && week_write(store, &look->app, rules, end_s, &notice) &&
        !notice_add(store, &notice))
        return false;
    watch = (struct watch){.since_s = end_s, .seen_s = look->now_s, .told_s = look->now_s};
    return watch_put(store, look->app.id, "", NOTICE_WEEKLY, &watch);
}

/* ---- A look at an app ------------------------------------------------------------------------ */

static struct rule_set *read_rules(struct store *store, const struct app *app) {
    char error[256], *text = rules_get(store, app->id, 0, NULL);
    struct rule_set *rules =
        text ? rule_read(text, strlen(text), app->zone, error, sizeof error) : NULL;
    free(text);
    return rules;
}

static bool look_at_process(struct look *look, const struct rule_process *process) {
    if (!ledger_last(look->notify->store, look->app.id, process->name, look->now_s, &look->tick))
        return !*store_error(look->notify->store);
    int number = look->tick.rule_number;
    if (look->now_s - look->tick.situation.now > FRESH_S || number < 0 ||
        number >= process->rule_count)
        return true;
    look->rule = &process->rules[number];
    return look_at_conditions(look) && look_at_scalings(look);
}

static void look_at_app(struct notify *notify, int64_t id) {
    struct look *look = calloc(1, sizeof *look);
    if (!look || !store_begin(notify->store)) {
        free(look);
        return;
    }
    look->notify = notify;
    look->now_s = now_s();
    struct rule_set *rules =
        app_by_id(notify->store, id, &look->app) ? read_rules(notify->store, &look->app) : NULL;
    bool ok = true;
    for (int i = 0; rules && i < rules->process_count && ok; i++)
        ok = look_at_process(look, &rules->processes[i]);
    if (rules && ok) ok = look_at_week(look, rules);
    if (!ok || !store_commit(notify->store)) {
        log_line(LOG_ERROR, "notify", "notices about %s can't be stored: %s", look->app.name,
                 store_error(notify->store));
        store_rollback(notify->store);
    }
    rule_free(rules);
    free(look);
}

struct ids {
    int64_t *ids;
    size_t count, room;
};

static void take_id(void *context, int64_t id) {
    struct ids *ids = context;
    void *array = array_grown(ids->ids, &ids->room, ids->count + 1, sizeof *ids->ids);
    if (!array) return;
    ids->ids = array;
    ids->ids[ids->count++] = id;
}

static void look_at_all(struct notify *notify) {
    struct ids ids = {0};
    channel_each_app(notify->store, take_id, &ids);
    for (size_t i = 0; i < ids.count; i++) look_at_app(notify, ids.ids[i]);
    free(ids.ids);
    if (now_s() < notify->next_tidy_s) return;
    notify->next_tidy_s = now_s() + TIDY_EVERY_S;
    notice_tidy(notify->store, now_s() - KEPT_S);
}

/* ---- Deliveries ------------------------------------------------------------------------------ */

struct sending {
    struct pool_job job;
    struct notify *notify;
    struct delivery delivery;
};

static void send_sealed(struct sending *sending, struct store *store, char *error, size_t size) {
    const struct delivery *delivery = &sending->delivery;
    const struct notify_settings *settings = &sending->notify->settings;
    struct app app;
    size_t length = 0;
    void *sealed = app_by_id(store, delivery->notice.app, &app)
                       ? channel_sealed(store, delivery->channel.id, &length)
                       : NULL;
    if (sealed)
        keeper_tell(settings->keeper, app.name, delivery->channel.kind, sealed, length,
                    settings->public_url, &delivery->notice, error, size);
    else snprintf(error, size, "it was removed meanwhile");
    free(sealed);
}

static void finish(struct sending *sending) {
    struct notify *notify = sending->notify;
    pthread_mutex_lock(&notify->lock);
    notify->sending--;
    pthread_cond_broadcast(&notify->wake);
    pthread_mutex_unlock(&notify->lock);
    free(sending);
}

static void send(struct pool_job *job, struct store *store) {
    struct sending *sending = (struct sending *)job;
    const struct delivery *delivery = &sending->delivery;
    char trouble[CHANNEL_TROUBLE_SIZE] = "";
    enum { WAITS = sizeof waits_s / sizeof *waits_s };
    send_sealed(sending, store, trouble, sizeof trouble);
    int64_t now = now_s(), again_s = 0;
    int wait = delivery->tries - 1 < WAITS ? delivery->tries - 1 : WAITS - 1;
    if (*trouble && now - delivery->notice.at_s < GIVEN_UP_S) again_s = now + waits_s[wait];
    if (*trouble)
        log_line(LOG_WARN, "notify", "“%s” was not told to %s: %s%s", delivery->notice.title,
                 delivery->channel.hint, trouble, again_s ? "" : "; given up after a day");
    delivery_end(store, delivery, now, trouble, again_s);
    finish(sending);
}

/* Whether a delivery was begun. */
static bool begin_sending(struct notify *notify) {
    pthread_mutex_lock(&notify->lock);
    bool room = notify->sending < SENDERS && !notify->ending;
    pthread_mutex_unlock(&notify->lock);
    struct sending *sending = room ? calloc(1, sizeof *sending) : NULL;
    if (!sending) return false;
    sending->notify = notify;
    sending->job.run = send;
    bool begun = delivery_claim(notify->store, now_s(), now_s() + CLAIMED_S, &sending->delivery);
    if (begun) {
        pthread_mutex_lock(&notify->lock);
        notify->sending++;
        pthread_mutex_unlock(&notify->lock);
        begun = pool_add(notify->senders, &sending->job);
        if (!begun) finish(sending); /* due again later */
    } else {
        free(sending);
    }
    return begun;
}

/* ---- The thread ------------------------------------------------------------------------------ */

/* Waits for the next look or for a delivery's end; false: the service ends. */
static bool wait_until(struct notify *notify, int64_t until_ms) {
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    pthread_mutex_lock(&notify->lock);
    if (!notify->ending) pthread_cond_timedwait(&notify->wake, &notify->lock, &until);
    bool go_on = !notify->ending;
    pthread_mutex_unlock(&notify->lock);
    return go_on;
}

static void *run(void *context) {
    struct notify *notify = context;
    int64_t next_ms = ds_clock_monotonic_ms();
    pthread_setname_np(pthread_self(), "notify");
    do {
        if (ds_clock_monotonic_ms() >= next_ms) {
            look_at_all(notify);
            next_ms = ds_clock_monotonic_ms() + notify->settings.look_s * 1000;
        }
        while (begin_sending(notify)) continue;
    } while (wait_until(notify, next_ms));
    return NULL;
}

void notify_step(struct notify *notify) {
    look_at_all(notify);
    while (begin_sending(notify)) continue;
}

void notify_wait(struct notify *notify) {
    pthread_mutex_lock(&notify->lock);
    while (notify->sending > 0) pthread_cond_wait(&notify->wake, &notify->lock);
    pthread_mutex_unlock(&notify->lock);
}

/* ---- Starting, ending ------------------------------------------------------------------------ */

static bool open_rooms(struct notify *notify, char *error, size_t size) {
    const char *folder = notify->settings.folder;
    notify->store = store_open(folder, STORE_CREATE, error, size);
    if (notify->store) notify->senders = pool_new("notify", SENDERS, SENDERS, folder, error, size);
    return notify->senders != NULL;
}

struct notify *notify_new_stopped(const struct notify_settings *settings, char *error,
                                  size_t size) {
    struct notify *notify = calloc(1, sizeof *notify);
    pthread_condattr_t monotonic;
    if (!notify) {
        snprintf(error, size, "there is no memory to start with");
        return NULL;
    }
    notify->settings = *settings;
    pthread_mutex_init(&notify->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&notify->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (open_rooms(notify, error, size)) return notify;
    notify_free(notify);
    return NULL;
}

/* With every signal blocked: they are for the main thread. */
static bool start(struct notify *notify, char *error, size_t size) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&notify->thread, NULL, run, notify);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    notify->has_thread = failure == 0;
    if (failure) snprintf(error, size, "a thread can't be started: %s", strerror(failure));
    return failure == 0;
}

struct notify *notify_new(const struct notify_settings *settings, char *error, size_t size) {
    struct notify *notify = notify_new_stopped(settings, error, size);
    if (!notify || start(notify, error, size)) return notify;
    notify_free(notify);
    return NULL;
}

void notify_free(struct notify *notify) {
    if (!notify) return;
    pthread_mutex_lock(&notify->lock);
    notify->ending = true;
    pthread_cond_signal(&notify->wake);
    pthread_mutex_unlock(&notify->lock);
    if (notify->has_thread) pthread_join(notify->thread, NULL);
    if (notify->senders) pool_free(notify->senders);
    if (notify->store) store_close(notify->store);
    pthread_cond_destroy(&notify->wake);
    pthread_mutex_destroy(&notify->lock);
    free(notify);
}
