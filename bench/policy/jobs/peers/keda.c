/*
 * KEDA by the length of a queue, as its scalers for Redis lists, SQL and brokers count it.
 *
 * keda.sh/docs, ScaledObject: "pollingInterval: 30", "cooldownPeriod: 300" before the last replica
 * goes, and from 0 to 1 as soon as the scaler is active. From 1 on the HPA decides each 15 s:
 * ceil(length / target) with an average value, a tolerance of 10 %, at most 4 more or twice as many
 * in 15 s, and down to the largest number of the last 300 s. `target`: jobs of a worker; Redis
 * lists have 5 unless told otherwise.
 */
#include <math.h>

#include "../../options.h"
#include "../method.h"

enum { WINDOW = 20 };

static int larger(int one, int other) { return one > other ? one : other; }

static int hpa(int ordered, int waiting) {
    static int wanted[WINDOW], ticks;
    double target = option_number("target", 5), ratio = waiting / (ordered * target);
    int want = fabs(ratio - 1) <= .1 ? ordered : larger(1, (int)ceil(waiting / target));
    int most = larger(ordered + 4, 2 * ordered);
    wanted[ticks++ % WINDOW] = want;
    if (want > ordered) return want < most ? want : most;
    for (int i = 0; i < WINDOW && i < ticks; i++) want = larger(want, wanted[i]);
    return want < ordered ? want : ordered;
}

int method_keda(int now, int ordered, int up) {
    static int last_active;
    (void)up;
    if (now % 15) return ordered;
    struct reading reading = system_read(now);
    if (now % 30 == 0 && reading.waiting > 0) last_active = now;
    if (ordered == 0) return last_active == now ? 1 : 0;
    int cooldown = option_int("cooldown", 300);
    if (ordered == 1 && now - last_active >= cooldown) return 0;
    return hpa(ordered, reading.waiting);
}
