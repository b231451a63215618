#include "replay/waits.h"

#include <math.h>

enum { OCTAVE = 4 };

static double edge_s(int i) { return .001 * exp2((double)i / OCTAVE); }

/* exp(-drop t) at the edges of an octave, each time squared for the next one: four exp() in all. */
void waits_add(struct waits *waits, const struct queue_wait *wait, double requests) {
    double at[OCTAVE];
    waits->requests += requests;
    waits->wait_s += requests * queue_mean_wait(wait);
    if (wait->delay > 0) {
        for (int i = 0; i < WAITS_EDGES; i++)
            waits->above[i] += requests * queue_longer(wait, edge_s(i));
        return;
    }
    for (int i = 0; i < OCTAVE; i++) at[i] = exp(-wait->drop * edge_s(i));
    double times = requests * wait->chance;
    for (int i = 0; i < WAITS_EDGES; i += OCTAVE) {
        for (int j = 0; j < OCTAVE; j++) {
            waits->above[i + j] += times * at[j];
            at[j] *= at[j];
        }
    }
}

void waits_vary(struct waits *waits, double times) {
    for (int i = 0; i < WAITS_EDGES; i++) {
        double above = waits->above[i] * times;
        waits->above[i] = above < waits->requests ? above : waits->requests;
    }
    waits->wait_s *= times;
}

void waits_sum(struct waits *sum, const struct waits *other, double weight) {
    sum->requests += weight * other->requests;
    sum->wait_s += weight * other->wait_s;
    for (int i = 0; i < WAITS_EDGES; i++) sum->above[i] += weight * other->above[i];
}

double waits_above(const struct waits *waits, double ms) {
    if (ms < 1) return waits->above[0];
    double place = log2(ms) * OCTAVE;
    int low = (int)place;
    if (low >= WAITS_EDGES - 1) return waits->above[WAITS_EDGES - 1];
    double from = waits->above[low], to = waits->above[low + 1];
    if (to < 1e-9) return from * (1 - (place - low));
    return from * pow(to / from, place - low); /* about exponential between two edges */
}

static double quantile_ms(const struct waits *waits, double share) {
    double rest = waits->requests * (1 - share);
    if (waits->above[0] <= rest) return 0;
    int low = 0, high = WAITS_EDGES - 1;
    if (waits->above[high] > rest) return 1000 * edge_s(high);
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (waits->above[middle] > rest) low = middle;
        else high = middle;
    }
    double from = waits->above[low], to = waits->above[high];
    double part = to < 1e-9 ? 0 : log(from / rest) / log(from / to);
    return exp2((low + part) / OCTAVE);
}

double waits_value(const struct waits *waits, enum rule_statistic statistic) {
    static const double shares[] = {
        [RULE_P50] = .5, [RULE_P75] = .75, [RULE_P90] = .9, [RULE_P95] = .95, [RULE_P99] = .99};
    if (waits->requests < .5) return -1;
    if (statistic == RULE_MEAN) return 1000 * waits->wait_s / waits->requests;
    return quantile_ms(waits, shares[statistic]);
}
