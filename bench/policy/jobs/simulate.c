/* A closed loop of jobs, workers, a method's decision and the platform: see ../README.md. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../options.h"
#include "../random.h"
#include "../service_time.h"
#include "../traffic.h"
#include "method.h"

enum { EACH_S = 10, AT_S = 7 }; /* readings; they arrive in a second */

typedef int (*method)(int now, int ordered, int up);

int method_static(int now, int ordered, int up) {
    (void)now, (void)ordered, (void)up;
    return option_int("n", 10);
}

static const struct {
    const char *name;
    method method;
} methods[] = {
    {"service", method_service},
    {"judoscale", method_judoscale},
    {"hirefire", method_hirefire_latency},
    {"hirefire-queue", method_hirefire_queue},
    {"keda", method_keda},
    {"static", method_static},
};

static struct reading readings[READINGS];
static int reading_count;

const struct reading *newest_reading(int back) {
    if (back >= reading_count || back >= READINGS) return NULL;
    return &readings[(reading_count - 1 - back) % READINGS];
}

static method method_called(const char *name) {
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i].name, name) == 0) return methods[i].method;
    return NULL;
}

static void log_second(FILE *log, int second) {
    const struct reading *reading = newest_reading(0);
    if (!reading) return;
    fprintf(log, "%d,%.2f,%d,%d,%d,%d,%.1f,%s\n", second + 1, traffic_rate[second],
            system_ordered(), system_up(), reading->waiting, reading->working, reading->oldest_s,
            service_sentence());
}

static void run(method decide, FILE *log) {
    for (int second = 0; second < traffic_seconds; second++) {
        system_second(second);
        if (second % EACH_S == AT_S) readings[reading_count++ % READINGS] = system_read(second + 1);
        int ordered = system_ordered();
        system_scale(second + 1, decide(second + 1, ordered, system_up()));
        if (log && second % EACH_S == 9) log_second(log, second);
    }
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
    system_begin();
    service_begin();
    const char *name = option("log", NULL);
    FILE *log = name ? fopen(name, "w") : NULL;
    run(decide, log);
    if (log) fclose(log);
    system_print();
    if (option_int("cost", 0)) {
        long decisions;
        double seconds;
        service_cost(&decisions, &seconds);
        if (decisions)
            fprintf(stderr, "%ld decisions, %.0f a CPU-second\n", decisions,
                    (double)decisions / seconds);
    }
    return 0;
}
