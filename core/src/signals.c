#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sigaction, SA_ONSTACK */
#endif
#include "signals.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static const int ending[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP};
enum { ENDING = sizeof ending / sizeof *ending };

/* Written by the holder. If a handler interrupts the holder and calls exit(), the holder never
 * continues. */
static struct sigaction before[ENDING];
static bool replaced[ENDING];
static pid_t holder;

static volatile sig_atomic_t came[ENDING];
static atomic_flag held = ATOMIC_FLAG_INIT;

static void note(int number);

static bool is_ignored(const struct sigaction *action) {
    return (action->sa_flags & SA_SIGINFO) == 0 && action->sa_handler == SIG_IGN;
}

static bool is_ours(const struct sigaction *action) {
    return (action->sa_flags & SA_SIGINFO) == 0 && action->sa_handler == note;
}

/* The app may have set another action meanwhile: keep that. */
static void put_back(int i) {
    struct sigaction now;
    if (!replaced[i]) return;
    replaced[i] = false;
    if (sigaction(ending[i], NULL, &now) == 0 && is_ours(&now))
        sigaction(ending[i], &before[i], NULL);
}

static void note(int number) {
    for (int i = 0; i < ENDING; i++) {
        if (ending[i] != number) continue;
        came[i] = 1;
        if (holder == getpid()) return;
        /* In a child that another thread forked meanwhile: nobody there releases anything. */
        put_back(i);
        raise(number);
    }
}

static void replace(int i) {
    struct sigaction noting = {.sa_handler = note, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigemptyset(&noting.sa_mask);
    if (replaced[i]) return;
    came[i] = 0;
    if (sigaction(ending[i], NULL, &before[i]) != 0 || is_ignored(&before[i])) return;
    replaced[i] = true; /* first: from now on the signal may be noted */
    if (sigaction(ending[i], &noting, NULL) != 0) replaced[i] = false;
}

bool ds_signals_hold(const int *numbers, size_t count) {
    bool first = !atomic_flag_test_and_set(&held);
    if (!first && holder != getpid()) { /* forked while its parent held them */
        for (int i = 0; i < ENDING; i++) put_back(i);
        first = true;
    }
    holder = getpid();
    for (int i = 0; i < ENDING; i++)
        for (size_t j = 0; j < count; j++)
            if (numbers[j] == ending[i]) replace(i);
    return first;
}

bool ds_signals_hold_all(void) { return ds_signals_hold(ending, ENDING); }

void ds_signals_release(void) {
    for (int i = 0; i < ENDING; i++) put_back(i);
    atomic_flag_clear(&held);
    for (int i = 0; i < ENDING; i++) {
        if (!came[i]) continue;
        came[i] = 0;
        raise(ending[i]);
    }
}
