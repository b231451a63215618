#define _GNU_SOURCE /* flock */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/serve.h"

/* Makes the folder and its parents. */
static bool make_folder(const char *folder) {
    char path[SETTINGS_TEXT_SIZE];
    snprintf(path, sizeof path, "%s", folder);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST) return false;
        *slash = '/';
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static void say_who_has_it(int fd, const char *folder, char *error, size_t size) {
    char owner[32] = "";
    ssize_t length = read(fd, owner, sizeof owner - 1);
    owner[length > 0 ? length : 0] = '\0';
    snprintf(error, size,
             "another service (process %.*s) uses the data in %s: stop it, or give this one a "
             "folder of its own with --data",
             (int)strcspn(owner, "\n"), owner, folder);
}

int lock_folder(const char *folder, char *error, size_t size) {
    char path[SETTINGS_TEXT_SIZE + 8];
    if (!make_folder(folder)) {
        snprintf(error, size, "the folder %s can't be made: %s", folder, strerror(errno));
        return -1;
    }
    snprintf(path, sizeof path, "%s/lock", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        snprintf(error, size, "%s can't be opened: %s", path, strerror(errno));
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) say_who_has_it(fd, folder, error, size);
        else snprintf(error, size, "%s can't be locked: %s", path, strerror(errno));
        close(fd);
        return -1;
    }
    /* The pid only serves the sentence above: a full disk is no reason not to start. */
    if (ftruncate(fd, 0) != 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0) errno = 0;
    return fd;
}
