/* What every test of the core includes, in the order in which cmocka wants it. */
#ifndef SUITE_H
#define SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The time of all tests: a moment of 14 November 2023. */
#define NOW_NS 1700000000123456789LL

#endif
