#define _GNU_SOURCE
#include "heap.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t count, size_t size);
void *REAL(realloc)(void *block, size_t size);
void *REAL(memalign)(size_t alignment, size_t size);
void REAL(free)(void *block);

static atomic_long calls_left = -1, blocks;
static atomic_bool all_after, failed;

static void refuse(long calls, bool all) {
    atomic_store(&failed, false);
    atomic_store(&all_after, all);
    atomic_store(&calls_left, calls);
}

void heap_refuse_after(long calls) { refuse(calls, false); }

void heap_refuse_all_after(long calls) { refuse(calls, true); }

long heap_calls_left(void) { return atomic_load(&calls_left); }

bool heap_allow(void) {
    atomic_store(&calls_left, -1);
    return atomic_load(&failed);
}

long heap_blocks(void) { return atomic_load(&blocks); }

__attribute__((noinline)) void heap_refused(void) { __asm__ volatile(""); }

/* Whether this allocation fails. */
static bool fails(void) {
    long left = atomic_load(&calls_left);
    do {
        if (left < 0) return false;
    } while (!atomic_compare_exchange_weak(&calls_left, &left,
                                           left == 0 && atomic_load(&all_after) ? 0 : left - 1));
    if (left > 0) return false;
    atomic_store(&failed, true);
    errno = ENOMEM;
    heap_refused();
    return true;
}

static void *counted(void *block) {
    if (block) atomic_fetch_add(&blocks, 1);
    return block;
}

void *malloc(size_t size) { return fails() ? NULL : counted(REAL(malloc)(size)); }

void *calloc(size_t count, size_t size) {
    return fails() ? NULL : counted(REAL(calloc)(count, size));
}

void *realloc(void *block, size_t size) {
    if (!block) return malloc(size);
    if (size > 0 && fails()) return NULL;
    if (size == 0) atomic_fetch_sub(&blocks, 1);
    return REAL(realloc)(block, size);
}

void *memalign(size_t alignment, size_t size) {
    return fails() ? NULL : counted(REAL(memalign)(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **block, size_t alignment, size_t size) {
    void *made = memalign(alignment, size);
    if (!made) return ENOMEM;
    *block = made;
    return 0;
}

void free(void *block) {
    if (block) atomic_fetch_sub(&blocks, 1);
    REAL(free)(block);
}

/* The C library's own call its malloc; a sanitizer's don't. */
char *strdup(const char *text) { return strndup(text, SIZE_MAX); }

char *strndup(const char *text, size_t most) {
    size_t length = strnlen(text, most);
    char *copy = malloc(length + 1);
    if (!copy) return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}
