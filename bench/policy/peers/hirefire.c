/*
 * HireFire by queue time.
 *
 * help.hirefire.io/article/7 and 13: a check-up each minute (15 s on a larger plan, here `every`)
 * adds one dyno when the metric of the last minute is above the maximum, and removes one below the
 * minimum. The documents advise a longer timeout for removing than for adding and name no default:
 * 5 minutes is our assumption, `downwait`.
 */
#include "../method.h"
#include "../options.h"
#include "../seen.h"

int method_hirefire(int now, int ordered, int up) {
    (void)up;
    if (now % option_int("every", 60)) return ordered;
    struct window window = seen_window(now - 60, now);
    double p95 = window_quantile(&window, .95);
    int since_up = now - seen_last_up, since_down = now - seen_last_down;
    int wait = option_int("downwait", 300);
    if (p95 > option_number("up", .1) && since_up >= option_int("upwait", 0)) return ordered + 1;
    bool down = p95 <= option_number("down", .05) && since_down >= wait && since_up >= wait;
    return down ? ordered - 1 : ordered;
}
