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

/* The settings and what they point to are the caller's, and stay. NULL with a sentence. */
struct notify *notify_new(const struct notify_settings *settings, char *error, size_t size);

/* As notify_new, without a thread: the caller steps it. A step looks at all apps and begins what is
 * due to be sent; notify_wait waits until none of that is under way. */
struct notify *notify_new_stopped(const struct notify_settings *settings, char *error, size_t size);
void notify_step(struct notify *notify);
void notify_wait(struct notify *notify);

/* Ends the thread. What was not delivered is so after the next start. */
void notify_free(struct notify *notify);

#endif
