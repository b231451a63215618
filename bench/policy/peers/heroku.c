/*
 * Heroku's own autoscaling.
 *
 * devcenter.heroku.com/articles/scaling: from the throughput and the response times of the past
 * hour it works out the fewest dynos that give the desired 95th percentile at the throughput of
 * now; it adds or removes one dyno at a time, at least a minute apart, and removes more slowly than
 * it adds. The model is not published. Ours: of the minutes of the past hour, the load of a dyno
 * that parts best those above the desired p95 from those below. By queue time, which is the
 * part of a response time that more dynos change; `downwait` 180 s is an assumption.
 */
#include <math.h>

#include "../method.h"
#include "../options.h"
#include "../seen.h"

enum { MINUTES = 60, LEAST_MINUTES = 5 };

static struct {
    double load; /* requests a second of one dyno */
    bool slow;
} minutes[MINUTES];
static int minute_count;

/* How many minutes a limit of the load puts on the wrong side. */
static int wrong_at(double limit, int count) {
    int wrong = 0;
    for (int i = 0; i < count; i++) wrong += minutes[i].slow != (minutes[i].load > limit);
    return wrong;
}

static double limit_of_load(int count) {
    double best = minutes[0].load;
    for (int i = 0; i < count; i++) {
        double limit = minutes[i].load;
        int wrong = wrong_at(limit, count), least = wrong_at(best, count);
        if (wrong < least || (wrong == least && limit > best)) best = limit;
    }
    return best;
}

int method_heroku(int now, int ordered, int up) {
    if (now % 60) return ordered;
    struct window window = seen_window(now - 60, now);
    double rate = window.requests / 60, load = rate / (up > 0 ? up : 1);
    bool slow = window_quantile(&window, .95) > option_number("up", .1);
    minutes[minute_count % MINUTES].load = load;
    minutes[minute_count++ % MINUTES].slow = slow;
    if (minute_count < LEAST_MINUTES) return slow ? ordered + 1 : ordered;
    double limit = limit_of_load(minute_count < MINUTES ? minute_count : MINUTES);
    int need = (int)ceil(rate / fmax(limit, .01));
    if (slow && need <= ordered) need = ordered + 1;
    if (need > ordered) return ordered + 1;
    int since_up = now - seen_last_up, since_down = now - seen_last_down;
    int wait = option_int("downwait", 180);
    return need < ordered && since_up >= wait && since_down >= wait ? ordered - 1 : ordered;
}
