/*
 * Bounds, not products. The oracle knows the traffic until a dyno that is ordered now will be up,
 * and what a dyno carries (`xstar` requests a second, 11.5 where the goal is 5 % over 100 ms).
 * "instant" knows the traffic of this second exactly, and nothing of the future.
 */
#include <math.h>

#include "../method.h"
#include "../options.h"
#include "../seen.h"
#include "../traffic.h"

static int dynos_for(double rate) { return (int)ceil(rate / option_number("xstar", 13)); }

int method_oracle(int now, int ordered, int up) {
    (void)ordered, (void)up;
    return dynos_for(traffic_maximum(now, now + option_int("boothi", 40) + 3));
}

int method_instant(int now, int ordered, int up) {
    static int history[SEEN_RING];
    (void)up;
    if (now % 10) return ordered;
    int tick = now / 10, need = dynos_for(traffic_maximum(now, now + 1) * option_number("q", 1));
    int largest = history[tick % SEEN_RING] = need;
    for (int i = tick; i > tick - option_int("D", 30) / 10 && i >= 0; i--)
        if (history[i % SEEN_RING] > largest) largest = history[i % SEEN_RING];
    return need > ordered ? need : largest < ordered ? largest : ordered;
}
