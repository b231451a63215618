#include "json_read.h"

#include <malloc.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 256 }; /* for what jansson adds at the end: less than 100 bytes */

static _Thread_local bool ran_out;
static _Thread_local struct reserve {
    char *bytes; /* NULL: no parsing is under way */
    size_t size, used;
} reserve;

/* ---- Memory -------------------------------------------------------------------------------- */

static void *of_reserve(size_t size) {
    size = (size + 15) & ~(size_t)15;
    if (!reserve.bytes || size > reserve.size - reserve.used) return NULL;
    reserve.used += size;
    return reserve.bytes + reserve.used - size;
}

static bool is_of_reserve(const char *memory) {
    return reserve.bytes && memory >= reserve.bytes && memory < reserve.bytes + reserve.size;
}

static void *get(size_t size) {
    void *memory = malloc(size);
    if (memory) return memory;
    ran_out = true;
    return of_reserve(size);
}

static void wipe_and_free(void *memory) {
    if (!memory || is_of_reserve(memory)) return;
    sodium_memzero(memory, malloc_usable_size(memory));
    free(memory);
}

static void watch(void) { json_set_alloc_funcs(get, wipe_and_free); }

void json_watch(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch);
}

bool json_ran_out(void) { return ran_out; }

void json_forget(void) { ran_out = false; }

/* ---- Reading ------------------------------------------------------------------------------- */

struct input {
    const char *text;
    size_t left;
};

/* Hands out one character at a time, and none after memory has run out. */
static size_t next(void *buffer, size_t size, void *context) {
    struct input *input = context;
    if (size == 0 || input->left == 0 || ran_out) return 0;
    *(char *)buffer = *input->text++;
    input->left--;
    return 1;
}

static json_t *no_memory(json_error_t *mistake) {
    ran_out = true;
    if (mistake) {
        memset(mistake, 0, sizeof *mistake);
        snprintf(mistake->text, sizeof mistake->text, "there is no memory left");
    }
    return NULL;
}

/* A buffer grows to at most twice the length of a word, which is then copied once. */
static bool reserve_for(size_t length) {
    reserve.size = 3 * length + ROOM;
    reserve.used = 0;
    reserve.bytes = malloc(reserve.size);
    return reserve.bytes != NULL;
}

static void give_reserve_back(void) {
    sodium_memzero(reserve.bytes, reserve.used);
    free(reserve.bytes);
    reserve.bytes = NULL;
}

json_t *json_read(const char *text, size_t length, size_t flags, json_error_t *mistake) {
    json_watch();
    bool ran_out_before = ran_out;
    if (!reserve_for(length)) return no_memory(mistake);
    ran_out = false;
    struct input input = {text, length};
    json_t *json = json_load_callback(next, &input, flags, mistake);
    if (ran_out) {
        json_decref(json); /* it may lie in the reserve */
        json = no_memory(mistake);
    }
    give_reserve_back();
    ran_out |= ran_out_before;
    return json;
}

json_t *json_read_string(const char *text, size_t flags, json_error_t *mistake) {
    return json_read(text, text ? strlen(text) : 0, flags, mistake);
}
