/* Counting the instructions of a stretch of code under `valgrind --tool=callgrind`; elsewhere, and
 * where valgrind's header is missing, it counts nothing. */
#ifndef BENCH_COLLECT_H
#define BENCH_COLLECT_H

#if defined(__has_include)
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#endif
#endif

#ifndef CALLGRIND_TOGGLE_COLLECT
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_TOGGLE_COLLECT
#define CALLGRIND_DUMP_STATS_AT(name) (void)(name)
#endif

#endif
