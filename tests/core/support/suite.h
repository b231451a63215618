/* What every test of the core includes, in the order in which cmocka wants it. */
#ifndef SUITE_H
#define SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

/* ThreadSanitizer can't follow a child that was forked beside other threads. */
static inline void skip_under_thread_sanitizer(void) {
#ifdef __SANITIZE_THREAD__
    print_message("skipped: ThreadSanitizer does not support threads in a forked child\n");
    skip();
#endif
}

/* The time of all tests: a moment of 14 November 2023. */
#define NOW_NS 1700000000123456789LL

#endif
