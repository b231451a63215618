/*
 * growth URL MODE COUNT [ROUNDS]: ns of CPU that a request costs the thread that makes it, while
 * others do the same.
 *
 *     threads N     N threads of a process, through its agent
 *     producers N   N threads, the bare buffer
 *     processes N   N processes, each with an agent of its own
 *     full N        N threads that find the buffer full
 *
 * Requests are made in blocks that the buffer holds, all threads at once; a round is the median of
 * its blocks. In between the buffer is emptied, as the native thread does in life; what that takes
 * is not counted.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* clocks, CPU sets */
#endif
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agents.h"
#include "buffer.h"
#include "report.h"

enum {
    MOST = 64,
    BLOCK = DS_BUFFER_SLOTS * 3 / 4,
    BLOCKS = 40,
    THREAD_US = 300, /* lets the native thread, which a flush wakes, go back to sleep */
};

typedef enum mode { THREADS, PRODUCERS, PROCESSES, FULL } mode;

static mode what;
static long count;
static dynoscale_agent *agent;
static ds_buffer buffer;
static double seconds[MOST][BLOCKS];
static _Atomic(long) arrived;
static _Atomic(long) generation;
static volatile int64_t sink;

/* A spinning barrier, so that threads with a CPU start at the same instant. The last to arrive
 * first does the work between two blocks. */
static void meet(void (*between)(void)) {
    long seen = atomic_load(&generation);
    if (atomic_fetch_add(&arrived, 1) == count - 1) {
        if (between) between();
        atomic_store(&arrived, 0);
        atomic_fetch_add(&generation, 1);
        return;
    }
    while (atomic_load(&generation) == seen) sched_yield();
}

static void empty(void) {
    size_t position = 0;
    static uint64_t words[DS_BUFFER_SLOTS];
    if (what == FULL) return;
    if (agent) {
        dynoscale_agent_flush(agent, 0, NULL, NULL);
        usleep(THREAD_US);
    } else {
        while (ds_buffer_drain(&buffer, &position, words, DS_BUFFER_SLOTS) > 0) continue;
    }
}

static void run_block(long calls) {
    char stamp[STAMP_SIZE];
    size_t length = write_stamp(stamp);
    if (agent)
        for (long i = 0; i < calls; i++)
            sink = dynoscale_agent_request(agent, stamp, length, NULL, 0, 0);
    else
        for (long i = 0; i < calls; i++)
            sink = ds_buffer_push(&buffer, ds_sample(1700000000, i & 255));
}

/* Spread over the CPUs, so that they disturb each other as much as possible. */
static void stay_on_cpu(long number) {
#ifdef __linux__
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET((size_t)(number % sysconf(_SC_NPROCESSORS_ONLN)), &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
#else
    (void)number;
#endif
}

static void *produce(void *context) {
    double(*mine)[BLOCKS] = context;
    stay_on_cpu(mine - seconds);
    for (int block = 0; block < BLOCKS; block++) {
        meet(empty);
        double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        run_block(BLOCK / count);
        (*mine)[block] = seconds_of(CLOCK_THREAD_CPUTIME_ID) - start;
        meet(NULL);
    }
    return NULL;
}

static double in_threads(void) {
    pthread_t threads[MOST];
    double sum = 0;
    if (what == FULL) run_block(2 * DS_BUFFER_SLOTS);
    for (long i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, produce, &seconds[i]) != 0) fail("no thread");
    for (long i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        sum += median(seconds[i], BLOCKS);
    }
    return sum * 1e9 / (double)(BLOCK / count * count);
}

static void in_child(int write_end) {
    for (int block = 0; block < BLOCKS; block++) {
        double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        run_block(BLOCK);
        seconds[0][block] = seconds_of(CLOCK_THREAD_CPUTIME_ID) - start;
        empty();
    }
    dynoscale_agent_stop(agent, 0, NULL, NULL);
    double typical = median(seconds[0], BLOCKS);
    if (write(write_end, &typical, sizeof typical) != sizeof typical) _exit(1);
    _exit(0);
}

static double in_processes(void) {
    int ends[2];
    double sum = 0, one;
    if (pipe(ends) != 0) fail("no pipe");
    for (long i = 0; i < count; i++) {
        pid_t child = fork();
        if (child < 0) fail("no process");
        if (child == 0) in_child(ends[1]);
    }
    for (long i = 0; i < count; i++) {
        if (read(ends[0], &one, sizeof one) != sizeof one) fail("a process said nothing");
        sum += one;
    }
    while (wait(NULL) > 0) continue;
    close(ends[0]);
    close(ends[1]);
    return sum * 1e9 / ((double)BLOCK * (double)count);
}

int main(int argument_count, char **arguments) {
    static const char *const modes[] = {"threads", "producers", "processes", "full"};
    bool known = false;
    if (argument_count < 4) fail("growth URL MODE COUNT [ROUNDS]");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(arguments[2], modes[i]) == 0) known = true, what = (mode)i;
    count = atol(arguments[3]);
    long rounds = number_argument(argument_count, arguments, 4, 5);
    if (!known || count < 1 || count > MOST) fail("growth: no such mode, or count");

    if (what != PRODUCERS) agent = open_agent(arguments[1]);
    for (long round = 0; round < rounds; round++)
        print_value(arguments[2], what == PROCESSES ? in_processes() : in_threads());
    dynoscale_agent_stop(agent, 0, NULL, NULL);
    return 0;
}
