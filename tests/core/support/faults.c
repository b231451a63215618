#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

static _Atomic(int) calls_left = -1;
static _Atomic(bool) allocation_failed, handlers_refused;
static _Atomic(int) thread_error;
static _Atomic(bool) entropy_refused, libraries_refused;

typedef void function(void *context);

static _Atomic(function *) meanwhile;
static void *meanwhile_context; /* written before */

void faults_fail_allocation_after(int calls) {
    atomic_store(&allocation_failed, false);
    atomic_store(&calls_left, calls);
}

bool faults_allocation_failed(void) { return atomic_load(&allocation_failed); }

void faults_during_allocation(function *called, void *context) {
    meanwhile_context = context;
    atomic_store(&meanwhile, called);
}

void faults_refuse_threads_with(int error) { atomic_store(&thread_error, error); }

void faults_refuse_threads(bool refuse) { faults_refuse_threads_with(refuse ? EAGAIN : 0); }

void faults_refuse_fork_handlers(bool refuse) { atomic_store(&handlers_refused, refuse); }

static bool refused(void) {
    function *called = atomic_load(&meanwhile) ? atomic_exchange(&meanwhile, NULL) : NULL;
    if (called) called(meanwhile_context);
    if (atomic_load(&calls_left) < 0 || atomic_fetch_sub(&calls_left, 1) > 0) return false;
    atomic_store(&allocation_failed, true);
    errno = ENOMEM;
    return true;
}

#define WRAPPED(type, name, failure, parameters, arguments) \
    type __real_##name parameters;                          \
    type __wrap_##name parameters;                          \
    type __wrap_##name parameters { return refused() ? failure : __real_##name arguments; }

WRAPPED(void *, malloc, NULL, (size_t size), (size))
WRAPPED(void *, calloc, NULL, (size_t count, size_t size), (count, size))
WRAPPED(void *, realloc, NULL, (void *block, size_t size), (block, size))
WRAPPED(char *, strdup, NULL, (const char *text), (text))
WRAPPED(void *, mmap, MAP_FAILED,
        (void *address, size_t length, int protection, int flags, int file, off_t offset),
        (address, length, protection, flags, file, offset))

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*routine)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*routine)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*routine)(void *), void *argument) {
    if (atomic_load(&thread_error) != 0) return atomic_load(&thread_error);
    return __real_pthread_create(thread, attributes, routine, argument);
}

int __real_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
    if (atomic_load(&handlers_refused)) return ENOMEM;
    return __real_pthread_atfork(prepare, parent, child);
}

void faults_refuse_entropy(bool refuse) { atomic_store(&entropy_refused, refuse); }

int __real_getentropy(void *buffer, size_t length);
int __wrap_getentropy(void *buffer, size_t length);
int __wrap_getentropy(void *buffer, size_t length) {
    return atomic_load(&entropy_refused) ? -1 : __real_getentropy(buffer, length);
}

void faults_refuse_libraries(bool refuse) { atomic_store(&libraries_refused, refuse); }

void *__real_dlopen(const char *name, int mode);
void *__wrap_dlopen(const char *name, int mode);
void *__wrap_dlopen(const char *name, int mode) {
    return __real_dlopen(atomic_load(&libraries_refused) ? "/no/such/library" : name, mode);
}

static struct {
    const char *name;
    void *address;
    void *real;
} replaced[8 + 1]; /* the last one stays without a name */

void faults_replace_symbol(const char *name, void *address) {
    size_t i = 0;
    while (name && replaced[i].name) i++;
    if (!name) memset(replaced, 0, sizeof replaced);
    replaced[i].name = name;
    replaced[i].address = address;
}

/* clang's AddressSanitizer is linked statically, and looks up symbols before its checks can run. */
void *__real_dlsym(void *library, const char *name);
void *__wrap_dlsym(void *library, const char *name);
__attribute__((no_sanitize("address"))) void *__wrap_dlsym(void *library, const char *name) {
    void *real = __real_dlsym(library, name);
    for (size_t i = 0; replaced[i].name; i++) {
        if (strcmp(replaced[i].name, name) != 0) continue;
        replaced[i].real = real;
        return replaced[i].address;
    }
    return real;
}

void *faults_replaced_symbol(const char *name) {
    size_t i = 0;
    while (strcmp(replaced[i].name, name) != 0) i++;
    return replaced[i].real;
}
