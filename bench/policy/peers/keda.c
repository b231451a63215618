/*
 * KEDA's HTTP add-on, which gives the HPA what its proxy counts.
 *
 * github.com/kedacore/http-add-on, docs/ref: scalingMetric "concurrency: targetValue: target value
 * for the scaling configuration (100)", "requestRate: granularity 1s, targetValue 100, window 1m".
 * "Concurrency" are the requests in flight, those that wait too. The target of the rate must be set
 * by hand to what a dyno carries: here to a share of the true number.
 */
#include "../method.h"
#include "../options.h"
#include "../seen.h"

int method_keda_concurrency(int now, int ordered, int up) {
    (void)up;
    if (now % 15) return ordered;
    double target = option_number("target", .7) * option_number("c", 4);
    return hpa_steps(now, ordered, truth_in_flight[(now - 1) % SEEN_RING], target);
}

int method_keda_rate(int now, int ordered, int up) {
    (void)up;
    if (now % 15) return ordered;
    double target = option_number("xstar", 13) * option_number("target", .85);
    return hpa_steps(now, ordered, ring_mean(truth_arrivals, now - 60, now), target);
}
