/*
 * Reports that wait for their commit, by app, so that the flood of one delays no other: an app may
 * have as much waiting as is free, and of all apps that wait one report each is taken in turn.
 *
 * No thread of its own, no lock: commit.c has both.
 */
#ifndef WAITING_H
#define WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct commit_item;
struct waiting;

/* NULL without memory. */
struct waiting *waiting_new(size_t most_bytes);
void waiting_free(struct waiting *waiting);

/* Whether the app may have so many more bytes. Counts what was taken and not yet released. */
bool waiting_has_room(const struct waiting *waiting, int64_t app, size_t bytes);
/* False: there is no room, or no memory. */
bool waiting_add(struct waiting *waiting, struct commit_item *item);
bool waiting_any(const struct waiting *waiting);

/* Takes reports of together `bytes` or little more, in the order of the apps' turns; NULL: none
 * waits. */
struct commit_item *waiting_take(struct waiting *waiting, size_t bytes);

/* A taken report was answered: frees its room. */
void waiting_release(struct waiting *waiting, const struct commit_item *item);

/* The bytes of all reports that were added and not released. */
size_t waiting_bytes(const struct waiting *waiting);

#endif
