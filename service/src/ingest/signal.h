/*
 * What a row measures: a queue time, or a signal, which agents send if they are asked to.
 */
#ifndef SIGNAL_H
#define SIGNAL_H

#include <stdbool.h>
#include <stddef.h>

/* Name, whether it is a level, of which the newest reading counts (else an amount, of which the sum
 * does). "wait" stands for the queue time, whose metadata is empty. */
#define SIGNALS_TABLE(X)                    \
    X(SIGNAL_WAIT, "wait", false)           \
    X(SIGNAL_BUSY, "busy", false)           \
    X(SIGNAL_SLOTS, "slots", false)         \
    X(SIGNAL_UNSTAMPED, "unstamped", false) \
    X(SIGNAL_BEGIN, "begin", false)         \
    X(SIGNAL_DEPTH, "depth", true)          \
    X(SIGNAL_WORKING, "working", true)

enum signal {
#define X(name, text, level) name,
    SIGNALS_TABLE(X)
#undef X
        SIGNALS,
    SIGNAL_UNKNOWN = -1
};

/* "wait", "busy" ... */
const char *signal_name(enum signal signal);
bool signal_is_level(enum signal signal);

/* By name. For a row's metadata: "" is SIGNAL_WAIT, and "wait" is unknown. */
enum signal signal_by_name(const char *name, size_t length);
enum signal signal_of_metadata(const char *metadata, size_t length);

#endif
