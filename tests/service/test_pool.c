/* The pool, with a store that only counts who has opened it. */
#define _GNU_SOURCE /* pthread_getname_np, strdup */
#include "../core/support/suite.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"

struct store {
    int number;
};

static struct store stores[8];
static int opened, closed, fails_from = 8;

struct store *store_open(const char *folder, enum store_open how, char *error, size_t size) {
    assert_string_equal(folder, "/the/folder");
    assert_int_equal(how, STORE_EXISTING);
    if (opened == fails_from) {
        snprintf(error, size, "the file is damaged");
        return NULL;
    }
    stores[opened].number = opened;
    return &stores[opened++];
}

void store_close(struct store *store) {
    assert_non_null(store);
    closed++;
}

static int reset(void **state) {
    (void)state;
    opened = closed = 0;
    fails_from = 8;
    return 0;
}

static struct pool *new_pool(int threads, size_t longest) {
    char error[100] = "";
    struct pool *pool = pool_new("api", threads, longest, "/the/folder", error, sizeof error);
    assert_string_equal(error, "");
    assert_non_null(pool);
    return pool;
}

/* A job that tells when it has begun, and ends when it may. */
struct gate {
    struct pool_job job;
    sem_t begun, may_end;
    struct store *store;
    char thread[16];
    bool blocks_signals;
};

static void pass_gate(struct pool_job *job, struct store *store) {
    struct gate *gate = (struct gate *)job;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    gate->store = store;
    gate->blocks_signals = sigismember(&blocked, SIGTERM) == 1;
    pthread_getname_np(pthread_self(), gate->thread, sizeof gate->thread);
    sem_post(&gate->begun);
    sem_wait(&gate->may_end);
}

static void gate_init(struct gate *gate) {
    *gate = (struct gate){.job.run = pass_gate};
    sem_init(&gate->begun, 0, 0);
    sem_init(&gate->may_end, 0, 0);
}

static void each_thread_has_a_name_and_a_store_of_its_own(void **state) {
    (void)state;
    struct pool *pool = new_pool(2, 10);
    struct gate gates[2];
    for (int i = 0; i < 2; i++) {
        gate_init(&gates[i]);
        assert_true(pool_add(pool, &gates[i].job));
    }
    for (int i = 0; i < 2; i++) sem_wait(&gates[i].begun); /* so both run at the same time */
    for (int i = 0; i < 2; i++) sem_post(&gates[i].may_end);
    pool_free(pool);
    assert_ptr_not_equal(gates[0].store, gates[1].store);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(gates[i].thread, "api");
        assert_true(gates[i].blocks_signals);
    }
    assert_int_equal(opened, 2);
    assert_int_equal(closed, 2);
}

static void a_full_pool_refuses_and_leaves_the_job_alone(void **state) {
    (void)state;
    struct pool *pool = new_pool(1, 2);
    struct gate gates[4];
    for (int i = 0; i < 4; i++) gate_init(&gates[i]);
    assert_true(pool_add(pool, &gates[0].job));
    sem_wait(&gates[0].begun); /* runs; from here on jobs wait */
    assert_true(pool_add(pool, &gates[1].job));
    assert_true(pool_add(pool, &gates[2].job));
    assert_int_equal(pool_waiting(pool), 2);
    assert_false(pool_add(pool, &gates[3].job));
    for (int i = 0; i < 3; i++) sem_post(&gates[i].may_end);
    sem_wait(&gates[2].begun);
    assert_true(pool_add(pool, &gates[3].job));
    sem_post(&gates[3].may_end);
    pool_free(pool);
    assert_int_equal(sem_trywait(&gates[3].begun), 0);
}

struct counted {
    struct pool_job job;
    int number, *seen, *count;
};

static void write_down(struct pool_job *job, struct store *store) {
    (void)store;
    struct counted *counted = (struct counted *)job;
    counted->seen[(*counted->count)++] = counted->number;
}

