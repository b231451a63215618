/*
 * Judoscale by job queue time.
 *
 * judoscale.com/guides/worker-dynos: "With multiple queues selected, Judoscale will monitor the
 * maximum queue time of those queues". guides/autoscaling-behavior and
 * docs/tuning-your-application: metrics are aggregated every 10 s; above the range it adds one
 * worker "if the process has not scaled up in the last three minutes" (`upfreq`), or `by`; it
 * removes one when all stayed below the range for the downscale delay, 10 minutes (`downdelay`),
 * then one in each such time. The range for workers is the user's: here `up` and `down`, seconds.
 */
#include <stdbool.h>

#include "../../options.h"
#include "../method.h"

int method_judoscale(int now, int ordered, int up) {
    static int last_above;
    const struct reading *reading = newest_reading(0);
    (void)up;
    if (now % 10 || !reading) return ordered;
    if (reading->oldest_s > option_number("down", 1)) last_above = now;
    int since_up = now - system_last_up, since_down = now - system_last_down;
    int delay = option_int("downdelay", 600);
    if (reading->oldest_s > option_number("up", 10))
        return since_up >= option_int("upfreq", 180) ? ordered + option_int("by", 1) : ordered;
    bool down = now - last_above >= delay && since_down >= delay && since_up >= delay;
    return down ? ordered - 1 : ordered;
}
