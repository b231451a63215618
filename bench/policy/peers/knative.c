/*
 * Knative's pod autoscaler by requests in flight.
 *
 * knative.dev/docs/serving/autoscaling/kpa-specific: "stable-window: 60s",
 * "panic-window-percentage: 10.0", "panic-threshold-percentage: 200.0": "panic mode is entered if
 * the desired pods of the panic window reach the threshold"; "the autoscaler exits panic mode after
 * the threshold has not been exceeded for the stable window; in panic mode it does not scale down".
 * container-concurrency-target-percentage (here `target`) 70. Every 2 s.
 */
#include <math.h>

#include "../method.h"
#include "../options.h"
#include "../seen.h"

enum { STABLE_S = 60, PANIC_S = 6, NEVER = -100000 };

static int larger(int one, int other) { return one > other ? one : other; }

int method_knative(int now, int ordered, int up) {
    static int panic_since = NEVER, panic_size;
    if (now % 2) return ordered;
    double target = option_number("target", .7) * option_number("c", 4);
    int stable = (int)ceil(ring_mean(truth_in_flight, now - STABLE_S, now) / target);
    int quick = (int)ceil(ring_mean(truth_in_flight, now - PANIC_S, now) / target);
    if (stable < ordered / 2) stable = (ordered + 1) / 2;
    if (quick >= 2 * up) {
        if (now - panic_since > STABLE_S) panic_size = ordered;
        panic_since = now;
    }
    if (now - panic_since > STABLE_S) return stable;
    panic_size = larger(panic_size, larger(quick, stable));
    return larger(panic_size, ordered);
}
