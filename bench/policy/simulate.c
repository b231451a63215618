/* A closed loop: requests, dynos, agents, a method's decision, the platform. Options and the
 * columns of the result: README.md. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents.h"
#include "measure.h"
#include "method.h"
#include "options.h"
#include "platform.h"
#include "random.h"
#include "seen.h"
#include "service.h"
#include "service_time.h"
#include "stored.h"
#include "traffic.h"

enum { RESTART_S = 60 };

static const struct {
    const char *name;
    method method;
} methods[] = {
    {"service", method_service},       {"steps", method_steps},
    {"judoscale", method_judoscale},   {"hirefire", method_hirefire},
    {"heroku", method_heroku},         {"hpa", method_hpa},
    {"keda", method_keda_concurrency}, {"keda-rate", method_keda_rate},
    {"knative", method_knative},       {"aws", method_aws},
    {"static", method_static},         {"oracle", method_oracle},
    {"instant", method_instant},
};

static method method_called(const char *name) {
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i].name, name) == 0) return methods[i].method;
    return NULL;
}

/* The service restarts: for a minute nothing is received or decided. */
static bool service_is_away(int second) {
    int at = option_int("restartat", -1);
    if (at < 0 || second < at || second >= at + RESTART_S) return false;
    if (second == at || second == at + RESTART_S - 1) service_forget(option_int("keep", 1));
    return true;
}

static void log_second(FILE *log, int second) {
    struct window window = seen_window(second - 9, second + 1);
    fprintf(log, "%d,%.1f,%d,%d,%.4f,%s\n", second + 1, traffic_rate[second], platform_ordered(),
            platform_up(), window.requests > 0 ? window.slow / window.requests : 0,
            service_sentence());
}

static void run(method decide, FILE *log) {
    for (int second = 0; second < traffic_seconds; second++) {
        platform_second(second);
        int ordered = platform_ordered(), wanted = ordered;
        if (!service_is_away(second)) wanted = decide(second + 1, ordered, platform_up());
        platform_scale(second + 1, wanted);
        stored_second(second, platform_ordered(), platform_up(),
                      option_int("busy", 1) ? agents_busy() : -1, seen_release,
                      platform_scalings());
        if (log && second % 10 == 9) log_second(log, second);
    }
}

static void print_cost(void) {
    long decisions;
    double seconds;
    service_cost(&decisions, &seconds);
    if (decisions > 0)
        fprintf(stderr, "%ld decisions, %.0f a CPU-second\n", decisions,
                (double)decisions / (seconds > 0 ? seconds : 1e-9));
}

int main(int count, char **words) {
    options_read(count, words);
    method decide = method_called(option("policy", "service"));
    if (!decide) {
        fprintf(stderr, "no policy is called %s\n", option("policy", ""));
        return 2;
    }
    random_seed(&main_random, (uint64_t)option_int("seed", 1) * 7919 + 13);
    service_time_begin();
    if (!traffic_load()) return 1;
    platform_begin();
    service_begin();
    const char *name = option("log", NULL);
    FILE *log = name ? fopen(name, "w") : NULL;
    run(decide, log);
    if (log) fclose(log);
    const char *stored = option("store", NULL);
    if (stored && !stored_write(stored, seen_boot_mean())) {
        fprintf(stderr, "%s can't be written\n", stored);
        return 1;
    }
    measure_print(platform_scalings());
    if (option_int("cost", 0)) print_cost();
    return 0;
}
