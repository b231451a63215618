/*
 * Target tracking of AWS Application Auto Scaling on the share of busy slots.
 *
 * docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview:
 * it "adds and removes capacity as required to keep the metric at, or close to, the specified
 * target value", in proportion when the metric is above, conservatively when it is below; cooldowns
 * of 300 s by default. Its alarms are 3 minutes above the target, and 15 minutes below 90 % of it.
 */
#include <math.h>

#include "../method.h"
#include "../options.h"
#include "../seen.h"

enum { MINUTES_ABOVE = 3, MINUTES_BELOW = 15, COOLDOWN_S = 300 };

int method_aws(int now, int ordered, int up) {
    static int above, below;
    (void)up;
    if (now % 60) return ordered;
    double dynos = fmax(ring_mean(seen_up, now - 120, now - 60), 1);
    double target = option_number("target", .7);
    double use = ring_mean(truth_busy, now - 120, now - 60) / option_number("c", 4) / dynos;
    above = use > target ? above + 1 : 0;
    below = use < .9 * target ? below + 1 : 0;
    int since_up = now - seen_last_up, since_down = now - seen_last_down, wish;
    if (above >= MINUTES_ABOVE && since_up >= option_int("outcool", COOLDOWN_S)) {
        wish = (int)ceil(dynos * use / target);
        return wish > ordered ? wish : ordered;
    }
    if (below < MINUTES_BELOW || since_down < option_int("incool", COOLDOWN_S) ||
        since_up < COOLDOWN_S)
        return ordered;
    wish = (int)ceil(ordered * use / target);
    return wish < ordered ? wish : ordered;
}
