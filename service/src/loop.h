/*
 * The loop of the main thread: sockets, timers, and what other threads hand over to it. HTTP lives
 * on it; nothing that blocks may run on it.
 */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct event_base; /* libevent's, for http/ alone */

struct loop *loop_new(void); /* NULL without memory or descriptors */
/* Frees timers and signal handlers too. Posts that have not run are left to whoever made them. */
void loop_free(struct loop *loop);
struct event_base *loop_base(struct loop *loop);

/* Runs until loop_stop; what was posted before loop_stop has run then. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop); /* any thread */

/* Runs `run(context)` on the loop's thread, in the order of the calls. Any thread. Never fails:
 * the memory for it is part of `post`, which the caller keeps until it has run. */
struct loop_post {
    struct loop_post *next;
    void (*run)(void *context);
    void *context;
};
void loop_post(struct loop *loop, struct loop_post *post);

/* Runs what was posted. For the loop's thread while the loop does not run: at the end of the
 * process, after the threads that post have ended. */
void loop_run_posts(struct loop *loop);

/* Calls `run` every `ms` on the loop's thread until cancelled; `run` may cancel it. NULL without
 * memory. */
struct loop_timer;
struct loop_timer *loop_every(struct loop *loop, int64_t ms, void (*run)(void *), void *context);
void loop_cancel(struct loop_timer *timer);

/* Calls `run(context, number)` on the loop's thread for each signal of that number. */
bool loop_on_signal(struct loop *loop, int number, void (*run)(void *context, int number),
                    void *context);

#endif
