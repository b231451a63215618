#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* clock_gettime under -std=c11 */
#endif
#include "floor.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "buffer.h"
#include "clock.h"
#include "queue_time.h"
#include "report.h"

static ds_buffer buffer;

double bench_cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double bench_clock_ns(long calls) {
    volatile int64_t last;
    double start = bench_cpu_ns();
    for (long i = 0; i < calls; i++) last = ds_clock_wall_ns();
    (void)last;
    return (bench_cpu_ns() - start) / (double)calls;
}

double bench_floor_ns(long calls) {
    static uint64_t words[DS_BUFFER_SLOTS];
    char stamp[32];
    size_t position = 0;
    int length = snprintf(stamp, sizeof stamp, "%lld", (long long)(ds_clock_wall_ns() / 1000000));
    double start = bench_cpu_ns();
    for (long i = 0; i < calls; i++) {
        int64_t now = ds_clock_wall_ns();
        int64_t ms = ds_queue_time_ms(stamp, (size_t)length, NULL, 0, 0, now);
        ds_buffer_push(&buffer, ds_sample(now / 1000000000, ms));
    }
    double ns = bench_cpu_ns() - start;
    while (ds_buffer_drain(&buffer, &position, words, DS_BUFFER_SLOTS) > 0) continue;
    return ns / (double)calls;
}

static void *do_nothing(void *context) { return context; }

double bench_thread_us(void) {
    enum { STACK_SIZE = 512 * 1024 };
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    double start = bench_cpu_ns();
    int error = pthread_create(&thread, &attributes, do_nothing, NULL);
    double us = (bench_cpu_ns() - start) / 1000;
    if (!error) pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    return error ? -1 : us;
}

int bench_post_once(const char *url) {
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library) return 0;
    /* POSIX has dlsym give functions this way. */
    __typeof__(&curl_global_init) global_init;
    __typeof__(&curl_easy_init) init;
    __typeof__(&curl_easy_setopt) set;
    __typeof__(&curl_easy_perform) perform;
    __typeof__(&curl_easy_cleanup) cleanup;
    *(void **)&global_init = dlsym(library, "curl_global_init");
    *(void **)&init = dlsym(library, "curl_easy_init");
    *(void **)&set = dlsym(library, "curl_easy_setopt");
    *(void **)&perform = dlsym(library, "curl_easy_perform");
    *(void **)&cleanup = dlsym(library, "curl_easy_cleanup");
    if (!global_init || !init || !set || !perform || !cleanup) return 0;

    global_init(CURL_GLOBAL_DEFAULT);
    CURL *handle = init();
    if (!handle) return 0;
    set(handle, CURLOPT_URL, url);
    set(handle, CURLOPT_POSTFIELDS, "1700000000,20,web,\r\n");
    set(handle, CURLOPT_NOSIGNAL, 1L);
    int accepted = perform(handle) == CURLE_OK;
    cleanup(handle);
    return accepted;
}
