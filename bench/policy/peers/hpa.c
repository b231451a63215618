/*
 * The Horizontal Pod Autoscaler of Kubernetes on the share of busy slots.
 *
 * kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale: "desiredReplicas =
 * ceil[currentReplicas * ( currentMetricValue / desiredMetricValue )]"; "the default interval is 15
 * seconds"; "the control plane skips any scaling action if the ratio is sufficiently close to 1.0
 * (within a configurable tolerance, 0.1 by default)"; default behavior: scaleDown
 * stabilizationWindowSeconds 300, Percent 100 in 15 s; scaleUp stabilizationWindowSeconds 0, the
 * larger of Percent 100 and Pods 4 in 15 s. The metrics server's window of 30 s is 15 s old.
 */
#include <math.h>

#include "../method.h"
#include "../options.h"
#include "../seen.h"

static int larger(int one, int other) { return one > other ? one : other; }

static int largest_of_last(int tick, int value, int ticks) {
    static int history[SEEN_RING];
    int largest = history[tick % SEEN_RING] = value;
    for (int i = tick; i > tick - ticks && i >= 0; i--)
        largest = larger(largest, history[i % SEEN_RING]);
    return largest;
}

int hpa_steps(int now, int ordered, double load, double target) {
    double ratio = load / (ordered * target);
    int wish = ratio > 1.1 || ratio < .9 ? (int)ceil(load / target) : ordered;
    int most = larger(ordered + 4, 2 * ordered);
    if (wish > most) wish = most;
    int held = largest_of_last(now / 15, wish, option_int("stab", 300) / 15);
    return wish > ordered ? wish : held < ordered ? held : ordered;
}

int method_hpa(int now, int ordered, int up) {
    (void)up;
    if (now % 15) return ordered;
    double busy = ring_mean(truth_busy, now - 45, now - 15) / option_number("c", 4);
    return hpa_steps(now, ordered, busy, option_number("target", .7));
}
