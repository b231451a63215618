/* What the middleware reads and writes in the Rack env. */
#ifndef DYNOSCALE_RUBY_ENV_H
#define DYNOSCALE_RUBY_ENV_H

#include <ruby.h>

#include <stdbool.h>
#include <stdint.h>

/* Nil if absent. */
typedef struct ds_rb_env {
    VALUE start;     /* HTTP_X_REQUEST_START */
    VALUE body_wait; /* puma.request_body_wait */
} ds_rb_env;

void ds_rb_env_init(void);

/* `env` is a Hash. Raises nothing, calls no code of the app's, allocates nothing. */
ds_rb_env ds_rb_env_read(VALUE env);

/* HTTP_X_QUEUE_START of a Hash, or nil. Rarely called. */
VALUE ds_rb_env_queue_start(VALUE env);

/* Whether a Hash has rack.input, like the env of a server's request. */
bool ds_rb_env_has_input(VALUE env);

/*
 * Sets dynoscale.queue_time_ms for the app; if it is negative, removes an earlier request's. An env
 * that can't be changed stays unchanged. Raises nothing.
 */
void ds_rb_env_set_queue_time(VALUE env, int64_t queue_time_ms);

/*
 * In a process with several entry points, the one that counts a request marks its env until the app
 * returns: if the result is DS_RB_ENV_MARKED, the caller unmarks it. Raise nothing.
 */
typedef enum ds_rb_env_mark_result {
    DS_RB_ENV_MARKED,     /* by the caller, which counts */
    DS_RB_ENV_UNMARKABLE, /* for example frozen: the caller counts, too */
    DS_RB_ENV_COUNTED,    /* by another entry point */
} ds_rb_env_mark_result;

ds_rb_env_mark_result ds_rb_env_mark(VALUE env);
void ds_rb_env_unmark(VALUE env);

#endif
