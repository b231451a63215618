#include "store/libpq.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct libpq library;
static char trouble[300];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* POSIX defines the conversion of dlsym's result to a function pointer; C does not. */
static bool find(void *handle, const char *name, void *function, size_t size) {
    void *found = dlsym(handle, name);
    memcpy(function, &found, size);
    if (!found)
        snprintf(trouble, sizeof trouble,
                 "libpq.so.5 has no %s: version 14 or a newer one is needed", name);
    return found != NULL;
}

static void load(void) {
    void *handle = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        snprintf(trouble, sizeof trouble,
                 "PostgreSQL's library libpq can't be loaded (%.120s): on Debian, apt-get install "
                 "libpq5",
                 dlerror());
        return;
    }
    bool ok = true;
#define LIBPQ_FIND(name, result, parameters) \
    ok = ok && find(handle, #name, &library.name, sizeof library.name);
    LIBPQ_FUNCTIONS(LIBPQ_FIND)
#undef LIBPQ_FIND
}

const struct libpq *libpq_load(char *error, size_t size) {
    pthread_once(&once, load);
    if (!*trouble) return &library;
    snprintf(error, size, "%s", trouble);
    return NULL;
}
