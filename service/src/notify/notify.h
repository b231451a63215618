/*
 * Tells people what is worth it: a thread that looks at the last tick of each process of each app
 * that has a channel, keeps what holds (the store's watches), and has notices delivered. Each thing
 * is told once, and its end too. A delivery that fails is tried again with growing waits for a day.
 *
 * Reading order: kinds.h (what is worth telling), notify.c (the thread), week.c (the summary),
 * channel.c (how it is sent).
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keeper;
struct notify;

struct notify_settings {
    const char *folder;
    const char *public_url;      /* for links */
    const struct keeper *keeper; /* sends */
    int look_s;                  /* 10: between two looks */
};

/* The settings and what they point to stay the caller's. NULL with a sentence. */
struct notify *notify_new(const struct notify_settings *settings, char *error, size_t size);

/* Like notify_new, but without a thread: the caller steps it. A step looks at all apps and begins
 * due deliveries; notify_wait waits until none is under way. */
struct notify *notify_new_stopped(const struct notify_settings *settings, char *error, size_t size);
void notify_step(struct notify *notify);
void notify_wait(struct notify *notify);

/* Ends the thread. What was not delivered will be after the next start. */
void notify_free(struct notify *notify);

#endif
