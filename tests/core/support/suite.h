/* Included by every test of the core first, in the order that cmocka needs. */
#ifndef SUITE_H
#define SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED
#endif
#elif defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#endif

/* For a child that was forked beside other threads: ThreadSanitizer can't follow its threads, and
 * AddressSanitizer's allocator may be locked for ever. */
static inline void skip_under_sanitizers(void) {
#ifdef SANITIZED
    print_message("skipped: sanitizers don't support a child that was forked beside threads\n");
    skip();
#endif
}

/* The time of all tests, on 14 November 2023. */
#define NOW_NS 1700000000123456789LL

#endif
