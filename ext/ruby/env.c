/*
 * Looks up two keys of the env at each request with hashes that were computed once. Ruby computes a
 * String key's hash again for each lookup, which is two thirds of its cost. Here a copy of the
 * Hash's table header gets a type whose hash function returns the known hash.
 *
 * This depends on how Ruby makes a Hash, although all of it is in ruby/st.h and ruby.h. It is kept
 * because it saves a third of what the agent adds to a request: 491 of 1,532 instructions, 27 of
 * 113 ns (Ruby 3.1, without YJIT, medians of ten processes in turns). That is 1.24 times the floor
 * and a C middleware that only calls the app, instead of 1.56. It is used only with Rubies that it
 * was tested with (KNOWN_TABLES), after ds_rb_env_init has tried it, and for a Hash of the known
 * kind. Anything else (a small Hash, one that compares by identity) is looked up by Ruby.
 *
 * Why it is safe there: the copy lives from the first lookup to the second. Nothing between
 * allocates, checks for interrupts or calls a method, so no other thread and no garbage collection
 * can run. The Hash is only read, and belongs to the calling Ractor. Our keys never move.
 */
#include "env.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <ruby/encoding.h>
#include <ruby/st.h>
#include <ruby/version.h>

/*
 * tests/ruby passes on 3.1 and 3.3. 3.0, 3.2 and 3.4 make a Hash like one of them; to add one,
 * first run tests/ruby on it with CPPFLAGS=-DKNOWN_TABLES=1. With 0 Ruby looks everything up.
 */
#ifndef KNOWN_TABLES
#define KNOWN_TABLES \
    (RUBY_API_VERSION_MAJOR == 3 && (RUBY_API_VERSION_MINOR == 1 || RUBY_API_VERSION_MINOR == 3))
#endif

enum { START, BODY_WAIT, KEYS };

/* A Hash of up to 8 has no table. */
enum { SMALL_HASH = 8 };

/*
 * Interned Strings, in the encodings that servers use (binary for what a parser made of a header,
 * UTF-8 for literals in Ruby code), so that a match compares pointers. These Ruby objects may be in
 * C statics: they are constants, known to the garbage collector, and readable from every thread and
 * Ractor.
 */
static VALUE keys[KEYS];
static VALUE key_queue_start, key_input, key_counted, key_queue_time;

static st_index_t hashes[KEYS];
static const struct st_hash_type
    *known_type; /* of the tables that `hashes` are valid for; may be NULL */

/*
 * Where a Hash has its table, or a pointer to it. RHASH_TBL returns it, but also marks the Hash as
 * one without write barriers: so it is called once, for a Hash of ours.
 */
enum { NOWHERE = 0, FURTHEST_PLACE = 4 * SIZEOF_VALUE };
static ptrdiff_t table_place;
static bool table_inside;

/* 0 if equal. The hashes are equal, and one key is ours. */
static int compare(st_data_t one, st_data_t other) {
    if (!RB_TYPE_P(one, T_STRING) || !RB_TYPE_P(other, T_STRING)) return 1;
    if (RSTRING_LEN(one) != RSTRING_LEN(other)) return 1;
    return memcmp(RSTRING_PTR(one), RSTRING_PTR(other), (size_t)RSTRING_LEN(one));
}

/* NULL if there is none, or its place is unknown. */
static st_table *table_of(VALUE env) {
    if (table_place == NOWHERE || RHASH_SIZE(env) <= SMALL_HASH) return NULL;
    char *place = (char *)env + table_place;
    return table_inside ? (st_table *)(void *)place : *(st_table **)(void *)place;
}

/* One hash function for each key, which returns its hash. */
static st_index_t hash_start(st_data_t key) { return (void)key, hashes[START]; }
static st_index_t hash_body_wait(st_data_t key) { return (void)key, hashes[BODY_WAIT]; }

static inline VALUE look_up(st_table *table, int key) {
    static const struct st_hash_type types[KEYS] = {{compare, hash_start},
                                                    {compare, hash_body_wait}};
    st_data_t value = Qnil;
    table->type = &types[key];
    st_lookup(table, keys[key], &value); /* keeps the value if there is none */
    return value;
}

static ds_rb_env read_slowly(VALUE env) {
    return (ds_rb_env){
        .start = rb_hash_lookup(env, keys[START]),
        .body_wait = rb_hash_lookup(env, keys[BODY_WAIT]),
    };
}

