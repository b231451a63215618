/* Orders as many dynos as save more than they cost. */
#include "decide/automatic/automatic.h"
#include "decide/automatic/number.h"

static const double CLUSTERING = 8; /* as in capacity.c */
static const double MILLION = 1e6;
static const double WORTH = .5; /* dynos that a change must save to be worthwhile */
static const double LIKELY = .5, HARDLY = 1e-3;
static const double ONE_MINUTE = 60;

struct question {
    double log_load;   /* of one dyno, if there were only one */
    double log_offset; /* of the corrected goal */
    double exponent, goal;
    double outcome[LEARNED_OUTCOMES], requests[LEARNED_OUTCOMES]; /* logarithms; per minute */
};

/* An approximation of the normal distribution function. */
static double normal(double z) { return 1 / (1 + number_exp(number_within(-1.702 * z, -20, 20))); }

/* The chance that the minute after the next start is slow with n dynos. Its traffic is one of the
 * last hour's outcomes; the share of slow requests varies around the learned one as counts do. */
static double chance_of_slow(const struct question *question, int n) {
    double sum = 0, base = question->log_load - number_log(n);
    for (int i = 0; i < LEARNED_OUTCOMES; i++) {
        double share =
            number_exp(question->log_offset + question->exponent * (base + question->outcome[i]));
        double variance = CLUSTERING * share / question->requests[i] + 1e-9;
        sum += normal((share - question->goal) / number_sqrt(variance));
    }
    return sum / LEARNED_OUTCOMES;
}

static struct question ask(const struct learned *learned, const struct moment *moment,
                           double service, double corrected) {
    struct question question = {.exponent = learned->exponent, .goal = moment->goal};
    question.log_load = number_log(moment->expected * service / learned->capacity);
    question.log_offset = number_log(corrected * moment->goal);
    for (int i = 0; i < LEARNED_OUTCOMES; i++) {
        question.outcome[i] = learned->log_outcome[i] / MILLION;
        double requests = moment->expected * number_exp(question.outcome[i]) * ONE_MINUTE;
        question.requests[i] = number_larger(requests, 1e-6);
    }
    return question;
}

double price_chance(const struct learned *learned, const struct moment *moment, int dynos) {
    struct question question = ask(learned, moment, moment->service, moment->corrected);
    return chance_of_slow(&question, dynos);
}

/* The dynos for a load, ignoring what may come. */
static int plain_need(double load, double capacity, int most) {
    double need = number_within(load / capacity, 0, most);
    return (int)need < need ? (int)need + 1 : need < 1 ? 1 : (int)need;
}

int price_dynos(const struct learned *learned, const struct moment *moment, double service,
                double corrected) {
    double load = moment->expected * service, least = 1e300;
    int most = moment->most + 1;
    if (!learned->has_outcomes) {
        double easier = number_power(corrected, 1 / learned->exponent);
        return plain_need(load, learned->capacity / easier, most);
    }
    struct question question = ask(learned, moment, service, corrected);
    int first = (int)number_within(load * .7 / learned->capacity, 1, most), best = first;
    double stay = -1; /* the chance with as many as are ordered */
    /* More dynos than the least cost so far cost more by themselves. */
    for (int n = first; n <= most && n < least; n++) {
        double chance = chance_of_slow(&question, n), cost = n + moment->price * chance;
        if (n == moment->ordered) stay = chance;
        if (chance > LIKELY) best = n + 1;
        if (chance <= LIKELY && cost < least) {
            least = cost;
            best = n;
        }
        if (chance < HARDLY) break;
    }
    if (moment->ordered < 1 || moment->ordered > most) return best;
    if (stay < 0) stay = chance_of_slow(&question, moment->ordered);
    bool stays = stay <= LIKELY && moment->ordered + moment->price * stay < least + WORTH;
    return stays ? moment->ordered : best;
}
