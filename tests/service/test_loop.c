/* The loop: posts of other threads, timers, signals. */
#define _GNU_SOURCE /* kill */
#include "../core/support/suite.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop.h"

struct note {
    struct loop_post post;
    struct loop *loop;
    int number, *seen, *count;
};

static void write_down(void *context) {
    struct note *note = context;
    note->seen[(*note->count)++] = note->number;
    if (note->number < 0) loop_stop(note->loop);
}

static void posts_run_in_the_order_of_the_calls(void **state) {
    (void)state;
    struct loop *loop = loop_new();
    int seen[8], count = 0;
    struct note notes[4];
    for (int i = 0; i < 4; i++) {
        notes[i] = (struct note){{0}, loop, i < 3 ? i : -1, seen, &count};
        notes[i].post.run = write_down;
        notes[i].post.context = &notes[i];
        loop_post(loop, &notes[i].post);
    }
    loop_run(loop);
    assert_int_equal(count, 4);
    for (int i = 0; i < 3; i++) assert_int_equal(seen[i], i);
    loop_free(loop);
}

enum { THREADS = 4, POSTS = 2000 };

struct tally {
    struct loop *loop;
    int count, next[THREADS];
};

struct numbered {
    struct loop_post post;
    struct tally *tally;
    int thread, number;
};

static void count_one(void *context) {
    struct numbered *numbered = context;
    struct tally *tally = numbered->tally;
    assert_int_equal(numbered->number, tally->next[numbered->thread]++);
    if (++tally->count == THREADS * POSTS) loop_stop(tally->loop);
    free(numbered);
}

struct poster {
    struct tally *tally;
    int thread;
};

static void *post_many(void *context) {
    struct poster *poster = context;
    for (int i = 0; i < POSTS; i++) {
        struct numbered *numbered = calloc(1, sizeof *numbered);
        *numbered = (struct numbered){{0}, poster->tally, poster->thread, i};
        numbered->post.run = count_one;
        numbered->post.context = numbered;
        loop_post(poster->tally->loop, &numbered->post);
    }
    return NULL;
}

static void each_post_of_many_threads_runs_once(void **state) {
    (void)state;
    struct tally tally = {.loop = loop_new()};
    pthread_t threads[THREADS];
    struct poster posters[THREADS];
    for (int i = 0; i < THREADS; i++) {
        posters[i] = (struct poster){&tally, i};
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
    }
    loop_run(tally.loop);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(tally.count, THREADS * POSTS);
    loop_free(tally.loop);
}

static void posts_left_at_the_end_can_be_run(void **state) {
    (void)state;
    struct loop *loop = loop_new();
    int seen[1], count = 0;
    struct note note = {{0}, loop, 7, seen, &count};
    note.post.run = write_down;
    note.post.context = &note;
    loop_post(loop, &note.post);
    loop_run_posts(loop);
    assert_int_equal(count, 1);
    loop_free(loop);
}

struct ticker {
    struct loop *loop;
    struct loop_timer *timer;
    int ticks;
};

static void tick(void *context) {
    struct ticker *ticker = context;
    if (++ticker->ticks < 3) return;
    loop_cancel(ticker->timer);
    loop_stop(ticker->loop);
}

static void a_timer_runs_until_it_is_cancelled(void **state) {
    (void)state;
    struct ticker ticker = {.loop = loop_new()};
    ticker.timer = loop_every(ticker.loop, 1, tick, &ticker);
    assert_non_null(ticker.timer);
    loop_run(ticker.loop);
    assert_int_equal(ticker.ticks, 3);
    loop_free(ticker.loop);
}

static void timers_that_were_not_cancelled_end_with_the_loop(void **state) {
    (void)state;
    struct loop *loop = loop_new();
    assert_non_null(loop_every(loop, 1000, tick, NULL));
    assert_non_null(loop_every(loop, 1000, tick, NULL));
    loop_free(loop);
}

struct catcher {
    struct loop *loop;
    int number;
};

static void caught(void *context, int number) {
    struct catcher *catcher = context;
    catcher->number = number;
    loop_stop(catcher->loop);
}

static void a_signal_is_told_on_the_loop(void **state) {
    (void)state;
    struct catcher catcher = {.loop = loop_new()};
    assert_true(loop_on_signal(catcher.loop, SIGUSR1, caught, &catcher));
    kill(getpid(), SIGUSR1);
    loop_run(catcher.loop);
    assert_int_equal(catcher.number, SIGUSR1);
    loop_free(catcher.loop);
}

static void *stop_it(void *context) {
    loop_stop(context);
    return NULL;
}

static void any_thread_stops_the_loop(void **state) {
    (void)state;
    struct loop *loop = loop_new();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_it, loop), 0);
    loop_run(loop);
    pthread_join(thread, NULL);
    loop_free(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posts_run_in_the_order_of_the_calls),
        cmocka_unit_test(each_post_of_many_threads_runs_once),
        cmocka_unit_test(posts_left_at_the_end_can_be_run),
        cmocka_unit_test(a_timer_runs_until_it_is_cancelled),
        cmocka_unit_test(timers_that_were_not_cancelled_end_with_the_loop),
        cmocka_unit_test(a_signal_is_told_on_the_loop),
        cmocka_unit_test(any_thread_stops_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
