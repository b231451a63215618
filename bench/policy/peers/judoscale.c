/*
 * Judoscale by queue time.
 *
 * judoscale.com/guides/autoscaling-behavior and docs/tuning: metrics are aggregated every 10 s; the
 * 95th percentile of queue time above the upper threshold upscales by one, "if the app has not
 * scaled up in the last three minutes" (upscale_interval_seconds, here `upfreq`); it downscales by
 * one when the metric was below the lower threshold for all of the downscale delay (600 s, here
 * `downdelay`), and then once in each such time. `by`: dynos added at once.
 */
#include "../method.h"
#include "../options.h"
#include "../seen.h"

int method_judoscale(int now, int ordered, int up) {
    static int last_above;
    (void)up;
    if (now % 10) return ordered;
    struct window window = seen_window(now - 10, now);
    if (window.requests <= 0) window = seen_window(now - 20, now - 10);
    double p95 = window_quantile(&window, .95);
    int since_up = now - seen_last_up, since_down = now - seen_last_down;
    int delay = option_int("downdelay", 600);
    if (p95 > option_number("down", .05)) last_above = now;
    if (p95 > option_number("up", .1))
        return since_up >= option_int("upfreq", 180) ? ordered + option_int("by", 1) : ordered;
    bool down = now - last_above >= delay && since_down >= delay && since_up >= delay;
    return down ? ordered - 1 : ordered;
}
