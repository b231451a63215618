/*
 * Loaded into a service or a command (LD_PRELOAD) to have allocations fail when a test says so, in
 * the processes that it starts too. What is to happen stands in a file of numbers that the test
 * writes while they run ($FAULTS_MEMORY, see struct orders).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <link.h>
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

static uintptr_t glib_begin, glib_end;

static int find_glib(struct dl_phdr_info *library, size_t size, void *context) {
    (void)size, (void)context;
    if (!strstr(library->dlpi_name, "/libglib-2.0.so")) return 0;
    for (int i = 0; i < library->dlpi_phnum; i++) {
        if (library->dlpi_phdr[i].p_type != PT_LOAD || !(library->dlpi_phdr[i].p_flags & PF_X))
            continue;
        glib_begin = library->dlpi_addr + library->dlpi_phdr[i].p_vaddr;
        glib_end = glib_begin + library->dlpi_phdr[i].p_memsz;
    }
    return 1;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_MEMORY");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *memory = mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    dl_iterate_phdr(find_glib, NULL);
    if (memory != MAP_FAILED) orders = memory;
}

#define CALLER (uintptr_t) __builtin_return_address(0)

static int fails(uintptr_t caller) {
    if (!orders || (caller >= glib_begin && caller < glib_end)) return 0;
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

void *malloc(size_t size) { return fails(CALLER) ? NULL : __libc_malloc(size); }

void *calloc(size_t count, size_t size) {
    return fails(CALLER) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
    return size > 0 && fails(CALLER) ? NULL : __libc_realloc(block, size);
}

static void *aligned(size_t alignment, size_t size, uintptr_t caller) {
    return fails(caller) ? NULL : __libc_memalign(alignment, size);
}

void *memalign(size_t alignment, size_t size) { return aligned(alignment, size, CALLER); }

void *aligned_alloc(size_t alignment, size_t size) { return aligned(alignment, size, CALLER); }

int posix_memalign(void **block, size_t alignment, size_t size) {
    void *made = aligned(alignment, size, CALLER);
    if (!made) return ENOMEM;
    *block = made;
    return 0;
}
