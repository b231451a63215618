/* The Rack env, as far as it is read here. */
#ifndef DYNOSCALE_RUBY_ENV_H
#define DYNOSCALE_RUBY_ENV_H

#include <ruby.h>

#include <stdbool.h>
#include <stdint.h>

/* Nil for what is not there. */
typedef struct ds_rb_env {
    VALUE start;     /* HTTP_X_REQUEST_START */
    VALUE body_wait; /* puma.request_body_wait */
} ds_rb_env;

void ds_rb_env_init(void);

/* Of a Hash. Raises nothing, calls no code of the app's, allocates nothing. */
ds_rb_env ds_rb_env_read(VALUE env);

/* HTTP_X_QUEUE_START of a Hash, nil where it is not there: asked of few requests. */
VALUE ds_rb_env_queue_start(VALUE env);

/* Whether a Hash has rack.input, as the env of a server's request does. */
bool ds_rb_env_has_input(VALUE env);

/*
 * Sets dynoscale.queue_time_ms for the app, or takes away what an earlier request left there: a
 * negative one is none. An env that can't be changed stays as it is. Raises nothing.
 */
void ds_rb_env_tell(VALUE env, int64_t queue_time_ms);

/*
 * Where a process has several doors, whoever counts a request marks its env meanwhile. A caller
 * that gets DS_RB_ENV_MARKED unmarks it again. Raise nothing.
 */
typedef enum ds_rb_env_claim {
    DS_RB_ENV_MARKED,     /* by the caller: it counts */
    DS_RB_ENV_UNMARKABLE, /* frozen, for example: it counts, too */
    DS_RB_ENV_COUNTED,    /* by another door */
} ds_rb_env_claim;

ds_rb_env_claim ds_rb_env_mark(VALUE env);
void ds_rb_env_unmark(VALUE env);

#endif