static void jobs_that_wait_are_run_in_order_before_the_pool_ends(void **state) {
    (void)state;
    struct pool *pool = new_pool(1, 100);
    struct counted jobs[100];
    int seen[100], count = 0;
    for (int i = 0; i < 100; i++) {
        jobs[i] = (struct counted){{NULL, write_down}, i, seen, &count};
        assert_true(pool_add(pool, &jobs[i].job));
    }
    pool_free(pool);
    assert_int_equal(count, 100);
    for (int i = 0; i < 100; i++) assert_int_equal(seen[i], i);
}

static void jobs_that_may_not_wait_go_ahead_in_their_order(void **state) {
    (void)state;
    enum { JOBS = 6 };
    static const bool ahead[JOBS] = {false, false, true, true, false, true};
    static const int expected[JOBS] = {2, 3, 5, 0, 1, 4};
    struct pool *pool = new_pool(1, JOBS);
    struct gate gate;
    struct counted jobs[JOBS];
    int seen[JOBS], count = 0;
    for (int round = 0; round < 2; round++) { /* and again once none waits */
        gate_init(&gate);
        assert_true(pool_add(pool, &gate.job));
        sem_wait(&gate.begun); /* it keeps the one thread busy */
        count = 0;
        for (int i = 0; i < JOBS; i++) {
            jobs[i] = (struct counted){{NULL, write_down}, i, seen, &count};
            assert_true((ahead[i] ? pool_add_ahead : pool_add)(pool, &jobs[i].job));
        }
        assert_false(pool_add_ahead(pool, &gate.job));
        sem_post(&gate.may_end);
        if (round == 0) { /* behind all of them */
            struct gate last;
            gate_init(&last);
            while (!pool_add(pool, &last.job)) sched_yield();
            sem_wait(&last.begun);
            sem_post(&last.may_end);
            assert_int_equal(count, JOBS);
        }
    }
    pool_free(pool);
    assert_int_equal(count, JOBS);
    for (int i = 0; i < JOBS; i++) assert_int_equal(seen[i], expected[i]);
}

static void slow_jobs_leave_a_thread_to_others_and_all_are_run(void **state) {
    (void)state;
    struct pool *pool = new_pool(2, 8);
    struct gate slow[3], usual;
    for (int i = 0; i < 3; i++) gate_init(&slow[i]);
    gate_init(&usual);
    assert_true(pool_add_slow(pool, &slow[0].job, false));
    sem_wait(&slow[0].begun);
    assert_true(pool_add_slow(pool, &slow[1].job, false));
    assert_true(pool_add_slow(pool, &slow[2].job, true));
    assert_true(pool_add(pool, &usual.job));
    sem_wait(&usual.begun);
    sem_post(&usual.may_end);
    assert_int_equal(pool_waiting(pool), 2);
    sem_post(&slow[0].may_end);
    sem_wait(&slow[2].begun); /* it went ahead */
    assert_int_equal(sem_trywait(&slow[1].begun), -1);
    sem_post(&slow[2].may_end);
    sem_post(&slow[1].may_end);
    pool_free(pool);
    assert_int_equal(sem_trywait(&slow[1].begun), 0);
}

static void a_store_that_can_not_be_opened_ends_it_all(void **state) {
    (void)state;
    fails_from = 2;
    char error[100] = "";
    assert_null(pool_new("api", 3, 10, "/the/folder", error, sizeof error));
    assert_string_equal(error, "the file is damaged");
    assert_int_equal(closed, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_thread_has_a_name_and_a_store_of_its_own, reset),
        cmocka_unit_test_setup(a_full_pool_refuses_and_leaves_the_job_alone, reset),
        cmocka_unit_test_setup(jobs_that_wait_are_run_in_order_before_the_pool_ends, reset),
        cmocka_unit_test_setup(jobs_that_may_not_wait_go_ahead_in_their_order, reset),
        cmocka_unit_test_setup(slow_jobs_leave_a_thread_to_others_and_all_are_run, reset),
        cmocka_unit_test_setup(a_store_that_can_not_be_opened_ends_it_all, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
