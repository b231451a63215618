/* How many requests arrive, how long serving them takes, and which dynos restart. */
#include "decide/automatic/automatic.h"
#include "decide/automatic/number.h"
#include "decide/view.h"

static const double SERVICE_HALF_LIFE_S = 120, USUAL_HALF_LIFE_S = 7200, UNKNOWN_BOOT_S = 25;
enum { CALM_S = 600 };

static int64_t age_of(const struct moment *moment, int64_t at) {
    return at == 0 ? INT64_MAX / 2 : moment->now - at;
}

/* Dynos that disappeared without an order to remove any, and releases. */
static void see_restarts(struct learned *learned, const struct view *view) {
    const struct situation *now = &view->now;
    int64_t gone = view->memory->last_ordered - now->ordered;
    bool fell = now->up >= 0 && now->up < learned->last_up - (gone > 0 ? gone : 0);
    if (fell) learned->restart_at = now->now;
    if (now->release_age >= 0 && now->now - now->release_age > learned->restart_at)
        learned->restart_at = now->now - now->release_age;
    learned->last_up = now->up >= 0 ? now->up : 0;
}

/* Arrivals are counted where agents know them. For later times: if waits grow by g seconds per
 * second, 1 / (1 - g) times as many requests arrive as begin. */
static double traffic_now(const struct learned *learned, const struct situation *now,
                          const struct moment *moment) {
    double arrived = (double)now->arrive_rate / 1000, begun = moment->begun;
    if (moment->wait > AUTOMATIC_ARRIVALS_S) {
        double before = now->past_requests > 0
                            ? (double)now->past_wait_ms / 1000 / (double)now->past_requests
                            : moment->wait;
        return begun / (1 - number_within((moment->wait - before) / 60, -1, .5));
    }
    bool restarted = age_of(moment, learned->restart_at) <= AUTOMATIC_BACKLOG_S;
    bool more_begun = arrived < begun && (now->arrive_rate < 0 || restarted);
    return more_begun ? begun : arrived;
}

/* The usual service time is not learned while requests wait, which may be what slows them down. */
static void measure_service(struct learned *learned, const struct situation *now,
                            struct moment *moment) {
    double keep = automatic_fading(moment->tick_s, SERVICE_HALF_LIFE_S);
    double busy = (double)now->last_busy_ms / 1000;
    learned->service_busy = learned->service_busy * keep + busy;
    learned->service_requests = learned->service_requests * keep + (double)now->last_requests;
    bool reported = learned->service_busy > 1e-6 && learned->service_requests > 1e-6;
    moment->service = reported ? learned->service_busy / learned->service_requests : 1;
    moment->service = number_within(moment->service, 1e-6, 1e6);
    if (learned->usual_service <= 0) learned->usual_service = moment->service;
    else if (age_of(moment, learned->trouble_at) > CALM_S)
        learned->usual_service += (moment->service - learned->usual_service) *
                                  (1 - automatic_fading(moment->tick_s, USUAL_HALF_LIFE_S));
}

static double share(int64_t part, int64_t of) { return of > 0 ? (double)part / (double)of : 0; }

bool traffic_look(struct learned *learned, const struct view *view, struct moment *moment) {
    const struct situation *now = &view->now;
    see_restarts(learned, view);
    if (now->known_age < 0 || now->begin_rate < 0) return false;
    moment->known_age = (double)now->known_age;
    moment->begun = (double)now->begin_rate / 1000;
    moment->served = now->serve_rate < 0 ? moment->begun : (double)now->serve_rate / 1000;
    moment->last_requests = (double)now->last_requests;
    moment->last_slow = (double)now->last_slow;
    moment->wait = share(now->last_wait_ms, now->last_requests) / 1000;
    moment->requests = (double)now->both_requests;
    moment->slow_share = share(now->both_slow, now->both_requests);
    moment->last_service = share(now->both_busy_ms, now->both_requests) / 1000;
    moment->boot = now->boot_mean_ms >= 0 ? (double)now->boot_mean_ms / 1000 : UNKNOWN_BOOT_S;
    moment->boot = number_within(moment->boot, 1, 3600);
    measure_service(learned, now, moment);
    moment->load = share(now->last_requests, now->last_dyno_s) * moment->service;
    moment->traffic = traffic_now(learned, now, moment);
    return true;
}
