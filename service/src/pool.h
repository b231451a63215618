/*
 * Threads for what may block: queries for the pages, passwords, calls to platforms. Jobs begin in
 * the order in which they were given, some at a time; those that may not wait go ahead.
 */
#ifndef POOL_H
#define POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "store/store.h"

struct pool;

struct pool_job {
    struct pool_job *next;
    /* On a thread of the pool, with the store of that thread. Frees or hands on the job itself. */
    void (*run)(struct pool_job *job, struct store *store);
};

/* `threads` threads named `name`, each with a store of its own, at most `longest` jobs waiting.
 * NULL with a sentence. */
struct pool *pool_new(const char *name, int threads, size_t longest, const char *folder,
                      char *error, size_t size);

/* Any thread. False: too many wait already; the job is still the caller's. */
bool pool_add(struct pool *pool, struct pool_job *job);
/* The same before all that wait, but behind those that were added so before. */
bool pool_add_ahead(struct pool *pool, struct pool_job *job);
/* For a job that is expected to block for long: it begins when no other job waits, and if the pool
 * has several threads, such jobs leave one of them free. `ahead`: of others added so. */
bool pool_add_slow(struct pool *pool, struct pool_job *job, bool ahead);

size_t pool_waiting(struct pool *pool); /* jobs that no thread has begun. Any thread */

/* Waits for the jobs that run and runs those that wait, then frees the pool. */
void pool_free(struct pool *pool);

#endif
