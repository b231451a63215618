#include "alone.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static pthread_key_t key;
static _Atomic(bool) has_key;
static _Atomic(bool) has_ended;
static void (*when_ended)(void); /* written before `has_key` */

static void end_of_thread(void *unused) {
    (void)unused;
    atomic_store(&has_ended, true);
    when_ended();
}

void ds_alone_init(void (*ended)(void)) {
    static _Atomic(bool) begun;
    if (atomic_exchange(&begun, true)) return;
    when_ended = ended;
    atomic_store(&has_key, pthread_key_create(&key, end_of_thread) == 0);
}

void ds_alone_watch_thread(void) {
    atomic_store(&has_ended, false);
    if (atomic_load(&has_key)) pthread_setspecific(key, &key);
}

bool ds_alone_may_be(void) { return atomic_load_explicit(&has_ended, memory_order_relaxed); }

/* Whether the thread is ours or has ended: the first thread of a process stays as a zombie. */
static bool is_ours_or_over(const char *id) {
    char path[64], line[128];
    snprintf(path, sizeof path, "/proc/self/task/%.20s/stat", id);
    FILE *file = fopen(path, "re");
    if (!file) return true; /* it has ended just now */
    size_t length = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[length] = '\0';
    const char *name = strchr(line, '('), *end = strrchr(line, ')');
    if (!name || !end || end[1] != ' ') return false;
    char state = end[2];
    size_t name_length = (size_t)(end - name) - 1;
    return state == 'Z' || state == 'X' ||
           (name_length == sizeof DS_THREAD_NAME - 1 &&
            memcmp(name + 1, DS_THREAD_NAME, name_length) == 0);
}

bool ds_alone_is(void) {
    DIR *tasks = opendir("/proc/self/task");
    if (!tasks) return false;
    bool alone = true;
    for (struct dirent *entry; alone && (entry = readdir(tasks));)
        if (entry->d_name[0] != '.') alone = is_ours_or_over(entry->d_name);
    closedir(tasks);
    return alone;
}
