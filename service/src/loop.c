#define _GNU_SOURCE /* a whole POSIX under -std=c11 */
#include "loop.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*
 * Only the loop's thread calls libevent. Other threads add a post to the list and make the eventfd
 * readable, so libevent needs no locks.
 */
struct loop {
    struct event_base *base;
    struct event *wake;
    int wake_fd;
    atomic_bool stopped;

    pthread_mutex_t lock; /* of the list */
    struct loop_post *first, **last;

    struct loop_timer *timers;
    struct signal_handler *signals;
};

struct loop_timer {
    struct loop_timer *next, **previous;
    struct event *event;
    void (*run)(void *context);
    void *context;
};

struct signal_handler {
    struct signal_handler *next;
    struct event *event;
    void (*run)(void *context, int number);
    void *context;
};

/* If the eventfd can't be written to, it is readable already, so nothing is lost. */
static void wake(struct loop *loop) {
    uint64_t one = 1;
    while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR) continue;
}

void loop_run_posts(struct loop *loop) {
    pthread_mutex_lock(&loop->lock);
    struct loop_post *post = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    pthread_mutex_unlock(&loop->lock);
    while (post) {
        struct loop_post *next = post->next; /* run may free the post */
        post->run(post->context);
        post = next;
    }
}

static void woken(evutil_socket_t fd, short what, void *context) {
    struct loop *loop = context;
    (void)what;
    uint64_t count;
    while (read((int)fd, &count, sizeof count) < 0 && errno == EINTR) continue;
    loop_run_posts(loop);
    if (atomic_load(&loop->stopped)) event_base_loopbreak(loop->base);
}

static struct event_base *base_new(void) {
    struct event_config *config = event_config_new();
    if (!config) return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

struct loop *loop_new(void) {
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop) return NULL;
    loop->last = &loop->first;
    loop->wake_fd = -1;
    pthread_mutex_init(&loop->lock, NULL);
    loop->base = base_new();
    if (!loop->base) goto failed;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0) goto failed;
    loop->wake = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, woken, loop);
    if (!loop->wake || event_add(loop->wake, NULL) != 0) goto failed;
    return loop;
failed:
    loop_free(loop);
    return NULL;
}

void loop_free(struct loop *loop) {
    if (!loop) return;
    while (loop->timers) loop_cancel(loop->timers);
    while (loop->signals) {
        struct signal_handler *handler = loop->signals;
        loop->signals = handler->next;
        event_free(handler->event);
        free(handler);
    }
    if (loop->wake) event_free(loop->wake);
    if (loop->wake_fd >= 0) close(loop->wake_fd);
    if (loop->base) event_base_free(loop->base);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

struct event_base *loop_base(struct loop *loop) {
    return loop->base;
}

/* event_base_dispatch only returns when stopped: `wake` is always waiting. */
void loop_run(struct loop *loop) {
    while (!atomic_load(&loop->stopped))
        if (event_base_dispatch(loop->base) < 0) break;
}

void loop_stop(struct loop *loop) {
    atomic_store(&loop->stopped, true);
    wake(loop);
}

void loop_post(struct loop *loop, struct loop_post *post) {
    post->next = NULL;
    pthread_mutex_lock(&loop->lock);
    bool first = !loop->first;
    *loop->last = post;
    loop->last = &post->next;
    pthread_mutex_unlock(&loop->lock);
    /* Whoever added the first post wakes the loop, which takes all posts that it finds. */
    if (first) wake(loop);
}

static void timer_due(evutil_socket_t fd, short what, void *context) {
    struct loop_timer *timer = context;
    (void)fd, (void)what;
    timer->run(timer->context);
}

struct loop_timer *loop_every(struct loop *loop, int64_t ms, void (*run)(void *), void *context) {
    struct loop_timer *timer = calloc(1, sizeof *timer);
    if (!timer) return NULL;
    *timer = (struct loop_timer){.run = run, .context = context};
    timer->event = event_new(loop->base, -1, EV_PERSIST, timer_due, timer);
    struct timeval every = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    if (!timer->event || event_add(timer->event, &every) != 0) {
        if (timer->event) event_free(timer->event);
        free(timer);
        return NULL;
    }
    timer->next = loop->timers;
    timer->previous = &loop->timers;
    if (timer->next) timer->next->previous = &timer->next;
    loop->timers = timer;
    return timer;
}

void loop_cancel(struct loop_timer *timer) {
    if (!timer) return;
    *timer->previous = timer->next;
    if (timer->next) timer->next->previous = timer->previous;
    event_free(timer->event);
    free(timer);
}

static void signalled(evutil_socket_t number, short what, void *context) {
    struct signal_handler *handler = context;
    (void)what;
    handler->run(handler->context, (int)number);
}

bool loop_on_signal(struct loop *loop, int number, void (*run)(void *context, int number),
                    void *context) {
    struct signal_handler *handler = calloc(1, sizeof *handler);
    if (!handler) return false;
    *handler = (struct signal_handler){.run = run, .context = context};
    handler->event = evsignal_new(loop->base, number, signalled, handler);
    if (!handler->event || event_add(handler->event, NULL) != 0) {
        if (handler->event) event_free(handler->event);
        free(handler);
        return false;
    }
    handler->next = loop->signals;
    loop->signals = handler;
    return true;
}
