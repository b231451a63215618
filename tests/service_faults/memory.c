/*
 * Loaded into a service or a command (LD_PRELOAD) to have allocations fail when a test says so, in
 * the processes that it starts too. What is to happen stands in a file of numbers that the test
 * writes while they run ($FAULTS_MEMORY, see struct orders).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct orders {
    _Atomic int64_t left;  /* allocations that do not fail yet; negative: none fails */
    _Atomic int64_t times; /* how many fail then */
    _Atomic int64_t made;  /* how many there were; counts up */
    _Atomic int64_t done;  /* how many failed; counts up */
};
static struct orders *orders;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_MEMORY");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *memory = mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory != MAP_FAILED) orders = memory;
}

static int fails(void) {
    if (!orders) return 0;
    atomic_fetch_add(&orders->made, 1);
    int64_t left = atomic_load(&orders->left);
    do {
        if (left < 0) return 0;
    } while (left > 0 && !atomic_compare_exchange_weak(&orders->left, &left, left - 1));
    if (left > 0) return 0;
    if (atomic_fetch_sub(&orders->times, 1) <= 0) {
        atomic_store(&orders->left, -1);
        return 0;
    }
    atomic_fetch_add(&orders->done, 1);
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }

void *calloc(size_t count, size_t size) { return fails() ? NULL : __libc_calloc(count, size); }

void *realloc(void *block, size_t size) {
    return size > 0 && fails() ? NULL : __libc_realloc(block, size);
}

void *memalign(size_t alignment, size_t size) {
    return fails() ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **block, size_t alignment, size_t size) {
    void *made = memalign(alignment, size);
    if (!made) return ENOMEM;
    *block = made;
    return 0;
}