ds_rb_env ds_rb_env_read(VALUE env) {
    const st_table *original = table_of(env);
    if (!original || original->type != known_type) return read_slowly(env);
    st_table table = *original;
    return (ds_rb_env){
        .start = look_up(&table, START),
        .body_wait = look_up(&table, BODY_WAIT),
    };
}

VALUE ds_rb_env_queue_start(VALUE env) { return rb_hash_lookup(env, key_queue_start); }

bool ds_rb_env_has_input(VALUE env) { return !NIL_P(rb_hash_lookup(env, key_input)); }

typedef struct change {
    VALUE env, key, value; /* nil: the key is taken away */
} change;

static VALUE make_change(VALUE context) {
    const change *c = (change *)context;
    if (NIL_P(c->value)) return rb_hash_delete(c->env, c->key);
    return rb_hash_aset(c->env, c->key, c->value);
}

/* Returns false if Ruby does not allow it: the env is frozen, or being iterated. */
static bool changed(VALUE env, VALUE key, VALUE value) {
    VALUE error_before = rb_errinfo();
    change c = {env, key, value};
    int state = 0;
    rb_protect(make_change, (VALUE)&c, &state);
    if (state) rb_set_errinfo(error_before);
    return !state;
}

void ds_rb_env_set_queue_time(VALUE env, int64_t queue_time_ms) {
    if (queue_time_ms >= 0) changed(env, key_queue_time, LL2NUM(queue_time_ms));
    else if (!NIL_P(rb_hash_lookup(env, key_queue_time))) changed(env, key_queue_time, Qnil);
}

ds_rb_env_mark_result ds_rb_env_mark(VALUE env) {
    if (RTEST(rb_hash_lookup(env, key_counted))) return DS_RB_ENV_COUNTED;
    return changed(env, key_counted, Qtrue) ? DS_RB_ENV_MARKED : DS_RB_ENV_UNMARKABLE;
}

void ds_rb_env_unmark(VALUE env) {
    if (!RB_OBJ_FROZEN(env)) rb_hash_delete(env, key_counted);
}

static VALUE interned(const char *text, rb_encoding *encoding) {
    VALUE key = rb_enc_interned_str_cstr(text, encoding);
    rb_gc_register_mark_object(key);
    return key;
}

static void find_table_place(VALUE hash) {
#if KNOWN_TABLES && defined RHASH_TBL
    const char *start = (const char *)hash;
    const st_table *table = RHASH_TBL(hash);
    for (ptrdiff_t at = sizeof(struct RBasic); at <= FURTHEST_PLACE; at += SIZEOF_VALUE) {
        table_inside = (const char *)table == start + at;
        table_place = at;
        if (table_inside || *(const st_table *const *)(const void *)(start + at) == table) return;
    }
    table_place = NOWHERE;
#else
    (void)hash;
#endif
}

/* A large Hash, with the keys for which `mask` has a bit. */
static VALUE sample(int mask) {
    VALUE hash = rb_hash_new();
    for (int i = 0; i <= SMALL_HASH; i++) rb_hash_aset(hash, INT2FIX(i), Qfalse);
    for (int i = 0; i < KEYS; i++)
        if (mask & 1 << i) rb_hash_aset(hash, keys[i], INT2FIX(i));
    return hash;
}

static bool reads_correctly(void) {
    for (int mask = 0; mask < 1 << KEYS; mask++) {
        VALUE hash = sample(mask);
        ds_rb_env found = ds_rb_env_read(hash), expected = read_slowly(hash);
        if (found.start != expected.start || found.body_wait != expected.body_wait) return false;
    }
    return true;
}

void ds_rb_env_init(void) {
    keys[START] = interned("HTTP_X_REQUEST_START", rb_ascii8bit_encoding());
    keys[BODY_WAIT] = interned("puma.request_body_wait", rb_utf8_encoding());
    key_queue_start = interned("HTTP_X_QUEUE_START", rb_ascii8bit_encoding());
    key_input = interned("rack.input", rb_utf8_encoding());
    key_counted = interned("dynoscale.counted", rb_utf8_encoding());
    key_queue_time = interned("dynoscale.queue_time_ms", rb_utf8_encoding());

    VALUE hash = sample(0);
    find_table_place(hash);
    const st_table *table = table_of(hash);
    if (!table) return;
    known_type = table->type;
    for (int i = 0; i < KEYS; i++) hashes[i] = known_type->hash(keys[i]);
    if (!reads_correctly()) known_type = NULL;
    RB_GC_GUARD(hash);
}
