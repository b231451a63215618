/*
 * Dynoscale's rule as its pages describe it: "upscale when the queue time is above the upper
 * threshold, by a number of dynos, then wait; downscale when it is below the lower threshold", with
 * the defaults 100 ms, 1, 1 minute and 50 ms, 1, 5 minutes, by the 95th percentile of a minute.
 * Without the service's safeties: the service's own steps are the method "service".
 */
#include "../method.h"
#include "../options.h"
#include "../seen.h"

int method_steps(int now, int ordered, int up) {
    (void)up;
    if (now % 10) return ordered;
    struct window window = seen_window(now - option_int("win", 60), now);
    double p95 = window_quantile(&window, .95);
    int since_up = now - seen_last_up, since_down = now - seen_last_down;
    int since = since_up < since_down ? since_up : since_down;
    bool above = window.requests > 0 && p95 > option_number("up", .1);
    if (above && since >= option_number("upwait", 60)) return ordered + option_int("by", 1);
    bool below = p95 <= option_number("down", .05);
    return below && since >= option_number("downwait", 300) ? ordered - 1 : ordered;
}
