#define _GNU_SOURCE /* pthread_setname_np */
#include "pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct worker {
    struct pool *pool;
    struct store *store;
    pthread_t thread;
};

struct line {
    struct pool_job *first, **last, **last_ahead; /* behind the last job that went ahead */
};

struct pool {
    char name[16]; /* Linux allows no longer name for a thread */
    struct worker *workers;
    int opened, started; /* workers that have a store; that have a thread */

    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t changed;
    struct line usual, slow;
    int slow_running, slow_most;
    size_t waiting, longest;
    bool ending;
};

/* The line whose first job may begin now; NULL: none. */
static struct line *next_line(struct pool *pool) {
    if (pool->usual.first) return &pool->usual;
    return pool->slow.first && pool->slow_running < pool->slow_most ? &pool->slow : NULL;
}

/* Waits for the next job; NULL: the pool ends and none is left. */
static struct pool_job *take(struct pool *pool, bool *slow) {
    pthread_mutex_lock(&pool->lock);
    if (*slow) {
        pool->slow_running--;
        pthread_cond_broadcast(&pool->changed);
    }
    struct line *line;
    while (!(line = next_line(pool)) && !(pool->ending && pool->waiting == 0))
        pthread_cond_wait(&pool->changed, &pool->lock);
    struct pool_job *job = line ? line->first : NULL;
    if (job) {
        line->first = job->next;
        if (line->last == &job->next) line->last = &line->first;
        if (line->last_ahead == &job->next) line->last_ahead = &line->first;
        pool->waiting--;
        pool->slow_running += line == &pool->slow;
        if (pool->ending) pthread_cond_broadcast(&pool->changed);
    }
    *slow = line == &pool->slow;
    pthread_mutex_unlock(&pool->lock);
    return job;
}

static void *work(void *context) {
    struct worker *worker = context;
    bool slow = false;
    pthread_setname_np(pthread_self(), worker->pool->name);
    for (struct pool_job *job; (job = take(worker->pool, &slow));) job->run(job, worker->store);
    return NULL;
}

/* With every signal blocked: they are for the main thread. */
static bool start(struct worker *worker, char *error, size_t size) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure == 0) return true;
    snprintf(error, size, "a thread can't be started: %s", strerror(failure));
    return false;
}

struct pool *pool_new(const char *name, int threads, size_t longest, const char *folder,
                      char *error, size_t size) {
    struct pool *pool = calloc(1, sizeof *pool);
    struct worker *workers = calloc((size_t)threads, sizeof *workers);
    if (!pool || !workers) {
        snprintf(error, size, "there is no memory for the pool \"%s\"", name);
        free(pool);
        free(workers);
        return NULL;
    }
    snprintf(pool->name, sizeof pool->name, "%s", name);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    pool->workers = workers;
    pool->longest = longest;
    pool->usual.last = pool->usual.last_ahead = &pool->usual.first;
    pool->slow.last = pool->slow.last_ahead = &pool->slow.first;
    pool->slow_most = threads > 1 ? threads - 1 : 1;
    for (; pool->opened < threads; pool->opened++) {
        struct worker *worker = &workers[pool->opened];
        worker->pool = pool;
        worker->store = store_open(folder, STORE_EXISTING, error, size);
        if (!worker->store) goto failed;
    }
    for (; pool->started < threads; pool->started++)
        if (!start(&workers[pool->started], error, size)) goto failed;
    return pool;
failed:
    pool_free(pool);
    return NULL;
}

static bool add(struct pool *pool, struct line *line, struct pool_job *job, bool ahead) {
    pthread_mutex_lock(&pool->lock);
    bool taken = pool->waiting < pool->longest;
    if (taken) {
        struct pool_job **place = ahead ? line->last_ahead : line->last;
        job->next = *place;
        *place = job;
        if (place == line->last) line->last = &job->next;
        if (ahead) line->last_ahead = &job->next;
        pool->waiting++;
        pthread_cond_signal(&pool->changed);
    }
    pthread_mutex_unlock(&pool->lock);
    return taken;
}

bool pool_add(struct pool *pool, struct pool_job *job) {
    return add(pool, &pool->usual, job, false);
}

bool pool_add_ahead(struct pool *pool, struct pool_job *job) {
    return add(pool, &pool->usual, job, true);
}

bool pool_add_slow(struct pool *pool, struct pool_job *job, bool ahead) {
    return add(pool, &pool->slow, job, ahead);
}

size_t pool_waiting(struct pool *pool) {
    pthread_mutex_lock(&pool->lock);
    size_t waiting = pool->waiting;
    pthread_mutex_unlock(&pool->lock);
    return waiting;
}

void pool_free(struct pool *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
    for (int i = 0; i < pool->opened; i++) store_close(pool->workers[i].store);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}
